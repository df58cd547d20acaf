"""Codecs: the conversion of values, with msgspec or pydantic."""

import dataclasses
import re
import sys
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Protocol, get_origin, get_type_hints, is_typeddict

import msgspec

from .annotations import unwrap, walk

Convert = Callable[[Any], Any]

UNFIT = (msgspec.ValidationError, ValueError)
"""What a conversion raises for a value that does not fit; in pydantic, a ValueError."""

_PYDANTIC = {"pydantic", "annotated_types"}


class Codec(Protocol):
    """Converts values of a type."""

    def convert(self, annotation: Any) -> Convert:
        """Make the function that converts a text, or a list of them, by lax rules."""

    def decode(self, annotation: Any) -> Callable[[bytes], Any]:
        """Make the function that reads JSON, with strict types."""

    def encode(self, annotation: Any) -> Callable[[Any], bytes]:
        """Make the function that writes JSON."""


class Msgspec:
    """Converts the types that msgspec supports."""

    def convert(self, annotation: Any) -> Convert:
        """See `Codec`."""
        return partial(msgspec.convert, type=annotation, strict=False)

    def decode(self, annotation: Any) -> Callable[[bytes], Any]:
        """See `Codec`."""
        return msgspec.json.Decoder(annotation).decode

    def encode(self, annotation: Any) -> Callable[[Any], bytes]:
        """See `Codec`."""
        return _ENCODER.encode


_ENCODER = msgspec.json.Encoder()

_BEYOND_JSON = re.compile(rb"NaN|Infinity|[eE]\+?[0-9]{3}|[0-9]{200}")
"""Found where pydantic may read an infinite float, or text that is not JSON."""


class Pydantic:
    """Converts types that contain a model of pydantic."""

    def convert(self, annotation: Any) -> Convert:
        """See `Codec`."""
        validate: Convert = adapter(annotation).validate_python
        return validate

    def decode(self, annotation: Any) -> Callable[[bytes], Any]:
        """See `Codec`."""
        validate = adapter(annotation).validate_json

        def decode(body: bytes) -> Any:
            if _BEYOND_JSON.search(body):
                msgspec.json.decode(body)
            return validate(body, strict=True)

        return decode

    def encode(self, annotation: Any) -> Callable[[Any], bytes]:
        """See `Codec`."""
        return partial(adapter(annotation).dump_json, by_alias=True, warnings=False)


def adapter(annotation: Any) -> Any:
    """Give pydantic's adapter of a type.

    Raises:
        TypeError: pydantic does not know the type.
    """
    try:
        hash(annotation)
    except TypeError:  # from its metadata
        return _make_adapter.__wrapped__(annotation)
    return _make_adapter(annotation)


@lru_cache(maxsize=1024)
def _make_adapter(annotation: Any) -> Any:
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        return TypeAdapter(annotation)
    except PydanticUserError as error:
        raise TypeError(str(error).partition("\n")[0]) from error


def find_codec(annotation: Any) -> Codec:
    """Choose the codec of a type."""
    return Pydantic() if is_pydantic(annotation) else Msgspec()


def is_pydantic(annotation: Any) -> bool:
    """Whether a type is pydantic's, or contains one that is."""
    return "pydantic" in sys.modules and _holds_pydantic(annotation, set())


def _holds_pydantic(annotation: Any, seen: set[Any]) -> bool:
    for each in walk(annotation):
        if _is_of_pydantic(each):
            return True
        model = get_origin(unwrap(each)) or unwrap(each)
        has_fields = dataclasses.is_dataclass(model) or is_typeddict(model)
        if has_fields and model not in seen:
            seen.add(model)
            hints = get_type_hints(model, include_extras=True).values()
            if any(_holds_pydantic(hint, seen) for hint in hints):
                return True
    return False


def _is_of_pydantic(part: Any) -> bool:
    kind = part if isinstance(part, type) else type(part)
    return (
        kind.__module__.partition(".")[0] in _PYDANTIC
        or hasattr(kind, "__pydantic_fields__")
        or hasattr(kind, "__get_pydantic_core_schema__")
    )
