"""With every extension on, a request imports nothing: it may have no descriptor left.

The core imports what requests need when an app starts, and an extension when it is
called.
"""

import json
import subprocess
import sys
from pathlib import Path

from roll_testing import patience


def test_no_request_imports_anything(tmp_path):
    tmp_path.joinpath("a.unheard-of").write_bytes(b"content")
    # In a process of its own, where nothing was imported before the app starts.
    command = [sys.executable, Path(__file__).with_name("starved_site.py"), tmp_path]
    run = subprocess.run(command, capture_output=True, text=True, timeout=patience(60))
    assert run.returncode == 0, run.stderr
    found, imported = json.loads(run.stdout.splitlines()[-1])
    assert imported == []
    assert [*found.values()] == [200, 406, 200, 500, 404, 101, 503, 404]
    assert run.stderr.count("Too many open files") == 1
