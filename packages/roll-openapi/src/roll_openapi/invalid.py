"""Invalid: the error that lists which parameters do not fit, and why."""

import re
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import msgspec
from roll import HttpError

MOST = 20
"""The most errors in one response; a body may have many more."""

MANY = 1000
"""The most errors of pydantic to read: more would take too long."""


class Misfit(NamedTuple):
    """Why a value does not fit."""

    detail: str
    pointer: str = ""
    """The place in a body (RFC 6901); empty for the whole body."""


class Invalid(HttpError):
    """422: what a client has sent does not fit the annotations of the view.

    Args:
        errors: `in`, `name`, `pointer` and `detail` of each.
    """

    def __init__(self, errors: Iterable[dict[str, str]]) -> None:
        self.errors: list[dict[str, str]] = [*errors][:MOST]
        """What is wrong, without any value that was sent."""
        super().__init__(422, "\n".join(map(_line, self.errors)))


def _line(error: dict[str, str]) -> str:
    where = " ".join(filter(None, (error["in"], error["name"], error.get("pointer"))))
    return f"{where}: {error['detail']}"


def make_error(source: str, name: str, misfit: Misfit) -> dict[str, str]:
    """Write one error of `Invalid`; a body has a pointer in place of a name."""
    error = {"in": source, "name": name}
    if source == "body":
        error["pointer"] = misfit.pointer
    return error | {"detail": misfit.detail}


def explain(
    error: Exception, sent: Any = None, names: Collection[str] = ()
) -> list[Misfit]:
    """Explain a failed conversion, without repeating what was sent.

    Args:
        error: What was raised.
        sent: The body, decoded.
        names: The names of the fields of pydantic's models.
    """
    if isinstance(error, msgspec.MsgspecError):
        return [_explain_msgspec(str(error))]
    if hasattr(error, "error_count"):  # of pydantic, which must not be imported
        return _explain_pydantic(error, sent, names)
    return [Misfit(str(error))]


# The messages of msgspec. Some of them end with what was sent.

_QUOTING = re.compile(
    "(Invalid enum value|Invalid value|Object contains unknown field) .*", re.DOTALL
)
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_STEP = re.compile(r"\[(\d+|\.\.\.)\]|\.([^.\[]+)")


def _explain_msgspec(text: str) -> Misfit:
    detail, at, path = text.rpartition(" - at `")
    if not at:
        detail, path = text, "$"
    pointer = _point(path.rstrip("`").rpartition("$")[2])
    if quoting := _QUOTING.fullmatch(detail):
        return Misfit(quoting[1], pointer)
    if missing := _MISSING.fullmatch(detail):
        pointer += f"/{_escape(missing[1])}"
    return Misfit(detail, pointer)


def _point(path: str) -> str:
    """Write a path such as `.items[0]` as a JSON pointer.

    It ends at `[...]` in the path: a key that the client has chosen.
    """
    pointer = ""
    for index, name in _STEP.findall(path):
        if index == "...":
            break
        pointer += f"/{index or _escape(name)}"
    return pointer


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")  # RFC 6901, section 3


# The errors of pydantic.


_SHORT = {
    "uuid_parsing": "Input should be a valid UUID",
    "union_tag_invalid": "Input tag does not match any of the expected tags",
}
"""Replaces those messages of pydantic that quote what was sent."""


def _explain_pydantic(error: Any, sent: Any, names: Collection[str]) -> list[Misfit]:
    if error.error_count() > MANY:
        return [Misfit(f"More than {MANY} values do not fit")]
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        Misfit(
            _SHORT.get(each["type"], each["msg"]), _point_at(each["loc"], sent, names)
        )
        for each in found
    ]


def is_too_deep(error: Any) -> bool:
    """Whether pydantic finds JSON nested too deeply, which msgspec could decode."""
    if not hasattr(error, "error_count") or error.error_count() > 1:
        return False
    (found,) = error.errors(include_url=False, include_input=False)
    return found["type"] == "json_invalid" and not found["loc"]


def _point_at(place: Iterable[Any], sent: Any, names: Collection[str]) -> str:
    """Write the place of an error as a JSON pointer.

    Members of unions, which are among pydantic's steps, are left out. The pointer ends
    at a key that the client has chosen.
    """
    pointer = ""
    for step in place:
        if isinstance(sent, list) and isinstance(step, int):
            pointer += f"/{step}"
            sent = sent[step] if step < len(sent) else None
        elif isinstance(sent, dict) and step in names:
            pointer += f"/{_escape(step)}"
            sent = sent.get(step)
        elif isinstance(sent, dict) and step in sent:
            break
    return pointer
