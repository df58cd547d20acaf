"""Customers: they register, log in, see their orders, and log out everywhere."""

import asyncio
import functools
import hashlib
import hmac
import os
import time

from asyncpg import UniqueViolationError
from roll import HttpError, RouteTable
from roll_session import flash

routes = RouteTable()


def hash_password(password, salt=None):
    salt = salt or os.urandom(16)
    key = hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)
    return f"{salt.hex()}:{key.hex()}"


def is_right(password, hashed):
    salt = bytes.fromhex(hashed.partition(":")[0])
    return hmac.compare_digest(hash_password(password, salt), hashed)


# What the password of an unknown customer is compared with: that takes as long.
NOBODY = hash_password(os.urandom(16).hex())


async def find_customer(request):
    """Tell who is logged in, if that was after the last logout everywhere."""
    session = request["session"]
    if "customer" not in session:
        return None
    query = "SELECT * FROM customers WHERE name = $1 AND valid_since <= $2"
    values = session["customer"], session["since"]
    return await request.app["db"].fetchrow(query, *values)


def for_customers(view):
    """Ask for a login first."""

    @functools.wraps(view)
    async def check(request, response, **variables):
        request["customer"] = await find_customer(request)
        if request["customer"] is None:
            flash(request, "Please log in first")
            response.redirect = request.app["url_for"]("login"), 303
        else:
            await view(request, response, **variables)

    return check


def begin_session(request, response, name):
    request["session"].regenerate()
    request["session"].update(customer=name, since=time.time())
    flash(request, f"Welcome, {name}")
    response.redirect = request.app["url_for"]("catalogue"), 303


def read_form(form):
    name, password = form.get("name").strip(), form.get("password")
    if not (0 < len(name) <= 50 and name.isprintable()):
        raise HttpError(400, "name has 1 to 50 printable characters")
    if not 8 <= len(password) <= 100:
        raise HttpError(400, "password has 8 to 100 characters")
    return name, password


@routes.get("/login")
async def login(request, response):
    await request.app["templates"].render(request, response, "login.html")


@routes.post("/login", name="log_in")
async def log_in(request, response):
    name, password = read_form(request.form)
    query = "SELECT password FROM customers WHERE name = $1"
    hashed = await request.app["db"].fetchval(query, name) or NOBODY
    if not await asyncio.to_thread(is_right, password, hashed):
        raise HttpError(403, "Wrong name or password")
    begin_session(request, response, name)


@routes.post("/register")
async def register(request, response):
    name, password = read_form(request.form)
    hashed = await asyncio.to_thread(hash_password, password)
    insert = "INSERT INTO customers (name, password) VALUES ($1, $2)"
    try:
        await request.app["db"].execute(insert, name, hashed)
    except UniqueViolationError as error:
        raise HttpError(409, "This name is taken") from error
    begin_session(request, response, name)


@routes.post("/logout")
async def logout(request, response):
    request["session"].invalidate()
    flash(request, "You are logged out")
    response.redirect = request.app["url_for"]("catalogue"), 303


@routes.post("/logout-everywhere")
@for_customers
async def logout_everywhere(request, response):
    update = "UPDATE customers SET valid_since = $1 WHERE name = $2"
    customer = request["customer"]["name"]
    await request.app["db"].execute(update, time.time(), customer)
    await logout(request, response)


@routes.get("/orders")
@for_customers
async def orders(request, response):
    query = "SELECT * FROM orders WHERE customer = $1 ORDER BY id DESC"
    found = await request.app["db"].fetch(query, request["customer"]["name"])
    await request.app["templates"].render(
        request, response, "orders.html", orders=found
    )
