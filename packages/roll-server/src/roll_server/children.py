"""Children: processes that serve the sockets of this one, and how they communicate.

A child runs the same command, so that it reads code and settings again. It inherits the
listening sockets, and one end of a channel. Through this it reports that it is ready,
or why it failed. When the parent shuts down its end, or is gone, the child stops.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import NamedTuple

from .exits import StartError
from .signals import ignore
from .sockets import adopt

VARIABLE = "_ROLL_CHILD"
"""The variable with a child's descriptors: the channel's, then those of the sockets."""

READY = b"ready "
REPLACED = b"r"


class Link:
    """The keeper of a child: its end of the channel.

    Args:
        channel: The socket whose other end the parent has.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._replaced = False

    def watch(self, stop: asyncio.Event) -> None:
        """Stop when the parent asks for it, or is gone."""
        loop = asyncio.get_running_loop()

        def end() -> None:
            loop.remove_reader(self._channel)
            with suppress(OSError):  # the parent was killed
                self._replaced = self._channel.recv(1) == REPLACED
            stop.set()

        loop.add_reader(self._channel, end)

    def ready(self, seconds: float) -> None:
        """Tell the parent, with the seconds that a shutdown may take."""
        self._tell(READY + str(seconds).encode())

    def stopping(self) -> bool:
        """Tell whether no other process serves; the parent knows, or is gone."""
        return not self._replaced

    def failed(self, error: StartError) -> None:
        """Tell the parent why nothing can be served."""
        self._tell(str(error).encode(errors="replace"))

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _tell(self, message: bytes) -> None:
        with suppress(OSError):  # the parent is gone
            self._channel.sendall(message)


class Parent(NamedTuple):
    """What a child has inherited."""

    link: Link
    sockets: list[socket.socket]


@contextmanager
def inherit(environment: MutableMapping[str, str]) -> Iterator[Parent | None]:
    """Give the parent of this process, or None, and report a failure to it."""
    descriptors = environment.pop(VARIABLE, None)
    if descriptors is None:
        yield None
        return
    channel, *sockets = [int(number) for number in descriptors.split(",")]
    os.set_inheritable(channel, False)
    # A terminal also sends these to the parent, which then decides. Not SIG_IGN, which
    # only nohup wants.
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, ignore)
    with ExitStack() as stack:
        link = stack.enter_context(closing(Link(socket.socket(fileno=channel))))
        found = [stack.enter_context(adopt(number)) for number in sockets]
        try:
            yield Parent(link, found)
        except StartError as error:
            link.failed(error)
            raise


class Ready(NamedTuple):
    """A child serves."""

    seconds: float
    """Seconds that its shutdown may take."""


class Failed(NamedTuple):
    """A child has ended instead."""

    status: int
    reason: str
    """Its own message, which it has also printed."""


class Child:
    """A child process, from its start to its end.

    Args:
        process: The process.
        channel: Our end of the channel.
        started: The loop's time, in seconds, after which it has read its code.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        channel: socket.socket,
        started: float,
    ) -> None:
        self._process = process
        self._channel = channel
        self.pid = process.pid
        self.started = started
        self.answers = False
        """Whether it has reported that it serves."""

    @classmethod
    async def start(
        cls, sockets: list[socket.socket], environment: Mapping[str, str]
    ) -> "Child":
        """Run this command again, on *sockets*.

        Raises:
            OSError: The system has no room for one more process.
        """
        started = asyncio.get_running_loop().time()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            descriptors = [theirs.fileno(), *(sock.fileno() for sock in sockets)]
            try:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, *sys.orig_argv[1:]),
                    env={**environment, VARIABLE: ",".join(map(str, descriptors))},
                    pass_fds=descriptors,
                )
            except BaseException:  # also when cancelled: the process has ended
                ours.close()
                raise
        return cls(process, ours, started)

    async def outcome(self) -> Ready | Failed:
        """Wait until it serves, or has ended instead."""
        loop = asyncio.get_running_loop()
        said = b""
        while not said.startswith(READY):
            piece = await loop.sock_recv(self._channel, 1 << 16)
            if not piece:
                status = await self.ended()
                return Failed(status, said.decode(errors="replace"))
            said += piece
        self.answers = True
        return Ready(float(said.removeprefix(READY)))

    async def ended(self) -> int:
        """Wait for its end, and give its exit status, or a negative signal number."""
        status = await self._process.wait()
        self._channel.close()
        return status

    def stop(self, replaced: bool) -> None:
        """Tell it to end, as soon as running requests have ended.

        Args:
            replaced: Whether another child serves in its place.
        """
        with suppress(OSError):  # it is gone already
            if replaced:
                self._channel.send(REPLACED)
            self._channel.shutdown(socket.SHUT_WR)
        if not self.answers:  # it does not read the channel while it imports
            with suppress(ProcessLookupError):
                self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessLookupError):
            self._process.kill()

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return asyncio.get_running_loop().time() - self.started

    async def end(self, seconds: float, replaced: bool = False) -> None:
        """Tell it to end, and kill it if it still runs after some *seconds*."""
        self.stop(replaced)
        try:
            async with asyncio.timeout(seconds):
                await self.ended()
        except TimeoutError:
            self.kill()
            await self.ended()


def describe_end(status: int) -> str:
    """Describe how a process has ended."""
    if status >= 0:
        return f"ended with status {status}"
    return f"was ended by {signal.Signals(-status).name}"
