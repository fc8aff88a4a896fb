#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The suite of whole programs: what it concludes, which runs it refuses, what its launcher counts."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import types
import unittest
from pathlib import Path

sys.dont_write_bytecode = True

from comparelib import allocators, programs, programs_box  # noqa: E402
from comparelib import programs_figures, programs_run  # noqa: E402
from comparelib.allocators import Allocator, BenchError  # noqa: E402
from comparelib.programs_box import BrokenRun, Program  # noqa: E402
from comparelib.programs_figures import Result  # noqa: E402
from comparelib.programs_run import Taken, Workspace  # noqa: E402

HERE = Path(__file__).resolve().parent
PEERS = ["glibc", "jemalloc", "mimalloc", "tcmalloc", "tbb"]
LIBC = Allocator("glibc", None, "")
MIB = 1024


def result(name="p", ours=(0.9, 0.9, 0.9), rss=(50, 50, 50), theirs=(1.0, 1.0, 1.0),
           their_rss=(50, 50, 50), own_peers=None):
    """uslub took @ours seconds and @rss MiB in its rounds, each peer @theirs and @their_rss."""
    found = Result(name)
    for allocator in ["uslub", *PEERS]:
        times, sizes = (ours, rss) if allocator == "uslub" else (theirs, their_rss)
        times, sizes = (own_peers or {}).get(allocator, (times, sizes))
        for seconds, size in zip(times, sizes):
            found.add(allocator, Taken(seconds, seconds, int(size * MIB), 1000, 0))
    return found


def check(*results, time="wall"):
    return programs_figures.check(list(results), PEERS, time)


def failures(*results):
    return " | ".join(check(*results).failures)


class Check(unittest.TestCase):
    def test_faster_and_as_lean_passes(self):
        verdict = check(result(), result("q"))
        self.assertTrue(verdict.passed, verdict.failures)
        self.assertEqual((verdict.undecided, verdict.doubtful), ([], []))

    def test_the_mean_has_to_be_below_every_peer(self):
        level = result(ours=(1.0, 1.0, 1.0))
        self.assertIn("not below tbb", failures(level))
        one = {"tbb": ((0.8, 0.8, 0.8), (50, 50, 50))}
        self.assertRegex(failures(result(own_peers=one)), r"not below tbb: wall time.*1\.125")

    def test_one_slow_program_fails_though_the_mean_is_good(self):
        slow = result("slow", ours=(1.05, 1.06, 1.05))
        text = failures(slow, result("a", ours=(0.5,) * 3))
        self.assertRegex(text, "more than 3% slower than the best: slow")
        self.assertNotIn("not below", text)

    def test_within_the_tolerance_is_no_failure(self):
        self.assertEqual(failures(result(ours=(1.02,) * 3), result("a", ours=(0.5,) * 3)), "")

    def test_the_best_peer_of_each_program_counts(self):
        one = {"tcmalloc": ((0.85,) * 3, (50,) * 3)}
        text = failures(result("p", own_peers=one), result("a", ours=(0.5,) * 3))
        self.assertRegex(text, "p: wall time over tcmalloc")

    def test_an_undecided_program_is_named_and_fails_nothing(self):
        noisy = result("noisy", ours=(0.9, 1.06, 1.5))
        verdict = check(noisy, result("a", ours=(0.5,) * 3))
        self.assertEqual(verdict.failures, [])
        self.assertIn("noisy", verdict.undecided[0])
        self.assertEqual(verdict.doubtful, ["noisy"])

    def test_time_may_be_processor_time(self):
        verdict = check(result(ours=(1.2,) * 3), time="cpu")
        self.assertIn("cpu time", verdict.failures[0])

    def test_the_mean_of_memory_may_be_level_but_not_above(self):
        self.assertEqual(failures(result()), "")
        text = failures(result(rss=(51,) * 3))
        self.assertRegex(text, r"above jemalloc: peak RSS.*\| above mimalloc")
        self.assertNotIn("glibc", text)

    def test_one_fat_program_fails(self):
        fat, lean = result("fat", rss=(56,) * 3), result("lean", rss=(20,) * 3)
        self.assertRegex(failures(fat, lean), r"^above the leanest by .*fat: peak RSS 56\.0 MiB")
        self.assertEqual(failures(result("fat", rss=(54,) * 3), lean), "")

    def test_a_small_program_may_need_a_mebibyte(self):
        lean = result("lean", rss=(20,) * 3)
        small = result("small", rss=(4.9,) * 3, their_rss=(4,) * 3)
        self.assertEqual(failures(small, lean), "")
        small = result("small", rss=(5.1,) * 3, their_rss=(4,) * 3)
        self.assertIn("small", failures(small, lean))

    def test_it_refuses_to_judge_too_little(self):
        with self.assertRaisesRegex(BenchError, "no program"):
            check()
        with self.assertRaisesRegex(BenchError, "tcmalloc"):
            programs_figures.check([result()], ["jemalloc", "mimalloc"])


BINDING = "      42:\tbinding file {} [0] to {} [0]: normal symbol `malloc' [GLIBC_2.2.5]\n"


def program(name="sh", **fields):
    module = types.ModuleType(name, "A program of the tests.")
    module.NEEDS, module.RUNS, module.QUICK, module.FULL = {"dash": "sh"}, (name,), 1, 1
    for key, value in fields.items():
        setattr(module, key, value)
    return Program(name, module)


class Bindings(unittest.TestCase):
    def check(self, *logs, runs=("sh",)):
        programs_run.check_bindings(program(RUNS=runs), LIBC, list(logs))

    def test_the_right_malloc_passes(self):
        self.check(BINDING.format("sh", "/lib/libc.so.6"))

    def test_another_malloc_is_refused(self):
        good = BINDING.format("sh", "/lib/libc.so.6")
        with self.assertRaisesRegex(BenchError, "malloc came from /lib/libother.so"):
            self.check(good, BINDING.format("sh", "/lib/libother.so"))

    def test_a_stub_of_the_program_is_followed(self):
        stub = BINDING.format("/lib/libx.so", "sh")
        self.check(stub + BINDING.format("sh", "/lib/libc.so.6"))
        with self.assertRaisesRegex(BenchError, "malloc came from sh"):
            self.check(stub + BINDING.format("/lib/liby.so", "/lib/libc.so.6"))

    def test_the_program_must_be_among_them(self):
        with self.assertRaisesRegex(BenchError, "cc1 did not run"):
            self.check(BINDING.format("sh", "/lib/libc.so.6"), runs=("sh", "cc1"))
        with self.assertRaisesRegex(BenchError, "sh did not run"):
            self.check()


class Runs(unittest.TestCase):
    """Real processes, through the launcher."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.space = Workspace(Path(cls.folder.name), quick=True)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def run_script(self, script, name="sh", allocator=LIBC, verify=False, **fields):
        self.space.boxes.pop(name, None)
        subprocess.run(["rm", "-rf", str(Path(self.folder.name) / name)], check=True)
        one = program(name, command=lambda box: ["sh", "-c", script], **fields)
        if verify:
            return programs_run.verify(self.space, one, allocator)
        return programs_run.run_once(self.space, one, allocator)

    def test_what_it_took(self):
        taken, output = self.run_script("echo done; sleep 0.2")
        self.assertEqual(output, "done\n")
        self.assertTrue(0.2 <= taken.wall < 5, taken)
        self.assertTrue(0 <= taken.cpu < 0.2, taken)
        self.assertGreater(taken.faults, 50)

    def test_the_peak_is_the_programs_not_the_harness(self):
        taken, _ = self.run_script("echo done")
        with open("/proc/self/status", encoding="ascii") as status:
            own = int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1))
        self.assertLess(taken.rss, own / 2)

    def test_the_peak_is_the_largest_processs(self):
        grow = "import time; x = bytearray(60 << 20); print(len(x))"
        taken, _ = self.run_script(f'{sys.executable} -ISc "{grow}"; true')
        self.assertTrue(60 * MIB < taken.rss < 120 * MIB, taken)

    def test_time_of_orphans_counts(self):
        burn = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"
        taken, _ = self.run_script(f"echo out; ({burn}) >/dev/null 2>&1 &")
        self.assertGreater(taken.cpu, 0.05)

    def test_broken_runs_are_refused(self):
        for script, text in (("exit 3", "exit status 3"), ("kill -9 $$", "SIGKILL"),
                             ("true", "printed nothing"), ("echo why >&2; exit 1", "why")):
            with self.assertRaisesRegex(BenchError, f"sh under glibc: .*{text}"):
                self.run_script(script)

    def test_a_check_of_the_description_refuses(self):
        def refuse(_box, output):
            raise BrokenRun(f"not {output.strip()}")
        with self.assertRaisesRegex(BenchError, "not this"):
            self.run_script("echo this", result=refuse)

    def test_the_preload_is_for_the_program_alone(self):
        library = Allocator("other", Path("/nowhere/libother.so"), "")
        _, output = self.run_script("echo $LD_PRELOAD; echo $MALLOC_ARENA_MAX",
                                    allocator=library)
        self.assertEqual(output, "/nowhere/libother.so\n\n")
        self.assertNotIn("LD_PRELOAD", os.environ)

    def test_verify_reads_whose_malloc_it_is(self):
        self.assertEqual(self.run_script("echo done", verify=True), "done\n")
        library = Allocator("other", allocators.find_library("libm.so.6"), "")
        with self.assertRaisesRegex(BenchError, "the preload had no effect"):
            self.run_script("echo done", allocator=library, verify=True)

    def test_a_server_is_asked_to_end(self):
        serve = "trap 'exit 0' INT; touch up; while :; do sleep 0.05; done"
        fields = {"server": lambda box: ["sh", "-c", serve],
                  "ready": lambda box: (box.run / "up").exists(),
                  "before": lambda box: None}
        taken, output = self.run_script("sleep 0.1; echo answered", name="server", **fields)
        self.assertEqual(output, "answered\n")
        self.assertGreaterEqual(taken.wall, 0.1)

    def test_a_server_that_ends_is_reported(self):
        fields = {"server": lambda box: ["sh", "-c", "echo no >&2; exit 1"],
                  "ready": lambda box: False}
        with self.assertRaisesRegex(BenchError, "the server ended. no"):
            self.run_script("true", name="ended", **fields)

    def test_a_hang_ends(self):
        self.run_script("echo done")
        one = program(command=lambda box: ["sh", "-c", "sleep 100"])
        box = self.space.boxes["sh"]
        process = programs_run.launch(self.space, one, LIBC, box, one.module.command(box), None)
        begin = time.monotonic()
        with self.assertRaisesRegex(BrokenRun, "no end after"):
            programs_run.wait(process, 0.2)
        self.assertLess(time.monotonic() - begin, 9)
        self.assertIsNotNone(process.returncode)

    def test_another_result_is_refused(self):
        comparison = programs.Comparison(self.space, [], [LIBC], None)
        one = program()
        comparison.compare_result(one, LIBC, "1")
        comparison.compare_result(one, LIBC, "1")
        with self.assertRaisesRegex(BenchError, "something else"):
            comparison.compare_result(one, LIBC, "2")

    def test_figures_of_another_run_do_not_count(self):
        self.run_script("echo done")
        box = self.space.boxes["sh"]
        one = program(command=lambda box: ["sh", "-c", "kill -9 $PPID"])
        with self.assertRaisesRegex(BenchError, "the launcher died"):
            programs_run.run_command(self.space, one, LIBC, box, None)

    def test_a_missing_package_is_named(self):
        one = program("absent", NEEDS={"absent-package": "no-such-command"})
        with self.assertRaisesRegex(BenchError, "absent-package"):
            programs_run.run_once(self.space, one, LIBC)


class Descriptions(unittest.TestCase):
    def test_each_says_what_it_must(self):
        found = programs_box.load_all()
        self.assertEqual(len(found), len(list((HERE / "programs").glob("*.py"))))
        self.assertGreaterEqual(len(found), 15)
        for one in found:
            with self.subTest(one.name):
                self.assertTrue(one.module.NEEDS and one.module.RUNS)
                self.assertLess(one.module.QUICK, one.module.FULL)
                self.assertTrue(callable(one.module.command))
                self.assertLess(len(one.about), 100)
                self.assertEqual(one.is_server, one.get("ready") is not None)

    def test_the_installer_knows_their_packages(self):
        text = (HERE.parent / "scripts" / "packages-bench.txt").read_text()
        listed = {line.partition("=")[0] for line in text.split("\n")
                  if line and not line.startswith("#")}
        needed = {package for one in programs_box.load_all() for package in one.module.NEEDS}
        self.assertLessEqual(needed, listed)

    def test_prose_is_the_same_everywhere(self):
        text = programs_box.prose(1, 500)
        self.assertEqual(len(text.split()), 500)
        self.assertEqual(text, programs_box.prose(1, 500))
        self.assertNotEqual(text, programs_box.prose(2, 500))


if __name__ == "__main__":
    signal.alarm(120)
    unittest.main()
