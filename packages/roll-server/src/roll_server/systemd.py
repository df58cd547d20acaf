"""systemd: the sockets that it passes, and what it wants to be told.

Its protocols are plain enough to need no library: sd_listen_fds(3), sd_notify(3).
"""

import asyncio
import os
import socket
import sys
import time
from collections.abc import MutableMapping

from .sockets import adopt

FIRST = 3
"""The first descriptor that is passed."""


def take_sockets(environment: MutableMapping[str, str]) -> list[socket.socket]:
    """Take the sockets that systemd listens on for this process, if it does.

    Raises:
        OSError: One of them is not a stream socket.
    """
    pid = environment.pop("LISTEN_PID", "")
    count = environment.pop("LISTEN_FDS", "")
    environment.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()):
        return []  # they are for another process, which has passed its variables on
    return [adopt(FIRST + index) for index in range(_read_whole(count))]


def _read_whole(text: str) -> int:
    """Read a number; 0 when it is malformed, or more than any that systemd writes."""
    return int(text) if text.isdecimal() and len(text) < 20 else 0


class Notifier:
    """Tells systemd how the process is; does nothing where it has not asked.

    Args:
        environment: Its variables are taken out of it, so that no other process tells.
    """

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self._address = environment.pop("NOTIFY_SOCKET", "")
        usec = environment.pop("WATCHDOG_USEC", "")
        pid = environment.pop("WATCHDOG_PID", str(os.getpid()))
        self.interval = _read_whole(usec) / 2e6 if pid == str(os.getpid()) else 0.0
        """Seconds between two signs of life; 0 when none is asked for."""

    def __bool__(self) -> bool:
        return bool(self._address)

    def ready(self) -> None:
        """Say that requests are answered."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Say that the settings are read anew; `ready` is to follow."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Say that the process is about to end."""
        self._send("STOPPING=1")

    async def keep_alive(self) -> None:
        """Give a sign of life at half of the time that the watchdog allows."""
        while self.interval:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self.interval)

    def _send(self, state: str) -> None:
        if not self._address:
            return
        path = self._address
        if path.startswith("@"):  # of Linux's abstract namespace
            path = "\0" + path[1:]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.connect(path)
                sock.send(state.encode())
        except OSError as error:
            print(f"roll: systemd is not told {state!r}: {error}", file=sys.stderr)
