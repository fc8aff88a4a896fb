#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How numa-placement finds nodes and reads what its program prints. Nothing is measured."""

import subprocess
import sys
import tempfile
import types
import unittest
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True

from comparelib import runs  # noqa: E402
from comparelib.allocators import BenchError  # noqa: E402

SCRIPT = Path(__file__).resolve().parent / "numa-placement"

LEFT = """malloc /lib/libuslub.so
nodes simulated
first before 2000 9000
leaving 500000 250000000
used leaving 1048576 0
first after 2500 88000
objects 1000 0
coming 500000 1000000
used coming 0 1048576
first again 2400 30000
malloc-quiet 9000 5000 10
malloc-leaving 12000 6000 20
malloc-coming 8000 4000 30
"""


def loaded() -> types.ModuleType:
    script = types.ModuleType("numa_placement")
    script.__file__ = str(SCRIPT)
    exec(compile(SCRIPT.read_text(), str(SCRIPT), "exec"), vars(script))
    return script


NUMA = loaded()


class FindNodes(unittest.TestCase):
    def nodes(self, cpulists: dict[int, str], has_memory: str, allowed: set[int]):
        with tempfile.TemporaryDirectory() as folder:
            sysfs = Path(folder)
            for node, cpus in cpulists.items():
                (sysfs / f"node{node}").mkdir()
                (sysfs / f"node{node}" / "cpulist").write_text(cpus + "\n")
            (sysfs / "has_memory").write_text(has_memory + "\n")
            with mock.patch.object(NUMA.os, "sched_getaffinity", return_value=allowed):
                return NUMA.Nodes(sysfs)

    def test_the_machines_own(self):
        found = self.nodes({0: "0-1", 2: "2,5-6", 3: ""}, "0,2-3", {1, 6})
        self.assertTrue(found.real)
        self.assertEqual((found.places, found.option), (["1:0", "6:2"], ""))

    def test_simulated_ones_where_there_is_one(self):
        found = self.nodes({0: "0-7"}, "0", {2, 3, 4, 5, 6})
        self.assertFalse(found.real)
        self.assertEqual(found.places, ["2:0", "3:1", "4:2", "5:3"])
        self.assertEqual(found.option, "nodes:4,node_cpus:2/3/4/5")
        self.assertIn("simulated", found.describe())

    def test_on_one_of_several_nothing_can_be_said(self):
        with self.assertRaisesRegex(BenchError, "may run on one alone"):
            self.nodes({0: "0-1", 1: "2-3"}, "0-1", {2, 3})

    def test_one_processor_is_too_few(self):
        with self.assertRaisesRegex(BenchError, "two processors"):
            self.nodes({0: "0"}, "0", {0})


class Read(unittest.TestCase):
    def test_lists(self):
        self.assertEqual(NUMA.read_list("0-2,5\n"), [0, 1, 2, 5])
        self.assertEqual(NUMA.read_list("\n"), [])

    def test_times_and_what_is_missing(self):
        output = runs.Output("ns pairs 3100\nns large 20000\n")
        self.assertEqual(NUMA.read_ns(output, ["pairs", "large"]), {"pairs": 3.1, "large": 20.0})
        with self.assertRaisesRegex(BenchError, "no bursts"):
            NUMA.read_ns(output, ["pairs", "bursts"])

    def test_shares(self):
        text = "".join(f"share {phase} 1 4\n" for phase in NUMA.PHASES)
        self.assertEqual(set(NUMA.read_shares(runs.Output(text), "share").values()), {25.0})
        with self.assertRaisesRegex(BenchError, "pages of nothing"):
            NUMA.read_shares(runs.Output(text), "pages")

    def test_a_node_that_left(self):
        found = NUMA.read_leave(runs.Output(LEFT))
        self.assertEqual(found["offline done, s"], 0.25)
        self.assertEqual(found["before leaving, MiB"], 1024)
        self.assertEqual(found["the same by CPU time, leaving, us"], 6)
        self.assertEqual(found["first thousand, after, us"], 88)
        self.assertEqual(found["objects left behind"], 0)

    def test_a_node_that_left_with_no_answer(self):
        with self.assertRaisesRegex(BenchError, "begin with leaving"):
            NUMA.read_leave(runs.Output(LEFT.replace("leaving 500000", "staying 500000")))

    def test_tables_have_what_was_measured(self):
        bench = mock.Mock(figures={"share own": [99, 100, 100], "pages own": [98, 99, 100]},
                          nodes=mock.Mock(real=True))
        out = StringIO()
        with redirect_stdout(out):
            NUMA.print_places(bench)
        self.assertRegex(out.getvalue(), r"own +100 +99\.0 to 100 +uslub_node_of\n")
        self.assertRegex(out.getvalue(), r"own +99\.0 +98\.0 to 100 +move_pages\n")


class Command(unittest.TestCase):
    def run_script(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, "-B", SCRIPT, *arguments], text=True, timeout=60,
                              capture_output=True, check=False)

    def test_bad_arguments(self):
        for arguments, expected in (
            (["--parts", "place,nothing"], "choose from"),
            (["--mib", "0"], "1 at least"),
            (["--rounds", "2"], "show no spread"),
            (["--build", "/nowhere"], "-DUSLUB_BENCH=ON"),
        ):
            done = self.run_script(*arguments)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(expected, done.stderr)
            self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    unittest.main()
