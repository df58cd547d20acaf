"""Routing: patterns, and which route fits a path.

Read the modules in this order:

- `table`: what a call of `route(...)` declares, and the routes declared without an app.
- `endpoints`: the view of one path and one method, ready to run, and the endpoints
  that respond with 404 or 405. It also checks views and the extras of routes.
- `patterns`: what a pattern such as `/hello/{name}` means, and which of two patterns
  is more specific.
- `expressions`: which regular expressions a placeholder may have. It refuses those that
  could take too long.
- `matching`: finds the pattern that fits a path, however many patterns there are.

`roll.router` joins them: it adds a declaration to the matcher, and looks a request up.
Other packages import `split_path` from here.
"""

from .patterns import PathPart, split_path

__all__ = ["PathPart", "split_path"]
