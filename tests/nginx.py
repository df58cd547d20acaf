"""A real nginx, for tests of packages that have one in front of them."""

import os
import pwd
import shutil
import socket
import subprocess
from contextlib import contextmanager

from roll_testing import patience, wait_until

PROGRAM = shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
"""Where it is, None where it is not: it is not a Python package.

`.ci/run` installs it, so that nothing is skipped there.
"""

MISSING = "nginx is not installed: apt-get install nginx-light"

SETTINGS = """
daemon off;
{user}
worker_processes 1;
pid {folder}/pid;
error_log {folder}/errors;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
{recipe}
}}
"""


def free_port():
    """Find a port for it to listen on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@contextmanager
def run(folder, recipe, port):
    """Run it; it listens when this is entered.

    Args:
        folder: An empty one; `errors` in it is the log.
        recipe: What stands in `http { }`.
        port: Where the recipe lets it listen, on 127.0.0.1.
    """
    settings = folder / "nginx.conf"
    root = os.getuid() == 0  # it would leave its rights, and have no folder
    user = f"user {pwd.getpwuid(0).pw_name} root;" if root else ""
    settings.write_text(SETTINGS.format(folder=folder, user=user, recipe=recipe))
    process = subprocess.Popen(
        [PROGRAM, "-c", settings, "-e", folder / "errors"],
        stderr=subprocess.DEVNULL,  # it is in the file, too
    )

    def accepts():
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            errors = folder / "errors"
            told = errors.read_text() if errors.exists() else ""
            assert process.poll() is None, told
            return False
        return True

    try:
        wait_until(accepts, "the start of nginx")
        yield
    finally:
        process.terminate()
        process.wait(timeout=patience(30))
