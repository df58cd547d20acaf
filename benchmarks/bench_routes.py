"""Time to look a path up: roll.Routes beside autoroutes alone, on the same routes.

Rounds of both alternate, and medians are printed, so that a busy machine slows both.
autoroutes is asked only for what it gets right; roll.Routes gets all of it right.
"""

import statistics
import time

import autoroutes
from roll import Routes

ROUNDS = 15
LOOKUPS = 2000


def declare(routes, count):
    """Add *count* routes, of the kinds that applications have."""
    for number in range(count // 5):
        routes.add(f"/things{number}", GET=number)
        routes.add(f"/things{number}/{{key}}", GET=number)
        routes.add(f"/things{number}/{{key}}/edit", GET=number)
        routes.add(f"/users/{{user}}/boxes{number}", GET=number)
        routes.add(f"/users/{{user}}/boxes{number}/{{key}}", GET=number)


def nanoseconds(match, path):
    started = time.perf_counter()
    for _ in range(LOOKUPS):
        match(path)
    return (time.perf_counter() - started) / LOOKUPS * 1e9


def compare(count, kind, path):
    ours, alone = Routes(), autoroutes.Routes()
    declare(ours, count)
    declare(alone, count)
    assert ours.match(path)[0] == alone.match(path)[0]
    pairs = [
        (nanoseconds(ours.match, path), nanoseconds(alone.match, path))
        for _ in range(ROUNDS)
    ]
    roll, engine = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"{count:>6} {kind:<14} {roll:>8.0f} {engine:>10.0f} {roll / engine:>6.2f}")


def main():
    print(f"{'routes':>6} {'path':<14} {'roll/ns':>8} {'autoroutes':>10} {'ratio':>6}")
    for count in (10, 100, 1000):
        last = count // 5 - 1
        compare(count, "static", f"/things{last}")
        compare(count, "one variable", f"/things{last}/abc")
        compare(count, "two variables", f"/users/joe/boxes{last}/abc")
    started = time.perf_counter()
    routes = Routes()
    declare(routes, 10_000)
    routes.match("/nowhere")
    print(f"10,000 routes are added in {time.perf_counter() - started:.2f} s")


if __name__ == "__main__":
    main()
