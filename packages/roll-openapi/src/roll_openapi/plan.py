"""Plans: what a typed view does with each request, prepared before the first one."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from roll import Request

from .bodies import check_form, make_body_reader
from .models import expand
from .readers import Read, make_file_reader, make_path_readers, make_text_readers
from .results import Write, make_writer
from .signature import Parameter, Signature, is_stream

Load = Callable[[Request], Awaitable[None]]


class Plan(NamedTuple):
    """What a typed view does with each request, and what its document needs."""

    signature: Signature
    status: HTTPStatus
    """The status of the response."""
    responses: Mapping[HTTPStatus, Any]
    """Other statuses of the view, and the types of their bodies."""
    load: Load | None
    """Loads the body on a lazy route; None if no parameter needs it."""
    readers: tuple[Read, ...]
    write: Write


def make_plan(
    signature: Signature,
    placeholders: Mapping[str, str],
    status: HTTPStatus,
    responses: Mapping[HTTPStatus, Any],
) -> Plan:
    """Prepare how each parameter is read, and how the result is written.

    Args:
        signature: The signature of the view.
        placeholders: The types of the route's placeholders, by name.
        status: See `Plan`.
        responses: See `Plan`.

    Raises:
        TypeError: A type cannot be read, or written.
    """
    _check_names(signature.parameters)
    readers: list[Read] = []
    load: Load | None = None
    for source, found in group(signature.parameters).items():
        if source == "path":
            readers += make_path_readers(found, placeholders)
        elif source == "body":
            readers.append(make_body_reader(found[0]))
            load = None if is_stream(found[0].type) else Request.load_body
        elif source in ("form", "file"):
            if load is None:
                readers.append(check_form)
                load = Request.load_form
            readers += (
                [make_file_reader(found)]
                if source == "file"
                else make_text_readers(source, found)
            )
        else:
            readers += make_text_readers(source, found)
    write = make_writer(signature.returns)
    return Plan(signature, status, responses, load, tuple(readers), write)


def _check_names(parameters: Iterable[Parameter]) -> None:
    """Check that no two parameters come from the same text.

    Raises:
        TypeError: Two do.
    """
    known: dict[tuple[str, str], str] = {}
    for each in expand(parameters):
        wire = each.wire.lower() if each.source == "header" else each.wire
        if other := known.get((each.source, wire)):
            raise TypeError(
                f"{other} and {each.name} are both {each.wire} of the {each.source}: "
                "give one of them another alias"
            )
        known[each.source, wire] = each.name


def group(parameters: Iterable[Parameter]) -> dict[str, list[Parameter]]:
    """Group parameters by their source, in the order of the first of each."""
    groups: dict[str, list[Parameter]] = {}
    for each in parameters:
        groups.setdefault(each.source, []).append(each)
    return groups
