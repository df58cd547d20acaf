"""`python -m examples.hello [port]`."""

import sys

from roll.extensions import simple_server

from . import app

simple_server(app, port=int(sys.argv[1]) if sys.argv[1:] else 3579)
