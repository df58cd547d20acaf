"""Every regular expression that sees a client's bytes works in linear time.

`re` backtracks: an expression with two repeats that may take the same text tries all
ways to share it out. The expressions are found in the sources, so that a new one is
tried, too; their steps are counted, see `backtracking.py`.
"""

import ast
import importlib
import random
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from roll.routing.patterns import KINDS, Pattern

from tests.backtracking import Matcher, deep_recursion, kinds, worst

ROOT = Path(__file__).parent.parent
SOURCES = sorted(ROOT.glob("packages/*/src/**/*.py"))

FUNCTIONS = {"compile", "match", "search", "sub", "subn", "fullmatch", "split"}
FUNCTIONS |= {"findall", "finditer"}
METHODS = FUNCTIONS - {"compile"} | {"scanner"}
# Many other objects have methods of these names.
AMBIGUOUS = {"split", "match"}

# Module and name, or source where it has none: why no client's bytes come there.
NEVER = {
    "roll.routing.expressions:re.compile(expression)": (
        "an expression of a route, which is only checked here: see DYNAMIC"
    ),
    "roll.routing.expressions:re.compile(f'[{characters}]')": (
        "tries one character of an expression of a route"
    ),
    "roll.routing.patterns:_BRACE": "reads the path of a route",
    "roll.routing.patterns:re.fullmatch('\\\\w+', name)": "reads the type of a route",
    "roll.cookies:_ATTRIBUTE": "checks the path and domain that a view sets",
    "roll_logger:_NAME": "checks the name of a header, an option",
    "roll_server.new:NAME": "reads an argument of the command",
    "roll_server.new:re.match('roll[-_]', name)": "reads an argument of the command",
    "roll_static:_FIELD_VALUE": "checks an option",
    "roll_static:re.compile(immutable)": "an option, searched in names of files",
    "roll_contract.contract:re.compile('[\\\\w.-]*\\\\d[\\\\w.-]*')": (
        "reads answers of an app under test"
    ),
}

# What is put together while an app is built: the types of placeholders, and patterns.
# An expression of a route that is not linear, and a pattern with several placeholders,
# are matched with short texts only: see `roll.routing.expressions.longest`.
PATTERNS = ["/a{b}", "/{a:int}.json", "/v{a:float}x", "/{a:uuid}!", "/{a:path}/x"]
DYNAMIC = {
    "roll.routing.patterns:re.compile(kind.regex, re.DOTALL)": [
        kind.regex for kind in KINDS.values()
    ],
    "roll.routing.patterns:re.compile(shape, re.DOTALL)": [
        piece.shape for text in PATTERNS for piece in Pattern(text).pieces
    ],
}


class Found(NamedTuple):
    """A regular expression in the sources."""

    place: str
    pattern: re.Pattern | None
    """None when it is not known before an app is built."""
    methods: frozenset[str]


# Finding them


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts[3:]
    return ".".join(parts).removesuffix(".__init__")


def is_of_re(node):
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr in FUNCTIONS
    )


class Module:
    """One source: its tree, its globals, and who stands around each node."""

    def __init__(self, path):
        self.package = path.relative_to(ROOT).parts[1]
        self.tree = ast.parse(path.read_text())
        self.name = module_name(path)
        self.calls = [node for node in ast.walk(self.tree) if is_of_re(node)]
        self.parents = {
            child: node
            for node in ast.walk(self.tree)
            for child in ast.iter_child_nodes(node)
        }

    @property
    def globals(self):
        return vars(importlib.import_module(self.name))

    def patterns(self):
        """Give the names of the module that are patterns."""
        if not re.search(r"\bre\b|[A-Z]{3}", ast.unparse(self.tree)):
            return {}
        return {
            name: value
            for name, value in self.globals.items()
            if isinstance(value, re.Pattern)
        }

    def evaluate(self, call):
        """Compile what a call compiles; None when it depends on more than globals."""
        last = {"sub": 4, "subn": 4, "split": 3}.get(call.func.attr, 2)
        flags = [word.value for word in call.keywords if word.arg == "flags"]
        if call.func.attr == "compile":
            flags += call.args[1:2]
        else:
            flags += call.args[last:]
        try:
            arguments = [
                eval(ast.unparse(node), self.globals) for node in [call.args[0], *flags]
            ]
        except (NameError, AttributeError):
            return None
        return re.compile(*arguments)

    def title(self, call):
        """Give the name that a call is assigned to, or its source."""
        parent = self.parents[call]
        at_top = isinstance(self.parents.get(parent), ast.Module)
        if at_top and isinstance(parent, ast.Assign):
            return parent.targets[0].id
        return ast.unparse(call)


MODULES = [Module(path) for path in SOURCES if "templates" not in path.parts]


def method_of(parents, node):
    """Tell by which method of a pattern an expression is used; None for another use."""
    parent = parents[node]
    if not isinstance(parent, ast.Attribute):
        return None
    call = parents[parent]
    if parent.attr == "match" and isinstance(call, ast.Call) and len(call.args) > 1:
        return "consume"  # where the last match ended
    return parent.attr


def uses(name, package):
    """Find the methods by which a package uses a pattern of this name.

    A pattern that is handed on may be used by every method that its package calls on
    what is not known to be a pattern.
    """
    found = set()
    handed_on = False
    for module in (one for one in MODULES if one.package == package):
        for node in ast.walk(module.tree):
            if not (isinstance(node, ast.Name) and node.id == name):
                continue
            if isinstance(node.ctx, ast.Load):
                method = method_of(module.parents, node)
                handed_on = handed_on or method is None
                found.add(method)
    if handed_on:
        found |= unknown_uses(package)
    found &= METHODS | {"consume"}
    return frozenset(found or {"findall"})  # which is the strictest


def unknown_uses(package):
    modules = [module for module in MODULES if module.package == package]
    known = {"re", *(name for module in modules for name in module.patterns())}
    return {
        node.attr
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr in METHODS - AMBIGUOUS
        if not (isinstance(node.value, ast.Name) and node.value.id in known)
    }


def find(module):
    named = module.patterns()
    for call in module.calls:
        title = module.title(call)
        place = f"{module.name}:{title}"
        if title in named:
            methods = uses(title, module.package)
        elif call.func.attr != "compile":
            methods = frozenset({call.func.attr})
        else:
            method = method_of(module.parents, call)
            methods = frozenset({method if method in METHODS else "findall"})
        yield Found(place, module.evaluate(call), methods)


FOUND = {found.place: found for module in MODULES for found in find(module)}
TRIED = [
    (place, pattern, method)
    for place, found in FOUND.items()
    if place not in NEVER
    for pattern in (
        [re.compile(text, re.DOTALL) for text in DYNAMIC[place]]
        if place in DYNAMIC
        else [found.pattern]
    )
    for method in sorted(found.methods)
]


# That the net has no holes


def test_there_are_expressions_to_try():
    tried = {(place, method) for place, _, method in TRIED}
    assert len(tried) > 35
    assert ("roll.request:_COOKIE", "findall") in tried
    assert ("roll.forms.multipart:_PARAMETER", "consume") in tried
    assert ("roll_cors.policy:ORIGIN", "fullmatch") in tried  # which is handed on
    assert ("roll_negotiation.choices:_MEDIA_RANGE", "findall") in tried  # by the core
    assert ("roll.preferences:_PARAMETER", "consume") in tried


def test_what_is_put_together_later_is_in_a_table():
    unknown = {place for place, found in FOUND.items() if found.pattern is None}
    assert unknown - NEVER.keys() == DYNAMIC.keys()


def test_the_tables_have_nothing_that_is_gone():
    assert NEVER.keys() | DYNAMIC.keys() <= FOUND.keys()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_no_pattern_is_made_in_another_way(module):
    known = [found.pattern for found in FOUND.values()]
    assert [one for one in module.patterns().values() if one not in known] == []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module == "re":
            assert {one.name for one in node.names} <= {"_constants", "_parser"}
        if isinstance(node, ast.Import):
            names = {one.name: one.asname for one in node.names}
            assert names.get("re") is None
            assert "regex" not in names


# That steps are counted as `re` takes them

SAMPLES = [
    r"(?:a|ab)(?:c|bcd)*d?",
    r"(?:a*?b|a{2,3}?c)+",
    r"(?>a*|b)ab|(?:a|b)*+c",
    r"a{0,2}+a(?=b|\Z)(?!bb)",
    r"^[^ab\d]+?$|(?i:A[b-d])\w",
    r"(?:a?|b)*c|(?:|a)+b",
    r"a++b?+|(?:ab){1,2}+c",
]
BAD = [
    # Cubic and quadratic expressions: the sources once had both.
    (
        r"""; [ \t]* (?P<name> [!#$%&'*+.^_`|~0-9A-Za-z-]+ ) [ \t]*
        = [ \t]* (?: "(?:[^"\\]|\\.)*+" | "[^"]*" | [^";]* ) [ \t]* (?= ; | \Z )""",
        "consume",
    ),
    (rb"\ncookie:[ \t]*([^\r]*[^\r \t])", "findall"),
    # One fault each.
    (r"a*a*b", "fullmatch"),
    (r"a*[ab]?a*b", "match"),
    (r"(?:a+)+b", "match"),
    (r"(?:a|a)*b", "fullmatch"),
    (r"(?:a|ab|b)*c", "fullmatch"),
    (r"(?:\w+\s?)*!", "match"),
    (r"a+b", "search"),
    (r"<[^>]*>", "findall"),
    (r"x[^y]*y", "sub"),
    (r"[ \t]+$", "search"),
    (r"a(?=[^b]*b)", "findall"),
    (r"(?:a|b(?=.*c))", "consume"),
    (r"[\w.-]*\d[\w.-]*", "sub"),
    (r"a*?a*?b", "match"),
]


def texts_of(matcher, count, longest):
    """Make random texts of the characters that an expression tells apart."""
    rng = random.Random(7)
    alphabet = [one for one in kinds(matcher) if one.isascii()]
    for _ in range(count):
        yield "".join(rng.choices(alphabet, k=rng.randrange(longest)))


def spans_of(pattern, text, method):
    """Ask `re` itself."""
    if isinstance(pattern.pattern, bytes):
        text = text.encode("latin-1")
    if method in ("fullmatch", "match", "search"):
        found = getattr(pattern, method)(text)
        return [found.span()] if found else []
    return [found.span() for found in pattern.finditer(text)]


ALL = {found.pattern for found in FOUND.values()} - {None}
ALL |= {re.compile(sample) for sample in SAMPLES}
ALL |= {re.compile(bad, re.VERBOSE) for bad, _ in BAD}


@pytest.mark.parametrize("pattern", sorted(ALL, key=repr), ids=lambda one: one.pattern)
def test_the_counter_finds_what_re_finds(pattern):
    matcher = Matcher(pattern)
    for text in texts_of(matcher, 60, 12):
        for method in ("fullmatch", "match", "search", "findall"):
            found = matcher.spans(text, method)
            assert found == spans_of(pattern, text, method), (text, method)


# What holds


@pytest.fixture(autouse=True)
def deep():
    with deep_recursion():
        yield


@pytest.mark.parametrize(("bad", "method"), BAD)
def test_what_is_not_linear_is_found(bad, method):
    growth, _ = worst(Matcher(re.compile(bad, re.VERBOSE)), method)
    assert growth > 2


@pytest.mark.parametrize(
    ("pattern", "method"),
    [pytest.param(*rest, id=f"{place}.{rest[1]}") for place, *rest in TRIED],
)
def test_an_expression_is_linear(pattern, method):
    growth, attack = worst(Matcher(pattern), method)
    assert growth < 1.3, attack
