"""Baskets, and what becomes of them: an order, or nothing after a day.

The session has the id of the basket, and the database what is in it.
"""

import asyncio
import uuid

from asyncpg import CheckViolationError
from roll import HttpError, RouteTable
from roll_session import flash

from .catalogue import money
from .customers import for_customers

PAUSE = 60  # seconds between two looks for old baskets
MOST = 99  # of one product

LINES = """
    SELECT slug, name, price, quantity, price * quantity AS total
    FROM basket_lines JOIN products ON slug = product WHERE basket = $1 ORDER BY name
"""
PUT = """
    INSERT INTO basket_lines VALUES ($1, $2, $3) ON CONFLICT (basket, product)
    DO UPDATE SET quantity = excluded.quantity, changed = now()
"""
EMPTY = """
    DELETE FROM basket_lines USING products WHERE basket = $1 AND slug = product
    RETURNING slug, name, quantity, price * quantity AS total
"""
TAKE = "UPDATE products SET stock = stock - $2 WHERE slug = $1"
ORDER = "INSERT INTO orders (customer, total, content) VALUES ($1, $2, $3)"

routes = RouteTable()


async def expire_baskets(db):
    while True:
        await db.execute(
            "DELETE FROM basket_lines WHERE changed < now() - interval '1 day'"
        )
        await asyncio.sleep(PAUSE)


async def count_items(request):
    query = "SELECT coalesce(sum(quantity), 0) FROM basket_lines WHERE basket = $1"
    basket = request["session"].get("basket")
    return 0 if basket is None else await request.app["db"].fetchval(query, basket)


async def read_lines(request):
    basket = request["session"].get("basket")
    lines = [] if basket is None else await request.app["db"].fetch(LINES, basket)
    return {"lines": lines, "total": sum(line["total"] for line in lines)}


@routes.get("/basket")
async def show_basket(request, response):
    pages = request.app["templates"]
    await pages.render(request, response, "basket.html", **await read_lines(request))


@routes.post("/basket/{slug:[a-z-]{1,40}}")
async def put_in_basket(request, response, slug):
    quantity = request.form.int("quantity")
    if not 0 <= quantity <= MOST:
        raise HttpError(400, f"quantity is 0 to {MOST}")
    db = request.app["db"]
    if not await db.fetchval("SELECT true FROM products WHERE slug = $1", slug):
        raise HttpError(404, "There is no such product")
    basket = request["session"].setdefault("basket", str(uuid.uuid4()))
    if quantity:
        await db.execute(PUT, basket, slug, quantity)
    else:
        delete = "DELETE FROM basket_lines WHERE basket = $1 AND product = $2"
        await db.execute(delete, basket, slug)
    if "X-Fragments" in request.headers:
        response.html = await render_fragments(request)
    else:  # without JavaScript
        response.redirect = request.app["url_for"]("show_basket"), 303


async def render_fragments(request):
    """Give the parts of a page that show the basket; `shop.js` replaces them."""
    text = request.app["templates"].text
    badge = await text(request, "base.html", block="badge")
    found = await read_lines(request)
    return badge + await text(request, "basket.html", block="lines", **found)


@routes.post("/checkout")
@for_customers
async def checkout(request, response):
    url_for = request.app["url_for"]
    response.redirect = url_for("show_basket"), 303
    basket = request["session"].get("basket")
    customer = request["customer"]["name"]
    try:
        async with request.app["db"].acquire() as connection, connection.transaction():
            lines = await connection.fetch(EMPTY, basket)
            if not lines:  # another click was faster
                return
            # Sorted, so that two orders never wait for each other.
            for line in sorted(lines):
                await connection.execute(TAKE, line["slug"], line["quantity"])
            total = sum(line["total"] for line in lines)
            content = ", ".join(f"{line['quantity']} {line['name']}" for line in lines)
            await connection.execute(ORDER, customer, total, content)
    except CheckViolationError:
        flash(request, "We do not have that many: please take less", "error")
    else:
        flash(request, f"Thank you: you have ordered for {money(total)}")
        response.redirect = url_for("orders"), 303
