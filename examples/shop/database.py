"""The pool of connections to PostgreSQL."""

import os
from pathlib import Path

import asyncpg

SCHEMA = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")


async def db():
    async with asyncpg.create_pool(os.environ.get("DATABASE_URL")) as pool:
        async with pool.acquire() as connection, connection.transaction():
            # Workers start at the same time: one creates the tables, the others wait.
            await connection.execute("SELECT pg_advisory_xact_lock(1)")
            await connection.execute(SCHEMA)
        yield pool


async def ping(db):
    """Tell `/readyz` whether PostgreSQL answers."""
    await db.execute("SELECT 1")
