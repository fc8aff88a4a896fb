#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How compare's suites of memory, tail and startup read what their programs print, what they conclude
and refuse, and what is put back. Nothing is measured."""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import types
import unittest
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True

from comparelib import (  # noqa: E402
    common, draw, hugepages, memory, runs, series, startup, suites, tail,
)
from comparelib.allocators import Allocator, BenchError  # noqa: E402
from comparelib.figures import Verdict  # noqa: E402
from comparelib.series import Figure, Figures  # noqa: E402

COMPARE = Path(__file__).resolve().parent / "compare"
LIBC = Allocator("glibc", None, "")


def figure(name: str = "f", unit: str = "MiB", **values: list) -> Figure:
    return Figure(name, values, unit=unit)


def filled(*all_figures: Figure) -> Figures:
    found = Figures()
    for one in all_figures:
        found.all[one.mode, one.name] = one
    return found


def output(text: str) -> runs.Output:
    return runs.Output(text)


class Outputs(unittest.TestCase):
    def test_keys_and_numbers(self):
        found = output("malloc /lib/libc.so.6\n\nat 1 2\nat 3 4\nfaults 7\n")
        self.assertEqual(found.table("at"), [[1, 2], [3, 4]])
        self.assertEqual(found.one("faults"), 7)
        self.assertEqual(found.words("malloc"), ["/lib/libc.so.6"])

    def test_what_is_missing_doubled_or_no_number_is_an_error(self):
        for text in ("", "faults", "faults 1\nfaults 2", "faults many"):
            with self.assertRaises(BenchError, msg=text):
                output(text).one("faults")

    def test_a_preload_without_effect_is_an_error(self):
        other = Allocator("jemalloc", Path(__file__), "")
        with mock.patch.object(runs, "execute", return_value="malloc /lib/libc.so.6\n"):
            runs.run(Path("churn"), [], LIBC)
            runs.run(Path("churn"), [], other, provider=LIBC)
            with self.assertRaisesRegex(BenchError, "churn .*jemalloc.*no effect"):
                runs.run(Path("churn"), [], other)

    def test_a_crash_and_a_failure_are_named(self):
        for script, expected in (("kill -SEGV $$", "died of SIGSEGV"), ("exit 3", "status 3")):
            with self.assertRaisesRegex(BenchError, expected):
                runs.execute(["/bin/sh", "-c", script], {})
        with self.assertRaisesRegex(BenchError, "cannot run"):
            runs.execute(["/nowhere/churn"], {})


class Tables(unittest.TestCase):
    def test_medians_and_the_best_peer(self):
        found = figure(uslub=[3, 1, 2], a=[4, 5, 6], b=[2, 3, 2])
        self.assertEqual(found.median("uslub"), 2)
        self.assertEqual(found.best(["a", "b", "absent"]), "b")
        self.assertIsNone(found.best([]))

    def test_below_twice_the_machines_own_nothing_is_concluded(self):
        found = figure(uslub=[100] * 3, glibc=[150] * 3)
        self.assertNotIn("?", series.ratio_cell(found, "glibc"))
        found.noise = 90
        self.assertTrue(series.ratio_cell(found, "glibc").endswith("?"))
        self.assertTrue(series.record(found, ["glibc"])["ratios"]["glibc"]["undecided"])
        found.noise = 60
        self.assertNotIn("?", series.ratio_cell(found, "glibc"))

    def test_a_step_of_the_clock_is_no_difference(self):
        found = figure(uslub=[10] * 3, glibc=[20] * 3)
        found.step = 10
        self.assertTrue(series.ratio_cell(found, "glibc").endswith("?"))
        found.step = 5
        self.assertFalse(series.ratio_cell(found, "glibc").endswith("?"))

    def test_a_spread_larger_than_the_difference_is_undecided(self):
        found = figure(uslub=[10, 14, 9], glibc=[11, 10, 12])
        self.assertTrue(series.ratio_cell(found, "glibc").endswith("?"))

    def test_a_bound_is_missed_in_every_round_or_in_doubt(self):
        outcomes = []
        for values in ([65, 66, 67], [60, 66, 67], [60, 61, 67]):
            verdict = Verdict([], [], [], [])
            series.hold_below(verdict, figure(uslub=values), 64)
            outcomes.append((len(verdict.failures), len(verdict.suspects)))
        self.assertEqual(outcomes, [(1, 0), (0, 1), (0, 0)])

    def test_the_best_peer_is_the_bound(self):
        outcomes = []
        for ours in ([110, 111, 112], [90, 111, 112], [101, 101, 101]):
            verdict = Verdict([], [], [], [])
            found = figure(uslub=ours, a=[100, 100, 100], b=[200, 200, 200])
            series.hold_to_best(verdict, found, ["a", "b"], 1.02)
            outcomes.append((len(verdict.failures), len(verdict.suspects)))
        self.assertEqual(outcomes, [(1, 0), (0, 1), (0, 0)])


class Memory(unittest.TestCase):
    def read(self, reader, text: str) -> dict:
        case = memory.Case("case", "program", (), reader)
        return {name: value for name, _, value in reader(case, output(text))}

    def test_churn(self):
        mib = memory.MIB
        text = f"at 0 10 {mib} {2 * mib}\nat 1 20 {3 * mib} {4 * mib}\nfaults 5000\n"
        found = self.read(memory.read_churn, text)
        self.assertEqual(found, {"case mean": 1.5, "case worst": 2, "case peak": 4,
                                 "case faults": 5})
        self.assertRaises(BenchError, self.read, memory.read_churn, "faults 1\n")

    def test_idle_threads_are_counted_one_by_one(self):
        found = self.read(memory.read_sleepers, "idle 65536000\nfaults 16000\n")
        self.assertEqual(found, {"case": 64, "case faults": 16})

    def test_nothing_left_is_a_page(self):
        text = "live 100\npeak 120\nafter 0 0\nafter 1 1048576\nafter 2 0\nfaults 9\n"
        found = self.read(memory.read_peak, text)
        self.assertEqual(found["case top"], 1.2)
        self.assertEqual(found["case 0 s"], memory.PAGE / memory.MIB)
        self.assertEqual(found["case 1 s"], 1)

    def test_objects(self):
        found = self.read(memory.read_objects, "live 64000\nrss 96000\nfaults 20\n")
        self.assertEqual(found, {"case": 1.5, "case faults": 0.02})

    def test_objects_fit_into_the_memory_that_is_allowed(self):
        for effort in (memory.QUICK, memory.FULL):
            for case in memory.objects_cases(effort):
                _, count, size = case.arguments
                self.assertLessEqual(int(count) * int(size), effort.most_live)
        names = [case.name for case in memory.all_cases(memory.FULL)]
        self.assertEqual(len(set(names)), len(names))
        self.assertIn("objects/16/1e7", names)
        self.assertIn("churn x2", names)

    def test_rounds_draw_other_sizes_and_allocators_the_same(self):
        case = memory.churn_case(memory.QUICK, 2)
        self.assertNotEqual(memory.seeded(case, 0), memory.seeded(case, 1))
        self.assertEqual(memory.seeded(case, 1), memory.seeded(case, 1))

    def judge(self, *found: Figure) -> Verdict:
        return memory.judge(filled(*found), ["a", "b"])

    def test_idle_threads_have_a_bound(self):
        self.assertTrue(self.judge(figure("idle/little", "KiB", uslub=[50] * 3)).passed)
        self.assertFalse(self.judge(figure("idle/little", "KiB", uslub=[70] * 3)).passed)
        self.assertTrue(self.judge(figure("idle/touch", "KiB", uslub=[50] * 3),
                                   figure("idle/much", "KiB", uslub=[900] * 3)).passed)

    def test_page_faults_are_held_to_the_best_peer(self):
        def faults(scale: float) -> Figure:
            return figure("churn x1 faults", memory.FAULTS_UNIT, uslub=[11 * scale] * 3,
                          a=[10 * scale] * 3, b=[20 * scale] * 3)
        self.assertFalse(self.judge(faults(1)).passed)
        few = figure("idle/little", "KiB", uslub=[1] * 3)
        self.assertTrue(self.judge(faults(0.01), few).passed)

    def test_a_check_of_nothing_is_an_error(self):
        self.assertRaises(BenchError, self.judge, figure("churn x1 mean", uslub=[1] * 3))


class Tail(unittest.TestCase):
    def test_percentiles(self):
        found = tail.Histogram()
        found.add([[1, 90], [5, 9], [100, 1]], 130)
        self.assertEqual([found.percentile(r) for r in (50, 90, 99, 99.9)], [1, 1, 5, 100])
        self.assertEqual(found.worst, 130)
        self.assertRaises(BenchError, tail.Histogram().percentile, 50)

    def test_the_curve_ends_with_the_worst(self):
        found = tail.Histogram()
        found.add([[1, 90], [5, 9], [100, 1]], 130)
        self.assertEqual(found.curve(2.0), [[0.1, 2], [0.01, 10], [0.01, 260]])

    def suite(self, outputs: dict) -> tail.Suite:
        options = argparse.Namespace(lock=None, threads=2, build=Path("b"), peers="glibc")
        ours = [Allocator("uslub", Path("u"), ""), LIBC]

        def run(_program, arguments, allocator):
            self.assertEqual(arguments[0] == tail.CONTROL, allocator.name == tail.CONTROL)
            return output(outputs[allocator.name])

        with mock.patch.object(common, "everyone", return_value=ours), \
                mock.patch.object(common, "find_built", return_value=Path("tail")), \
                mock.patch.object(tail, "show_progress"), \
                mock.patch.object(runs, "run", run):
            suite = tail.Suite(options, 3, 100)
            suite.run()
        return suite

    def printed(self, ticks: int) -> str:
        calls = "".join(f"call-{kind} {ticks} 100\nworst-{kind} {ticks * 2}\n"
                        for kind in tail.KINDS)
        return f"span 1000 500\nclock 40 20\n{calls}"

    def test_ticks_become_nanoseconds_and_the_control_is_no_peer(self):
        suite = self.suite({"uslub": self.printed(200), "glibc": self.printed(800),
                            "control": self.printed(180)})
        found = {f.name: f for f in suite.figures.of()}
        self.assertEqual(found["malloc/99.9"].median("uslub"), 100)
        self.assertEqual(found["free/worst"].median("glibc"), 800)
        self.assertEqual(found["use/50"].noise, 90)
        self.assertEqual((suite.step_ns, suite.clock_ns[0]), (10, 20))
        self.assertFalse(found["malloc/50"].hidden("glibc"))
        for curve in suite.curves():
            self.assertEqual(len(curve["points"]), 1)

    def test_interference_hides_what_is_as_small(self):
        suite = self.suite({"uslub": self.printed(200), "glibc": self.printed(300),
                            "control": self.printed(180)})
        self.assertTrue(all(f.hidden("glibc") for f in suite.figures.of()))

    def test_no_span_is_an_error(self):
        for text in ("", "span 0 1", "span 1"):
            self.assertRaises(BenchError, tail.tick_ns, output(text))


class Startup(unittest.TestCase):
    def found(self, wall=1.1, more=100, faults=10.0) -> Figures:
        def times(name):
            return figure(name, "us", uslub=[100 * wall] * 3, bare=[100] * 3)

        def rss(name):
            return figure(name, "KiB", uslub=[1000 + more] * 3, bare=[1000] * 3)
        return filled(times("true wall"), times("true cpu"), rss("rss"), rss("rss peak"),
                      figure("true faults", "", uslub=[faults] * 3, a=[10] * 3))

    def test_bounds(self):
        verdicts = [startup.judge(found, ["a"]).passed for found in (
            self.found(), self.found(wall=1.2), self.found(more=201), self.found(faults=11))]
        self.assertEqual(verdicts, [True, False, False, False])

    def test_a_round_within_the_bound_leaves_doubt(self):
        found = self.found(wall=1.2)
        found.all["", "true wall"].times["uslub"][0] = 110
        found.all["", "true cpu"].times["uslub"] = [100] * 3
        verdict = startup.judge(found, ["a"])
        self.assertEqual((verdict.passed, len(verdict.suspects)), (True, 1))

    def test_another_unit_is_an_error(self):
        self.assertEqual(startup.kibibytes(output("Rss: 12 kB"), "Rss:"), 12)
        self.assertRaises(BenchError, startup.kibibytes, output("Rss: 12 MB"), "Rss:")


class HugePages(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.switch = Path(folder.name) / "enabled"
        self.switch.write_text("always [madvise] never")
        patch = mock.patch.object(hugepages, "SWITCH", self.switch)
        patch.start()
        self.addCleanup(patch.stop)

    def test_never_is_the_childs_own(self):
        with hugepages.switched("never") as prepare:
            self.assertIs(prepare, runs.without_huge_pages)
            self.assertEqual(hugepages.current(), "madvise")

    def test_always_is_put_back_after_a_failure_and_an_interruption(self):
        for error in (BenchError, KeyboardInterrupt):
            self.switch.write_text("always [madvise] never")
            with self.assertRaises(error), hugepages.switched("always") as prepare:
                self.assertIsNone(prepare)
                self.assertEqual(self.switch.read_text(), "always")
                raise error
            self.assertEqual(self.switch.read_text(), "madvise")

    def test_what_is_so_already_is_left_alone(self):
        with redirect_stderr(StringIO()) as errors, hugepages.switched("madvise"):
            pass
        self.assertEqual(self.switch.read_text(), "always [madvise] never")
        self.assertEqual(errors.getvalue(), "")

    def test_modes_begin_with_the_machines_own(self):
        self.assertEqual(hugepages.choose("never,always,madvise"), ["madvise", "always", "never"])
        self.assertEqual(hugepages.choose("never,always"), ["always", "never"])
        for wrong in ("", "alway", "never,"):
            self.assertRaises(BenchError, hugepages.choose, wrong)

    def test_a_kernel_without_huge_pages_has_one_mode(self):
        self.switch.unlink()
        (mode,) = hugepages.choose("madvise,always,never")
        self.assertEqual(hugepages.obstacle(mode), "")
        with hugepages.switched(mode) as prepare:
            self.assertIsNone(prepare)

    def test_a_change_by_others_is_told(self):
        with redirect_stderr(StringIO()) as errors, hugepages.switched("madvise"):
            self.switch.write_text("[always] madvise never")
        self.assertIn("from madvise to always", errors.getvalue())

    def test_no_right_to_change_it(self):
        with mock.patch.object(hugepages.os, "access", return_value=False):
            self.assertIn("only root", hugepages.obstacle("always"))
            self.assertEqual(hugepages.obstacle("never"), "")
            self.assertEqual(hugepages.obstacle("madvise"), "")

    def test_a_child_without_huge_pages_says_so(self):
        text = runs.execute(["/bin/grep", "THP_enabled", "/proc/self/status"], {},
                            runs.without_huge_pages)
        self.assertEqual(text.split(), ["THP_enabled:", "0"])


def loaded() -> types.ModuleType:
    """compare as a module: its file has no suffix to import it by."""
    command = types.ModuleType("compare")
    exec(compile(COMPARE.read_text(), str(COMPARE), "exec"), vars(command))
    return command


class Command(unittest.TestCase):
    def compare(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, "-B", COMPARE, *arguments], text=True, timeout=60,
                              capture_output=True, check=False)

    def test_help_names_every_suite(self):
        for arguments in (["--help"], ["memory", "--help"], ["all", "--help"]):
            done = self.compare(*arguments)
            self.assertEqual(done.returncode, 0, done.stderr)
            for name in (*suites.SUITES, suites.ALL):
                self.assertRegex(done.stdout, rf"(?m)^  {name} ")

    def test_every_suite_can_be_drawn_and_takes_what_all_passes_on(self):
        self.assertEqual(set(draw.SUITES), set(suites.SUITES))
        for suite in suites.SUITES.values():
            parser = argparse.ArgumentParser()
            suite.module().add_arguments(parser)
            found = parser.parse_args(["--build", "b", "--uslub", "u", "--quick", "--check",
                                       "--json", "f"])
            self.assertTrue(found.quick and found.check)

    def test_an_unbuilt_suite_says_how_to_build_it(self):
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "libuslub.so"
            library.write_text("")
            for name in ("memory", "tail", "startup"):
                done = self.compare(name, "--build", folder, "--peers", "glibc", "--quick")
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn("-DUSLUB_BENCH=ON", done.stderr)
                self.assertNotIn("Traceback", done.stderr)

    def test_bad_arguments(self):
        for arguments, expected in (
            (["memory", "--filter", "nothing"], "no row matches"),
            (["memory", "--filter", "("], "--filter ("),
            (["tail", "--rounds", "2"], "show no spread"),
            (["startup", "--peers", "nobody"], "nobody"),
        ):
            done = self.compare(*arguments, "--build", "/nowhere")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(expected, done.stderr)

    def test_all_goes_on_after_a_suite_that_fails_and_says_the_worst(self):
        command = loaded()
        statuses = {"micro": 0, "programs": BenchError("no perl"), "memory": 1}
        ran = []

        def run_suite(name: str, arguments: list) -> int:
            ran.append(name)
            status = statuses.get(name, 0)
            if isinstance(status, BenchError):
                raise status
            file = Path(arguments[arguments.index("--json") + 1])
            file.write_text(json.dumps({"suite": name}))
            return status

        with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()), \
                redirect_stderr(StringIO()) as errors:
            command.run_suite = run_suite
            file = Path(folder) / "all.json"
            self.assertEqual(command.run_all(["--quick", "--json", str(file)]), 2)
            found = json.loads(file.read_text())
        self.assertEqual(ran, list(suites.SUITES))
        self.assertEqual(set(found["suites"]), set(suites.SUITES) - {"programs"})
        self.assertIn("no perl", errors.getvalue())

    def test_after_sigterm_things_are_put_back(self):
        script = ("import sys, test_suites, time\n"
                  "sys.argv, c = ['compare'], test_suites.loaded()\n"
                  "def run(*_):\n"
                  "    try:\n        print('on', flush=True); time.sleep(50)\n"
                  "    finally:\n        print('back', flush=True)\n"
                  "c.run_suite = run\nsys.exit(c.main())\n")
        with subprocess.Popen([sys.executable, "-B", "-c", script], text=True,
                              cwd=COMPARE.parent, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as child:
            self.assertEqual(child.stdout.readline(), "on\n")
            child.send_signal(signal.SIGTERM)
            printed, errors = child.communicate(timeout=30)
        self.assertEqual((printed, child.returncode), ("back\n", 2), errors)
        self.assertIn("interrupted", errors)

    def test_the_lock_is_held_during_a_turn_only(self):
        with tempfile.TemporaryDirectory() as folder:
            lock = Path(folder) / "lock"
            probe = ["flock", "--nonblock", str(lock), "true"]
            with common.alone(lock):
                self.assertNotEqual(subprocess.run(probe, check=False).returncode, 0)
            self.assertEqual(subprocess.run(probe, check=False).returncode, 0)


if __name__ == "__main__":
    unittest.main()
