"""The reference has everything, with its real signature, and every link is good.

That the blocks of Python on the pages run is seen to by conftest.py; blocks that are
tests themselves are run here.
"""

import ast
import inspect
import os
import re
import runpy
import subprocess
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote

import pytest
import roll
from roll import Limits, Roll, extensions, hookspecs, plugins
from roll.events import EVENTS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
READMES = ["*.md", "examples/README.md", "packages/*/README.md"]
# Where a README that is read elsewhere, on a package page, finds the files.
REPOSITORY = "https://github.com/pyrates/roll/blob/main/"
PAGES = sorted([*DOCS.rglob("*.md"), *(p for name in READMES for p in ROOT.glob(name))])

SETTINGS = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
"""

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def name_of(page):
    return str(page.relative_to(ROOT))


def blocks(page):
    """Give language and content of each fenced block of a page."""
    return FENCE.findall(page.read_text())


def headings(page):
    """List the headings of a page, without their number signs."""
    prose = FENCE.sub("", page.read_text())
    return re.findall(r"^#+ (.+)$", prose, re.MULTILINE)


def anchor(heading):
    """Write the anchor of a heading as Python-Markdown does."""
    text = re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower()
    return re.sub(r"[-\s]+", "-", text)


def sections(page):
    """Map the headings of a page to what stands under each, up to the next one."""
    prose = FENCE.sub("", page.read_text())
    pieces = re.split(r"^#+ (.+)$", prose, flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def hooks():
    """Write the signature of each hook as hookspecs.py does."""
    for name, function in vars(hookspecs).items():
        if hasattr(function, "roll_spec"):
            (node,) = ast.parse(inspect.getsource(function)).body
            arguments, result = ast.unparse(node.args), ast.unparse(node.returns)
            yield f"{name}({arguments}) -> {result}"


def events():
    """Write the signature of each event."""
    for name, arguments in EVENTS.items():
        extras = ["**extras"] if name == "route:add" else []
        yield f"{name}({', '.join([*arguments, *extras])})"


def test_there_are_hooks_to_look_for():
    assert len(list(hooks())) == 3


@pytest.mark.parametrize("signature", [*hooks()])
def test_every_hook_has_its_section(signature):
    page = REFERENCE / "hooks.md"
    assert f"`{signature}`" in headings(page)
    assert "asks this hook" in sections(page)[f"`{signature}`"] or (
        "calls this hook" in sections(page)[f"`{signature}`"]
    ), "say who asks, and when"


@pytest.mark.parametrize("signature", [*events()])
def test_every_event_has_its_section(signature):
    page = REFERENCE / "events.md"
    assert f"`{signature}`" in headings(page)
    section = sections(page)[f"`{signature}`"]
    assert "Runs " in section, "say when"
    assert "\nTrue " in section, "say what True does"


def test_no_section_tells_of_a_hook_or_an_event_that_is_not():
    documented = headings(REFERENCE / "hooks.md") + headings(REFERENCE / "events.md")
    signatures = {title.strip("`") for title in documented if "(" in title}
    assert signatures == {*hooks(), *events()}


@pytest.mark.parametrize("name", roll.__all__)
def test_every_public_name_stands_in_the_reference(name):
    titles = " ".join(headings(REFERENCE / "core.md"))
    assert re.search(rf"\b{name}\b", titles), "give it a section in core.md"


def public_names():
    """Write each public name of each package, as `package.name`."""
    for marker in sorted(ROOT.glob("packages/*/src/*/py.typed")):
        package = import_module(marker.parent.name)
        yield from (f"{package.__name__}.{name}" for name in package.__all__)


# It belongs to the library `websockets`, which is not read for the reference.
FOREIGN = {"roll_websockets.ConnectionClosed"}


def test_every_public_name_has_its_entry_in_the_generated_reference():
    pages = "".join(page.read_text() for page in REFERENCE.glob("api/*.md"))
    entries = re.findall(r"^::: (roll_\w+\.\w+|roll\.\w+)$", pages, re.MULTILINE)
    modules = {"ending", "logs", "loops", "peers", "plugins", "preferences", "typing"}
    named = {*public_names(), *(f"roll.{name}" for name in modules)}
    assert sorted(entries) == sorted(named - FOREIGN), (
        "write `::: package.name` on a page of docs/reference/api"
    )
    assert all(f"`{name}`" in pages for name in FOREIGN)


@pytest.mark.parametrize("field", fields(Limits), ids=lambda field: field.name)
def test_every_limit_stands_in_the_reference_with_its_default(field):
    row = rf"^\| `{field.name}` \| ([^|]+) \|"
    found = re.search(row, sections(REFERENCE / "core.md")["Limits"], re.MULTILINE)
    number, _, unit = found[1].partition(" ")
    scale = {"": 1, "KiB": 2**10, "MiB": 2**20}[unit]
    assert (None if number == "None" else int(number) * scale) == field.default


def attributes():
    """List the public names of the objects that views and listeners hold."""
    names = {"WebsocketProtocol"}  # not there without a package that gives it
    for kind in (Roll(), roll.Request, roll.Response, roll.Multidict, roll.Query):
        names.update(set(dir(kind)) - set(dir(dict)))
    return sorted(name for name in names if not name.startswith("_"))


@pytest.mark.parametrize("name", attributes())
def test_every_attribute_stands_in_the_reference(name):
    page = FENCE.sub("", (REFERENCE / "core.md").read_text())
    assert re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", page)


@pytest.mark.parametrize("name", [*plugins.extensions()])
def test_every_installed_extension_stands_in_the_reference(name):
    assert f"`{name}`" in headings(REFERENCE / "extensions.md")


@pytest.mark.parametrize(("name", "distribution"), [*extensions.DISTRIBUTIONS.items()])
def test_the_reference_names_who_publishes_an_extension(name, distribution):
    page = (REFERENCE / "extensions.md").read_text()
    rows = [line for line in page.splitlines() if f"`{name}`" in line]
    assert any(row.endswith(f"| {distribution} |") for row in rows)


def links():
    for page in PAGES:
        for target in LINK.findall(FENCE.sub("", page.read_text())):
            if target.startswith(REPOSITORY):
                yield ROOT / "README.md", target.removeprefix(REPOSITORY)
            elif "://" not in target and not target.startswith("mailto:"):
                yield page, target


@pytest.mark.parametrize(
    ("page", "target"),
    [*links()],
    ids=lambda value: str(value).removeprefix(f"{ROOT}/"),
)
def test_every_link_leads_somewhere(page, target):
    path, _, fragment = unquote(target).partition("#")
    file = page.parent / path if path else page
    assert file.exists()
    if fragment:
        assert fragment in map(anchor, headings(file))


def pages_with_tests():
    return [
        page
        for page in PAGES
        if any("\nasync def test_" in code for _, code in blocks(page))
        # A package has to be installed: see test_tutorials.py.
        and not any(code.startswith("# src/") for _, code in blocks(page))
    ]


@pytest.mark.parametrize("page", pages_with_tests(), ids=name_of)
def test_the_tests_on_a_page_pass(page, tmp_path):
    files = {"pytest.ini": SETTINGS}
    for language, code in blocks(page):
        # A first line such as `# notes.py` says which file a block belongs to.
        named = re.match(r"(?:# |<!-- )([\w./]+)(?: -->)?\n", code)
        if named or language == "python":
            name = named[1] if named else "test_page.py"
            before = "" if name == "pytest.ini" else files.get(name, "")
            files[name] = before + code
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    count = len(re.findall("^async def test_", "".join(files.values()), re.MULTILINE))
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= count


def test_every_example_stands_on_the_page_of_examples():
    hook = runpy.run_path(str(ROOT / "mkdocs_hooks.py"))["on_page_markdown"]
    page = hook((DOCS / "how-to" / "examples.md").read_text())
    for example in ROOT.glob("examples/*/__init__.py"):
        assert f"```python\n{example.read_text()}```" in page


def test_no_page_is_left_out_of_the_navigation():
    settings = (ROOT / "mkdocs.yml").read_text()
    missing = [
        str(name)
        for page in sorted(DOCS.rglob("*.md"))
        if not re.search(rf"[:-] {(name := page.relative_to(DOCS))}\n", settings)
        and not name.match("reference/api/roll-*.md")  # mkdocs_hooks.py adds them
    ]
    assert not missing, "add them to nav in mkdocs.yml"


@pytest.mark.parametrize(
    ("html", "asks"),
    [
        ('<script src="assets/a.js"></script><a href="https://x.test/">x</a>', False),
        ('<link rel="canonical" href="https://x.test/">', False),
        ('<script async src="https://x.test/a.js"></script>', True),
        ("<img alt='' src='//x.test/a.png'>", True),
        ('<link rel="stylesheet" href="https://x.test/a.css">', True),
    ],
)
def test_the_build_warns_of_what_another_host_would_be_asked(html, asks, caplog):
    hook = runpy.run_path(str(ROOT / "mkdocs_hooks.py"))["on_post_page"]
    assert hook(html, page="a page") == html
    assert ("a page asks another host" in caplog.text) is asks
