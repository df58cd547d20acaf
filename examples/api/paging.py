"""Pages of a list, by a cursor: nothing is skipped or repeated as the list changes."""

import heapq
from typing import Annotated

from msgspec import Meta
from roll_openapi import Query

Limit = Annotated[int, Meta(ge=1, le=100), Query(description="Most of a page")]


def page(found, after, limit):
    """Give the values of one page, and the key of the last, if there are more.

    Args:
        found: Pairs of a key and a value, in any order.
        after: The key of the last value of the page before; it may be gone by now.
        limit: How many values to give at most.
    """
    rest = (pair for pair in found if after is None or pair[0] > after)
    pairs = heapq.nsmallest(limit + 1, rest, key=lambda pair: pair[0])
    more = len(pairs) > limit
    shown = pairs[:limit]
    return [value for _, value in shown], shown[-1][0] if more else None
