"""Signals: what they do, from the import of an application to its end."""

import asyncio
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import FrameType
from typing import Any, Self


class Stopped(BaseException):
    """A signal came before anything was open."""


def ignore(number: int, frame: FrameType | None) -> None:
    """Handle a signal by doing nothing.

    Unlike `signal.SIG_IGN`, it is not inherited by what this process runs.
    """


class Signals:
    """Handles the first signal; a second one of the same kind ends the process at once.

    The handlers are Python's, not the loop's: they exist before the loop does, and run
    even while a listener blocks it. Until `watch` is called, a signal raises `Stopped`,
    wherever the main thread is.

    Args:
        numbers: The signals.
        once: Whether later ones do nothing, until the process has ended: its parent
            decides how long that may take.
    """

    def __init__(
        self,
        numbers: Iterable[signal.Signals] = (signal.SIGINT, signal.SIGTERM),
        once: bool = False,
    ) -> None:
        self.came = False
        """Whether a signal has come."""
        self._numbers = tuple(numbers)
        self._once = once
        self._former: dict[signal.Signals, Any] = {}
        self._react: Callable[[], object] = _raise

    def __enter__(self) -> Self:
        # Only the main thread gets signals, and may handle them.
        with suppress(ValueError):
            for number in self._numbers:
                self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, former in self._former.items():
            if self._once:
                former = ignore
            signal.signal(number, signal.SIG_DFL if former is None else former)

    def watch(self, react: Callable[[], object]) -> None:
        """Call *react*, in the main thread, for later signals and one that has come."""
        self._react = react
        if self.came:
            react()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        # A second one ends the process at once, or does nothing.
        signal.signal(number, ignore if self._once else signal.SIG_DFL)
        self._react()


def _raise() -> None:
    raise Stopped


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set *stop* at SIGINT and SIGTERM; a second one ends the process at once."""
    loop = asyncio.get_running_loop()

    def handle(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)  # so that a second one ends at once

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, handle, number)
