"""The attributes of a request's span: the stable ones of OpenTelemetry for HTTP."""

import re
from collections.abc import Container, Iterable
from functools import lru_cache

from opentelemetry.semconv.attributes.client_attributes import CLIENT_ADDRESS
from opentelemetry.semconv.attributes.http_attributes import (
    HTTP_REQUEST_HEADER_TEMPLATE,
    HTTP_REQUEST_METHOD,
    HTTP_REQUEST_METHOD_ORIGINAL,
    HTTP_ROUTE,
)
from opentelemetry.semconv.attributes.network_attributes import (
    NETWORK_PEER_ADDRESS,
    NETWORK_PEER_PORT,
    NETWORK_PROTOCOL_VERSION,
)
from opentelemetry.semconv.attributes.server_attributes import (
    SERVER_ADDRESS,
    SERVER_PORT,
)
from opentelemetry.semconv.attributes.url_attributes import (
    URL_PATH,
    URL_QUERY,
    URL_SCHEME,
)
from opentelemetry.semconv.attributes.user_agent_attributes import USER_AGENT_ORIGINAL
from roll import HTTP_METHODS, Request

from .redaction import redact_query

Attributes = dict[str, str | int | list[str]]

METHODS = frozenset(HTTP_METHODS)

OTHER = "_OTHER"
"""Replaces values of which there would be too many."""

PORTS = {"http": 80, "https": 443}
"""The ports that `Host` may leave out (RFC 9110, section 4.2)."""

_AUTHORITY_END = re.compile(r"[/?]|\Z")


def route_of(request: Request) -> str | None:
    """Give the full pattern of the route that responds, if there is one."""
    path = request.endpoint.path
    if path is None:
        return None
    app = request.app
    return path if not app.prefix and app.parent is None else app.root_path + path


def describe(request: Request, route: str | None) -> Attributes:
    """Give the attributes that samplers may use."""
    method = request.sent_method
    attributes: Attributes = {
        HTTP_REQUEST_METHOD: method if method in METHODS else OTHER,
        URL_PATH: path_of(request.url),
        URL_SCHEME: request.scheme,
    }
    if method not in METHODS:
        attributes[HTTP_REQUEST_METHOD_ORIGINAL] = method
    if route is not None:
        attributes[HTTP_ROUTE] = route
    return attributes


def describe_further(
    request: Request, fields: Iterable[str], secrets: Container[str]
) -> Attributes:
    """Give the other attributes of a request, at its end.

    By then, listeners have set the scheme, and the address of a client behind a proxy.

    Args:
        request: The request.
        fields: The names of header fields to include, in lower case.
        secrets: The names of query parameters to hide, in lower case.
    """
    attributes: Attributes = {
        NETWORK_PROTOCOL_VERSION: request.version,
        URL_SCHEME: request.scheme,
    }
    query = request.url.partition(b"?")[2].decode(errors="replace")
    if query:
        attributes[URL_QUERY] = redact_query(query, secrets)
    host = request.host
    if host:
        attributes[SERVER_ADDRESS], port = split_host(host)
        port = port or PORTS.get(request.scheme)
        if port is not None:
            attributes[SERVER_PORT] = port
    client = request.remote_addr
    if client is not None:
        attributes[CLIENT_ADDRESS] = client
    peer = None if request.protocol is None else request.protocol.peer
    if isinstance(peer, tuple) and None not in peer:  # an ASGI server may not know
        attributes[NETWORK_PEER_ADDRESS], attributes[NETWORK_PEER_PORT] = peer[:2]
    headers = request.headers
    agent = headers.get("USER-AGENT")
    if agent is not None:
        attributes[USER_AGENT_ORIGINAL] = agent
    for name in fields:
        values = headers.list(name)
        if values:
            attributes[f"{HTTP_REQUEST_HEADER_TEMPLATE}.{name}"] = values
    return attributes


def path_of(url: bytes) -> str:
    """Cut the path out of a target, as it was sent.

    Args:
        url: A target in any form of RFC 9112, section 3.2.
    """
    target = url.decode(errors="replace")
    if not target.startswith("/") and "://" in target:
        rest = target.partition("://")[2]
        target = rest[_AUTHORITY_END.search(rest).start() :]  # type: ignore[union-attr]
        if not target.startswith("/"):
            target = f"/{target}"
    return target.partition("?")[0]


@lru_cache(maxsize=256)  # a server has few
def split_host(host: str) -> tuple[str, int | None]:
    """Split a host, without the brackets of IPv6, and its port, if it has one."""
    name, colon, port = host.rpartition(":")
    if not colon or "]" in port:
        name, port = host, ""
    known = port.isascii() and port.isdigit() and len(port) <= 5
    return name.strip("[]"), int(port) if known else None
