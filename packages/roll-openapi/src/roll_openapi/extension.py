"""openapi: the OpenAPI document of an app, served by it."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from roll import Request, Response, Roll
from roll.plugins import require_app, require_boolean
from roll.response import JSON_TYPE

from . import ui as pages
from .conditions import not_modified
from .document import Object, Settings, encode, make_document
from .operations import Include
from .problems import problems as write_problems

KEY = "openapi"
NO_SCHEMES: Mapping[str, Mapping[str, Any]] = MappingProxyType({})


class Book:
    """The document of an app, made on the first request after a change."""

    def __init__(self, app: Roll, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self._body: bytes | None = None
        self._tag = ""

    def make(self) -> Object:
        """Make the document.

        Raises:
            TypeError: A view cannot be documented.
        """
        return make_document(self.app, self.settings)

    def forget(self) -> None:
        """Make it again on the next request, as a route was added."""
        self._body = None

    def read(self) -> tuple[bytes, str]:
        """Give the document as it is served, and its entity tag."""
        if self._body is None:
            self._body = encode(self.make())
            self._tag = f'"{sha256(self._body).hexdigest()[:32]}"'
        return self._body, self._tag


def openapi(
    app: Roll,
    *,
    title: str,
    version: str = "0",
    description: str = "",
    servers: Sequence[str] | None = None,
    path: str = "/openapi.json",
    ui: str | None = "/docs",
    security: Mapping[str, Mapping[str, Any]] = NO_SCHEMES,
    problems: bool = True,
    include: Include | None = None,
) -> None:
    """Describe *app* in OpenAPI 3.1, and serve the document.

    It includes each route, whenever it is declared. A view whose annotations cannot be
    documented keeps the app from starting.

    Args:
        app: The application.
        title: The title of the API.
        version: The version of the API.
        description: A description of the API, in Markdown if you like.
        servers: The URLs at which it is served; by default the app's root path.
        path: Where the document is served.
        ui: Where to serve the pages that show it; None for no pages.
        security: The security schemes by name, as in OpenAPI. According to the
            document, each route needs one of them; your listeners have to check it.
        problems: Whether errors are `application/problem+json`.
        include: Tells whether a declaration is documented; by default all are.

    Raises:
        ValueError: The app already has a document, or *ui* is given and roll-openapi-ui
            is not installed.
    """
    require_app("openapi", app)
    if KEY in app:
        raise ValueError("the app has a document already: call openapi(app) once")
    settings = Settings(
        title, version, description, servers, security, problems, include
    )
    book = app[KEY] = Book(app, settings)
    if problems:
        write_problems(app)
    _register_extras(app)
    app.router.checks.append(lambda: find_mistakes(book))

    @app.listen("route:add")
    def forget_document(path: str, view: Any, **extras: Any) -> None:
        book.forget()

    @app.route(path, hidden=True, security=[])
    async def openapi_document(request: Request, response: Response) -> None:
        body, tag = book.read()
        if not not_modified(request, response, tag):
            response.headers["Content-Type"] = JSON_TYPE
            response.body = body

    if ui is not None:
        pages.routes(app, title=title, path=ui, document=path, servers=servers or ())


def find_mistakes(book: Book) -> Sequence[str]:
    """Make the document, at startup and for `roll check`, and report errors."""
    book.forget()  # the app may have another root path now
    try:
        book.read()
    except (TypeError, ValueError) as error:
        return [str(error)]
    return []


def _register_extras(app: Roll) -> None:
    app.extras("tags", check=_check_tags)
    app.extras("deprecated", "hidden", check=require_boolean)
    app.extras("security", check=_check_security)
    app.extras("name")


def _check_tags(value: Any) -> None:
    if isinstance(value, str) or not all(isinstance(each, str) for each in value):
        raise TypeError("give a list of strings")


def _check_security(value: Any) -> None:
    if isinstance(value, (str, dict)) or not all(
        isinstance(each, (str, dict)) for each in value
    ):
        raise TypeError("give a list of names of security schemes")


def document(app: Roll) -> Object:
    """Give the document of an app.

    Raises:
        ValueError: `openapi` was not called on the app.
        TypeError: A view cannot be documented.
    """
    return find_book(app).make()


def write_document(app: Roll) -> str:
    """Write the OpenAPI document of APP, such as shop:app."""
    return encode(document(app)).decode()


def find_book(app: Roll) -> Book:
    """Give the object that makes the document of an app."""
    if KEY not in app:
        raise ValueError("the app has no document: call openapi(app, title=...) first")
    book: Book = app[KEY]
    return book
