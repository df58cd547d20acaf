"""The commands of the tutorials do what the tutorials say."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.request import urlopen

from roll_testing import patience, wait_until

TUTORIALS = Path(__file__).parent.parent / "docs" / "tutorials"


def files(page):
    """Map the name in the first line of each block of a page to the block."""
    text = (TUTORIALS / page).read_text()
    found = re.findall(r"^```\w+\n(# ([\w./]+)\n.*?)^```$", text, re.M | re.S)
    return {name: block for block, name in found}


def run(*command, folder, **variables):
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=patience(100),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_extension_keeps_its_contract(tmp_path, build):
    run("roll_server", "new", "extension", "maintenance", folder=tmp_path)
    package = tmp_path / "roll-maintenance"
    blocks = files("extension.md")
    del blocks["shop.py"]  # the application in which it is tried before
    for name, block in blocks.items():
        assert (package / name).exists()
        (package / name).write_text(block)
    build(package, tmp_path)
    installed = tmp_path / "installed"
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(installed)
    printed = run("pytest", "-q", folder=package, PYTHONPATH=str(installed))
    assert re.search(r"\d\d passed", printed), printed


def test_the_way_to_production(tmp_path):
    for name, block in files("production.md").items():
        (tmp_path / name).write_text(block)
    assert run("roll_server", "check", folder=tmp_path) == "Nothing is wrong.\n"
    log = tmp_path / "log"
    options = [
        "--workers",
        "2",
        "--log-format",
        "json",
        "--port",
        "0",
        "--drain",
        "0.1",
    ]
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "roll_server", "run", *options],
            cwd=tmp_path,
            env={**os.environ, "GREETING": "Welcome"},
            stdout=output,
            stderr=output,
        )
    try:
        began = r"Rolling on (http://\S+)"
        url = wait_until(lambda: re.search(began, log.read_text()), "a server")[1]
        with urlopen(f"{url}/") as response:
            assert response.read() == b"Welcome, 127.0.0.1"
        with urlopen(f"{url}/healthz") as response:
            assert response.status == 200
    finally:
        process.terminate()
        process.wait(patience(60))
    assert process.returncode == 0, log.read_text()
    assert '"status": 200' in log.read_text()
