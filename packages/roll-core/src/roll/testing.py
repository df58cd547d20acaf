"""`roll.testing`: what roll-testing gives, by its older name."""

try:
    from roll_testing import *  # noqa: F403  # a shim has no names of its own
    from roll_testing import __all__
except ImportError as error:
    raise ImportError(
        "The test tools are not installed. Run: pip install roll-testing"
    ) from error

__all__ = list(__all__)
