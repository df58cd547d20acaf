"""What `pip install roll` alone has to do: serve a request.

`nox -s build` runs it in an environment that has been installed without a C compiler.
What is only for those who ask for it must not be there.
"""

import asyncio
import importlib.util
import platform
import socket

from roll import Roll, Server
from roll.extensions import content_negotiation, cors, logger

EXTRAS = ("pytest", "gunicorn", "roll_testing", "roll_gunicorn", "roll_classic")

app = Roll()
cors(app)
logger(app)
content_negotiation(app)


@app.route("/hello/{name}", accepts=["text/plain"])
async def hello(request, response, name):
    response.cookies.set("name", name)
    response.body = f"Hello {name}"


async def ask() -> bytes:
    """Send one request through a real socket, and give what comes back."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(app, [listening])
    await server.start()
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    writer.write(b"GET /hello/world HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    received = await reader.read()
    writer.close()
    await server.stop()
    return received


def main() -> None:
    """Fail when something is missing, or there that should not be."""
    for module in EXTRAS:
        if importlib.util.find_spec(module) is not None:
            raise SystemExit(f"pip install roll has brought {module}")
    received = asyncio.run(ask())
    head, _, body = received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 OK\r\n") or body != b"Hello world":
        raise SystemExit(f"the response was {received!r}")
    print(f"served on Python {platform.python_version()}, without {', '.join(EXTRAS)}")


if __name__ == "__main__":
    main()
