"""Sockets: where a server listens, and how to write the address."""

import errno
import os
import socket
from contextlib import suppress
from pathlib import Path

ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""The errors for an address that a machine does not have, such as ::1 without IPv6."""


def bind(host: str, port: int, backlog: int) -> list[socket.socket]:
    """Listen on every address that *host* means, all with the same port.

    An empty one means every address of the machine, IPv4 and IPv6. Of several, those
    that this machine does not have are left out.

    Raises:
        OSError: It cannot listen on an address; the message names it.
    """
    if not (isinstance(port, int) and 0 <= port < 1 << 16):
        raise ValueError(f"port={port!r}: give a number from 0 to 65535")
    sockets: list[socket.socket] = []
    absent: list[OSError] = []
    try:
        found = socket.getaddrinfo(
            # Python would import the codec of IDNA to encode a name.
            (host.encode("ascii") if host.isascii() else host) or None,
            port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )
        for family, _, _, _, address in dict.fromkeys(found):  # a resolver may repeat
            name = (address[0], port or _port(sockets), *address[2:])
            try:
                sock = socket.create_server(name, family=family, backlog=backlog)
                sockets.append(sock)
            except OSError as error:
                if error.errno not in ABSENT:
                    raise
                absent.append(error)
        if not sockets:
            raise absent[0]
    except OSError as error:
        for sock in sockets:
            sock.close()
        where = f"[{host}]" if ":" in host else host
        # An IPv6 address has two colons or more.
        hint = "; give the port with --port" if host.count(":") == 1 else ""
        raise _refused(f"{where}:{port}", f"{_reason(error)}{hint}", error) from error
    return sockets


def _refused(where: object, reason: str, error: OSError) -> OSError:
    """Make the error that names an address, and says what to do when it is taken."""
    if error.errno == errno.EADDRINUSE:
        reason += "; stop what listens there, or choose another address"
    return OSError(error.errno, f"cannot listen on {where}: {reason}")


def _reason(error: OSError) -> str:
    """Give the system's message, without the address that Python may add to it."""
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)  # for example of a name without an address


def _port(sockets: list[socket.socket]) -> int:
    port: int = sockets[0].getsockname()[1] if sockets else 0
    return port


def bind_path(path: Path, backlog: int) -> socket.socket:
    """Listen on a unix socket; one that no process listens on any more is replaced.

    Raises:
        OSError: It cannot listen on the path; the message names it.
    """
    sock = socket.socket(socket.AF_UNIX)
    try:
        _remove_stale(path)
        sock.bind(os.fspath(path))
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise _refused(path, error.strerror or str(error), error) from error
    return sock


def _remove_stale(path: Path) -> None:
    """Remove a unix socket that an earlier process has left."""
    if not path.exists():
        return
    if not path.is_socket():
        raise OSError(errno.EEXIST, "it is there already, and is not a socket")
    with socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)
        try:
            # It would block if too many already wait.
            with suppress(BlockingIOError):
                client.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def identify(path: Path) -> tuple[int, int, int] | None:
    """Identify a file, unlike later ones at its path; None if there is none."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    # The time, too: a file may get the inode of one that was just removed.
    return found.st_dev, found.st_ino, found.st_mtime_ns


def adopt(descriptor: int) -> socket.socket:
    """Take a socket that this process has inherited, and listen on it.

    Raises:
        OSError: The descriptor is not open, or not a bound stream socket.
    """
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        raise OSError(
            error.errno, f"descriptor {descriptor} is not a socket: {_reason(error)}"
        ) from error
    sock.set_inheritable(False)
    try:
        if not _is_bound(sock):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        sock.listen()  # a Server sets how many may wait
    except OSError as error:
        sock.detach()
        raise OSError(
            error.errno, f"descriptor {descriptor} is not a bound stream socket"
        ) from error
    return sock


def _is_bound(sock: socket.socket) -> bool:
    address = sock.getsockname()
    return bool(address[1] if isinstance(address, tuple) else address)


def url(sock: socket.socket, scheme: str = "http") -> str:
    """Write the address of *sock* for a browser; that of a unix socket with `unix:`."""
    address = sock.getsockname()
    if not isinstance(address, tuple):
        return f"unix:{os.fsdecode(address)}"
    host, port = address[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def is_local(sock: socket.socket) -> bool:
    """Whether only this machine can connect to *sock*."""
    address = sock.getsockname()
    return not isinstance(address, tuple) or address[0] in ("127.0.0.1", "::1")
