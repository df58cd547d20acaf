"""What a request asks for: an encoding, preconditions, a range (RFC 9110).

Pure functions of header fields; a request's names are in upper case.
"""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import NamedTuple

from roll.preferences import read_codings

IDENTITY = "identity"
"""The coding of an uncompressed file (RFC 9110, section 12.5.3)."""

_ENTITY_TAG = re.compile(r'((?:W/)?)("[!#-~\x80-\xff]*")')

# Eighteen digits are enough for the size of any file. A field with a longer number is
# ignored, which a server may do (RFC 9110, section 14.2).
_RANGE = re.compile(r"([0-9]{0,18})-([0-9]{0,18})")


class Plan(NamedTuple):
    """How to respond to a request for a file."""

    status: HTTPStatus
    start: int = 0
    """The first byte to send."""
    length: int = 0
    """How many bytes to send."""

    @property
    def sends(self) -> bool:
        """Whether bytes of the file are sent, or would be for GET."""
        return self.status < HTTPStatus.MULTIPLE_CHOICES


def make_plan(
    method: str, fields: Mapping[str, str], etag: str, modified: int, size: int
) -> Plan:
    """Decide how to respond (RFC 9110, section 13.2.2).

    Args:
        method: The method of the request; only GET and HEAD depend on its fields.
        fields: The header of the request.
        etag: The entity tag of the file, with its quotes; a strong one.
        modified: When the file was modified, in seconds since 1970.
        size: The bytes of the file.

    Returns:
        A plan with one of the statuses 200, 206, 304, 412 and 416.
    """
    whole = Plan(HTTPStatus.OK, 0, size)
    if method not in ("GET", "HEAD"):
        return whole
    status = check_preconditions(fields, etag, modified)
    if status is not None:
        return Plan(status)
    # Range is only for GET (RFC 9110, section 14.2).
    if method != "GET" or "RANGE" not in fields:
        return whole
    if_range = fields.get("IF-RANGE")
    if if_range is not None and not _is_current(if_range, etag, modified):
        return whole
    return _read_range(fields["RANGE"], size) or whole


def check_preconditions(
    fields: Mapping[str, str], etag: str, modified: int
) -> HTTPStatus | None:
    """Evaluate the preconditions of a request, in the order of the RFC.

    Returns:
        412 or 304 (RFC 9110, sections 13.1.1 to 13.1.4), or None to continue.
    """
    if (value := fields.get("IF-MATCH")) is not None:
        if value.strip() != "*" and ("", etag) not in _ENTITY_TAG.findall(value):
            return HTTPStatus.PRECONDITION_FAILED
    elif (value := fields.get("IF-UNMODIFIED-SINCE")) is not None:
        date = parse_date(value)
        if date is not None and modified > date:
            return HTTPStatus.PRECONDITION_FAILED
    if (value := fields.get("IF-NONE-MATCH")) is not None:
        # The weak comparison: W/ makes no difference (RFC 9110, section 8.8.3.2).
        if value.strip() == "*" or any(
            tag == etag for _, tag in _ENTITY_TAG.findall(value)
        ):
            return HTTPStatus.NOT_MODIFIED
    elif (value := fields.get("IF-MODIFIED-SINCE")) is not None:
        date = parse_date(value)
        if date is not None and modified <= date:
            return HTTPStatus.NOT_MODIFIED
    return None


def _is_current(if_range: str, etag: str, modified: int) -> bool:
    """Whether the file is the one that a client has a part of (RFC 9110, 13.1.5).

    Tags are compared strongly, and a date has to be exactly the one that was sent.
    """
    value = if_range.strip()
    return value == etag or ('"' not in value and parse_date(value) == modified)


def _read_range(value: str, size: int) -> Plan | None:
    """Read the range of bytes (RFC 9110, section 14.1.2).

    Returns:
        A plan with 206 or 416; None to ignore the field: it is malformed, has another
        unit, or several ranges.
    """
    unit, _, ranges = value.partition("=")
    found = [text for part in ranges.split(",") if (text := part.strip(" \t"))]
    bounds = _RANGE.fullmatch(found[0]) if len(found) == 1 else None
    if bounds is None or unit.strip().lower() != "bytes":
        return None
    first, last = bounds.groups()
    if first:
        start, end = int(first), int(last) if last else size - 1
        if last and end < start:
            return None
    elif last:
        if int(last) and not size:
            return None  # satisfiable, but no Content-Range can express it
        start, end = max(0, size - int(last)), size - 1
    else:
        return None
    if start >= size:
        return Plan(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
    return Plan(HTTPStatus.PARTIAL_CONTENT, start, min(end, size - 1) - start + 1)


def parse_date(value: str) -> int | None:
    """Read an HTTP-date in any of its three formats (RFC 9110, section 5.6.7).

    Returns:
        Seconds since 1970; None for anything else, which is ignored.
    """
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):
        return None
    # The format of asctime() has no zone, and means UTC.
    return int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp())


def choose_coding(accepted: str | None, sizes: Mapping[str, int]) -> str | None:
    """Choose a variant of a file (RFC 9110, section 12.5.3).

    It has the most weight; of several, it is the smallest.

    Args:
        accepted: The field `Accept-Encoding`, or None.
        sizes: The bytes of each variant by its coding, `identity` among them.

    Returns:
        A coding, or None if the client accepts none of them.

    Raises:
        HttpError: 431, when the field is too long.
    """
    if accepted is None:
        return IDENTITY  # any is allowed, but the client may not decode it
    weights = read_codings(accepted)
    others = weights.get("*", 0.0)
    # Unless it is named, the file itself is acceptable, after all that are named.
    weights = {IDENTITY: 0.0 if weights.get("*") == 0 else 0.0001, **weights}
    ranked = [
        (weight, -size, coding)
        for coding, size in sizes.items()
        if (weight := weights.get(coding, others))
    ]
    return max(ranked)[2] if ranked else None
