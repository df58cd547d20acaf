"""A real Prometheus, for tests of what it is told."""

import json
import os
import shutil
import subprocess
import urllib.parse
import urllib.request
from contextlib import contextmanager

from roll_testing import patience, wait_until

from tests.nginx import free_port

PROGRAM = shutil.which("prometheus")
"""Where it is, None where it is not: it is not a Python package.

`.ci/run` installs it, so that nothing is skipped there.
"""

PROMTOOL = shutil.which("promtool")

MISSING = "Prometheus is not installed: apt-get install prometheus"

SETTINGS = """
global:
  scrape_interval: {interval}
  scrape_timeout: {interval}
scrape_configs:
  - job_name: roll
    static_configs: [{{targets: ["127.0.0.1:{target}"]}}]
"""


class Prometheus:
    """What can be asked of it.

    Args:
        port: Where it listens.
    """

    def __init__(self, port):
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def query(self, expression):
        """Give what an expression is now: series, each with `metric` and its values."""
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{self._url}/query?{query}") as response:
            return json.load(response)["data"]["result"]


@contextmanager
def run(folder, target, interval="200ms"):
    """Run it; it listens when this is entered.

    Args:
        folder: An empty one.
        target: The port of 127.0.0.1 that it scrapes.
        interval: Between two scrapes.
    """
    settings = folder / "prometheus.yml"
    settings.write_text(SETTINGS.format(interval=interval, target=target))
    port = free_port()
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [
            *(PROGRAM, f"--config.file={settings}"),
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stderr=log,
        env={**os.environ, "GOMAXPROCS": "1"},
    )

    def is_ready():
        assert process.poll() is None, (folder / "log").read_text()
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready").close()
        except OSError:
            return False
        return True

    try:
        wait_until(is_ready, "the start of Prometheus")
        yield Prometheus(port)
    finally:
        process.terminate()
        process.wait(timeout=patience(30))
        log.close()
