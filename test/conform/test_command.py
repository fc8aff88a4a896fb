"""The command line of `uslub`: what it lists, what it refuses, and that no library is mistaken for another.

Usage: test_command.py PROGRAM LIBRARY
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

PROGRAM, LIBRARY = (os.path.abspath(word) for word in sys.argv[1:3])
QUICK = "step.usable_size"


def run(*words, **keywords):
    return subprocess.run([PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False, timeout=60, **keywords)


class Command(unittest.TestCase):
    def refuses(self, *words, says):
        done = run(*words)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(says, done.stderr)
        self.assertEqual(done.stdout, "")

    def test_help_and_version(self):
        for words in (["--help"], ["conform", "--help"]):
            done = run(*words)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertTrue(done.stdout.startswith("Usage: uslub"))
        self.assertRegex(run("--version").stdout, r"^uslub \d+\.\d+\.\d+\n$")

    def test_mistyped_words(self):
        self.refuses(says="Usage")
        self.refuses("conforn", says="'conforn' is not a command")
        self.refuses("conform", "--jsn", "x", says="jsn")
        self.refuses("conform", "--case", says="case")
        self.refuses("conform", "--case", "stp.*", says="stp.*")
        self.refuses("conform", "--effort", "0", says="--effort")
        self.refuses("conform", "--seconds", "1x", says="1x")
        self.refuses("conform", "--jobs", "-1", says="-1")
        self.refuses("conform", LIBRARY, LIBRARY, says="one LIBRARY only")

    def test_list(self):
        done = run("conform", "--list")
        names = [line.split()[0] for line in done.stdout.splitlines()]
        self.assertEqual(done.returncode, 0)
        self.assertEqual(len(names), len(set(names)))
        self.assertIn(QUICK, names)
        for name in names:
            self.assertRegex(name, r"^[a-z]+\.[A-Za-z0-9_-]+$")
        done = run("conform", "--list", "--case", "deep.*")
        self.assertTrue(all(line.startswith("deep.") for line in done.stdout.splitlines()))

    def test_no_library_is_mistaken(self):
        self.refuses("conform", "/nowhere/libmalloc.so", says="no such library")
        self.refuses("conform", "--case", QUICK, "libnosuchmalloc.so", says="not preloaded")
        self.refuses("conform", "--case", QUICK, PROGRAM, says="")
        with tempfile.TemporaryDirectory() as directory:
            spaced = os.path.join(directory, "a b.so")
            os.symlink(LIBRARY, spaced)
            text = os.path.join(directory, "text.so")
            with open(text, "w", encoding="utf-8") as file:
                file.write("not a library\n")
            self.refuses("conform", "--case", QUICK, text, says="not preloaded")
            # The link's target is what is preloaded, and has no space.
            self.assertEqual(run("conform", "--case", QUICK, spaced).returncode, 0)
        libc = re.search(r"malloc of (\S+);", run("conform", "--case", QUICK).stdout)
        self.assertIn("libc", libc.group(1))
        self.refuses("conform", "--case", QUICK, self.library_without_malloc(),
                     says="has no malloc")

    @staticmethod
    def library_without_malloc():
        return os.path.realpath(next(
            line.split()[-1] for line in open("/proc/self/maps", encoding="utf-8")
            if re.search(r"/libm\.so|/libz\.so|/libcrypto\.so|/libpython\S*\.so", line)))

    def test_results(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "results.json")
            done = run("conform", "--case", QUICK, "--seed", "7", "--json", path, LIBRARY)
            self.assertEqual(done.returncode, 0, done.stdout)
            with open(path, encoding="utf-8") as file:
                results = json.load(file)
            self.assertEqual(results["seed"], 7)
            self.assertIn("libuslub", results["malloc"])
            (case,) = results["cases"]
            self.assertEqual((case["name"], case["word"]), (QUICK, "pass"))
            self.assertGreater(case["figures"]["instructions stepped"], 1000)
            self.refuses_to_write(os.path.join(directory, "no", "results.json"))

    def refuses_to_write(self, path):
        done = run("conform", "--case", QUICK, "--json", path, LIBRARY)
        self.assertEqual(done.returncode, 2)
        self.assertIn(path, done.stderr)

    def test_total(self):
        done = run("conform", "--case", QUICK, "--case", "step.fork", "--jobs", "2", LIBRARY)
        self.assertRegex(done.stdout, r"\ntotal: 2 of 2 pass; \d+\.\d s\n$")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
