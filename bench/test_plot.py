#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the charts of compare show, read from the SVG."""

import itertools
import re
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path

sys.dont_write_bytecode = True

from comparelib import draw, plot  # noqa: E402
from comparelib.plot import Axis, Bar, Curve  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"


def parsed(svg: str) -> xml.Element:
    return xml.fromstring(svg)


def texts(svg: str) -> list:
    return [element.text for element in parsed(svg).iter(f"{SVG}text")]


def contrast(colour: str, other: str) -> float:
    def luminance(code: str) -> float:
        parts = [int(code[i:i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    low, high = sorted((luminance(colour), luminance(other)))
    return (high + 0.05) / (low + 0.05)


class Axes(unittest.TestCase):
    def test_a_linear_axis_begins_at_zero_and_holds_all(self):
        axis = plot.fit("MiB", [3, 7])
        self.assertEqual(axis.at(0), 0)
        self.assertLess(axis.at(7), 1)

    def test_a_logarithmic_axis_has_equal_steps_for_equal_ratios(self):
        axis = Axis("", 1, 10000, True)
        self.assertAlmostEqual(axis.at(10), 0.25)
        self.assertAlmostEqual(axis.at(100) - axis.at(10), axis.at(1000) - axis.at(100))

    def test_what_is_below_a_logarithmic_axis_lies_on_its_edge(self):
        self.assertEqual(Axis("", 1, 10, True).at(0), 0)

    def test_there_are_some_ticks_and_not_too_many(self):
        ranges = [(0, 1), (0, 7.3), (0, 130), (0, 99999), (0, 0.02)]
        for low, high in ranges:
            self.assertIn(len(Axis("", low, high).ticks()), range(3, 9), (low, high))
        for low, high in [(0.9, 1.2), (0.5, 20), (1, 1e7), (10, 1e11), (0.02, 3)]:
            ticks = Axis("", low, high, True).ticks()
            self.assertIn(len(ticks), range(2, 10), (low, high))
            self.assertTrue(all(low * 0.99 <= value <= high * 1.01 for value, _ in ticks))

    def test_numbers(self):
        written = [plot.number(v) for v in (0, 0.5, 20, 1500, 1e4, 3e6, 1e-4)]
        self.assertEqual(written, ["0", "0.5", "20", "1500", "10⁴", "3·10⁶", "10⁻⁴"])

    def test_values_that_are_all_equal_have_an_axis(self):
        for log in (False, True):
            axis = plot.fit("", [5, 5], log)
            self.assertTrue(0 <= axis.at(5) <= 1)
        self.assertEqual(plot.fit("", [0, 0]).at(0), 0)


class Colours(unittest.TestCase):
    def test_all_differ(self):
        names = ("uslub", "glibc", "jemalloc", "mimalloc", "tcmalloc", "tbb")
        for a, b in itertools.combinations(names, 2):
            self.assertNotEqual(plot.colour(a), plot.colour(b))

    def test_text_and_lines_are_seen_on_white_and_on_black(self):
        for name in (*plot.COLOURS, "another"):
            for ground in ("#ffffff", "#000000"):
                self.assertGreater(contrast(plot.colour(name), ground), 2, name)
        for ground in ("#ffffff", "#000000"):
            self.assertGreater(contrast(plot.INK, ground), 4.5)


class Lines(unittest.TestCase):
    def draw(self) -> str:
        curves = [Curve("uslub", [(0, 1), (10, 2)]), Curve("glibc", [(0, 2), (10, 2.01)])]
        return plot.lines("A & B", "sub", plot.fit("s", [0, 10]), plot.fit("MiB", [1, 2]), curves)

    def test_it_is_xml_with_title_labels_and_names(self):
        found = texts(self.draw())
        for expected in ("A & B", "sub", "s", "MiB", "uslub", "glibc"):
            self.assertIn(expected, found)

    def test_names_do_not_overlap(self):
        places = [float(e.get("y")) for e in parsed(self.draw()).iter(f"{SVG}text")
                  if e.text in ("uslub", "glibc")]
        self.assertGreaterEqual(abs(places[0] - places[1]), 14)

    def test_more_is_higher(self):
        frame = plot.Frame(Axis("", 0, 10), Axis("", 0, 4), 100)
        self.assertLess(frame.down(3), frame.down(1))
        self.assertEqual(frame.down(0), frame.bottom)

    def test_uslub_is_drawn_last(self):
        found = [e.get("stroke") for e in parsed(self.draw()).iter(f"{SVG}polyline")]
        self.assertEqual(found, [plot.colour("glibc"), plot.colour("uslub")])

    def test_places_keep_their_order_and_distance(self):
        found = plot.spread_out([10, 10, 12, 95], 15, 0, 100)
        self.assertEqual(sorted(found), found)
        self.assertTrue(all(b - a >= 15 for a, b in zip(found, found[1:])))
        self.assertTrue(all(0 <= y <= 100 for y in found))


class Bars(unittest.TestCase):
    def test_faster_is_left_and_undecided_is_hollow(self):
        rows = [("row", [Bar("glibc", 0.5, 0.4, 0.6), Bar("tbb", 2, 0.9, 3, True)])]
        svg = parsed(plot.ratio_bars("t", "s", rows, "ratio"))
        height = str(plot.BAR_HEIGHT)
        faster, slower = [r for r in svg.iter(f"{SVG}rect") if r.get("height") == height]
        self.assertLess(float(faster.get("x")), float(slower.get("x")))
        self.assertAlmostEqual(float(faster.get("width")), float(slower.get("width")), 0)
        self.assertEqual(faster.get("fill"), plot.colour("glibc"))
        self.assertEqual(slower.get("fill"), "none")

    def test_everything_lies_within_the_picture(self):
        rows = [("row", [Bar("glibc", 1e-9, 1e-9, 1e9), Bar("tbb", 300, 0.5, 900)])]
        svg = parsed(plot.ratio_bars("t", "s", rows, "ratio"))
        for element in svg.iter(f"{SVG}line"):
            for side in ("x1", "x2"):
                self.assertTrue(0 <= float(element.get(side)) <= plot.WIDTH)


def row(name: str, mode: str = "madvise") -> dict:
    ratio = {"ratio": 0.5, "low": 0.4, "high": 0.6, "undecided": False}
    values = {"uslub": [1.0, 1.1, 1.2], "glibc": [2.0, 2.1, 2.2], "bare": [1.0, 1.0, 1.0]}
    medians = {"uslub": 1.1, "glibc": 2.1}
    return {"name": name, "mode": mode, "values": values, "median": medians,
            "nanoseconds": values, "ratios": {"glibc": ratio}}


class Suites(unittest.TestCase):
    def draw(self, **record) -> list:
        where = {"cpu": "c", "processors": "2", "kernel": "k", "date": "d"}
        allocators = {"uslub": {}, "glibc": {}}
        with tempfile.TemporaryDirectory() as folder:
            files = draw.draw({"machine": where, "allocators": allocators} | record,
                              Path(folder) / "new")
            for file in files:
                parsed(file.read_text(encoding="utf-8"))
            return [file.name for file in files]

    def test_micro(self):
        rows = [row("pair/lifo/8"), *(row(f"heap/{10**n}") for n in (3, 4, 5)), row("ring/8")]
        self.assertEqual(self.draw(suite="micro", rows=rows), ["micro.svg", "micro-rows.svg",
                                                              "micro-heap.svg"])

    def test_programs(self):
        ratios = row("")["ratios"]
        found = self.draw(suite="programs", means={},
                          programs=[{"name": "perl", "ratios": {"wall": ratios, "rss": ratios}}])
        self.assertEqual(found, ["programs-wall.svg", "programs-rss.svg"])

    def test_memory(self):
        rows = [row("idle/little"), *(row(f"objects/16/1e{n}") for n in (3, 4, 5)),
                *(row(f"peak/all/silent {s} s") for s in (0, 1, 2))]
        curves = [{"name": "churn x1", "mode": "madvise", "allocator": name,
                   "points": [[0, 1, 2], [100, 2, 3]]} for name in ("uslub", "glibc")]
        found = self.draw(suite="memory", rows=rows, curves=curves,
                          modes={"madvise": "", "always": "no right to"})
        self.assertEqual(found, [
            "memory-churn-x1-madvise.svg", "memory-objects-16-madvise.svg",
            "memory-peak-all-silent-madvise.svg", "memory-idle.svg"])

    def test_tail(self):
        curves = [{"name": "malloc", "allocator": name, "points": [[0.5, 10], [0.001, 5000]]}
                  for name in ("uslub", "control")]
        self.assertEqual(self.draw(suite="tail", curves=curves, step_ns=10), ["tail-malloc.svg"])

    def test_startup(self):
        self.assertEqual(self.draw(suite="startup", rows=[row("true wall")]), ["startup.svg"])

    def test_names_of_files_need_no_quoting(self):
        names = self.draw(suite="micro", rows=[row(f"threads/live/{n}") for n in (1, 10, 100)])
        self.assertTrue(all(re.fullmatch(r"[\w.-]+", name) for name in names))
        self.assertIn("micro-threads-live.svg", names)


if __name__ == "__main__":
    unittest.main()
