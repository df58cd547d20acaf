"""A release in a copy of the repository, installed from an index of the machine itself.

The copy has few packages, to be quick: the core, the server and an extension.
"""

import os
import re
import shutil
import subprocess
import sys
import venv
from base64 import urlsafe_b64encode
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from urllib.request import urlopen
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from roll_testing import patience, wait_until

ROOT = Path(__file__).parent.parent
COPIED = ("roll-core", "roll-cors", "roll-server")
FIRST = "1.9.0"
APP = """
from roll import Roll
from roll.extensions import cors

app = Roll()
cors(app)


@app.route("/")
async def home(request, response):
    response.body = "Hello"
"""

# A release is the same for each Python, and making one takes long.
pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 13), reason="the newest Python releases for all"
)


def run(*command, folder, fails=False):
    """Run a command without settings of this machine; give all that it prints."""
    ours = ("COVERAGE", "GIT_", "PIP_", "PYTHON", "ROLL_", "VIRTUAL_ENV")
    clean = {key: os.environ[key] for key in os.environ if not key.startswith(ours)}
    for who in ("AUTHOR", "COMMITTER"):
        clean[f"GIT_{who}_NAME"] = clean[f"GIT_{who}_EMAIL"] = "somebody"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**clean, "GIT_CONFIG_GLOBAL": os.devnull, "PIP_CONFIG_FILE": os.devnull},
        capture_output=True,
        text=True,
        timeout=patience(120),
    )
    assert bool(done.returncode) is fails, done.stdout + done.stderr
    return done.stdout + done.stderr


class Repository:
    """A copy of the repository with a few packages, all of it committed."""

    def __init__(self, folder):
        self.folder = folder
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*_cache")
        for name in COPIED:
            source = ROOT / "packages" / name
            target = folder / "packages" / name
            shutil.copytree(source, target, ignore=ignored)
            # Whatever has been released here already.
            settings = (target / "pyproject.toml").read_text()
            settings = re.sub(
                '^version = ".+"$', f'version = "{FIRST}"', settings, flags=re.M
            )
            (target / "pyproject.toml").write_text(settings)
            self.note(name, "### Added\n\n- Something.")
        for name in ("release.py", ".gitignore"):
            shutil.copy(ROOT / name, folder)
        self.git("init", "--quiet")
        self.commit()

    def git(self, *args):
        return run("git", *args, folder=self.folder).strip()

    def commit(self):
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "Change something")

    def release(self, *args, fails=False):
        """Do what the session `release` of nox does."""
        command = (sys.executable, "release.py", *args)
        return run(*command, folder=self.folder, fails=fails)

    def tags(self):
        return set(self.git("tag").split())

    def dist(self):
        return sorted(path.name for path in (self.folder / "dist").iterdir())

    def note(self, package, text):
        """Write under Unreleased in the changelog of a package."""
        path = self.folder / "packages" / package / "CHANGELOG.md"
        heading = "## Unreleased\n"
        path.write_text(path.read_text().replace(heading, f"{heading}\n{text}\n", 1))


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Give a copy in which every package has been released once."""
    repository = Repository(tmp_path_factory.mktemp("repository"))
    repository.printed = repository.release()
    shutil.copytree(repository.folder / "dist", repository.folder.parent / "first")
    return repository


@pytest.fixture
def clean(repository):
    """Give the copy as it was after its first release."""
    head, tags = repository.git("rev-parse", "HEAD"), repository.tags()
    yield repository
    repository.git("reset", "--quiet", "--hard", head)
    for tag in repository.tags() - tags:
        repository.git("tag", "--delete", tag)


def repack(distribution, folder):
    """Write the wheel from which a distribution was installed."""
    tags = re.findall(r"^Tag: (.+)$", distribution.read_text("WHEEL"), re.MULTILINE)
    name = re.sub(r"[-_.]+", "_", distribution.name)
    target = folder / f"{name}-{distribution.version}-{tags[0]}.whl"
    written = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"}
    record = []
    with ZipFile(target, "w") as wheel:
        for path in distribution.files:
            # Those outside are scripts, which are made again.
            if ".." in path.parts or path.suffix == ".pyc" or path.name in written:
                continue
            content = path.locate().read_bytes()
            wheel.writestr(str(path), content)
            digest = urlsafe_b64encode(sha256(content).digest()).decode().rstrip("=")
            record.append(f"{path},sha256={digest},{len(content)}\n")
        info = next(
            path.parts[0] for path in distribution.files if path.name == "WHEEL"
        )
        wheel.writestr(f"{info}/RECORD", "".join([*record, f"{info}/RECORD,,\n"]))


def brought(*names):
    """Find the distributions of others that come with some of ours."""
    waiting, seen = [*names], {}
    while waiting:
        need = Requirement(waiting.pop())
        name = canonicalize_name(need.name)
        if name not in seen and (
            not need.marker or need.marker.evaluate({"extra": ""})
        ):
            seen[name] = metadata.distribution(name)
            waiting += seen[name].requires or ()
    return {name: found for name, found in seen.items() if name not in COPIED}


@pytest.fixture(scope="module")
def index(repository, tmp_path_factory):
    """Serve what was released, and what it needs: a folder for each name (PEP 503)."""
    folder = tmp_path_factory.mktemp("index")
    files = sorted((repository.folder.parent / "first").iterdir())
    for path in files:
        name = path.name.partition("-")[0].replace("_", "-")
        (folder / name).mkdir(exist_ok=True)
        shutil.copy(path, folder / name)
    for name, distribution in brought(*COPIED).items():
        (folder / name).mkdir()
        repack(distribution, folder / name)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=folder)
    ) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        yield SimpleNamespace(folder=folder, url=url)
        server.shutdown()


def test_the_first_release_tags_every_package_after_those_that_it_needs(repository):
    names = [f"{name}-v1.9.0" for name in COPIED]
    assert repository.tags() == {*names}
    tagged = re.findall(r"^tagged (.+)$", repository.printed, re.MULTILINE)
    assert sorted(tagged) == names
    assert tagged[0] == "roll-core-v1.9.0"
    pushed = re.findall(r"^  git push origin (\S+)", repository.printed, re.MULTILINE)
    assert pushed == ["HEAD", *tagged]
    stems = [f"{name.replace('-', '_')}-1.9.0" for name in COPIED]
    kinds = ("-py3-none-any.whl", ".tar.gz")
    files = sorted(path.name for path in (repository.folder.parent / "first").iterdir())
    assert files == [stem + kind for stem in stems for kind in kinds]


def test_a_tag_has_the_version_and_the_dated_changelog(repository):
    show = partial(repository.git, "show")
    changelog = show("roll-core-v1.9.0:packages/roll-core/CHANGELOG.md")
    assert re.search(r"\n## Unreleased\n\n## 1\.9\.0 - \d{4}-\d\d-\d\d\n", changelog)
    settings = show("roll-core-v1.9.0:packages/roll-core/pyproject.toml")
    assert '\nversion = "1.9.0"\n' in settings


def test_without_a_change_nothing_is_released(clean):
    path = clean.folder / "packages" / "roll-cors" / "tests" / "test_cors.py"
    path.write_text("# tests alone are not released")
    clean.commit()
    assert clean.release() == "no package has changed since its last tag\n"


@pytest.mark.parametrize(
    ("heading", "version"),
    [("Fixed", "1.9.1"), ("Added", "1.10.0")],
)
def test_what_changed_gets_the_next_version(clean, heading, version):
    clean.note("roll-cors", f"### {heading}\n\n- Something.")
    (clean.folder / "packages" / "roll-server" / "README.md").write_text("# x")
    clean.commit()
    before = clean.tags()
    printed = clean.release()
    assert "roll-server changed, but has no notes under Unreleased" in printed
    assert clean.tags() - before == {f"roll-cors-v{version}"}
    assert clean.dist() == [
        f"roll_cors-{version}-py3-none-any.whl",
        f"roll_cors-{version}.tar.gz",
    ]
    assert clean.git("status", "--porcelain") == ""


def test_one_package_is_released_in_the_version_that_is_given(clean):
    clean.note("roll-cors", "### Added\n\n- Something.")
    clean.note("roll-server", "### Added\n\n- Something.")
    clean.commit()
    before = clean.tags()
    clean.release("roll-cors", "2.0.0")
    assert clean.tags() - before == {"roll-cors-v2.0.0"}


def test_the_version_after_a_candidate_is_that_which_it_is_for(clean):
    before = clean.tags()
    for command in (["roll-cors", "2.0.0rc1"], []):
        clean.note("roll-cors", "### Fixed\n\n- Something.")
        clean.commit()
        clean.release(*command)
    assert clean.tags() - before == {"roll-cors-v2.0.0rc1", "roll-cors-v2.0.0"}


def test_the_workflow_builds_what_a_tag_names(clean):
    clean.release("--tag", "roll-cors-v1.9.0")
    assert clean.dist() == [
        "roll_cors-1.9.0-py3-none-any.whl",
        "roll_cors-1.9.0.tar.gz",
    ]
    for tag in ("roll-cors-v1.9.1", "roll-other-v1.9.0", "v1.9.0"):
        assert f"{tag} does not name a package" in clean.release(
            "--tag", tag, fails=True
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["roll-cors"], "give a package and its version"),
        (["roll-cors", "1.1"], "'1.1' is not a version like 1.1.0"),
        (["roll-cors", "1.9.0"], "roll-cors 1.9.0 has a tag"),
        (["roll-cors", "1.10.0"], "roll-cors/CHANGELOG.md has no notes"),
        (["roll-other", "1.1.0"], "invalid choice: 'roll-other'"),
    ],
)
def test_what_cannot_be_released_is_refused(clean, arguments, message):
    assert message in clean.release(*arguments, fails=True)


@pytest.mark.parametrize(
    ("file", "before", "after", "message"),
    [
        ("README.md", "# roll-cors\n", "# cors\n", "begin with the README"),
        ("README.md", "\n\n", "\n\n[a](../b.md)\n", "has a relative link"),
        ("pyproject.toml", "[project.urls]", "[tool.urls]", "no [project.urls]"),
        ("pyproject.toml", '"README.md"', '"READ.md"', "no sdist of roll-cors"),
    ],
)
def test_what_fails_its_checks_leaves_the_repository_as_it_was(
    clean, file, before, after, message
):
    clean.note("roll-cors", "### Fixed\n\n- Something.")
    path = clean.folder / "packages" / "roll-cors" / file
    path.write_text(path.read_text().replace(before, after, 1))
    clean.commit()
    head, tags = clean.git("rev-parse", "HEAD"), clean.tags()
    assert message in clean.release(fails=True)
    assert clean.git("rev-parse", "HEAD") == head
    assert clean.tags() == tags
    assert clean.git("status", "--porcelain") == ""


def test_what_is_not_committed_stops_a_release(clean):
    clean.note("roll-cors", "### Fixed\n\n- Something.")
    assert "commit your changes first" in clean.release(fails=True)


@pytest.fixture(scope="module")
def bin(tmp_path_factory):
    """Give the folder of the commands of a fresh environment."""
    folder = tmp_path_factory.mktemp("env")
    venv.create(folder, with_pip=True, symlinks=True)
    return folder / "bin"


def test_the_workflow_waits_for_what_a_package_needs(repository, index, bin, tmp_path):
    workflow = (ROOT / ".github" / "workflows" / "publish.yml").read_text()
    command = re.search(r"until (python .+); do sleep", workflow)[1]
    line = f"PATH={bin}:$PATH {command} --no-cache-dir --index-url {index.url}"
    (tmp_path / "dist").mkdir()
    wheel = "roll_cors-1.9.0-py3-none-any.whl"
    shutil.copy(repository.folder.parent / "first" / wheel, tmp_path / "dist")
    core = (index.folder / "roll-core").rename(index.folder / "not-yet")
    printed = run("sh", "-c", line, folder=tmp_path, fails=True)
    assert "No matching distribution found for roll-core" in printed
    core.rename(index.folder / "roll-core")
    assert "Would install" in run("sh", "-c", line, folder=tmp_path)


def test_a_fresh_environment_installs_from_the_index_and_serves(index, bin, tmp_path):
    install = (bin / "python", "-m", "pip", "install", "--no-cache-dir")
    run(*install, "--index-url", index.url, "roll-server", "roll-cors", folder=tmp_path)
    (tmp_path / "hello.py").write_text(APP)
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [bin / "roll", "run", "hello:app", "--port", "0"],
            cwd=tmp_path,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        address = r"Rolling on (http://127\.0\.0\.1:\d+)"
        found = wait_until(lambda: re.search(address, log.read_text()), "a server")
        with urlopen(found[1], timeout=patience(10)) as response:
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert response.read() == b"Hello"
    finally:
        process.terminate()
        process.wait(patience(60))
    assert process.returncode == 0, log.read_text()
