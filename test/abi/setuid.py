#!/usr/bin/env python3
"""A setuid program takes no options from whoever starts it.

The loader drops LD_PRELOAD there, so the program is one that is linked with the library.
"""

import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

import harness

NOBODY = 65534
OPTIONS = "stats:1,bogus:1"


def become_nobody():
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def run_copy(args, folder, mode):
    copy = Path(folder) / f"holder-{mode:o}"
    shutil.copyfile(args.program, copy)
    copy.chmod(mode)
    return harness.run(args, [str(copy)], OPTIONS, preload=False, before=become_nobody)


def main():
    parser = harness.parser(__doc__)
    parser.add_argument("program", help="linked with libuslub.so by an absolute path")
    args = parser.parse_args()
    if os.geteuid() != 0:
        harness.skip("only root can make a setuid copy that another user runs")
    if args.emulator:
        harness.skip("an emulator of user processes does not run setuid programs as such")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, stat.S_IRWXU | stat.S_IROTH | stat.S_IXOTH)
        if os.statvfs(folder).f_flag & os.ST_NOSUID:
            harness.skip(f"{folder} is mounted nosuid")
        plain = run_copy(args, folder, 0o755)
        if plain.returncode != 0 and "cannot open shared object" in plain.stderr:
            harness.skip("the user nobody cannot read the build directory")
        done = run_copy(args, folder, 0o4755)
    harness.check("secure 0" in plain.stdout, plain.stdout + plain.stderr)
    harness.check("active_objs" in plain.stderr and "bogus" in plain.stderr,
                  f"the plain copy does not take options:\n{plain.stderr}")
    harness.check(done.returncode == 0 and "ok" in done.stdout, done.stdout + done.stderr)
    harness.check("secure 1" in done.stdout and "euid 0" in done.stdout,
                  f"the copy did not run setuid:\n{done.stdout}")
    harness.check(not done.stderr, f"the setuid copy took options:\n{done.stderr}")
    print("options are taken by a plain copy and not by a setuid one: ok")


if __name__ == "__main__":
    sys.exit(main())
