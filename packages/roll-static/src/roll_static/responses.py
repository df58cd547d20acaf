"""Responses that send a file: the header, and all of its bytes or a range."""

import os
from http import HTTPStatus
from io import FileIO
from typing import cast
from weakref import WeakSet

from roll import HttpError, HttpProtocol, Request, Response, content_disposition

from .conditions import Plan, make_plan
from .files import Pieces, Variant, find_file, guess_type, in_thread, open_in_thread

_SENDING: WeakSet[Pieces] = WeakSet()


class FileResponse(Response):
    """A response that can send a file; see the extension `send_file`."""

    __slots__ = ()

    async def send_file(
        self,
        path: str | os.PathLike[str],
        filename: str | None = None,
        attachment: bool = False,
        *,
        root: str | os.PathLike[str] | None = None,
    ) -> None:
        """Send a file: all of it, a range, or a 304, as the request asks.

        Without *root*, the path is trusted: it must not come from a client.
        `Cache-Control` is `private` unless it was set before; you may replace other
        fields after the call.

        Args:
            path: The file.
            filename: The name to save it under, which also decides the type; by default
                the name in *path*.
            attachment: Whether a browser should save it instead of showing it.
            root: The folder that the file has to be in. Then *path* is relative to it,
                with slashes, or a Path `root / name`. Hidden files are not found.

        Raises:
            HttpError: 404, when there is no such file; 400, when a segment of a path
                under *root* is empty, `.` or `..`; 412 and 416, depending on the
                request.
            TypeError: *path* is neither a string nor a Path.
        """
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(
                f"send_file() takes a path, not {type(path).__name__}: "
                "to send bytes, set response.body"
            )
        request = cast(Request, cast(HttpProtocol, self.protocol).request)
        self.headers.setdefault("Cache-Control", "private")
        folder, variant = await in_thread(find_file, path, root)
        content = file = None
        plan = plan_for(request, variant)
        if plan.sends and request.method != "HEAD":
            variant, content, file = await open_in_thread(folder, variant, 0)
            plan = plan_for(request, variant)  # it may have changed meanwhile
        respond(self, plan, variant, content, file, _SENDING)
        if plan.sends:
            name = filename or os.path.basename(path)
            self.headers["Content-Type"] = guess_type(name)
            if filename or attachment:
                self.headers["Content-Disposition"] = content_disposition(
                    name, attachment
                )


def plan_for(request: Request, variant: Variant) -> Plan:
    """Decide which part of a file to send."""
    return make_plan(
        request.method, request.headers, variant.etag, variant.modified, variant.size
    )


def respond(
    response: Response,
    plan: Plan,
    variant: Variant,
    content: bytes | None,
    file: FileIO | None,
    sending: WeakSet[Pieces],
) -> None:
    """Set the body, if there is one, then status and header.

    Raises:
        HttpError: 412, when the client's preconditions fail; 416, when the range is
            beyond the end.
    """
    if plan.sends and file is not None:
        response.body = Pieces(file, plan.start, plan.length, sending)
    elif plan.sends and content is not None:
        response.body = _cut(content, plan.start, plan.length)
    elif file is not None:
        file.close()
    if plan.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        # The core keeps this field for a 416 (RFC 9110, section 15.5.17).
        response.headers["Content-Range"] = f"bytes */{variant.size}"
    if plan.status >= HTTPStatus.BAD_REQUEST:
        raise HttpError(plan.status)
    response.status = plan.status
    if plan.status is HTTPStatus.OK and content is not None:
        response.use(variant.preset)
        return
    headers = response.headers
    if plan.status == HTTPStatus.NOT_MODIFIED:  # RFC 9110, section 15.4.5
        for name in ("ETag", "Cache-Control"):
            if name in variant.preset.fields:
                headers[name] = variant.preset.fields[name]
    else:
        headers.update(variant.preset.fields)
        headers["Content-Length"] = plan.length
        if plan.status == HTTPStatus.PARTIAL_CONTENT:
            end = plan.start + plan.length - 1
            headers["Content-Range"] = f"bytes {plan.start}-{end}/{variant.size}"


def _cut(content: bytes, start: int, length: int) -> bytes | memoryview:
    whole = length == len(content)
    return content if whole else memoryview(content)[start : start + length]
