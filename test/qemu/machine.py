"""A machine in QEMU with three NUMA nodes, the last of which is empty: its monitor, its console and its shell.

No call waits without a limit. TestFailed ends a test; Machine.__exit__ ends QEMU, which ends with this process too.
"""

import ctypes
import json
import select
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

QEMU = "qemu-system-x86_64"
NODES = "/sys/devices/system/node"
DIMM_NODE = 2
DIMM_MIB = 256
# As many cpus as the smallest machine has that builds this. Node 1 is nearer to the DIMM than node 0. Of maxmem, 512 MiB are left for DIMMs.
HARDWARE = """
    -machine q35 -accel tcg,thread=multi -smp 2,sockets=2 -m 512M,slots=2,maxmem=1G
    -nodefaults -display none -no-reboot -nic none
    -object memory-backend-ram,id=ram0,size=256M,reserve=off -numa node,nodeid=0,cpus=0,memdev=ram0
    -object memory-backend-ram,id=ram1,size=256M,reserve=off -numa node,nodeid=1,cpus=1,memdev=ram1
    -numa node,nodeid=2
    -numa dist,src=0,dst=1,val=21 -numa dist,src=0,dst=2,val=31 -numa dist,src=1,dst=2,val=17
"""
# A panic ends QEMU. The kernel must not move pages by itself, nor set memory aside for devices below 4 GiB.
KERNEL_WORDS = "console=ttyS0 quiet loglevel=5 panic=-1 numa_balancing=disable swiotlb=noforce"
PR_SET_PDEATHSIG = 1


class TestFailed(Exception):
    """What is wrong, in words for whoever reads the test's output."""


def check(condition, message):
    if not condition:
        raise TestFailed(message)


def end_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Channel:
    """One of QEMU's ends: lines in, lines out."""

    def __init__(self, name):
        self.name = name
        self.ours, self.theirs = socket.socketpair()
        self.rest = b""

    def send(self, line):
        try:
            self.ours.sendall(line.encode() + b"\n")
        except OSError as error:
            raise TestFailed(f"{self.name}: {error}") from error

    def line(self, end):
        """The next line, before the time `end`."""
        while b"\n" not in self.rest:
            left = end - time.monotonic()
            check(left > 0 and select.select([self.ours], [], [], left)[0],
                  f"{self.name}: no answer in time; so far: {self.rest!r}")
            more = self.ours.recv(65536)
            check(more, f"{self.name}: QEMU has ended; so far: {self.rest!r}")
            self.rest += more
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode(errors="replace").rstrip("\r")


class Monitor:
    """QEMU's machine protocol (QMP): commands, and the events that come meanwhile."""

    def __init__(self, channel):
        self.channel = channel
        self.events = []

    def message(self, seconds):
        return json.loads(self.channel.line(time.monotonic() + seconds))

    def begin(self):
        check("QMP" in self.message(30), "the monitor doesn't greet")
        self.order("qmp_capabilities")

    def order(self, command, **arguments):
        self.channel.send(json.dumps({"execute": command, "arguments": arguments}))
        while True:
            answer = self.message(30)
            if "event" in answer:
                self.events.append(answer)
                continue
            check("return" in answer, f"{command} {arguments}: {answer}")
            return answer["return"]

    def wait_for(self, event, seconds, **data):
        """The event with that data; one that came already, or the next that does."""
        end = time.monotonic() + seconds
        while True:
            for seen in self.events:
                if seen["event"] == event and data.items() <= seen.get("data", {}).items():
                    self.events.remove(seen)
                    return seen
            left = end - time.monotonic()
            check(left > 0, f"no {event} {data} in {seconds} s, but {self.events}")
            self.events.append(self.message(left))


class Machine:
    """A guest that has booted, and obeys."""

    def __init__(self, folder, kernel, initramfs):
        self.console = Path(folder) / "console.log"
        self.transcript = []
        self.shell = Channel("the guest's shell")
        monitor = Channel("QEMU's monitor")
        self.monitor = Monitor(monitor)
        check(shutil.which(QEMU), f"there is no {QEMU}: install Debian's package qemu-system-x86")
        check(Path(kernel).is_file(), f"there is no kernel {kernel}: scripts/fetch-kernel fetches it")
        ends = (self.shell.theirs.fileno(), monitor.theirs.fileno())
        words = [QEMU, *HARDWARE.split(), "-kernel", str(kernel), "-initrd", str(initramfs),
                 "-append", KERNEL_WORDS, "-serial", f"file:{self.console}",
                 "-chardev", f"socket,id=shell,fd={ends[0]}", "-serial", "chardev:shell",
                 "-chardev", f"socket,id=monitor,fd={ends[1]}", "-mon", "chardev=monitor,mode=control"]
        self.process = subprocess.Popen(words, pass_fds=ends, stdin=subprocess.DEVNULL,
                                        preexec_fn=end_with_parent)
        self.shell.theirs.close()
        monitor.theirs.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.kill()
        self.process.wait()
        if kind:
            print(self.log(), flush=True)

    def log(self):
        """What the kernel said and what was done, for who has to find out what went wrong."""
        console = self.console.read_text(errors="replace") if self.console.exists() else ""
        return "\n".join(["== the guest's console", console.replace("\r", ""),
                          "== commands in the guest", *self.transcript, "== end"])

    def boot(self, seconds=120):
        self.monitor.begin()
        end = time.monotonic() + seconds
        while self.shell.line(end) != "ready":
            pass

    def attempt(self, command, seconds=60):
        """Runs a command of the guest's shell: its status, and all that it says."""
        self.shell.send(command)
        end = time.monotonic() + seconds
        self.transcript.append("$ " + command)
        lines = []
        while not lines or not lines[-1].startswith("status "):
            lines.append(self.shell.line(end))
        self.transcript += filter(None, lines)
        status = int(lines.pop().split()[1])
        # The empty line belongs to the status, but where the output didn't end with a line's end.
        if lines and not lines[-1]:
            lines.pop()
        return status, "\n".join(lines)

    def run(self, command, seconds=60):
        status, said = self.attempt(command, seconds)
        check(status == 0, f"{command}: status {status}, {said!r}")
        return said

    def note(self, text):
        """Writes a line to the guest's console, so that it stands among what the kernel says."""
        self.run("echo '" + text.replace("'", "") + "' >/dev/console")

    def read(self, path):
        return self.run(f"cat {path}")

    def wait_until(self, condition, what, seconds=20):
        """Asks until it is true; returns the seconds that it took."""
        start = time.monotonic()
        while not condition():
            check(time.monotonic() - start < seconds, f"{what}: not in {seconds} s")
            time.sleep(0.05)
        return time.monotonic() - start

    def has_dimm_memory(self):
        return self.attempt(f"ls -d {NODES}/node{DIMM_NODE}/memory*/state")[0] == 0

    def blocks(self):
        """The state files of the DIMM's blocks of memory."""
        return self.run(f"ls -d {NODES}/node{DIMM_NODE}/memory*/state").split()

    def plug(self):
        """A DIMM on the empty node; its blocks of memory come online as movable."""
        self.monitor.order("object-add", **{"qom-type": "memory-backend-ram", "id": "dimm_memory",
                                            "size": DIMM_MIB << 20, "reserve": False})
        self.monitor.order("device_add", driver="pc-dimm", id="dimm", memdev="dimm_memory",
                           node=DIMM_NODE)
        self.wait_until(self.has_dimm_memory, "the guest sees the DIMM")
        self.bring("online_movable")

    def bring(self, state):
        for file in self.blocks():
            self.run(f"echo {state} >{file}")

    def unplug(self, seconds=60):
        """Takes the DIMM out, as far as the guest lets it go."""
        self.monitor.order("device_del", id="dimm")
        self.monitor.wait_for("DEVICE_DELETED", seconds, device="dimm")
        self.monitor.order("object-del", id="dimm_memory")
        self.wait_until(lambda: not self.has_dimm_memory(), "the guest has done with the DIMM")
