"""Inspects a module in a new process; the contract of extensions runs this.

`python -m roll_contract.probe imports roll_x` prints what importing it does, and `...
apps roll_x` what changes for apps, as JSON on the last line.
"""

import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from importlib.machinery import all_suffixes
from typing import Any

STARTS_THREAD = "starts a thread"

ACTS = {
    "_thread.start_joinable_thread": STARTS_THREAD,
    "_thread.start_new_thread": STARTS_THREAD,
    "os.exec": "starts a process",
    "os.fork": "starts a process",
    "os.mkdir": "makes a folder",
    "os.posix_spawn": "starts a process",
    "os.remove": "removes a file",
    "os.rename": "renames a file",
    "os.rmdir": "removes a folder",
    "os.system": "starts a process",
    "socket.__new__": "opens a socket",
    "socket.getaddrinfo": "looks a host up",
    "sqlite3.connect": "opens a database",
    "subprocess.Popen": "starts a process",
    "time.sleep": "sleeps",  # an event from Python 3.13 on
}
"""What a module must not do when it is imported, by the audit event of Python."""

CODE = tuple(all_suffixes())
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def describe_act(event: str, arguments: tuple[Any, ...]) -> str | None:
    """Describe an audit event, if a module should not cause it."""
    if event != "open":
        return ACTS.get(event)
    path, _, flags = arguments
    reads_code = str(path).endswith(CODE) and not flags & WRITES  # as imports do
    return None if reads_code else f"opens {path}"


def watch_import(module: str) -> dict[str, Any]:
    """Import *module*, and report what that does, loads and costs."""
    # What Roll loads is not the module's.
    import roll.extensions
    import roll.typing  # noqa: F401
    from roll import hookimpl  # noqa: F401

    known = {*map(_top, sys.modules), _top(module), *sys.stdlib_module_names}
    events: list[tuple[str, tuple[Any, ...]]] = []
    sys.addaudithook(lambda *event: events.append(event))
    start = time.perf_counter()
    importlib.import_module(module)
    seconds = time.perf_counter() - start
    acts = [act for event in events.copy() if (act := describe_act(*event))]
    if threading.active_count() > 1:  # without an event before Python 3.12
        acts.append(STARTS_THREAD)
    loaded = sorted({_top(name) for name in sys.modules} - known)
    return {"acts": acts, "loaded": loaded, "seconds": seconds}


def _top(module: str) -> str:
    return module.partition(".")[0]


def watch_apps(module: str) -> dict[str, Any]:
    """Import *module*, ask it for its extensions, and report what changes for apps."""
    parts = list(_parts())
    before = _answers()
    plugin = importlib.import_module(module)
    getattr(plugin, "roll_extensions", dict)()
    after = _answers()
    changes = [
        f"{name} is another one" for name, kind, old in parts if vars(kind) != old
    ]
    changes += [
        f"{request} is answered with {after[request]}, not with {before[request]}"
        for request in before
        if before[request] != after[request]
    ]
    changes += _content()
    return {"changes": changes}


def _parts() -> Iterator[tuple[str, type, dict[str, Any]]]:
    """Give the public classes of Roll, and their attributes."""
    roll = importlib.import_module("roll")
    for name in roll.__all__:
        part = getattr(roll, name)
        if isinstance(part, type):
            yield f"roll.{name}", part, dict(vars(part))


def _answers() -> dict[str, str]:
    from .site import Ask, Site, ask, describe

    paths = ("/", "/nowhere", "/refused", "/broken")
    requests = [Ask(method, path) for path in paths for method in ("GET", "OPTIONS")]
    answers = ask(Site(), requests)
    return {
        str(request): str(describe(answer))
        for request, answer in zip(requests, answers, strict=True)
    }


def _content() -> Iterator[str]:
    """Give what a new app has that it should not have."""
    from roll import Roll

    app = Roll()
    for event in app.hooks:
        yield f"a new app has a listener of {event!r}"
    for declaration in app.declarations:
        yield f"a new app has the route {declaration.path}"
    for key in app:
        yield f"a new app has the key {key!r}"


def main() -> None:
    """Run what the command line asks for."""
    _, probe, module = sys.argv
    found = {"imports": watch_import, "apps": watch_apps}[probe](module)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
