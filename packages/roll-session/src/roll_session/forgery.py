"""csrf: only accepts requests that change something from pages of the app itself."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hmac import compare_digest
from http import HTTPStatus
from secrets import token_bytes

from roll import HttpError, Request, Response, Roll
from roll.plugins import require_app, require_boolean

from .options import SESSION_KEY
from .sessions import SECRET, is_excluded, session_of

KEY = "roll_session.csrf"
"""The key that an app has once `csrf` was called."""

FIELD = "csrf_token"
"""The field of a form that has the token."""
HEADER = "X-CSRF-Token"
"""The header field with the token, for scripts."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that change nothing (RFC 9110, section 9.2.1)."""

SIZE = 32
"""Bytes of a secret."""

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@A-Z]+")
_PORTS = {"http": ":80", "https": ":443"}
_MULTIPART = "multipart/"
_FORMS = (_MULTIPART, "application/x-www-form-urlencoded")
_TOKEN = re.compile("[A-Za-z0-9_-]{86}")  # twice the bytes of a secret, in Base64


def csrf(app: Roll, trusted: Sequence[str] = (), *, token: bool = False) -> None:
    """Refuse requests that pages of other sites make a browser send.

    Browsers send the origin of a request, in `Sec-Fetch-Site` or `Origin`. A request
    with a method other than GET, HEAD, OPTIONS or TRACE gets a 403 before its body is
    read, unless it comes from the app's own origin, from a trusted one, or from a
    client that is not a browser. A route with the extra `csrf=False` accepts all.

    Args:
        app: The application.
        trusted: Other origins whose pages may send anything, such as
            `"https://app.example.org"`.
        token: Whether requests with a session cookie also need a token of `csrf_token`,
            in the field `csrf_token` of a form or in `X-CSRF-Token`.

    Raises:
        TypeError: *trusted* is not a list of strings, or *token* is not a boolean.
        ValueError: *trusted* has something that is not an origin; or `csrf` was called
            before.
    """
    require_app("csrf", app)
    origins = _read_origins(trusted)
    if not isinstance(token, bool):
        raise TypeError(f"token={token!r}: give True or False")
    if KEY in app:
        raise ValueError("this app has csrf: call it once, with all that is trusted")
    app[KEY] = True
    app.extras("csrf", check=require_boolean)

    @app.listen("headers", before="*")
    def refuse_cross_origin_requests(request: Request, response: Response) -> None:
        if _is_checked(request) and not _comes_from_us(request, origins):
            raise HttpError(HTTPStatus.FORBIDDEN, "Cross-origin request refused")

    if not token:
        return

    @app.listen("startup")
    def require_session() -> None:
        one: Roll | None = app
        while one is not None:
            if SESSION_KEY in one:
                return
            one = one.parent
        raise ValueError("csrf(app, token=True) needs a session: call session(app) too")

    @app.listen("request", after="*")  # others may change the path
    async def require_token(request: Request, response: Response) -> None:
        endpoint = request.endpoint
        if (
            not endpoint.found
            or is_excluded(endpoint.payload)
            or not _is_checked(request)
        ):
            return
        session = session_of(request)
        if session.cookie not in request.cookies:
            return  # a browser could not be made to send anything useful
        if not _is_good(await _read_token(request), session.get(SECRET)):
            raise HttpError(HTTPStatus.FORBIDDEN, "Missing or wrong CSRF token")


def csrf_token(request: Request) -> str:
    """Give a token for the forms and scripts of a page, a different one each time.

    All tokens of a session are valid until it ends or is regenerated.

    Raises:
        RuntimeError: There is no session; or it has no secret yet, and the head of the
            response was sent.
    """
    session = session_of(request)
    if SECRET not in session:
        session[SECRET] = _to_text(token_bytes(SIZE))
    mask = token_bytes(SIZE)
    # Each token is different, so that compression reveals nothing (BREACH).
    return _to_text(mask + _xor(mask, _to_bytes(session[SECRET])))


def _read_origins(trusted: Sequence[str]) -> frozenset[str]:
    if isinstance(trusted, str) or not all(isinstance(one, str) for one in trusted):
        raise TypeError(
            f"trusted={trusted!r}: give a list of origins, such as "
            "['https://app.example.org']"
        )
    for origin in trusted:
        scheme = origin.partition(":")[0]
        if not _ORIGIN.fullmatch(origin) or origin.endswith(_PORTS.get(scheme, "/")):
            raise ValueError(
                f"trusted: {origin!r}: write it as browsers send it, in lower case and "
                "without a path or the usual port, such as 'https://app.example.org'"
            )
    return frozenset(trusted)


def _is_checked(request: Request) -> bool:
    if request.method in SAFE:
        return False
    return (request.endpoint.payload or {}).get("csrf") is not False


def _comes_from_us(request: Request, trusted: frozenset[str]) -> bool:
    """Whether it is from a page of this origin or a trusted one, or from no page."""
    origin = request.origin
    site = request.headers.get("SEC-FETCH-SITE")
    if site in ("same-origin", "none") or origin in trusted:
        return True
    if site is not None:
        return False
    return not origin or _is_own(origin, request)


def _is_own(origin: str, request: Request) -> bool:
    scheme = request.scheme
    host = request.host.lower().removesuffix(_PORTS.get(scheme, ""))
    return origin == f"{scheme}://{host}"


async def _read_token(request: Request) -> str | None:
    """Find the token in the header, or in a form that is or can be loaded."""
    token: str | None = request.headers.get(HEADER)
    kind = request.content_type.lower()
    if token is not None or not kind.startswith(_FORMS):
        return token
    if request.endpoint.lazy_body and kind.startswith(_MULTIPART):
        return None  # its view reads the files
    await request.load_body()
    token = request.form.get(FIELD, None)
    return token


def _is_good(token: str | None, secret: str | None) -> bool:
    if token is None or secret is None or not _TOKEN.fullmatch(token):
        return False
    data = _to_bytes(token)
    return compare_digest(_xor(data[:SIZE], data[SIZE:]), _to_bytes(secret))


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(left ^ right for left, right in zip(one, other, strict=True))


def _to_text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _to_bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
