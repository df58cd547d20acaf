"""Counts the steps of a regular expression, and finds texts that cost it many.

`Matcher` interprets what Python's own parser makes of an expression, as `re` does:
by backtracking. Each character that is compared and each way that is tried is a step,
so a count says the same on every machine. `attacks` makes texts that grow.
"""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice, product
from re import _constants as ops
from re import _parser
from typing import NamedTuple

PROBES = [chr(code) for code in [*range(256), 0x17F, 0x660, 0x2028, 0x212A, 0x1F600]]
"""Characters of which one of each kind is taken: ASCII, Latin-1, some that fold."""

UNBOUNDED = 16
"""Repeats from which a count that is bounded is tried as one that is not."""

REPEATS = {ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT}
SINGLE = {ops.LITERAL, ops.NOT_LITERAL, ops.ANY, ops.IN}

Next = Callable[[int], int | None]
Node = Callable[[int, Next], int | None]


class TooManySteps(Exception):
    """The budget is spent."""


@contextmanager
def deep_recursion():
    """Let matchers recurse: once or more for each character."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(200_000)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


# Characters


def is_of_category(category, character, ascii_only):
    name = str(category).rpartition("_")[2]
    if name == "DIGIT":
        found = character.isdecimal()
    elif name == "SPACE":
        found = character.isspace()
    else:
        found = character.isalnum() or character == "_"
    if ascii_only:
        found = found and character.isascii()
        if name == "SPACE":
            found = character in " \t\n\r\f\v"
    return found != ("NOT" in str(category))


def is_in(items, character, ascii_only):
    negated = False
    found = False
    for operation, argument in items:
        if operation is ops.NEGATE:
            negated = True
        elif operation is ops.LITERAL:
            found = found or ord(character) == argument
        elif operation is ops.RANGE:
            found = found or argument[0] <= ord(character) <= argument[1]
        elif operation is ops.CATEGORY:
            found = found or is_of_category(argument, character, ascii_only)
        else:
            raise NotImplementedError(operation)
    return negated, found


def variants(character, flags):
    """Give the characters that count as this one, whatever their case if so asked."""
    if not flags & re.IGNORECASE:
        return {character}
    if flags & re.ASCII and not character.isascii():
        return {character}
    found = {character, character.lower(), character.upper()}
    if not flags & re.ASCII:
        for same in ("kK\u212a", "sS\u017f"):
            if not found.isdisjoint(same):
                found.update(same)
    return {one for one in found if len(one) == 1}


def takes(operation, argument, character, flags):
    """Tell whether an operation for a single character takes this one."""
    if operation is ops.ANY:
        return bool(flags & re.DOTALL) or character != "\n"
    if operation is ops.IN:
        # Case is folded before a set is negated.
        answers = [
            is_in(argument, one, bool(flags & re.ASCII))
            for one in variants(character, flags)
        ]
        return any(found for _, found in answers) != answers[0][0]
    same = argument in map(ord, variants(character, flags))
    return same == (operation is ops.LITERAL)


# Matching


class Matcher:
    """One expression, with a count of its steps.

    Args:
        pattern: Of text or of bytes; bytes are read as Latin-1.
    """

    def __init__(self, pattern: re.Pattern) -> None:
        self.pattern = pattern
        self.flags = pattern.flags
        if isinstance(pattern.pattern, bytes):
            self.flags |= re.ASCII
        self.tree = _parser.parse(pattern.pattern, pattern.flags)
        self.root = self._sequence(self.tree, self.flags)
        self.text = ""
        self.steps = 0
        self.budget = 0

    def count(self, text: str, method: str, budget: int = 10**7) -> int:
        """Count the steps that a method of the pattern takes on a text.

        Raises:
            TooManySteps: There are more than *budget*.
        """
        self.spans(text, method, budget)
        return self.steps

    def spans(
        self, text: str, method: str, budget: int = 10**7
    ) -> list[tuple[int, int]]:
        """Find what a method of the pattern finds: where it begins and ends."""
        self.text, self.steps, self.budget = text, 0, budget
        if method == "fullmatch":
            end = self._try(0, lambda end: end if end == len(text) else None)
            return [] if end is None else [(0, end)]
        if method == "match":
            end = self._try(0)
            return [] if end is None else [(0, end)]
        return list(self._scan(method))

    def _try(self, position: int, then: Next = lambda end: end) -> int | None:
        return self.root(position, then)

    def _scan(self, method: str) -> Iterator[tuple[int, int]]:
        """Find one after the other; `consume` is `match` from where the last ended."""
        position, empty_is_seen = 0, False
        while position <= len(self.text):
            self._tick()

            def then(end, start=position, seen=empty_is_seen):
                return None if seen and end == start else end

            end = self._try(position, then)
            if end is not None:
                yield position, end
                if method == "search":
                    return
                empty_is_seen = end == position
                position = end
            elif method == "consume":
                return
            else:
                empty_is_seen = False
                position += 1

    def _tick(self) -> None:
        self.steps += 1
        if self.steps > self.budget:
            raise TooManySteps(self.steps)

    def _sequence(self, tree, flags) -> Node:
        nodes = [self._node(operation, argument, flags) for operation, argument in tree]
        if not nodes:
            return lambda position, then: then(position)
        *firsts, joined = nodes
        for first in reversed(firsts):
            joined = self._pair(first, joined)
        return joined

    @staticmethod
    def _pair(first: Node, second: Node) -> Node:
        return lambda position, then: first(
            position, lambda middle: second(middle, then)
        )

    def _node(self, operation, argument, flags) -> Node:
        if operation in SINGLE:
            return self._single(operation, argument, flags)
        if operation in REPEATS:
            return self._repeat(operation, argument, flags)
        name = f"_{str(operation).lower()}"
        if not hasattr(self, name):
            raise NotImplementedError(f"{operation} in {self.pattern}")
        return getattr(self, name)(argument, flags)

    def _taker(self, operation, argument, flags) -> Callable[[int], bool]:
        known: dict[str, bool] = {}

        def take(position: int) -> bool:
            self._tick()
            if position >= len(self.text):
                return False
            character = self.text[position]
            if character not in known:
                known[character] = takes(operation, argument, character, flags)
            return known[character]

        return take

    def _single(self, operation, argument, flags) -> Node:
        take = self._taker(operation, argument, flags)
        return lambda position, then: then(position + 1) if take(position) else None

    def _repeat(self, operation, argument, flags) -> Node:
        least, most, body = argument
        if operation is ops.POSSESSIVE_REPEAT:
            return self._possessive(least, most, self._sequence(body, flags))
        if operation is ops.MIN_REPEAT:
            return self._lazy(least, most, self._sequence(body, flags))
        if len(body) == 1 and body[0][0] in SINGLE:
            return self._greedy_single(least, most, self._taker(*body[0], flags))
        return self._greedy(least, most, self._sequence(body, flags))

    def _greedy_single(self, least, most, take) -> Node:
        def node(position, then):
            end = position
            while end - position < most and take(end):
                end += 1
            for middle in range(end, position + least - 1, -1):
                self._tick()
                if (found := then(middle)) is not None:
                    return found
            return None

        return node

    def _greedy(self, least, most, body) -> Node:
        def again(position, then, count):
            self._tick()
            if count < most:
                found = body(
                    position,
                    lambda end: (
                        None
                        if end == position and count >= least
                        else again(end, then, count + 1)
                    ),
                )
                if found is not None:
                    return found
            return then(position) if count >= least else None

        return lambda position, then: again(position, then, 0)

    def _lazy(self, least, most, body) -> Node:
        def again(position, then, count):
            self._tick()
            if count >= least and (found := then(position)) is not None:
                return found
            if count >= most:
                return None
            return body(
                position,
                lambda end: (
                    None
                    if end == position and count >= least
                    else again(end, then, count + 1)
                ),
            )

        return lambda position, then: again(position, then, 0)

    def _possessive(self, least, most, body) -> Node:
        def node(position, then):
            count = 0
            while count < most:
                self._tick()
                end = body(position, lambda end: end)
                if end is None or (end == position and count >= least):
                    break
                position, count = end, count + 1
            return then(position) if count >= least else None

        return node

    def _atomic_group(self, body, flags) -> Node:
        inner = self._sequence(body, flags)

        def node(position, then):
            end = inner(position, lambda end: end)
            return None if end is None else then(end)

        return node

    def _branch(self, argument, flags) -> Node:
        alternatives = [self._sequence(one, flags) for one in argument[1]]

        def node(position, then):
            for alternative in alternatives:
                self._tick()
                if (found := alternative(position, then)) is not None:
                    return found
            return None

        return node

    def _subpattern(self, argument, flags) -> Node:
        _, added, removed, body = argument
        return self._sequence(body, (flags | added) & ~removed)

    def _look(self, argument, flags, wanted) -> Node:
        direction, body = argument
        if direction != 1:
            raise NotImplementedError("looking behind")
        inner = self._sequence(body, flags)

        def node(position, then):
            found = inner(position, lambda end: end)
            return then(position) if (found is not None) == wanted else None

        return node

    def _assert(self, argument, flags) -> Node:
        return self._look(argument, flags, True)

    def _assert_not(self, argument, flags) -> Node:
        return self._look(argument, flags, False)

    def _holds(self, argument, position, flags) -> bool:
        rest = self.text[position:]
        if argument is ops.AT_END_STRING:
            return not rest
        if argument is ops.AT_END:
            ends = rest in ("", "\n")
            return ends or bool(flags & re.MULTILINE and rest[0] == "\n")
        if argument in (ops.AT_BEGINNING, ops.AT_BEGINNING_STRING):
            line = flags & re.MULTILINE and argument is ops.AT_BEGINNING
            return not position or bool(line and self.text[position - 1] == "\n")
        raise NotImplementedError(argument)

    def _at(self, argument, flags) -> Node:
        def node(position, then):
            self._tick()
            return then(position) if self._holds(argument, position, flags) else None

        return node


# Texts that cost much


class Attack(NamedTuple):
    """A text that grows: what is pumped stands between a start and an end."""

    start: str
    pump: str
    end: str

    def text(self, length: int) -> str:
        """Make the text, with so many characters to pump."""
        return self.start + self.pump * (length // len(self.pump)) + self.end


class Repeat(NamedTuple):
    """A repeat in an expression, and what has to stand before it."""

    before: list[str]
    pumps: list[str]


def kinds(matcher: Matcher) -> list[str]:
    """Take one character of each kind that the expression tells apart."""
    singles = list(_singles(matcher.tree, matcher.flags))
    byte = isinstance(matcher.pattern.pattern, bytes)
    found: dict[tuple[bool, ...], str] = {}
    # Letters first, so that an attack can be read.
    for character in sorted(PROBES, key=lambda one: not one.isalnum()):
        if byte and ord(character) > 255:
            continue
        key = tuple(takes(*single[:2], character, single[2]) for single in singles)
        found.setdefault(key, character)
    return list(found.values())


def _singles(tree, flags):
    for operation, argument in tree:
        if operation in SINGLE:
            yield operation, argument, flags
        for body, inner_flags in _bodies(operation, argument, flags):
            yield from _singles(body, inner_flags)


def _bodies(operation, argument, flags):
    """Give the expressions within an operation, and the flags that hold in each."""
    if operation in REPEATS:
        yield argument[2], flags
    elif operation is ops.ATOMIC_GROUP:
        yield argument, flags
    elif operation is ops.BRANCH:
        for one in argument[1]:
            yield one, flags
    elif operation is ops.SUBPATTERN:
        yield argument[3], (flags | argument[1]) & ~argument[2]
    elif operation in (ops.ASSERT, ops.ASSERT_NOT):
        yield argument[1], flags


def witnesses(tree, flags, alphabet, most=4) -> list[str]:
    """Make a few texts that an expression takes, where it does not look around."""
    found = [""]
    for operation, argument in tree:
        options = _witnesses(operation, argument, flags, alphabet)
        found = [a + b for a, b in islice(product(found, options), most)]
    return found


def _witnesses(operation, argument, flags, alphabet) -> list[str]:
    if operation in SINGLE:
        taken = [one for one in alphabet if takes(operation, argument, one, flags)]
        return taken[:1] or [""]
    if operation in REPEATS:
        least, most, body = argument
        once = witnesses(body, flags, alphabet)
        if least > 1:
            return [one * min(least, 300) for one in once]
        return once if least or not most else [*once, ""]
    if operation in (ops.ASSERT, ops.ASSERT_NOT, ops.AT):
        return [""]
    return [
        one
        for body, inner_flags in _bodies(operation, argument, flags)
        for one in witnesses(body, inner_flags, alphabet)
    ]


def repeats(tree, flags, alphabet, before=("",)) -> Iterator[Repeat]:
    """Find every repeat that may take many characters, and a way to it."""
    before = list(before)
    for operation, argument in tree:
        if operation in REPEATS and argument[1] >= UNBOUNDED:
            yield Repeat(before, list(_pumps(argument[2], flags, alphabet)))
        for body, inner_flags in _bodies(operation, argument, flags):
            yield from repeats(body, inner_flags, alphabet, before)
        after = _witnesses(operation, argument, flags, alphabet)
        before = [a + b for a, b in islice(product(before, after), 3)]


def _pumps(body, flags, alphabet) -> Iterator[str]:
    """Make what goes round in a repeat; a kind is of one set, or of several at once."""
    singles = list(_singles(body, flags))
    for one in alphabet:
        if any(takes(*single[:2], one, single[2]) for single in singles):
            yield one
    yield from witnesses(body, flags, alphabet)


def attacks(matcher: Matcher) -> list[Attack]:
    """Make the attacks on each repeat of an expression, and on its search."""
    alphabet = kinds(matcher)
    tree, flags = matcher.tree, matcher.flags
    whole = witnesses(tree, flags, alphabet)
    found: dict[Attack, None] = {}
    ends = ["", *alphabet]
    for repeat in repeats(tree, flags, alphabet):
        for start in {"": None, **dict.fromkeys(repeat.before)}:
            for pump, end in product(repeat.pumps, ends):
                found[Attack(start, pump, end)] = None
        for start in repeat.before:  # a search starts at each of these
            for pump, end in product(["", *repeat.pumps], ["", ends[-1]]):
                found[Attack("", start + pump, end)] = None
    for one, end in product(whole, ends):
        found[Attack("", one, end)] = None
    return [attack for attack in found if attack.pump]


def costs(matcher: Matcher, attack: Attack, method: str, length: int) -> float:
    """Count the steps for each character of an attack; infinite above any bound."""
    text = attack.text(length)
    try:
        steps = matcher.count(text, method, budget=400 * len(text) + 4000)
    except TooManySteps:
        return float("inf")
    return steps / (len(text) + 1)


def worst(matcher: Matcher, method: str) -> tuple[float, Attack | None]:
    """Find the attack under which the cost of a character grows most.

    All are tried on short texts. Those that cost most there, and those whose cost grows
    most, are tried at a length, and at four times the length.

    Returns:
        How many times the cost of a character grows, and the attack.
    """
    tried = {
        attack: [costs(matcher, attack, method, length) for length in (12, 40)]
        for attack in attacks(matcher)
    }
    dearest = sorted(tried, key=lambda attack: -tried[attack][1])
    steepest = sorted(tried, key=lambda attack: -tried[attack][1] / tried[attack][0])
    found: tuple[float, Attack | None] = (1.0, None)
    for attack in {*dearest[:4], *steepest[:4]}:
        long = costs(matcher, attack, method, 1024)
        if long == float("inf"):
            return long, attack
        growth = long / costs(matcher, attack, method, 256)
        if growth > found[0]:
            found = growth, attack
    return found
