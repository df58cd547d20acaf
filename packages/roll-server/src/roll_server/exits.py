"""The errors that end the command, and the statuses that it exits with."""

import traceback
from enum import IntEnum
from typing import IO, Any

import click


class Exit(IntEnum):
    """The statuses of `roll run`; docs/reference/command.md has them, too."""

    STOPPED = 0
    """A signal ended it, and all is cleaned up."""
    FAILED = 1
    """Anything else, such as a plugin that cannot be loaded."""
    SETTINGS = 2
    """An option, a variable or a key is invalid."""
    ADDRESS = 3
    """The address cannot be listened on."""
    APPLICATION = 4
    """The application cannot be imported, or made."""
    STARTUP = 5
    """A `startup` listener raised."""
    CERTIFICATE = 6
    """The certificate or its key cannot be loaded."""


class StartError(click.ClickException):
    """The server cannot start, or its shutdown has failed; one line says why.

    Args:
        message: That line.
        status: The exit status of the process.
        cause: What the application raised, to be shown with its traceback.
    """

    def __init__(
        self, message: str, status: Exit, cause: BaseException | None = None
    ) -> None:
        super().__init__(message)
        self.exit_code = status  # type: ignore[misc]  # as click's own errors do
        self.trace = "" if cause is None else _format(cause)

    def __str__(self) -> str:
        return f"{self.trace}Error: {self.message}"

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the traceback, if there is one, and the line."""
        click.echo(str(self), file=file, err=True)


def startup_error(error: Exception) -> StartError:
    """Make the error for what a `startup` listener has raised."""
    message = f"a startup listener raised {describe_error(error)}"
    return StartError(message, Exit.STARTUP, error)


def shutdown_error(error: Exception) -> StartError:
    """Make the error for a failed shutdown; the log has the tracebacks."""
    message = f"the shutdown raised {describe_error(error)}; the log says where"
    return StartError(message, Exit.FAILED)


def describe_error(error: BaseException) -> str:
    """Describe an exception on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")


def _format(error: BaseException) -> str:
    """Write a traceback without the frames between the command and the application."""
    trace = error.__traceback__
    while trace is not None and _is_ours(trace.tb_frame.f_globals.get("__name__", "")):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in ("roll", "roll_server", "importlib")
