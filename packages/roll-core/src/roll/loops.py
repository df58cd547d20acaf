"""Loops: the event loop of an application."""

import asyncio


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Make a loop of uvloop if it is installed, otherwise of asyncio.

    uvloop does not exist for every platform. Use this as `loop_factory` of
    `asyncio.Runner`.
    """
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
