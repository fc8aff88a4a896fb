#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How compare reads figures, when it refuses to conclude, and how it says it cannot measure."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True

from comparelib import allocators, figures, measure, report  # noqa: E402
from comparelib.allocators import Allocator, BenchError  # noqa: E402
from comparelib.measure import Figure, Row  # noqa: E402

COMPARE = Path(__file__).resolve().parent / "compare"
LIBC = Allocator("glibc", None, "")


def row(name: str, **times: list) -> Row:
    return Row(name, times)


def against(name: str, times: list, peers: float = 1.0, floor: float = 1.0) -> Row:
    """Every packaged peer takes @peers, the floor its share."""
    others = {peer: [peers] * len(times) for peer in allocators.PACKAGES}
    return row(name, uslub=times, floor=[floor] * len(times), **others)


def level(name: str, floor: float = 1.1) -> Row:
    """uslub ahead of every peer, and @floor times the floor."""
    return against(name, [1.0] * 5, 1.25, 1.0 / floor)


AHEAD = [level(f"pair/lifo/{size}") for size in (8, 16, 32, 64)]


def google_json(
    provider: str = "/lib/libc.so.6", rates: tuple = (1e8, 2e8, 4e8), name: str = "r"
) -> str:
    run = {"run_name": name, "run_type": "iteration", "operations": 4.0, "faults": 2.0}
    runs = [run | {"items_per_second": rate} for rate in rates]
    other = run | {"run_name": "other", "items_per_second": 3.0}
    aggregate = run | {"run_type": "aggregate", "items_per_second": 1.0}
    return json.dumps(
        {"context": {"malloc_provider": provider}, "benchmarks": [other, *runs, aggregate]}
    )


def nested(kind: str, *times: float) -> Row:
    return row(f"nested/{kind}/64", uslub=list(times))


class Ratios(unittest.TestCase):
    def test_medians_and_spread(self):
        found = figures.ratio(row("r", uslub=[1, 2, 9], jemalloc=[2, 4, 3]), "jemalloc")
        self.assertAlmostEqual(found.value, 2 / 3)
        self.assertEqual((found.low, found.high), (0.5, 3))

    def test_spread_larger_than_difference_is_undecided(self):
        self.assertTrue(figures.Ratio(1.1, 1.05, 1.3).undecided)
        self.assertTrue(figures.Ratio(1.0, 1.0, 1.0).undecided)
        self.assertFalse(figures.Ratio(1.3, 1.2, 1.4).undecided)

    def test_faster_and_slower_are_symmetric(self):
        self.assertFalse(figures.Ratio(10.0, 8.0, 12.0).undecided)
        self.assertFalse(figures.Ratio(0.1, 1 / 12, 1 / 8).undecided)

    def test_of_many_rounds_the_outermost_fall_off(self):
        times = [2.0] * 8 + [0.5, 9.0]
        found = figures.ratio(row("r", uslub=times, jemalloc=[1.0] * 10), "jemalloc")
        self.assertEqual((found.low, found.high), (2.0, 2.0))
        found = figures.ratio(row("r", uslub=times[1:], jemalloc=[1.0] * 9), "jemalloc")
        self.assertEqual((found.low, found.high), (0.5, 9.0))

    def test_no_ratio_where_the_peer_takes_no_part(self):
        self.assertIsNone(figures.ratio(row("r", uslub=[1.0]), "floor"))


class Check(unittest.TestCase):
    def test_level_passes(self):
        self.assertTrue(figures.check([level("pair/lifo/64"), level("pair/random/64")]).passed)

    def test_slower_than_the_best_peer_fails(self):
        slow = against("batch/same/4096", [1.2] * 5, 2.0)
        slow.times["tcmalloc"] = [1.0] * 5
        verdict = figures.check([*AHEAD, slow])
        self.assertTrue(verdict.clear)
        self.assertEqual(verdict.failures, [
            "slower than the best peer: batch/same/4096: 1.20x tcmalloc, by rounds 1.20 to 1.20"])

    def test_slower_by_little_fails_but_is_in_doubt(self):
        slow = against("pair/fifo/4096", [1.1, 1.1, 1.02])
        verdict = figures.check([*AHEAD, slow])
        self.assertFalse(verdict.passed)
        self.assertFalse(verdict.clear)
        self.assertEqual(verdict.doubtful, [slow])

    def test_threads_count_too(self):
        slow = against("pair/lifo/64/real_time/threads:2", [1.2] * 5)
        self.assertFalse(figures.check([level("pair/lifo/64"), slow]).passed)

    def test_rounds_that_disagree_are_reported_not_failed(self):
        noisy = against("pair/fifo/4096", [1.2, 1.2, 0.9])
        verdict = figures.check([*AHEAD, noisy])
        self.assertTrue(verdict.passed)
        self.assertEqual((len(verdict.suspects), verdict.doubtful), (1, [noisy]))

    def test_within_tolerance_passes(self):
        near = against("pair/fifo/4096", [1.04] * 5)
        self.assertTrue(figures.check([*AHEAD, near]).passed)

    def test_not_ahead_by_enough_in_the_mean_fails(self):
        near = [against("pair/lifo/64", [1.0] * 5, 1.06), against("larson/512", [1.0] * 5, 1.06)]
        verdict = figures.check(near)
        self.assertEqual(len(verdict.failures), len(allocators.PACKAGES))
        self.assertTrue(verdict.clear)
        self.assertIn("not ahead of glibc by enough: 0.943", verdict.failures[0])

    def test_control_rows_are_not_judged(self):
        control = row("control/pages/16", **{p: [1.0] * 5 for p in allocators.PACKAGES},
                      uslub=[9.0] * 5)
        self.assertTrue(figures.check([level("pair/lifo/64"), control]).passed)

    def test_page_faults_are_named(self):
        rows = [level("pair/lifo/64"), level("fresh/grow/64")]
        rows[0].faults = {name: [0.0] * 5 for name in ("uslub", *allocators.PACKAGES)}
        rows[1].faults = {name: [0.5] * 5 for name in ("uslub", *allocators.PACKAGES)}
        self.assertIn("1 rows have any; in 0 uslub", figures.check(rows).facts[-1])
        rows[1].faults["tcmalloc"] = [0.1] * 5
        self.assertIn("than the best peer: fresh/grow/64", figures.check(rows).facts[-1])

    def test_mean_above_the_floor_fails(self):
        for floor, passed in ((1.14, True), (1.16, False)):
            rows = [level("pair/lifo/64", floor), level("pair/random/64", floor)]
            verdict = figures.check(rows)
            self.assertEqual((verdict.passed, verdict.clear), (passed, not passed))

    def test_one_row_far_above_the_floor_fails(self):
        rows = [level(f"pair/lifo/{n}", 1.05) for n in (8, 16, 32, 64)]
        far = level("pair/random/64", 1.6)
        verdict = figures.check([*rows, far])
        self.assertEqual((len(verdict.failures), verdict.clear), (1, True))
        far.times["uslub"][0] = 0.8
        verdict = figures.check([*rows, far])
        self.assertEqual((len(verdict.failures), verdict.clear), (1, False))
        self.assertEqual(verdict.doubtful, [far])

    def test_only_small_pairs_are_held_against_the_floor(self):
        rows = [level("pair/lifo/64"), level("pair/lifo/2048", 9), level("pair/fifo/64", 9)]
        self.assertTrue(figures.check(rows).passed)

    def test_nothing_to_check_is_an_error(self):
        for rows in ([], [level("ring/256")], [level("pair/lifo/2048")]):
            self.assertRaises(BenchError, figures.check, rows)

    def test_a_peer_that_was_not_measured_is_an_error(self):
        self.assertRaises(BenchError, figures.check, [row("pair/lifo/8", uslub=[1.0] * 3)])


class CheckOfTheLock(unittest.TestCase):
    def check(self, ours: list, size: int = 64) -> figures.Verdict:
        rows = [row(f"pair/{kind}/{size}", uslub=ours, lockless=[1.0] * 5)
                for kind in ("lifo", "random")]
        return figures.check(rows, ["lockless"])

    def test_free_of_charge_passes(self):
        verdict = self.check([1.02] * 5)
        self.assertTrue(verdict.passed)
        self.assertIn("geometric mean 1.020", verdict.facts[0])

    def test_above_the_bound_fails(self):
        verdict = self.check([1.1] * 5)
        self.assertEqual((verdict.passed, verdict.clear, verdict.doubtful), (False, True, []))

    def test_rounds_that_disagree_leave_doubt(self):
        verdict = self.check([1.1, 1.1, 1.1, 1.0, 1.0])
        self.assertEqual((verdict.passed, verdict.clear), (False, False))
        self.assertEqual(len(verdict.doubtful), 2)

    def test_nothing_measured_is_an_error(self):
        self.assertRaises(BenchError, self.check, [1.0] * 5, 2048)
        self.assertRaises(BenchError, figures.check, [level("pair/lifo/64")], ["lockless"])

    def test_the_mean_has_a_spread(self):
        rows = [row("a", uslub=[2, 4, 2], lockless=[1, 1, 1]),
                row("b", uslub=[2, 4, 8], lockless=[1, 1, 1])]
        found = figures.mean_ratio(rows, "lockless")
        self.assertAlmostEqual(found.value, 8**0.5)
        self.assertAlmostEqual(found.low, 2)
        self.assertAlmostEqual(found.high, 4)
        self.assertIsNone(figures.mean_ratio(rows, "jemalloc"))


class Nested(unittest.TestCase):
    outside = (1.0, 1.0, 1.0)

    def check(self, *times: float, masked: float = 1000.0) -> figures.Verdict:
        self.rows = [nested("outside", *self.outside), nested("malloc", *times)]
        self.rows[0].times["masked"] = [masked] * len(times)
        return figures.check([level("pair/lifo/64"), *self.rows])

    def test_ratio_to_the_row_outside_of_the_same_size(self):
        rows = [nested("outside", 1.0, 2.0, 4.0), nested("free", 3.0, 3.0, 3.0),
                row("nested/malloc/128", uslub=[1.0] * 3)]
        ((inside, base, found),) = figures.nested_ratios(rows)
        self.assertEqual((inside, base), (rows[1], rows[0]))
        self.assertEqual((found.value, found.low, found.high), (1.5, 0.75, 3.0))

    def test_twice_an_ordinary_pair_passes(self):
        self.assertTrue(self.check(2.0, 2.0, 2.0).passed)

    def test_more_fails(self):
        verdict = self.check(2.2, 2.1, 2.1)
        self.assertEqual((verdict.passed, verdict.clear), (False, True))

    def test_fifty_times_as_fast_as_masked_signals_passes(self):
        self.assertTrue(self.check(1.0, 1.0, 1.0, masked=50.0).passed)

    def test_less_fails(self):
        verdict = self.check(1.0, 1.0, 1.0, masked=45.0)
        self.assertEqual((verdict.passed, verdict.clear), (False, True))
        self.assertIn("nested/malloc/64, 45 times", verdict.failures[0])

    def test_less_in_some_rounds_is_in_doubt(self):
        verdict = self.check(1.0, 1.0, 0.8, masked=45.0)
        self.assertEqual((verdict.passed, verdict.clear), (False, False))
        self.assertEqual(verdict.doubtful, self.rows)

    def test_masked_signals_that_were_not_measured_are_an_error(self):
        rows = [level("pair/lifo/64"), nested("outside", 1.0), nested("free", 1.0)]
        self.assertRaises(BenchError, figures.check, rows)

    def test_doubt_is_cleared_by_both_rows_together(self):
        verdict = self.check(2.2, 2.2, 1.9)
        self.assertEqual((verdict.passed, verdict.clear), (False, False))
        self.assertEqual(verdict.doubtful, self.rows)


class Groups(unittest.TestCase):
    def test_groups(self):
        self.assertEqual(figures.group(Row("pair/lifo/1024")), "pair, to 1024 B")
        self.assertEqual(figures.group(Row("pair/fifo/1500")), "pair, above 1024 B")
        self.assertEqual(figures.group(Row("pair/lifo/8/real_time/threads:4")), "pair, all cores")
        self.assertEqual(figures.group(Row("realloc/one/65536")), "realloc")
        self.assertEqual(figures.group(Row("threads/live/10/iterations:2/repeats:1/process_time")),
                         "threads")
        self.assertIsNone(figures.group(Row("nested/free/64")))
        self.assertIsNone(figures.group(Row("control/ring/256/real_time/threads:2")))

    def test_titles(self):
        self.assertEqual(Row("pair/lifo/8/real_time/threads:4").title, "pair/lifo/8 x4")
        self.assertEqual(Row("pair/lifo/8").title, "pair/lifo/8")
        self.assertEqual(Row("idle/sleep/9/iterations:1/repeats:1/process_time").title,
                         "idle/sleep/9")


class Output(unittest.TestCase):
    def test_median_of_repetitions(self):
        self.assertEqual(measure.read_figure(google_json(), Row("r"), LIBC), (5.0, 0.5))

    def test_threads_run_side_by_side(self):
        parallel = Row("r/real_time/threads:2")
        output = google_json(name=parallel.name)
        self.assertEqual(measure.read_figure(output, parallel, LIBC).time, 10.0)

    def test_a_preload_without_effect_is_an_error(self):
        other = Allocator("jemalloc", Path(__file__), "")
        with self.assertRaisesRegex(BenchError, "no effect"):
            measure.read_figure(google_json(), Row("r"), other)

    def test_what_is_no_result_is_an_error(self):
        no_rates = google_json(rates=())
        for text in ("", "{}", no_rates, google_json(rates=(0,))):
            self.assertRaises(BenchError, measure.read_figure, text, Row("r"), LIBC)

    def test_a_row_that_refused_is_an_error(self):
        refused = {"run_name": "r", "run_type": "iteration", "error_occurred": True,
                   "error_message": "cannot"}
        text = json.dumps({"context": {"malloc_provider": "/lib/libc.so.6"},
                           "benchmarks": [refused]})
        with self.assertRaisesRegex(BenchError, "cannot"):
            measure.read_figure(text, Row("r"), LIBC)

    def test_cells(self):
        self.assertTrue(report.cell(figures.Ratio(1.2, 1.15, 1.25)).endswith("!"))
        self.assertTrue(report.cell(figures.Ratio(1.2, 0.9, 1.25)).endswith("?"))
        self.assertIn("0.50", report.cell(figures.Ratio(0.5, 0.45, 0.55)))
        self.assertEqual(report.cell(None).strip(), "-")


class Listing(unittest.TestCase):
    def rows_within(self, gigabytes: float) -> list:
        names = "pair/lifo/64 heap/1000 heap/100000000/iterations:10"
        with mock.patch.object(measure, "run_binary", return_value=names), \
                mock.patch.object(measure, "memory_available", return_value=gigabytes * 1e9), \
                mock.patch("sys.stderr"):
            return [found.title for found in measure.list_rows(Path("x"), "/", True)]

    def test_a_heap_that_does_not_fit_is_left_out(self):
        self.assertEqual(self.rows_within(6), ["pair/lifo/64", "heap/1000", "heap/100000000"])
        self.assertEqual(self.rows_within(5), ["pair/lifo/64", "heap/1000"])

    def test_available_memory_is_read(self):
        self.assertGreater(measure.memory_available(), 2**20)

    def test_long_rows_are_listed_on_demand(self):
        with mock.patch.object(measure, "run_binary", return_value="") as run:
            measure.list_rows(Path("x"), "")
            measure.list_rows(Path("x"), "", True)
        asked = ["--full" in call.args[2] for call in run.call_args_list]
        self.assertEqual(asked, [False, True])


class Turns(unittest.TestCase):
    def test_the_floor_runs_alone_only(self):
        floor = Allocator("floor", Path("x"), "")
        self.assertEqual(measure.contenders([Row("r")], [LIBC, floor]), [LIBC, floor])
        for name in ("r/threads:2", "threads/live/10"):
            self.assertEqual(measure.contenders([Row(name)], [LIBC, floor]), [LIBC])

    def test_masked_signals_are_for_small_nested_rows_alone(self):
        masked = Allocator("masked", Path("x"), "")
        for name in ("pair/lifo/64", "nested/outside/4096", "nested/malloc/64"):
            self.assertFalse(Row(name).is_for(masked))
        self.assertTrue(Row("nested/outside/1024").is_for(masked))

    def test_nested_rows_are_for_who_survives_them(self):
        ours = Allocator("uslub", Path("x"), "")
        lockless = Allocator("lockless", Path("x"), "")
        masked = Allocator("masked", Path("x"), "")
        found = {kind: measure.contenders([nested(kind)], [ours, LIBC, lockless, masked])
                 for kind in ("outside", "malloc", "free")}
        self.assertEqual(found, {"outside": [ours, masked], "malloc": [ours], "free": [ours]})

    def test_nested_rows_of_a_size_share_a_process(self):
        rows = [nested("outside"), Row("pair/lifo/64"), nested("malloc"), Row("nested/free/128")]
        groups = [[r.name for r in group] for group in measure.by_process(rows)]
        self.assertEqual(groups, [["nested/outside/64", "nested/malloc/64"], ["pair/lifo/64"],
                                  ["nested/free/128"]])

    def test_rows_of_a_process_get_their_own_figures(self):
        rows = [nested("outside"), nested("malloc")]
        with mock.patch.object(measure, "measure_once", lambda *_: [Figure(1.0, 0.5), Figure(2.0, 0.0)]), \
                mock.patch.object(measure, "show_progress"):
            measure.measure(Path("x"), rows, [Allocator("uslub", Path(__file__), "")],
                            measure.Effort(3, 1, 0.1))
        self.assertEqual([r.times["uslub"] for r in rows], [[1.0] * 3, [2.0] * 3])
        self.assertEqual(rows[0].faults["uslub"], [0.5] * 3)

    def test_of_a_process_everyone_runs_what_he_can(self):
        rows = [nested("outside"), nested("malloc")]
        with mock.patch.object(measure, "measure_once", lambda _b, own, *_: [Figure(1.0, 0.0)] * len(own)), \
                mock.patch.object(measure, "show_progress"):
            measure.measure(Path("x"), rows, [Allocator("uslub", Path(__file__), ""),
                                              Allocator("masked", Path(__file__), "")],
                            measure.Effort(3, 1, 0.1))
        self.assertIn("masked", rows[0].times)
        self.assertNotIn("masked", rows[1].times)

    def test_each_round_has_copies_of_the_libraries(self):
        seen = []

        def note(_binary, _rows, allocator, _effort):
            self.assertEqual(allocator.library.read_bytes(), Path(__file__).read_bytes())
            self.assertTrue(allocator.provides(str(allocator.library)))
            self.assertTrue(allocator.library.parent.stat().st_mode & 0o005 == 0o005)
            seen.append(allocator.library)
            return [Figure(1.0, 0.0)]

        with mock.patch.object(measure, "measure_once", note), \
                mock.patch.object(measure, "show_progress"):
            measure.measure(Path("x"), [Row("r")], [Allocator("a", Path(__file__), "")],
                            measure.Effort(3, 1, 0.1))
        self.assertEqual(len(set(seen)), 3)
        self.assertFalse(any(path.exists() for path in seen))

    def test_everyone_is_measured_in_every_round_and_begins_once(self):
        names = [Allocator(name, None, "") for name in ("a", "b", "c")]
        order = []

        def note(_binary, _rows, allocator, _effort):
            order.append(allocator.name)
            return [Figure(1.0, 0.0)]

        rows = [Row("r")]
        with mock.patch.object(measure, "measure_once", note), \
                mock.patch.object(measure, "show_progress"):
            measure.measure(Path("x"), rows, names, measure.Effort(3, 1, 0.1))
        self.assertEqual(order, list("abc" "bca" "cab"))
        self.assertEqual({len(times) for times in rows[0].times.values()}, {3})


class Failures(unittest.TestCase):
    """compare itself, with a stand-in for the benchmark binary."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.build = Path(self.folder.name)

    def binary(self, body: str) -> None:
        (self.build / "bench").mkdir()
        file = self.build / "bench" / "uslub_bench"
        file.write_text(
            "#!/bin/sh\ncase $1 in --benchmark_list_tests) echo pair/lifo/64; exit;; esac\n" + body
        )
        file.chmod(0o755)

    def compare(self, *arguments: str) -> tuple:
        done = subprocess.run(
            [sys.executable, "-B", COMPARE, "--build", self.build, *arguments],
            capture_output=True, text=True, check=False, timeout=60,
        )
        return done.returncode, done.stderr

    def library(self) -> str:
        file = self.build / "libuslub.so"
        file.write_text("")
        return str(file)

    def assert_refused(self, expected: str, *arguments: str) -> None:
        status, text = self.compare(*arguments)
        self.assertEqual(status, 2, text)
        self.assertIn(expected, text)
        self.assertNotIn("Traceback", text)

    def test_no_binary(self):
        self.assert_refused("-DUSLUB_BENCH=ON")

    def test_no_library(self):
        self.binary("exit 0")
        self.assert_refused("no libuslub.so", "--peers", "glibc")
        self.assert_refused("no such library", "--uslub", "/nowhere.so")

    def test_a_crash_names_row_and_allocator(self):
        self.binary("kill -SEGV $$")
        self.library()
        self.assert_refused("row pair/lifo/64 under uslub: died of SIGSEGV", "--peers", "glibc")

    def test_an_unloadable_library_is_no_measurement(self):
        output = google_json(name="pair/lifo/64")
        self.binary(f"echo '{output}'")
        self.library()
        self.assert_refused("the preload had no effect", "--peers", "glibc")

    def test_bad_arguments(self):
        self.binary("exit 0")
        self.library()
        self.assert_refused("unknown peer", "--peers", "nobody")
        self.assert_refused("no row matches", "--filter", "nothing")
        self.assert_refused("--filter (", "--filter", "(")
        self.assert_refused("show no spread", "--rounds", "1")
        self.assert_refused("--check needs floor and glibc", "--check", "--peers", "jemalloc")
        self.assert_refused("--check needs floor", "--check", "--peers", "jemalloc,lockless")
        self.assert_refused("--check needs masked", "--check", "--peers",
                            ",".join([*allocators.PACKAGES, "floor"]))
        self.assert_refused("no such library", "--check", "--peers", "lockless")

    def test_a_missing_peer_names_its_package(self):
        with mock.patch.object(allocators, "find_library", return_value=None):
            for name, package in (("jemalloc", "libjemalloc2"), ("mimalloc", "libmimalloc2.0"),
                                  ("tcmalloc", "libtcmalloc-minimal4")):
                with self.assertRaisesRegex(BenchError, f"apt-get install {package}"):
                    allocators.peer(name, self.build)

    def test_tuning_is_taken_from_the_environment(self):
        tuned = {"MALLOC_CONF": "x", "GLIBC_TUNABLES": "x", "USLUB": "x", "LD_PRELOAD": "x"}
        with mock.patch.dict("os.environ", tuned | {"HOME": "/h"}):
            environment = Allocator("jemalloc", Path("/j.so"), "").environment()
        self.assertEqual(environment["LD_PRELOAD"], "/j.so")
        self.assertEqual(environment["HOME"], "/h")
        self.assertFalse({"MALLOC_CONF", "GLIBC_TUNABLES", "USLUB"} & set(environment))


if __name__ == "__main__":
    unittest.main()
