"""Options: the table of all settings, and the values of each."""

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
from roll import Limits

from .env_file import EnvFile, load_env_file

PREFIX = "ROLL"

OTHERS = (f"{PREFIX}_METRICS_", f"{PREFIX}_TEST_")
"""The prefixes of other packages' variables, which are not settings: ROLL_METRICS_DIR
of roll-observability, and those that tests pass to the servers that they start."""

# The help shows the name of the function that reads an option as its type.
FILE = click.Path(path_type=Path)


def text(value: str) -> str:
    """Read a text that is not empty."""
    if not value:
        raise click.BadParameter("give a text that is not empty")
    return value


def words(value: str) -> tuple[str, ...]:
    """Read a comma-separated list."""
    return tuple(text(word.strip()) for word in value.split(","))


def paths(value: str) -> tuple[Path, ...]:
    """Read a list of paths."""
    return tuple(map(Path, words(value)))


def url_path(value: str) -> str:
    """Read the path of a URL."""
    if not value.startswith("/"):
        raise click.BadParameter(f"{value!r} does not start with a slash")
    return value


def seconds(value: str) -> float:
    """Read a time."""
    try:
        found = float(value)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise click.BadParameter(f"{value!r} is not a time in seconds, such as 0.5")
    return found


def key(name: str) -> str:
    """Give the key of an option in `[tool.roll]`, and its flag without the dashes."""
    return name.replace("_", "-")


def variable(name: str) -> str:
    """Give the variable of an option."""
    return f"{PREFIX}_{name.upper()}"


def _load(
    ctx: click.Context, param: click.Parameter, value: Path | None
) -> EnvFile | None:
    return None if value is None else load_env_file(value)


def _option(names: str, kind: Any, help: str, **more: Any) -> click.Option:
    return click.Option([names], type=kind, help=help, **more)


APPLICATION: tuple[click.Parameter, ...] = (
    click.Argument(["app"], type=text, required=False, envvar=variable("app")),
    _option(
        "--factory/--no-factory", bool, "APP is a function that makes the application."
    ),
    _option(
        "--env-file",
        FILE,
        "A file of variables that are not in the environment.",
        is_eager=True,
        callback=_load,
    ),
)
"""The options that lead to an application."""

LIMITS = {
    "graceful_timeout" if each.name == "shutdown" else f"limit_{each.name}": each.name
    for each in fields(Limits)
}
"""The names of the options that set limits, and the fields of `roll.Limits`."""

MOST = {"backlog": 2**31 - 1}  # a C int

OPTIONS = (
    *APPLICATION,
    _option("--host", str, "The name or address to listen on.", default="127.0.0.1"),
    _option(
        "--port",
        click.IntRange(0, 65535),
        "The TCP port; 0 takes a free one.",
        default=3579,
    ),
    _option("--uds", FILE, "Listen on this unix socket, instead of host and port."),
    _option(
        "--fd",
        click.IntRange(0, 1_000_000),
        "Listen on this inherited descriptor, instead.",
    ),
    _option(
        "--workers", click.IntRange(1, 1024), "How many processes serve.", default=1
    ),
    _option(
        "--reload/--no-reload", bool, "Restart when a file changes; for development."
    ),
    _option(
        "--reload-dir", paths, "The folders that are watched for that.", default="."
    ),
    _option("--tls-cert", FILE, "Serve with TLS; a file in PEM, with the whole chain."),
    _option("--tls-key", FILE, "Its private key, where that file does not have it."),
    _option(
        "--trusted-proxies",
        words,
        "Proxies that may say who the client is (roll-proxy).",
    ),
    _option(
        "--access-log/--no-access-log",
        bool,
        "Log requests (roll-logger); on in a terminal and with --reload.",
        default=None,
    ),
    _option(
        "--log-format",
        text,
        "Log them as short, common, combined or json.",
    ),
    _option(
        "--health", url_path, "Answer 200 on this path, and 503 from the signal on."
    ),
    _option(
        "--drain", seconds, "Seconds to go on after the signal; 5 with a health path."
    ),
    *(
        _option(
            f"--{key(name)}",
            seconds if limit.type is float else click.IntRange(1, MOST.get(limit.name)),
            f"Limits.{limit.name} of the application.",
        )
        for name, limit in zip(LIMITS, fields(Limits), strict=True)
    ),
)
"""All settings."""
