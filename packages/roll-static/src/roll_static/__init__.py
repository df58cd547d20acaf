"""static and send_file: the files of a folder, and files that a view sends."""

import asyncio
import difflib
import inspect
import math
import os
import re
import warnings
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote
from weakref import WeakSet

from roll import HttpError, Request, Response, Roll, hookimpl
from roll.plugins import require_app
from roll.typing import Extension

from .cache import Cache, Entry
from .conditions import choose_coding
from .files import Folder, Opened, Pieces, guess_type, in_thread, open_in_thread
from .responses import FileResponse, plan_for, respond

__all__ = ["HASHED", "FileResponse", "send_file", "static"]

HASHED = re.compile(
    r"[.-](?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{8,}\.", re.ASCII | re.IGNORECASE
)
"""Finds names such as `app.3f9ac01b.js`, with eight hexadecimal digits or more.

They must include letters and digits: `report-20260131.pdf` only has a date.
"""

IMMUTABLE = "public, max-age=31536000, immutable"
"""A year without revalidation (RFC 8246)."""

_FIELD_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")


def static(
    app: Roll,
    prefix: str = "/static/",
    root: str | Path = ".",
    default_index: str = "",
    name: str = "static",
    *,
    cache_control: str | None = None,
    immutable: bool | str | re.Pattern[str] = False,
    hidden: bool = False,
    ttl: float = 0.5,
    **extras: Any,
) -> None:
    """Serve the files of a folder, and of those under it, to GET and HEAD.

    Responses have validators, so that clients only download again what has changed (RFC
    9110, section 13), and single ranges are served (section 14). If a sibling with the
    suffix `.br`, `.gz` or `.zst` is not older, clients that accept it get the file
    compressed. Nothing outside of the folder is sent, even through symlinks. Each file
    has one path: a path with an empty segment, `.` or `..` gets a 400.

    Args:
        app: The application.
        prefix: The path under which the files are.
        root: The folder; by default the current one.
        default_index: The name of the file to send for a folder, such as
            `"index.html"`; without one, folders are 404.
        name: The name of the route, for code that looks routes up by name.
        cache_control: The value of `Cache-Control`; None sends none.
        immutable: True to let clients keep files forever whose name has a hash that
            `HASHED` finds; or a regular expression that finds the hash in a file's
            name.
        hidden: Whether to serve files, and folders, whose name starts with a dot.
            `.well-known` (RFC 8615) is always served.
        ttl: Seconds for which files that were found are remembered; 0 to look each
            time.
        extras: Extras of the route, for other extensions, such as `session=False`.

    Raises:
        TypeError: An option has another type, or the name of an extra is close to an
            option's.
        ValueError: *prefix* is not a path, or has a placeholder, or is served already;
            *root* exists and is not a folder; *default_index* is not a name;
            *cache_control* has a line end; *immutable* is not a regular expression;
            *ttl* is negative.

    Warns:
        UserWarning: *root* does not exist: all files are 404 until it does.
    """
    require_app("static", app)
    prefix = _check_prefix(prefix)
    _check_type("name", name, str, "the name of the route")
    _check_type("hidden", hidden, bool, "True or False")
    _check_extras(extras)
    pattern = f"{prefix}{{path:path}}"
    if any(at.path == pattern and "GET" in at.methods for at in app.declarations):
        raise ValueError(
            f"prefix={prefix!r} is served already: give another, or call static once"
        )
    rule = _cache_rule(cache_control, immutable)
    folder = Folder(_check_root(root), _check_index(default_index), hidden, rule)
    cache = Cache(_check_ttl(ttl))
    sending: WeakSet[Pieces] = WeakSet()
    guess_type("")  # reads the system's tables before the first request

    async def load(path: str, entry: Entry, coding: str) -> Opened:
        """Open a file; one to remember is read only once, for all requests."""
        variant = entry.variants[coding]
        if coding in entry.reading:
            await entry.reading[coding].wait()
            if coding in entry.contents:
                return Opened(variant, entry.contents[coding], None)
        if variant.size > cache.room:
            return await open_in_thread(folder, variant, cache.room)
        read = entry.reading[coding] = asyncio.Event()
        try:
            opened = await open_in_thread(folder, variant, cache.room)
            if opened.variant is variant and opened.content is not None:
                cache.keep(path, entry, coding, opened.content)
            return opened
        finally:
            entry.reading.pop(coding, None)
            read.set()

    @app.route(pattern, name=name, **extras)
    async def serve_file(request: Request, response: Response, path: str) -> None:
        entry = cache.get(path)
        if entry is None:
            variants = await in_thread(folder.find, path)
            if variants is None:
                # Made from the names that were found, so that it leads nowhere else.
                target = f"{app.root_path}{prefix}{'/'.join(folder.split(path))}/"
                return _redirect(response, target, request.query_string)
            entry = cache.get(path) or cache.add(path, variants)
        coding = choose_coding(request.headers.get("ACCEPT-ENCODING"), entry.sizes)
        if coding is None or len(entry.sizes) > 1:
            response.vary("Accept-Encoding")
        if coding is None:
            raise HttpError(HTTPStatus.NOT_ACCEPTABLE)
        variant = entry.variants[coding]
        plan = plan_for(request, variant)
        content = entry.contents.get(coding)
        file = None
        if content is None and plan.sends and request.method == "GET":
            variant, content, file = await load(path, entry, coding)
            if variant is not entry.variants[coding]:  # it has changed meanwhile
                cache.forget(path)
                plan = plan_for(request, variant)
        respond(response, plan, variant, content, file, sending)


def _redirect(response: Response, path: str, query: str) -> None:
    """Redirect to *path*, which is not encoded, with the query as sent."""
    location = quote(path)
    if query:
        location += f"?{query}"
    response.redirect = location, HTTPStatus.TEMPORARY_REDIRECT


def send_file(app: Roll) -> None:
    """Give the responses of *app* the method `send_file`, which `FileResponse` has.

    Raises:
        TypeError: *app* is not an app.
    """
    require_app("send_file", app)
    if not issubclass(app.Response, FileResponse):
        bases = (FileResponse, app.Response)
        vars(app)["Response"] = type("FileResponse", bases, {"__slots__": ()})


# The options


def _check_type(option: str, value: object, kind: Any, wanted: str) -> None:
    # True is an int, but nobody means it as a number.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{option}={value!r}: give {wanted}")


def _check_extras(extras: Mapping[str, Any]) -> None:
    options = inspect.signature(static).parameters
    for extra in extras:
        for near in difflib.get_close_matches(extra, options, n=1, cutoff=0.8):
            raise TypeError(f"static: {extra}= is unknown; did you mean {near}=?")


def _check_prefix(prefix: str) -> str:
    _check_type("prefix", prefix, str, "a path, such as '/static/'")
    if not prefix.startswith("/") or "//" in prefix:
        raise ValueError(f"prefix={prefix!r}: give a path, such as '/static/'")
    if "{" in prefix or "}" in prefix:
        raise ValueError(f"prefix={prefix!r}: leave placeholders out")
    return prefix if prefix.endswith("/") else f"{prefix}/"


def _check_root(root: str | Path) -> str:
    _check_type("root", root, (str, Path), "a folder, as a string or a Path")
    if not os.path.exists(root):
        warnings.warn(
            f"static: root={str(root)!r} does not exist: files are 404 until it does",
            stacklevel=3,
        )
    elif not os.path.isdir(root):
        raise ValueError(f"root={str(root)!r} is not a folder")
    return os.path.realpath(root)


def _check_index(index: str) -> str:
    _check_type("default_index", index, str, "the name of a file, such as 'index.html'")
    if index in (".", "..") or any(char in index for char in "/\\\0"):
        raise ValueError(
            f"default_index={index!r}: give the name of a file, such as 'index.html'"
        )
    return index


def _check_ttl(ttl: float) -> float:
    _check_type("ttl", ttl, (int, float), "seconds, a number")
    if not 0 <= ttl < math.inf:
        raise ValueError(f"ttl={ttl!r}: give seconds, 0 or more")
    return ttl


def _cache_rule(
    cache_control: str | None, immutable: bool | str | re.Pattern[str]
) -> Callable[[str], str | None]:
    """Make the function that gives the `Cache-Control` of a file's name."""
    if cache_control is not None:
        _check_type("cache_control", cache_control, str, "text, or None to send none")
        if not _FIELD_VALUE.fullmatch(cache_control):
            raise ValueError(
                f"cache_control={cache_control!r}: give directives, such as "
                "'max-age=3600', or None to send none"
            )
    hashed = _hash_pattern(immutable)
    if hashed is None:
        return lambda name: cache_control
    return lambda name: IMMUTABLE if hashed.search(name) else cache_control


def _hash_pattern(immutable: bool | str | re.Pattern[str]) -> re.Pattern[str] | None:
    if isinstance(immutable, bool):
        return HASHED if immutable else None
    pattern = immutable.pattern if isinstance(immutable, re.Pattern) else immutable
    if not isinstance(pattern, str):
        raise TypeError(
            f"immutable={immutable!r}: give True, or a regular expression, a string"
        )
    try:
        return re.compile(immutable)
    except re.error as error:
        raise ValueError(
            f"immutable={immutable!r} is not a regular expression: {error}"
        ) from error


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import send_file, static`."""
    return {"send_file": send_file, "static": static}
