"""Runs overcommit.c under vm.overcommit_memory 2, with little to be had, and puts all back after it.

Needs the right to write to /proc/sys/vm; is skipped where that is missing.
"""

import signal
import subprocess
import sys
from pathlib import Path

import harness

VM = Path("/proc/sys/vm")
# What the program may have, beside what the kernel keeps from it for the sake of others.
ALLOWANCE_KIB = 320 << 10
# Well below the test's own, so that the settings are put back even if the program hangs.
SECONDS = 60


def get(name):
    return int((VM / name).read_text())


def put(name, value):
    (VM / name).write_text(f"{value}\n")


def committed_kib():
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("Committed_AS:"):
            return int(line.split()[1])
    harness.fail("/proc/meminfo does not say Committed_AS")
    return 0


class Settings:
    """The system's, while the test lasts: one of ratio and kbytes is 0, and counts not."""

    def __enter__(self):
        self.mode = get("overcommit_memory")
        self.ratio = get("overcommit_ratio")
        self.kbytes = get("overcommit_kbytes")
        try:
            put("overcommit_memory", self.mode)
        except OSError as error:
            harness.skip(f"/proc/sys/vm can't be written: {error.strerror}")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
            signal.signal(number, lambda *_: sys.exit("FAILED: interrupted"))
        signal.alarm(SECONDS)
        return self

    def limit(self):
        reserve = get("user_reserve_kbytes")
        put("overcommit_kbytes", committed_kib() + ALLOWANCE_KIB + reserve)
        put("overcommit_memory", 2)

    def lift(self):
        put("overcommit_memory", self.mode)
        if self.kbytes:
            put("overcommit_kbytes", self.kbytes)
        else:
            put("overcommit_ratio", self.ratio)

    def __exit__(self, *_):
        signal.alarm(0)
        self.lift()


def expect(process, word):
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.strip() == word:
            return lines
    harness.fail(f"the program ended with {process.wait()} before it said '{word}': {lines}")
    return lines


def answer(process):
    process.stdin.write("go\n")
    process.stdin.flush()


def main():
    parser = harness.parser(__doc__)
    parser.add_argument("program")
    args = parser.parse_args()
    line, environment = harness.command(args, [args.program])
    environment["TEST_ALLOCATOR"] = Path(args.lib).name.split(".")[0]
    with Settings() as settings, subprocess.Popen(
            line, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True) as process:
        try:
            expect(process, "ready")
            settings.limit()
            answer(process)
            said = expect(process, "full")
            settings.lift()
            answer(process)
            expect(process, "ok")
        finally:
            process.kill()
    print("".join(said), end="")


main()
