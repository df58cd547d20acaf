"""Loading: from `module:name` to an application."""

import os
import sys
from importlib import import_module
from inspect import iscoroutinefunction
from pathlib import Path
from types import ModuleType
from typing import Any

from roll import Roll

from .exits import Exit, StartError, describe_error
from .starting import IMPORTING


def find_application(app: str | None) -> str:
    """Give the place of the application.

    Raises:
        StartError: No setting names it.
    """
    if app is None:
        raise StartError(
            'name an application, such as shop:app, or say app = "shop:app" in '
            "[tool.roll] of pyproject.toml",
            Exit.SETTINGS,
        )
    return app


def load(app: str | None, factory: bool = False) -> Roll:
    """Import an application.

    Args:
        app: A module, a colon, and the name of the application in it, `app` when it
            is left out.
        factory: Whether the name is that of a function that makes the application.

    Raises:
        StartError: There is none; the cause is what the application raised, if
            anything.
    """
    where = find_application(app)
    name, _, attribute = where.partition(":")
    if "" not in sys.path:  # a script has its own folder there
        sys.path.insert(0, "")
    found = _find(where, _import(where, name), attribute or "app")
    if factory:
        found = _make(where, found)
    if isinstance(found, Roll):
        return found
    if factory:
        raise _wrong(f"{where}() gives {found!r}: let it return an application of Roll")
    hint = ""
    if isinstance(found, type) and issubclass(found, Roll):
        hint = ": name what is made of this class, or use --factory"
    elif callable(found):
        hint = ": use --factory, if it makes one"
    raise _wrong(f"{where} is not an application of Roll, but {found!r}{hint}")


def _import(where: str, name: str) -> ModuleType:
    if name.endswith(".py"):
        raise _wrong(
            f"{where!r} is a file: name its module, and the application in it, as in "
            f"{_suggest(name)}"
        )
    if not all(part.isidentifier() for part in name.split(".")):
        raise _wrong(
            f"{where!r} is not an application: name its module and itself, as in "
            "shop:app"
        )
    if name == "roll":
        raise _wrong(
            f"{where}: the module roll is Roll itself: give your roll.py another name"
        )
    importing = IMPORTING.set(True)
    try:
        return import_module(name)
    except (Exception, SystemExit) as error:
        absent = error.name if isinstance(error, ModuleNotFoundError) else None
        if absent is not None and f"{name}.".startswith(f"{absent}."):
            module, _, attribute = where.rpartition(".")
            hint = f"; did you mean {module}:{attribute}?" if absent == where else ""
            raise _wrong(
                f"{where} cannot be imported: there is no module {absent!r} in this "
                f"folder, and none is installed{hint}"
            ) from error
        raise _wrong(
            f"{where} cannot be imported: {describe_error(error)}", error
        ) from error
    finally:
        IMPORTING.reset(importing)


def _suggest(file: str) -> str:
    """Suggest what to write instead of a file."""
    path = Path(os.path.abspath(file)).with_suffix("")
    if path.is_relative_to(Path.cwd()):
        return f"{'.'.join(path.relative_to(Path.cwd()).parts)}:app"
    return f"{path.name}:app, in the folder {path.parent}"


def _find(where: str, module: ModuleType, attribute: str) -> Any:
    found: Any = module
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            apps = [key for key, each in vars(module).items() if isinstance(each, Roll)]
            names = ", ".join(f"{module.__name__}:{app}" for app in apps)
            hint = f"did you mean {names}?" if names else "it has no application"
            raise _wrong(
                f"{where}: the module {module.__name__} has no {attribute!r}; {hint}"
            ) from None
    return found


def _make(where: str, function: Any) -> Any:
    if isinstance(function, Roll):
        raise _wrong(f"{where} is an application already: leave out --factory")
    if iscoroutinefunction(function):
        raise _wrong(
            f"{where} is a coroutine function: make it a plain one, and do what it "
            "awaits in a startup listener"
        )
    if not callable(function):
        raise _wrong(
            f"{where} is not a function, but {function!r}: leave out --factory"
        )
    try:
        return function()
    except (Exception, SystemExit) as error:
        raise _wrong(f"{where}() raised {describe_error(error)}", error) from error


def _wrong(message: str, cause: BaseException | None = None) -> StartError:
    return StartError(message, Exit.APPLICATION, cause)
