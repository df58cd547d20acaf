"""Django in a Roll app: by WSGI and by ASGI, and its admin in a browser."""

import shutil
import sys
import types
from pathlib import Path

import django
import pytest
from django.conf import settings
from roll import Roll
from roll.extensions import mount_asgi, mount_wsgi, static
from roll_testing import Client

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site of Django with the admin, and a user `ann`."""
    folder = tmp_path_factory.mktemp("django")
    urls = types.ModuleType("roll_asgi_django_urls")
    sys.modules[urls.__name__] = urls
    templates = {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
    apps = ["admin", "auth", "contenttypes", "sessions", "messages"]
    settings.configure(
        DEBUG=True,
        SECRET_KEY="a key for the tests",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=urls.__name__,
        INSTALLED_APPS=[f"django.contrib.{name}" for name in apps],
        MIGRATION_MODULES=dict.fromkeys(apps),  # the tables at once, which is quicker
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[templates],
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "db"}
        },
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        STATIC_URL="/static/",
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        USE_TZ=True,
    )
    django.setup()
    from django.contrib import admin
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connections
    from django.http import HttpResponse, JsonResponse
    from django.urls import path, reverse
    from django.views.decorators.csrf import csrf_exempt

    @csrf_exempt
    def echo(request, name):
        url = request.build_absolute_uri(reverse("echo", args=[name]))
        files = {file.name: file.size for file in request.FILES.values()}
        answer = JsonResponse([name, url, request.POST.dict(), files], safe=False)
        answer.set_cookie("a", "1")
        return answer

    def plain(request):
        return HttpResponse(f"{request.path} {request.path_info}")

    urls.urlpatterns = [
        path("admin/", admin.site.urls),
        path("echo/<name>", echo, name="echo"),
        path("plain", plain),
    ]
    call_command("migrate", run_syncdb=True, verbosity=0)
    User.objects.create_superuser("ann", "ann@example.org", "secret")
    connections.close_all()
    yield
    connections.close_all()


def wsgi():
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


def mount_by_wsgi(app):
    mount_wsgi(app, "/django", wsgi())


def mount_by_asgi(app):
    from django.core.asgi import get_asgi_application

    mount_asgi(app, "/django", get_asgi_application())  # not all lower case


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize("mount", [mount_by_wsgi, mount_by_asgi])
async def test_django_is_served(app, mount):
    """asgiref#182, uvicorn#961; django-continuous-delivery#179: it has no lifespan."""
    mount(app)
    async with Client(app) as client:
        files = {"f": (b"x" * 3_000_000, "文.bin")}
        answer = await client.post("/django/echo/文", form={"a": "1"}, files=files)
        url = "http://roll.test/django/echo/%E6%96%87"
        assert answer.json == ["文", url, {"a": "1"}, {"文.bin": 3_000_000}]
        assert client.cookies == {"a": "1"}
        plain = await client.get("/django/plain")
        assert plain.body == b"/django/plain /plain"
        moved = await client.get("/django/admin/")
        assert moved.headers["Location"] == "/django/admin/login/?next=/django/admin/"


# A browser is not a Python package: the other tests run without it.
# `.ci/run` installs it, so that nothing is skipped there.
@pytest.mark.usefixtures("site")
@pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"
)
def test_the_admin_of_django_works_in_a_browser(tmp_path):
    driver = pytest.importorskip("examples.hello.browser")
    app = Roll()
    mount_by_wsgi(app)
    static(app, "/static/", Path(django.__file__).parent / "contrib/admin/static")

    def submit(**values):
        for name, value in values.items():
            field = f"document.querySelector('[name={name}]')"
            page.run(f"{field}.value = '{value}'")
        page.run("window.isOld = true")
        page.run("document.querySelector('#content [type=submit]').click()")
        page.wait("!window.isOld && document.readyState == 'complete'")

    with driver.serve(app) as port, driver.browse(CHROMIUM, tmp_path) as page:
        page.open(f"http://127.0.0.1:{port}/django/admin/auth/user/add/")
        assert page.run("document.title").startswith("Log in")
        submit(username="ann", password="secret")
        assert page.run("location.pathname") == "/django/admin/auth/user/add/"
        assert page.run("getComputedStyle(document.body).margin") == "0px"  # its CSS
        password = "a longer secret"
        submit(username="bob", password1=password, password2=password)
        assert "was added successfully" in page.run("document.body.innerText")
        page.open(f"http://127.0.0.1:{port}/django/admin/auth/user/")
        assert "bob" in page.run("document.body.innerText")
