"""Where lines go: the handlers and the level of the logger `roll`.

A process has one logger `roll`, however many apps there are. Apps with the same class,
or the same handler, share the handler, so that no line appears twice; the lowest level
applies; and when the last app ends, all is as it was before the first.
"""

import logging
from collections.abc import Callable
from contextvars import ContextVar

from roll.logs import QUOTING

LOGGER = logging.getLogger("roll")

current_request_id: ContextVar[str | None] = ContextVar(
    "current_request_id", default=None
)
"""The id of the request that is being served, None without one."""


class RequestIdFilter(logging.Filter):
    """Give each record a `request_id`: that of the current request, or `-`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Set the attribute; no record is dropped."""
        record.request_id = current_request_id.get() or "-"
        return True


_REQUEST_ID = RequestIdFilter()


class Output:
    """The handler and the level that one app needs while it runs.

    Args:
        source: A handler, a function that makes one, or None for no handler.
        level: The level of the logger.
    """

    open_outputs: "list[Output]" = []  # noqa: RUF012  # of all apps
    former = logging.NOTSET
    """The level of the logger before the first was opened."""
    ours = logging.NOTSET
    """The level that `Output` has set since."""

    def __init__(
        self, source: Callable[[], logging.Handler] | logging.Handler | None, level: int
    ) -> None:
        self.source = source
        self.level = level
        self.handler: logging.Handler | None = None
        self.is_open = False

    def open(self) -> None:
        """Add the handler, and set the level of the logger; only once.

        Raises:
            TypeError: The function makes something other than a handler.
        """
        if self.is_open:
            return
        others = Output.open_outputs
        twin = next((one for one in others if one.source is self.source), None)
        self.handler = self._make() if twin is None else twin.handler
        if self.handler is not None:
            self.handler.addFilter(_REQUEST_ID)
            self.handler.addFilter(QUOTING)  # also for loggers such as `roll.x`
            LOGGER.addHandler(self.handler)
        if not others:
            Output.former = Output.ours = LOGGER.level
        others.append(self)
        self.is_open = True
        _settle_level()

    def close(self) -> None:
        """Remove the handler and restore the level, unless another app needs them."""
        if not self.is_open:
            return
        self.is_open = False
        Output.open_outputs.remove(self)
        handler, self.handler = self.handler, None
        if handler is not None and not any(
            one.handler is handler for one in Output.open_outputs
        ):
            LOGGER.removeHandler(handler)
            handler.removeFilter(_REQUEST_ID)
            handler.removeFilter(QUOTING)
            if handler is not self.source:  # we made it, so we close it
                handler.close()
        _settle_level()

    def _make(self) -> logging.Handler | None:
        if self.source is None or isinstance(self.source, logging.Handler):
            return self.source
        handler = self.source()
        if not isinstance(handler, logging.Handler):
            raise TypeError(
                f"{self.source!r} has made {handler!r}, which is not a handler"
            )
        return handler


def _settle_level() -> None:
    if LOGGER.level != Output.ours:  # somebody else has set it since, on purpose
        return
    levels = [one.level for one in Output.open_outputs]
    Output.ours = min(levels, default=Output.former)
    LOGGER.setLevel(Output.ours)
