"""Installed packages that extend Roll, found through their entry points."""

import functools
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .typing import Extension, Upgrade

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

    import pluggy

GROUP = "roll.plugins"
"""The entry point group in which packages name the module with their hooks."""


class PluginError(Exception):
    """An installed plugin cannot be used; the message names its distribution."""


def require_app(extension: str, app: object) -> None:
    """Check that an extension is called with an app: usually its first line.

    Args:
        extension: The name of the extension's function.
        app: The first argument of the call.

    Raises:
        TypeError: *app* is not an app; the message shows the correct call.
    """
    if isinstance(app, type) or not hasattr(app, "listen"):
        call = f"{extension}({app!r})"
        raise TypeError(f"{call}: give the app first, as in {extension}(app)")


def require_boolean(value: object) -> None:
    """Check that a value is True or False, as a check for `Roll.extras`.

    Raises:
        TypeError: *value* is something else.
    """
    if not isinstance(value, bool):
        raise TypeError("give True or False")


def require_seconds(option: str, value: object) -> None:
    """Check that an option is a number of seconds.

    Raises:
        TypeError: *value* is not a number.
        ValueError: *value* is not above 0, or not finite.
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{option}={value!r}: give seconds, a number")
    if not 0 < value < math.inf:
        raise ValueError(f"{option}={value!r}: give seconds above 0")


@functools.cache
def manager() -> "pluggy.PluginManager":
    """Load all installed plugins, once per process, at the first call.

    Raises:
        PluginError: A plugin fails to import or to register, or an original `roll`
            (before 1.0) is installed together with roll-core.
    """
    import pluggy

    from . import hookspecs

    refuse_original()
    plugins = pluggy.PluginManager("roll")
    plugins.add_hookspecs(hookspecs)
    for entry in _entry_points():
        try:
            plugins.register(entry.load(), name=entry.name)
            plugins.check_pending()
        except Exception as error:
            raise _broken(entry.name, error) from error
    return plugins


def extensions() -> dict[str, Extension]:
    """Give every installed extension by its import name."""
    return _collect("roll_extensions")


def protocols() -> dict[str, type[Upgrade]]:
    """Give every installed protocol by its name for `protocol=` of a route."""
    return _collect("roll_protocols")


def protocol_class(name: str) -> type[Upgrade]:
    """Find a protocol that an installed package provides.

    Raises:
        ValueError: No package provides it.
    """
    found = protocols()
    if name not in found:
        hint = _advise(name, found)
        raise ValueError(f"no installed package provides the protocol {name!r}: {hint}")
    return found[name]


def _advise(name: str, found: Iterable[str]) -> str:
    """Suggest what to write instead of the name of an unknown protocol."""
    if name == "websocket":
        return "pip install roll-websockets"
    if name.lower() in ("ws", "wss"):
        return "did you mean 'websocket'?"
    import difflib  # only for mistakes

    near = difflib.get_close_matches(name.lower(), {"http", "websocket", *found}, n=1)
    return f"did you mean {near[0]!r}?" if near else "use 'http'"


class ProtocolClass:
    """A class attribute that finds an installed protocol when it is read.

    Args:
        name: The protocol's name; if it is not installed, there is no attribute.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type | None = None) -> type[Upgrade]:
        try:
            return protocol_class(self._name)
        except ValueError as error:
            raise AttributeError(str(error)) from error


@functools.cache
def _collect(hook: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    owners: dict[str, str] = {}
    for implementation in getattr(manager().hook, hook).get_hookimpls():
        owner = implementation.plugin_name
        try:
            given = dict(implementation.function())
        except Exception as error:
            raise _broken(owner, error) from error
        for name, value in given.items():
            if name in found:
                raise PluginError(
                    f"{name!r} comes from two plugins, {owners[name]!r} of "
                    f"{_distribution(owners[name])} and {owner!r} of "
                    f"{_distribution(owner)}: uninstall one of them"
                )
            found[name] = value
            owners[name] = owner
    return found


def owner(module: str) -> str | None:
    """Give the name of the plugin that *module* belongs to; None for other code.

    It only reads metadata, and loads no plugin.
    """
    return _owners().get(module.partition(".")[0])


@functools.cache
def _owners() -> dict[str, str]:
    return {entry.module.partition(".")[0]: entry.name for entry in _entry_points()}


def refuse_original() -> None:
    """Check that the original `roll` is not installed together with roll-core.

    Raises:
        PluginError: A distribution `roll` before 1.0 is installed.
    """
    from importlib import metadata

    try:
        version = metadata.version("roll")
    except metadata.PackageNotFoundError:
        return
    if version.startswith("0."):
        core = metadata.version("roll-core")
        raise PluginError(
            f"roll {version} and roll-core {core} are installed together, and share "
            "the files of the package `roll`. "
            "Run: pip uninstall -y roll roll-core && pip install roll"
        )


def _entry_points() -> "EntryPoints":
    from importlib import metadata  # at the top, a third of the time of `import roll`

    return metadata.entry_points(group=GROUP)


def _broken(plugin: str, error: Exception) -> PluginError:
    return PluginError(
        f"The plugin {plugin!r} of {_distribution(plugin)} cannot be loaded: "
        f"{type(error).__name__}: {error}. Upgrade, fix or uninstall it."
    )


def _distribution(plugin: str) -> str:
    """Name the distribution of a plugin, and its version."""
    entries = _entry_points().select(name=plugin)
    return " and ".join(
        f"{entry.dist.name} {entry.dist.version}" for entry in entries if entry.dist
    )
