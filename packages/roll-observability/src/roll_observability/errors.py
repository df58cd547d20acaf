"""Errors: what made a request fail, in an app or in an app mounted in it."""

from collections.abc import Callable, Iterator
from http import HTTPStatus

from roll import HttpError, Request, Response, Roll

Listener = Callable[[Request, Response, HttpError], object]


def find_cause(error: HttpError) -> BaseException:
    """Find what made a view fail: the HttpError itself, or its cause."""
    if type(error) is not HttpError:
        return error
    if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:  # the core's own, mostly
        return error.__cause__ or error.__context__ or error
    return error.__cause__ or error


def listen_in_mounted_apps(app: Roll, listener: Listener) -> None:
    """Call a listener for the errors of the apps mounted in one.

    These apps respond to them, and their parents get no event.
    """
    for inner in _mounted_in(app):
        if listener not in inner.hooks.get("error", ()):  # the app starts again
            inner.listen("error", before="*")(listener)


def _mounted_in(app: Roll) -> Iterator[Roll]:
    """Give the apps mounted in one, at any depth."""
    for inner in app.mounted:
        yield inner
        yield from _mounted_in(inner)
