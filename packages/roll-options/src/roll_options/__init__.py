"""options: responds to OPTIONS before anything is dispatched."""

from collections.abc import Mapping

from roll import Request, Response, Roll, hookimpl
from roll.plugins import require_app
from roll.typing import Extension

__all__ = ["options"]


def options(app: Roll) -> None:
    """Respond to every OPTIONS request of *app* with 200 and no body.

    A `headers` listener does this for any path: no body is read, no route is needed,
    and a view for OPTIONS is not called. `response` listeners run, so with the
    extension `cors`, called before or after, a preflight gets all its fields.

    Args:
        app: The application.
    """
    require_app("options", app)

    @app.listen("headers")
    async def answer_options(request: Request, response: Response) -> bool:
        return request.method == "OPTIONS"


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import options`."""
    return {"options": options}
