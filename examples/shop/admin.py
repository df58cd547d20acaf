"""The admin site: an app of its own, with its login, error page and listeners.

It uses the sessions of the app that it is mounted in.
"""

import hmac
import os
from pathlib import Path

from roll import HttpError, Roll, RouteTable
from roll.extensions import csrf, named_url, static, templates
from roll_session import flash

from .catalogue import money

HERE = Path(__file__).parent
LARGEST = 1_000_000  # a price in cents, and a number of pieces

routes = RouteTable()


def create_admin():
    admin = Roll()
    csrf(admin, token=True)
    named_url(admin)
    pages = templates(admin, HERE / "templates/admin", errors="error.html")
    pages.environment.filters["money"] = money
    static(admin, root=HERE / "static", session=False, public=True)
    admin.extras("public")
    admin.listen("request")(require_login)
    admin.listen("response")(forbid_storing)
    admin.include(routes)
    return admin


async def require_login(request, response):
    is_public = (request.route.payload or {}).get("public")
    if is_public or request["session"].get("is_admin"):
        return False
    response.redirect = request.app["url_for"]("login"), 303
    return True  # the view is not asked


async def forbid_storing(request, response):
    response.headers.setdefault("Cache-Control", "no-store")


@routes.get("/login", public=True)
async def login(request, response):
    await request.app["templates"].render(request, response, "login.html")


@routes.post("/login", name="log_in", public=True)
async def log_in(request, response):
    wanted = os.environ.get("ADMIN_PASSWORD", "")
    given = request.form.get("password")
    if not wanted or not hmac.compare_digest(given.encode(), wanted.encode()):
        raise HttpError(403, "Wrong password")
    request["session"].regenerate()
    request["session"]["is_admin"] = True
    response.redirect = request.app["url_for"]("home"), 303


@routes.post("/logout")
async def logout(request, response):
    request["session"].invalidate()
    response.redirect = request.app["url_for"]("login"), 303


@routes.get("/")
async def home(request, response):
    db = request.app["db"]
    products = await db.fetch("SELECT * FROM products ORDER BY name")
    orders = await db.fetch("SELECT * FROM orders ORDER BY id DESC LIMIT 20")
    context = {"products": products, "orders": orders}
    await request.app["templates"].render(request, response, "home.html", **context)


@routes.post("/products/{slug:[a-z-]{1,40}}")
async def change_product(request, response, slug):
    price, stock = request.form.int("price"), request.form.int("stock")
    if not (0 < price <= LARGEST and 0 <= stock <= LARGEST):
        raise HttpError(400, f"price is 1 to {LARGEST}, stock 0 to {LARGEST}")
    update = "UPDATE products SET price = $2, stock = $3 WHERE slug = $1 RETURNING name"
    name = await request.app["db"].fetchval(update, slug, price, stock)
    if name is None:
        raise HttpError(404, "There is no such product")
    flash(request, f"{name} is changed")
    response.redirect = request.app["url_for"]("home"), 303
