"""The event loop, and what signals do in it."""

import asyncio
import signal
from collections.abc import Iterable
from contextlib import suppress


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Make a loop of uvloop, or of asyncio: uvloop is not made for every platform."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def stop_on_signals(
    stop: asyncio.Event,
    numbers: Iterable[signal.Signals] = (signal.SIGINT, signal.SIGTERM),
) -> None:
    """Set *stop* at a signal; a second one ends the process at once."""
    loop = asyncio.get_running_loop()

    def handle(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)  # so that a second one ends at once

    for number in numbers:
        # Windows' loops take no handlers (NotImplementedError): KeyboardInterrupt ends
        # them. Nor do threads beside the main one (the others), which get no signals.
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, handle, number)
