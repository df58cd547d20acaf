"""Runs the examples of the docs and the READMEs, each page from top to bottom.

They are the blocks of Python, and those of a console that only call curl: these ask the
`app` of the page, and print what the page says. A block of HTML that begins with the
name of a file is written to that file, in the folder of the page's `__file__`.
"""

import builtins
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser


def name_the_page(namespace):
    # Without it, the name of what a page defines would be that of `builtins`.
    namespace["__name__"] = "docs"
    namespace["__file__"] = f"{tempfile.mkdtemp()}/page.py"


def remove_files(namespace):
    shutil.rmtree(Path(namespace["__file__"]).parent)


def write_file(example):
    if named := re.match(r"<!-- ([\w./]+) -->\n", example.parsed):
        path = Path(example.namespace["__file__"]).parent / named[1]
        path.parent.mkdir(exist_ok=True)
        path.write_text(example.parsed)


def run_curl(example):
    commands = re.split(r"^\$ ", example.parsed, flags=re.MULTILINE)[1:]
    curl = shutil.which("curl")
    if not curl or {command.split()[0] for command in commands} != {"curl"}:
        return
    from examples.hello.browser import serve

    # Sybil takes it away after each block of Python; imports in C code look for it.
    example.namespace["__builtins__"] = builtins
    with serve(example.namespace["app"]) as port:
        for command in commands:
            line, _, expected = command.replace("\\\n", "").partition("\n")
            _, *args = shlex.split(line.replace(":3579", f":{port}"))
            done = subprocess.run([curl, "-sS", *args], capture_output=True, text=True)
            printed = re.sub(r"^Date: .*\n", "", done.stdout, flags=re.MULTILINE)
            printed = printed.replace(f":{port}", ":3579").rstrip()
            assert printed == expected.rstrip(), f"{line}\n{done.stderr}"


pytest_collect_file = Sybil(
    parsers=[
        PythonCodeBlockParser(),
        CodeBlockParser(language="console", evaluator=run_curl),
        CodeBlockParser(language="html", evaluator=write_file),
        SkipParser(),
    ],
    patterns=["docs/*.md", "docs/*/*.md", "README.md", "packages/*/README.md"],
    setup=name_the_page,
    teardown=remove_files,
).pytest()

# An example may take as long as a slow machine needs.
settings.register_profile(
    "untimed",
    parent=settings(),  # under CI, another one than elsewhere
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("untimed")
