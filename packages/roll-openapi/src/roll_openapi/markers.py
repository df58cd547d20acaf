"""Markers: where a parameter of a typed view comes from, for `Annotated`."""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, section 5.6.2
_MEDIA_TYPE = re.compile(rf"{_TOKEN.pattern}/{_TOKEN.pattern}(;[ -~]*)?\Z")


class Marker:
    """Says where a parameter comes from.

    Args:
        alias: Its name on the wire; by default the name of the parameter.
        description: For the document.
        examples: Values, for the document.
        deprecated: Whether clients should no longer send it.
    """

    SOURCE: ClassVar[str]
    """The source, as the errors of `Invalid` name it."""

    def __init__(
        self,
        alias: str | None = None,
        description: str | None = None,
        examples: Sequence[Any] = (),
        deprecated: bool = False,
    ) -> None:
        if alias is not None and not isinstance(alias, str):
            raise TypeError(f"alias={alias!r}: give a string")
        if alias is not None:
            self._check(alias)
        self.alias = alias
        self.description = description
        self.examples = tuple(examples)
        self.deprecated = deprecated

    def _check(self, alias: str) -> None:
        """Refuse an alias that cannot be a name on the wire."""

    def name(self, parameter: str) -> str:
        """Give the name on the wire."""
        return self.alias or parameter


class Path(Marker):
    """A placeholder of the route."""

    SOURCE = "path"


class Query(Marker):
    """A parameter of the query string, or several: each field of a Struct."""

    SOURCE = "query"


class Header(Marker):
    """A field of the header; `x_key` is `X-Key` without an alias.

    Raises:
        ValueError: The alias is not a field name (RFC 9110, section 5.1).
    """

    SOURCE = "header"

    def _check(self, alias: str) -> None:
        if not _TOKEN.fullmatch(alias):
            raise ValueError(
                f"Header({alias!r}): a header name has letters, digits and hyphens, "
                "as in X-Key"
            )

    def name(self, parameter: str) -> str:
        """Give the name on the wire."""
        return self.alias or "-".join(
            word.capitalize() for word in parameter.strip("_").split("_")
        )


class Cookie(Marker):
    """A cookie."""

    SOURCE = "cookie"


class Form(Marker):
    """A field of a form, or several: each field of a Struct."""

    SOURCE = "form"


class File(Marker):
    """A file of a multipart form."""

    SOURCE = "file"


class Body(Marker):
    """The body.

    Args:
        media_type: The type of the body; by default JSON, and any type for `bytes`.
        description: For the document.
        examples: Values, for the document.
    """

    SOURCE = "body"

    def __init__(
        self,
        media_type: str | None = None,
        description: str | None = None,
        examples: Sequence[Any] = (),
    ) -> None:
        super().__init__(None, description, examples)
        if media_type is not None and not _MEDIA_TYPE.match(media_type):
            raise ValueError(
                f"Body({media_type!r}): give a media type, such as 'image/png'"
            )
        self.media_type = media_type
