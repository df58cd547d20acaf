"""Health: a route that says whether clients should be sent here."""

from collections.abc import Callable
from http import HTTPStatus

from roll import Request, Response, Roll


def add_health(app: Roll, path: str) -> Callable[[], None]:
    """Answer 200 on *path*.

    Returns:
        What to call when the server begins to end: it answers 503 from then on.

    Raises:
        ValueError: The app has a route there.
    """
    draining = False

    @app.route(path)
    async def health(request: Request, response: Response) -> None:
        response.headers["Cache-Control"] = "no-store"
        response.body = "OK"
        if draining:
            response.status = HTTPStatus.SERVICE_UNAVAILABLE
            response.body = "Draining"

    def drain() -> None:
        nonlocal draining
        draining = True

    return drain
