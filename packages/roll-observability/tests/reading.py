"""Reads what `/metrics` tells, with the parser of prometheus_client."""

from prometheus_client.parser import text_string_to_metric_families

DURATION = "http_server_request_duration_seconds"
LABELS = {
    "http_request_method": "GET",
    "http_route": "/",
    "http_response_status_code": "200",
    "url_scheme": "http",
    "network_protocol_version": "1.1",
    "error_type": "",
}
"""Those of a usual request."""


def parse(text, families=text_string_to_metric_families):
    """Give the value of each series by its name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families(text)
        for sample in family.samples
    }


def value(samples, name, **labels):
    """Give the value of the one series that has these labels, among others."""
    (found,) = [
        value
        for (sample, having), value in samples.items()
        if sample == name and labels.items() <= dict(having).items()
    ]
    return found


def counts(samples, name=DURATION, but=("worker",)):
    """Give how often each set of labels was counted, as tuples of the values."""
    found = {}
    for (sample, having), number in samples.items():
        if sample == f"{name}_count":
            labels = {key: label for key, label in having if key not in but}
            found[tuple(labels[key] for key in sorted(labels))] = number
    return found


def requests(samples):
    """Give how often each request was counted: (method, route, status, error)."""
    keys = (
        *("http_request_method", "http_route"),
        *("http_response_status_code", "error_type"),
    )
    found = {}
    for (sample, having), number in samples.items():
        if sample == f"{DURATION}_count":
            labels = dict(having)
            found[tuple(labels[key] for key in keys)] = number
    return found
