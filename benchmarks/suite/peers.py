"""Who is measured, and an environment for each in .nox/bench-peers, kept."""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
APPS = ROOT / "benchmarks" / "frameworks"
ENVIRONMENTS = ROOT / ".nox" / "bench-peers"
OWN = ("roll-core[fast]", "roll-proxy", "roll-server", "roll-static", "roll-websockets")

LIMIT = frozenset({"browser", "minimal", "busy", "crowd", "paced", "idle", "start"})
LIMIT_PIPELINED = LIMIT | {"pipelined"}


@dataclass(frozen=True)
class Peer:
    """What is served, and how.

    Args:
        title: Its name in tables.
        requires: What is installed from PyPI.
        imports: The module whose import is timed; None where there is nothing to it.
        command: What follows the interpreter, with {port} and {folder}.
        packages: What is installed from this checkout, as wheels.
        idle: What follows that to take many idle connections, past the defaults.
        proxied: What follows it to believe a proxy; its row needs this.
        workers: What follows it for two workers; their row needs this.
        reload: One of RELOADS; their row needs it.
        start: What follows the interpreter for a cold start, where that is another.
        python: Whether it is a Python framework under a Python server, for the targets.
        rows: The rows that it can serve; None for all.
        lacks: Rows that it cannot, and why.
        shown: Distributions whose versions are told.
    """

    title: str
    requires: tuple[str, ...]
    imports: str | None
    command: tuple[str, ...]
    python: bool = False
    rows: frozenset[str] | None = None
    lacks: tuple[tuple[str, str], ...] = ()
    packages: tuple[str, ...] = ()
    idle: tuple[str, ...] = ()
    proxied: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()
    reload: tuple[str, tuple[str, ...]] = ()
    start: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()

    def misses(self, row):
        """Tell why *row* is not asked for; empty where it is."""
        if self.rows is not None and row not in self.rows:
            return "it has no other rows"
        if row in ("proxied", "workers", "reload") and not getattr(self, row):
            return "it has no setting for it"
        return dict(self.lacks).get(row, "")


UVICORN = "uvicorn[standard]"
WITHOUT_STREAMED_UPLOAD = (("upload", "loads a body into memory"),)
UVICORN_COMMAND = (
    *("-m", "uvicorn", "--port", "{port}", "--no-access-log"),
    *("--http", "httptools", "--loop", "uvloop", "--log-level", "warning"),
)
GRANIAN = ("-m", "granian", "--no-log", "--port", "{port}")
GRANIAN_IDLE = ("--backlog", "4096", "--backpressure", "4096")
BLACKSHEEP = "blacksheep_app:app"

# The module `reloaded`, and what follows the interpreter to serve it
# again whenever it has changed. It answers {version}.
RELOADS = {
    "roll": (
        "from roll import Roll\napp = Roll()\n"
        "@app.route('/')\nasync def version(request, response):\n"
        "    response.body = '{version}'\n",
        ("-m", "roll_server", "run", "reloaded:app", "--reload", "--port", "{port}"),
    ),
    "starlette": (
        "from starlette.applications import Starlette\n"
        "from starlette.responses import PlainTextResponse\n"
        "from starlette.routing import Route\n"
        "async def version(request):\n    return PlainTextResponse('{version}')\n"
        "app = Starlette(routes=[Route('/', version)])\n",
        (*UVICORN_COMMAND, "--reload", "reloaded:app"),
    ),
    "sanic": (
        "from sanic import Sanic, text\napp = Sanic('reloaded')\n"
        "@app.get('/')\nasync def version(request):\n    return text('{version}')\n",
        ("-m", "sanic", "reloaded:app", "--port", "{port}", "--auto-reload"),
    ),
}

PEERS = {
    "roll": Peer(
        title="Roll",
        requires=(),
        packages=OWN,
        imports="roll",
        command=("roll_app.py", "{port}"),
        idle=("idle",),
        proxied=("proxied",),
        workers=("workers",),
        reload=RELOADS["roll"],
        start=("-m", "roll_server", "run", "roll_app:app", "--port", "{port}"),
        shown=("roll-core", "roll-websockets", "httptools", "uvloop", "orjson"),
    ),
    "roll013": Peer(
        title="Roll 0.13",
        requires=("roll==0.13.*", "uvloop"),
        imports="roll",
        command=("roll013_app.py", "{port}", "{folder}"),
        python=True,
        shown=("roll", "httptools", "uvloop"),
    ),
    "aiohttp": Peer(
        title="aiohttp",
        requires=("aiohttp", "uvloop"),
        imports="aiohttp.web",
        command=("aiohttp_app.py", "{port}", "{folder}"),
        python=True,
        shown=("aiohttp", "uvloop"),
    ),
    "sanic": Peer(
        title="Sanic",
        requires=("sanic",),
        imports="sanic",
        command=("sanic_app.py", "{port}", "{folder}"),
        proxied=("proxied",),
        reload=RELOADS["sanic"],
        python=True,
        shown=("sanic", "httptools", "uvloop"),
    ),
    "starlette": Peer(
        title="Starlette, uvicorn",
        requires=("starlette", UVICORN),
        imports="starlette.applications",
        command=("starlette_app.py", "{port}", "{folder}"),
        proxied=("proxied",),
        reload=RELOADS["starlette"],
        python=True,
        shown=("starlette", "uvicorn", "httptools", "uvloop"),
    ),
    "falcon": Peer(
        title="Falcon, uvicorn",
        requires=("falcon", UVICORN),
        imports="falcon.asgi",
        command=("falcon_app.py", "{port}", "{folder}"),
        python=True,
        shown=("falcon", "uvicorn", "httptools", "uvloop"),
    ),
    "blacksheep": Peer(
        title="BlackSheep, uvicorn",
        requires=("blacksheep", UVICORN),
        imports="blacksheep",
        command=(*UVICORN_COMMAND, BLACKSHEEP),
        proxied=("--forwarded-allow-ips", "127.0.0.1"),
        workers=("--workers", "2"),
        python=True,
        shown=("blacksheep", "uvicorn", "httptools", "uvloop"),
    ),
    "blacksheep-granian": Peer(
        title="BlackSheep, granian",
        requires=("blacksheep", "granian[uvloop]"),
        imports="blacksheep",
        command=(*GRANIAN, "--interface", "asgi", BLACKSHEEP),
        idle=GRANIAN_IDLE,
        shown=("blacksheep", "granian", "uvloop"),
    ),
    "granian": Peer(
        title="granian, RSGI",
        requires=("granian[uvloop]",),
        imports="granian",
        command=(*GRANIAN, "--static-path-mount", "{folder}", "granian_app:app"),
        idle=GRANIAN_IDLE,
        workers=("--workers", "2"),
        shown=("granian", "uvloop"),
    ),
    "granian-by-hand": Peer(
        title="granian, by hand",
        requires=("granian[uvloop]",),
        imports="granian",
        command=(*GRANIAN, "granian_app:by_hand"),
        rows=frozenset({"browser-full", "cookie", "full"}),
        shown=("granian", "uvloop"),
    ),
    "robyn": Peer(
        title="Robyn",
        requires=("robyn",),
        imports="robyn",
        command=("robyn_app.py", "{port}", "{folder}", "--log-level", "WARN"),
        lacks=WITHOUT_STREAMED_UPLOAD,
        shown=("robyn", "uvloop"),
    ),
    "socketify": Peer(
        title="socketify",
        requires=("socketify",),
        imports="socketify",
        command=("socketify_app.py", "{port}", "{folder}"),
        shown=("socketify",),
    ),
    "socketify-async": Peer(
        title="socketify, async",
        requires=("socketify",),
        imports="socketify",
        command=("socketify_app.py", "{port}", "{folder}", "async"),
        rows=frozenset(
            {*("browser", "browser-full", "minimal"), *("parameter", "cookie")}
            | {*("query", "full", "busy", "crowd", "paced")}
        ),
        shown=("socketify",),
    ),
    "roll-uvicorn": Peer(
        title="Roll by asgi, uvicorn",
        requires=(UVICORN,),
        packages=(*OWN, "roll-asgi"),
        imports=None,
        command=(*UVICORN_COMMAND, "roll_asgi_app:app"),
        rows=frozenset({"browser", "browser-full", "minimal", "full", "json", "api"}),
        shown=("roll-asgi", "uvicorn", "httptools", "uvloop"),
    ),
    "roll-granian": Peer(
        title="Roll by asgi, granian",
        requires=("granian[uvloop]",),
        packages=(*OWN, "roll-asgi"),
        imports=None,
        command=(*GRANIAN, "--interface", "asgi", "roll_asgi_app:app"),
        rows=frozenset({"browser", "browser-full", "minimal", "full", "json", "api"}),
        shown=("roll-asgi", "granian", "uvloop"),
    ),
    "bare": Peer(
        title="limit: uvloop",
        requires=("uvloop",),
        imports=None,
        command=("bare_app.py", "{port}"),
        rows=LIMIT | {"upload"},
        shown=("uvloop",),
    ),
    "httptools": Peer(
        title="limit: httptools",
        requires=("uvloop", "httptools"),
        imports=None,
        command=("httptools_app.py", "{port}"),
        rows=LIMIT_PIPELINED,
        shown=("httptools", "uvloop"),
    ),
}


def python_of(name):
    return ENVIRONMENTS / name / "bin" / "python"


def install(name):
    """Make the environment of a peer, unless it has what is required already.

    Raises:
        RuntimeError: It cannot be installed; the message is uv's.
    """
    environment = ENVIRONMENTS / name
    stamp = environment / "installed.sha256"
    digest = stamp_of(name)
    if stamp.exists() and stamp.read_text() == digest:
        return
    run_uv("venv", "--quiet", "--clear", "--python", sys.executable, environment)
    # Compiled, as by pip: no start has to, though PYTHONDONTWRITEBYTECODE be set.
    options = ["--quiet", "--compile-bytecode", "--python", environment]
    run_uv("pip", "install", *options, *requirements(name))
    stamp.write_text(digest)


def requirements(name):
    # Wheels, as its users have them, not the sources.
    own = (f"{ROOT}/packages/{package}" for package in PEERS[name].packages)
    return (*PEERS[name].requires, *own)


def stamp_of(name):
    """Hash what decides an environment: Python, the requirements, and Roll's code."""
    digest = hashlib.sha256(repr((sys.version, requirements(name))).encode())
    if PEERS[name].packages:
        for path in sorted(ROOT.glob("packages/*/src/**/*.py")):
            digest.update(path.read_bytes())
        for path in sorted(ROOT.glob("packages/*/pyproject.toml")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def run_uv(*args):
    # nox has it beside the interpreter, where PATH may not lead.
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    uv = shutil.which("uv", path=beside)
    if not uv:
        raise RuntimeError("uv is missing: run this by `nox -s bench`")
    done = subprocess.run([uv, *args], capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(" ".join(done.stderr.split())[-300:])


def versions(name):
    """List the versions that are installed for a peer, as `name version`."""
    code = (
        "import sys; from importlib.metadata import version\n"
        "for name in sys.argv[1:]: print(name, version(name))"
    )
    command = [python_of(name), "-c", code, *PEERS[name].shown]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.stdout.splitlines()
