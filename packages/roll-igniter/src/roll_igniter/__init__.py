"""igniter: a BIG message at startup."""

from collections.abc import Mapping

from roll import Roll, hookimpl
from roll.plugins import require_app
from roll.typing import Extension

__all__ = ["igniter"]

MESSAGE = r"""
      ____   ___   _      _
     |  _ \ / _ \ | |    | |        .--.
     | |_) | | | || |    | |      .'_\/_'.
     |  _ <| |_| || |___ | |___   '. /\ .'
     |_| \_\\___/ |_____||_____|    '--'

     roll-core {version}: async, simple, fast
"""


def igniter(app: Roll, message: str = MESSAGE) -> None:
    """Print a BIG message when *app* starts up.

    Args:
        app: The application.
        message: What to print; `{version}` is replaced by the version of roll-core.

    Raises:
        TypeError: *message* is not a string.
    """
    require_app("igniter", app)
    if not isinstance(message, str):
        raise TypeError(f"message={message!r}: give a string")
    from importlib.metadata import version

    # Not `format`: a message may contain braces.
    text = message.replace("{version}", version("roll-core"))

    @app.listen("startup")
    async def print_the_message() -> None:
        print(text, flush=True)


@hookimpl
def roll_extensions() -> Mapping[str, Extension]:
    """Give `from roll.extensions import igniter`."""
    return {"igniter": igniter}
