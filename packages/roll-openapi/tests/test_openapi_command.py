"""`roll openapi` and `roll check`."""

import json
import os
import subprocess
import sys

import pytest
from roll_testing import patience

SHOP = """
from roll import Roll
from roll_openapi import openapi, typed

app = Roll()
openapi(app, title="Shop", ui=None)

@app.route("/items/{id:int}")
@typed
async def show(request, response, id: int, limit: int = 5) -> list[str]:
    return []

wrong = Roll()
openapi(wrong, title="Shop", ui=None)

@wrong.route("/items/{id:int}")
@typed
async def find(request, response, id: int, where: dict = {}) -> None: ...

undocumented = Roll()
"""


@pytest.fixture
def roll(tmp_path):
    """Run the command beside an application."""
    (tmp_path / "shop.py").write_text(SHOP)

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "roll_server", *arguments],
            env={**os.environ},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=patience(60),
        )

    return run


def test_the_document_is_written(roll):
    done = roll("openapi", "shop:app")
    assert (done.returncode, done.stderr) == (0, "")
    made = json.loads(done.stdout)
    assert made["info"]["title"] == "Shop"
    assert [*made["paths"]] == ["/items/{id}"]
    assert done.stdout.endswith("}\n")


def test_an_app_without_a_document_is_an_error(roll):
    done = roll("openapi", "shop:undocumented")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("Error: the app has no document: call openapi(app")


def test_a_view_that_cannot_be_documented_is_an_error(roll):
    done = roll("openapi", "shop:wrong")
    assert (done.returncode, done.stdout) == (4, "")
    assert "shop.find: where: a text cannot be a dict" in done.stderr


def test_roll_check_reports_it(roll):
    done = roll("check", "shop:wrong")
    assert done.returncode == 1
    [line] = [line for line in done.stdout.splitlines() if "shop.find" in line]
    assert line.startswith(
        "/items/{id:int}: shop.find: where: a text cannot be a dict: mark it with "
        "Body(). The route is declared at "
    )
    assert "shop.find" not in roll("check", "shop:app").stdout
