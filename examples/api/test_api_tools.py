"""Programs that know the API by its document alone: a tester, and a made client."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from roll_testing import patience, wait_until

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent

# nox installs them in an environment of their own for `make test`, so that nothing is
# skipped there.
TOOLS = Path(os.environ.get("ROLL_TEST_API_TOOLS", "missing"))
pytestmark = pytest.mark.skipif(
    not (TOOLS / "st").exists(),
    reason="not installed: schemathesis and openapi-python-client; name the folder of "
    "their commands in ROLL_TEST_API_TOOLS",
)

# The same few each time; at night others, and more of them, which takes minutes.
NIGHT = "ROLL_TEST_EXAMPLES" in os.environ
EXAMPLES = min(int(os.environ["ROLL_TEST_EXAMPLES"]), 500) if NIGHT else 5

SECRETS = {"API_KEY": "a key", "API_TOKEN": "a token"}

UNDER_ASGI = """
from examples.api import app
from roll.extensions import asgi

application = asgi(app)
"""


@contextmanager
def served(folder, *command):
    """Run a server, and give where it listens."""
    log = folder / "log"
    environment = {
        **os.environ,
        "API_KEYS": SECRETS["API_KEY"],
        "API_TOKENS": f"{SECRETS['API_TOKEN']}=ann",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}",
    }
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", *command, "--port", "0"],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def url():
        assert process.poll() is None, log.read_text()
        return re.search(r"http://127\.0\.0\.1:\d+", log.read_text())

    try:
        yield wait_until(url)[0]
    finally:
        process.terminate()
        process.wait(patience(30))
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module", params=["roll run", "uvicorn"])
def server(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    if request.param == "uvicorn":
        (folder / "under_asgi.py").write_text(UNDER_ASGI)
        command = ["uvicorn", "under_asgi:application"]
    else:
        command = ["roll_server", "run", "examples.api:app"]
    with served(folder, *command) as url:
        yield url


def run(tool, *arguments, cwd):
    """Run a tool, and give what it printed."""
    done = subprocess.run(
        [TOOLS / tool, *arguments],
        cwd=cwd,
        env={
            **os.environ,
            **SECRETS,
            "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(cwd),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=patience(3600 if NIGHT else 120),
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def ask(url, content=None, **headers):
    request = urllib.request.Request(url, content, headers)
    with urllib.request.urlopen(request) as response:
        return response.read()


@pytest.fixture
def items(server):
    """Items that there are, so that some orders are carried out."""
    item = json.dumps({"name": "Cup", "price": 1, "stock": 10**6}).encode()
    headers = {"X-Key": SECRETS["API_KEY"], "Content-Type": "application/json"}
    return [
        json.loads(ask(f"{server}/items", item, **headers))["id"] for _ in range(10)
    ]


def test_schemathesis_finds_no_failure(server, items, tmp_path):
    settings = (HERE / "schemathesis.toml").read_text()
    (tmp_path / "schemathesis.toml").write_text(
        f"[dictionaries]\nitems = {{values = {items}}}\n"
        '[parameters]\n"body.lines[*].item" = '
        f'{{dictionary = "items", probability = 0.5}}\n{settings}'
    )
    printed = run(
        *("st", "run", f"{server}/openapi.json", "--no-color", "--checks=all"),
        *("--phases=examples,coverage,fuzzing,stateful", "--mode=all"),
        *(f"--max-examples={EXAMPLES}", "--generation-database=none"),
        *("--continue-on-failure", *([] if NIGHT else ["--seed=1"])),
        cwd=tmp_path,
    )
    print(printed)  # `pytest -s` shows the figures


def test_a_generated_client_calls_every_operation(server, tmp_path):
    document = ask(f"{server}/openapi.json").decode()
    # It does not know yet how OpenAPI 3.1 describes files (openapi-python-client#1417).
    (tmp_path / "openapi.json").write_text(
        document.replace(
            '"contentMediaType": "application/octet-stream"', '"format": "binary"'
        )
    )
    run(
        *("openapi-python-client", "generate", "--path=openapi.json", "--meta=none"),
        *("--output-path=warehouse", "--fail-on-warning", "--config"),
        HERE / "client.yml",
        cwd=tmp_path,
    )
    called = run("python", HERE / "use_client.py", server, cwd=tmp_path).split()
    paths = json.loads(document)["paths"].values()
    assert {*called} == {
        each["operationId"] for path in paths for each in path.values()
    }


def test_the_client_of_the_tutorial_works(tmp_path):
    page = (ROOT / "docs" / "tutorials" / "api.md").read_text()
    for name in ("library.py", "use_library.py"):
        blocks = re.findall(rf"^```python\n# {name}\n(.*?)^```$", page, re.M | re.S)
        (tmp_path / name).write_text("".join(blocks))
    with served(tmp_path, "roll_server", "run", "library:app") as url:
        (tmp_path / "openapi.json").write_bytes(ask(f"{url}/openapi.json"))
        run(
            *("openapi-python-client", "generate", "--path=openapi.json"),
            *("--meta=none", "--output-path=library_client", "--fail-on-warning"),
            cwd=tmp_path,
        )
        use = tmp_path / "use_library.py"
        use.write_text(use.read_text().replace("http://127.0.0.1:3579", url))
        assert run("python", use, cwd=tmp_path).startswith("Persuasion ")
