"""templates: pages with Jinja2."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

from roll import Roll, hookimpl
from roll.plugins import require_app
from roll.typing import Extension

if TYPE_CHECKING:
    from jinja2 import BaseLoader

    from .pages import Templates

__all__ = ["Templates", "templates"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name != "Templates":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from .pages import Templates  # Jinja is only loaded when it is used

        return Templates


def templates(
    app: Roll,
    directory: str | Path | Sequence[str | Path] = "templates",
    *,
    errors: str | None = None,
    reload: bool = False,
    enable_async: bool = False,
    loader: "BaseLoader | None" = None,
    **options: Any,
) -> "Templates":
    """Render pages with Jinja2.

    Every template is compiled when the app starts: a syntax error keeps the app from
    starting, and no request waits for the disk.

    Args:
        app: The application; the result is also `app["templates"]`.
        directory: Where the templates are, relative to the current directory. If there
            are several, the first one that has a template provides it.
        errors: The name of a template for error pages, such as `"error.html"`. A
            `404.html` in the same folder is preferred for 404, and so on.
        reload: Whether to check the file before each use, only for development.
        enable_async: Whether templates may await, which makes all of them slower.
        loader: Finds the templates, in place of *directory*.
        options: For `jinja2.Environment`, such as `trim_blocks=True`.

    Raises:
        TypeError: An option has another type, or is unknown to Jinja.
        ValueError: The app has templates already.
    """
    require_app("templates", app)
    if "templates" in app:
        raise ValueError(
            "templates(app) was called before: call it once, with a list of directories"
        )
    if not isinstance(errors, (str, NoneType)):
        raise TypeError(f"errors={errors!r}: give the name of a template")
    from .environment import Finder, make_environment
    from .errors import show_pages_for_errors
    from .pages import Templates

    finder = Finder(directory, loader)
    environment = make_environment(finder, reload, enable_async, options)
    pages = app["templates"] = Templates(app, environment)

    @app.listen("startup", after="*")  # others may add functions, or fill a loader
    async def load_templates() -> None:
        await finder.start(pages.environment, reload)

    if errors is not None:
        show_pages_for_errors(app, pages, errors)
    return pages


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import templates`."""
    return {"templates": templates}
