"""Content-Disposition: whether to show or save a body, and its name (RFC 6266)."""

import re
from urllib.parse import quote

# Quotes and controls would end the quoted string or the field. A `%` is left out as
# well: some clients decode it there (RFC 6266, appendix D).
_UNQUOTABLE = re.compile(r"[^ !#$&-~]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_ATTR_CHAR = "!#$&+-.^_`|~"
"""Not percent-encoded, besides letters and digits (RFC 8187, section 3.2.1)."""


def content_disposition(filename: str = "", attachment: bool = True) -> str:
    """Write a value of `Content-Disposition`.

    Any text may be a name. A name that is not plain ASCII is sent twice: in UTF-8, and
    with `_` for characters that older clients cannot read.

    Args:
        filename: The name to save the body under. Directories before it, with slashes
            or backslashes, are dropped; an empty name is not sent.
        attachment: Whether to save the body; otherwise a browser shows it if it can.
    """
    kind = "attachment" if attachment else "inline"
    name = _CONTROL.sub("_", filename.replace("\\", "/").rpartition("/")[2])
    if name in ("", ".", ".."):
        return kind
    fallback = _UNQUOTABLE.sub("_", name)
    value = f'{kind}; filename="{fallback}"'
    if fallback != name:
        value += f"; filename*=UTF-8''{quote(name, _ATTR_CHAR, errors='replace')}"
    return value
