"""Texts are plain English: none has an idiom that is hard to read.

The idioms are those that contributors have written again and again. The pages, the
docstrings, the comments and the messages of all Python files are looked at.
"""

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ["benchmarks", "docs", "examples", "packages", "tests"]
FILES = [
    path
    for folder in [ROOT, *(ROOT / name for name in FOLDERS)]
    for suffix in (".md", ".py")
    for path in sorted(folder.glob(f"*{suffix}" if folder == ROOT else f"**/*{suffix}"))
    if path != Path(__file__)
]
# What to write instead: the pattern of an idiom, and an example of it.
IDIOMS = {
    "is not a path": (
        r"(?<!there )\b(is|are|was|were) no (?!more\b|longer\b|\d)[a-z`*]",
        "'x' is no path",
    ),
    "is not one": (
        r"(?<!there )\b(is|are|was|were) (?-i:none)\b",
        "ValueError: It is none.",
    ),
    "except": (r"\bbut for\b", "any piece, but for another stream"),
    "for example": (r", for one\b(?! [a-z])", "The disk is full, for one."),
    "do not": (r"\bis an? (error|mistake) to\b", "It is an error to do that."),
    "rely on": (r"\bcount(s|ed)? on\b", "Do not count on that."),
    "stops accepting": (r"\bstop(s|ped)? to\b", "a server stops to accept"),
    "the requests that it has received": (
        r"\bwhat (has|have|had)? ?(come|came)\b",
        "answers what has come",
    ),
    "clients that accept it": (
        r"\b(as|by|for|from|of|pauses?|to) who (?!(has|have|is|are|was)\b)[a-z]+s\b",
        "sent to who accepts it",
    ),
    "the code that reads it": (r"\bwho reads\b", "It tells who reads it."),
    "the client sends": (
        r"\b(browser|client|header|peer|request|server)s? (say|says|said)\b",
        "what the client says",
    ),
    "forever": (r"\bfor ever\b", "It waits for ever."),
    "again": (r"\banew\b", "The search begins anew."),
    "a client that": (r"\bwhoever\b", "Whoever ends its side gets a response."),
    "in a thread": (r"\boff the loop\b", "The file is written off the loop."),
    "before others run": (
        r"\b(has|have|had) (its|their) turn\b",
        "before others have their turn",
    ),
    "the response": (
        r"\b(an|each|every|its|the|whole) answer\b(?! to (a|the) question)"
        r"|\b(its|the) answers\b",
        "The answer is sent.",
    ),
}


def text_of(path):
    """Give a file's text on one line: of Python, its comments and strings alone."""
    text = path.read_text()
    if path.suffix == ".py":
        kinds = {tokenize.COMMENT, tokenize.STRING}
        kinds.add(getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING))
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        text = " ".join(token.string for token in tokens if token.type in kinds)
    return re.sub(r"[\s#>]+", " ", text)


TEXTS = {str(path.relative_to(ROOT)): text_of(path) for path in FILES}


@pytest.mark.parametrize("instead", IDIOMS)
def test_no_text_has_the_idiom(instead):
    idiom, example = IDIOMS[instead]
    pattern = re.compile(idiom, re.IGNORECASE)
    assert pattern.search(example)
    found = [
        f"{name}: {text[max(match.start() - 40, 0) : match.end() + 20]}"
        for name, text in TEXTS.items()
        for match in pattern.finditer(text)
    ]
    assert not found, "\n".join([f"write: {instead}", *found])


def test_there_are_texts_to_look_at():
    assert len(TEXTS) > 500
