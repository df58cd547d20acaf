"""The contract: a good extension passes it, and each bad one fails the test for it.

All of them are laid into one folder, as pip leaves what it installs, and one run of
pytest tests them; each test here looks at what that run said.
"""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from textwrap import dedent, indent
from typing import NamedTuple

import pytest
import roll_contract
from roll_contract.probe import describe_act
from roll_testing import patience

HOOK = """
from roll import hookimpl

@hookimpl
def roll_extensions():
    return {{"{name}": {name}}}
"""

GOOD = '''
from roll import HttpError, Request, Response, Roll


def {name}(app: Roll, value: str = "yes") -> None:
    """Say in every response that it was here, and refuse those with a bad field."""

    @app.listen("startup")
    async def open_it() -> None:
        app["{name}"] = 0

    @app.listen("request")
    async def count_requests(request: Request, response: Response) -> None:
        app["{name}"] += 1
        if request.headers.get("Authorization") == "-1":
            raise HttpError(401)

    @app.listen("response")
    def say_so(request: Request, response: Response) -> None:
        response.headers["X-Good"] = value

    @app.listen("shutdown")
    async def close_it() -> None:
        app.pop("{name}", None)
'''

METADATA = """\
Metadata-Version: 2.4
Name: {distribution}
Version: 1.0
Requires-Python: >=3.11
Requires-Dist: roll-core<2,>=1.0
"""


class Case(NamedTuple):
    """An extension, what is tested of it, and what that says."""

    source: str = GOOD
    test: str = ""
    message: str = ""
    extra: str = ""  # of the test class
    hook: str = HOOK
    metadata: str = METADATA
    files: tuple[str, ...] = ("__init__.py", "py.typed")
    entry_points: str = "[roll.plugins]\n{name} = {module}\n"


def listening(event, body, arguments="request, response", setup="pass"):
    """Write an extension with one listener."""
    return (
        "from roll import HttpError\n\ndef {name}(app):\n"
        + indent(setup, "    ")
        + f"\n    @app.listen({event!r})\n    async def act({arguments}):\n"
        + indent(dedent(body).strip("\n"), "        ")
        + "\n"
    )


def calling(body):
    """Write an extension that does something when it is called."""
    return "def {name}(app):\n" + indent(dedent(body).strip("\n"), "    ") + "\n"


def importing(body):
    """Write a module that does something when it is imported."""
    return dedent(body) + "\ndef {name}(app):\n    pass\n"


IMPORT = "test_importing_it_does_nothing"
ERRORS = "test_it_survives_errors"
INSTALLING = "test_installing_it_changes_no_app"
METADATA_TEST = "test_it_asks_for_a_range_of_roll_core"
COLOURS = "test_listeners_of_both_colours_run_beside_it"
RESTART = "test_it_starts_again_after_a_shutdown"
TWICE = "test_set_up_twice_is_safe_or_refused"
OPTIONS = "test_it_takes_an_app_and_options"
FOUND = "test_it_is_found_by_its_name"
PYTHONS = "test_it_says_which_pythons_it_runs_on"
TYPED = "test_it_is_marked_as_typed"

BAD = {
    # What is installed
    "no_app": Case(
        "def {name}():\n    pass\n", OPTIONS, "no_app takes no app: make it"
    ),
    "app_by_name": Case("def {name}(*, app):\n    pass\n", OPTIONS, "takes no app"),
    "no_default": Case(
        "def {name}(app, key):\n    pass\n",
        OPTIONS,
        "key of no_default has no default: give it one",
    ),
    "no_name": Case(
        "def {name}(app, key=1, /):\n    pass\n",
        OPTIONS,
        "key of no_name has no name: drop the slash",
    ),
    "nothing": Case(
        test=FOUND,
        extra="extension = None",
        message="TestNothing tests nothing: write in it `extension = staticmethod",
    ),
    "nameless": Case(
        "class Extension:\n    def __call__(self, app):\n        pass\n"
        "nameless = Extension()\n",
        FOUND,
        "has no name: make the extension a function",
    ),
    "no_entry_point": Case(
        test=FOUND,
        entry_points="",
        message=r"no distribution that is installed has an entry point for "
        r"roll_no_entry_point\. Write in its pyproject\.toml\n"
        r'  \[project\.entry-points\."roll\.plugins"\]\n'
        r'  no_entry_point = "roll_no_entry_point"\nand run: pip install -e \.',
    ),
    "other_distribution": Case(
        test=FOUND,
        extra='distribution = "roll-proxy"',
        message="roll-proxy that is installed has an entry point for",
    ),
    "no_hook": Case(
        test=FOUND, hook="", message="roll.extensions has no no_hook: write"
    ),
    "other_name": Case(
        test=FOUND,
        hook=HOOK.replace('"{name}"', '"another"'),
        message="`roll_extensions` gives other_name the name 'another': give",
    ),
    "no_core": Case(
        test=METADATA_TEST,
        metadata=METADATA.replace("roll-core", "other-core"),
        message='does not ask for roll-core: add "roll-core>=1.0,<2"',
    ),
    "exact_core": Case(
        test=METADATA_TEST,
        metadata=METADATA.replace("roll-core<2,>=1.0", "roll-core==1.0"),
        message="it asks for roll-core==1.0: ask for a range",
    ),
    "core_for_some": Case(
        test=METADATA_TEST,
        metadata=METADATA.replace(">=1.0", ">=1.0; extra == 'core'"),
        message="it does not ask for roll-core: add",
    ),
    "endless_core": Case(
        test=METADATA_TEST,
        metadata=METADATA.replace("<2,", ""),
        message="it asks for roll-core>=1.0: ask for a range",
    ),
    "any_python": Case(
        test=PYTHONS,
        metadata=METADATA.replace("Requires-Python: >=3.11\n", ""),
        message='it runs on any Python: write requires-python = ">=3.11"',
    ),
    "future_python": Case(
        test=PYTHONS,
        metadata=METADATA.replace(">=3.11", ">=4.0"),
        message=r"requires-python = '>=4\.0' leaves out this Python, 3\.",
    ),
    "untyped_package": Case(
        test=TYPED,
        files=("__init__.py",),
        message="roll_untyped_package has no py.typed: add the empty file",
    ),
    "one_file": Case(
        test=TYPED,
        files=(".py",),
        message="roll_one_file is one file: make it a package",
    ),
    "untyped": Case(
        "def {name}(app):\n    pass\n",
        "test_its_types_check",
        "does not pass mypy --strict:\n(?s:.*)untyped function",
    ),
    # Its effect when it is only installed
    "prints": Case(importing("print('hello')"), IMPORT, "prints 'hello': drop it"),
    "opens_a_socket": Case(
        importing("import socket\nsocket.socket().close()"),
        IMPORT,
        "does more than to define things; (?s:.*)- opens a socket",
    ),
    "starts_a_thread": Case(
        importing(
            "import threading\n"
            "wait = threading.Event().wait\n"
            "threading.Thread(target=wait, daemon=True).start()"
        ),
        IMPORT,
        "- starts a thread",
    ),
    "opens_a_file": Case(
        importing("open(__file__ + 'x', 'w').close()"), IMPORT, "- opens .*pyx"
    ),
    "reads_a_file": Case(
        importing("import os\nopen(os.devnull).close()"), IMPORT, "- opens /dev/null"
    ),
    "takes_time": Case(
        importing(
            "import time\nend = time.time() + 2.1\nwhile time.time() < end: pass"
        ),
        IMPORT,
        r"takes 2\.\d s: import what is heavy inside",
    ),
    "loads": Case(
        importing("import anyio"),
        "test_importing_it_loads_no_heavy_library",
        "importing roll_loads loads anyio: import them inside the function",
    ),
    "patches": Case(
        importing("import roll\nroll.Query.extra = 1"),
        INSTALLING,
        r"act when the extension is called, .*\n- roll\.Query is another one",
    ),
    "answers_all": Case(
        importing(
            """
            import sys
            from roll import Roll
            call = Roll.__call__

            async def answer(self, request, response):
                await call(self, request, response)
                response.headers["X-Own"] = "me"

            # In a process of its own alone: the others here shall pass.
            if "roll_contract.probe" in sys.orig_argv:
                Roll.__call__ = answer
            """
        ),
        INSTALLING,
        "- roll.Roll is another one\n- GET / is answered with .*'X-Own'",
    ),
    "declares": Case(
        importing(
            """
            import sys
            from roll import Roll
            init = Roll.__init__

            def make(self):
                init(self)
                self["own"] = 1
                self.route("/own")(view)
                self.listen("response")(view)

            async def view(request, response):
                pass

            if "roll_contract.probe" in sys.orig_argv:
                Roll.__init__ = make
            """
        ),
        INSTALLING,
        "listener of 'response'\n- a new app has the route /own\n- .* the key 'own'",
    ),
    "cannot_be_imported": Case(
        importing("import sys\nassert 'roll_contract.probe' not in sys.orig_argv"),
        IMPORT,
        "roll_cannot_be_imported cannot be imported alone:\n(?s:.*)AssertionError",
    ),
    # What it does to an app
    "acts_on_others": Case(
        importing("apps = []").replace(
            "    pass\n",
            "    from roll import Query\n"
            "    from roll_contract.site import Site\n"
            "    from roll import Roll\n"
            "    if Site.startup is Roll.startup:\n"
            "        class Other: pass\n"
            "        init = Site.__init__\n"
            "        def make(self):\n            init(self)\n"
            "            self['x'] = 1\n            Site.__init__ = init\n"
            "        Site.__init__ = make\n",
        ),
        "test_it_acts_on_no_other_app",
        "it was called with one app, and acts on another: keep what it needs",
    ),
    "adds_up": Case(
        calling(
            """
            @app.listen("response")
            async def add(request, response):
                response.headers.setdefault("X-Calls", []).append("1")
            """
        ),
        TWICE,
        r"twice, and GET / is answered with X-Calls \['#', '#'\], not \['#'\]",
    ),
    "refuses_late": Case(
        calling(
            """
            @app.listen("response")
            async def add(request, response):
                response.headers.setdefault("X-Calls", []).append("1")
            if "refuses_late" in app:
                raise RuntimeError("once is enough")
            app["refuses_late"] = True
            """
        ),
        TWICE,
        r"the second call raised RuntimeError\('once is enough'\), and GET / is",
    ),
    "refuses_silently": Case(
        calling(
            """
            if "refuses_silently" in app:
                raise RuntimeError
            app["refuses_silently"] = True
            """
        ),
        TWICE,
        r"the second call raised RuntimeError\(\), with no message: say what is wrong",
    ),
    "ends_the_chain": Case(
        calling(
            """
            @app.listen("error")
            async def act(request, response, error):
                return response
            """
        ),
        COLOURS,
        r"GET /(refused)?: the plain 'error' listener that the application has "
        "declared after the extension ran 0 times, not once: return nothing",
    ),
    "drops_plain_listeners": Case(
        calling(
            """
            from inspect import iscoroutinefunction
            listen = app.listen
            def only_coroutines(name, **order):
                def add(listener):
                    if iscoroutinefunction(listener):
                        listen(name, **order)(listener)
                    return listener
                return add
            app.listen = only_coroutines
            """
        ),
        COLOURS,
        r"GET /(refused)?: the plain 'startup' listener .* after",
    ),
    "needs_a_route": Case(
        listening("request", "request.route.payload['x']"),
        ERRORS,
        r"its 'request' listener act raises:\n(?s:.*)TypeError: (?s:.*)may be missing",
    ),
    "breaks_errors": Case(
        listening("error", "error.context.more", "request, response, error"),
        ERRORS,
        "its 'error' listener act raises:\n(?s:.*)AttributeError",
    ),
    "hides_errors": Case(
        listening(
            "error", "raise HttpError(500) from error", "request, response, error"
        ),
        ERRORS,
        r"GET /nowhere is answered with 500, and was without the extension",
    ),
    "lies_about_its_length": Case(
        listening(
            "response",
            """
            async def stream():
                yield b"x"

            response.headers["Content-Length"] = "9"
            response.body = stream()
            """,
        ),
        ERRORS,
        "it was called once, and GET /nowhere: no good response comes: ",
    ),
    "closes_once": Case(
        listening("shutdown", "del app['x']", "", setup="app['x'] = 1"),
        TWICE,
        r"it was called twice, and the app does not stop with it: KeyError\('x'\)",
    ),
    "needs_its_listener": Case(
        listening(
            "response",
            "request['needed']",
            setup=(
                "@app.listen('request')\n"
                "def need(request, response):\n    request['needed'] = 1\n"
            ),
        ),
        "test_it_survives_shortcuts",
        "its 'response' listener act raises:\n(?s:.*)KeyError: 'needed'",
    ),
    "forgets_head": Case(
        listening("headers", "if request.method != 'GET': raise HttpError(405)"),
        "test_it_survives_head",
        "HEAD / is answered with 405, GET / with 200: treat HEAD as GET",
    ),
    "believes_clients": Case(
        listening("headers", "int(request.headers.get('Origin', 0))"),
        "test_it_survives_what_clients_send",
        "its 'headers' listener act raises:\n(?s:.*)ValueError",
    ),
    "gives_up": Case(
        listening(
            "headers",
            """
            if request.headers.get("Range") == "-1":
                response.status = 500
                return True
            """,
        ),
        "test_it_survives_what_clients_send",
        r"GET /\?%ff=%00&=&; with '-1' in its fields is answered with 500, and was",
    ),
    "starts_once": Case(
        listening("startup", "if len(app): raise OSError('taken')\napp['x'] = 1", ""),
        RESTART,
        r"the app does not start with it: OSError\('taken'\)\nits 'startup' listener",
    ),
    "starts_never": Case(
        listening("startup", "import asyncio\nawait asyncio.Event().wait()", ""),
        RESTART,
        r"the app does not start with it: TimeoutError\(\)",
    ),
    "stops_never": Case(
        listening("shutdown", "raise OSError('stuck')", ""),
        RESTART,
        r"the app does not stop with it: OSError\('stuck'\)",
    ),
    "leaves_a_task": Case(
        listening(
            "startup",
            "import asyncio\napp['x'] = asyncio.ensure_future(asyncio.sleep(60))",
            "",
        ),
        RESTART,
        "after the shutdown there still runs <coroutine object sleep .* cancel what",
    ),
    "ends_for_good": Case(
        listening(
            "headers",
            "if 'closed' in app: raise HttpError(503)",
            setup="@app.listen('shutdown')\ndef close():\n    app['closed'] = 1\n",
        ),
        RESTART,
        "GET / is answered with 503 when the app has started again, with 200 before",
    ),
}

GOOD_CASES = {
    "good": Case(),
    "as_a_function": Case(extra="extension = as_a_function"),
    "with_options": Case(
        GOOD.replace('value: str = "yes"', "value: str, *names: str, **more: str"),
        extra="options = {'value': 'x'}\n    distribution = 'Roll_With.Options'",
    ),
    "aliased": Case(hook=HOOK.replace("{{", '{{"other_alias": {name}, ')),
    "loads_what_is_named": Case(
        "import anyio\n" + GOOD, extra='imports = ["anyio", "sniffio", "idna"]'
    ),
    "compatible": Case(
        metadata=METADATA.replace("roll-core<2,>=1.0", "Roll_Core[fast]~=1.0")
        + "Requires-Dist: other-thing\n"
    ),
    "refuses": Case(
        GOOD.replace(
            "    @app.listen(",
            "    if '{name}' in vars(app):\n"
            "        raise RuntimeError('{name} was called twice')\n"
            "    setattr(app, '{name}', True)\n\n    @app.listen(",
            1,
        )
    ),
    "answers": Case(
        listening("headers", "response.body = 'mine'\nreturn True")
        .replace("(app):", "(app: Roll) -> None:")
        .replace(
            "(request, response):", "(request: Request, response: Response) -> bool:"
        )
        .replace("import HttpError", "import Request, Response, Roll")
    ),
    "numbers_requests": Case(
        "from uuid import uuid4\n"
        + GOOD.replace(
            'response.headers["X-Good"] = value',
            'response.headers["X-Id"] = str(uuid4())',
        )
    ),
    "serves": Case(
        "from roll import Roll\ndef {name}(app: Roll) -> None:\n    raise SystemExit\n",
        extra="serves = True",
    ),
}

CASES = {**GOOD_CASES, **BAD}


def lay(folder, name, case):
    """Put an extension into *folder*, as pip does."""
    module, distribution = f"roll_{name}", f"roll-{name.replace('_', '-')}"
    words = {"name": name, "module": module, "distribution": distribution}
    for file in case.files:
        path = folder / module / file if file != ".py" else folder / f"{module}.py"
        path.parent.mkdir(exist_ok=True)
        has_code = file.endswith(".py")
        path.write_text((case.source + case.hook).format(**words) if has_code else "")
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(case.metadata.format(**words))
    (info / "entry_points.txt").write_text(case.entry_points.format(**words))


def write_test(name, case):
    title = "".join(map(str.capitalize, name.split("_")))
    return (
        f"from roll_{name} import {name}\n"
        f"class Test{title}(ExtensionContract):\n"
        f"    extension = staticmethod({name})\n"
        f"    {case.extra}\n"
    )


def run_pytest(folder, *arguments, **environment):
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [
            *(sys.executable, "-W", "error", "-m", "pytest", "-q", "--rootdir=."),
            *("-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:anyio"),
            *arguments,
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=patience(300),
    )


class Outcome(NamedTuple):
    kind: str
    message: str


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Map extensions and tests to what became of them."""
    folder = tmp_path_factory.mktemp("contract")
    (folder / "pytest.ini").write_text("[pytest]\n")
    page = ["from roll_contract import ExtensionContract\n"]
    wanted = ["--junitxml=out.xml"]
    for name, case in CASES.items():
        lay(folder, name, case)
        page.append(write_test(name, case))
        title = re.search(r"class (\w+)", page[-1])[1]
        wanted.append(f"test_all.py::{title}" + (case.test and f"::{case.test}"))
    (folder / "test_all.py").write_text("".join(page))
    done = run_pytest(folder, *wanted)
    assert (folder / "out.xml").exists(), done.stdout + done.stderr
    found = {}
    for test in ET.parse(folder / "out.xml").iter("testcase"):
        title = test.get("classname").rpartition(".")[2]
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", title.removeprefix("Test")).lower()
        kind, message = "passed", ""
        for child in test:
            if child.tag in ("failure", "error", "skipped"):
                kind = child.tag
                message = f"{child.get('message')}\n{child.text}"
        found.setdefault(name, {})[test.get("name")] = Outcome(kind, message)
    return found


@pytest.mark.parametrize("name", sorted(GOOD_CASES.keys() - {"serves"}))
def test_a_good_extension_keeps_the_contract(name, outcomes):
    assert len(outcomes[name]) == 20
    assert {t: o for t, o in outcomes[name].items() if o.kind != "passed"} == {}


def test_an_extension_that_serves_is_not_called(outcomes):
    kinds = [outcome.kind for outcome in outcomes["serves"].values()]
    assert (kinds.count("passed"), kinds.count("skipped")) == (9, 11)
    reasons = {o.message.partition("\n")[0] for o in outcomes["serves"].values()} - {""}
    assert reasons == {"`serves = True`: to call serves would block"}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_extension_is_told_what_to_do(name, outcomes):
    failed = [o.message for o in outcomes[name].values() if o.kind == "failure"]
    assert failed, outcomes[name]
    assert all(re.search(BAD[name].message, message) for message in failed), failed
    # Nobody has to look for it in a traceback of the contract.
    assert not any("contract.py" in m or "installed.py" in m for m in failed), failed


def test_without_mypy_its_test_says_what_is_missing(tmp_path):
    lay(tmp_path, "good", CASES["good"])
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text("import sys\nsys.modules['mypy'] = None\n")
    page = "from roll_contract import ExtensionContract\n" + write_test(
        "good", GOOD_CASES["good"]
    )
    (tmp_path / "test_it.py").write_text(page)
    done = run_pytest(tmp_path, "-rs", "-k", "types_check")
    assert "mypy is not installed: pip install mypy" in done.stdout
    assert "1 skipped" in done.stdout


@pytest.mark.parametrize(
    ("event", "arguments", "act"),
    [
        ("open", ("/lib/x.py", "r", os.O_RDONLY), None),
        ("open", ("/lib/x.pyc", "rb", os.O_RDONLY | os.O_CLOEXEC), None),
        ("open", ("/lib/x.py", "w", os.O_WRONLY), "opens /lib/x.py"),
        ("open", ("/lib/x.py", None, os.O_RDWR), "opens /lib/x.py"),
        ("open", ("/lib/x.json", "r", os.O_RDONLY), "opens /lib/x.json"),
        ("open", (3, "r", os.O_RDONLY), "opens 3"),
        ("subprocess.Popen", ("ls", [], None, None), "starts a process"),
        ("import", ("x", None, [], [], []), None),
    ],
)
def test_what_python_tells_of_an_import_is_understood(event, arguments, act):
    assert describe_act(event, arguments) == act


def test_the_probe_loads_no_pytest():
    # Else the contract would not notice an extension that loads it.
    code = (
        "import sys, roll_contract.probe\n"
        "print({'pytest', 'roll_contract.contract'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_the_module_has_no_other_names():
    message = "'roll_contract' has no attribute 'Other'"
    with pytest.raises(AttributeError, match=message):
        roll_contract.Other  # noqa: B018
    assert roll_contract.ExtensionContract.__module__ == "roll_contract.contract"
