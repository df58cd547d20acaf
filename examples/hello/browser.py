"""Chromium without a window, driven over a pair of pipes; for tests alone.

It speaks the DevTools protocol: JSON, a NUL after each message, commands on the
browser's file descriptor 3, answers and events on its descriptor 4. So a test needs
nothing beside the browser.
"""

import asyncio
import base64
import contextlib
import json
import os
import select
import signal
import socket
import threading

from roll import Server
from roll_testing import patience, wait_until

OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-sync"),
    *("--disable-component-update", "--disable-dev-shm-usage"),
    "--remote-debugging-pipe",
]
TIMEOUT = patience(30)
"""Seconds to wait for a response, or for a page to be as it should."""


@contextlib.contextmanager
def serve(app, port=0):
    """Serve an app in a thread, as the driver blocks its own, and give its port.

    Args:
        app: The application; browsers reach it at 127.0.0.1 and localhost.
        port: A port that was given before, for a server that starts again.
    """
    sock = socket.create_server(("127.0.0.1", port))
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run():
        server = Server(app, [sock])
        await server.start()
        await stop.wait()
        await server.stop()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        yield sock.getsockname()[1]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=TIMEOUT)
        loop.close()


@contextlib.contextmanager
def browse(program, folder):
    """Run a browser, and give a page of it.

    Args:
        program: The path of Chromium.
        folder: An empty folder for its profile.
    """
    answers, its_answers = os.pipe()
    its_commands, commands = os.pipe()
    process = os.posix_spawn(
        program,
        [program, *OPTIONS, f"--user-data-dir={folder}"],
        os.environ,
        file_actions=[
            *(
                (os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0)
                for number in (0, 1, 2)
            ),
            (os.POSIX_SPAWN_DUP2, its_commands, 3),
            (os.POSIX_SPAWN_DUP2, its_answers, 4),
        ],
        setsid=True,  # it has children, which belong to one group then
    )
    os.close(its_commands)
    os.close(its_answers)
    try:
        yield Page(Pipes(commands, answers))
    finally:
        os.close(commands)  # which is how it is told to end
        os.close(answers)
        wait_for(process)


def wait_for(process):
    """Wait until the browser has cleaned up and ended; end it if it does not."""
    try:
        wait_until(lambda: has_ended(process), timeout=TIMEOUT)
    except TimeoutError:
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)


def has_ended(process):
    return os.waitpid(process, os.WNOHANG) != (0, 0)


class Pipes:
    """The way to a browser and back.

    Args:
        commands: The file descriptor to write commands to.
        answers: The one to read answers and events from.
    """

    def __init__(self, commands, answers):
        self.commands, self.answers = commands, answers
        self.received = b""
        self.number = 0

    def call(self, method, session, params):
        """Run a command of the DevTools protocol, and wait for its result."""
        self.number += 1
        command = {"id": self.number, "method": method, "params": params}
        os.write(self.commands, json.dumps(command | session).encode() + b"\0")
        while (message := self.receive()).get("id") != self.number:
            pass  # events
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']['message']}")
        return message["result"]

    def receive(self):
        while b"\0" not in self.received:
            if not select.select([self.answers], [], [], TIMEOUT)[0]:
                raise TimeoutError("the browser does not answer")
            if not (data := os.read(self.answers, 1 << 20)):
                raise EOFError("the browser has ended")
            self.received += data
        message, _, self.received = self.received.partition(b"\0")
        return json.loads(message)


class Page:
    """A page of a browser.

    Args:
        pipes: The way to the browser.
    """

    def __init__(self, pipes):
        self.pipes = pipes
        self.session = {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = {"sessionId": attached["sessionId"]}

    def open_another(self):
        """Open a page beside this one."""
        return Page(self.pipes)

    def call(self, method, **params):
        """Run a command of the DevTools protocol, and wait for its result."""
        return self.pipes.call(method, self.session, params)

    def run(self, script):
        """Run JavaScript in the page; returns the value of its last expression."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{script}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def wait(self, script):
        """Run JavaScript again and again until it gives something true."""

        def run():
            with contextlib.suppress(RuntimeError):  # the page is being replaced
                return self.run(script)

        return wait_until(run, script, timeout=TIMEOUT)

    def open(self, url):
        """Load a page."""
        self.run("window.isOld = true")
        self.call("Page.navigate", url=url)
        self.wait("!window.isOld && document.readyState == 'complete'")

    def choose_files(self, selector, *paths):
        """Choose files in an input of the page."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)
        files = [str(path) for path in paths]
        self.call("DOM.setFileInputFiles", files=files, **node)

    def screenshot(self, path):
        """Save how the whole page looks, as PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))
