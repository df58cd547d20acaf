"""Roll as an ASGI application; which server runs `app` is in suite/peers.py."""

from roll.extensions import asgi
from roll_app import app as roll

app = asgi(roll)
