"""`roll run`: an application is served, and what cannot be served says why."""

import contextlib
import signal
import socket
import stat
import sys
import threading
import urllib.error

import pytest
from roll import Limits, Roll, extensions
from roll_server.exits import Exit, StartError
from roll_server.loading import load
from roll_server.serving import configure
from roll_server.sockets import adopt, is_local
from roll_testing import wait_until

GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def ask(sock, request=GET):
    with sock:
        sock.sendall(request)
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    return answer


# Where it listens


def is_ipv6_on():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_and_ends_with_status_0(run, number):
    running = run("shop:app", "--port", 0)
    assert running.get() == "first"
    assert running.stop(number) == Exit.STOPPED
    assert running.output.endswith("shutdown listener\n")


def test_running_requests_are_answered_at_the_end(run):
    running = run("shop", "--port", 0)
    answers = []
    url = running.url
    thread = threading.Thread(target=lambda: answers.append(running.get("/slow")))
    thread.start()
    running.wait_for("slow starts")
    assert running.stop() == 0
    thread.join()
    assert answers == ["slow"]
    assert url.startswith("http://127.0.0.1:")


def test_in_a_terminal_it_says_what_it_waits_for_and_that_it_has_ended(terminal):
    at = terminal("shop", "--port", "0", "--graceful-timeout", "2.5")
    at.read_until("Rolling on http://127.0.0.1:")
    port = int(at.read_until("\n"))
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        client.recv(1000)
        at.write("\x03")
        at.read_until(
            "Ending: waits for 1 connection, at most 2.5 s; "
            "press Ctrl-C again to end at once\r\n"
        )
        at.read_until("shutdown listener\r\nBye.\r\n")
    assert at.running.wait() == Exit.STOPPED


FAILING = """
@app.listen("shutdown")
async def fail():
    raise RuntimeError("no database")
"""


@pytest.mark.parametrize(
    ("source", "raised"),
    [
        (FAILING, "RuntimeError: no database"),
        (
            f"{FAILING}{FAILING}",
            "ExceptionGroup: ",
        ),
    ],
    ids=["one", "two"],
)
def test_an_end_that_fails_is_one_line_beside_the_log(run, folder, source, raised):
    with (folder / "shop.py").open("a") as file:
        file.write(source)
    running = run("shop", "--port", 0)
    running.get()
    assert running.stop() == Exit.FAILED
    assert running.output.count("Traceback") == source.count("raise")
    last = running.output.splitlines()[-1]
    assert last.startswith(f"Error: the shutdown raised {raised}")
    assert last.endswith("; the log says where")


IPV4 = ("127.0.0.1",)
IPV6 = ("::1",)

needs_ipv6 = pytest.mark.skipif(
    # Containers are often run without IPv6; no package would install it.
    not is_ipv6_on(),
    reason="there is no IPv6 here",
)


@pytest.mark.parametrize(
    ("host", "reached", "refused"),
    [
        ("0.0.0.0", IPV4, IPV6),
        pytest.param("::", IPV6, IPV4, marks=needs_ipv6),
        pytest.param("", IPV4 + IPV6, (), marks=needs_ipv6),
    ],
)
def test_a_host_may_mean_every_address_of_one_family_or_of_both(
    run, host, reached, refused
):
    running = run("shop", "--host", host, "--port", 0)
    _, port = running.address
    for address in reached:
        answer = ask(socket.create_connection((address, port)))
        assert answer.endswith(b"\r\n\r\nfirst")
    for address in refused:
        with pytest.raises(OSError, match=r"refused|assign|unreachable|supported"):
            socket.create_connection((address, port))


def test_an_empty_host_is_every_address_that_the_machine_has(run):
    running = run("shop", "--host", "", "--port", 0)
    assert running.url.startswith("http://0.0.0.0:")
    answer = ask(socket.create_connection(("127.0.0.1", running.address[1])))
    assert answer.endswith(b"\r\n\r\nfirst")


def test_it_listens_on_a_unix_socket_and_removes_it(run, folder):
    path = folder / "app.sock"
    running = run("shop", "--uds", path)
    running.wait_for(f"Rolling on unix:{path}\n")
    assert ask(connect(path)).endswith(b"\r\n\r\nfirst")
    second = run("shop", "--uds", path)
    assert second.wait() == Exit.ADDRESS
    assert f"cannot listen on {path}: Address already in use" in second.output
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert running.stop() == 0
    assert not path.exists()


def test_a_unix_socket_that_nobody_listens_on_is_replaced(run, folder):
    path = folder / "app.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    running = run("shop", "--uds", path)
    running.wait_for("Rolling on unix:")


def test_a_unix_socket_that_is_stuck_is_in_use(run, folder):
    path = folder / "app.sock"
    with contextlib.ExitStack() as stack:
        stuck = stack.enter_context(socket.socket(socket.AF_UNIX))
        stuck.bind(str(path))
        stuck.listen(0)
        with contextlib.suppress(BlockingIOError):  # when no more can wait
            while True:
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(str(path))
        running = run("shop", "--uds", path)
        assert running.wait() == Exit.ADDRESS
    assert f"cannot listen on {path}: Address already in use" in running.output
    assert path.exists()


def test_a_unix_socket_of_a_successor_is_not_removed(run, folder):
    path = folder / "app.sock"
    running = run("shop", "--uds", path)
    running.wait_for("Rolling on unix:")
    with connect(path) as client:
        client.sendall(b"GET /gate HTTP/1.1\r\nHost: a\r\n\r\n")
        running.wait_for("gate waits")
        running.send(signal.SIGTERM)
        wait_until(lambda: is_refused(path), "the end of the socket")
        successor = run("shop", "--uds", path)
        successor.wait_for("Rolling on unix:")
        (folder / "open").touch()
        assert running.wait() == 0
    assert ask(connect(path)).endswith(b"\r\n\r\nfirst")
    path.unlink()
    assert successor.stop() == 0  # it does not matter that it is gone


def connect(path):
    client = socket.socket(socket.AF_UNIX)
    try:
        client.connect(str(path))
    except OSError:
        client.close()
        raise
    return client


def is_refused(path):
    try:
        connect(path).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_file_that_is_no_socket_is_left_alone(run, folder):
    path = folder / "shop.py"
    running = run("shop", "--uds", path)
    assert running.wait() == Exit.ADDRESS
    assert f"listen on {path}: it is there already, and is not a" in running.output
    assert path.read_text().startswith("\nimport asyncio")


def test_it_serves_an_inherited_descriptor(run):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        number = sock.fileno()
        running = run("shop", "--fd", number, pass_fds=[number])
        address = sock.getsockname()
        running.wait_for(f"Rolling on http://127.0.0.1:{address[1]}\n")
        assert ask(socket.create_connection(address)).endswith(b"\r\n\r\nfirst")
        running.stop()
        socket.create_connection(address).close()  # it is open still, here


def test_what_is_no_bound_stream_socket_is_not_adopted():
    with (
        socket.socket() as unbound,
        socket.socket(type=socket.SOCK_DGRAM) as datagram,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as connected,
    ):
        datagram.bind(("127.0.0.1", 0))
        for sock in (unbound, datagram, connected):
            with pytest.raises(OSError, match="is not a bound stream socket"):
                adopt(sock.fileno())
            assert sock.fileno() >= 0
            sock.getsockname()  # it is not closed


def test_who_can_connect_is_known():
    for host, local in (("127.0.0.1", True), ("0.0.0.0", False)):
        with socket.create_server((host, 0)) as sock:
            assert is_local(sock) is local
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert is_local(ours)


# What it is told


def test_the_project_says_what_to_serve_and_how(run, folder):
    (folder / "pyproject.toml").write_text(
        '[tool.roll]\napp = "shop:make"\nfactory = true\nenv-file = "shop.env"\n'
    )
    (folder / "shop.env").write_text("ROLL_LIMIT_TARGET=20\nGREETING=hello\n")
    (folder / "shop.py").write_text(
        "import os\nfrom roll import Roll\n"
        "def make():\n"
        "    app = Roll()\n"
        "    @app.route('/')\n"
        "    async def home(request, response):\n"
        "        response.body = os.environ['GREETING']\n"
        "    return app\n"
    )
    running = run(environment={"ROLL_PORT": "0"})
    assert running.get() == "hello"
    with pytest.raises(urllib.error.HTTPError, match="414"):
        running.get("/" + "x" * 40)


def test_limits_are_those_of_one_application_not_of_its_class(settings):
    class App(Roll):
        limits = Limits(body=5)

    app = App()
    configure(app, settings("--limit-target", "7"))
    assert app.limits == Limits(body=5, target=7)
    assert App.limits == Limits(body=5)


def test_proxies_are_read_before_any_other_listener(settings):
    app = Roll()
    app.listen("headers")(print)
    configure(app, settings("--trusted-proxies", "127.0.0.1"))
    first, second = app.hooks["headers"]
    assert first.__module__ == "roll_proxy"
    assert second is print


@pytest.mark.parametrize("options", [{}, {"before": "*"}, {"before": ["*", "logger"]}])
def test_proxies_are_read_first_whatever_listens_later(options, settings):
    app = Roll()
    app.listen("headers")(print)
    trusted, logged = ("--trusted-proxies", "127.0.0.1"), ("--log-format", "short")
    configure(app, settings(*trusted, *logged))

    @app.listen("headers", **options)
    async def later(request, response): ...

    modules = [call.__module__ for call in app.hooks["headers"]]
    assert modules[0] == "roll_proxy"
    assert sorted(modules[1:]) == sorted(["builtins", "roll_logger", __name__])


@pytest.mark.parametrize(
    ("name", "option", "message"),
    [
        (
            "proxy_headers",
            ("--trusted-proxies", "127.0.0.1"),
            "this app has proxy_headers: call `proxy_headers` once, with all that is "
            "trusted",
        ),
        (
            "logger",
            ("--log-format", "short"),
            "this app has a logger already: call `logger` once, and leave out "
            "--access-log and --log-format of `roll run`",
        ),
    ],
)
def test_what_the_application_has_done_itself_is_refused(
    name, option, message, settings
):
    app = Roll()
    getattr(extensions, name)(app)
    with pytest.raises(StartError) as caught:
        configure(app, settings(*option))
    assert (caught.value.message, caught.value.exit_code) == (message, Exit.SETTINGS)


def test_requests_are_logged(run):
    running = run("shop", "--port", 0, "--log-format", "short")
    running.get()
    running.wait_for("GET /\n")


@pytest.mark.parametrize(
    ("level", "times"), [("NOTSET", [1, 1]), ("DEBUG", [1, 1]), ("ERROR", [1, 0])]
)
def test_a_level_that_the_application_has_set_stays(run, folder, level, times):
    with (folder / "shop.py").open("a") as file:
        file.write(f"""
import logging
logging.getLogger("roll").setLevel(logging.{level})

@app.route("/broken")
async def broken(request, response):
    raise ZeroDivisionError("nothing")
""")
    running = run("shop", "--port", 0, "--log-format", "short")
    with pytest.raises(urllib.error.HTTPError):
        running.get("/broken")
    running.wait_for("ZeroDivisionError('nothing')")
    running.stop()
    lines = ["Traceback (most recent call last):", "GET /broken\n"]
    assert [running.output.count(line) for line in lines] == times


@pytest.mark.parametrize(
    ("option", "name", "distribution"),
    [
        (("--log-format", "short"), "logger", "roll-logger"),
        (("--trusted-proxies", "unix"), "proxy_headers", "roll-proxy"),
    ],
)
def test_what_is_not_installed_is_named(
    option, name, distribution, settings, monkeypatch
):
    monkeypatch.setattr("roll.plugins.extensions", dict)
    with pytest.raises(StartError) as caught:
        configure(Roll(), settings(*option))
    wanted = f"{name!r} is not installed. Run: pip install {distribution}"
    assert (caught.value.message, caught.value.exit_code) == (wanted, Exit.SETTINGS)


# Failures to start: one line with the cause, and a status


def test_no_application_is_a_status_2(run):
    running = run()
    assert running.wait() == Exit.SETTINGS
    assert running.output == (
        'Error: name an application, such as shop:app, or say app = "shop:app" in '
        "[tool.roll] of pyproject.toml\n"
    )


def test_an_unknown_variable_is_a_status_2(run):
    running = run("shop", environment={"ROLL_PROT": "1"})
    assert running.wait() == Exit.SETTINGS
    wanted = "the variable 'ROLL_PROT' means nothing to Roll: did you mean 'ROLL_PORT'?"
    assert running.output == f"Error: {wanted}\n"


def test_an_unknown_option_is_a_status_2(run):
    running = run("shop", "--prot", 0)
    assert running.wait() == Exit.SETTINGS
    assert "No such option" in running.output
    assert "--port" in running.output


@pytest.mark.parametrize("options", [[], ["--workers", "2"], ["--reload"]])
def test_a_port_that_is_taken_is_a_status_3(run, options):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        running = run("shop", "--port", port, *options)
        assert running.wait() == Exit.ADDRESS
    assert running.output == (
        f"Error: cannot listen on 127.0.0.1:{port}: Address already in use; "
        "stop what listens there, or choose another address\n"
    )


def test_an_address_that_is_not_ours_is_a_status_3(run):
    running = run("shop", "--host", "192.0.2.1")
    assert running.wait() == Exit.ADDRESS
    assert running.output.startswith("Error: cannot listen on 192.0.2.1:3579: ")
    assert running.output.count("\n") == 1


def test_a_host_with_a_port_is_a_status_3_that_says_where_to_give_it(run):
    running = run("shop", "--host", "0.0.0.0:80")
    assert running.wait() == Exit.ADDRESS
    assert running.output.startswith("Error: cannot listen on [0.0.0.0:80]:3579: ")
    assert running.output.endswith("; give the port with --port\n")


def test_a_path_with_a_plain_file_is_a_status_3_and_stays(run, folder):
    running = run("shop", "--uds", "shop.py")
    assert running.wait() == Exit.ADDRESS
    assert running.output == (
        "Error: cannot listen on shop.py: it is there already, and is not a socket\n"
    )
    assert (folder / "shop.py").is_file()


def test_a_descriptor_that_is_not_open_is_a_status_3(run):
    running = run("shop", "--fd", 999)
    assert running.wait() == Exit.ADDRESS
    assert (
        running.output == "Error: descriptor 999 is not a socket: Bad file descriptor\n"
    )


BROKEN = {
    "syntax": "def (:\n",
    "raising": "raise OSError('no disk')\n",
    "missing": "import nothing_of_that_name\n",
    "leaving": "import sys\nsys.exit('goodbye')\n",
    "empty": "",
    "serving": """
from roll import Roll
from roll.extensions import simple_server
app = Roll()
simple_server(app, 0)
""",
    "kinds": """
from roll import Roll
nothing = None
class Shop(Roll): pass
def make(): return Roll()
def fail():
    raise LookupError("no\\n database")
def leave(): raise SystemExit
async def wait(): pass
def count(): return 5
def forget(): pass
shop = Shop()
""",
}


@pytest.fixture
def broken(tmp_path, monkeypatch):
    for name, source in BROKEN.items():
        (tmp_path / f"broken_{name}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in BROKEN:
        sys.modules.pop(f"broken_{name}", None)


@pytest.mark.parametrize(
    ("where", "message", "last"),
    [
        (
            "",
            "'' is not an application: name its module and itself, as in shop:app",
            "",
        ),
        ("a-b", "'a-b' is not an application: name its module and itself, as in", ""),
        (":app", "':app' is not an application: name its module and itself, as in", ""),
        ("absent", "absent cannot be imported: there is no module 'absent' in", ""),
        (
            "absent.x:y",
            "absent.x:y cannot be imported: there is no module 'absent'",
            "",
        ),
        (
            "broken_empty.x",
            "broken_empty.x cannot be imported: there is no module 'broken_empty.x' in",
            "",
        ),
        (
            "broken_missing",
            "broken_missing cannot be imported: ModuleNotFoundError: No module named",
            "ModuleNotFoundError: No module named 'nothing_of_that_name'",
        ),
        (
            "broken_syntax",
            "broken_syntax cannot be imported: SyntaxError: ",
            "SyntaxError: ",
        ),
        (
            "broken_raising",
            "broken_raising cannot be imported: OSError: no disk",
            "OSError: no disk",
        ),
        (
            "broken_leaving",
            "broken_leaving cannot be imported: SystemExit: goodbye",
            "SystemExit: goodbye",
        ),
        (
            "broken_empty",
            "broken_empty: the module broken_empty has no 'app'; it has no application",
            "",
        ),
        (
            "broken_kinds:x.y",
            "broken_kinds:x.y: the module broken_kinds has no 'x.y'; "
            "did you mean broken_kinds:shop?",
            "",
        ),
        (
            "broken_kinds:nothing",
            "broken_kinds:nothing is not an application of Roll, but None",
            "",
        ),
        ("broken_kinds:Shop", "name what is made of this class, or use --factory", ""),
        ("broken_kinds:make", ": use --factory, if it makes one", ""),
        (
            "broken_kinds.shop",
            "there is no module 'broken_kinds.shop' in this folder, and none is "
            "installed; did you mean broken_kinds:shop?",
            "",
        ),
        ("roll:app", "is Roll itself: give your roll.py another name", ""),
        (
            "broken_serving",
            'write it under `if __name__ == "__main__":`',
            "RuntimeError: simple_server() would serve while ",
        ),
    ],
)
def test_an_application_that_cannot_be_imported_is_a_status_4(
    broken, where, message, last
):
    with pytest.raises(StartError) as caught:
        load(where)
    assert message in caught.value.message
    assert caught.value.exit_code == Exit.APPLICATION
    check_trace(caught.value, last)


def check_trace(error, last):
    """Only what the application raised has a traceback, which begins there."""
    if not last:
        assert error.trace == ""
        return
    lines = error.trace.splitlines()
    if "SyntaxError" not in last:
        assert lines.pop(0) == "Traceback (most recent call last):"
    assert "/broken_" in lines[0]
    assert lines[-1].startswith(last)


@pytest.mark.parametrize(
    ("where", "message", "last"),
    [
        (
            "broken_kinds:fail",
            "broken_kinds:fail() raised LookupError: no database",
            " database",
        ),
        ("broken_kinds:leave", "broken_kinds:leave() raised SystemExit", "SystemExit"),
        (
            "broken_kinds:forget",
            "broken_kinds:forget() gives None: let it return an application of Roll",
            "",
        ),
        ("broken_kinds:count", "broken_kinds:count() gives 5: let it return an", ""),
        ("broken_kinds:shop", "is an application already: leave out --factory", ""),
        ("broken_kinds:wait", "is a coroutine function: make it a plain one", ""),
        (
            "broken_kinds:nothing",
            "is not a function, but None: leave out --factory",
            "",
        ),
    ],
)
def test_a_factory_that_makes_no_application_is_a_status_4(
    broken, where, message, last
):
    with pytest.raises(StartError) as caught:
        load(where, factory=True)
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == Exit.APPLICATION
    check_trace(caught.value, last)


def test_a_class_and_a_function_may_be_factories(broken):
    assert type(load("broken_kinds:Shop", factory=True)).__name__ == "Shop"
    assert type(load("broken_kinds:make", factory=True)) is Roll
    assert sys.path.count("") == 1


@pytest.mark.parametrize("options", [[], ["--workers", "2"]])
def test_the_traceback_of_an_application_is_printed_once(run, folder, options):
    (folder / "shop.py").write_text(
        "def make():\n    raise LookupError('no database')\n"
    )
    running = run("shop:make", "--factory", "--port", 0, *options)
    assert running.wait() == Exit.APPLICATION
    first, *_, last = running.output.splitlines()
    assert first == "Traceback (most recent call last):"
    assert last == "Error: shop:make() raised LookupError: no database"
    assert running.output.count("Traceback") == 1
    assert "roll_server" not in running.output


@pytest.mark.parametrize("options", [[], ["--workers", "2"]])
def test_a_startup_listener_that_raises_is_a_status_5(run, folder, options):
    (folder / "shop.py").write_text(
        "from roll import Roll\napp = Roll()\n"
        "@app.listen('startup')\nasync def connect(): raise OSError('no database')\n"
    )
    running = run("shop", "--port", 0, *options)
    assert running.wait() == Exit.STARTUP
    assert "Error: a startup listener raised OSError: no database\n" in running.output
    assert running.output.count("Traceback") == 1
    assert "Rolling" not in running.output


def test_a_setting_that_the_application_refuses_is_a_status_2(run):
    running = run("shop", "--port", 0, "--health", "/pid")
    assert running.wait() == Exit.SETTINGS
    assert running.output.startswith("Error: GET /pid is declared twice: at ")
    assert running.output.count("\n") == 1


def test_a_second_signal_ends_at_once(run):
    running = run("shop", "--port", 0)
    with socket.create_connection(running.address) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(10)
        running.send(signal.SIGTERM)
        with contextlib.suppress(OSError):  # until it does not listen any more
            while True:
                socket.create_connection(running.address).close()
        assert running.stop() == -signal.SIGTERM


def test_statuses_are_as_documented():
    assert {status.name: status.value for status in Exit} == {
        "STOPPED": 0,
        "FAILED": 1,
        "SETTINGS": 2,
        "ADDRESS": 3,
        "APPLICATION": 4,
        "STARTUP": 5,
        "CERTIFICATE": 6,
    }


def test_the_file_of_an_application_is_told_from_its_module(run):
    running = run("shop.py", "--port", 0)
    assert running.wait() == Exit.APPLICATION
    assert running.output.endswith("the application in it, as in shop:app\n")


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ("notes.py", "notes:app"),
        ("./notes.py:app", "notes:app"),
        ("shops/../shops/notes.py", "shops.notes:app"),
        ("{folder}/shops/notes.py", "shops.notes:app"),
        ("../notes.py", "notes:app, in the folder {above}"),
    ],
)
def test_a_file_has_its_module_suggested(tmp_path, monkeypatch, where, wanted):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(StartError) as caught:
        load(where.format(folder=tmp_path))
    assert caught.value.message.partition("as in ")[2] == wanted.format(
        above=tmp_path.parent
    )


NOHUP = """
import signal, subprocess, sys

@app.route("/disposition")
async def disposition(request, response):
    code = "import signal; print(signal.getsignal(signal.SIGHUP).name)"
    response.body = subprocess.check_output([sys.executable, "-c", code])
"""


@pytest.mark.parametrize("options", [[], ["--reload"]])
@pytest.mark.parametrize(("before", "found"), [(["nohup"], "IGN"), ([], "DFL")])
def test_nohup_is_kept_for_what_the_application_runs(
    run, folder, options, before, found
):
    with (folder / "shop.py").open("a") as shop:
        shop.write(NOHUP)
    command = [*before, sys.executable, "-W", "error", "-m", "roll_server"]
    running = run(args=[*command, "run", "shop", "--port", "0", *options])
    assert running.get("/disposition") == f"SIG_{found}\n"


@pytest.mark.parametrize("options", [[], ["--reload"]])
def test_under_nohup_sighup_does_not_end_it(run, options):
    command = ["nohup", sys.executable, "-W", "error", "-m", "roll_server"]
    running = run(args=[*command, "run", "shop", "--port", "0", *options])
    assert running.get() == "first"
    running.send(signal.SIGHUP)
    assert running.get() == "first"
    assert running.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_what_the_tests_ignore_is_not_ignored_by_what_they_start(run, number):
    former = signal.signal(number, signal.SIG_IGN)
    try:
        running = run("shop", "--port", 0)
        assert signal.getsignal(number) == signal.SIG_IGN
        running.get()
        status = running.stop(number)
    finally:
        signal.signal(number, former)
    assert status == (0 if number == signal.SIGINT else -number)
