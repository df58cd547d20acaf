"""Runs the Python blocks of the docs and the READMEs, each page from top to bottom."""

from hypothesis import HealthCheck, settings
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

# An example may take as long as a slow machine needs.
settings.register_profile(
    "untimed",
    parent=settings(),  # under CI, another one than elsewhere
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("untimed")
