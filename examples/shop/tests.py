import asyncio
import contextlib
import gzip
import json
import re
import signal
import subprocess
import sys
import urllib.request

import asyncpg
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from roll_resources import states
from roll_testing import Client, RedisServer, patience, until

from examples import postgresql as servers
from examples.chat.test_chat_browser import CHROMIUM
from examples.hello.browser import browse
from examples.redis_feed.tests import redis_server  # noqa: F401  # a fixture
from examples.shop import baskets, create_app

# A server is not a Python package: the other tests run without it.
# `.ci/run` installs it, so that nothing is skipped there.
pytestmark = pytest.mark.skipif(
    not (servers.IS_INSTALLED and RedisServer.program),
    reason="not installed: apt-get install postgresql redis-server",
)

ANN = {"name": "Ann", "password": "a long secret"}
BROWSER = {"Accept": "text/html,*/*;q=0.8"}


@pytest.fixture(scope="module")
def postgresql():
    with servers.run() as server:
        yield server


@pytest.fixture
async def database(postgresql):
    """A connection to a database without tables."""
    connection = await asyncpg.connect(postgresql.url)
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    yield connection
    await connection.close()


@pytest.fixture
def environment(postgresql, redis_server, monkeypatch):  # noqa: F811
    monkeypatch.setenv("DATABASE_URL", postgresql.url)
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    monkeypatch.setenv("ADMIN_PASSWORD", "milk first")


@pytest.fixture
def app(environment, database):
    return create_app()


async def read(client, path):
    response = await client.get(path, headers=BROWSER)
    assert response.status == 200, response.body
    return response.text


async def order(client, product="teapot", quantity=2):
    await client.post("/register", form=ANN)
    await client.post(f"/basket/{product}", form={"quantity": quantity})
    return await client.post("/checkout", follow_redirects=True)


# The public part


async def test_the_catalogue_leads_to_products(client):
    page = await read(client, "/")
    assert page.index("/products/cup") < page.index("/products/teapot")
    page = await read(client, "/products/teapot")
    assert "Short and stout" in page
    assert "€ 24.50, 5 in stock" in page


async def test_those_who_run_it_see_how_it_is(client, database):
    assert (await client.get("/readyz")).json == {"status": "pass"}
    await client.get("/products/teapot")
    await client.get("/admin/")
    told = (await client.get("/metrics")).body.decode()
    for route in "/products/{slug:[a-z-]{1,40}}", "/admin/":
        assert f'http_route="{route}"' in told


async def test_requests_are_traced_where_there_is_an_sdk(
    environment, database, monkeypatch
):
    spans, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    async with Client(create_app()) as client:
        for path in "/products/teapot", "/admin/", "/readyz", "/metrics":
            await client.get(path)
    names = [span.name for span in spans.get_finished_spans()]
    assert names == ["GET /products/{slug:[a-z-]{1,40}}", "GET /admin/"]


async def test_who_looks_has_no_session(client):
    await client.get("/")
    assert client.cookies == {}


@pytest.mark.parametrize(
    ("path", "method", "status", "text"),
    [
        ("/products/coffee", "GET", 404, "There is no such product"),
        ("/products/!", "GET", 404, "Not Found"),
        ("/static/coffee.css", "GET", 404, "Not Found"),
        ("/checkout", "GET", 405, "Method Not Allowed"),
        ("/basket/tea", "POST", 403, "Cross-origin request refused"),
        ("/admin/login", "POST", 403, "Cross-origin request refused"),
    ],
)
async def test_an_error_has_a_page(client, caplog, path, method, status, text):
    await client.post("/basket/tea", form={"quantity": 1})
    headers = BROWSER | {"Origin": "https://elsewhere.example"}
    response = await client.request(path, method, headers=headers)
    assert response.status == status
    assert f"<p>{text}</p>" in response.text
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("path", ["/", "/products.json", "/static/shop.css"])
async def test_pages_json_and_files_are_compressed(client, path):
    plain = await client.get(path)
    response = await client.get(path, headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(response.body) == plain.body


async def test_a_basket_is_kept(client):
    await client.post("/basket/tea", form={"quantity": 3})
    response = await client.post("/basket/cup", form={"quantity": 1})
    assert (response.status, response.headers["Location"]) == (303, "/basket")
    assert "Basket (4)" in await read(client, "/")
    assert "€ 33.60" in await read(client, "/basket")
    await client.post("/basket/tea", form={"quantity": 0})
    await client.post("/basket/cup", form={"quantity": 2})
    assert "Basket (2)" in await read(client, "/")


async def test_a_script_gets_the_parts_that_have_changed(client):
    headers, form = {"X-Fragments": "1"}, {"quantity": 2}
    response = await client.post("/basket/tea", form=form, headers=headers)
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert re.findall("id=.*", response.text) == [
        'id="badge" href="/basket">Basket (2)</a>',
        'id="lines">',
    ]
    assert "€ 17.80" in response.text
    assert "<html" not in response.text


@pytest.mark.parametrize(
    ("path", "quantity", "status"),
    [("tea", "-1", 400), ("tea", "100", 400), ("tea", "a", 400), ("coffee", "1", 404)],
)
async def test_what_cannot_be_in_a_basket_is_refused(client, path, quantity, status):
    response = await client.post(f"/basket/{path}", form={"quantity": quantity})
    assert response.status == status


# Customers and orders


async def test_who_orders_logs_in_first_and_keeps_the_basket(client, database):
    await client.post("/basket/teapot", form={"quantity": 2})
    response = await client.post("/checkout", follow_redirects=True)
    assert "Please log in first" in response.text
    response = await client.post("/register", form=ANN, follow_redirects=True)
    assert "Welcome, Ann" in response.text
    assert "Basket (2)" in response.text
    response = await client.post("/checkout", follow_redirects=True)
    assert "you have ordered for € 49.00" in response.text
    assert "<td>2 Teapot</td>" in response.text
    assert "you have ordered" not in await read(client, "/orders")
    assert "It is empty" in await read(client, "/basket")
    stock = await database.fetchval("SELECT stock FROM products WHERE slug = 'teapot'")
    assert stock == 3


async def test_too_many_are_not_sold(client, database):
    response = await order(client, quantity=6)
    assert "please take less" in response.text
    assert "Basket (6)" in response.text
    assert await database.fetchval("SELECT count(*) FROM orders") == 0


async def test_two_clicks_are_one_order(client, database):
    await client.post("/register", form=ANN)
    await client.post("/basket/tea", form={"quantity": 1})
    await asyncio.gather(*(client.post("/checkout") for _ in range(4)))
    assert await database.fetchval("SELECT count(*) FROM orders") == 1


async def test_a_password_is_checked(client):
    await client.post("/register", form=ANN)
    await client.post("/logout")
    assert (await client.post("/login", form=ANN)).status == 303
    for form in (ANN | {"password": "another one"}, ANN | {"name": "Bob"}):
        response = await client.post("/login", form=form)
        assert (response.status, response.text) == (403, "Wrong name or password")
    assert (await client.post("/register", form=ANN)).status == 409


@pytest.mark.parametrize(
    "form", [{"name": ""}, {"name": "a\0"}, {"name": "a" * 51}, {"password": "short"}]
)
async def test_a_name_and_a_password_have_bounds(client, form):
    assert (await client.post("/register", form=ANN | form)).status == 400


async def test_a_logout_everywhere_ends_all_sessions(app, client):
    await client.post("/register", form=ANN)
    other = Client(app)  # the fixture starts and stops the app
    await other.post("/login", form=ANN)
    assert "Orders of Ann" in await read(other, "/")
    await client.post("/logout-everywhere")
    for each in (client, other):
        assert "Orders of Ann" not in await read(each, "/")
    await other.post("/login", form=ANN)
    assert "Orders of Ann" in await read(other, "/")


# The admin site


def token_of(page):
    return re.search('name="csrf_token" value="(.*?)"', page)[1]


async def log_in(client):
    form = {"password": "milk first"}
    form["csrf_token"] = token_of(await read(client, "/admin/login"))
    response = await client.post("/admin/login", form=form, follow_redirects=True)
    return response.text


async def test_the_admin_site_has_a_login_of_its_own(client):
    await client.post("/register", form=ANN)
    response = await client.get("/admin")
    assert (response.status, response.headers["Location"]) == (303, "/admin/login")
    assert (await client.get("/admin/static/shop.css")).status == 200
    token = token_of(await read(client, "/admin/login"))
    form = {"password": "wrong", "csrf_token": token}
    response = await client.post("/admin/login", form=form, headers=BROWSER)
    assert response.status == 403
    assert "<title>Shop: admin</title>" in response.text
    assert "Wrong password" in response.text
    assert "<h1>Products</h1>" in await log_in(client)


async def test_nobody_is_admin_without_a_password(client, monkeypatch):
    monkeypatch.delenv("ADMIN_PASSWORD")
    assert (await client.post("/admin/login", form={"password": ""})).status == 403


async def test_the_admin_changes_prices(client):
    token = token_of(await log_in(client))
    form = {"price": 1999, "stock": 7}
    path = "/admin/products/teapot"
    response = await client.post(path, form=form)
    assert (response.status, response.text) == (403, "Missing or wrong CSRF token")
    form["csrf_token"] = token
    response = await client.post(path, form=form, follow_redirects=True)
    assert "Teapot is changed" in response.text
    assert "€ 19.99, 7 in stock" in await read(client, "/products/teapot")
    for wrong in ({"price": 0}, {"stock": 10**12}):
        assert (await client.post(path, form=form | wrong)).status == 400


async def test_the_admin_sees_orders_and_nobody_keeps_the_page(client):
    await order(client)
    assert "<td>Ann</td><td>2 Teapot</td>" in await log_in(client)
    response = await client.get("/admin")
    assert response.headers["Cache-Control"] == "no-store"
    await client.post("/admin/logout", form={"csrf_token": token_of(response.text)})
    assert (await client.get("/admin")).status == 303


# Beside the requests


@pytest.fixture
def short_pause(monkeypatch):
    monkeypatch.setattr(baskets, "PAUSE", 0.01)


async def test_old_baskets_are_removed_also_after_a_failure(
    short_pause, app, client, database, caplog
):
    await client.post("/basket/tea", form={"quantity": 1})
    await database.execute("ALTER TABLE basket_lines RENAME TO lost")
    await until(lambda: states(app)["expire_baskets"] != "running")
    await database.execute("ALTER TABLE lost RENAME TO basket_lines")
    age = "UPDATE basket_lines SET changed = now() - interval '2 days'"
    await database.execute(age)

    async def is_empty():
        return await database.fetchval("SELECT count(*) FROM basket_lines") == 0

    await until(is_empty, "the next run", timeout=30)
    assert "expire_baskets" in caplog.text


@pytest.mark.parametrize(
    "command",
    [
        "roll_server run examples.shop:app --workers 2 --port 0",
        "gunicorn examples.shop:app -k roll_gunicorn.Worker -w 2 -b 127.0.0.1:0",
    ],
    ids=["roll run", "gunicorn"],
)
def test_workers_start_at_the_same_time_and_serve(environment, database, command):
    with serving(command) as url:
        request = urllib.request.urlopen(f"{url}/products.json", timeout=patience(30))
        with request as response:
            assert len(json.load(response)) == 5


@contextlib.contextmanager
def serving(command):
    """Run a module of Python, and give the URL that it prints; it has to end well."""
    with subprocess.Popen(
        [sys.executable, "-u", "-W", "error", "-m", *command.split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            said = ""
            while not (url := re.search(r"http://127\.0\.0\.1:\d+", said)):
                line = process.stdout.readline()
                assert line, said  # else it has ended
                said += line
            yield url[0]
            process.terminate()
            rest, _ = process.communicate(timeout=patience(60))
        finally:
            process.kill()
    assert (process.returncode, "Traceback" in rest) == (0, False), rest


# Redis that fails


async def shop_around(app, keeps_sessions, seen, is_over):
    """Fill a basket and look into it, again and again; what comes is right, or 503."""
    client = Client(app)
    client.timeout = patience(20)
    while not is_over.is_set():
        response = await client.post("/basket/tea", form={"quantity": 2})
        assert response.status in (303, 503), response.body
        seen.append(response.status)
        known = response.status == 303
        response = await client.get("/basket", headers=BROWSER)
        seen.append(response.status)
        if response.status == 503:
            assert "<h1>Service Unavailable</h1>" in response.text
            continue
        assert response.status == 200, response.body
        count = re.search(r"Basket \((\d)\)", response.text)[1]
        assert count == "2" or not (known and keeps_sessions)


@pytest.mark.parametrize("how", ["paused", "killed"])
async def test_redis_may_stop_and_start_under_load(
    app,
    client,
    redis_server,  # noqa: F811
    how,
    caplog,
):
    seen, is_over = [], asyncio.Event()

    def are_right(count):
        return lambda: 503 not in seen[-count:] and len(seen) >= count

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            keeps = how == "paused"
            group.create_task(shop_around(app, keeps, seen, is_over))
        await until(are_right(80), "responses", timeout=30)
        if how == "paused":
            redis_server.signal(signal.SIGSTOP)
        else:
            redis_server.kill()
        await until(lambda: seen.count(503) >= 16, "refusals", timeout=30)
        if how == "paused":
            redis_server.signal(signal.SIGCONT)
        else:
            redis_server.start()  # without what it had
        seen.clear()
        await until(are_right(80), "sessions that work again", timeout=30)
        is_over.set()
    errors = [each for each in caplog.records if each.levelname == "ERROR"]
    assert {each.msg for each in errors} == {"The session store fails: %r"}
    await client.post("/basket/cup", form={"quantity": 1})
    assert "Basket (1)" in await read(client, "/")


# The tests above need no browser, so they run without one; `.ci/run` installs it.
@pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"
)
def test_the_script_replaces_parts_of_a_page(environment, database, tmp_path):
    badge = "document.getElementById('badge').innerText"
    button = "document.querySelector('[data-fragments] button')"
    with serving("examples.shop 0") as url, browse(CHROMIUM, tmp_path) as page:
        # Where browsers take a cookie that is for https.
        origin = url.replace("127.0.0.1", "localhost")
        for path in ("/", "/basket"):
            page.open(f"{origin}{path}")
            count = 1 if path == "/" else 3
            page.run(f"document.querySelector('[name=quantity]').value = {count}")
            page.run(f"window.isOld = true; {button}.click()")
            page.wait(f"{badge} == 'Basket ({count})'")
            assert page.run("window.isOld")  # the page was not loaded again
        assert "€ 20.70" in page.run("document.getElementById('lines').innerText")
