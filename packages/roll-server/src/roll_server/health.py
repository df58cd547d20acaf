"""Health: a route that shows whether clients should be sent here."""

from functools import partial
from http import HTTPStatus

from roll import Request, Response, Roll


def add_health(app: Roll, path: str) -> None:
    """Respond with 200 on *path*, and with 503 once the server is ending.

    Raises:
        ValueError: The app has a route there.
    """
    draining = False

    async def health(request: Request, response: Response) -> None:
        response.headers["Cache-Control"] = "no-store"
        response.body = "OK"
        if draining:
            response.status = HTTPStatus.SERVICE_UNAVAILABLE
            response.body = "Draining"

    # A partial has no name, so a view of the application may be called `health`.
    app.route(path)(partial(health))

    @app.listen("drain", before="*")
    def drain() -> None:
        nonlocal draining
        draining = True
