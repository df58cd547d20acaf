"""The README of a package stands alone: it is what people see on its package page.

Its blocks of Python run by conftest.py, and test_docs.py follows its links.
"""

import ast
import inspect
import re
import tomllib
from pathlib import Path

import pytest
from roll import plugins

ROOT = Path(__file__).parent.parent
README = {path.parent.name: path for path in sorted(ROOT.glob("packages/*/README.md"))}
DOCS = "https://github.com/pyrates/roll/blob/main/docs/"
UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20}

each_package = pytest.mark.parametrize("name", README)


def blocks(name, language):
    text = README[name].read_text()
    pattern = rf"^```{language}\n(.*?)^```$"
    return re.findall(pattern, text, re.MULTILINE | re.DOTALL)


def extensions():
    """Give each extension of the packages here, with the name of its package."""
    modules = {path.name: path.parts[-3] for path in ROOT.glob("packages/*/src/*")}
    for name, function in plugins.extensions().items():
        if package := modules.get(function.__module__.partition(".")[0]):
            yield pytest.param(package, function, id=name)


def options(name):
    """Map the options in the tables of a README to their defaults, as written."""
    found = {}
    tables = re.findall(
        r"^\| option[^\n]*\n(?:\|[^\n]*\n)+", README[name].read_text(), re.M
    )
    for table in tables:
        for row in re.findall(r"^\| `(\S+)` \| ([^|]*) \|", table, re.MULTILINE):
            found.setdefault(row[0], []).append(row[1].strip())
    return found


def is_written(default, text):
    """Tell whether a text is a default value; one in words may be anything."""
    if number := re.fullmatch(r"([\d.]+) ?(KiB|MiB)?", text):
        return float(number[1]) * UNITS[number[2] or ""] == default
    try:
        return ast.literal_eval(text.strip("`")) == default
    except (SyntaxError, ValueError):
        return True


@each_package
def test_readme_begins_with_what_the_package_does(name):
    heading, blank, first = README[name].read_text().splitlines()[:3]
    assert (heading, blank) == (f"# {name}", "")
    assert first[0].isupper()
    opening = README[name].read_text().partition("```")[0]
    assert "the pico asyncio" in opening.replace("\n", " ") or name in {
        "roll",
        "roll-core",
    }, "say what Roll is: readers may not know"


@each_package
def test_readme_says_how_to_install_the_package(name):
    assert re.search(rf"^\$ pip install '?{name}\b", blocks(name, "console")[0], re.M)


@each_package
def test_readme_has_a_short_example(name):
    lines = [line for line in blocks(name, "python")[0].splitlines() if line.strip()]
    assert 4 <= len(lines) <= 25


@each_package
def test_readme_links_to_the_documentation(name):
    *_, last = README[name].read_text().strip().split("\n\n")
    assert f"]({DOCS}" in last


@each_package
def test_readme_has_no_link_that_leads_nowhere_on_a_package_page(name):
    links = re.findall(r"\]\(([^)]+)\)", README[name].read_text())
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


@each_package
def test_readme_has_a_table(name):
    assert re.search(r"^\| --- \|", README[name].read_text(), re.MULTILINE)


@pytest.mark.parametrize(("name", "extension"), [*extensions()])
def test_readme_has_each_option_with_its_default(name, extension):
    app, *parameters = inspect.signature(extension).parameters.values()
    assert app.name == "app"
    named = [p for p in parameters if p.kind is not p.VAR_KEYWORD]
    written = options(name)
    assert [p.name for p in named if p.name not in written] == []
    wrong = [
        (p.name, written[p.name])
        for p in named
        if not any(is_written(p.default, text) for text in written[p.name])
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("default", "text", "same"),
    [
        (65536, "64 KiB", True),
        (15.0, "15", True),
        (None, "`None`", True),
        ("Lax", '`"Lax"`', True),
        ((), "`()`", True),
        (15.0, "16", False),
        (None, "`False`", False),
        ("Lax", '`"Strict"`', False),
        (print, "in words", True),
    ],
)
def test_a_default_is_compared(default, text, same):
    assert is_written(default, text) is same


@each_package
def test_readme_names_the_extras_that_can_be_installed(name):
    settings = tomllib.loads((README[name].parent / "pyproject.toml").read_text())
    text = README[name].read_text()
    extras = settings["project"].get("optional-dependencies", {})
    named = {
        extra
        for words in re.findall(r"\[([a-z,]+)\]", text)
        for extra in words.split(",")
    }
    assert named >= extras.keys()
