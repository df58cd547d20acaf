"""A loopback for the suite alone, under the congestion control that Linux has."""

import os
import shutil
import socket
import subprocess

CONTROL = "cubic"
ADDRESSES = ("127.0.0.0/8", "127.0.0.1")


def isolate():
    """Leave the network of the system, for this process and all that it starts.

    bbr, which some systems have by default, sends at a pace that it has measured: on a
    loopback uploads would take half as long again, by any server, and downloads
    have two speeds. To choose another one for servers that do not ask for any takes a
    network of one's own. Who may not make one, by being root, measures with what the
    system has: the page tells.
    """
    command = shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if not command or not hasattr(os, "unshare"):  # Python 3.12 has it
        return
    try:
        os.unshare(os.CLONE_NEWNET)
    except OSError:
        return
    subprocess.run([command, "link", "set", "lo", "up"], check=True)
    for address in ADDRESSES:
        route = f"local {address} dev lo table local proto kernel scope host"
        route += f" src 127.0.0.1 congctl {CONTROL}"
        subprocess.run([command, "route", "change", *route.split()], check=True)


def control():
    """Name the congestion control that connections have."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
    ):
        name = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    return name.rstrip(b"\0").decode()
