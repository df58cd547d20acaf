"""health: whether an application is alive, and whether it can take requests."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from roll import Request, Response, Roll
from roll.plugins import require_app, require_seconds

from .checks import Check, NamedCheck

KEY = "roll_health"
"""The key under which an app keeps its health."""

CONTENT_TYPE = "application/health+json"
"""The type, and the members of bodies, are those of
draft-inadarei-api-health-check-06."""


class Health:
    """The health of an app.

    Args:
        app: The app.
        timeout: Seconds that a check may take.
        ttl: Seconds for which results are kept.
        details: Whether responses name the checks, and what is wrong.
    """

    def __init__(self, app: Roll, timeout: float, ttl: float, details: bool) -> None:
        self._app = app
        self._timeout = timeout
        self._ttl = ttl
        self._details = details
        self._checks: dict[str, NamedCheck] = {}
        self._started = app.lifecycle.loop is not None  # it was called late
        self._draining = False
        self._round: asyncio.Future[dict[str, str | None]] | None = None
        self._fresh_until = 0.0

    def add(self, name: str, check: Check) -> None:
        """Add a check.

        Args:
            name: Its name in logs, and in responses with details.
            check: A function without arguments. It fails when it returns False or
                raises. Coroutine functions run in the loop, plain ones in a thread.

        Raises:
            TypeError: It is not a function, or the name is not a string.
            ValueError: There is a check of this name.
        """
        if not isinstance(name, str):
            raise TypeError(f"check {name!r}: give it a name")
        if not callable(check):
            raise TypeError(f"check {name!r}: {check!r} is not a function")
        if name in self._checks:
            raise ValueError(f"check {name!r} is there already: give another name")
        self._checks[name] = NamedCheck(name, check)

    # The state of the app

    def start(self) -> None:
        """Take requests from now on."""
        self._started, self._draining, self._round = True, False, None

    def drain(self) -> None:
        """Take no more requests: the server is about to end."""
        self._draining = True

    def stop(self) -> None:
        """Take no requests until the next start."""
        self._started = False

    @property
    def _state(self) -> str | None:
        """Why the app takes no requests, whatever the checks find."""
        if self._draining or self._app.closing.is_set():
            return "the server is ending"
        return None if self._started else "the application is starting"

    # The views of probes

    async def show_life(self, request: Request, response: Response) -> None:
        """Show that the loop runs; a failed check here would restart all workers."""
        _answer(response, {"status": "pass"})

    async def show_readiness(self, request: Request, response: Response) -> None:
        """Show whether requests should be sent here."""
        state = self._state
        problems = {} if state else await self._run_checks()
        passes = state is None and not any(problems.values())
        body: dict[str, Any] = {"status": "pass" if passes else "fail"}
        if self._details:
            if state is not None:
                body["output"] = state
            body["checks"] = {
                name: _show(problem) for name, problem in problems.items()
            }
        _answer(response, body)
        if not passes:
            response.status = HTTPStatus.SERVICE_UNAVAILABLE
            response.headers["Retry-After"] = "1"

    async def _run_checks(self) -> dict[str, str | None]:
        """Run all checks, unless their results are fresh, or they are running."""
        now = asyncio.get_running_loop().time()
        current = self._round
        if current is None or (current.done() and now >= self._fresh_until):
            current = self._round = self._app.keep(self._run_round())
        # If one probe leaves, the others still get the results.
        return await asyncio.shield(current)

    async def _run_round(self) -> dict[str, str | None]:
        checks = [*self._checks.values()]
        problems = await asyncio.gather(*[each.run(self._timeout) for each in checks])
        self._fresh_until = asyncio.get_running_loop().time() + self._ttl
        names = [check.name for check in checks]
        return dict(zip(names, problems, strict=True))


def _show(problem: str | None) -> list[dict[str, str]]:
    if problem is None:
        return [{"status": "pass"}]
    return [{"status": "fail", "output": problem}]


def _answer(response: Response, body: dict[str, Any]) -> None:
    response.json = body
    response.headers["Content-Type"] = CONTENT_TYPE
    response.headers["Cache-Control"] = "no-store"


def health(
    app: Roll,
    *,
    live: str | None = "/livez",
    ready: str | None = "/readyz",
    checks: Mapping[str, Check] | None = None,
    timeout: float = 2.0,
    ttl: float = 1.0,
    details: bool = False,
) -> Health:
    """Add paths that show whether *app* is alive, and whether it takes requests.

    Args:
        app: The application.
        live: The path that gives a 200 as long as the event loop runs; None for no
            path.
        ready: The path that gives a 200 when the app has started, its server is not
            about to end, and all checks pass; otherwise a 503. None for no path.
        checks: Functions by their names, as `Health.add` takes them.
        timeout: Seconds that each check may take.
        ttl: Seconds for which the results of the checks are kept.
        details: Whether the response names the checks, and what is wrong with them.
            Leave it off where strangers have access.

    Returns:
        The health, to add more checks.

    Raises:
        TypeError: An option has another type.
        ValueError: An option is out of range, a path is taken, or `health` was called
            before.
    """
    require_app("health", app)
    require_seconds("timeout", timeout)
    require_seconds("ttl", ttl)
    if not isinstance(details, bool):
        raise TypeError(f"details={details!r}: give True or False")
    if KEY in app:
        raise ValueError("this app already has `health`: call it once")
    found = Health(app, timeout, ttl, details)
    for name, check in (checks or {}).items():
        found.add(name, check)
    for path, view in ((live, found.show_life), (ready, found.show_readiness)):
        if path is not None:
            # Probes come every few seconds, and are of no interest.
            app.route(path, metrics=False, tracing=False, logger=False)(view)
    app[KEY] = found
    app.listen("startup", after="*")(found.start)
    app.listen("drain", before="*")(found.drain)
    app.listen("shutdown", before="*")(found.stop)
    return found
