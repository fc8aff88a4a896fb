#!/usr/bin/env python3
"""How the service thread learns of the machine's nodes: by the kernel's events, or by looking once a second."""

import ctypes
import platform
import resource
import socket
import struct
from pathlib import Path

from peer import READ, Subject, as_user, check, harness, os, run_cases, time, wait_for

FILE = "devices/system/node/online"
NOBODY = 65534
UEVENTS = 15
NEW_USER, NEW_NET = 0x10000000, 0x40000000
SECONDS = 1.7
libc = ctypes.CDLL(None, use_errno=True)


def plain_user(args, path):
    """What makes the subject one without privileges, whose service thread has no other reason to wake up."""
    if os.geteuid() != 0:
        return lambda: None
    if as_user(NOBODY, lambda: not (os.access(args.subject, os.X_OK) and os.access(args.lib, os.R_OK))):
        harness.skip("the user nobody cannot read the build directory")
    os.chown(path, NOBODY, NOBODY)

    def become():
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)

    return become


def wakes(subject):
    """How often its service thread has gone to sleep so far."""
    task = Path(f"/proc/{subject.pid}/task/{subject.service_thread()}/status")
    lines = dict(line.split(":", 1) for line in task.read_text().splitlines())
    return int(lines["voluntary_ctxt_switches"])


def wakes_of_itself(subject):
    """In SECONDS; not of its beginning, and of what it was told, to which it comes back after a second."""
    time.sleep(1.5)
    before = wakes(subject)
    time.sleep(SECONDS)
    return wakes(subject) - before


def has_events(subject):
    """Has it a socket of the kernel's events?"""
    mine = {os.readlink(link) for link in
            Path(f"/proc/{subject.pid}/task/{subject.service_thread()}/fd").iterdir()}
    for line in Path(f"/proc/{subject.pid}/net/netlink").read_text().splitlines()[1:]:
        words = line.split()
        if int(words[1]) == UEVENTS and f"socket:[{words[-1]}]" in mine:
            return True
    return False


def tell(*events):
    """Says what the kernel would say, to who listens."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, UEVENTS) as said:
        for event in events:
            action, path = event.split("@")
            subsystem = path.split("/")[3]
            text = f"{event}\0ACTION={action}\0DEVPATH={path}\0SUBSYSTEM={subsystem}\0SEQNUM=1\0"
            said.sendto(text.encode(), (0, 1))


def told(args, path):
    """Where it is told of nodes and memory it sleeps until it is; other events don't wake it."""
    with Subject(args, path, before=plain_user(args, path)) as subject:
        if not has_events(subject):
            harness.skip("this machine, or container, tells nobody of its devices")
        check(wakes_of_itself(subject) == 0, "it wakes up though nothing happens")
        if os.geteuid() != 0:
            harness.skip("only root can say what the kernel would")
        before = wakes(subject)
        tell("add@/devices/virtual/block/loop0", "change@/devices/system/cpu/cpu1",
             "remove@/devices/virtual/net/veth0", "offline@/devices/pci0000:00/0000:00:01.0",
             "add@/module/nodememory/system/node")
        time.sleep(0.3)
        check(wakes(subject) == before, "an event of something else wakes it")
        for event in ("add@/devices/system/node/node1", "online@/devices/system/memory/memory40",
                      "offline@/devices/system/memory/memory40",
                      "remove@/devices/system/memory/memory40", "change@/devices/system/node/node1"):
            before = wakes(subject)
            tell(event)
            wait_for(lambda before=before: wakes(subject) > before, f"{event} is not seen")
        # More than a socket holds: some are lost, and it is served all the same.
        tell(*["online@/devices/system/memory/memory40"] * 3000)
        check(subject.show(FILE) == "0\n", "after many")
        time.sleep(1.5)
        before = wakes(subject)
        time.sleep(0.5)
        check(wakes(subject) == before, "it doesn't come to rest")


def looks_by_itself(subject):
    check(not has_events(subject), "it has events")
    count = wakes_of_itself(subject)
    check(1 <= count <= 5, f"it woke up {count} times in {SECONDS} s")
    check(subject.show(FILE) == "0\n", "served")


def another_namespace(args, path):
    """In a network namespace of its own the kernel would tell it nothing: it looks once a second."""
    become = plain_user(args, path)

    def leave():
        become()
        if libc.unshare(NEW_USER | NEW_NET):
            raise OSError(ctypes.get_errno(), "unshare")

    child = os.fork()
    if child == 0:
        os._exit(libc.unshare(NEW_USER | NEW_NET) != 0)
    if os.waitpid(child, 0)[1] != 0:
        harness.skip("this machine makes no user namespace")
    with Subject(args, path, before=leave) as subject:
        looks_by_itself(subject)


def refuse_netlink():
    """A filter under which socket(AF_NETLINK) is refused."""
    number, call = (41, 317) if platform.machine() == "x86_64" else (198, 277)
    steps = [(0x20, 0, 0, 0), (0x15, 0, 3, number), (0x20, 0, 0, 16),
             (0x15, 0, 1, socket.AF_NETLINK), (0x06, 0, 0, 0x50000 | 1), (0x06, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = struct.pack("@HP", len(steps), ctypes.addressof(code))
    if libc.prctl(38, 1, 0, 0, 0) or libc.syscall(call, 1, 0, program):
        raise OSError(ctypes.get_errno(), "seccomp")


def filtered(args, path):
    """The same where a filter refuses the socket."""
    become = plain_user(args, path)

    def start():
        become()
        refuse_netlink()

    with Subject(args, path, before=start) as subject:
        looks_by_itself(subject)


def few_descriptors(args, path):
    """Who asks goes before events: with one number left for both, it looks by itself from then on."""
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (6, 6))

    with Subject(args, path, before=limit) as subject:
        had = has_events(subject)
        with subject.connect() as first, subject.connect() as second:
            check(first.ask(READ, FILE) == second.ask(READ, FILE) == (0, "0\n"), "both are served")
        check(not has_events(subject), "it has events")
        check(subject.show(FILE) == "0\n", "served")
    if not had:
        harness.skip("this machine, or container, tells nobody of its devices")


if __name__ == "__main__":
    run_cases(__doc__, [told, another_namespace, filtered, few_descriptors])
