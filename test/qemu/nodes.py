#!/usr/bin/env python3
"""uslub on a machine whose NUMA nodes are real, and come and go: a guest in QEMU (guest.py, machine.py).

Usage: nodes.py --kernel VMLINUZ --lib LIBUSLUB --tool USLUB --placed PROGRAM --confined PROGRAM [CASE...]
Without cases all are run. Each boots a guest of its own. A line `ok` or `FAILED` for each step, on the guest's
console as well; after a failure, what the guest's kernel said and all commands and their answers.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import initramfs
from guest import (MIB, SOON, Guest, end_of_load, fill_dimm, fill_node, fresh_is_local, fresh_shares, load_goes_on,
                   nothing_on_dimm, share)
from machine import DIMM_MIB, DIMM_NODE, NODES, TestFailed, check

HERE = Path(__file__).resolve().parent


def boots(guest):
    """The machine is what the other cases need, and what they look with is right: no uslub in it."""
    lists = {name: guest.read(f"{NODES}/{name}") for name in ("possible", "online", "has_cpu", "has_memory")}
    check(list(lists.values()) == ["0-2", "0-1", "0-1", "0-1"], f"the guest's nodes: {lists}")
    guest.ok(f"two nodes, and an empty one: {lists}")
    guest.begin(preloaded=False)
    for node in (0, 1):
        guest.tell(f"map {node} {4 * MIB}")
        check(share(guest.figures("where"), node) == 100, f"memory of node {node}, and no other")
        guest.tell("spoil")
        check(guest.tell("check") == ["1", "1"], "damage is found")
        guest.tell("mend")
        guest.intact()
        guest.tell("drop")
    fresh_is_local(guest, 8, 2)
    for way in ("offlined", "ejected"):
        guest.plug()
        check(guest.read(f"{NODES}/has_memory") == "0-2", "the kernel says that node 2 has memory")
        guest.tell(f"map {DIMM_NODE} {32 * MIB}")
        figures = guest.figures("where")
        check(share(figures, DIMM_NODE) == 100, f"memory of node {DIMM_NODE}: {figures}")
        guest.ok(f"a DIMM of {DIMM_MIB} MiB on node {DIMM_NODE}: {figures}")
        if way == "offlined":
            guest.bring("offline")
        guest.unplug()
        figures = guest.figures("where")
        check(share(figures, DIMM_NODE) == 0, f"the DIMM is out: {figures}")
        guest.ok(f"the DIMM, {way}, is out, {guest.intact()} mapping intact: {figures}")
        guest.tell("drop")
    guest.finish()


def preloaded(guest):
    """A program under the library runs on a machine with two nodes."""
    guest.begin()
    shares = fresh_shares(guest, 8, 2)
    guest.ok(f"8 threads have allocated: {shares}")
    for size, count in ((48, 20000), (3000, 1000), (200000, 20), (40 * MIB, 1)):
        guest.hold(-1, size, count)
    figures = guest.figures("where")
    share(figures)
    guest.ok(f"{guest.intact()} objects held, all intact: {figures}")
    guest.tell("work 6 -1")
    time.sleep(1)
    figures = guest.figures("census")
    share(figures)
    guest.ok(f"load, at an instant: {figures}, {guest.figures('locality')}")
    result = guest.figures("rest")
    check(result["errors"] == 0 and result["operations"] > 1000, f"load: {result}")
    guest.ok(f"load: {result}, and {guest.intact()} objects are intact")
    guest.tell("drop")
    guest.finish()


def local(guest):
    """Threads allocate on the node that they run on."""
    guest.begin()
    fresh_is_local(guest, 8, 4)
    # What these leave behind is free memory of both nodes.
    fresh_is_local(guest, 4, 6)
    for node in (0, 1):
        figures = fill_node(guest, node, 4)
        check(share(figures, node) == 100, f"objects of uslub_malloc_node(size, {node}): {figures}")
        guest.ok(f"{guest.intact()} objects asked of node {node}: {figures}")
        guest.tell("drop")
    guest.finish()


def tree(guest):
    """The control files say of nodes what the kernel's say, with and without the DIMM."""
    guest.begin()
    guest.ok(f"the tree is as /sys: {guest.tree_is_as_sysfs()}")
    seconds = guest.plug_and_wait()
    guest.ok(f"node 2 came online by itself in {seconds:.1f} s: {guest.tree_is_as_sysfs()}")
    guest.bring("offline")
    guest.unplug()
    seconds = guest.wait_until(lambda: guest.memory_is_there(False), "node 2 is gone from the tree", SOON)
    guest.ok(f"node 2 is gone by itself in {seconds:.1f} s: {guest.tree_is_as_sysfs()}")
    guest.finish()


def comes(guest):
    """A DIMM makes the empty node one that has memory; a program that runs allocates on it."""
    guest.begin()
    guest.hold(DIMM_NODE, 1000, 1000)
    figures = guest.figures("where")
    check(share(figures, 0, 1) == 100, f"the node is empty, objects of it come from elsewhere: {figures}")
    guest.ok(f"uslub_malloc_node(size, 2) of an empty node: {figures}")
    guest.tell("drop")
    seconds = guest.plug_and_wait()
    guest.ok(f"the service thread has seen node 2 after {seconds:.1f} s")
    fill_dimm(guest)
    check(guest.get(f"node{DIMM_NODE}/state") == "online", "node 2's state is online")
    guest.tell("drop")
    count = DIMM_MIB + 50
    guest.hold(DIMM_NODE, MIB, count)
    figures = guest.figures("where")
    check(share(figures, DIMM_NODE) >= 75, f"{count} MiB asked of node 2: {figures}")
    guest.ok(f"{count} MiB asked of node 2, which has {DIMM_MIB}; {guest.intact()} objects are intact: {figures}")
    guest.tell("drop")
    guest.finish()


def under_load(guest):
    """A DIMM with objects on it, and threads that allocate on all nodes."""
    guest.begin()
    guest.plug_and_wait()
    guest.tell(f"work 6 {DIMM_NODE}")
    fill_dimm(guest)
    guest.ok(f"load on all nodes: {guest.load_reaches_dimm()}")


def goes(guest):
    """A node goes offline by its control file while threads allocate on it; then the DIMM is taken out."""
    under_load(guest)
    seconds = guest.set_state("offline")
    guest.ok(f"node 2 is offline in uslub {seconds:.1f} s after it was told, under load")
    load_goes_on(guest)
    nothing_on_dimm(guest, "offline by its control file")
    guest.ok(f"{guest.intact()} objects are intact")
    guest.bring("offline")
    guest.unplug()
    guest.ok("the kernel has offlined the memory, and the DIMM is out")
    load_goes_on(guest)
    nothing_on_dimm(guest, "the DIMM is out")
    guest.wait_until(lambda: guest.memory_is_there(False), "node 2 has no memory in the tree", SOON)
    guest.ok(f"the tree is as /sys: {guest.tree_is_as_sysfs()}")
    guest.hold(DIMM_NODE, 500, 1000)
    check(share(guest.figures("where"), 0, 1) == 100, "what is asked of node 2 comes from elsewhere")
    end_of_load(guest)


def to_and_fro(guest):
    """A node goes offline and comes back, again and again, by its control file, under load."""
    guest.begin()
    guest.plug_and_wait()
    guest.tell(f"work 4 {DIMM_NODE}")
    guest.load_reaches_dimm()
    took = []
    for turn in range(8):
        took.append(guest.set_state("offline"))
        nothing_on_dimm(guest, f"offline, turn {turn}", ("census",))
        load_goes_on(guest)
        guest.set_state("online")
        guest.load_reaches_dimm()
    guest.ok(f"node 2 went offline and came back {len(took)} times, in up to {max(took):.1f} s; "
             f"the tree is as /sys: {guest.tree_is_as_sysfs()}")
    # What was on the node before, and elsewhere since, is not taken for memory of the node.
    fill_dimm(guest)
    end_of_load(guest)


def torn_out(guest):
    """The DIMM goes without a word to uslub, twice; and comes back."""
    under_load(guest)
    for way in ("memory offlined by the kernel", "ejected"):
        if way != "ejected":
            guest.bring("offline")
        guest.unplug()
        seconds = guest.wait_until(lambda: guest.memory_is_there(False), f"{way}: uslub sees it", SOON)
        guest.ok(f"{way}: node 2 is gone from uslub's tree after {seconds:.1f} s")
        load_goes_on(guest)
        nothing_on_dimm(guest, way)
        guest.ok(f"{guest.intact()} objects are intact; the tree is as /sys: {guest.tree_is_as_sysfs()}")
        guest.tell("drop")
        seconds = guest.plug_and_wait()
        guest.ok(f"the DIMM is back, node 2 is online after {seconds:.1f} s")
        fill_dimm(guest)
        load_goes_on(guest)
    end_of_load(guest)


def placed_under(guest, what, expected, asked_of_0=None, unbound=False, **how):
    """
    Threads on both nodes, and objects of the main thread: what percentage of their pages must be on node 1; also that
    of those which are asked of node 0, where the kernel leaves no choice. `unbound`: the process's own policy is strict,
    and no mapping has a softer one.
    """
    guest.begin(**how)
    shares = fresh_shares(guest, 4, 2)
    guest.hold(-1, 4000, 4000)
    figures = guest.figures("where")
    for node in (0, 1):
        figures[str(node)] += sum(share[3 + node] for share in shares)
    low, high = expected
    on_1 = share(figures, 1)
    check(low <= on_1 <= high, f"{what}: {on_1:.2f} % of the pages are on node 1: {figures}, {shares}")
    guest.ok(f"{what}: {on_1:.2f} % on node 1, {figures}")
    if unbound:
        softer = [line for line in guest.read(f"/proc/{guest.pid}/numa_maps").splitlines() if " prefer" in line]
        check(not softer, f"{what}, bound otherwise: {softer}")
    guest.tell("drop")
    if asked_of_0 is not None:
        guest.hold(0, 3000, 2000)
        figures = guest.figures("where")
        check(share(figures, 1) == asked_of_0, f"{what}, asked of node 0: {figures}")
        guest.ok(f"{what}, asked of node 0: {figures}")
    guest.finish()


def confined(guest):
    """Where the process may or should have its memory is its cpuset's and its memory policy's to say."""
    placed_under(guest, "memory policy bind:1", (100, 100), unbound=True, launcher="confined bind 1")
    placed_under(guest, "memory policy preferred:1", (95, 100), launcher="confined preferred 1")
    placed_under(guest, "memory policy interleave:0,1", (35, 65), launcher="confined interleave 0,1")
    guest.run("mkdir /run/cgroup && mount -t cgroup2 cgroup2 /run/cgroup && "
              "echo +cpuset >/run/cgroup/cgroup.subtree_control && mkdir /run/cgroup/one && "
              "echo 1 >/run/cgroup/one/cpuset.mems")
    into = "sh -c 'echo $$ >/run/cgroup/one/cgroup.procs && exec \"$@\"' in_cpuset"
    placed_under(guest, "cpuset of node 1", (100, 100), 100, launcher=into)
    placed_under(guest, "cpuset of node 1, policy:preferred:0", (100, 100), launcher=into,
                 options="policy:preferred:0")


def policies(guest):
    """USLUB=policy says where memory is from."""
    placed_under(guest, "policy:preferred:1", (95, 100), options="policy:preferred:1")
    placed_under(guest, "policy:bind:1", (100, 100), options="policy:bind:1")
    placed_under(guest, "policy:bind:0", (0, 0), options="policy:bind:0")
    placed_under(guest, "policy:interleave", (35, 65), options="policy:interleave")
    guest.begin(options="policy:local")
    fresh_is_local(guest, 4, 4)
    guest.finish()


CASES = {case.__name__: case for case in (
    boots, preloaded, local, tree, comes, goes, to_and_fro, torn_out, confined, policies)}


def run_case(case, args, folder):
    start = time.monotonic()
    root = Path(folder) / "initramfs"
    initramfs.make(root, [args.tool, args.placed, args.confined], args.lib, HERE / "init.sh")
    with Guest(folder, args.kernel, root) as guest:
        guest.boot()
        booted = time.monotonic() - start
        guest.ok(f"{case.__name__}: booted in {booted:.1f} s: {case.__doc__}")
        try:
            case(guest)
        except TestFailed as failure:
            guest.last_words(f"FAILED {case.__name__}: {failure}")
            raise
    print(f"{case.__name__}: done in {time.monotonic() - start:.1f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    for name in ("kernel", "lib", "tool", "placed", "confined"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=" ".join(CASES))
    args = parser.parse_args()
    for name in args.cases or CASES:
        if name not in CASES:
            parser.error(f"there is no case {name}")
        with tempfile.TemporaryDirectory(prefix="uslub-qemu-") as folder:
            try:
                run_case(CASES[name], args, folder)
            except (TestFailed, OSError) as failure:
                sys.exit(f"FAILED  {name}: {failure}")


if __name__ == "__main__":
    main()
