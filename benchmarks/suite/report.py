"""What was measured, as tables, as a page with a plot, and beside the targets."""

import os
import platform
import re
import statistics
from datetime import date
from pathlib import Path

from .loopback import control
from .peers import PEERS, ROOT, versions
from .rows import ROWS
from .special import SPECIALS

PAGE = ROOT / "docs" / "benchmarks.md"
PLOT = PAGE.with_suffix(".svg")
# Of a row: a title; whether more is better.
FIGURES = {
    "rate": ("requests/s", True),
    "cpu": ("CPU, µs", False),
    "p99": ("p99, ms", False),
    "rss": ("RSS, MiB", False),
}
RATES = {"upload": "MiB/s", "download": "MiB/s", "echo": "messages/s"}
RATIOS = {"rate": "Roll's rate by that of", "cpu": "CPU time by Roll's, of"}
INTRODUCTION = """\
# Benchmarks

This page compares Roll with other frameworks, and with two bare servers that show the
limit: a protocol on uvloop that writes a fixed response, and one that also runs
httptools. `nox -s bench -- frameworks --write` measures, and writes this page. The
applications that are served are in `benchmarks/frameworks`.

Each framework has its own environment with the newest packages from PyPI on that day.
It runs with one worker, without an access log, and otherwise with its default settings.
There are two exceptions: aiohttp runs on uvloop, and Sanic's limit for a body is raised
for the upload. Roll is installed from wheels, and its limits are on. Before anything is
timed, the suite checks that all frameworks send the same responses. The cold start is
that of `roll run` for Roll. For the others, it is that of the server which is used for
the other rows, too.

Views are coroutine functions. Views of socketify may also be plain functions, which are
faster but cannot wait for anything, so it is measured with both. Bare granian has no
framework: it uses the standard library for JSON, queries and cookies. The rows of
"granian, by hand" cut the one cookie out of its field, and send a constant as the other
cookie.

**A browser's head** has 13 fields in 800 bytes. The referrer, a cookie and a request id
differ from one request to the next. The other rows have the head that wrk sends: one
field, which is always the same. Roll remembers the header of the last request on a
connection, and does not parse the same header again. This helps health checks, proxies
and other programs that repeat a request. It also makes the rows with wrk's head faster
than those with a browser's head: there Roll compares the lines, from the first one on
that has ever differed on the connection.

For the rows at half of a server's own rate, the client sends requests at this rate even
if responses are late. So a stall counts for every request that it delays.

The server has one CPU, and wrk, with 64 connections, has another: the two CPUs that
were least busy when the measurement began. For static files of 1 MiB, wrk has two CPUs,
if the machine has enough. In each round, all servers are started, and are measured in
turn, one row after another. Meanwhile the other servers are stopped (SIGSTOP). Figures
are medians of the rounds. The rates of the two bare servers are bounded by the one
CPU of wrk.

All connections use a loopback interface, which belongs only to the suite where it may
create one. The congestion control is named below, because bbr would send at its own
pace. An upload is sent from a file with `sendfile`, because a client that copies the
file would take longer than some servers. The bare protocol counts the bytes of the
upload.

The WebSocket echo has 64 connections, with one message of 64 bytes in flight on each.
Its client is written in Python, on uvloop, and bounds the rates.

CPU is the time that all processes of a server take for a request, from `/proc`, in
ticks of 10 ms. RSS is the memory that they hold after a row, and after the rows above
it. The figure for idle connections is what 3,000 of them add to the RSS, after one
request on each. It is 0.0 if they fit into memory that the server already held. For
this row, the limits on the number of connections are raised.

**A ratio tells how many times better Roll is.** For rates, it is Roll's figure divided
by the other's. For CPU, p99 and RSS, it is the other's figure divided by Roll's. Above
1, Roll is better. A dash means that something could not be measured; the last section
says why.
"""

TARGETS_NOTE = """\
Where the client bounds the rates, CPU time decides. Python peers are Python frameworks
on servers that are written in Python.
"""


def middle(results, name, row, figure):
    """Give the median of a figure; None where there is none."""
    values = [one[figure] for one in results.get((name, row), []) if figure in one]
    return statistics.median(values) if values else None


def ratio(results, name, row, figure):
    """Tell how many times as good Roll is; None where one of both is missing."""
    ours = middle(results, "roll", row, figure)
    theirs = middle(results, name, row, figure)
    if not ours or not theirs:
        return None
    more_is_better = figure in ("rate", "half")
    return ours / theirs if more_is_better else theirs / ours


def show(value, digits=2):
    if value is None:
        return "-"
    return f"{value:,.{0 if abs(value) >= 1000 else digits}f}"


def table(header, lines):
    """Write a table of Markdown whose columns line up in a terminal, too."""
    rows = [header, *lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    adjusted = [
        [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows
    ]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(
        f"| {' | '.join(row)} |" for row in [adjusted[0], rule, *adjusted[1:]]
    )


def measured(results, row):
    return [name for name in PEERS if results.get((name, row))]


def ratios_table(results, rows, figure):
    """Tell the ratios of one figure, of all rows at once."""
    rows = [row for row in rows if row in ROWS and measured(results, row)]
    names = [name for name in PEERS if any(results.get((name, row)) for row in rows)]
    lines = [
        [PEERS[name].title, *(show(ratio(results, name, row, figure)) for row in rows)]
        for name in names
    ]
    return table([RATIOS[figure], *(ROWS[row].title for row in rows)], lines)


def row_table(results, row):
    header = [ROWS[row].title]
    for figure, (title, _) in FIGURES.items():
        header += [RATES.get(row, title) if figure == "rate" else title, "ratio"]
    lines = []
    for name in measured(results, row):
        line = [PEERS[name].title]
        for figure in FIGURES:
            line += [
                show(middle(results, name, row, figure), 1),
                show(ratio(results, name, row, figure)),
            ]
        lines.append(line)
    return table(header, lines)


def special_table(results, row):
    titles = SPECIALS[row].figures
    header = [SPECIALS[row].title]
    for title in titles.values():
        header += [title, "ratio"]
    lines = []
    for name in measured(results, row):
        line = [PEERS[name].title]
        for figure in titles:
            line += [
                show(middle(results, name, row, figure), 1),
                show(ratio(results, name, row, figure)),
            ]
        lines.append(line)
    return table(header, lines)


def tables(results, rows):
    """Write a table for each row that was measured."""
    shown = [row for row in rows if measured(results, row)]
    return "\n\n".join(
        row_table(results, row) if row in ROWS else special_table(results, row)
        for row in shown
    )


# The targets

PYTHONS = [name for name in PEERS if PEERS[name].python]
# A row, the peers of which the best counts, how many times as good Roll is to be, and
# by which figure: CPU time where the client bounds the rate.
TARGETS = [
    ("browser", ["granian"], 1.15, "cpu"),
    ("browser", ["socketify-async"], 1.05, "cpu"),
    ("browser", PYTHONS, 2.5, "cpu"),
    ("minimal", ["roll013"], 2.0, "cpu"),
    ("minimal", ["granian"], 1.4, "cpu"),
    ("minimal", ["httptools"], 0.6, "cpu"),
    ("full", ["roll013"], 1.6, "cpu"),
    ("full", ["granian-by-hand"], 1.0, "cpu"),
    ("json", PYTHONS, 1.2, "cpu"),
    ("1k", ["granian"], 1.0, "cpu"),
    ("1k", ["robyn"], 0.8, "cpu"),
    ("1m", PYTHONS, 1.2, "rate"),
    ("upload", ["roll013"], 1.0, "rate"),
    ("upload", ["granian"], 1.0, "rate"),
    ("download", PYTHONS, 1.2, "rate"),
    ("paced", [name for name in PEERS if name != "roll"], 1 / 1.1, "p99"),
    ("start", ["roll013"], 1 / 1.3, "answer"),
]


def targets(results, imported):
    """Compare with what Roll is meant to reach.

    Args:
        results: As of bench_frameworks.
        imported: Extensions that `import roll` imports; None where it was not asked.

    Returns:
        A line each: what, how much, what was reached, yes or no.
    """
    lines = []
    for row, names, least, figure in TARGETS:
        known = ROWS.get(row) or SPECIALS[row]
        peer = PEERS[names[0]].title if len(names) == 1 else "the best peer"
        reached, best = least_ratio(results, names, row, figure)
        against = f" ({PEERS[best].title})" if best and len(names) > 1 else ""
        by = {"cpu": "CPU", "answer": "first answer"}.get(figure, figure)
        lines.append(
            [
                f"{known.title}, against {peer}, by {by}",
                f"at least {least:.2f} x",
                "-" if reached is None else f"{reached:.2f} x{against}",
                met(reached, least),
            ]
        )

    def add_most(title, most, unit, reached):
        lines.append(
            [
                title,
                f"at most {most} {unit}",
                "-" if reached is None else f"{reached:.1f} {unit}",
                met(most, reached),
            ]
        )

    static, minimal = (middle(results, "roll", row, "cpu") for row in ("1k", "minimal"))
    times = static / minimal if static and minimal else None
    add_most("CPU of static 1 KiB, by that of minimal", 1.8, "x", times)
    each = middle(results, "roll", "idle", "each")
    add_most("memory of an idle connection", 4, "KiB", each)
    imports = middle(results, "roll", "start", "import")
    add_most("`import roll` beyond `import asyncio`", 30, "ms", imports)
    reached = "-" if imported is None else ", ".join(imported) or "none"
    kept = "-" if imported is None else "no" if imported else "yes"
    lines.append(["extensions that `import roll` imports", "none", reached, kept])
    return table(["target", "wanted", "reached", "met"], lines)


def met(more, less):
    if more is None or less is None:
        return "-"
    return "yes" if more >= less else "no"


def least_ratio(results, names, row, figure):
    """Give the ratio to the best of some peers, and who that is."""
    ratios = {name: ratio(results, name, row, figure) for name in names}
    known = {name: value for name, value in ratios.items() if value is not None}
    if not known:
        return None, None
    best = min(known, key=known.get)
    return known[best], best


# The page


def machine():
    """Describe the machine in one line."""
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.+)", info)
    release = ".".join(platform.release().split(".")[:2])
    virtual = "a virtual machine" if " hypervisor" in info else "a machine"
    return (
        f"{virtual} with {os.cpu_count()} CPUs"
        f" ({model[1] if model else platform.machine()}), Linux {release}"
    )


def circumstances(names, arguments, load):
    """Tell when, on what, by which command and with which versions."""
    lines = [
        f"- {date.today().isoformat()}, {machine()}; load before it: {load:.1f}",
        f"- CPython {platform.python_version()}; TCP's congestion control: {control()}",
        f"- `{' '.join(['nox -s bench -- frameworks', *arguments])}`",
    ]
    lines += [f"- {PEERS[name].title}: {', '.join(versions(name))}" for name in names]
    return "\n".join(lines)


def write_page(results, rows, problems, about, imported):
    """Write docs/benchmarks.md and its plot."""
    plot = draw(results)
    parts = [
        INTRODUCTION,
        about,
        "## Targets",
        targets(results, imported),
        TARGETS_NOTE,
        "## Ratios",
        "![Requests a second, of each peer](benchmarks.svg)" if plot else "",
        *(ratios_table(results, rows, figure) for figure in RATIOS),
        "## Rows",
        tables(results, rows),
        "## What could not be measured",
        "\n".join(f"- {problem}" for problem in problems) or "Everything was measured.",
    ]
    PAGE.write_text("\n\n".join(part.strip() for part in parts if part) + "\n")
    if plot:
        PLOT.write_text(plot)


# The plot: a bar for each peer and row

PLOTTED = {"browser": "#1f6f8b", "browser-full": "#e08e45"}
LEFT, WIDE, BAR, GAP, TOP = 170, 480, 12, 10, 40


def draw(results):
    """Draw the rates of the rows in PLOTTED; nothing where there are none."""
    names = [name for name in PEERS if any(results.get((name, row)) for row in PLOTTED)]
    if not names:
        return ""
    rates = {
        (name, row): middle(results, name, row, "rate") or 0
        for name in names
        for row in PLOTTED
    }
    most = max(rates.values())
    step = BAR * len(PLOTTED) + GAP
    width, height = LEFT + WIDE + 90, TOP + step * len(names)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12" role="img">',
        "<title>Requests a second</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for number, (row, color) in enumerate(PLOTTED.items()):
        x = LEFT + 220 * number
        parts.append(f'<rect x="{x}" y="10" width="12" height="12" fill="{color}"/>')
        parts.append(f'<text x="{x + 18}" y="20">{ROWS[row].title}, requests/s</text>')
    for place, name in enumerate(names):
        y = TOP + step * place
        middle_y = y + step // 2
        parts.append(
            f'<text x="{LEFT - 8}" y="{middle_y}" text-anchor="end">'
            f"{PEERS[name].title}</text>"
        )
        for number, (row, color) in enumerate(PLOTTED.items()):
            rate = rates[name, row]
            if not rate:
                continue
            top, long = y + BAR * number, rate / most * WIDE
            parts.append(
                f'<rect x="{LEFT}" y="{top}" width="{long:.1f}" height="{BAR - 1}" '
                f'fill="{color}"/>'
            )
            parts.append(
                f'<text x="{LEFT + long + 5:.1f}" y="{top + BAR - 2}">{rate:,.0f}'
                "</text>"
            )
    return "\n".join([*parts, "</svg>\n"])
