"""Settings: the options, variables and keys of `roll run`.

click reads them all: an option precedes a variable, and a variable a key.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click
from click.core import ParameterSource
from roll import Limits

from .env_file import EnvFile
from .exits import Exit, StartError
from .options import LIMITS, OPTIONS, OTHERS, PREFIX, key, variable

TABLE = "[tool.roll]"
PROJECT = Path("pyproject.toml")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of `roll run`."""

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
    access_log: bool | None
    log_format: str | None
    health: str | None
    drain: float | None
    env_file: EnvFile | None
    limits: Mapping[str, Any]
    """The fields of `roll.Limits` that are set."""

    @classmethod
    def take(cls, values: dict[str, Any]) -> "Settings":
        """Make settings from the values of `OPTIONS`, by name.

        Raises:
            StartError: Some cannot be combined; the message says what to leave out.
        """
        found = {field: values.pop(name) for name, field in LIMITS.items()}
        limits = {field: found[field] for field in found if found[field] is not None}
        settings = cls(**values, limits=limits)
        _check(settings)
        return settings


class Command(click.Command):
    """A command that also reads settings from the environment and pyproject.toml."""

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
        """Run the command, unless click has ignored a variable of the environment.

        Raises:
            StartError: A variable is unknown or empty.
        """
        given = [
            name
            for name in os.environ
            if name.startswith(f"{PREFIX}_") and not name.startswith(OTHERS)
        ]
        _refuse_unknown("the variable ", given, variable)
        for name in given:
            if not os.environ[name]:
                raise _wrong(f"{name} is empty: give it a value, or unset it")
        return super().invoke(ctx)


def command(*params: click.Parameter) -> Callable[[Callable[..., Any]], Command]:
    """Make a decorator that turns a function into a command with these parameters."""
    context = {"auto_envvar_prefix": PREFIX, "show_default": True}
    return click.command(cls=Command, params=[*params], context_settings=context)


def _source(ctx: click.Context, param: click.Parameter) -> str:
    """Name the option, variable or key that has set a parameter."""
    name = str(param.name)
    source = ctx.get_parameter_source(name)
    if source is ParameterSource.ENVIRONMENT:
        return variable(name)
    if source is ParameterSource.DEFAULT_MAP:
        return f"{key(name)} in {TABLE}"
    return param.opts[0]


def read_table(path: Path) -> dict[str, str]:
    """Read `[tool.roll]` of a pyproject.toml, empty if there is none.

    Returns:
        The names of options, with values as a variable would have them.

    Raises:
        StartError: The file is not TOML, or has an unknown key.
    """
    if not path.exists():
        return {}
    import tomllib  # few starts need it

    try:
        tool = tomllib.loads(path.read_text("utf-8")).get("tool")
    except (OSError, ValueError) as error:
        raise _wrong(f"{path} cannot be read: {error}") from error
    table = tool.get("roll", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise _wrong(f"{TABLE} of {path} is not a table")
    _refuse_unknown(f"in {TABLE} of {path}, the key ", table, key)
    try:
        return {name.replace("-", "_"): _write(value) for name, value in table.items()}
    except ValueError as error:  # a hexadecimal number with too many decimal digits
        raise _wrong(f"{TABLE} of {path} cannot be read: {error}") from error


def _write(value: object) -> str:
    """Write a TOML value as it would be in a variable."""
    if isinstance(value, list):
        return ",".join(map(_write, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refuse_unknown(
    what: str, given: Iterable[str], spell: Callable[[str], str]
) -> None:
    known = [spell(str(option.name)) for option in OPTIONS]
    for name in given:
        if name not in known:
            import difflib  # only mistakes need it

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
