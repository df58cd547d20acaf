import pytest
from roll import Roll
from roll.extensions import mount


def make(*paths, app=None, **extras):
    """Make an app whose views tell who they are: the label, and the path they see."""
    app = Roll() if app is None else app
    for path in paths:

        @app.route(path, name=path, **extras)
        async def view(request, response, **variables):
            response.body = f"{request.app['label']} {request.path}"

    return app


@pytest.fixture
def app():
    return labelled("parent", "/")


@pytest.fixture
def admin(app):
    admin = labelled("admin", "/", "/users", "/users/{id:int}")
    mount(app, "/admin", admin, name="admin")
    return admin


def labelled(label, *paths, **options):
    app = make(*paths, **options)
    app["label"] = label
    return app


@pytest.fixture(name="labelled")
def give_labelled():
    return labelled


@pytest.fixture
def ask(client):
    """Asks, and gives the status and the body as a text."""

    async def ask(path, method="GET", **options):
        response = await client.request(path, method=method, **options)
        return int(response.status), response.body.decode()

    return ask
