"""The API of a warehouse: items with pictures, orders, and files.

`create_app` puts the parts together. All is kept in memory, as a database would hide
what the example shows. The API's document is at `/openapi.json`, and a page that tries
each operation at `/docs`.
"""

import os

from roll import Roll
from roll.extensions import openapi

from . import files, items, orders
from .security import SCHEMES, authenticate

DESCRIPTION = """\
Items are for everyone to read. What changes them takes an **API key**; orders and
files belong to customers, who send a **bearer token**.

- Lists come in pages: send the `next` of a page as the `after` of the next request.
- An item has an `ETag`. Who changes it sends this back in `If-Match`, so that nobody
  overwrites what they have not seen.
- Who orders sends an `Idempotency-Key` of their own: a request that is sent twice is
  carried out once.
- Errors are `application/problem+json` (RFC 9457).
"""


def create_app(keys=(), tokens=None):
    """Make the app.

    Args:
        keys: API keys, of those who look after the items.
        tokens: The names of customers, by their bearer tokens.
    """
    app = Roll()
    openapi(
        app,
        title="Warehouse",
        version="1.0",
        description=DESCRIPTION,
        security=SCHEMES,
    )
    authenticate(app, keys, tokens or {})
    for part in (items, orders, files):
        app[part.__name__] = {}
        app.include(part.routes)
    return app


def from_environment():
    """Read keys and tokens as `API_KEYS=k1,k2` and `API_TOKENS=t1=ann,t2=bob`."""
    keys = os.environ.get("API_KEYS", "").split(",")
    pairs = os.environ.get("API_TOKENS", "").split(",")
    return create_app(
        keys=[key for key in keys if key],
        tokens=dict(pair.split("=") for pair in pairs if pair),
    )


app = from_environment()
