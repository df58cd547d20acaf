"""Exposition: the text that Prometheus reads, of one worker or of several."""

import re
from collections.abc import Callable, Iterable
from itertools import chain
from typing import NamedTuple

from prometheus_client import CollectorRegistry, exposition
from prometheus_client.openmetrics import exposition as openmetrics
from roll.preferences import read_preferences

from .collector import without_histograms, write_histogram
from .series import Histogram

Piece = bytes | memoryview
"""A part of the text."""


class Format(NamedTuple):
    """A format of the text."""

    content_type: str
    generate: Callable[[CollectorRegistry], bytes]
    """Writes everything in a registry."""


FORMATS = {
    "text": Format(
        "text/plain; version=0.0.4; charset=utf-8", exposition.generate_latest
    ),
    "openmetrics": Format(
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        openmetrics.generate_latest,
    ),
}
"""The formats by their names, the usual one first."""

END = b"# EOF\n"
"""The end of OpenMetrics; between workers, the end of each response."""

# Renames a `worker` label of the registry's metrics, as Prometheus does.
_TAKEN = re.compile(r'([{,])worker="')
_RENAMED = r'\1exported_worker="'

_RANGE = re.compile(r"\A[^/]++/[^/]++\Z")

_SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{?)", re.MULTILINE)


def choose_format(accept: str) -> str:
    """Choose the format for a client by its `Accept`: its name in `FORMATS`.

    A client gets OpenMetrics only if it names it.

    Raises:
        HttpError: As for `read_preferences`.
    """
    weights = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for name, _, weight in read_preferences("Accept", accept, _RANGE):
        weights[name] = max(weight, weights.get(name, 0.0))
    wanted = weights["application/openmetrics-text"]
    return "openmetrics" if wanted and wanted >= weights["text/plain"] else "text"


class Exposition:
    """Writes what one process has measured.

    Args:
        registry: All other metrics.
        histograms: Histograms that are also in the registry.
    """

    def __init__(
        self, registry: CollectorRegistry, histograms: Iterable[Histogram]
    ) -> None:
        self._registry = registry
        self._histograms = histograms

    def write(self, format: str, worker: int | None = None) -> bytes:
        """Write all of it, without the end; may be called in a thread.

        Args:
            format: A name in `FORMATS`.
            worker: The number of this process, a label of each series.
        """
        with without_histograms():
            text = FORMATS[format].generate(self._registry).decode()
        text = text.removesuffix(END.decode())
        label = ""
        if worker is not None:
            label = f'worker="{worker}",'
            text = _TAKEN.sub(_RENAMED, text)  # a name must not be repeated
            text = _SAMPLE.sub(lambda found: _add_label(found, label), text)
        written = [write_histogram(each, label) for each in self._histograms]
        return "".join([*written, text]).encode()


def _add_label(found: re.Match[str], label: str) -> str:
    if found[2]:
        return f"{found[1]}{{{label}"
    return f"{found[1]}{{{label[:-1]}}}"


def merge(texts: Iterable[bytes]) -> list[Piece]:
    """Merge the texts of several processes: each family appears once.

    Returns:
        Its pieces, without copying any, as they are large.
    """
    families: dict[bytes, list[Piece]] = {}
    for text in texts:
        view = memoryview(text)
        start, length = 0, len(text) - len(END) * text.endswith(END)
        while start < length:
            end = text.find(b"\n# HELP ", start) + 1 or length
            samples = min(_find_samples(text, start), end)
            name = text[start:samples].split(b" ", 3)[2]
            families.setdefault(name, [view[start:samples]]).append(view[samples:end])
            start = end
    return [*chain.from_iterable(families.values())]


def _find_samples(text: bytes, start: int) -> int:
    """Find the end of the lines that describe a family."""
    while text.startswith(b"#", start):
        start = text.index(b"\n", start) + 1
    return start
