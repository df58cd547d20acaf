"""Routing: patterns, and the match of a path with a route.

Read the modules in this order:

- `table`: what a call of `route(...)` declares, and the routes declared without an app.
- `endpoints`: the view of one path and one method, ready to run, and the endpoints
  that respond with 404 or 405. It also checks views and the extras of routes.
- `patterns`: what a pattern such as `/hello/{name}` means, and which of two patterns
  is more specific.
- `expressions`: which regular expressions a placeholder may have. It rejects those that
  could take too long.
- `matching`: finds the pattern that matches a path, however many patterns there are.

`roll.router` combines them: it adds declarations to the matcher, and looks up requests.
Other packages import `split_path` from here.
"""

from .patterns import PathPart, split_path

__all__ = ["PathPart", "split_path"]
