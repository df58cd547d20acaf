"""Loops: what runs an application."""

import asyncio


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Make a loop of uvloop where it is installed, else of asyncio.

    uvloop is not made for every platform. This is a `loop_factory` of `asyncio.Runner`.
    """
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
