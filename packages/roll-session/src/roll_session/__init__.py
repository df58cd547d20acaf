"""session and csrf: sessions, and protection against forged requests."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Literal

from roll import Request, Response, Roll, hookimpl
from roll.logs import logger
from roll.plugins import require_app, require_boolean
from roll.typing import Extension

from .forgery import csrf, csrf_token
from .messages import flash, flashes
from .options import SESSION_KEY, Options, cookie_name, read_keys
from .redis_store import RedisStore
from .sessions import Place, Session, is_excluded
from .stored import Guarded, StoredSession
from .stores import MemoryStore, Store

__all__ = [
    "MemoryStore",
    "RedisStore",
    "Session",
    "Store",
    "csrf",
    "csrf_token",
    "flash",
    "flashes",
    "session",
]


def session(
    app: Roll,
    secret: str | bytes | Sequence[str | bytes] | None = None,
    *,
    store: Store | None = None,
    cookie: str | None = None,
    max_age: float = 14 * 86400,
    lifetime: float | None = None,
    path: str = "/",
    domain: str | None = None,
    secure: bool = True,
    samesite: Literal["Lax", "Strict", "None"] = "Lax",
) -> None:
    """Keep what views set in `request["session"]`, for the visitor's next requests.

    Without a store it is kept in the cookie, signed: the visitor can read it, it has at
    most 4 KiB, and it cannot be revoked before `max_age`. With a store, the cookie is a
    random id.

    A route's extra `session=False` leaves it without a session.

    Args:
        app: The application.
        secret: Keys that sign the cookie: one, or a list. The first one signs, and all
            verify. Each has 32 bytes or more.
        store: Where sessions are kept, instead of a secret.
        cookie: Its name; by default `__Host-session` if browsers accept that, otherwise
            `session`.
        max_age: Seconds after its last use when a session ends.
        lifetime: Seconds after its creation, or `regenerate`, when it ends in any case.
        path: The path of the cookie.
        domain: The domain of the cookie; without one, only this host gets it.
        secure: Whether browsers send the cookie only over https.
        samesite: Whether they send it with requests from other sites.

    Raises:
        TypeError: An option has another type.
        ValueError: There is neither a secret nor a store, or both; or a key is too
            short or repeated; or browsers would refuse the cookie; or `session` was
            called before.
    """
    require_app("session", app)
    if (secret is None) == (store is None):
        raise ValueError("session: give either a secret or a store")
    name = cookie_name(cookie, secure, path, domain)
    options = Options(name, max_age, lifetime, path, domain, secure, samesite)
    keys = [] if secret is None else read_keys(secret)
    if SESSION_KEY in app:
        raise ValueError("this app has a session: call `session` once")
    app[SESSION_KEY] = options
    app.extras("session", check=require_boolean)
    functions = app.setdefault("template_globals", {})
    functions.setdefault("csrf_token", csrf_token)
    functions.setdefault("flashes", flashes)
    if not secure:
        _warn_over_https(app)
    if store is None:
        kind = _keep_in_cookies(app, options, keys)
    else:
        kind = _keep_in_store(app, options, store)

    @app.listen("startup")
    def check_names() -> None:
        above = app.parent
        while above is not None:
            if getattr(above.get(SESSION_KEY), "name", None) == name:
                raise ValueError(
                    f"this app and one that it is mounted in have sessions in a cookie "
                    f"{name!r}: give one another name, with cookie=; or call `session` "
                    "only with the outer one, and share its sessions"
                )
            above = above.parent

    @app.listen("response", after="*")
    def save_session(request: Request, response: Response) -> Awaitable[None] | None:
        session = request.get("session")
        if type(session) is not kind:  # isinstance() is several times slower
            return None
        if session.touched:
            return session.finish(response)
        session.sent = True
        return None


def _keep_in_cookies(app: Roll, options: Options, keys: list[bytes]) -> type[Session]:
    from .signed import SignedSession, Signer

    place = Place(app, options, Signer(keys))

    @app.listen("headers", before="*")
    def begin_session(request: Request, response: Response) -> None:
        request["session"] = SignedSession(place, request)

    return SignedSession


def _keep_in_store(app: Roll, options: Options, store: Store) -> type[Session]:
    guarded = Guarded(store, app)
    place = Place(app, options, guarded)

    @app.listen("startup")
    def open_store() -> None:
        # Requests that need no session do not wait for it.
        probing = app.keep(guarded.probe())

        async def close_store() -> None:
            # It may still run when the start of a mounted app fails.
            await asyncio.wait([probing])
            if (close := getattr(store, "aclose", None)) is not None:
                await close()

        app.exit_stack.push_async_callback(close_store)

    def look(request: Request, found: bool) -> Awaitable[None] | None:
        session = request["session"]
        if session.loaded or not found or is_excluded(request.endpoint.payload):
            return None
        loading: Awaitable[None] = session.load(request.cookies.get(options.name))
        return loading

    @app.listen("headers", before="*")
    def load_session(request: Request, response: Response) -> Awaitable[None] | None:
        request["session"] = StoredSession(place, request)
        # Without a route, other listeners may respond, with a page.
        others = "error" in app.hooks or "route:find" in app.hooks
        return look(request, request.endpoint.found or others)

    @app.listen("request", after="*")
    def load_after_others(
        request: Request, response: Response
    ) -> Awaitable[None] | None:
        return look(request, request.endpoint.found)  # a path may have changed

    return StoredSession


def _warn_over_https(app: Roll) -> None:
    warned = False

    @app.listen("headers")
    def warn(request: Request, response: Response) -> None:
        nonlocal warned
        if not warned and request.scheme == "https":
            warned = True
            logger.warning(
                "session(secure=False) serves https: browsers send the cookie over "
                "http, too; use secure=False only in development"
            )


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import csrf, session`."""
    return {"csrf": csrf, "session": session}
