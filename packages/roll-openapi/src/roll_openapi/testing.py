"""check: compares each response of an app with its document, in tests."""

import json
from collections.abc import Mapping
from typing import Any

from roll import Request, Response, Roll

from .bodies import get_essence, is_json
from .extension import Book, find_book
from .operations import list_operations
from .responses import ANY_TYPE

Object = Mapping[str, Any]


def check(app: Roll) -> None:
    """In tests, turn a response that does not fit the document into an error.

    The response becomes a 500, and the log shows what does not fit: an undocumented
    status, a type, or a body. Streams, and statuses from 500 on, are not checked.

    Args:
        app: One that `openapi` was called on.

    Raises:
        ImportError: jsonschema is not installed.
        ValueError: The app has no document.
    """
    try:
        from jsonschema import Draft202012Validator
    except ImportError:
        raise ImportError(
            "check needs jsonschema. Run: pip install 'roll-openapi[testing]'"
        ) from None
    book = find_book(app)

    @app.listen("response", after="*")
    def check_response(request: Request, response: Response) -> None:
        if (found := _find_operation(book, request)) and response.status < 500:
            where = f"{request.method} {request.endpoint.path}: {int(response.status)}"
            schema = _find_schema(found["responses"], response, where)
            if schema is not None:
                root = {**schema, "components": book.make().get("components", {})}
                checker = Draft202012Validator.FORMAT_CHECKER
                validator = Draft202012Validator(root, format_checker=checker)
                for error in validator.iter_errors(json.loads(response.body)):
                    raise AssertionError(f"{where}: {error.json_path}: {error.message}")


def _find_operation(book: Book, request: Request) -> Object | None:
    """Find the operation of a request in the document."""
    for each in list_operations(book.app, book.settings.include):
        if each.endpoint is request.endpoint:
            found: Object = book.make()["paths"][each.template][each.method.lower()]
            return found
    return None


def _find_schema(responses: Object, response: Response, where: str) -> Object | None:
    """Find the schema of a body; None when there is nothing to compare."""
    documented = responses.get(str(int(response.status)), responses.get("default"))
    if documented is None:
        raise AssertionError(
            f"{where} is not documented: add it to responses= of typed"
        )
    content: Object = documented.get("content", {})
    if not content or hasattr(response.body, "__aiter__"):
        return None
    media = get_essence(response.headers.get("Content-Type", ""))
    if media == "text/plain" and response.failed:  # for clients that prefer it to JSON
        return None
    if media not in content and ANY_TYPE not in content:
        types = ", ".join(content)
        raise AssertionError(f"{where} has the type {media!r}, but should have {types}")
    return content[media].get("schema") if is_json(media) and media in content else None
