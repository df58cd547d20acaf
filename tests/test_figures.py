"""How roll-core is built stays as easy to read as it is: see figures.py."""

from pathlib import Path

import pytest

from tests import figures

ROOT = Path(__file__).parent.parent

# What is above the bound of `figures.FIGURES` today, and may not grow.
ABOVE = {
    "lines of the largest class": 630,
    "changes of file on the way of one GET": 25,
    "lines of code of roll-core": 6541,
}


@pytest.mark.parametrize("title", figures.FIGURES)
def test_a_figure_keeps_its_bound(title):
    count, most = figures.FIGURES[title]
    assert count(ROOT) <= ABOVE.get(title, most)


def test_a_circle_of_imports_is_found(tmp_path):
    package = tmp_path / "packages" / "roll-core" / "src" / "roll"
    package.mkdir(parents=True)
    for name, source in {
        "__init__": "",
        "a": "from .b import x",
        "b": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import c",
        "c": "import roll.a\nimport roll.d",
        "d": "",
    }.items():
        (package / f"{name}.py").write_text(source)
    assert figures.largest_circle(tmp_path) == 3
    (package / "c.py").write_text("import roll.d")
    assert figures.largest_circle(tmp_path) == 0
