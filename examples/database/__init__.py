"""A pool of database connections as an extension, with events of its own.

SQLite stands for any database. `new_connection` is an event that the extension makes
up: who listens to it sees each connection before it is used.
"""

import asyncio
import contextlib
import sqlite3

from roll import Roll


class Pool:
    """Connections that are opened as needed, up to a number, and used again."""

    def __init__(self, app, url, size):
        self.app = app
        self.url = url
        self.free = asyncio.LifoQueue()
        self.open = []
        self.places = asyncio.Semaphore(size)

    @contextlib.asynccontextmanager
    async def acquire(self):
        async with self.places:
            connection = (
                await self.connect() if self.free.empty() else await self.free.get()
            )
            try:
                yield connection
            finally:
                self.free.put_nowait(connection)

    async def connect(self):
        connection = await asyncio.to_thread(
            sqlite3.connect, self.url, uri=True, check_same_thread=False
        )
        self.open.append(connection)
        await self.app.hook("new_connection", connection=connection)
        return connection

    async def close(self):
        for connection in self.open:
            await asyncio.to_thread(connection.close)


def database(app, url, size=5):
    """Keep a pool in `app["db"]` while the app runs."""

    @app.listen("startup")
    async def open_pool():
        app["db"] = Pool(app, url, size)

    @app.listen("shutdown")
    async def close_pool():
        await app.pop("db").close()


app = Roll()
database(app, "file:roll-example?mode=memory&cache=shared")


@app.listen("new_connection")
async def create_tables(connection):
    connection.execute("CREATE TABLE IF NOT EXISTS visits (path TEXT)")


@app.route("/visits/{path:path}")
async def visit(request, response, path):
    async with request.app["db"].acquire() as connection:
        with connection:
            connection.execute("INSERT INTO visits VALUES (?)", [path])
        count = "SELECT count(*) FROM visits WHERE path = ?"
        (visits,) = connection.execute(count, [path]).fetchone()
    response.json = {"path": path, "visits": visits}
