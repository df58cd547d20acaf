"""An app that notes what its views do, and lets them wait at a gate."""

import asyncio

from roll import Limits, Roll


class NotingApp(Roll):
    """Its views are declared by the tests.

    Args:
        limits: Of `roll.Limits`.
    """

    def __init__(self, **limits):
        super().__init__()
        self.limits = Limits(**limits)
        self.seen = []
        self.gate = asyncio.Event()

    async def echo(self, request, response):
        self.seen.append(request.path)
        response.body = request.body or "ok"

    async def slow(self, request, response):
        self.seen.append("started")
        try:
            await self.gate.wait()
        finally:
            self.seen.append("ended")
        response.body = request.query_string or "ok"

    async def stream(self, request, response):
        response.body = self["stream"] = self.pieces()  # or the collector closes it

    async def pieces(self):
        """Give `app["pieces"]`: at an Ellipsis it waits, an exception it raises."""
        self.seen.append("open")
        try:
            for piece in self.get("pieces", ()):
                if piece is Ellipsis:
                    await self.gate.wait()
                elif isinstance(piece, BaseException):
                    raise piece
                else:
                    yield piece
        finally:
            await asyncio.sleep(0)
            self.seen.append("closed")


async def finish(transport):
    """Leave, and wait until the app has noticed."""
    transport.disconnect()
    await transport.wait_closed()
