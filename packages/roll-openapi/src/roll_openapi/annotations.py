"""Annotations: what a type is made of."""

import dataclasses
import types
from collections.abc import Iterator
from enum import Enum
from typing import (
    Annotated,
    Any,
    Literal,
    NewType,
    TypeVar,
    Union,
    get_args,
    get_origin,
    is_typeddict,
)

import msgspec

from .markers import Marker

ARRAYS = (list, set, frozenset, tuple)
"""The types that take several values of one name."""


def split_marker(annotation: Any) -> tuple[Any, Marker | None]:
    """Take the marker out of an annotation.

    Returns:
        The annotation without it, and the marker, None when there is none.

    Raises:
        TypeError: There are two, or one is a class: `Query` in place of `Query()`.
    """
    while hasattr(annotation, "__value__"):  # `type X = ...`
        annotation = annotation.__value__
    if get_origin(annotation) is not Annotated:
        return annotation, None
    inner, *metadata = get_args(annotation)
    for each in metadata:
        if isinstance(each, type) and issubclass(each, Marker):
            raise TypeError(f"write {each.__name__}(), with parentheses")
    markers = [each for each in metadata if isinstance(each, Marker)]
    if len(markers) > 1:
        raise TypeError("it has two markers: leave one of them out")
    others = tuple(each for each in metadata if not isinstance(each, Marker))
    if others:
        inner = Annotated[(inner, *others)]
    return inner, markers[0] if markers else None


def unwrap(annotation: Any) -> Any:
    """Remove aliases and annotations of a type."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif hasattr(annotation, "__value__"):  # `type X = ...`
            annotation = annotation.__value__
        else:
            return annotation


def members(annotation: Any) -> list[Any]:
    """List the types of a union, or the one type."""
    annotation = unwrap(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        return [each for part in get_args(annotation) for each in members(part)]
    return [annotation]


def is_array(annotation: Any) -> bool:
    """Whether all members of a type, except None, take several values."""
    found = [each for each in members(annotation) if each not in (None, type(None))]
    return bool(found) and all((get_origin(each) or each) in ARRAYS for each in found)


def items(annotation: Any) -> list[Any]:
    """List the types of the items of an array."""
    return [
        item
        for each in members(annotation)
        for item in get_args(each)
        if item is not Ellipsis
    ]


def is_model(annotation: Any) -> bool:
    """Whether a type is a Struct, a dataclass, a TypedDict or a model of pydantic."""
    found = unwrap(annotation)
    found = get_origin(found) or found
    return isinstance(found, type) and (
        issubclass(found, msgspec.Struct)
        or dataclasses.is_dataclass(found)
        or is_typeddict(found)
        or hasattr(found, "__pydantic_fields__")
    )


def find_model(annotation: Any) -> Any:
    """Give the model of a type, which may also be None; None for other types."""
    found = without_none(annotation)
    return unwrap(found) if is_model(found) else None


def walk(annotation: Any) -> Iterator[Any]:
    """Give a type and everything in its arguments, metadata included."""
    yield annotation
    if hasattr(annotation, "__supertype__") or hasattr(annotation, "__value__"):
        yield from walk(unwrap(annotation))
    if get_origin(annotation) is not Literal:
        for each in get_args(annotation):
            yield from walk(each)


def has_model(annotation: Any) -> bool:
    """Whether a type is a model, or contains one, such as a list of models."""
    return any(map(is_model, walk(annotation)))


def text_types(annotation: Any) -> set[Any]:
    """Name the types that a text may be converted to.

    A literal counts as the types of its values, an enumeration as those of its members.

    Raises:
        TypeError: A text cannot be converted to one of them.
    """
    found: set[Any] = set()
    for each in members(annotation):
        if get_origin(each) is Literal:
            found.update(type(value) for value in get_args(each))
        elif isinstance(each, type) and issubclass(each, Enum):
            found.update(type(member.value) for member in each)
        elif isinstance(each, TypeVar) or is_model(each) or get_origin(each):
            raise TypeError(
                f"a text cannot be a {each!r}: mark it with Body(), or give another "
                "type"
            )
        elif each in (dict, *ARRAYS):
            raise TypeError(f"a text cannot be a {each.__name__}: mark it with Body()")
        else:
            found.add(Any if each is object else each)
    return found


def without_none(annotation: Any) -> Any:
    """Give a union without its None."""
    parts = [each for each in members(annotation) if each not in (None, type(None))]
    if len(parts) == len(members(annotation)) or not parts:
        return annotation
    return Union[tuple(parts)]  # noqa: UP007  # it is made of a tuple
