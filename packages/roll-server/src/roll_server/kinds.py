"""Kinds of settings: how texts and values of TOML are read."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast


class Kind(NamedTuple):
    """What a setting takes, and how it is read from an option, a variable or a key."""

    metavar: str
    parse: Callable[[object], Any]


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("give a text")
    return value


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    known = {"1": True, "true": True, "0": False, "false": False}
    if not isinstance(value, str) or value.lower() not in known:
        raise ValueError("give true or false")
    return known[value.lower()]


def _words(value: object) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list) or not words:
        raise ValueError("give some, with commas between them")
    return tuple(
        _text(word.strip() if isinstance(word, str) else word) for word in words
    )


def _whole(least: int, most: float = math.inf) -> Callable[[object], int]:
    bounds = f"from {least} to {most}" if most < math.inf else f"of {least} or more"

    def parse(value: object) -> int:
        if isinstance(value, str) and value.isascii() and value.isdecimal():
            value = int(value) if len(value) < 20 else -1
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"give a whole number {bounds}")
        return value

    return parse


def _seconds(value: object) -> float:
    if isinstance(value, bool):
        raise ValueError("give seconds")
    try:
        seconds = float(cast(Any, value))
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ValueError("give seconds, such as 5 or 0.5")
    return seconds


def _path(value: object) -> Path:
    return Path(_text(value))


def _paths(value: object) -> tuple[Path, ...]:
    return tuple(Path(word) for word in _words(value))


def _url_path(value: object) -> str:
    path = _text(value)
    if not path.startswith("/"):
        raise ValueError("give a path such as /healthz")
    return path


TEXT = Kind("TEXT", _text)
SWITCH = Kind("", _switch)
WORDS = Kind("LIST", _words)
PORT = Kind("NUMBER", _whole(0, 65535))
DESCRIPTOR = Kind("NUMBER", _whole(0, 1_000_000))
COUNT = Kind("NUMBER", _whole(1, 1024))
SECONDS = Kind("SECONDS", _seconds)
FILE = Kind("PATH", _path)
FOLDERS = Kind("LIST", _paths)
URL_PATH = Kind("PATH", _url_path)
LIMIT = Kind("NUMBER", _whole(1))
BACKLOG = Kind("NUMBER", _whole(1, 2**31 - 1))
