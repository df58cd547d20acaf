"""Settings: what `roll run` can be told, by option, variable and key.

click finds each of them: an option precedes a variable, and a variable a key.
"""

import difflib
import math
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple, cast

import click
from click.core import ParameterSource
from roll import Limits

from .exits import Exit, StartError

PREFIX = "ROLL"
TABLE = "[tool.roll]"
PROJECT = Path("pyproject.toml")


class EnvFile(NamedTuple):
    """A file of variables that has been read."""

    path: Path
    added: frozenset[str]
    """The variables that it has set; others were in the environment already."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `roll run` is told."""

    app: str | None
    factory: bool
    host: str
    port: int
    uds: Path | None
    fd: int | None
    workers: int
    reload: bool
    reload_dir: tuple[Path, ...]
    tls_cert: Path | None
    tls_key: Path | None
    trusted_proxies: tuple[str, ...] | None
    log_format: str | None
    health: str | None
    drain: float | None
    env_file: EnvFile | None
    limits: Mapping[str, Any]
    """The fields of `roll.Limits` that are set."""

    @classmethod
    def take(cls, values: dict[str, Any]) -> "Settings":
        """Make settings of the values of `OPTIONS`, by their names.

        Raises:
            StartError: Some do not go together; the message says what to leave out.
        """
        found = {field: values.pop(name) for name, field in LIMITS.items()}
        limits = {field: found[field] for field in found if found[field] is not None}
        settings = cls(**values, limits=limits)
        _check(settings)
        return settings


# What an option takes is shown by the name of the function that reads it.
FILE = click.Path(path_type=Path)


def text(value: str) -> str:
    """Read a text, which is not empty."""
    if not value:
        raise click.BadParameter("give a text that is not empty")
    return value


def words(value: str) -> tuple[str, ...]:
    """Read a list with commas."""
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


def load_env_file(
    ctx: click.Context, param: click.Parameter, value: Path | None
) -> EnvFile | None:
    """Set the variables of the env file, for the options and the application.

    Raises:
        StartError: It cannot be read.
    """
    if value is None:
        return None
    added = read_env_file(value)
    for name in added.keys() & os.environ.keys():
        del added[name]
    os.environ.update(added)
    return EnvFile(value, frozenset(added))


def read_env_file(path: Path) -> dict[str, str]:
    """Read lines of `NAME=value`, as python-dotenv does, with `${NAME}` in values.

    Raises:
        StartError: The file cannot be read, or a line is not of that form.
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
            raise _wrong(f"{where} is not NAME=value")
    return cast(dict[str, str], dotenv_values(stream=StringIO(text)))


def _key(name: str) -> str:
    return name.replace("_", "-")


def _variable(name: str) -> str:
    return f"{PREFIX}_{name.upper()}"


def _option(names: str, kind: Any, help: str, **more: Any) -> click.Option:
    return click.Option([names], type=kind, help=help, **more)


APPLICATION: tuple[click.Parameter, ...] = (
    click.Argument(["app"], type=text, required=False, envvar=f"{PREFIX}_APP"),
    _option(
        "--factory/--no-factory", bool, "APP is a function that makes the application."
    ),
    _option(
        "--env-file",
        FILE,
        "A file of variables that are not in the environment.",
        is_eager=True,
        callback=load_env_file,
    ),
)
"""What leads to an application."""

LIMITS = {
    "graceful_timeout" if each.name == "shutdown" else f"limit_{each.name}": each.name
    for each in fields(Limits)
}
"""The names of the options that set limits, and the fields of `roll.Limits`."""

MOST = {"backlog": 2**31 - 1}  # what the system reads

OPTIONS = (
    *APPLICATION,
    _option("--host", text, "The name or address to listen on.", default="127.0.0.1"),
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
        "--log-format",
        text,
        "Log requests: short, common, combined, json (roll-logger).",
    ),
    _option(
        "--health", url_path, "Answer 200 on this path, and 503 from the signal on."
    ),
    _option(
        "--drain", seconds, "Seconds to go on after the signal; 5 with a health path."
    ),
    *(
        _option(
            f"--{_key(name)}",
            seconds if limit.type is float else click.IntRange(1, MOST.get(limit.name)),
            f"Limits.{limit.name} of the application.",
        )
        for name, limit in zip(LIMITS, fields(Limits), strict=True)
    ),
)
"""All settings."""


class Command(click.Command):
    """A command that reads settings from the environment and pyproject.toml, too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the settings.

        Raises:
            StartError: One of them is unknown, or has a wrong value.
        """
        if not ctx.resilient_parsing and "--help" not in args:
            ctx.default_map = read_table(PROJECT)
        try:
            return super().parse_args(ctx, args)
        except click.BadParameter as error:
            source = _source(ctx, cast(click.Parameter, error.param))
            raise _wrong(f"{source}: {error.message}") from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, if the environment has nothing that click has ignored.

        Raises:
            StartError: A variable is unknown or empty.
        """
        given = [name for name in os.environ if name.startswith(f"{PREFIX}_")]
        _refuse_unknown("the variable ", given, _variable)
        for name in given:
            if not os.environ[name]:
                raise _wrong(f"{name} is empty: give it a value, or unset it")
        return super().invoke(ctx)


def command(*params: click.Parameter) -> Callable[[Callable[..., Any]], Command]:
    """Make a command of a function, with these parameters."""
    context = {"auto_envvar_prefix": PREFIX, "show_default": True}
    return click.command(cls=Command, params=[*params], context_settings=context)


def _source(ctx: click.Context, param: click.Parameter) -> str:
    """Name what has set a parameter."""
    name = str(param.name)
    source = ctx.get_parameter_source(name)
    if source is ParameterSource.ENVIRONMENT:
        return _variable(name)
    if source is ParameterSource.DEFAULT_MAP:
        return f"{_key(name)} in {TABLE}"
    return param.opts[0]


def read_table(path: Path) -> dict[str, str]:
    """Read `[tool.roll]` of a pyproject.toml, empty where there is none.

    Returns:
        The names of options, with what a variable would say.

    Raises:
        StartError: The file is not TOML, or has an unknown key.
    """
    try:
        tool = tomllib.loads(path.read_text("utf-8")).get("tool")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _wrong(f"{path} cannot be read: {error}") from error
    table = tool.get("roll", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise _wrong(f"{TABLE} of {path} is not a table")
    _refuse_unknown(f"in {TABLE} of {path}, the key ", table, _key)
    try:
        return {key.replace("-", "_"): _write(value) for key, value in table.items()}
    except ValueError as error:  # hexadecimal digits that are too many in decimal
        raise _wrong(f"{TABLE} of {path} cannot be read: {error}") from error


def _write(value: object) -> str:
    """Write a value of TOML as a variable has it."""
    if isinstance(value, list):
        return ",".join(map(_write, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refuse_unknown(
    what: str, given: Iterable[str], spell: Callable[[str], str]
) -> None:
    known = [spell(str(option.name)) for option in OPTIONS]
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "see roll run --help"
            raise _wrong(f"{what}{name!r} means nothing to Roll: {hint}")


def _check(settings: Settings) -> None:
    if settings.uds is not None and settings.fd is not None:
        raise _wrong("uds and fd are both set: leave out one of them")
    if settings.tls_key is not None and settings.tls_cert is None:
        raise _wrong("tls-key is set without tls-cert: name the certificate, too")
    if settings.reload and settings.workers > 1:
        raise _wrong("reload and workers are both set: leave out one of them")
    for folder in settings.reload_dir:
        if settings.reload and not folder.is_dir():
            raise _wrong(f"reload-dir has {str(folder)!r}, which is not a folder")
    if (settings.reload or settings.workers > 1) and not hasattr(os, "fork"):
        raise _wrong("reload and workers need Unix: use `hupper -m` to reload here")
    try:
        Limits(**settings.limits)
    except ValueError as error:
        raise _wrong(str(error)) from error


def _wrong(message: str) -> StartError:
    return StartError(message, Exit.SETTINGS)
