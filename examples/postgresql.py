"""A PostgreSQL of its own, which tests run."""

import asyncio
import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import asyncpg
from roll_testing import patience, until, wait_until


def find(program):
    """Find a program of PostgreSQL's server, which Debian keeps out of PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return shutil.which(
        program, path=os.pathsep.join([os.environ["PATH"], *map(str, folders)])
    )


INITDB, POSTGRES = find("initdb"), find("postgres")
IS_INSTALLED = bool(INITDB and POSTGRES)


class Server:
    """A PostgreSQL on a unix socket, in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.data = f"{folder}/data"
        self.options = {"cwd": folder}
        if os.getuid() == 0:  # PostgreSQL refuses to be root
            user = pwd.getpwnam("nobody")
            os.chown(folder, user.pw_uid, user.pw_gid)
            self.options |= {"user": user.pw_uid, "group": user.pw_gid}
            self.options["extra_groups"] = []
        subprocess.run(
            [INITDB, "--auth=trust", "--no-sync", "--username=shop", self.data],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=patience(120),
            **self.options,
        )

    @property
    def url(self):
        return f"postgresql://shop@/postgres?host={self.folder}"

    def start(self):
        self.process = subprocess.Popen(
            [
                *(POSTGRES, "-D", self.data, "-k", self.folder),
                *("-c", "listen_addresses=", "-c", "fsync=off"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self.options,
        )
        wait_until(lambda: asyncio.run(self.accepts()), "the start of PostgreSQL")

    async def accepts(self):
        assert self.process.poll() is None, "PostgreSQL has ended"
        with contextlib.suppress(OSError, asyncpg.CannotConnectNowError):
            await (await asyncpg.connect(self.url)).close()
            return True

    def stop(self):
        self.process.send_signal(2)  # SIGINT disconnects the clients
        self.process.wait(timeout=patience(60))

    async def others(self):
        """Count the connections of others."""
        connection = await asyncpg.connect(self.url)
        try:
            return await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE "
                "backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
        finally:
            await connection.close()

    async def has_no_others(self):
        """Wait until no connection is left: the server may take a while."""

        async def is_alone():
            return await self.others() == 0

        await until(is_alone, "the end of all connections", timeout=30)


@contextlib.contextmanager
def run():
    """Run one in a folder that is gone in the end."""
    with tempfile.TemporaryDirectory(prefix="roll-pg-") as folder:
        server = Server(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
