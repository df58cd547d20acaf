"""`roll check`: set-ups that are wrong, made of distributions as pip lays them."""

import os
import subprocess
import sys

import pytest
from roll_testing import patience

APP = """
from roll import Roll
app = Roll()

@app.listen("request", before="teleport", after=["server", "beam"])
async def look(request, response): ...
"""


def distribution(folder, name, version, plugin="", needs=()):
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {need}" for need in needs]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    if plugin:
        (folder / f"{name}.py").write_text(plugin)
        (info / "entry_points.txt").write_text(f"[roll.plugins]\n{name} = {name}\n")


@pytest.fixture
def check(tmp_path):
    def run(*arguments):
        environment = {
            key: value for key, value in os.environ.items() if key[:5] != "ROLL_"
        }
        path = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "roll_server", "check", *arguments],
            env={**environment, "PYTHONPATH": os.pathsep.join(path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=patience(60),
        )
        return done.returncode, done.stdout, done.stderr

    return run


def test_a_good_set_up_has_status_0(check, tmp_path):
    (tmp_path / "shop.py").write_text("from roll import Roll\napp = Roll()\n")
    assert check() == (0, "Nothing is wrong.\n", "")
    assert check("shop:app") == (0, "Nothing is wrong.\n", "")


def test_what_warns_is_wrong(check, tmp_path):
    (tmp_path / "shop.py").write_text(
        "import warnings\n"
        "from roll import Roll\n"
        "warnings.simplefilter('always')\n"
        "app = Roll()\n"
        "warnings.warn('the root does not exist')\n"
    )
    status, output, errors = check("shop:app")
    assert (status, errors) == (1, "")
    assert output.endswith("shop.py:5: the root does not exist\n")


def test_an_original_roll_beside_the_core_is_wrong(check, tmp_path):
    distribution(tmp_path, "roll", "0.13.0")
    status, output, errors = check()
    assert (status, output) == (1, "")
    assert errors.startswith("roll: roll 0.13.0 and roll-core ")
    assert errors.endswith(
        " Run: pip uninstall -y roll roll-core && pip install roll\n"
    )


def test_ranges_that_do_not_fit_are_wrong(check, tmp_path):
    needs = [
        "roll-core<1",
        "Click>=8",
        "absent>=2",
        "windows-only; sys_platform == 'win32'",
        "optional; extra == 'more'",
    ]
    distribution(tmp_path, "beam", "1.5", "from roll import hookimpl\n", needs)
    status, output, errors = check()
    assert (status, errors) == (1, "")
    first, second = output.splitlines()
    assert first.startswith("beam 1.5 needs roll-core<1, not 1.")
    assert first.endswith(". Run: pip install 'roll-core<1'")
    assert second == (
        "beam 1.5 needs absent, which is not installed. Run: pip install 'absent>=2'"
    )


def test_what_an_interrupted_install_has_left_is_passed_over(check, tmp_path):
    (tmp_path / "~eam-1.0.dist-info").mkdir()
    assert check() == (0, "Nothing is wrong.\n", "")


def test_a_name_that_two_plugins_give_is_wrong(check, tmp_path):
    plugin = (
        "from roll import hookimpl\n"
        "@hookimpl\ndef roll_extensions(): return {'beam': print}\n"
    )
    distribution(tmp_path, "one", "1.0", plugin)
    distribution(tmp_path, "two", "1.0", plugin)
    status, output, errors = check()
    assert (status, errors) == (1, "")
    assert output.startswith("'beam' comes from two plugins, ")
    assert output.count("\n") == 1


def test_an_order_that_names_what_is_not_installed_is_wrong(check, tmp_path):
    (tmp_path / "shop.py").write_text(APP)
    status, output, errors = check("shop")
    assert (status, errors) == (1, "")
    assert output == (
        "shop.look listens to request before 'teleport', which is not installed\n"
        "shop.look listens to request after 'beam', which is not installed\n"
    )


def test_an_event_whose_name_is_nearly_one_of_roll_s_is_wrong(check, tmp_path):
    (tmp_path / "shop.py").write_text(
        'from roll import Roll\napp = Roll()\napp.listen("reqest")(print)\n'
    )
    finding = "listen('reqest'): Roll has no such event; did you mean 'request'?\n"
    assert check("shop") == (1, finding, "")


def test_an_order_may_speak_of_all_others(check, tmp_path):
    (tmp_path / "shop.py").write_text(
        'from roll import Roll\napp = Roll()\napp.listen("mine", after="*")(print)\n'
    )
    assert check("shop") == (0, "Nothing is wrong.\n", "")


def test_the_order_of_an_extension_may_name_what_is_not_installed(check, tmp_path):
    distribution(tmp_path, "beam", "1.0", APP)
    (tmp_path / "shop.py").write_text("from beam import app\n")
    assert check("shop") == (0, "Nothing is wrong.\n", "")


def test_settings_and_the_application_are_looked_at(check, tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.roll]\nprot = 1\n")
    status, _, errors = check()
    assert status == 2
    assert "did you mean 'port'?" in errors
    (tmp_path / "pyproject.toml").write_text('[tool.roll]\napp = "absent"\n')
    status, _, errors = check()
    assert status == 4
    assert "there is no module 'absent'" in errors


@pytest.mark.parametrize(
    ("line", "status", "told"),
    [
        ('log-format = "fancy"', 2, "fancy"),
        ('trusted-proxies = "*"', 2, "*"),
        ('tls-cert = "absent.pem"', 6, "there is no file absent.pem"),
    ],
)
def test_what_serving_would_refuse_is_wrong(check, tmp_path, line, status, told):
    (tmp_path / "shop.py").write_text("from roll import Roll\napp = Roll()\n")
    (tmp_path / "pyproject.toml").write_text(f'[tool.roll]\napp = "shop"\n{line}\n')
    found, _, errors = check()
    assert found == status
    assert told in errors


def test_the_options_of_serving_are_looked_at(check, tmp_path):
    (tmp_path / "shop.py").write_text("from roll import Roll\napp = Roll()\n")
    wanted = "Error: reload and workers are both set: leave out one of them\n"
    assert check("shop", "--reload", "--workers", "2") == (2, "", wanted)


def test_a_misspelled_extra_of_a_route_is_wrong(check, tmp_path):
    (tmp_path / "shop.py").write_text("""
from roll import Roll
app = Roll()
app.extras("compress")

@app.route("/x", compressed=False)
async def view(request, response): ...
""")
    status, output, errors = check("shop")
    assert (status, errors) == (1, "")
    assert output.startswith("/x: compressed= is unknown; did you mean compress=? ")


def test_a_wrong_extra_of_a_mounted_app_is_told(check, tmp_path):
    (tmp_path / "shop.py").write_text("""
from roll import Roll
from roll.extensions import csrf, mount
app, admin = Roll(), Roll()
csrf(app)
mount(app, "/admin", admin)

@admin.route("/hook", methods=["POST"], csrf="no")
async def view(request, response): ...
""")
    status, output, errors = check("shop")
    assert (status, errors) == (1, "")
    finding = output.splitlines()[-1]
    assert finding == (
        "/hook: csrf='no': give True or False. "
        f"The route is declared at {tmp_path}/shop.py:8"
    )


def test_a_mistake_of_a_mounted_app_is_told(check, tmp_path):
    (tmp_path / "shop.py").write_text("""
from roll import Roll
from roll.extensions import mount
app, admin = Roll(), Roll()
mount(app, "/admin", admin)
admin.listen("reqest")(print)
admin.listen("request", after="absent")(print)
""")
    status, output, errors = check("shop")
    assert (status, errors) == (1, "")
    assert output == (
        f"The app has:\n  mounted app  /admin  {tmp_path}/shop.py:5\n"
        "builtins.print listens to request after 'absent', which is not installed\n"
        "listen('reqest'): Roll has no such event; did you mean 'request'?\n"
    )


def test_resources_and_mounted_apps_are_listed(check, tmp_path):
    (tmp_path / "shop.py").write_text("""
from roll import Roll
from roll.extensions import background, mount, resource
app, admin = Roll(), Roll()
mount(app, "/admin", admin)

@resource(app)
async def db(): yield

@resource(app, "db", replace=True)
async def fake(): yield

@background(app)
async def expire_baskets(db): ...

@resource(admin, "log")
async def open_log(): yield
""")
    place = f"{tmp_path}/shop.py"
    assert check("shop") == (
        0,
        "The app has:\n"
        f"  mounted app  /admin          {place}:5\n"
        f"  resource     db              {place}:10\n"
        f"  background   expire_baskets  {place}:13\n"
        "The app at /admin has:\n"
        f"  resource  log  {place}:16\n"
        "Nothing is wrong.\n",
        "",
    )
