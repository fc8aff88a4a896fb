# SPDX-License-Identifier: MIT
"""Which charts are drawn of which suite's figures, from its JSON record."""

import re
import statistics
from pathlib import Path
from typing import Any, Callable, Iterable

from comparelib import plot
from comparelib.allocators import PACKAGES
from comparelib.figures import SUBJECT, Ratio, by_group, mean_ratio, ratio_of_times
from comparelib.measure import Row
from comparelib.plot import Axis, Bar, Curve

MIB = 2**20

# Micro rows whose last number says how much there is of something.
SCALES = {
    "heap": "live objects",
    "threads/live": "threads",
    "threads/crowd": "threads",
    "ring": "objects in flight, at most",
}

Record = dict[str, Any]
Charts = Iterable[tuple[str, str]]


def about(record: Record) -> str:
    """One line below each title: where and when."""
    where = record["machine"]
    return f"{where['cpu']}, {where['processors']} processors, {where['kernel']}, {where['date']}"


def bar(peer: str, found: Ratio, undecided: bool) -> Bar:
    return Bar(peer, found.value, found.low, found.high, undecided)


def recorded_bars(ratios: Record) -> list[Bar]:
    return [Bar(peer, r["ratio"], r["low"], r["high"], r["undecided"])
            for peer, r in ratios.items()]


def draw_micro(record: Record) -> Charts:
    rows = [Row(row["name"], row["nanoseconds"]) for row in record["rows"]]
    peers = [name for name in record["allocators"] if name != SUBJECT]
    bars = []
    for name, members in by_group(rows).items():
        means = [(peer, mean_ratio(members, peer)) for peer in peers]
        bars.append((name, [bar(p, m, m.undecided) for p, m in means if m]))
    if bars:
        yield "micro", plot.ratio_bars(
            "Single calls: uslub's time over a peer's", about(record), bars,
            "ratio of times, geometric mean; left of 1 uslub is faster, hollow: undecided")
    yield from draw_rows(record, [row for members in by_group(rows).values() for row in members])
    for family, what in SCALES.items():
        yield from draw_scale(record, rows, family, what)


def draw_rows(record: Record, rows: list[Row]) -> Charts:
    """Each row against the peer that is the fastest there; the floor is no peer."""
    bars = []
    for row in rows:
        peers = {peer: statistics.median(row.times[peer]) for peer in PACKAGES if peer in row.times}
        if peers:
            best = min(peers, key=lambda peer: peers[peer])
            found = ratio_of_times(row.times[SUBJECT], row.times[best])
            bars.append((row.title, [bar(best, found, found.undecided)]))
    if bars:
        yield "micro-rows", plot.ratio_bars(
            "Single calls: uslub's time over the fastest peer's", about(record), bars,
            "ratio of times, to whom the colour says; left of 1 uslub is faster")


def draw_scale(record: Record, rows: list[Row], family: str, what: str) -> Charts:
    """Time against how much there is, where three rows or more differ in that alone."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        found = re.fullmatch(re.escape(family) + r"/(\d+)", re.sub(r" x\d+$", "", row.title))
        for name, times in row.times.items() if found else ():
            curves.setdefault(name, []).append((int(found.group(1)), statistics.median(times)))
    points = [point for curve in curves.values() for point in curve]
    if len({x for x, _ in points}) < 3:
        return
    yield f"micro-{family.replace('/', '-')}", plot.lines(
        f"{family}: time of an operation", about(record),
        plot.fit(what, [x for x, _ in points], log=True),
        plot.fit("ns", [y for _, y in points], log=True),
        [Curve(name, sorted(curve)) for name, curve in curves.items()])


PROGRAM_TITLES = {"wall": "time", "cpu": "processor time", "rss": "peak resident memory",
                  "faults": "page faults"}


def draw_programs(record: Record) -> Charts:
    for measure, what in PROGRAM_TITLES.items():
        rows = [(program["name"], recorded_bars(program["ratios"][measure]))
                for program in record["programs"] if program["ratios"].get(measure)]
        mean = (record.get("means") or {}).get(measure)
        if mean:
            rows.append(("geometric mean", recorded_bars(mean)))
        if rows:
            yield f"programs-{measure}", plot.ratio_bars(
                f"Whole programs: uslub's {what} over a peer's", about(record), rows,
                "ratio; left of 1 uslub takes less, hollow: undecided")


def huge(mode: str) -> str:
    return f"transparent huge pages: {mode}"


def draw_memory(record: Record) -> Charts:
    for mode in [mode for mode, why_not in record["modes"].items() if not why_not]:
        yield from draw_churn(record, mode)
        yield from draw_objects(record, mode)
        yield from draw_peak(record, mode)
    yield from draw_idle(record)


def draw_churn(record: Record, mode: str) -> Charts:
    found = [curve for curve in record["curves"] if curve["mode"] == mode]
    for name in dict.fromkeys(curve["name"] for curve in found):
        own = [curve for curve in found if curve["name"] == name]
        curves = [Curve(c["allocator"], [(ms / 1000, rss / MIB) for ms, _, rss in c["points"]])
                  for c in own]
        live = Curve("live", [(ms / 1000, b / MIB) for ms, b, _ in own[0]["points"]], dashed=True)
        points = [point for curve in [*curves, live] for point in curve.points]
        yield f"memory-{name.replace(' ', '-')}-{mode}", plot.lines(
            f"Resident memory over time: {name}", f"{huge(mode)}. {about(record)}",
            plot.fit("seconds", [x for x, _ in points]),
            plot.fit("MiB resident", [y for _, y in points]), [live, *curves])


def medians_of(record: Record, mode: str, pattern: str) -> Iterable[tuple[re.Match, Record]]:
    for row in record["rows"]:
        found = re.fullmatch(pattern, row["name"])
        if found and row["mode"] == mode:
            yield found, row["median"]


def collect(
    rows: Iterable[tuple[re.Match, Record]], x: Callable[[re.Match], float]
) -> dict[str, list[tuple[float, float]]]:
    curves: dict[str, list[tuple[float, float]]] = {}
    for found, medians in rows:
        for name, value in medians.items():
            curves.setdefault(name, []).append((x(found), value))
    return curves


def draw_objects(record: Record, mode: str) -> Charts:
    sizes = sorted({int(m.group(1)) for m, _ in medians_of(record, mode, r"objects/(\d+)/\S+")})
    for size in sizes:
        curves = collect(medians_of(record, mode, rf"objects/{size}/(\S+)"),
                         lambda found: float(found.group(1)))
        points = [point for curve in curves.values() for point in curve]
        if len({x for x, _ in points}) < 3:
            continue
        yield f"memory-objects-{size}-{mode}", plot.lines(
            f"Resident bytes for each live byte: objects of {size} bytes",
            f"{huge(mode)}. {about(record)}",
            plot.fit("live objects", [x for x, _ in points], log=True),
            plot.fit("resident / live", [y for _, y in points], log=wide(points)),
            [Curve(name, curve) for name, curve in curves.items()])


def wide(points: list[tuple[float, float]]) -> bool:
    """Whether a linear axis would press what is small onto its edge."""
    values = [y for _, y in points]
    return max(values) > 8 * min(values)


def draw_peak(record: Record, mode: str) -> Charts:
    for what, title in (("all", "all is freed"), ("most", "all but 2 % is freed, at random")):
        for kind in ("silent", "active"):
            curves = collect(medians_of(record, mode, rf"peak/{what}/{kind} (\d) s"),
                             lambda found: float(found.group(1)))
            points = [point for curve in curves.values() for point in curve]
            if not points:
                continue
            yield f"memory-peak-{what}-{kind}-{mode}", plot.lines(
                f"Resident after the peak: {title}, then the program is {kind}",
                f"{huge(mode)}. {about(record)}",
                Axis("seconds after the last free", 0, 2, names={0: "at once", 1: "1", 2: "2"}),
                plot.fit("MiB resident", [y for _, y in points]),
                [Curve(name, curve) for name, curve in curves.items()])


def draw_idle(record: Record) -> Charts:
    rows = [(row["name"] + (f", {row['mode']}" if row["mode"] else ""),
             recorded_bars(row["ratios"]))
            for row in record["rows"] if re.fullmatch(r"idle/\w+", row["name"])]
    if rows:
        yield "memory-idle", plot.ratio_bars(
            "Idle threads: uslub's memory over a peer's", about(record), rows,
            "ratio; left of 1 uslub keeps less")


TAIL_TITLES = {"malloc": "malloc", "use": "malloc and first writes to the object's pages",
               "free": "free"}


def draw_tail(record: Record) -> Charts:
    """The rarer a call, the farther to the right."""
    ranks = {2: "50", 10: "90", 100: "99", 1000: "99.9", 10**4: "99.99", 10**5: "99.999"}
    for kind in dict.fromkeys(curve["name"] for curve in record["curves"]):
        curves = [Curve(c["allocator"], [(1 / share, ns) for share, ns in c["points"]],
                        dashed=c["allocator"] == "control")
                  for c in record["curves"] if c["name"] == kind]
        points = [point for curve in curves for point in curve.points]
        yield f"tail-{kind}", plot.lines(
            f"How long a call takes: {TAIL_TITLES.get(kind, kind)}",
            f"dashed: the same loop without an allocator. {about(record)}",
            Axis("per cent of the calls that take no longer; the last point is the worst", 1,
                 max(x for x, _ in points), True, ranks),
            plot.fit("ns", [max(y, record["step_ns"]) for _, y in points], log=True), curves)


def draw_startup(record: Record) -> Charts:
    rows = []
    for row in record["rows"]:
        values = row["values"]
        found = [(name, ratio_of_times(values[name], values["bare"]))
                 for name in values if name != "bare"]
        rows.append((row["name"], [bar(name, r, r.undecided) for name, r in found]))
    if rows:
        yield "startup", plot.ratio_bars(
            "The start of a program under each malloc, over the same without a preload",
            about(record), rows, "ratio to bare; hollow: undecided")


SUITES: dict[str, Callable[[Record], Charts]] = {
    "micro": draw_micro,
    "programs": draw_programs,
    "memory": draw_memory,
    "tail": draw_tail,
    "startup": draw_startup,
}


def draw(record: Record, folder: Path) -> list[Path]:
    """Draws what @record holds, as a suite wrote it; returns the files."""
    return [plot.save(folder, name, svg) for name, svg in SUITES[record["suite"]](record)]
