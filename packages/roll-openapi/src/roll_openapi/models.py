"""Models: the fields of a Struct, a dataclass, a TypedDict or a model of pydantic."""

import dataclasses
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import (
    Annotated,
    Any,
    NamedTuple,
    NotRequired,
    Required,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import msgspec

from .annotations import find_model
from .markers import Form, Marker, Query
from .signature import MISSING, Parameter

NO_DEFAULT = msgspec.NODEFAULT


class Field(NamedTuple):
    """A field of a model, to be a parameter."""

    name: str
    wire: str
    type: Any
    default: Any
    """`NO_DEFAULT` without one, or if a factory makes it."""
    required: bool


def list_fields(model: Any) -> Iterable[Field]:
    """List the fields of a model."""
    if hasattr(model, "__pydantic_fields__"):
        return _of_pydantic(model)
    if is_typeddict(model):
        return _of_typed_dict(model)
    if dataclasses.is_dataclass(model):
        return _of_dataclass(model)
    return _of_struct(model)


def forbids_unknown(model: Any) -> bool:
    """Whether a model refuses fields that it does not have."""
    if hasattr(model, "__pydantic_fields__"):
        config = getattr(model, "model_config", {})
        return bool(config.get("extra") == "forbid")
    config = getattr(model, "__struct_config__", None)
    return config is not None and bool(config.forbid_unknown_fields)


def _of_struct(model: Any) -> Iterator[Field]:
    for each in msgspec.structs.fields(model):
        yield Field(each.name, each.encode_name, each.type, each.default, each.required)


def _of_dataclass(model: Any) -> Iterator[Field]:
    hints = get_type_hints(model, include_extras=True)
    for each in dataclasses.fields(model):
        if each.init:
            none = each.default is dataclasses.MISSING
            yield Field(
                each.name,
                each.name,
                hints[each.name],
                NO_DEFAULT if none else each.default,
                none and each.default_factory is dataclasses.MISSING,
            )


def _of_typed_dict(model: Any) -> Iterator[Field]:
    for name, hint in get_type_hints(model, include_extras=True).items():
        if get_origin(hint) in (Required, NotRequired):
            (hint,) = get_args(hint)
        yield Field(name, name, hint, NO_DEFAULT, name in model.__required_keys__)


@lru_cache(maxsize=1024)  # a field's annotation must be the same object each time
def _of_pydantic(model: Any) -> tuple[Field, ...]:
    return tuple(_read_field(*each) for each in model.__pydantic_fields__.items())


def _read_field(name: str, found: Any) -> Field:
    from pydantic import Field as describe

    required = found.is_required()
    default = found.default
    if required or found.default_factory is not None:
        default = NO_DEFAULT
    wire = found.validation_alias
    if not isinstance(wire, str):
        wire = found.alias or name
    # The alias means nothing outside of the model.
    metadata = (*found.metadata, describe(description=found.description))
    annotation = Annotated[(found.annotation, *metadata)]
    return Field(name, wire, annotation, default, required)


def expand(parameters: Iterable[Parameter]) -> Iterator[Parameter]:
    """Give parameters, with the fields of a model in place of a query or a form."""
    for each in parameters:
        model = find_model(each.type)
        if isinstance(each.marker, Query | Form) and model is not None:
            for field in list_fields(model):
                default = MISSING if each.required else NO_DEFAULT
                if not field.required:
                    default = field.default
                marker: Marker = type(each.marker)(field.wire)
                yield Parameter(field.name, field.type, default, marker)
        else:
            yield each
