"""Installed packages are found by entry point (SPEC 1, STYLE "Hooks and listeners").

The packages are real ones in a folder on the path: code, and metadata beside it.
"""

import re
import subprocess
import sys
from importlib import metadata

import pytest
import roll
from roll import Roll, extensions, plugins
from roll.plugins import PluginError

pytestmark = pytest.mark.usefixtures("fresh_plugins")


EXTENSION = """
    from roll import hookimpl

    def shout(app):
        app["shout"] = True

    @hookimpl
    def roll_extensions():
        return {"shout": shout}
"""


def test_an_installed_extension_is_found_by_its_name(install):
    install("roll-shout", source=EXTENSION)
    from roll.extensions import shout

    app = Roll()
    shout(app)
    assert app["shout"]
    assert extensions.shout is shout
    assert "shout" in dir(extensions)


def test_installing_changes_no_app(install):
    install("roll-shout", source=EXTENSION)
    app = Roll()
    assert app == app
    assert dict(app) == {}
    assert app.hooks == {}


def test_methods_stand_beside_the_extensions():
    assert extensions.HTTP_METHODS is roll.HTTP_METHODS
    assert "GET" in extensions.HTTP_METHODS
    assert "HTTP_METHODS" in dir(extensions)


def test_a_known_extension_that_is_missing_says_what_to_install(monkeypatch):
    monkeypatch.setitem(extensions.DISTRIBUTIONS, "shout", "roll-shout")
    with pytest.raises(ImportError, match="Run: pip install roll-shout"):
        from roll.extensions import shout  # noqa: F401


def test_an_unknown_extension_is_an_attribute_error_that_names_the_others(install):
    install("roll-shout", source=EXTENSION)
    with pytest.raises(AttributeError, match=r"an extension 'shouut'.*shout"):
        _ = extensions.shouut
    with pytest.raises(ImportError, match=r"an extension 'shouut'.*shout"):
        from roll.extensions import shouut  # noqa: F401


def test_a_private_name_loads_no_plugin(install):
    install("roll-broken", source="1 / 0")
    assert not hasattr(extensions, "__path__")
    assert not hasattr(extensions, "_private")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import nothing_like_this", "No module named 'nothing_like_this'"),
        (
            "from roll import hookimpl\n@hookimpl\ndef roll_extension(): ...",
            "unknown hook 'roll_extension'",
        ),
        (
            "from roll import hookimpl\n@hookimpl\ndef roll_extensions(app): ...",
            "Argument",
        ),
    ],
)
def test_a_broken_plugin_is_named_with_its_distribution(install, source, reason):
    install("roll-broken", "2.3", source, name="broken")
    with pytest.raises(PluginError) as caught:
        _ = extensions.shout
    message = str(caught.value)
    assert message.startswith("The plugin 'broken' of roll-broken 2.3 cannot be loaded")
    assert reason in message


@pytest.mark.parametrize(
    "body", ["1 / 0", "return None", "return ['shout']", "return {1: 2}.shout"]
)
def test_a_hook_that_fails_is_named_with_its_distribution(install, body):
    source = f"from roll import hookimpl\n@hookimpl\ndef roll_extensions(): {body}"
    install("roll-broken", "2.3", source, name="broken")
    with pytest.raises(PluginError, match=r"The plugin 'broken' of roll-broken 2\.3"):
        _ = extensions.shout


def test_a_name_that_two_plugins_give_is_an_error(install):
    install("roll-shout", source=EXTENSION, name="one")
    install("roll-shout-too", source=EXTENSION, name="two")
    with pytest.raises(PluginError, match="'shout' comes from two plugins"):
        _ = extensions.shout


def test_two_plugins_of_one_name_are_named_both(install):
    install("roll-shout", "1.0", EXTENSION, name="same")
    install("roll-shout-too", "2.0", EXTENSION, name="same")
    with pytest.raises(
        PluginError, match=r"'same' of roll-shout(-too)? .* and roll-shout"
    ):
        _ = extensions.shout


PROTOCOL = """
    from roll import hookimpl

    class Echo:
        TOKEN = "echo"
        ALLOWED_METHODS = ("GET", "POST")

    @hookimpl
    def roll_protocols():
        return {"echo": Echo, "websocket": Echo}
"""


async def view(request, response): ...


@pytest.fixture
def without_websockets(monkeypatch):
    """Leave roll-websockets out, where it is installed: it gives `websocket`, too."""
    find = metadata.entry_points

    def entry_points(**wanted):
        found = find(**wanted)
        return metadata.EntryPoints(
            entry for entry in found if entry.module != "roll_websockets"
        )

    monkeypatch.setattr(metadata, "entry_points", entry_points)


@pytest.mark.usefixtures("without_websockets")
def test_an_installed_protocol_may_be_named_by_a_route(install, app):
    install("roll-echo", source=PROTOCOL)
    app.route("/", protocol="echo")(view)
    assert app.declarations[0].methods == ("GET", "POST")
    assert app.routes.match("/")[0]["GET"].switches


@pytest.mark.usefixtures("without_websockets")
def test_the_websocket_protocol_is_that_of_the_installed_package(install, app):
    assert not hasattr(Roll, "WebsocketProtocol")
    plugins.manager.cache_clear()
    plugins._collect.cache_clear()
    install("roll-echo", source=PROTOCOL)
    assert Roll.WebsocketProtocol.TOKEN == "echo"
    app.route("/", protocol="websocket")(view)


def test_a_subclass_may_have_its_own_websocket_protocol():
    class Own:
        TOKEN = "websocket"
        ALLOWED_METHODS = ("GET",)

    class App(Roll):
        WebsocketProtocol = Own

    app = App()
    app.route("/", protocol="websocket")(view)
    assert app.declarations[0].methods == ("GET",)
    with pytest.raises(ValueError, match="did you mean 'websocket'"):
        app.route("/", protocol="WebSocket")(view)


@pytest.mark.usefixtures("without_websockets")
def test_a_class_view_of_a_protocol_names_its_methods_itself(install, app):
    install("roll-echo", source=PROTOCOL)

    @app.route("/", protocol="echo")
    class View:
        async def on_post(self, request, ws): ...

    assert app.declarations[0].methods == ("POST",)


@pytest.mark.usefixtures("without_websockets")
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("websocket", "pip install roll-websockets"),
        ("ws", "did you mean 'websocket'?"),
        ("wss", "did you mean 'websocket'?"),
        ("websockets", "did you mean 'websocket'?"),
        ("Websocket", "did you mean 'websocket'?"),
        ("WebSocket", "did you mean 'websocket'?"),
        ("HTTP", "did you mean 'http'?"),
        ("https", "did you mean 'http'?"),
        ("teleport", "use 'http'"),
    ],
)
def test_an_unknown_protocol_is_an_error_that_says_what_to_do(app, name, hint):
    with pytest.raises(ValueError, match=re.escape(f"the protocol '{name}': {hint}")):
        app.route("/", protocol=name)(view)


def test_a_plugin_owns_its_modules_without_being_loaded(install):
    install("roll-broken", source="1 / 0", name="broken")
    assert plugins.owner("roll_broken.inner.module") == "broken"
    assert plugins.owner("mypackage.core") is None


def test_an_original_roll_beside_roll_core_is_an_error_with_the_command(install):
    install("roll", "0.13.0")
    with pytest.raises(PluginError) as caught:
        _ = extensions.cors
    message = str(caught.value)
    assert message.startswith("roll 0.13.0 and roll-core 1.")
    assert message.endswith("Run: pip uninstall -y roll roll-core && pip install roll")


def test_a_newer_roll_is_none(install):
    install("roll", "1.0.0")
    plugins.refuse_original()


def test_without_a_roll_there_is_nothing_to_refuse(tmp_path, monkeypatch):
    core = tmp_path / "roll_core-1.0.0.dist-info"
    core.mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    plugins.refuse_original()


# What comes from other packages, by older names


@pytest.mark.parametrize(
    ("code", "distribution"),
    [
        ("import roll.worker", "roll-gunicorn"),
        ("import roll.testing", "roll-testing"),
        ("from roll import WSProtocol", "roll-websockets"),
        ("from roll import ConnectionClosed", "roll-websockets"),
    ],
)
def test_a_name_whose_package_is_missing_says_which_one(code, distribution):
    module = distribution.replace("-", "_")
    blocked = f"import sys; sys.modules[{module!r}] = None; {code}"
    run = subprocess.run(
        [sys.executable, "-c", blocked], capture_output=True, text=True
    )
    assert run.returncode == 1
    assert f"Run: pip install {distribution}" in run.stderr


@pytest.mark.parametrize(
    ("code", "module", "names"),
    [
        ("from roll.worker import Worker", "roll_gunicorn", ["Worker"]),
        ("from roll import WSProtocol", "roll_websockets", ["WSProtocol"]),
        ("from roll import ConnectionClosed", "roll_websockets", ["ConnectionClosed"]),
    ],
)
def test_a_name_comes_from_its_package(tmp_path, code, module, names):
    (tmp_path / f"{module}.py").write_text("".join(f"{name} = 1\n" for name in names))
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}; print('found')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "found\n"), run.stderr


def test_roll_testing_is_there_by_its_older_name():
    import roll.testing
    import roll_testing

    assert roll.testing.Client is roll_testing.Client
    assert roll.testing.__all__ == list(roll_testing.__all__)


def test_roll_has_no_other_names():
    with pytest.raises(AttributeError, match="module 'roll' has no attribute 'Rolll'"):
        _ = roll.Rolll


def test_import_roll_loads_no_plugin_no_extension_and_no_pluggy():
    code = (
        "import sys, roll; names = ('roll_', 'pluggy')\n"
        "print([name for name in sys.modules if name.startswith(names)])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "[]\n"


def test_every_public_name_is_there():
    for name in roll.__all__:
        assert getattr(roll, name) is not None


@pytest.mark.parametrize("wrong", ["https://a", None, Roll])
def test_an_extension_may_require_an_app(wrong):
    message = f"cors({wrong!r}): give the app first, as in cors(app)"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        plugins.require_app("cors", wrong)
    plugins.require_app("cors", Roll())


@pytest.mark.parametrize("value", [0.1, 1])
def test_seconds_above_0_are_taken(value):
    plugins.require_seconds("timeout", value)


@pytest.mark.parametrize(
    ("value", "error", "advice"),
    [
        ("1", TypeError, "give seconds, a number"),
        (True, TypeError, "give seconds, a number"),
        (0, ValueError, "give seconds above 0"),
        (float("nan"), ValueError, "give seconds above 0"),
        (float("inf"), ValueError, "give seconds above 0"),
    ],
)
def test_other_seconds_are_refused(value, error, advice):
    with pytest.raises(error, match=f"^timeout={value!r}: {advice}$"):
        plugins.require_seconds("timeout", value)
