"""Readers: functions that fill parameters of a view from one place of a request.

Each is made once, and called for each request with the request, the values so far, and
the errors. It adds to the values, and adds an error for each parameter that does not
fit.
"""

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

from roll import Request

from .annotations import find_model, is_array, items, members
from .codecs import UNFIT, adapter, find_codec, is_pydantic
from .invalid import Misfit, explain, make_error
from .markers import Form, Query
from .models import forbids_unknown, list_fields
from .signature import PLACEHOLDERS, Parameter
from .text import EmptyError, make_converter

Values = dict[str, Any]
Errors = list[dict[str, str]]
Read = Callable[[Request, Values, Errors], None]
Get = Callable[[Any, str], list[str] | None]
"""Gives the texts that were sent under a name, from their container."""

MISSING = Misfit("Missing")


class Entry(NamedTuple):
    """A parameter, or a field of one, that comes from texts."""

    name: str
    wire: str
    convert: Any
    """Makes the value; None if it is the text itself."""
    many: bool
    """Whether all texts of the name are converted, not only the first."""
    required: bool


# Where texts are


def _get_one(values: Mapping[str, str], name: str) -> list[str] | None:
    value = values.get(name)
    return None if value is None else [value]


_LISTS: Get = dict.get  # the `get` of a Multidict gives the first, or raises

SOURCES: Mapping[str, tuple[Callable[[Request], Any], Get]] = {
    "query": (attrgetter("query"), _LISTS),
    "header": (attrgetter("headers"), _get_one),
    "cookie": (attrgetter("cookies"), _get_one),
    "form": (attrgetter("form"), _LISTS),
}
"""The containers of the texts of a request, and how to take texts from them."""


# Texts


def make_text_readers(source: str, parameters: Iterable[Parameter]) -> list[Read]:
    """Make the readers of the parameters of a query, a header, the cookies or a form.

    Raises:
        TypeError: A text cannot be converted to the type of one.
    """
    entries, readers = [], []
    for each in parameters:
        model = find_model(each.type)
        if model is not None and isinstance(each.marker, Query | Form):
            readers.append(_make_model_reader(source, each, model))
        else:
            entries.append(make_entry(source, each))
    if entries:
        readers.append(_make_text_reader(source, entries))
    return readers


def make_entry(source: str, parameter: Parameter) -> Entry:
    """Prepare how a parameter is made from texts."""
    name, annotation, wire = parameter.name, parameter.type, parameter.wire
    many = is_array(annotation)
    try:
        convert = make_converter(annotation)
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None
    if many and source == "cookie":
        raise TypeError(f"{name}: a cookie has one value, not a list of them")
    if many and source == "header":
        convert = _split_members(convert)
    return Entry(name, wire, convert, many and source != "header", parameter.required)


def _split_members(convert: Any) -> Callable[[str], Any]:
    """Convert the members of a list in a field (RFC 9110, section 5.6.1)."""

    def convert_members(text: str) -> Any:
        found = [member.strip(" \t") for member in text.split(",")]
        return convert([member for member in found if member])

    return convert_members


def _make_text_reader(source: str, entries: Iterable[Entry]) -> Read:
    find, get = SOURCES[source]
    entries = tuple(entries)

    def read(request: Request, values: Values, errors: Errors) -> None:
        holder = find(request)
        for name, wire, convert, many, required in entries:
            if texts := get(holder, wire):
                try:
                    if many:
                        values[name] = convert(texts)
                    elif convert is None:
                        values[name] = texts[0]
                    else:
                        values[name] = convert(texts[0])
                    continue
                except EmptyError:
                    pass
                except UNFIT as error:
                    errors.append(make_error(source, wire, explain(error)[0]))
                    continue
            if required:
                errors.append(make_error(source, wire, MISSING))

    return read


def _make_model_reader(source: str, parameter: Parameter, model: Any) -> Read:
    """Make the reader of a model: each of its fields is a parameter."""
    own = parameter.name
    fields = [*list_fields(model)]
    entries = [
        make_entry(
            source, Parameter(each.name, each.type, each.default, Query(each.wire))
        )._replace(required=each.required)
        for each in fields
    ]
    read_fields = _make_text_reader(source, entries)
    known = frozenset(each.wire for each in fields) if forbids_unknown(model) else None
    build = _make_builder(model, {each.name: each.wire for each in fields})

    def read(request: Request, values: Values, errors: Errors) -> None:
        found: Values = {}
        wrong: Errors = []
        read_fields(request, found, wrong)
        if known is not None:
            names = request.query if source == "query" else request.form
            if names.keys() - known:
                wrong.append(make_error(source, "", Misfit("Unknown parameter")))
        if not found and not parameter.required and not is_sent(request):
            return
        if not wrong:
            try:
                values[own] = build(found)
            except (TypeError, *UNFIT) as error:
                wrong = [make_error(source, "", each) for each in explain(error)]
        errors.extend(wrong)

    def is_sent(request: Request) -> bool:
        find, get = SOURCES[source]
        holder = find(request)
        return any(get(holder, each.wire) for each in fields)

    return read


def _make_builder(model: Any, wires: Mapping[str, str]) -> Callable[[Values], Any]:
    """Make the function that builds a model from its converted fields."""
    if not is_pydantic(model):
        return lambda values: model(**values)
    validate = adapter(model).validate_python
    return lambda values: validate({wires[name]: values[name] for name in values})


# Placeholders


def make_path_readers(
    parameters: Iterable[Parameter], placeholders: Mapping[str, str]
) -> list[Read]:
    """Make readers that convert placeholders whose type differs from the view's.

    Raises:
        TypeError: A text cannot be converted to the type of one.
    """
    return [
        _make_path_reader(each)
        for each in parameters
        if each.type not in (Any, PLACEHOLDERS.get(placeholders[each.name], str))
    ]


def _make_path_reader(parameter: Parameter) -> Read:
    name = parameter.name
    convert_text = make_converter(parameter.type)
    convert = find_codec(parameter.type).convert(parameter.type)

    def read(request: Request, values: Values, errors: Errors) -> None:
        value = values[name]
        try:
            if isinstance(value, str) and convert_text is not None:
                values[name] = convert_text(value)
            else:
                values[name] = convert(value)
        except UNFIT as error:
            errors.append(make_error("path", name, explain(error)[0]))

    return read


# Files


def make_file_reader(parameters: Iterable[Parameter]) -> Read:
    """Make the reader of the files of a form."""
    entries = [
        (each.name, each.wire, is_array(each.type), _wants_bytes(each), each.required)
        for each in parameters
    ]

    def read(request: Request, values: Values, errors: Errors) -> None:
        for name, wire, many, as_bytes, required in entries:
            files = request.files.list(wire, [])
            if files:
                found = [file.read() for file in files] if as_bytes else files
                values[name] = found if many else found[0]
            elif required:
                errors.append(make_error("file", wire, MISSING))

    return read


def _wants_bytes(parameter: Parameter) -> bool:
    found = items(parameter.type) if is_array(parameter.type) else [parameter.type]
    return any(bytes in members(each) for each in found)
