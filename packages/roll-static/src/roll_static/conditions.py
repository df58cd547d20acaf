"""What a request asks of a file: an encoding, preconditions, a range (RFC 9110).

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
"""The coding of a file as it is (RFC 9110, section 12.5.3)."""

_ENTITY_TAG = re.compile(r'((?:W/)?)("[!#-~\x80-\xff]*")')

# Eighteen digits are more than any file has bytes. A longer number makes the field one
# that is ignored, as a server may do with any (RFC 9110, section 14.2).
_RANGE = re.compile(r"([0-9]{0,18})-([0-9]{0,18})")


class Plan(NamedTuple):
    """How a request for a file is answered."""

    status: HTTPStatus
    start: int = 0
    """The first byte to send."""
    length: int = 0
    """How many bytes to send."""

    @property
    def sends(self) -> bool:
        """Whether bytes of the file are sent, or would be to GET."""
        return self.status < HTTPStatus.MULTIPLE_CHOICES


def make_plan(
    method: str, fields: Mapping[str, str], etag: str, modified: int, size: int
) -> Plan:
    """Decide what to answer (RFC 9110, section 13.2.2).

    Args:
        method: Of the request; it depends on its fields for GET and HEAD alone.
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
    # Range is for GET alone (RFC 9110, section 14.2).
    if method != "GET" or "RANGE" not in fields:
        return whole
    if_range = fields.get("IF-RANGE")
    if if_range is not None and not _is_current(if_range, etag, modified):
        return whole
    return _read_range(fields["RANGE"], size) or whole


def check_preconditions(
    fields: Mapping[str, str], etag: str, modified: int
) -> HTTPStatus | None:
    """Evaluate what a request makes its response depend on, in the order of the RFC.

    Returns:
        412 or 304 (RFC 9110, sections 13.1.1 to 13.1.4), or None to go on.
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
    """Whether what a client has a part of is what there is (RFC 9110, 13.1.5).

    Tags are compared strongly, and a date has to be the very one that was sent.
    """
    value = if_range.strip()
    return value == etag or ('"' not in value and parse_date(value) == modified)


def _read_range(value: str, size: int) -> Plan | None:
    """Read which bytes are asked for (RFC 9110, section 14.1.2).

    Returns:
        A plan with 206 or 416; None when the field is to be ignored: it is malformed,
        in another unit, or asks for several ranges.
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
            return None  # can be satisfied, but no Content-Range says how
        start, end = max(0, size - int(last)), size - 1
    else:
        return None
    if start >= size:
        return Plan(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
    return Plan(HTTPStatus.PARTIAL_CONTENT, start, min(end, size - 1) - start + 1)


def parse_date(value: str) -> int | None:
    """Read an HTTP-date in any of its three formats (RFC 9110, section 5.6.7).

    Returns:
        Seconds since 1970; None when it is not a date, and to be ignored.
    """
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):
        return None
    # The format of asctime() names no zone, and means UTC.
    return int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp())


def choose_coding(accepted: str | None, sizes: Mapping[str, int]) -> str | None:
    """Choose what to send of the variants of a file (RFC 9110, section 12.5.3).

    The one with the most weight is chosen; of several, the smallest.

    Args:
        accepted: The field `Accept-Encoding`; None when there is none.
        sizes: The bytes of each variant by its coding, `identity` among them.

    Returns:
        A coding, or None when the client wants none of them.

    Raises:
        HttpError: 431, when the field is too long.
    """
    if accepted is None:
        return IDENTITY  # any would do, but who does not ask may not decode it
    weights = read_codings(accepted)
    others = weights.get("*", 0.0)
    # Unless it is named, the file itself is acceptable, but after all that is.
    weights = {IDENTITY: 0.0 if weights.get("*") == 0 else 0.0001, **weights}
    ranked = [
        (weight, -size, coding)
        for coding, size in sizes.items()
        if (weight := weights.get(coding, others))
    ]
    return max(ranked)[2] if ranked else None
