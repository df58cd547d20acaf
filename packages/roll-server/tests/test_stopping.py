"""The end of a server, in this process; test_run.py has it at a terminal."""

import io
import sys

from roll import Roll, Server
from roll_server import stopping
from roll_testing import turns


class Terminal(io.StringIO):
    def isatty(self):
        return True


async def test_an_end_that_waits_for_no_connection_says_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(stopping, "SILENCE", 0)
    app = Roll()

    @app.listen("shutdown")
    async def take_some_turns():
        await turns()

    server = Server(app, [])
    await server.start()
    await stopping.stop(server)
    assert sys.stderr.getvalue() == ""
