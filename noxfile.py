"""Every development task of Roll, one session each; `nox --list` names them.

Environments live in `.nox` and are kept. What a session installs is written, as a
hash of everything that decides it, into a stamp inside its environment: while the
stamp matches, nothing is resolved and the network is not needed.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PACKAGES = {
    path.parent.name: path.parent
    for path in sorted(ROOT.glob("packages/*/pyproject.toml"))
}
# The packages with code: all but the meta distribution, by their import name.
IMPORTS = {
    name: source.parent.name
    for name, package in PACKAGES.items()
    for source in package.glob("src/*/py.typed")
}
# The schemas that come with check-jsonschema, and the files that have to match them.
GITHUB = {
    "dependabot": "dependabot.yml",
    "github-issue-config": "ISSUE_TEMPLATE/config.yml",
    "github-issue-forms": "ISSUE_TEMPLATE/[!c]*.yml",
    "github-workflows": "workflows/*.yml",
}
# What of the npm package swagger-ui-dist is in packages/roll-openapi-ui.
SWAGGER_UI = [
    *("LICENSE", "NOTICE", "favicon-32x32.png", "swagger-ui-bundle.js"),
    *("swagger-ui-bundle.js.LICENSE.txt", "swagger-ui.css"),
]
PYTHONS = ["3.11", "3.12", "3.13"]
COVERAGE = ROOT / ".nox" / "coverage"

# Waiting is most of what the tests do. A file stays in one process: its tests may share
# a server, or a browser. Files run in the order of `testpaths`, where those that take
# long come first, so that no process waits for one at the end.
PARALLEL = ["--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile"]
PARALLEL += ["--no-loadscope-reorder"]

# Tests that look at the files of the repository, or run a browser: they see the same on
# each Python, and run on the newest alone.
ONCE = [
    *("tests/test_alone.py", "tests/test_architecture.py", "tests/test_caddy.py"),
    *("tests/test_container.py", "tests/test_docs.py", "tests/test_english.py"),
    *("tests/test_figures.py", "tests/test_haproxy.py", "tests/test_kubernetes.py"),
    *("tests/test_new_with_pip.py", "tests/test_packaging.py", "tests/test_sleeps.py"),
    *("tests/test_layers.py", "tests/test_tutorials.py"),
    *("examples/ticker/tests.py", "examples/test_documents.py", "*browser.py"),
    *("examples/api/test_api_tools.py", "tests/test_units.py"),
]

# Caches of nox, uv and pip stay inside the checkout.
os.environ["XDG_CACHE_HOME"] = str(ROOT / ".cache")
os.environ["UV_PYTHON_DOWNLOADS"] = "never"
# Tests start hundreds of programs: what these import is compiled once.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["COVERAGE_FILE"] = str(COVERAGE / "all")
# Tests run beside each other, and CI runs two sessions at a time: limits that are ample
# for a test alone may pass.
os.environ.setdefault("ROLL_TEST_TIMES", "3")

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False  # named in one line instead
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests", "docs"]


def runs(python: str | Path, version: str) -> bool:
    """Tell whether *python* is an interpreter of that version, not a broken shim."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True)
    return done.stdout.strip() == version


def interpreter(version: str) -> str | None:
    """Find the `python3.x` on PATH, if there is one that runs."""
    found = shutil.which(f"python{version}")
    return found if found and runs(found, version) else None


def expose_pythons() -> None:
    """Put pyenv's interpreters on PATH where the `python3.x` found there fails.

    pyenv's shims exist for every installed version, and exit with an error for all
    but the selected ones.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    for version in PYTHONS:
        if interpreter(version):
            continue
        for python in sorted(pyenv.glob(f"{version}.*/bin/python{version}")):
            if runs(python, version):
                os.environ["PATH"] = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
                break


expose_pythons()


def install(session: nox.Session, *args: str, target: Path | None = None) -> bool:
    """Install exactly *args*, unless the environment has them already.

    Args:
        session: What runs the command, in its own environment.
        args: Requirements and options of `uv pip install`.
        target: Another environment.

    Returns:
        Whether something was installed, so whether the network may be used.
    """
    location = target or Path(session.virtualenv.location)
    settings = [ROOT / "noxfile.py", ROOT / "pyproject.toml"]
    settings += [package / "pyproject.toml" for package in PACKAGES.values()]
    digest = hashlib.sha256(repr(args).encode())
    for path in [location / "pyvenv.cfg", *settings]:
        digest.update(path.read_bytes())
    stamp = location / "installed.sha256"
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return False
    stamp.unlink(missing_ok=True)
    session.install(
        *(f"--python={location}", "--quiet", "--exact", *args), env=build_environment()
    )
    stamp.write_text(digest.hexdigest())
    return True


def build_environment() -> dict[str, str]:
    """Keep what building a package leaves behind inside the checkout."""
    temporary = ROOT / ".cache" / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return {"TMPDIR": str(temporary)}


def groups(*names: str) -> list[str]:
    """Name dependency groups of the root, as arguments of an install."""
    return [
        arg for name in names for arg in ("--group", f"{ROOT}/pyproject.toml:{name}")
    ]


def own_tests(*packages: str) -> list[str]:
    """Name the groups `tests` of some packages, as arguments of an install."""
    return [
        arg
        for name in packages
        if "tests" in project(name).get("dependency-groups", {})
        for arg in ("--group", f"{PACKAGES[name]}/pyproject.toml:tests")
    ]


def project(name: str) -> dict:
    """Read a package's pyproject.toml."""
    return tomllib.loads((PACKAGES[name] / "pyproject.toml").read_text())


def workspace() -> list[str]:
    """Name every package, editable, as arguments of an install."""
    return [arg for name in PACKAGES for arg in ("-e", f"packages/{name}")]


def closure(*names: str) -> list[str]:
    """List packages of the workspace with those that they depend on."""
    seen: list[str] = []
    queue = list(names)
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.append(name)
        queue += local(project(name)["project"].get("dependencies", []))
    return sorted(seen)


def local(needs: list[str]) -> list[str]:
    """Name the packages of the workspace among some requirements."""
    return sorted({re.match(r"[\w.-]+", need)[0] for need in needs} & PACKAGES.keys())


@nox.session
def format(session: nox.Session) -> None:
    """Format the code, and fix what ruff can fix safely."""
    install(session, *groups("lint"))
    session.run("ruff", "check", "--fix", ".")
    session.run("ruff", "format", ".")


@nox.session
def lint(session: nox.Session) -> None:
    """Check the code's rules, its format, the spelling, and what GitHub reads."""
    install(session, *groups("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", "--diff", ".")
    session.run("codespell")
    for schema, pattern in GITHUB.items():
        files = [str(path) for path in sorted(ROOT.glob(f".github/{pattern}"))]
        session.run("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files)
    session.run("zizmor", "--offline", "--quiet", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the packages."""
    install(session, *workspace(), *groups("tests", "types"), *own_tests(*PACKAGES))
    session.run("mypy", *(f"packages/{name}/src" for name in IMPORTS))


def autobahn(session: nox.Session) -> dict[str, str]:
    """Install the Autobahn test-suite, which runs on Python 2.7, where there is one.

    Returns:
        What tells the tests where it is; nothing without a Python 2.7.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    candidates = [shutil.which("python2.7"), *pyenv.glob("2.7.*/bin/python2.7")]
    python = next((str(one) for one in candidates if one and runs(one, "2.7")), None)
    if python is None:
        session.warn("no Python 2.7: the Autobahn test-suite is left out")
        return {}
    location = ROOT / ".nox" / "autobahn"
    wstest = location / "bin" / "wstest"
    if not wstest.exists():
        shutil.rmtree(location, ignore_errors=True)
        # The last that makes environments of Python 2.7.
        virtualenv = ("uv", "tool", "run", "--quiet", "virtualenv@20.21.1")
        session.run(*virtualenv, "--quiet", "--python", python, str(location))
        session.run(
            *(f"{location}/bin/pip", "install", "--quiet"),
            *("--no-python-version-warning", "autobahntestsuite==25.10.1"),
            external=True,
        )
    return {"ROLL_TEST_WSTEST": str(wstest)}


def api_tools(session: nox.Session) -> dict[str, str]:
    """Install what tries examples/api by its document, beside the tests.

    Schemathesis is a plugin of pytest, too, and needs versions of its own.

    Returns:
        What tells the tests where the commands are.
    """
    location = ROOT / ".nox" / "api-tools"
    if not location.exists():
        python = next(filter(interpreter, reversed(PYTHONS)), "3")
        session.run_install("uv", "venv", "--quiet", "--python", python, str(location))
    install(session, *groups("api-tools"), target=location)
    return {"ROLL_TEST_API_TOOLS": str(location / "bin")}


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests on each supported Python; `alone` measures what they cover.

    On a slow machine, `ROLL_TEST_TIMES=9` multiplies the time limits of the tests.
    """
    install(session, *workspace(), *groups("tests"), *own_tests(*PACKAGES))
    newest = next(each for each in reversed(PYTHONS) if interpreter(each))
    ignored = ONCE if session.python != newest else []
    options = [f"--ignore-glob={ROOT}/{name}" for name in ignored]
    options += [*PARALLEL, *session.posargs]
    session.run("pytest", *options, env={**autobahn(session), **api_tools(session)})


@nox.session
@nox.parametrize("package", list(IMPORTS))
def alone(session: nox.Session, package: str) -> None:
    """Run one package's tests with what it declares; they must cover all of it.

    It is run as wheels, on the newest Python; where the code asks for the version of
    Python, on the oldest, too: between the two, every such branch goes both ways.
    """
    install(session, "coverage>=7.10")
    data = COVERAGE / package
    shutil.rmtree(data, ignore_errors=True)
    # CI has Hypothesis try the same examples each time, however long one takes: what
    # they cover is not left to chance.
    environment = {
        "COVERAGE_FILE": str(data / "data"),
        "COVERAGE_MODULE": IMPORTS[package],
        "COVERAGE_PACKAGE": package,
        "CI": "true",
    }
    asks = any(
        "sys.version_info" in source.read_text()
        for source in PACKAGES[package].glob("src/**/*.py")
    )
    wanted = [PYTHONS[0], PYTHONS[-1]] if asks else [PYTHONS[-1]]
    pythons = [version for version in wanted if interpreter(version)]
    for version in pythons or ["3"]:
        run_alone(session, package, version, environment)
    session.run("coverage", "combine", "--quiet", env=environment)
    gate = ["--fail-under=100"]
    if pythons != wanted:
        gate = ["--fail-under=0"]
        session.warn("no Python but one: what it leaves uncovered is only listed")
    session.run(
        *("coverage", "report", f"--include=packages/{package}/src/*", *gate),
        env=environment,
    )


def run_alone(
    session: nox.Session, package: str, version: str, environment: dict[str, str]
) -> None:
    """Run a package's own tests in an environment beside the session's."""
    target = Path(session.virtualenv.location, f"python{version}")
    if not target.exists():
        session.run("uv", "venv", "--quiet", "--python", version, str(target))
    tested_with = local(project(package).get("dependency-groups", {}).get("tests", []))
    packages = closure(package, "roll-testing", *tested_with)
    wheels = [f"packages/{name}" for name in packages]
    tools = [*own_tests(package), "coverage>=7.10", "pytest-xdist>=3.7"]
    if not install(session, *wheels, *tools, target=target):
        # The settings are the same, the code may not be.
        session.install(
            *(f"--python={target}", "--quiet", "--offline", "--no-deps", *wheels),
            *(f"--reinstall-package={name}" for name in packages),
            env=build_environment(),
        )
    session.run(
        *(f"{target}/bin/python", "-m", "coverage", "run", "-m", "pytest"),
        *(f"--confcutdir=packages/{package}", f"packages/{package}/tests"),
        *(*PARALLEL, *session.posargs),
        env=environment,
        external=True,
    )


@nox.session
def nightly(session: nox.Session) -> None:
    """Try thousands of random route sets, messages and bodies, not hundreds."""
    install(session, *workspace(), *groups("tests"), *own_tests(*PACKAGES))
    environment = {
        "ROLL_TEST_EXAMPLES": "5000",
        **autobahn(session),
        **api_tools(session),
    }
    session.run("pytest", *PARALLEL, *session.posargs or ["packages"], env=environment)


@nox.session(python=PYTHONS[-1])
def fuzz(session: nox.Session) -> None:
    """Fuzz each parser of a client's bytes, for five minutes each.

    One target for a minute: `-- --seconds 60 --only cookies`. Atheris chooses the
    inputs by the code that they reach; `--random` does without it. The input that fails
    is kept in the folder for temporary files, and printed.
    """
    install(session, *workspace(), *groups("tests", "fuzz"), *own_tests(*PACKAGES))
    session.run("python", "-m", "tests.fuzz", *session.posargs)


@nox.session(python=PYTHONS[-1])
def soak(session: nox.Session) -> None:
    """Serve clients that leave at bad moments, for 10 minutes: `-- --seconds 60`.

    Requests, uploads, streams, WebSockets and static files are mixed, under asyncio and
    under uvloop. Each response must have the token of its own request; in the end, no
    descriptor, task or temporary file may be left, and the memory must be flat. With
    `--seed` clients do what they did in another run, with `--loop` under one loop.
    """
    install(session, *workspace(), *groups("tests"), *own_tests(*PACKAGES))
    session.run("python", "-m", "tests.soak", *session.posargs)


@nox.session(python=PYTHONS)
def lowest(session: nox.Session) -> None:
    """Run the tests with the oldest versions that the packages declare."""
    install(
        session,
        *("--upgrade", "--resolution", "lowest-direct"),
        *workspace(),
        *groups("tests"),
        *own_tests(*PACKAGES),
    )
    session.run("pytest", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a broken link, or a request to another host, fails."""
    install(session, *groups("docs"))
    # Leave out Material's note on its successor. Zensical reads the same settings, but
    # does not run mkdocs_hooks.py yet.
    environment = {"NO_MKDOCS_2_WARNING": "1"}
    # Not --quiet, which hides warnings from --strict as well.
    session.run("mkdocs", "build", "--strict", env=environment)


@nox.session(python=PYTHONS[-1])
def bench(session: nox.Session) -> None:
    """Run the benchmarks, or one with its options: `-- frameworks --rows minimal`."""
    install(session, *workspace(), *groups("bench"))
    name, *options = session.posargs or ["*"]
    scripts = sorted(ROOT.glob(f"benchmarks/bench_{name}.py"))
    if not scripts:
        session.error(f"there is no benchmarks/bench_{name}.py")
    for script in scripts:
        session.run("python", str(script.relative_to(ROOT)), *options)


@nox.session
def serve(session: nox.Session) -> None:
    """Serve examples/hello on port 3579 until it is interrupted."""
    install(session, *workspace())
    # In the place of nox, so that signals reach the server and nothing else.
    python = shutil.which("python", path=os.pathsep.join(session.bin_paths))
    command = [python, "-m", "examples.hello", *session.posargs]
    sys.stdout.flush()
    os.execve(python, command, {**os.environ, "PYTHONUNBUFFERED": "1"})


@nox.session
def build(session: nox.Session) -> None:
    """Build each package, install the wheels in a fresh environment, import them.

    Then install what `pip install roll` does, without a C compiler, and serve with it.
    """
    fresh = install(session, "hatchling>=1.27")
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    for name in PACKAGES:
        session.run(
            *("uv", "build", "--no-build-isolation", f"--python={session.bin}/python"),
            *("--quiet", "--out-dir", str(dist), f"packages/{name}"),
            env=build_environment(),
        )
    target = Path(session.virtualenv.location, "fresh")
    python = f"--python={target}"
    wheels = sorted(str(path) for path in dist.glob("*.whl"))
    offline = [] if fresh else ["--offline"]
    session.run("uv", "venv", "--quiet", "--clear", str(target))
    session.install(python, "--quiet", *offline, *wheels, env=build_environment())
    session.run("uv", "pip", "check", python)
    for module in IMPORTS.values():
        code = f"import {module}; print('imported', {module}.__file__)"
        session.run(f"{target}/bin/python", "-W", "error", "-c", code, external=True)
    needed = {name.replace("-", "_") for name in closure("roll")}
    wheels = [path for path in wheels if Path(path).name.partition("-")[0] in needed]
    for version in filter(interpreter, PYTHONS):
        serve_without_compiler(session, version, *offline, *wheels)


def serve_without_compiler(session: nox.Session, version: str, *args: str) -> None:
    """Install *args* from wheels, as where there is no C compiler, and serve.

    Only mimetype-match is built from its source: it has no wheel, and is pure Python.
    """
    target = Path(session.virtualenv.location, f"plain{version}")
    session.run("uv", "venv", "--quiet", "--clear", "--python", version, str(target))
    session.install(
        *(f"--python={target}", "--quiet"),
        *("--only-binary", ":all:", "--no-binary", "mimetype-match"),
        *args,
        env={**build_environment(), "CC": "/bin/false", "CXX": "/bin/false"},
    )
    session.run(f"{target}/bin/roll", "--version", external=True)
    session.run(
        *(f"{target}/bin/python", "-W", "error", "tests/fresh.py"), external=True
    )


@nox.session(venv_backend="none", default=False)
def swagger_ui(session: nox.Session) -> None:
    """Fetch the files of Swagger UI into packages/roll-openapi-ui; needs npm.

    Their version is `VERSION` of that package. Their hashes are written beside them.
    """
    package = PACKAGES["roll-openapi-ui"] / "src" / "roll_openapi_ui"
    version = re.search(
        r'^VERSION = "(.+)"', (package / "__init__.py").read_text(), re.M
    )
    fetched = ROOT / ".cache" / "swagger-ui"
    shutil.rmtree(fetched, ignore_errors=True)
    fetched.mkdir(parents=True)
    # npm compares the archive with the hash that the registry has of it.
    session.run(
        *("npm", "pack", f"swagger-ui-dist@{version[1]}", "--loglevel=error"),
        *(f"--pack-destination={fetched}", f"--cache={ROOT}/.cache/npm"),
        external=True,
    )
    shutil.unpack_archive(*fetched.glob("*.tgz"), fetched, filter="data")
    shutil.rmtree(package / "swagger_ui", ignore_errors=True)
    (package / "swagger_ui").mkdir()
    sums = []
    for name in SWAGGER_UI:
        path = shutil.copyfile(
            fetched / "package" / name, package / "swagger_ui" / name
        )
        sums.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n")
    (package / "swagger_ui" / "SHA256SUMS").write_text("".join(sums))


@nox.session(default=False)
def release(session: nox.Session) -> None:
    """Release each package that changed, or one: `-- roll-core 1.1.0`.

    That is: set the version, date the changelog, build, check, commit, tag.
    """
    install(session, "hatchling>=1.27")
    session.run("python", "release.py", *session.posargs)
