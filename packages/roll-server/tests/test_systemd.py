"""systemd: sockets that it passes, and what it is told, over a socket of the test's."""

import os
import re
import signal
import socket
import sys
import time

import pytest
from roll_server.exits import Exit
from roll_server.systemd import Notifier, take_sockets
from roll_testing import patience

# The descriptors are passed as systemd does it: from 3 on, to the process whose id is
# in the environment, which is known once that process runs.
EXEC = """
import os, sys
for place, number in enumerate(map(int, sys.argv[1].split(",")), 3):
    os.dup2(number, place)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=sys.argv[2])
os.execv(sys.executable, [sys.executable, *sys.argv[3:]])
"""


@pytest.fixture
def manager(tmp_path):
    """Be the service manager: a real datagram socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify.sock"))
        sock.settimeout(patience(60))
        yield sock


@pytest.fixture
def notify(manager):
    return {"NOTIFY_SOCKET": manager.getsockname()}


@pytest.fixture
def activate(run):
    """Run the command with sockets that are passed to it."""

    def activate(sockets, *arguments, **options):
        numbers = [sock.fileno() for sock in sockets]
        high = [os.dup(number) for number in numbers]  # not in one another's place
        places = [os.dup2(number, 50 + at) for at, number in enumerate(high)]
        try:
            script = ["-c", EXEC, ",".join(map(str, places)), str(len(places))]
            command = [sys.executable, *script, "-W", "error", "-m", "roll_server"]
            options = {"args": [*command, "run", *arguments], **options}
            return run(pass_fds=places, **options)
        finally:
            for number in [*high, *places]:
                os.close(number)

    return activate


def receive(manager):
    return manager.recv(1000).decode()


def test_it_says_when_it_is_ready_and_when_it_ends(run, manager, notify):
    running = run("shop", "--port", 0, environment=notify)
    assert receive(manager) == "READY=1"
    assert running.get() == "first"
    assert running.stop() == 0
    assert receive(manager) == "STOPPING=1"


@pytest.mark.parametrize("workers", [1, 2])
def test_it_says_that_it_reloads(run, manager, notify, workers):
    running = run("shop", "--port", 0, "--workers", workers, environment=notify)
    assert receive(manager) == "READY=1"
    before = time.monotonic_ns() // 1000
    running.send(signal.SIGHUP)
    said = receive(manager)
    now = time.monotonic_ns() // 1000
    found = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", said)
    assert before <= int(found[1]) <= now
    assert receive(manager) == "READY=1"
    assert running.get() == "first"
    assert running.stop() == 0
    assert receive(manager) == "STOPPING=1"  # and the workers say nothing


@pytest.mark.parametrize("workers", [1, 2])
def test_it_gives_signs_of_life(run, manager, notify, workers):
    environment = {**notify, "WATCHDOG_USEC": "200000"}
    running = run("shop", "--port", 0, "--workers", workers, environment=environment)
    assert receive(manager) == "READY=1"
    began = time.monotonic()
    assert [receive(manager) for _ in range(4)] == ["WATCHDOG=1"] * 4
    assert time.monotonic() - began >= 0.25  # not more often than each 0.1 s
    assert running.stop() == 0


def test_an_abstract_socket_is_told(run):
    # Other systems have none, and no systemd that would name one.
    if sys.platform != "linux":
        pytest.skip("abstract sockets are Linux's")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0roll-test-{os.getpid()}")
        manager.settimeout(patience(60))
        address = f"@roll-test-{os.getpid()}"
        run("shop", "--port", 0, environment={"NOTIFY_SOCKET": address})
        assert receive(manager) == "READY=1"


def test_a_manager_that_is_gone_is_reported(capsys, tmp_path):
    path = tmp_path / "nobody.sock"
    Notifier({"NOTIFY_SOCKET": str(path)}).ready()
    wanted = (
        "roll: cannot send 'READY=1' to systemd: [Errno 2] No such file or directory\n"
    )
    assert capsys.readouterr().err == wanted


def test_a_watchdog_for_another_process_is_not_fed():
    for environment in (
        {"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "9" * 400},
        {"WATCHDOG_USEC": "9" * 5000},
    ):
        assert Notifier(environment).interval == 0
        assert environment == {}
    own = {"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())}
    assert Notifier(own).interval == 1
    assert not Notifier({})


def ask(address):
    kind = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
    with socket.socket(kind) as client:
        client.connect(address)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := client.recv(1000):
            answer += piece
    return answer.rpartition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("options", [[], ["--workers", "2"], ["--reload"]])
def test_it_serves_the_sockets_that_are_passed(activate, folder, options):
    path = str(folder / "app.sock")
    with socket.socket(socket.AF_UNIX) as unix, socket.socket() as tcp:
        unix.bind(path)
        tcp.bind(("127.0.0.1", 0))
        for sock in (unix, tcp):
            sock.listen()
        port = tcp.getsockname()[1]
        # They are passed instead of what is set, and are not removed.
        arguments = ["shop", "--uds", path, *options]
        environment = {"LISTEN_FDNAMES": "a:b"}
        running = activate([unix, tcp], *arguments, environment=environment)
        running.wait_for(f"Rolling on unix:{path} and http://127.0.0.1:{port}")
        assert [ask(path), ask(tcp.getsockname())] == [b"first"] * 2
        assert running.stop() == 0
        assert os.path.exists(path)


def test_what_is_passed_to_another_process_is_not_taken():
    environment = {
        "LISTEN_PID": "1",
        "LISTEN_FDS": "1",
        "LISTEN_FDNAMES": "a",
    }
    assert take_sockets(environment) == []
    assert environment == {}
    for count in ("x", "9" * 5000):
        environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count}
        assert take_sockets(environment) == []


def test_a_datagram_socket_that_is_passed_is_a_status_3(activate):
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        running = activate([sock], "shop")
        assert running.wait() == Exit.ADDRESS
    wanted = "Error: descriptor 3 is not a bound stream socket\n"
    assert running.output.endswith(wanted)
