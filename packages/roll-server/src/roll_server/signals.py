"""What signals do in the event loop."""

import asyncio
import signal
from collections.abc import Iterable
from contextlib import suppress


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
