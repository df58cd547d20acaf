"""Runs the Python blocks of the docs and the READMEs, each page from top to bottom."""

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser


def name_the_page(namespace):
    # Without it, the name of what a page defines would be that of `builtins`.
    namespace["__name__"] = "docs"


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["docs/*.md", "docs/*/*.md", "README.md", "packages/*/README.md"],
    setup=name_the_page,
).pytest()
