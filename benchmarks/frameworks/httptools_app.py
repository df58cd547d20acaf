"""A limit: a protocol on uvloop that also parses requests by httptools: PORT."""

import asyncio
import sys

import httptools
import uvloop

ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
    b'Content-Length: 27\r\n\r\n{"message":"Hello, World!"}'
)


class Parsed(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data):
        self.parser.feed_data(data)

    def on_url(self, url):
        self.url = url

    def on_header(self, name, value):
        pass

    def on_message_complete(self):
        self.transport.write(ANSWER)


async def serve():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Parsed, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


uvloop.run(serve())
