import sys

from roll.extensions import simple_server

from . import app

simple_server(app, *map(int, sys.argv[1:2]))
