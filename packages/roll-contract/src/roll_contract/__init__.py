"""The contract of Roll's extensions, as tests that a class inherits.

Read `contract.py` first, then `installed.py`, whose tests do not call the extension;
`site.py` has the application that it is tried on, and `probe.py` runs in a new process.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .contract import ExtensionContract

__all__ = ["ExtensionContract"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        # On demand: the probe, a module of this package, reports what an extension
        # loads, so it must not load pytest itself.
        if name != "ExtensionContract":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from .contract import ExtensionContract

        return ExtensionContract
