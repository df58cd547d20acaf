"""Resources of an application that processes serve: a start that fails."""

import subprocess
import sys

import pytest
from roll_testing import patience

SHOP = """
from roll import Roll
from roll.extensions import resource

app = Roll()

@resource(app)
async def cache():
    print("cache opens", flush=True)
    yield
    print("cache closes", flush=True)

@resource(app)
async def db():
    raise OSError("no database")
    yield
"""


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["roll_server", "run", "shop:app", "--port", "0"], 5),
        (
            ["gunicorn", "shop:app", "-k", "roll_gunicorn.Worker", "-b", "127.0.0.1:0"],
            3,
        ),
    ],
    ids=["roll run", "gunicorn"],
)
def test_a_resource_that_does_not_open_ends_the_process(tmp_path, command, status):
    (tmp_path / "shop.py").write_text(SHOP)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=patience(60),
    )
    assert done.returncode == status, done.stderr
    assert done.stdout == "cache opens\ncache closes\n"
    assert "OSError: no database" in done.stderr
    assert f"The resource 'db' ({tmp_path}/shop.py:13) did not open" in done.stderr
