"""Limits: every bound that Roll sets for a client, with its unit and default."""

from dataclasses import dataclass, fields

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The resources that a client may use. Sizes are in bytes, times in seconds.

    Set them in a subclass: `class App(Roll): limits = Limits(body=10_000)`. They are
    read once, when the app starts.

    Raises:
        ValueError: A limit is not a positive number.
    """

    target: int = 8190
    """Bytes of the request target (RFC 9112, section 3); 414 past it."""
    field: int = 8190
    """Bytes of one header field, name and value; 431 past it."""
    fields: int = 100
    """Header fields of a request; 431 past it."""
    head: int = 64 * KIB
    """Bytes of a request's head and trailers together; 431 past it."""

    body: int = 1 * MIB
    """Bytes of a body that is loaded into memory; 413 past it."""
    buffer: int = 64 * KIB
    """Bytes of a body read ahead of the view; reading pauses past it."""
    unread: int = 256 * KIB
    """Bytes of a body that no view has read, skipped to keep the connection."""

    query: int = 1000
    """Parameters of a query string; 400 past it."""
    form: int = 1000
    """Fields of a form; 413 past it."""
    parts: int = 1000
    """Parts of a multipart body; 413 past it."""
    part_fields: int = 8
    """Header fields of a part; 400 past it."""
    part_field: int = 4 * KIB
    """Bytes of one header field of a part; 400 past it."""
    boundary: int = 70
    """Characters of a multipart boundary (RFC 2046, section 5.1.1); 400 past it."""
    upload: int = 32 * MIB
    """Bytes of all the files that `request.load_form()` takes; 413 past it."""
    spool: int = 64 * KIB
    """Bytes of an uploaded file kept in memory; it is written to disk past it, or when
    the files of a form exceed `body`."""

    head_timeout: float = 10
    """Seconds for a complete head, from its first byte or from accepting; 408 past
    it."""
    body_timeout: float = 30
    """Seconds without a byte of a body that is being read; 408 past it."""
    keep_alive: float = 5
    """Seconds that a connection may be idle between two requests; it is closed past
    it."""
    write_timeout: float = 60
    """Seconds that a client may leave a response unread; it is aborted past it."""
    half_close: float = 1
    """Seconds for each request of a client that has ended its side of the connection
    (RFC 9112, section 9.6); its view is cancelled past it, unless it is sending."""
    shutdown: float = 30
    """Seconds for running requests to end when the app shuts down."""

    connections: int = 1000
    """Open connections of a Server; accepting pauses at this number."""
    backlog: int = 2048
    """Connections that the system queues until they are accepted."""
    requests: int | None = None
    """Requests on one connection; the last response closes it."""

    def __post_init__(self) -> None:
        """Reject values that cannot be a limit."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and field.name == "requests":
                continue
            kinds = (int, float) if field.type is float else int
            if not isinstance(value, kinds) or isinstance(value, bool) or not value > 0:
                raise ValueError(
                    f"Limits({field.name}={value!r}): give a"
                    f"{' whole' if kinds is int else ''} number above 0"
                )

    @property
    def sweep(self) -> float:
        """Seconds between two checks of the timeouts of all connections."""
        shortest = min(
            self.head_timeout, self.body_timeout, self.keep_alive, self.write_timeout
        )
        return min(1.0, shortest / 4)
