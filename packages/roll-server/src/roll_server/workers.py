"""Workers: several processes on the same sockets, and who sees that they run."""

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
"""Seconds until a worker that crashed is replaced; twice as many each further time."""

LONGEST_PAUSE = 30.0
"""Seconds that are waited at most."""

STEADY = 60.0
"""Seconds after which a crash is not taken for one more of the same."""

PATIENCE = 60.0
"""Seconds for a successor to answer, or three times what the slowest start took."""

SLACK = 5.0
"""Seconds that a worker has beside its own limit, so that it names the threads that it
leaves before it is killed, also on a machine that is busy."""


class Workers:
    """Keeps a number of workers running.

    Args:
        count: How many.
        sockets: What they listen on.
        environment: Their variables.
        patience: Seconds for those to end that do not answer yet.
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
        """The workers that serve; others are about to begin, or to end."""
        self._all: set[Child] = set()
        self._seconds = patience + SLACK
        """What an end may take."""
        self._slowest = 0.0
        """What a start took."""
        self._changing = [asyncio.Lock() for _ in range(count)]
        """Each seat's own, held by the task that replaces the worker there."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Start all, and wait until they answer.

        Returns:
            0, or the status of one that could not; all have ended then.
        """
        first = await self._start()  # alone: what is wrong with it is said once
        others = range(self.count - 1) if isinstance(first, Child) else ()
        outcomes = await asyncio.gather(*[self._start() for _ in others])
        for seat, outcome in enumerate([first, *outcomes]):
            if isinstance(outcome, Failed):
                if not outcome.reason:  # else it has said so itself
                    say(f"a worker {describe_end(outcome.status)}")
                await self.stop()
                return outcome.status if outcome.status > 0 else Exit.FAILED
            self._seat(seat, outcome, FIRST_PAUSE)
        return 0

    async def _start(self, patience: float | None = None) -> Child | Failed:
        """Start one, and wait until it answers; no longer than some seconds."""
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
            say(f"worker {child.pid} does not answer after {child.age:.0f} s")
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
        """Replace one worker after the other, each when its successor answers."""
        asked = asyncio.get_running_loop().time()
        for seat in sorted(self._seats):
            # A worker that took the place of a crashed one meanwhile has old code, too.
            while (child := self._seats[seat]).started < asked:
                if await self._replace(seat, child, FIRST_PAUSE):
                    say("a new worker cannot start; the former ones go on")
                    return
                self._run(self._retire(child))
        say("the workers are replaced")

    async def _retire(self, child: Child) -> None:
        await child.end(self._seconds, replaced=True)
        self._all.discard(child)

    async def stop(self) -> None:
        """Let all end what they do, and wait for that."""
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
        pause: Seconds, as they are for one more crash of the same.
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
        if stop.is_set():  # the second one ends all at once
            status = 128 + number  # as a shell tells the end by a signal
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
    # The workers have them, until each stops accepting: later clients are refused,
    # and do not wait for a response that nobody sends.
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
