"""Reload: a change is served at once, nothing is refused, and mistakes are shown."""

import contextlib
import http.client
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from roll_testing import patience, wait_until

STREAM = b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)


@pytest.fixture
def edit(folder):
    """Replace a text in the application, as an editor does when it saves."""

    def edit(old, new):
        source = (folder / "shop.py").read_text()
        assert old in source
        new_file = folder / "shop.py~"
        new_file.write_text(source.replace(old, new))
        new_file.replace(folder / "shop.py")

    return edit


@pytest.fixture
def reloading(run):
    def start(*options, **keywords):
        running = run("shop", "--port", 0, "--reload", *options, **keywords)
        running.wait_for(", reloading when a file changes\n")
        # The folder is watched by the time that the application answers.
        assert running.get() == "first"
        return running

    return start


def ask(running, path="/"):
    """Ask for a page: what is on it, None when the child was ended meanwhile."""
    with contextlib.suppress(OSError):
        return running.get(path)
    return None


def serves(running, text):
    return ask(running) == text


def failure(running, uds=None, **fields):
    """Ask for a page: what is on it, when it is a failure to start.

    A request to a child that is ended may be cut, when it comes late.
    """
    host, port = running.address if uds is None else ("localhost", 80)
    client = http.client.HTTPConnection(host, port, timeout=patience(60))
    with contextlib.closing(client):
        try:
            if uds is not None:
                client.sock = socket.socket(socket.AF_UNIX)
                client.sock.settimeout(patience(60))
                client.sock.connect(str(uds))
            headers = {name.replace("_", "-"): fields[name] for name in fields}
            client.request("GET", "/", headers=headers)
            answer = client.getresponse()
            body = answer.read().decode()
        except ConnectionError:
            return None
    if answer.status == 200:
        return None
    assert answer.status == 500
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    return body


def test_a_change_is_served(reloading, edit):
    running = reloading()
    edit('"first"', '"second"')
    wait_until(lambda: serves(running, "second"))
    assert "roll: shop.py changed\n" in running.output
    assert running.stop() == 0


def test_a_child_that_ends_in_time_cleans_up(reloading, edit):
    running = reloading()
    served, other = "first", "second"
    for _ in range(10):  # on a slow machine, one may be killed before
        edit(f'"{served}"', f'"{other}"')
        served, other = other, served
        wait_until(lambda text=served: serves(running, text))
        if "shutdown listener" in running.output:
            break
    assert "shutdown listener" in running.output


def test_no_connection_is_refused_meanwhile(reloading, edit):
    running = reloading()
    answers = {running.get()}
    edit('"first"', '"second"')
    deadline = time.monotonic() + patience(60)
    while "second" not in answers:
        assert time.monotonic() < deadline
        # Each on a connection of its own; one that was being answered may be cut.
        with socket.create_connection(running.address, timeout=patience(60)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                answers.add(client.recv(4096).rpartition(b"\n")[2].decode())
    assert answers - {""} == {"first", "second"}


def test_a_syntax_error_is_shown_in_both_places_and_recovered_from(reloading, edit):
    running = reloading()
    edit("import asyncio, os", "import asyncio, os,")
    shown = wait_until(lambda: failure(running), "the page")
    assert re.search(r'File ".*shop.py", line 2\n', shown)
    assert "\nError: shop cannot be imported: SyntaxError: " in shown
    running.wait_for(shown.strip())
    edit("import asyncio, os,", "import asyncio, os")
    wait_until(lambda: failure(running) is None, "the application")
    assert running.get() == "first"
    assert running.stop() == 0


def test_an_application_that_cannot_start_at_first_is_waited_for(run, folder, edit):
    source = (folder / "shop.py").read_text()
    (folder / "shop.py").write_text("raise OSError('no disk')\n")
    running = run("shop", "--port", 0, "--reload")
    assert "OSError: no disk" in wait_until(lambda: failure(running), "the page")
    (folder / "shop.py").write_text(source)
    wait_until(lambda: failure(running) is None, "the application")


def test_a_startup_listener_that_raises_is_shown(reloading, edit):
    running = reloading()
    edit('listen("shutdown")', 'listen("startup")')
    edit('"shutdown listener"', '"startup listener"')
    running.wait_for("startup listener")
    edit("async def end():", "async def end():\n    raise OSError('no disk')")
    shown = wait_until(lambda: failure(running), "the page")
    assert "Error: a startup listener raised OSError: no disk\n" in shown
    assert running.stop() == 0


def test_a_crash_is_shown_and_a_change_starts_it_again(reloading, edit):
    running = reloading()
    with contextlib.suppress(OSError):
        running.get("/crash")
    shown = wait_until(lambda: failure(running), "the page")
    assert shown == "the application ended with status 9\n"
    running.wait_for(f"roll: {shown.strip()}; it starts again when a file changes\n")
    edit('"first"', '"second"')
    wait_until(lambda: failure(running) is None, "the application")
    assert running.get() == "second"


def test_the_cause_is_not_shown_to_others(run, folder):
    (folder / "shop.py").write_text("raise OSError('no disk')\n")
    running = run("shop", "--host", "0.0.0.0", "--port", 0, "--reload")
    running.wait_for("OSError: no disk")
    shown = wait_until(lambda: failure(running), "the page")
    assert shown == "The application cannot start; the terminal says why.\n"


def test_the_cause_is_shown_to_a_browser_on_this_machine_alone(run, folder):
    (folder / "shop.py").write_text("raise OSError('no disk')\n")
    running = run("shop", "--port", 0, "--reload")
    assert "OSError: no disk" in wait_until(lambda: failure(running), "the page")
    others = [
        {"Host": "evil.test"},
        {"X_Forwarded_For": "192.0.2.1"},
        {"Forwarded": "for=192.0.2.1"},
        {"Origin": "http://evil.test"},
    ]
    said = "The application cannot start; the terminal says why.\n"
    assert [failure(running, **fields) for fields in others] == [said] * 4
    assert "OSError: no disk" in failure(running, Host="localhost:3579")


def test_the_cause_is_not_shown_on_a_unix_socket(run, folder, tmp_path):
    (folder / "shop.py").write_text("raise OSError('no disk')\n")
    path = tmp_path / "shop.sock"
    running = run("shop", "--uds", path, "--reload")
    running.wait_for("OSError: no disk")
    shown = wait_until(lambda: failure(running, path), "the page")
    assert shown == "The application cannot start; the terminal says why.\n"


def test_the_project_and_the_env_file_are_watched_and_read_again(
    reloading, folder, edit
):
    edit('"first"', 'os.environ.get("GREETING", "first")')
    (folder / "local.env").write_text("\n")
    running = reloading("--env-file", "local.env")
    (folder / "local.env").write_text("GREETING=hello\n")
    wait_until(lambda: serves(running, "hello"))
    (folder / "local.env").write_text("GREETING=hi\n")
    wait_until(lambda: serves(running, "hi"))
    (folder / "pyproject.toml").write_text("[tool.roll]\nlimit-target = 2\n")
    running.wait_for("pyproject.toml changed")
    (folder / "pyproject.toml").write_text("[tool.roll]\nprot = 2\n")
    shown = wait_until(lambda: failure(running), "the page")
    assert "did you mean 'port'?" in shown


@pytest.mark.parametrize("name", ["pyproject.toml", "settings/local.env"])
def test_settings_outside_of_the_folders_are_watched_however_they_are_saved(
    reloading, folder, name
):
    (folder / "src").mkdir()
    (folder / "settings").mkdir()
    (folder / "settings" / "local.env").write_text("\n")
    (folder / "pyproject.toml").write_text("\n")
    running = reloading("--reload-dir", "src", "--env-file", "settings/local.env")
    for times in (1, 2, 3):
        saved = (folder / name).with_suffix(".new")
        saved.write_text(f"# {times}\n")
        saved.replace(folder / name)
        running.wait_for(f"{Path(name).name} changed\n", times)


def test_other_folders_are_watched_and_other_files_are_not(
    run, folder, tmp_path_factory
):
    other = tmp_path_factory.mktemp("other")
    running = run("shop", "--port", 0, "--reload", "--reload-dir", f".,{other}")
    pid = running.get("/pid")
    (folder / "notes.txt").write_text("nothing")
    (folder / "__pycache__").mkdir(exist_ok=True)
    (folder / "__pycache__" / "x.py").write_text("nothing")
    (other / "prices.py").write_text("")
    wait_until(lambda: ask(running, "/pid") not in (pid, None))
    assert "prices.py changed\n" in running.output
    assert not re.search("(notes.txt|x.py) changed", running.output)


@pytest.fixture
def descriptors():
    """Allow more than a thousand of them, here and in what is started."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("descriptors")
@pytest.mark.parametrize(
    ("request_", "status"), [(STREAM, b"200"), (UPGRADE, b"101")], ids=["stream", "ws"]
)
def test_a_thousand_open_connections_do_not_delay_it(run, edit, request_, status):
    running = run("shop", "--port", 0, "--reload", "--limit-connections", 2000)
    clients = []
    try:
        for _ in range(1000):
            client = socket.create_connection(running.address, timeout=patience(60))
            clients.append(client)
            client.sendall(request_)
        for client in clients:
            assert client.recv(1000).startswith(b"HTTP/1.1 " + status)
        edit('"first"', '"second"')
        began = time.monotonic()
        running.wait_for("shop.py changed")
        for client in clients:  # each of them is ended
            with contextlib.suppress(ConnectionResetError):
                while client.recv(1000):
                    pass
        ended = time.monotonic()
        wait_until(lambda: serves(running, "second"))
        served = time.monotonic()
    finally:
        for client in clients:
            client.close()
    print(f"ended after {ended - began:.2f} s, served after {served - began:.2f} s")
    assert served - began < patience(
        20
    )  # streams are open for 60 seconds, and no shutdown waits


def test_an_application_that_hangs_is_killed(reloading, edit):
    hang = "async def hang(request, response):\n    import time"
    hang += "; print('hangs', flush=True); time.sleep(600)"
    edit('@app.route("/slow")', f'@app.route("/hang")\n{hang}\n\n@app.route("/slow")')
    running = reloading()
    with socket.create_connection(running.address) as client:
        client.sendall(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
        running.wait_for("hangs")
        edit('"first"', '"second"')
        wait_until(lambda: serves(running, "second"))


def test_tls_is_reloaded_too(run, folder, edit):
    import ssl

    import trustme

    authority = trustme.CA()
    pem = folder / "cert.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(pem)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    (folder / "shop.py").write_text("raise OSError('no disk')\n")
    running = run("shop", "--port", 0, "--reload", "--tls-cert", pem)
    assert running.url.startswith("https://")
    running.wait_for("OSError: no disk")
    with (
        socket.create_connection(running.address) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 500 Internal Server Error\r\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_its_child(reloading, number):
    running = reloading(process_group=0)
    pid = int(running.get("/pid"))
    os.killpg(running.process.pid, number)
    assert running.wait() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


# At a terminal


@pytest.mark.parametrize("options", [[], ["--reload"]], ids=["alone", "reload"])
def test_breakpoint_works(terminal, edit, options):
    edit(
        '    response.body = "first"',
        "    answer = 41\n    breakpoint()\n    response.body = str(answer)",
    )
    at = terminal("shop", "--port", "0", *options)
    at.read_until("Rolling on http://127.0.0.1:")
    port = int(re.match(r"\d+", at.read_until("\n"))[0])
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        at.read_until("(Pdb) ")
        at.write("answer += 1\n")
        at.read_until("(Pdb) ")
        at.write("c\n")
        answer = b""
        while piece := client.recv(1000):
            answer += piece
    assert answer.endswith(b"\r\n\r\n42")
    if options:
        at.write("\x03")  # Ctrl-C, which reaches the parent; pdb takes it in a child
        assert at.running.process.wait(patience(60)) == 0
    else:
        assert at.running.stop() == 0


def test_a_change_while_a_debugger_waits_leaves_a_terminal_that_echoes(terminal, edit):
    edit('    response.body = "first"', '    breakpoint()\n    response.body = "first"')
    at = terminal("shop", "--port", "0", "--reload")
    at.read_until("Rolling on http://127.0.0.1:")
    port = int(re.match(r"\d+", at.read_until("\n"))[0])
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        at.read_until("(Pdb) ")
        edit("    breakpoint()\n", "")
        at.read_until("shop.py changed")
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(1000).endswith(b"first")
    assert at.echoes()


# hupper, as the documentation has it


def test_hupper_reloads_a_module_that_calls_simple_server(folder, port, run):
    package = folder / "example"
    package.mkdir()
    (package / "__init__.py").write_text("")
    source = (
        "from roll import Roll\nfrom roll.extensions import simple_server\n\n"
        "app = Roll()\n\n\n@app.route('/')\n"
        "async def home(request, response):\n    response.body = 'first'\n\n\n"
        f"if __name__ == '__main__':\n    simple_server(app, port={port})\n"
    )
    (package / "__main__.py").write_text(source)
    hupper = Path(sys.executable).parent / "hupper"
    command = [str(hupper), "-m", "example"]
    running = run(args=command, stdin=subprocess.DEVNULL, process_group=0)
    assert running.get() == "first"

    def is_served():
        if "changed; reloading" not in running.output:  # it looks once a second
            (package / "__main__.py").write_text(source.replace("'first'", "'second'"))
        with contextlib.suppress(OSError):  # between the two, nobody listens
            return running.get() == "second"

    wait_until(is_served, interval=1)
    os.killpg(running.process.pid, signal.SIGINT)  # as a terminal sends it
    running.wait_for("Bye.")
    running.wait()
