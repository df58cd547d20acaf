"""Workers: several processes on the same sockets, and their supervisor."""

import asyncio
import signal
import socket
from collections.abc import Coroutine, Mapping
from typing import Any

from .children import Child, Failed, Ready, describe_end
from .exits import Exit
from .serving import announce, say
from .systemd import Notifier

FIRST_PAUSE = 0.5
"""Seconds until a crashed worker is replaced; they double each time."""

LONGEST_PAUSE = 30.0
"""The most seconds until it is replaced."""

STEADY = 60.0
"""Seconds of life after which a crash counts as the first one."""

PATIENCE = 60.0
"""Seconds for a successor to be ready, if not three times those of the slowest
start."""

SLACK = 5.0
"""Seconds that a worker has beyond its own limit, so that even on a busy machine it can
name the threads that it leaves before it is killed."""


class Workers:
    """Keeps a number of workers running.

    Args:
        count: How many.
        sockets: The sockets that they listen on.
        environment: Their environment variables.
        patience: Seconds for workers to end that are not ready yet.
    """

    def __init__(
        self,
        count: int,
        sockets: list[socket.socket],
        environment: Mapping[str, str],
        patience: float,
    ) -> None:
        self.count = count
        self._sockets = sockets
        self._environment = environment
        self._seats: dict[int, Child] = {}
        """The workers that serve; others are starting or ending."""
        self._all: set[Child] = set()
        self._seconds = patience + SLACK
        """Seconds that a shutdown may take."""
        self._slowest = 0.0
        """Seconds of the slowest start."""
        self._changing = [asyncio.Lock() for _ in range(count)]
        """One for each seat, held by the task that replaces the worker there."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Start all, and wait until they are ready.

        Returns:
            0, or the status of one that failed; then all have ended.
        """
        first = await self._start()  # alone, so that a mistake is shown only once
        others = range(self.count - 1) if isinstance(first, Child) else ()
        outcomes = await asyncio.gather(*[self._start() for _ in others])
        for seat, outcome in enumerate([first, *outcomes]):
            if isinstance(outcome, Failed):
                if not outcome.reason:  # otherwise it has printed it itself
                    say(f"a worker {describe_end(outcome.status)}")
                await self.stop()
                return outcome.status if outcome.status > 0 else Exit.FAILED
            self._seat(seat, outcome, FIRST_PAUSE)
        return 0

    async def _start(self, patience: float | None = None) -> Child | Failed:
        """Start one, and wait until it is ready, for at most some seconds."""
        try:
            child = await Child.start(self._sockets, self._environment)
        except OSError as error:
            say(f"no process can be started: {error}")
            return Failed(Exit.FAILED, str(error))
        self._all.add(child)
        try:
            async with asyncio.timeout(patience):
                outcome = await child.outcome()
        except TimeoutError:
            say(f"worker {child.pid} is not ready after {child.age:.0f} s")
            child.kill()
            outcome = Failed(await child.ended(), "")
        if isinstance(outcome, Ready):
            self._seconds = max(self._seconds, outcome.seconds + SLACK)
            self._slowest = max(self._slowest, child.age)
            return child
        self._all.discard(child)
        return outcome

    def _seat(self, seat: int, child: Child, pause: float) -> None:
        self._seats[seat] = child
        self._run(self._watch(seat, child, pause))

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self, seat: int, child: Child, pause: float) -> None:
        """Replace a worker that ends by itself, after a *pause* of some seconds."""
        how = describe_end(await child.ended())
        self._all.discard(child)
        pause = choose_pause(pause, child.age)
        while self._seats[seat] is child:
            say(f"worker {child.pid} {how}; another starts in {pause:g} s")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            if failed := await self._replace(seat, child, pause):
                how = f"has no successor: that {describe_end(failed.status)}"

    async def _replace(self, seat: int, child: Child, pause: float) -> Failed | None:
        """Put a new worker on the seat of *child*, unless another did, or it fails."""
        async with self._changing[seat]:
            if self._seats[seat] is not child:
                return None
            outcome = await self._start(max(PATIENCE, 3 * self._slowest))
            if isinstance(outcome, Failed):
                return outcome
            self._seat(seat, outcome, pause)
            return None

    async def replace(self) -> None:
        """Replace one worker after the other, each when its successor is ready."""
        asked = asyncio.get_running_loop().time()
        for seat in sorted(self._seats):
            # A worker that has replaced a crashed one meanwhile has old code, too.
            while (child := self._seats[seat]).started < asked:
                if await self._replace(seat, child, FIRST_PAUSE):
                    say("a new worker cannot start; the previous ones stay")
                    return
                self._run(self._retire(child))
        say("the workers were replaced")

    async def _retire(self, child: Child) -> None:
        await child.end(self._seconds, replaced=True)
        self._all.discard(child)

    async def stop(self) -> None:
        """Let all finish their requests, and wait for their end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*[child.end(self._seconds) for child in self._all])

    def kill(self) -> None:
        """End all at once."""
        for child in self._all:
            child.kill()


def choose_pause(pause: float, lived: float) -> float:
    """Choose how long to wait when a worker has crashed.

    Args:
        pause: Seconds for one more crash in a row.
        lived: Seconds from its start to its end.
    """
    return FIRST_PAUSE if lived > STEADY else pause


async def supervise(
    workers: Workers, sockets: list[socket.socket], tls: bool, notifier: Notifier
) -> int:
    """Run workers until a signal, and return the status to exit with."""
    stop = asyncio.Event()
    hang_up = asyncio.Event()
    loop = asyncio.get_running_loop()

    status = 0

    def handle(number: signal.Signals) -> None:
        nonlocal status
        if stop.is_set():  # the second one kills all
            status = 128 + number  # like a shell, after an end by a signal
            workers.kill()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, handle, number)
    loop.add_signal_handler(signal.SIGHUP, hang_up.set)
    starting = asyncio.create_task(workers.start())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await _end(workers, sockets, notifier)
        return status
    if failure := starting.result():
        stopping.cancel()
        return failure
    announce(sockets, tls, f" with {workers.count} workers")
    notifier.ready()
    watchdog = asyncio.create_task(notifier.keep_alive())
    replacing = asyncio.create_task(_replace_at(hang_up, workers, notifier))
    await stopping
    replacing.cancel()
    await _end(workers, sockets, notifier)
    watchdog.cancel()
    return status


async def _end(
    workers: Workers, sockets: list[socket.socket], notifier: Notifier
) -> None:
    notifier.stopping()
    # The workers still have them, until each stops accepting. Then later clients are
    # refused, and do not wait for a response that nobody sends.
    for sock in sockets:
        sock.close()
    await workers.stop()


async def _replace_at(
    hang_up: asyncio.Event, workers: Workers, notifier: Notifier
) -> None:
    while True:
        await hang_up.wait()
        hang_up.clear()
        notifier.reloading()
        await workers.replace()
        notifier.ready()
