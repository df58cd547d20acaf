"""The application that an extension is tried on, and what it shows."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import isawaitable
from traceback import format_exception
from typing import Any, NamedTuple, TypeVar

from roll import HttpError, Request, Response, Roll
from roll.typing import Listener
from roll_testing import Client, ClientResponse

EVENTS = ("startup", "headers", "request", "error", "response", "shutdown")

L = TypeVar("L", bound=Listener)


class BrokenViewError(Exception):
    """What the view of `/broken` raises."""


class FaultError(Exception):
    """Something that a test does not accept; the message is for its author."""


class Ask(NamedTuple):
    """A request."""

    method: str
    path: str
    headers: Mapping[str, str] | None = None

    def __str__(self) -> str:
        values = " and ".join(
            {repr(text)[:20] for text in (self.headers or {}).values()}
        )
        return f"{self.method} {self.path}" + (
            values and f" with {values} in its fields"
        )


class Listening(NamedTuple):
    """A listener of the application."""

    event: str
    colour: str
    place: str

    def __str__(self) -> str:
        return (
            f"the {self.colour} {self.event!r} listener that the application has "
            f"declared {self.place} the extension"
        )


class Site(Roll):
    """An app with a view for each way in which a request may end.

    It notes what its listeners raise, and which of them run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.raised: list[str] = []
        """What listeners have raised, except HttpError, as text."""
        self.ran: list[object] = []
        """Paths of the views, and listeners of `record`, in the order they ran."""
        self.route("/")(self.greet)
        self.route("/refused")(self.refuse)
        self.route("/broken")(self.fail)

    async def greet(self, request: Request, response: Response) -> None:
        """Respond."""
        self.ran.append(request.path)
        response.headers["Content-Type"] = "text/plain; charset=utf-8"
        response.body = "Hello"

    async def greet_late(self, request: Request, response: Response) -> None:
        """Respond, on a route that is declared after the extension was called."""
        await self.greet(request, response)

    async def refuse(self, request: Request, response: Response) -> None:
        """Respond with an error."""
        self.ran.append(request.path)
        raise HttpError(403)

    async def fail(self, request: Request, response: Response) -> None:
        """Fail as a view with a bug does."""
        self.ran.append(request.path)
        raise BrokenViewError

    def listen(
        self,
        name: str,
        *,
        before: str | Sequence[str] = (),
        after: str | Sequence[str] = (),
    ) -> Callable[[L], L]:
        """Run a function at each event *name*, and note what it raises."""
        declare = super().listen(name, before=before, after=after)

        def add(listener: L) -> L:
            # Exceptions of other events may be meant for the code that calls them.
            declare(watched(self, name, listener) if name in EVENTS else listener)
            return listener

        return add


def watched(site: Site, event: str, listener: Listener) -> Listener:
    """Wrap a listener, so that *site* notes what it raises."""

    @contextmanager
    def note() -> Iterator[None]:
        try:
            yield
        except HttpError:
            raise
        except Exception as error:
            name = getattr(listener, "__name__", repr(listener))
            own = error.__traceback__ and error.__traceback__.tb_next  # not this frame
            trace = "".join(format_exception(type(error), error, own)[-3:])
            site.raised.append(f"its {event!r} listener {name} raises:\n{trace}")
            raise

    @functools.wraps(listener)
    def run(*arguments: Any, **keywords: Any) -> Any:
        with note():
            result = listener(*arguments, **keywords)
        return wait(result) if isawaitable(result) else result

    async def wait(result: Awaitable[Any]) -> Any:
        with note():
            return await result

    return run


# What an application may declare besides an extension


def answer_in_listeners(site: Site) -> None:
    """Respond to some paths before the view: a shortcut."""

    @site.listen("headers")
    async def answer_at_headers(request: Request, response: Response) -> bool:
        return answer(request, response, "headers")

    @site.listen("request")
    def answer_at_request(request: Request, response: Response) -> bool:
        return answer(request, response, "request")

    def answer(request: Request, response: Response, event: str) -> bool:
        if request.path != f"/answered/{event}":
            return False
        response.body = "answered"
        return True


def raise_in_listeners(site: Site) -> None:
    """Raise an HttpError from listeners, for some paths."""
    for event in ("headers", "request", "response"):
        site.listen(event)(functools.partial(_refuse, f"/raised/{event}"))


def _refuse(path: str, request: Request, response: Response) -> None:
    if request.path == path:
        raise HttpError(403)


def record(place: str) -> Callable[[Site], None]:
    """Note each listener that runs; *place* is where they are declared."""

    def declare(site: Site) -> None:
        for event in EVENTS:
            site.listen(event)(_plain(site, Listening(event, "plain", place)))
            site.listen(event)(_coroutine(site, Listening(event, "coroutine", place)))

    return declare


def _plain(site: Site, listening: Listening) -> Listener:
    def note(*arguments: object) -> None:
        site.ran.append(listening)

    return note


def _coroutine(site: Site, listening: Listening) -> Listener:
    async def note(*arguments: object) -> None:
        await asyncio.sleep(0)
        site.ran.append(listening)

    return note


# Requests and responses


def ask(app: Roll, requests: Iterable[Ask]) -> list[ClientResponse]:
    """Start *app*, send requests and stop it, in an event loop of its own.

    Raises:
        FaultError: A response is missing, or breaks HTTP, or a task is left.
    """
    # With a factory, the current event loop stays as it is.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(_ask(app, requests))


async def _ask(app: Roll, requests: Iterable[Ask]) -> list[ClientResponse]:
    client = Client(app)
    try:
        async with asyncio.timeout(client.timeout):
            await client.start()
    except Exception as error:
        raise FaultError(f"the app does not start with it: {error!r}") from error
    answers = [await _send(client, request) for request in requests]
    try:
        async with asyncio.timeout(client.timeout):
            await client.stop()
    except Exception as error:
        raise FaultError(f"the app does not stop with it: {error!r}") from error
    if left := asyncio.all_tasks() - {asyncio.current_task()}:
        raise FaultError(
            f"after the shutdown there still runs {left.pop().get_coro()!r}: cancel "
            "what you start, and await it, in a `shutdown` listener"
        )
    return answers


async def _send(client: Client, request: Ask) -> ClientResponse:
    method, path, headers = request
    try:
        return await client.request(path, method, headers=headers)
    except (ConnectionError, TimeoutError, ValueError) as error:
        raise FaultError(f"{request}: no good response comes: {error}") from error


def describe(answer: ClientResponse) -> dict[str, object]:
    """Give a response as a dict, field by field, to compare it."""
    fields: dict[str, object] = {
        name: answer.headers.list(name) for name in answer.headers
    }
    return {"status": int(answer.status), "body": answer.body, **fields}
