"""Descriptors: what a request may open, and how Roll sees that none is left."""

import errno
from contextlib import suppress
from importlib import import_module
from typing import TypeGuard

_EXHAUSTED = (errno.EMFILE, errno.ENFILE)

# Modules that Roll, or the standard library for it, imports when they are first needed.
_LAZY = (
    "concurrent.futures.thread",  # by the loop, for its first thread
    "encodings.unicode_escape",  # to quote in logs
    "roll.forms.multipart",
    "tokenize",  # by linecache, for the lines of a traceback
    "uuid",
)


def are_exhausted(error: BaseException) -> TypeGuard[OSError]:
    """Whether *error* says that the process, or the system, has no descriptor left."""
    return isinstance(error, OSError) and error.errno in _EXHAUSTED


def prepare() -> None:
    """Do now what would need a descriptor in the first request that asks for it.

    Modules are imported, and the folder of temporary files is found: Python tries it
    out with a file, and takes it for unusable where no descriptor is left.
    """
    import tempfile  # with the modules below, half of what `import roll` would take

    for name in _LAZY:
        import_module(name)
    with suppress(OSError):  # an app that takes no uploads may do without
        tempfile.gettempdir()
