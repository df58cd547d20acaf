"""systemd: the sockets that it passes, and the notifications that it expects.

Its protocols are simple enough without a library: sd_listen_fds(3), sd_notify(3).
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
        return []  # for another process, which has passed on its variables
    return [adopt(FIRST + index) for index in range(_read_whole(count))]


def _read_whole(text: str) -> int:
    """Read a number; 0 if it is malformed, or too large to be from systemd."""
    return int(text) if text.isdecimal() and len(text) < 20 else 0


class Notifier:
    """Tells systemd the state of the process, if systemd asks for it.

    Args:
        environment: Its variables are removed, so that no child process notifies
            systemd.
    """

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self._address = environment.pop("NOTIFY_SOCKET", "")
        usec = environment.pop("WATCHDOG_USEC", "")
        pid = environment.pop("WATCHDOG_PID", str(os.getpid()))
        self.interval = _read_whole(usec) / 2e6 if pid == str(os.getpid()) else 0.0
        """Seconds between two watchdog messages; 0 for none."""

    def __bool__(self) -> bool:
        return bool(self._address)

    def ready(self) -> None:
        """Say that the server is ready."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Say that the settings are being read again; `ready` has to follow."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Say that the process is about to end."""
        self._send("STOPPING=1")

    async def keep_alive(self) -> None:
        """Send a watchdog message at half of the allowed interval."""
        while self.interval:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self.interval)

    def _send(self, state: str) -> None:
        if not self._address:
            return
        path = self._address
        if path.startswith("@"):  # in Linux's abstract namespace
            path = "\0" + path[1:]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.connect(path)
                sock.send(state.encode())
        except OSError as error:
            print(f"roll: cannot send {state!r} to systemd: {error}", file=sys.stderr)
