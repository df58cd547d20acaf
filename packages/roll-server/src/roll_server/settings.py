"""Settings: one table of what `roll run` can be told, by option, variable and key."""

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple, cast

from roll import Limits

from . import kinds
from .exits import Exit, StartError
from .kinds import Kind

PREFIX = "ROLL_"
TABLE = "[tool.roll]"
PROJECT = Path("pyproject.toml")


def _row(kind: Kind, text: str) -> dict[str, Any]:
    return {"kind": kind, "help": text}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `roll run` is told."""

    app: str | None = field(
        default=None,
        metadata=_row(
            kinds.TEXT, "The application: a module, a colon, and its name there."
        ),
    )
    factory: bool = field(
        default=False,
        metadata=_row(kinds.SWITCH, "APP is a function that makes the application."),
    )
    host: str = field(
        default="127.0.0.1",
        metadata=_row(kinds.TEXT, "The name or address to listen on."),
    )
    port: int = field(
        default=3579, metadata=_row(kinds.PORT, "The TCP port; 0 takes a free one.")
    )
    uds: Path | None = field(
        default=None,
        metadata=_row(
            kinds.FILE, "Listen on this unix socket, instead of host and port."
        ),
    )
    fd: int | None = field(
        default=None,
        metadata=_row(
            kinds.DESCRIPTOR, "Listen on this inherited descriptor, instead."
        ),
    )
    workers: int = field(
        default=1, metadata=_row(kinds.COUNT, "How many processes serve.")
    )
    reload: bool = field(
        default=False,
        metadata=_row(kinds.SWITCH, "Start anew when a file changes; for development."),
    )
    reload_dir: tuple[Path, ...] = field(
        default=(Path("."),),
        metadata=_row(kinds.FOLDERS, "The folders that are watched for that."),
    )
    tls_cert: Path | None = field(
        default=None,
        metadata=_row(
            kinds.FILE, "Serve with TLS; a file in PEM, with the whole chain."
        ),
    )
    tls_key: Path | None = field(
        default=None,
        metadata=_row(kinds.FILE, "Its private key, where that file has it not."),
    )
    trusted_proxies: tuple[str, ...] = field(
        default=(),
        metadata=_row(
            kinds.WORDS, "Proxies that may say who the client is (roll-proxy)."
        ),
    )
    log_format: str | None = field(
        default=None,
        metadata=_row(
            kinds.TEXT, "Log requests: short, common, combined, json (roll-logger)."
        ),
    )
    health: str | None = field(
        default=None,
        metadata=_row(
            kinds.URL_PATH, "Answer 200 on this path, and 503 from the signal on."
        ),
    )
    drain: float | None = field(
        default=None,
        metadata=_row(
            kinds.SECONDS, "Seconds to go on after the signal; 5 with a health path."
        ),
    )
    env_file: Path | None = field(
        default=None,
        metadata=_row(
            kinds.FILE, "A file of variables that are not in the environment."
        ),
    )
    limits: Mapping[str, Any] = field(default_factory=dict)
    """The fields of `roll.Limits` that are set."""


class Option(NamedTuple):
    """One row of the table."""

    name: str
    kind: Kind
    default: Any
    help: str
    limit: str | None = None
    """The field of `roll.Limits` that it sets; others are fields of `Settings`."""

    @property
    def key(self) -> str:
        """The key in `[tool.roll]`, and the flag without its dashes."""
        return self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The variable of the environment."""
        return PREFIX + self.name.upper()


def _limit(name: str, seconds: bool) -> Option:
    kind = kinds.SECONDS if seconds else kinds.LIMIT
    if name == "backlog":  # the system reads it
        kind = kinds.BACKLOG
    if name == "shutdown":
        text = "Seconds for running requests to end (Limits.shutdown)."
        return Option("graceful_timeout", kind, None, text, name)
    text = f"Limits.{name} of the application."
    return Option(f"limit_{name}", kind, None, text, name)


OPTIONS = (
    *(
        Option(each.name, each.metadata["kind"], each.default, each.metadata["help"])
        for each in fields(Settings)
        if each.metadata
    ),
    *(_limit(each.name, seconds=each.type is float) for each in fields(Limits)),
)
"""The table."""


def resolve(flags: Mapping[str, object]) -> Settings:
    """Settle what holds: an option, else a variable, else a key of pyproject.toml.

    The variables of the env file are set in the environment, for the application, too.

    Args:
        flags: What the command line says, by the names of the options.

    Raises:
        StartError: Something is unknown, or cannot be; the message says what.
    """
    table = read_table(PROJECT)
    env_file = _settle(_ENV_FILE, flags, os.environ, table)
    if env_file is not None:
        for name, value in read_env_file(env_file).items():
            os.environ.setdefault(name, value)
    variables = {
        name: value for name, value in os.environ.items() if name.startswith(PREFIX)
    }
    _refuse_unknown("the variable ", variables, [each.variable for each in OPTIONS])
    values: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    for option in OPTIONS:
        value = _settle(option, flags, variables, table)
        if option.limit is None:
            values[option.name] = value
        elif value is not None:
            limits[option.limit] = value
    settings = Settings(**values, limits=limits)
    _check(settings)
    return settings


def _settle(
    option: Option,
    flags: Mapping[str, object],
    variables: Mapping[str, str],
    table: Mapping[str, object],
) -> Any:
    for source, name, values in (
        ("APP" if option.name == "app" else f"--{option.key}", option.name, flags),
        (option.variable, option.variable, variables),
        (f"{option.key} in {TABLE}", option.key, table),
    ):
        value = values.get(name)
        if value is not None:
            try:
                return option.kind.parse(value)
            except ValueError as error:
                raise _wrong(f"{source} is {value!r}: {error}") from None
    return option.default


_ENV_FILE = next(each for each in OPTIONS if each.name == "env_file")


def _wrong(message: str) -> StartError:
    return StartError(message, Exit.SETTINGS)


def read_table(path: Path) -> dict[str, object]:
    """Read `[tool.roll]` of a pyproject.toml, empty where there is none.

    Raises:
        StartError: The file is no TOML, or has a key that means nothing.
    """
    try:
        tool = tomllib.loads(path.read_text("utf-8")).get("tool")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _wrong(f"{path} cannot be read: {error}") from error
    table = tool.get("roll", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise _wrong(f"{TABLE} of {path} is no table")
    _refuse_unknown(f"in {TABLE} of {path}, the key ", table, [o.key for o in OPTIONS])
    return table


def _refuse_unknown(what: str, given: Iterable[str], known: list[str]) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "see roll run --help"
            raise _wrong(f"{what}{name!r} means nothing to Roll: {hint}")


def read_env_file(path: Path) -> dict[str, str]:
    """Read lines of `NAME=value`, as python-dotenv does, with `${NAME}` in values.

    Raises:
        StartError: The file cannot be read, or a line is none of them.
    """
    from dotenv import dotenv_values
    from dotenv.parser import parse_stream

    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise _wrong(f"the env file {path} cannot be read: {error}") from error
    # dotenv_values goes on where a line is wrong.
    for line in parse_stream(StringIO(text)):
        if line.error or (line.key and line.value is None):
            where = f"line {line.original.line} of the env file {path}"
            raise _wrong(f"{where} is no NAME=value")
    return cast(dict[str, str], dotenv_values(stream=StringIO(text)))


def _check(settings: Settings) -> None:
    """Refuse what does not go together.

    Raises:
        StartError: The message says what to leave out.
    """
    if settings.uds is not None and settings.fd is not None:
        raise _wrong("uds and fd are both set: leave out one of them")
    if settings.tls_key is not None and settings.tls_cert is None:
        raise _wrong("tls-key is set without tls-cert: name the certificate, too")
    if settings.reload and settings.workers > 1:
        raise _wrong("reload and workers are both set: leave out one of them")
    for folder in settings.reload_dir:
        if settings.reload and not folder.is_dir():
            raise _wrong(f"reload-dir has {str(folder)!r}, which is no folder")
    if (settings.reload or settings.workers > 1) and not hasattr(os, "fork"):
        raise _wrong("reload and workers need Unix: use `hupper -m` to reload here")
    try:
        Limits(**settings.limits)
    except ValueError as error:
        raise _wrong(str(error)) from error
