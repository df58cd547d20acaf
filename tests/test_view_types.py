"""What mypy reports of views: they are coroutine functions that return None."""

import itertools
import subprocess
import sys

from roll_testing import patience

VIEWS = """
from roll import Request, Response, Roll, RouteTable

app = Roll()
table = RouteTable()


@app.route("/")
@table.get("/")
async def index(request: Request, response: Response) -> None: ...

@app.route("/{name}")
class Named:
    async def on_get(self, request: Request, response: Response, name: str) -> None: ...
"""

WRONG = """
@{declare}("/wrong")
{define} wrong{number}(request: Request, response: Response) -> {result}:
    raise NotImplementedError
"""


def test_a_view_that_returns_something_or_is_plain_is_reported_and_no_other(tmp_path):
    kinds = itertools.product(
        ["app.route", "table.route", "table.get"],
        [("async def", "str"), ("def", "None"), ("def", "str")],
    )
    source = VIEWS
    wrong = []
    for number, (declare, (define, result)) in enumerate(kinds):
        wrong.append(len(source.splitlines()) + 2)
        source += WRONG.format(
            declare=declare, define=define, number=number, result=result
        )
    (tmp_path / "site.py").write_text(source)
    mypy = (sys.executable, "-m", "mypy", "--strict", f"--cache-dir={tmp_path}")
    done = subprocess.run(
        [*mypy, "site.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=patience(120),
    )
    *reports, _ = done.stdout.splitlines()
    problem = 'error: Value of type variable "V" of function cannot be'
    assert [report[: report.index(" be ") + 3] for report in reports] == [
        f"site.py:{line}: {problem}" for line in wrong
    ]
