"""The options of cors, checked when the app is built."""

import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from roll import HTTP_METHODS

ALLOW_ORIGIN = "Access-Control-Allow-Origin"
ALLOW_METHODS = "Access-Control-Allow-Methods"
ALLOW_HEADERS = "Access-Control-Allow-Headers"
ALLOW_CREDENTIALS = "Access-Control-Allow-Credentials"
EXPOSE_HEADERS = "Access-Control-Expose-Headers"
MAX_AGE = "Access-Control-Max-Age"

TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]++")
"""A method, or the name of a field (RFC 9110, section 5.6.2)."""

# An origin as browsers send it (RFC 6454, section 6.2): in lower case, names in
# punycode.
_HOST = r"(?:[a-z0-9._~-]{1,255}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?"
_SCHEME = r"[a-z][a-z0-9+.-]{0,63}://"
ORIGIN = re.compile(_SCHEME + _HOST)
"""An origin other than `null`."""
# As the only origin, a bare host is accepted, as ever, though no browser sends it.
_ORIGIN_OR_HOST = re.compile(f"(?:{_SCHEME})?{_HOST}")
_DEFAULT_PORT = re.compile("http://.*:80|https://.*:443")

Origin = str | Iterable[str] | Callable[[str], object]


class Policy(NamedTuple):
    """What other origins may do, checked when the app is built."""

    allows: Callable[[str], object] | None
    """Tells whether an origin is allowed; None when all origins get the same
    response."""
    fields: dict[str, str]
    """The fields of a response."""
    preflight: dict[str, str]
    """The fields of the response to a preflight."""
    any_header: bool
    """Whether a preflight gets the header names that it asks for."""


def keep(option: Any) -> Any:
    """Keep the items of an option: a list may change, and an iterator is used up."""
    if isinstance(option, str) or callable(option) or not isinstance(option, Iterable):
        return option
    return tuple(option)


def override_policy(options: Mapping[str, Any], override: object) -> Policy | None:
    """Make the policy of a route from its `cors=` and the options of the app.

    Raises:
        TypeError: It is neither a dict of options nor False; or as for `settle`.
        ValueError: As for `settle`.
    """
    if override is False:
        return None
    if not isinstance(override, Mapping):
        raise TypeError("give a dict of options, or False")
    for name in override:
        if name not in options:
            raise TypeError(f"{name!r} is not an option; there are {[*options]}")
    return settle(**{**options, **override})


def settle(
    origin: Origin,
    methods: Iterable[str] | None,
    headers: Iterable[str] | None,
    credentials: bool,
    expose: Iterable[str] | None,
    max_age: int | None,
) -> Policy:
    """Check the options, and write all fields that do not depend on a request.

    Raises:
        TypeError: One has another type.
        ValueError: One holds an invalid origin, name or time, or makes no sense with
            the others.
    """
    method_names = _check_names("methods", methods)
    header_names = _check_names("headers", headers)
    exposed = _check_names("expose", expose)
    _check_credentials(credentials, origin, exposed or ())
    if method_names is not None:
        every = "*" in method_names
        method_names = HTTP_METHODS if every else tuple(map(str.upper, method_names))
    fields = {
        ALLOW_ORIGIN: _check_answer(origin) if isinstance(origin, str) else "",
        ALLOW_METHODS: ",".join(method_names or ()),
        ALLOW_HEADERS: ",".join(header_names or ()),
        ALLOW_CREDENTIALS: "true" if credentials else "",
    }
    preflight = {**fields, MAX_AGE: _check_seconds(max_age)}
    fields[EXPOSE_HEADERS] = ",".join(exposed or ())
    return Policy(
        allows=None if isinstance(origin, str) else _check_origins(origin),
        fields={name: value for name, value in fields.items() if value},
        preflight={name: value for name, value in preflight.items() if value},
        # With credentials, browsers take `*` as a name, and it never covers
        # Authorization (Fetch, section 3.3.4): the names themselves always work.
        any_header="*" in (header_names or ()),
    )


def _check_answer(origin: str) -> str:
    if origin == "*" or _is_origin(origin, _ORIGIN_OR_HOST):
        return origin
    raise _no_origin(origin)


def _check_origins(
    origin: Iterable[str] | Callable[[str], object],
) -> Callable[[str], object]:
    """Make the function that tells whether an origin is allowed."""
    if callable(origin):
        return origin
    if not isinstance(origin, Iterable):
        raise TypeError(f"origin={origin!r}: give a string, a list or a function")
    origins = list(origin)
    for each in origins:
        if not isinstance(each, str):
            raise TypeError(f"origin: {each!r} in the list is not a string")
        if not _is_origin(each, ORIGIN):
            raise _no_origin(each)
    return frozenset(origins).__contains__


def _is_origin(text: str, grammar: re.Pattern[str]) -> bool:
    if text == "null" or _DEFAULT_PORT.fullmatch(text):
        return False
    return grammar.fullmatch(text) is not None


def _no_origin(text: str) -> ValueError:
    if text == "null":
        hint = "any page can have it: use origin='*', without credentials"
    else:
        hint = (
            "write one as browsers send it, such as 'https://example.org' (in lower "
            "case, without a path, a slash at the end or the scheme's own port), "
            "several in a list, and '*' alone"
        )
    return ValueError(f"origin: {text!r} is not an origin to allow; {hint}")


def _check_names(option: str, given: Iterable[str] | None) -> tuple[str, ...] | None:
    """Give the names in an option, each once; a string is a list of one."""
    if given is None:
        return None
    if not isinstance(given, Iterable):
        raise TypeError(f"{option}={given!r}: give a list of names, or '*'")
    names = [given] if isinstance(given, str) else list(given)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{option}: {name!r} is not a string")
        if not TOKEN.fullmatch(name):
            raise ValueError(
                f"{option}: {name!r} is not a name; give each alone, in a list"
            )
    return tuple(dict.fromkeys(names))


def _check_credentials(
    credentials: bool, origin: Origin, exposed: Iterable[str]
) -> None:
    if not isinstance(credentials, bool):
        raise TypeError(f"credentials={credentials!r}: give True or False")
    if credentials and "*" in exposed:
        raise ValueError("expose='*' means nothing with credentials: name the fields")
    if credentials and origin == "*":
        warnings.warn(
            "cors: browsers refuse credentials=True with origin='*': "
            "list the origins that may send credentials",
            stacklevel=4,
        )


def _check_seconds(max_age: int | None) -> str:
    if max_age is None:
        return ""
    if not isinstance(max_age, int) or isinstance(max_age, bool):
        raise TypeError(f"max_age={max_age!r}: give seconds, a whole number")
    if max_age < 0:
        raise ValueError(f"max_age={max_age!r}: give seconds, 0 to remember nothing")
    return str(max_age)
