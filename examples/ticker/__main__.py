from roll.extensions import simple_server

from . import app

simple_server(app)
