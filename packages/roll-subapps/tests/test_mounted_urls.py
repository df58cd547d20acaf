"""URLs of sub-apps: names, redirects, files."""

import pytest
from roll import Roll
from roll.extensions import mount, named_url, static


@pytest.fixture
def tree():
    """A parent, an app in it, and one in that; each with a page and its `url_for`."""
    app, shop, admin = Roll(), Roll(), Roll()
    mount(app, "/my shop", shop, name="shop")
    mount(shop, "/admin", admin, name="admin")
    urls = []
    for each in (app, shop, admin):

        @each.route("/users/{id:int}", name="user")
        async def user(request, response, id):
            response.body = request.path

        urls.append(named_url(each))
    return urls


def test_a_sub_app_writes_its_own_names_with_the_whole_prefix(tree):
    """Starlette#814, #701, #687, #654."""
    of_app, of_shop, of_admin = tree
    assert of_app("user", id=7) == "/users/7"
    assert of_shop("user", id=7) == "/my%20shop/users/7"
    assert of_admin("user", {"a": "b"}, id=7) == "/my%20shop/admin/users/7?a=b"


def test_a_parent_writes_the_names_of_its_sub_apps(tree):
    of_app, of_shop, of_admin = tree
    assert of_app("shop:user", id=7) == "/my%20shop/users/7"
    assert of_app("shop:admin:user", id=7) == "/my%20shop/admin/users/7"
    assert of_shop("admin:user", {"a": "b"}, id=7) == "/my%20shop/admin/users/7?a=b"
    for write, name in [
        (of_app, "shop:nobody"),
        (of_app, "nothing:user"),
        (of_app, "shop:nothing:user"),
        (of_admin, "shop:user"),
        (of_admin, "nothing"),
    ]:
        with pytest.raises(ValueError, match="no route has the name"):
            write(name, id=7)


def test_a_sub_app_needs_no_names_of_its_own():
    app, admin = Roll(), Roll()
    mount(app, "/admin", admin, name="admin")
    url_for = named_url(app)

    @admin.route("/late")
    async def late(request, response):
        pass

    assert url_for("admin:late") == "/admin/late"


def test_a_name_of_the_parent_wins(tree):
    app = Roll()
    admin = Roll()
    mount(app, "/admin", admin, name="admin")
    url_for = named_url(app)

    async def view(request, response):
        pass

    admin.route("/inside", name="user")(view)
    app.route("/outside", name="admin:user")(view)
    assert url_for("admin:user") == "/outside"


def test_a_host_stands_before_the_path():
    app, api, inner, away = Roll(), Roll(), Roll(), Roll()
    mount(app, subapp=api, host="api.example.org", name="api")
    mount(api, "/inner", inner, name="inner")
    mount(api, "/away", away, host="b.example.org", name="away")
    any_label = Roll()
    mount(app, subapp=any_label, host="*.example.org", name="any")
    url_for = named_url(app)
    for each in (api, inner, away, any_label):
        each.route("/users/{id}", name="user")(user)
    assert url_for("api:user", id=7) == "//api.example.org/users/7"
    assert url_for("api:inner:user", id=7) == "//api.example.org/inner/users/7"
    assert url_for("api:away:user", id=7) == "//b.example.org/away/users/7"
    assert named_url(api)("user", id=7) == "/users/7"
    assert named_url(any_label)("user", id=7) == "/users/7"
    with pytest.raises(ValueError, match=r"at \*\.example\.org, which may be any host"):
        url_for("any:user", id=7)


async def user(request, response, id):
    response.body = id


async def test_a_sub_app_redirects_to_its_own_page(app, client):
    """Starlette#383, python-sdk#412."""
    sub = Roll()
    mount(app, "/sub", sub)
    url_for = named_url(sub)

    @sub.route("/method1")
    async def method1(request, response):
        response.redirect = url_for("method2"), 302

    @sub.route("/method2")
    async def method2(request, response):
        response.body = request.path

    response = await client.get("/sub/method1")
    assert response.headers["Location"] == "/sub/method2"
    response = await client.get("/sub/method1", follow_redirects=True)
    assert response.body == b"/method2"


@pytest.mark.parametrize("kind", ["prefix", "host"])
async def test_static_files_of_a_sub_app(app, client, tmp_path, kind):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "index.html").write_text("index")
    shop, sub = Roll(), Roll()
    static(sub, "/files/", tmp_path, default_index="index.html")
    mount(shop, "/sub", sub, host="a.org" if kind == "host" else None)
    mount(app, "/shop", shop)
    client.default_headers["Host"] = "a.org"
    response = await client.get("/shop/sub/files/folder?a=b")
    assert response.headers["Location"] == "/shop/sub/files/folder/?a=b"
    assert (await client.get("/shop/sub/files/folder/")).body == b"index"
