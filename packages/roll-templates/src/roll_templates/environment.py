"""The environment of Jinja: how templates are found, compiled and escaped."""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from posixpath import splitext
from typing import Any

from jinja2 import (
    BaseLoader,
    Environment,
    FileSystemLoader,
    Template,
    TemplateNotFound,
)
from roll.logs import logger

_WRAPPERS = (".j2", ".jinja", ".jinja2")
_UNESCAPED = frozenset({".csv", ".ics", ".md", ".txt"})
_TYPES = {
    ".css": "text/css",
    ".csv": "text/csv",
    ".ics": "text/calendar",
    ".js": "text/javascript",
    ".json": "application/json",
    ".md": "text/markdown",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".xml": "application/xml",
}


def content_type(name: str) -> str:
    """Give the `Content-Type` of a template's result; HTML without a known suffix."""
    return f"{_TYPES.get(_ending(name), 'text/html')}; charset=utf-8"


def is_escaped(name: str | None) -> bool:
    """Tell whether a template is escaped; a string without a name is."""
    return name is None or _ending(name) not in _UNESCAPED


def _ending(name: str) -> str:
    root, ending = splitext(name.lower())
    return splitext(root)[1] if ending in _WRAPPERS else ending


def make_environment(
    finder: "Finder", reload: bool, enable_async: bool, options: Mapping[str, Any]
) -> Environment:
    """Make the environment.

    Raises:
        TypeError: An option has another type, or is unknown to Jinja.
    """
    for option, value in (("reload", reload), ("enable_async", enable_async)):
        if not isinstance(value, bool):
            raise TypeError(f"{option}={value!r}: give True or False")
    # Templates that were compiled at the start are never dropped.
    ours = {"autoescape": is_escaped, "auto_reload": reload, "cache_size": -1}
    return Environment(loader=finder, enable_async=enable_async, **{**ours, **options})


class Finder(BaseLoader):
    """Finds templates; once the app has started, it finds only those it has listed.

    Args:
        directory: One or several directories; not used with a loader.
        loader: A loader in place of the directories.

    Raises:
        TypeError: It is not a path, or not a loader.
    """

    def __init__(
        self,
        directory: str | Path | Sequence[str | Path],
        loader: BaseLoader | None,
    ) -> None:
        self._folders: list[str] = []
        if loader is None:
            self._folders = _read_folders(directory)
            loader = FileSystemLoader(self._folders, followlinks=True)
        if not isinstance(loader, BaseLoader):
            raise TypeError(f"loader={loader!r}: give a loader of Jinja")
        self._loader = loader
        self._listed: frozenset[str] | None = None
        self.has_source_access = loader.has_source_access

    async def start(self, environment: Environment, reload: bool) -> None:
        """Compile every template that can be listed, unless they are reloaded."""
        for folder in self._folders:
            if not await asyncio.to_thread(os.path.isdir, folder):
                logger.warning("templates: %r is not a directory", folder)
        if reload:
            logger.warning(
                "templates(reload=True) checks files again and again: "
                "leave it out when you deploy"
            )
        else:
            await asyncio.to_thread(self._compile_all, environment)

    def _compile_all(self, environment: Environment) -> None:
        try:
            listed = [*filter(_is_plain, self._loader.list_templates())]
        except TypeError:  # the loader cannot list them
            return
        self._listed = frozenset(listed)
        for name in listed:
            try:
                environment.get_template(name)
            except UnicodeDecodeError:
                logger.warning("templates: %r is not UTF-8, and is left out", name)

    # The methods of a Jinja loader

    def load(
        self,
        environment: Environment,
        name: str,
        globals: MutableMapping[str, Any] | None = None,
    ) -> Template:
        """Give a compiled template."""
        with self._searching(name):
            return self._loader.load(environment, name, globals)

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """Give the source of a template."""
        with self._searching(template):
            return self._loader.get_source(environment, template)

    def list_templates(self) -> list[str]:
        """List the names of all templates."""
        if self._listed is not None:
            return sorted(self._listed)
        return self._loader.list_templates()

    @contextmanager
    def _searching(self, name: str) -> Iterator[None]:
        """Refuse names that cannot exist, and say where others were looked for."""
        known = self._listed is None or name in self._listed
        message = f"{name!r} is not a template"
        if self._folders:
            message += f" in {', '.join(self._folders)}"
        try:
            if not known or not _is_plain(name):
                raise TemplateNotFound(name)
            yield
        except TemplateNotFound:
            error = TemplateNotFound(name, message)
            error.args = (message,)  # for its `repr`, which is logged
            raise error from None


def _is_plain(name: str) -> bool:
    """Tell whether a name stays in its folder, and is the only name of its template."""
    segments = name.split("/")
    return {"", ".", ".."}.isdisjoint(segments) and {"\\", "\0"}.isdisjoint(name)


def _read_folders(directory: str | Path | Sequence[str | Path]) -> list[str]:
    given = [directory] if isinstance(directory, (str, Path)) else directory
    if not isinstance(given, Sequence) or not given:
        raise TypeError(f"directory={directory!r}: give a path, or a list of paths")
    for path in given:
        if not isinstance(path, (str, Path)):
            raise TypeError(f"directory: {path!r} is not a path")
    return [os.path.abspath(path) for path in given]
