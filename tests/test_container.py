"""The Dockerfile of docs/how-to/container.md makes an image that serves and ends well.

Docker builds it where there is one. Everywhere, its commands are run one by one, with
the paths of the image in a folder. The packages are the wheels of this tree.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from roll_testing import patience, wait_until

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "container.md"


def blocks():
    """Map the name in the first line of each block to the block."""
    found = re.findall(r"^```\w+\n(# (\S+)\n.*?)^```$", PAGE.read_text(), re.M | re.S)
    return {name: text for text, name in found}


def instructions():
    """Give each instruction of the Dockerfile with what follows it."""
    lines = blocks()["Dockerfile"].splitlines()
    return [tuple(line.split(" ", 1)) for line in lines if line and line[0] != "#"]


def last(name):
    """Give the command of the last CMD or HEALTHCHECK, as a list."""
    (*_, rest) = (rest for found, rest in instructions() if found == name)
    return json.loads(rest[rest.index("[") :])


@pytest.fixture
def context(tmp_path, wheels):
    """A folder with what the page shows, as the context of a build."""
    folder = tmp_path / "context"
    folder.mkdir()
    for name, text in blocks().items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def image(tmp_path, context, wheels):
    """Run the instructions without Docker; give the folder and the environment."""
    root = tmp_path / "root"
    root.mkdir()
    links = [os.environ.get("PIP_FIND_LINKS", ""), str(wheels["roll-core"].parent)]
    ours = ("COVERAGE", "MYPY", "PYTEST", "PYTHON", "ROLL_")
    environment = {
        **{key: os.environ[key] for key in os.environ if not key.startswith(ours)},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PIP_FIND_LINKS": " ".join(links).strip(),
        "PIP_RETRIES": "1",
    }

    def inside(text):
        return re.sub(r"(?<![\w.])/(venv|app|tmp)\b", rf"{root}/\1", text)

    folder = root
    for name, rest in instructions():
        if name == "RUN":
            done = subprocess.run(
                inside(rest),
                shell=True,
                env=environment,
                capture_output=True,
                text=True,
                timeout=patience(240),
            )
            if "Could not find a version" in done.stderr:
                pytest.skip(f"no package registry can be reached: {done.stderr}"[:500])
            assert done.returncode == 0, done.stdout + done.stderr
        elif name == "COPY" and not rest.startswith("--from"):
            source, target = rest.split()
            Path(inside(target)).parent.mkdir(exist_ok=True)
            shutil.copy(context / source, inside(target))
        elif name == "WORKDIR":
            folder = inside(rest)
        elif name == "ENV":
            path = environment["PATH"]
            for setting in shlex.split(inside(rest).replace("$PATH", path)):
                key, _, value = setting.partition("=")
                environment[key] = value
    return folder, environment


def variables():
    """Give the settings of the page, with which the image has to start, too."""
    return dict(re.findall(r"\b(ROLL_(?:LOG|TRUSTED)\w+)=([\w./]+)", PAGE.read_text()))


def test_the_image_serves_is_healthy_and_ends_when_it_is_told(image, tmp_path):
    folder, environment = image
    assert variables().keys() == {"ROLL_LOG_FORMAT", "ROLL_TRUSTED_PROXIES"}
    environment |= variables()
    # Port 8000 may be taken here, and nobody waits for the drain.
    here = {**environment, "ROLL_PORT": "0", "ROLL_DRAIN": "0.1"}
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            last("CMD"), cwd=folder, env=here, stdout=output, stderr=output
        )
    try:
        began = r"Rolling on http://.+:(\d+)$"
        found = wait_until(lambda: re.search(began, log.read_text(), re.M), "a server")
        check = [word.replace(":8000", f":{found[1]}") for word in last("HEALTHCHECK")]
        subprocess.run(check, env=environment, check=True, timeout=patience(30))
        with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/") as response:
            assert response.read() == b"Hello"
    finally:
        process.terminate()
        process.wait(patience(60))
    assert process.returncode == 0, log.read_text()
    assert '"status": 200' in log.read_text()


def test_it_runs_as_a_user_and_a_group_without_rights():
    (user,) = (rest for name, rest in instructions() if name == "USER")
    assert all(int(number) >= 1000 for number in user.split(":"))
    assert ":" in user, "its group would be root"
    names = [name for name, _ in instructions()]
    assert names.index("USER") > max(i for i, name in enumerate(names) if name == "RUN")


def has_docker():
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True).returncode == 0


# A daemon runs outside of a test's reach, so `.ci/run` cannot install it: the other
# tests run the commands of the image one by one.
@pytest.mark.skipif(not has_docker(), reason="no Docker that runs")
def test_docker_builds_the_image_and_finds_it_healthy(context, wheels):
    shutil.copytree(wheels["roll-core"].parent, context / "wheels")
    dockerfile = context / "Dockerfile"
    text = dockerfile.read_text()
    text = text.replace("COPY requirements", "COPY wheels /wheels\nCOPY requirements")
    dockerfile.write_text(text.replace("install ", "install --find-links /wheels "))
    build = ["docker", "build", "--quiet", "."]
    image = subprocess.check_output(build, cwd=context, text=True).strip()
    run = ["docker", "run", "--detach", "--rm", "--read-only", "--tmpfs", "/tmp", image]
    container = subprocess.check_output(run, text=True).strip()
    try:
        state = ["docker", "inspect", "--format", "{{.State.Health.Status}}", container]
        wait_until(
            lambda: subprocess.check_output(state, text=True) == "healthy\n",
            "a healthy container",
            timeout=patience(60),
        )
    finally:
        subprocess.run(["docker", "stop", "--time", "60", container], check=True)
