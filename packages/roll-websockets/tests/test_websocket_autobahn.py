"""The Autobahn test-suite: its fuzzing client against an echo of ours."""

import asyncio
import json
import os
import shutil

import pytest
from roll import Roll
from roll.plugins import protocol_class
from roll_testing import patience

WSTEST = os.environ.get("ROLL_TEST_WSTEST") or shutil.which("wstest")

# All of the cases of compression take minutes: `nox -s nightly` runs them.
CASES = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.1.1", "9.2.1", "10.*"]
CASES += ["12.*", "13.*", "9.*"] if "ROLL_TEST_EXAMPLES" in os.environ else ["12.1.1"]

PASSED = {"OK", "NON-STRICT", "INFORMATIONAL"}
"""What is not a failure; NON-STRICT is right, but could be told earlier."""


class Large(protocol_class("websocket")):
    MAX_SIZE = 2**24


class Parsed(Large):
    """Reads every frame with websockets' parser, and writes it so, too."""

    def __init__(self, request, response):
        super().__init__(request, response)
        self._plain = False


@pytest.fixture(params=[Large, Parsed])
def app(request):
    class App(Roll):
        WebsocketProtocol = request.param

    app = App()

    @app.route("/", protocol="websocket", compression="deflate")
    async def echo(request, ws):
        async for message in ws:
            await ws.send(message)

    return app


# It runs on Python 2.7 alone, so that no environment of ours can have it. nox installs
# it for `make test` where there is one, so that nothing is skipped there; a package's
# own tests alone do without.
@pytest.mark.skipif(
    WSTEST is None,
    reason="no wstest: make an environment of Python 2.7 (with virtualenv before "
    "20.22), pip install autobahntestsuite==25.10.1 there, and name its bin/wstest "
    "in ROLL_TEST_WSTEST",
)
async def test_no_case_of_autobahn_fails(liveclient, tmp_path):
    await liveclient.start()
    specification = {
        "outdir": str(tmp_path / "reports"),
        "servers": [{"agent": "roll", "url": liveclient.wsl}],
        "cases": CASES,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    (tmp_path / "cases.json").write_text(json.dumps(specification))
    client = await asyncio.create_subprocess_exec(
        *(WSTEST, "-m", "fuzzingclient", "-s", str(tmp_path / "cases.json")),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(patience(3600)):
            output, _ = await client.communicate()
    finally:
        if client.returncode is None:
            client.kill()
            await client.wait()
    assert client.returncode == 0, output.decode()
    found = json.loads((tmp_path / "reports" / "index.json").read_text())["roll"]
    assert len(found) > 200
    failed = {
        case: result
        for case, result in found.items()
        if not {result["behavior"], result["behaviorClose"]} <= PASSED
    }
    assert failed == {}
