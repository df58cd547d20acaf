"""An env file: variables for `roll run` and the application."""

import os
from io import StringIO
from pathlib import Path
from typing import NamedTuple, cast

from .exits import Exit, StartError


class EnvFile(NamedTuple):
    """A file of variables that has been read."""

    path: Path
    added: frozenset[str]
    """The variables that it has set; the environment already had the others."""


def load_env_file(path: Path) -> EnvFile:
    """Set the variables of an env file, except those that the environment has.

    Raises:
        StartError: It cannot be read.
    """
    added = read_env_file(path)
    for name in added.keys() & os.environ.keys():
        del added[name]
    os.environ.update(added)
    return EnvFile(path, frozenset(added))


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
    # dotenv_values ignores malformed lines.
    for line in parse_stream(StringIO(text)):
        if line.error or (line.key and line.value is None):
            where = f"line {line.original.line} of the env file {path}"
            raise _wrong(f"{where} is not NAME=value")
    return cast(dict[str, str], dotenv_values(stream=StringIO(text)))


def _wrong(message: str) -> StartError:
    return StartError(message, Exit.SETTINGS)
