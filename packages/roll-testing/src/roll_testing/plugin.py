"""The pytest plugin: the fixtures `client` and `liveclient`.

The app starts and stops inside the loop of the test. A plain fixture cannot do this, so
the test's coroutine function is wrapped while it is called.
"""

import functools
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import AsyncExitStack
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

import pytest

from .client import Client
from .lifespan import Lifespan, left
from .live import LiveClient

if TYPE_CHECKING:
    from roll import Roll

LIFESPANS = pytest.StashKey[list[Lifespan]]()
"""The key in a test's stash for what starts before the test and stops after it."""


@pytest.fixture
def client(app: "Roll", request: pytest.FixtureRequest) -> Iterator[Client]:
    """Send requests to your fixture `app`, in memory."""
    client = Client(app)
    lifespans = _lifespans(request)
    lifespans.append(client)
    yield client
    lifespans.remove(client)


@pytest.fixture
def liveclient(app: "Roll", request: pytest.FixtureRequest) -> Iterator[LiveClient]:
    """Send requests to your fixture `app`, through a real socket."""
    liveclient = LiveClient(app)
    lifespans = _lifespans(request)
    lifespans.append(liveclient)
    yield liveclient
    lifespans.remove(liveclient)
    liveclient.close()


def _lifespans(request: pytest.FixtureRequest) -> list[Lifespan]:
    """Find the list of what the test has to start."""
    if "anyio_backend" in request.fixturenames:
        backend = request.getfixturevalue("anyio_backend")
        name = backend if isinstance(backend, str) else backend[0]
        if name != "asyncio":  # anyio runs a test on each backend; Roll has only one
            pytest.skip(f"Roll runs on asyncio, not on {name}")
    lifespans: list[Lifespan] = request.node.stash.setdefault(LIFESPANS, [])
    return lifespans


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Start the app before a coroutine test, in its loop, and stop it after."""
    lifespans = item.stash.get(LIFESPANS, None)
    if not lifespans:
        return (yield)
    # Hypothesis calls the function that it keeps, once for each example.
    hypothesis = getattr(getattr(item, "obj", None), "hypothesis", None)
    holder, name = (item, "obj") if hypothesis is None else (hypothesis, "inner_test")
    function = getattr(holder, name)
    if not iscoroutinefunction(function):
        return (yield)
    setattr(holder, name, _between(lifespans, function))
    try:
        return (yield)
    finally:
        setattr(holder, name, function)


def _between(
    lifespans: list[Lifespan], test: Callable[..., Coroutine[Any, Any, object]]
) -> Callable[..., Coroutine[Any, Any, object]]:
    """Wrap a coroutine function, to start and stop what it uses."""

    @functools.wraps(test)
    async def run(*args: Any, **kwargs: Any) -> object:
        async with AsyncExitStack() as stack:
            for lifespan in lifespans:
                await stack.enter_async_context(lifespan)
            return await test(*args, **kwargs)

    return run


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(exitstatus: int) -> None:
    """Let the process exit, even if an app that failed to start has left threads."""
    if any(thread.is_alive() and not thread.daemon for thread in left):
        from roll.ending import leave_threads

        leave_threads(int(exitstatus))
