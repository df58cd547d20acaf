"""Regular expressions of placeholders: what they match, and how long that may take.

`re` backtracks: for some expressions, a text of thirty characters takes minutes. An
expression is parsed with Python's own parser, and the ways that it may try are counted.
The count bounds the length of texts; an expression without a useful bound is rejected.
"""

import bisect
import math
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from re import _constants as ops  # type: ignore[attr-defined]  # nothing public
from re import _parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

PATIENCE = 2_000_000
"""Ways through a text that `re` may try: about 50 milliseconds."""

LONGEST = 1 << 16
"""The largest length of a text, even for an expression with a single way."""

SHORTEST = 16
"""The length of text that every expression must allow."""

_FEW = 16
"""The most repetitions that count as written out."""

_REPEATS = frozenset({ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT})


class Freedom(NamedTuple):
    """How many ways an expression has through a text."""

    repeats: int = 0
    """Unbounded repeats in a row: each may end anywhere."""
    choices: int = 1
    """Ways through the rest: optional parts, short repeats, alternatives."""

    def __bool__(self) -> bool:
        return self.repeats > 0 or self.choices > 1

    def then(self, other: "Freedom", times: int = 1) -> "Freedom":
        """Combine with *other* after it, repeated so many times."""
        return Freedom(
            self.repeats + other.repeats * times, self.choices * other.choices**times
        )


def check(expression: str) -> None:
    """Check that an expression is allowed in a placeholder.

    Raises:
        ValueError: It does not compile, has a group, or may take too long; the message
            follows the expression.
    """
    try:
        compiled = re.compile(expression)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is not a regular expression: {error}") from error
    if compiled.groups:
        raise ValueError("has a group: write (?:...) instead")
    if compiled.flags & ~re.UNICODE:
        raise ValueError("sets flags for all of a path: write (?i:...), for example")
    longest([expression])


def longest(expressions: Iterable[str]) -> int:
    """Give the largest length of a text that consecutive expressions may be tried on.

    Raises:
        ValueError: They may take too long on a short text.
    """
    freedom = Freedom()
    for expression in expressions:
        freedom = freedom.then(_freedom(expression))

    def ways(length: int) -> int:
        return freedom.choices * math.comb(length + freedom.repeats, freedom.repeats)

    length = bisect.bisect(range(LONGEST), PATIENCE, key=ways)
    if length < SHORTEST:
        raise ValueError("has too many ways through a text: write it with fewer parts")
    return length


@lru_cache(maxsize=256)  # most patterns share a few types
def _freedom(expression: str) -> Freedom:
    return _count(_parser.parse(expression))


def _count(parsed: Any) -> Freedom:
    freedom = Freedom()
    for operation, argument in parsed:
        if operation in _REPEATS:
            freedom = freedom.then(_count_repeat(*argument))
        elif operation is ops.BRANCH:
            freedom = freedom.then(_count_branch(argument[1]))
        else:
            for inner in _inner(argument):
                freedom = freedom.then(_count(inner))
    return freedom


def _count_repeat(least: int, most: int, repeated: Any) -> Freedom:
    inner = _count(repeated)
    if most > _FEW and inner:
        raise ValueError("repeats a repeat, which may take for ever: write it without")
    if most - least > _FEW:
        return Freedom(repeats=1)
    return Freedom(choices=most - least + 1).then(inner, most if inner else 0)


def _count_branch(alternatives: list[Any]) -> Freedom:
    counts = [_count(alternative) for alternative in alternatives]
    if not any(counts) and _differ_at_once(alternatives):
        return Freedom()
    return Freedom(
        max(count.repeats for count in counts), sum(count.choices for count in counts)
    )


def _differ_at_once(alternatives: list[Any]) -> bool:
    """Whether the first character determines the alternative."""
    firsts = [alternative[0] for alternative in alternatives if len(alternative)]
    literals = {
        chr(argument).casefold()
        for operation, argument in firsts
        if operation is ops.LITERAL
    }
    return len(literals) == len(alternatives)


def _inner(argument: Any) -> Iterator[Any]:
    """Find the parsed expressions within the argument of an operation."""
    if isinstance(argument, _parser.SubPattern):
        yield argument
    elif isinstance(argument, (tuple, list)):
        for part in argument:
            yield from _inner(part)


# What an expression matches


def may_be_empty(expression: str) -> bool:
    """Whether it may match an empty text; only a False is certain."""
    return bool(_parser.parse(expression).getwidth()[0] == 0)


def may_take_slash(expression: str) -> bool:
    """Whether it may match a slash; only a False is certain."""
    return any(
        _takes_slash(operation, argument)
        for operation, argument in _walk(_parser.parse(expression))
    )


def takes_only(expression: str, characters: str) -> bool:
    """Whether it matches no character but *characters*; only a True is certain.

    Args:
        expression: An expression.
        characters: The content of a set in brackets, such as `0-9`.
    """
    takes = re.compile(f"[{characters}]").fullmatch
    return all(
        takes(chr(argument)) is not None
        for operation, argument in _walk(_parser.parse(expression))
        for argument in _characters(operation, argument)
    )


def _walk(parsed: Any) -> Iterator[tuple[Any, Any]]:
    """Give each operation of a parsed expression."""
    for operation, argument in parsed:
        yield operation, argument
        for inner in _inner(argument):
            yield from _walk(inner)


def _characters(operation: Any, argument: Any) -> Iterable[int]:
    """List the characters of an operation; a slash means that they cannot be listed."""
    if operation is ops.LITERAL:
        return (argument,)
    if operation is ops.RANGE and argument[1] < 128:
        return range(argument[0], argument[1] + 1)
    if operation is ops.IN:
        return [character for part in argument for character in _characters(*part)]
    if operation in _REPEATS or operation is ops.BRANCH:
        return ()  # its parts are listed separately
    return (ord("/"),)


def _takes_slash(operation: Any, argument: Any) -> bool:
    if operation is ops.LITERAL:
        return bool(argument == ord("/"))
    if operation is ops.NOT_LITERAL:
        return bool(argument != ord("/"))
    if operation is ops.IN:
        return _set_takes_slash(argument)
    return operation is ops.ANY


def _set_takes_slash(parts: Any) -> bool:
    negated = parts[0][0] is ops.NEGATE
    takes = False
    for operation, argument in parts:
        if operation is ops.LITERAL:
            takes |= argument == ord("/")
        elif operation is ops.RANGE:
            takes |= argument[0] <= ord("/") <= argument[1]
        elif operation is ops.CATEGORY:
            takes |= "NOT" in str(argument)  # \D, \S and \W match a slash
    return takes != negated
