"""Descriptors: what a request may open, and how to notice that none is left."""

import errno
from contextlib import suppress
from importlib import import_module
from typing import TypeGuard

_EXHAUSTED = (errno.EMFILE, errno.ENFILE)

# Modules that Roll, or the standard library, imports on first use.
_LAZY = (
    "concurrent.futures.thread",  # by the loop, for its first thread
    "encodings.unicode_escape",  # to quote in logs
    "roll.forms.multipart",
    "tokenize",  # by linecache, for the lines of a traceback
    "uuid",
)


def are_exhausted(error: BaseException) -> TypeGuard[OSError]:
    """Whether *error* means that the process, or the system, has no descriptor left."""
    return isinstance(error, OSError) and error.errno in _EXHAUSTED


def prepare() -> None:
    """Do now what would need a descriptor in the first request.

    Modules are imported, and the folder for temporary files is chosen: Python tests it
    with a file, and considers it unusable if no descriptor is left.
    """
    import tempfile  # these would make `import roll` half as slow again

    for name in _LAZY:
        import_module(name)
    with suppress(OSError):  # an app without uploads does not need it
        tempfile.gettempdir()
