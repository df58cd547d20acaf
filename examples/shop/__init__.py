"""A shop: a catalogue, baskets, customers, orders, and an admin site.

PostgreSQL keeps what is sold, and Redis keeps the sessions. `create_app` puts the
parts together, and reads where both are from the environment.
"""

import os
from contextlib import suppress
from pathlib import Path

from roll import Roll
from roll.extensions import (
    background,
    compress,
    csrf,
    health,
    metrics,
    mount,
    named_url,
    resource,
    session,
    static,
    templates,
    tracing,
)
from roll_session import RedisStore

from . import baskets, catalogue, customers, database
from .admin import create_admin

HERE = Path(__file__).parent


def create_app():
    app = Roll()
    redis = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
    session(app, store=RedisStore(redis))
    csrf(app)
    compress(app)
    named_url(app)
    pages = templates(app, HERE / "templates", errors="error.html")
    pages.environment.filters["money"] = catalogue.money
    pages.context(add_visitor)
    static(app, root=HERE / "static", session=False)
    resource(app)(database.db)
    background(app)(baskets.expire_baskets)
    app.listen("response")(forbid_foreign_content)
    for part in (catalogue, baskets, customers):
        app.include(part.routes)
    mount(app, "/admin", create_admin(), name="admin", share=["db"])
    metrics(app)  # which the proxy keeps from strangers
    health(app, checks={"database": lambda: database.ping(app["db"])})
    with suppress(ImportError):  # OpenTelemetry may be missing
        tracing(app, trust=False)
    return app


async def add_visitor(request):
    """Let every page show who is logged in, and how much is in the basket."""
    if (request.route.payload or {}).get("session") is False:
        return {}  # the error page of a file
    return {
        "customer": await customers.find_customer(request),
        "item_count": await baskets.count_items(request),
    }


async def forbid_foreign_content(request, response):
    response.headers["Content-Security-Policy"] = "default-src 'self'"


app = create_app()
