"""What gunicorn's settings mean for Roll: which are `Limits`, which mean nothing."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from roll import Limits

# Names of gunicorn's, and ours.
LIMITS = {
    "backlog": "backlog",
    "keepalive": "keep_alive",
    "limit_request_field_size": "field",
    "limit_request_fields": "fields",
    "limit_request_line": "target",
    "worker_connections": "connections",
}

# What only other workers read, and what to do instead.
IGNORED = {
    "forwarded_allow_ips": "call roll-proxy's proxy_headers(app, trusted=[...])",
    "http_protocols": "this worker speaks HTTP/1.1",
    "post_request": "listen to the app's event `response`",
    "pre_request": "listen to the app's event `headers`",
    "protocol": "this worker speaks HTTP/1.1",
    "proxy_protocol": "let the proxy send header fields, and read them with roll-proxy",
    "secure_scheme_headers": "call roll-proxy's proxy_headers(app, trusted=[...])",
    "threads": "set `workers`: each has one loop, and no threads",
}

# Any of them makes gunicorn's logger write, or count, requests.
ACCESS = (
    *("accesslog", "logconfig", "logconfig_dict", "logconfig_json"),
    *("logger_class", "statsd_host", "syslog"),
)

DRAINED = 0.9
"""The part of `graceful_timeout` in which requests may end: past it gunicorn kills, and
the `shutdown` listeners come in between."""


def is_set(cfg: Any, name: str) -> bool:
    """Whether a setting has another value than gunicorn's default.

    gunicorn does not keep whether anybody has set it: its default that is set on
    purpose does not count. Nor does what this version of gunicorn does not know.
    """
    setting = cfg.settings.get(name)
    return setting is not None and setting.value != type(setting)().value


def limits(cfg: Any, own: Limits) -> Limits:
    """Make the limits of an app those that gunicorn is told, where it is told any.

    Args:
        cfg: gunicorn's settings.
        own: What the app says.

    Raises:
        ValueError: A setting is 0, which means no limit, or none at all, to gunicorn.
    """
    told = {
        ours: getattr(cfg, theirs)
        for theirs, ours in LIMITS.items()
        if is_set(cfg, theirs)
    }
    drained = DRAINED * cfg.graceful_timeout
    if not is_set(cfg, "graceful_timeout"):
        drained = min(own.shutdown, drained)
    # A field that is allowed is useless if all of them together are not.
    head = max(own.head, told.get("field", 0))
    return replace(own, **told, shutdown=drained, head=head)


def ignored(cfg: Any) -> Iterator[str]:
    """Say which settings have no effect, and what has."""
    for name, instead in IGNORED.items():
        if is_set(cfg, name):
            yield f"{name} is ignored: {instead}"


def logs_access(cfg: Any) -> bool:
    """Whether gunicorn's logger wants to know of each request."""
    return any(is_set(cfg, name) for name in ACCESS)
