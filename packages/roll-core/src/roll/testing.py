"""`roll.testing`: the older name of roll-testing."""

try:
    from roll_testing import *  # noqa: F403  # an alias for the whole module
    from roll_testing import __all__
except ImportError as error:
    raise ImportError(
        "The test tools are not installed. Run: pip install roll-testing"
    ) from error

__all__ = list(__all__)
