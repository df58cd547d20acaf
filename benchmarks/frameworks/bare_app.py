"""A limit: a protocol on uvloop that writes a fixed answer, whatever comes: PORT.

What an upload brings is counted, and nothing else is done with it.
"""

import asyncio
import re
import sys

import uvloop

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
ANSWER = HEAD + b'Content-Length: 27\r\n\r\n{"message":"Hello, World!"}'


class Bare(asyncio.Protocol):
    missing = 0  # of an upload

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        if self.missing or data.startswith(b"PUT"):
            self.count(data)
        else:
            self.transport.write(ANSWER)

    def count(self, data):
        if not self.missing:
            head, _, data = data.partition(b"\r\n\r\n")
            self.size = int(re.search(rb"(?i)\ncontent-length: *(\d+)", head)[1])
            self.missing = self.size
        self.missing -= len(data)
        if not self.missing:
            body = b'{"size":%d}' % self.size
            answer = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
            self.transport.write(answer)


async def serve():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Bare, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


uvloop.run(serve())
