"""Tests ./run: what it preloads, what it passes on, and what it says where it can't.

Usage: test_run.py ROOT LIBUSLUB. ./run builds its own library in build/release.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT, LIBRARY = sys.argv[1:]
RUN = os.path.join(ROOT, "run")


def run(*arguments, **changes):
    environment = {key: value for key, value in os.environ.items()
                   if key not in ("LD_PRELOAD", "USLUB")}
    options = {"cwd": changes.pop("cwd", "/"), "input": changes.pop("input", "")}
    environment.update(changes)
    return subprocess.run([RUN, *arguments], env=environment, capture_output=True, text=True,
                          check=False, **options)


class Run(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        run("true")  # the first call may build, and says so

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="uslub-run-")
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def file(self, name, text, mode=0o755):
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(path, mode)
        return path

    def refused(self, status, complaint, *arguments):
        done = run(*arguments)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(complaint, done.stderr)
        self.assertEqual(done.stdout, "")

    def test_preloads_and_passes_everything_on(self):
        done = run("grep", "-c", "/build/release/libuslub[.]so", "/proc/self/maps")
        self.assertEqual(done.returncode, 0, done.stderr)
        done = run("sh", "-c", 'cat; printf "%s|" "$@"; pwd; exit 7', "sh", "a b", "", "--help",
                   input="input\n", cwd="/usr")
        self.assertEqual(done.returncode, 7, done.stderr)
        self.assertEqual(done.stdout, "input\na b||--help|/usr\n")
        self.assertEqual(done.stderr, "")

    def test_options_reach_the_library(self):
        done = run("python3", "-c", "pass", USLUB="stats:1")
        self.assertIn("kmalloc-", done.stderr)

    def test_keeps_a_preload_that_is_set(self):
        done = run("sh", "-c", "echo $LD_PRELOAD", LD_PRELOAD="libm.so.6")
        self.assertRegex(done.stdout, r"^/.*/libuslub\.so:libm\.so\.6\n$")

    def test_help(self):
        done = run("--help")
        self.assertEqual(done.returncode, 0)
        self.assertIn("./run PROGRAM", done.stdout)

    def test_what_is_not_there(self):
        self.refused(127, "no program 'no-such-program'", "no-such-program")
        self.refused(127, "there is no file './gone'", "./gone")
        self.refused(126, "is a directory", self.directory)
        self.refused(126, "may not be executed", self.file("plain", "text\n", 0o644))
        self.refused(126, "which isn't there", self.file("script", "#!/no/such/shell\n"))

    def test_static_program(self):
        source = self.file("main.c", "int main(void) { return 0; }\n")
        static = os.path.join(self.directory, "static")
        subprocess.run(["cc", "-static", "-o", static, source], check=True)
        self.refused(126, "linked statically", static)
        self.refused(126, "linked statically", self.file("script", f"#!{static}\n"))
        self.refused(126, "linked statically", self.file("by-env", f"#!/usr/bin/env {static}\n"))

    def test_setuid_program(self):
        program = shutil.which("passwd", path="/usr/bin:/bin")
        if os.getuid() == 0:
            program = os.path.join(self.directory, "setuid")
            shutil.copy(shutil.which("true"), program)
            os.chown(program, 65534, 65534)
            os.chmod(program, 0o4755)
        self.refused(126, "changes its user or group", program)

    def test_other_architecture(self):
        with open(shutil.which("true"), "rb") as stream:
            image = bytearray(stream.read())
        image[18] = 243  # e_machine: RISC-V
        program = self.file("riscv", "")
        with open(program, "wb") as stream:
            stream.write(image)
        self.refused(126, "another architecture", program)


if not os.path.exists(LIBRARY):
    sys.exit(f"there is no {LIBRARY}: build it first")
unittest.main(argv=sys.argv[:1])
