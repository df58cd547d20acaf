"""cors: what pages of other origins may do, according to the Fetch standard."""

import re
from collections.abc import Callable, Iterable, Mapping
from inspect import isawaitable
from typing import Any

from roll import Request, Response, Roll, hookimpl
from roll.plugins import require_app
from roll.typing import Extension

from .policy import (
    ALLOW_HEADERS,
    ALLOW_ORIGIN,
    ORIGIN,
    TOKEN,
    Origin,
    Policy,
    keep,
    override_policy,
    settle,
)

__all__ = ["cors"]

LONGEST = 2048
"""The most characters of a request's field to send back: nginx, for example, accepts at
most 4 KiB as the head of a response."""

_TOKENS = re.compile(rf"{TOKEN.pattern}(?:[ \t]*+,[ \t]*+{TOKEN.pattern})*+")


def cors(
    app: Roll,
    origin: Origin = "*",
    methods: Iterable[str] | None = None,
    headers: Iterable[str] | None = None,
    credentials: bool = False,
    *,
    expose: Iterable[str] | None = None,
    max_age: int | None = None,
) -> None:
    """Let pages of other origins read the responses of *app* (Fetch, section 3.3).

    Every response gets the fields, also errors and those of listeners. Preflights get a
    200 before anything is dispatched; other OPTIONS requests do not. Call this once,
    before extensions and listeners that refuse requests: browsers send preflights
    without credentials.

    A route's extra `cors=` is a dict of options that override those given here, or
    False: then its view sets the fields itself.

    Args:
        app: The application.
        origin: `"*"` for any origin, or one, such as `"https://example.org"`, which
            every response names. With a list, or a function, plain or coroutine, that
            returns true for the origin that asks, that origin is named, and the
            response has `Vary: Origin`. The origin `null`, which any page can have, is
            allowed only by `"*"`.
        methods: What other origins may send, `"*"` for all of `HTTP_METHODS`. None
            leaves the field out: browsers send GET, HEAD and POST.
        headers: Names of fields that they may send, `"*"` for any. None leaves the
            field out: then only fields that need no permission can be sent.
        credentials: Whether they may send cookies and the like. Browsers refuse that
            together with `origin="*"`.
        expose: Names of fields that they may read besides the safelisted ones, `"*"`
            for any.
        max_age: Seconds for which browsers may cache the response to a preflight.

    Raises:
        TypeError: An option has another type, or is unknown.
        ValueError: One holds an invalid origin, name or time, or `expose="*"` is used
            with credentials.

    Warns:
        UserWarning: `credentials` is used with `origin="*"`.
    """
    require_app("cors", app)
    options: dict[str, Any] = {
        "origin": keep(origin),
        "methods": keep(methods),
        "headers": keep(headers),
        "credentials": credentials,
        "expose": keep(expose),
        "max_age": max_age,
    }
    policies = Policies(app, options, settle(**options))
    app.extras("cors", check=policies.read)

    @app.listen("headers")
    async def answer_preflights(request: Request, response: Response) -> bool:
        return bool(_requested_method(request)) and policies.find(request) is not None

    # Preflights also get their fields here, whatever responded to them.
    @app.listen("response")
    async def add_cors_headers(request: Request, response: Response) -> None:
        if (policy := policies.find(request)) is not None:
            await _apply(policy, request, response)


class Policies:
    """The policy of an app, and those of its routes.

    Args:
        app: The application.
        options: The options of the app; a route's `cors=` overrides them.
        default: The policy of these options.
    """

    def __init__(self, app: Roll, options: dict[str, Any], default: Policy) -> None:
        self._app = app
        self._options = options
        self._default = default
        self._overrides: dict[int, Policy | None] = {}

    def find(self, request: Request) -> Policy | None:
        """Find the policy for a request, or for the one that a preflight asks for."""
        if method := _requested_method(request):
            payload = self._app.router.find(request.path, method)[0].payload
        else:
            payload = request.route.payload
        return self.read((payload or {}).get("cors"))

    def read(self, override: Any) -> Policy | None:
        """Make the policy of a route's `cors=`.

        Raises:
            TypeError: It has another type, or is unknown.
            ValueError: It holds an invalid value.
        """
        if override is None:
            return self._default
        key = id(override)  # unique: the app keeps the extras of its routes
        if key not in self._overrides:
            self._overrides[key] = override_policy(self._options, override)
        return self._overrides[key]


def _requested_method(request: Request) -> str:
    """Give the method that a preflight asks for; empty for any other request."""
    if request.method != "OPTIONS" or not request.origin:
        return ""
    method: str = request.headers.get("ACCESS-CONTROL-REQUEST-METHOD", "")
    return method


async def _apply(policy: Policy, request: Request, response: Response) -> None:
    """Set the fields of a response, which may be one to a preflight."""
    fields = {}
    allowed = True
    if policy.allows is not None:
        allowed = await _is_allowed(request.origin, policy.allows)
        fields[ALLOW_ORIGIN] = request.origin
        response.vary("Origin")
    if _requested_method(request):
        fields.update(policy.preflight)
        names = request.headers.get("ACCESS-CONTROL-REQUEST-HEADERS", "")
        if policy.any_header and _is_safe(names, _TOKENS):
            fields[ALLOW_HEADERS] = names
    else:
        fields.update(policy.fields)
    for name in (ALLOW_ORIGIN, *fields):  # a view may have set them
        response.headers.pop(name, None)
    if allowed:
        response.headers.update(fields)


async def _is_allowed(origin: str, allows: Callable[[str], object]) -> bool:
    if not ORIGIN.fullmatch(origin):  # none, `null`, or one that no browser sends
        return False
    answer = allows(origin)
    return bool(await answer if isawaitable(answer) else answer)


def _is_safe(text: str, grammar: re.Pattern[str]) -> bool:
    """Whether a client's text may be sent back; without it, a response refuses it."""
    return len(text) <= LONGEST and grammar.fullmatch(text) is not None


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import cors`."""
    return {"cors": cors}
