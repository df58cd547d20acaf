"""`roll routes`: what is declared, and where a path leads."""

import os

import pytest
from click.testing import CliRunner
from roll import Roll
from roll_server.exits import Exit
from roll_server.inspection import Match, explain, split
from roll_server.routes import routes

SHOP = """
from roll import Roll

app = Roll()
empty = Roll()

@app.route("/")
async def home(request, response): ...

@app.route("/u/{name}", methods=["GET", "POST"])
async def user(request, response, name): ...

@app.route("/u/me")
class Me:
    async def on_put(self, request, response): ...
"""


@pytest.fixture(autouse=True)
def shop(tmp_path, monkeypatch):
    name = f"shop_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    for variable in [name for name in os.environ if name.startswith("ROLL_")]:
        monkeypatch.delenv(variable)
    return name


def ask(*arguments):
    done = CliRunner().invoke(routes, arguments)
    return done.exit_code, done.output


def test_routes_are_listed_as_they_are_declared(shop, tmp_path):
    status, output = ask(shop)
    assert status == 0
    where = tmp_path / f"{shop}.py"
    wide = len(f"{shop}.home")
    assert output == (
        f"  GET       /          {shop}.home  {where}:7\n"
        f"  GET,POST  /u/{{name}}  {shop}.user  {where}:10\n"
        f"  PUT       /u/me      {f'{shop}.Me':<{wide}}  {where}:13\n"
    )


def test_an_application_without_routes_lists_none(shop):
    assert ask(f"{shop}:empty") == (0, "")
    nowhere = "/x leads nowhere: it is answered with 404.\n"
    assert ask(f"{shop}:empty", "--explain", "/x") == (1, nowhere)


def test_a_path_is_explained(shop, tmp_path):
    where = tmp_path / f"{shop}.py"
    assert ask(shop, "--explain", "/u/meg") == (
        0,
        "/u/meg leads to /u/{name} with name='meg':\n"
        f"  GET,POST  {shop}.user  {where}:10\n"
        "The others do not answer:\n"
        "  /      '' does not take 'u/meg'\n"
        "  /u/me  'me' does not take 'meg'\n",
    )
    assert ask(shop, "--explain", "/u/me") == (
        0,
        "/u/me leads to /u/me:\n"
        f"  PUT  {shop}.Me  {where}:13\n"
        "The others do not answer:\n"
        "  /          '' does not take 'u/me'\n"
        "  /u/{name}  it fits, and is less specific\n",
    )


@pytest.mark.parametrize(
    ("target", "path", "name"),
    [
        ("/u/Zo%C3%AB", "/u/Zoë", "Zoë"),
        ("/u/Zoë", "/u/Zoë", "Zoë"),
        ("/%75/a+b?page=2", "/u/a+b", "a+b"),
        ("/u/what%3F?/?", "/u/what?", "what?"),
    ],
)
def test_a_path_is_decoded_as_requests_are(shop, target, path, name):
    status, output = ask(shop, "--explain", target)
    assert status == 0
    assert output.startswith(f"{path} leads to /u/{{name}} with name={name!r}:\n")


@pytest.mark.parametrize("target", ["/u/caf%E9", "/u/caf\udce9"])
def test_a_path_that_does_not_decode_is_a_400(shop, target):
    wanted = "The path does not decode as UTF-8: it is answered with 400.\n"
    assert ask(shop, "--explain", target) == (1, wanted)


def test_where_none_answers_each_says_why(shop):
    assert ask(shop, "--explain", "/nowhere") == (
        1,
        "/nowhere leads nowhere: it is answered with 404.\n"
        "None answers:\n"
        "  /          '' does not take 'nowhere'\n"
        "  /u/{name}  'u' does not take 'nowhere'\n"
        "  /u/me      'u' does not take 'nowhere'\n",
    )


@pytest.mark.parametrize(
    ("pattern", "path", "reason"),
    [
        ("/a/b/c", "/a", "the path ends before 'b/c'"),
        ("/a", "/a/b/c", "it ends before 'b/c'"),
        ("/a/{id:int}", "/a/x", "'{id:int}' does not take 'x'"),
        ("/a/{id:int}/b", "/a/x/y", "'{id:int}' does not take 'x'"),
        ("/a/{id}", "/a/", "'{id}' does not take ''"),
        ("/a/{x:path}.css", "/a/b/c.js", "'{x:path}.css' does not take 'b/c.js'"),
        ("/a/{x:[0-9]{2}}", "/a/1", "'{x:[0-9]{2}}' does not take '1'"),
        (r"/{x:\}+}/b", "/a/b", r"'{x:\\}+}' does not take 'a'"),
    ],
)
def test_why_a_route_does_not_answer(pattern, path, reason):
    app = Roll()
    app.route(pattern)(home)
    assert explain(app, path) == Match(None, {}, [(pattern, reason)])


async def home(request, response, **variables): ...


def test_a_pattern_is_split_where_it_has_no_expression():
    assert split("/a/{x:[^/]{2}}b/") == ["a", "{x:[^/]{2}}b", ""]
    assert split(r"/{x:\}+}/b{y}") == [r"{x:\}+}", "b{y}"]
    assert split("/") == [""]


def test_the_application_may_be_named_by_the_project(shop, tmp_path):
    (tmp_path / "pyproject.toml").write_text(f'[tool.roll]\napp = "{shop}:app"\n')
    assert ask()[0] == 0
    assert "/u/{name}" in ask()[1]


def test_settings_of_serving_are_not_read(shop, tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.roll]\nport = 'none'\n")
    assert ask(shop)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], Exit.SETTINGS, "name an application, such as shop:app, or say app ="),
        (["absent"], Exit.APPLICATION, "there is no module 'absent' in this folder"),
        (
            ["{}", "--explain", "x"],
            Exit.SETTINGS,
            "--explain: 'x' does not start with a slash",
        ),
    ],
)
def test_what_cannot_be_told_says_why(shop, arguments, status, message):
    code, output = ask(*[each.format(shop) for each in arguments])
    assert code == status
    assert message in output


MALL = """
from roll import Roll
from roll.extensions import mount

app, shop, api = Roll(), Roll(), Roll()
mount(app, "/shop", shop)
mount(shop, "/api", api, host="api.example.org")

async def view(request, response, **variables): ...

app.route("/{page}/{x}")(view)
for each in (shop, api):
    each.route("/u/{name}")(view)
"""


@pytest.fixture
def mall(shop, tmp_path):
    name = f"mall_{shop}"
    (tmp_path / f"{name}.py").write_text(MALL)
    return name


def test_routes_of_mounted_apps_are_listed_with_the_whole_path(mall):
    status, output = ask(mall)
    assert (status, [line.split()[1] for line in output.splitlines()]) == (
        0,
        ["/{page}/{x}", "/shop/u/{name}", "api.example.org/shop/api/u/{name}"],
    )


def test_a_path_may_lead_into_a_mounted_app(mall, tmp_path):
    where = tmp_path / f"{mall}.py"
    assert ask(mall, "--explain", "/shop/u/ada") == (
        0,
        "/shop/u/ada leads to /shop/u/{name} with name='ada':\n"
        f"  GET  {mall}.view  {where}:13\n"
        "The others do not answer:\n"
        "  /{page}/{x}                        it ends before 'ada'\n"
        "  api.example.org/shop/api/u/{name}  it is for the host 'api.example.org'\n",
    )
