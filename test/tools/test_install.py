"""Installs into a temporary prefix and builds a user's program against it, each way there is.

Usage: test_install.py ROOT BUILD CC VERSION
"""

import glob
import os
import subprocess
import sys
import tempfile
import unittest

ROOT, BUILD, CC, VERSION = sys.argv[1:]
CONSUMER = os.path.join(ROOT, "test/tools/consumer")


def run(*command, **options):
    """Standard output; a failure shows all that the command said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: status {done.returncode}\n"
                             f"{done.stdout}{done.stderr}")
    return done.stdout


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="uslub-install-")
        first = os.path.join(cls.directory.name, "first")
        run("cmake", "--install", BUILD, "--prefix", first)
        # What was installed must work from wherever it is moved to.
        cls.prefix = os.path.join(cls.directory.name, "moved")
        os.rename(first, cls.prefix)
        cls.libdir = os.path.dirname(cls.installed("libuslub.a"))

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    @classmethod
    def installed(cls, name):
        found = glob.glob(f"{cls.prefix}/**/{name}", recursive=True)
        if len(found) != 1:
            raise AssertionError(f"{len(found)} files {name} under the prefix")
        return found[0]

    def pkg_config(self, *options):
        environment = {**os.environ, "PKG_CONFIG_PATH": f"{self.libdir}/pkgconfig"}
        return run("pkg-config", *options, "uslub", env=environment).split()

    def check_program(self, program):
        environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
        environment["USLUB"] = "stats:1"
        done = subprocess.run([program], env=environment, capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, "consumer works 1.5\n")
        self.assertIn("kmalloc-", done.stderr, "malloc in this program is not uslub's")

    def compile(self, name, *flags):
        program = os.path.join(self.directory.name, name)
        run(CC, "-Wall", "-Werror", f"{CONSUMER}/consumer.c", "-o", program, *flags)
        return program

    def test_library_names(self):
        self.assertEqual(os.readlink(f"{self.libdir}/libuslub.so"), "libuslub.so.0")
        self.assertEqual(os.readlink(f"{self.libdir}/libuslub.so.0"), f"libuslub.so.{VERSION}")
        dynamic = run("readelf", "--dynamic", "--wide", f"{self.libdir}/libuslub.so")
        self.assertIn("soname: [libuslub.so.0]", dynamic)
        needed = [line.split("[")[1].rstrip("]") for line in dynamic.splitlines()
                  if "(NEEDED)" in line]
        loader = [name for name in needed if name.startswith("ld-linux")]
        self.assertEqual(sorted(needed), sorted(["libc.so.6"] + loader))

    def test_pkg_config_shared(self):
        self.assertEqual(self.pkg_config("--modversion"), [VERSION])
        program = self.compile("shared", *self.pkg_config("--cflags", "--libs"),
                               f"-Wl,-rpath,{self.libdir}")
        self.check_program(program)
        self.assertIn("libuslub.so.0", run("readelf", "--dynamic", program))

    def test_pkg_config_static(self):
        program = self.compile("static", "-static",
                               *self.pkg_config("--static", "--cflags", "--libs"))
        self.check_program(program)

    def configure(self, build, version):
        return ["cmake", "-G", "Ninja", "-S", CONSUMER, "-B", build, f"-DCMAKE_C_COMPILER={CC}",
                f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DUSLUB_WANTED={version}"]

    def test_find_package(self):
        build = os.path.join(self.directory.name, "consumer")
        run(*self.configure(build, VERSION))
        run("cmake", "--build", build)
        self.check_program(f"{build}/consumer_shared")
        self.check_program(f"{build}/consumer_static")
        self.assertNotIn("libuslub", run("readelf", "--dynamic", f"{build}/consumer_static"))

    def test_other_version_is_refused(self):
        build = os.path.join(self.directory.name, "refused")
        done = subprocess.run(self.configure(build, "99.0"), capture_output=True, text=True,
                              check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("99.0", done.stderr)


unittest.main(argv=sys.argv[:1])
