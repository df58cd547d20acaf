"""Messages, docstrings and pages say plainly what something is not."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXTS = [
    path
    for pattern in ("packages/*/src/**/*.py", "packages/*/README.md", "docs/**/*.md")
    for path in sorted(ROOT.glob(pattern))
]
IDIOMS = {
    # "is not a path", not "is no path"
    "is no": r"(?<!there )\b(is|are) no (?!more\b|longer\b)[a-z]",
    "what is no": r"\bwhat is no\b",
    "but for": r"\bbut for (?!more\b)[a-z]+ of\b",
}


@pytest.mark.parametrize("idiom", IDIOMS)
def test_no_text_has_the_idiom(idiom):
    pattern = re.compile(IDIOMS[idiom], re.IGNORECASE)
    found = {
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in TEXTS
        for line in path.read_text().splitlines()
        if pattern.search(line)
    }
    assert found == set()


def test_there_are_texts_to_look_at():
    assert len(TEXTS) > 100
