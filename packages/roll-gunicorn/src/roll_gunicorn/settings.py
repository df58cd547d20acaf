"""What gunicorn's settings mean for Roll: some are `Limits`, others are ignored."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from roll import Limits

# gunicorn's names, and ours.
LIMITS = {
    "backlog": "backlog",
    "keepalive": "keep_alive",
    "limit_request_field_size": "field",
    "limit_request_fields": "fields",
    "limit_request_line": "target",
    "worker_connections": "connections",
}

# Settings that only other workers read, and what to do instead.
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

# Any of these makes gunicorn's logger write or count requests.
ACCESS = (
    *("accesslog", "logconfig", "logconfig_dict", "logconfig_json"),
    *("logger_class", "statsd_host", "syslog"),
)

DRAINED = 0.9
"""The part of `graceful_timeout` for running requests to end: the rest is for the
`shutdown` listeners, before gunicorn kills the process."""


def is_set(cfg: Any, name: str) -> bool:
    """Whether a setting has another value than gunicorn's default.

    gunicorn does not record whether a setting was set, so one set to its default does
    not count; nor does a setting that this version of gunicorn does not know.
    """
    setting = cfg.settings.get(name)
    return setting is not None and setting.value != type(setting)().value


def limits(cfg: Any, own: Limits) -> Limits:
    """Give the limits of an app, with those that are set in gunicorn.

    Args:
        cfg: gunicorn's settings.
        own: The limits of the app.

    Raises:
        ValueError: A setting is 0, which to gunicorn means unlimited, or nothing
            allowed.
    """
    told = {
        ours: getattr(cfg, theirs)
        for theirs, ours in LIMITS.items()
        if is_set(cfg, theirs)
    }
    drained = DRAINED * cfg.graceful_timeout
    if not is_set(cfg, "graceful_timeout"):
        drained = min(own.shutdown, drained)
    # One field may be as large as allowed only if the whole head may be.
    head = max(own.head, told.get("field", 0))
    return replace(own, **told, shutdown=drained, head=head)


def ignored(cfg: Any) -> Iterator[str]:
    """Name the settings without effect, and what to do instead."""
    for name, instead in IGNORED.items():
        if is_set(cfg, name):
            yield f"{name} is ignored: {instead}"


def logs_access(cfg: Any) -> bool:
    """Whether gunicorn's logger needs each request."""
    return any(is_set(cfg, name) for name in ACCESS)
