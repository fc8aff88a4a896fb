#!/usr/bin/env python3
"""The files of simulated nodes: lists, hotplug under load, vetoes, policies, and what caches have where."""

import errno
import re
import resource
from pathlib import Path

from peer import (LIST, READ, WRITE, Subject, check, name_of, os, request, run_cases, tool, wait_for)

NODE = "devices/system/node"
CACHE = "kernel/slab/kmalloc-2048"
FOUR = "nodes:4,distance:10/20/20/40,node_size:256M/512M/0/64M,node_cpus:0/1"


def must_store(subject, file, text, pid=None):
    error, _ = subject.ask(WRITE, file, text, pid=pid)
    check(error == 0, f"{text!r} to {file}: {name_of(error)}")


def node_words(text):
    """Of a figure's line: the sum, and what each node has."""
    words = text.split()
    return int(words[0]), {int(node): int(n) for node, n in
                           (word[1:].split("=") for word in words[1:])}


def used(subject, node):
    text = subject.show(f"{NODE}/node{node}/meminfo")
    return int(re.search(rf"^Node {node} MemUsed: +(\d+) kB$", text, re.MULTILINE).group(1))


def lists(args, path):
    """What there is, and a node that is added, by the socket and by the tool."""
    expected = {
        "possible": "0-3\n", "online": "0-3\n", "has_memory": "0-3\n", "has_normal_memory": "0-3\n",
        "has_cpu": "0-1\n", "policy": "local\n", "node1/state": "online\n",
        "node0/distance": "10 20 20 40\n", "node3/distance": "40 20 20 10\n",
        "node0/cpulist": "0\n", "node1/cpulist": "1\n", "node2/cpulist": "\n",
    }
    with Subject(args, path, options=FOUR) as subject:
        for file, text in expected.items():
            check(subject.show(f"{NODE}/{file}") == text, f"{file}: {subject.show(f'{NODE}/{file}')!r}")
            done = tool(args, "get", subject.pid, f"{NODE}/{file}")
            check(done == (0, text, ""), f"uslub get {file}: {done}")
        for node, size in enumerate((262144, 524288, None, 65536)):
            text = subject.show(f"{NODE}/node{node}/meminfo")
            check(re.fullmatch(rf"(Node {node} \w+: +\d+ kB\n){{7}}", text), text)
            check(size is None or f" {size} kB\n" in text.splitlines(True)[0], text)
            text = subject.show(f"{NODE}/node{node}/numastat")
            check(re.fullmatch(r"(\w+ \d+\n){6}", text), text)
        check(tool(args, "set", subject.pid, f"{NODE}/probe", "7 64M") == (0, "", ""), "probe")
        check(subject.show(f"{NODE}/possible") == "0-3,7\n", "a gap")
        check(subject.show(f"{NODE}/online") == "0-3\n", "it is offline at first")
        check(subject.show(f"{NODE}/node7/state") == "offline\n", "its state")
        check(subject.show(f"{NODE}/node7/distance") == "20 20 20 20\n", "to those online")
        check(subject.ask(LIST, NODE)[1].endswith("node2\nd 0555 node3\nd 0555 node7\n"), "listed")
        check(tool(args, "ls", subject.pid, NODE) == (0, "possible\nonline\nhas_memory\n"
              "has_normal_memory\nhas_cpu\nprobe\npolicy\nnode0\nnode1\nnode2\nnode3\nnode7\n", ""), "ls")
        must_store(subject, f"{NODE}/node7/state", "online\n")
        check(subject.show(f"{NODE}/online") == "0-3,7\n", "online")
        check(subject.show(f"{NODE}/has_memory") == "0-3,7\n", "with memory")
        check(subject.show(f"{NODE}/node7/distance") == "20 20 20 20 10\n", "to itself")
        must_store(subject, f"{NODE}/node2/state", "offline")
        wait_for(lambda: subject.show(f"{NODE}/node2/state") == "offline\n", "node 2 stays")
        check(subject.show(f"{NODE}/online") == "0-1,3,7\n", "two gaps")
        check(subject.show(f"{NODE}/possible") == "0-3,7\n", "it can come back")
        check(subject.show(f"{NODE}/node0/distance") == "10 20 40 20\n", "a column less")
        must_store(subject, f"{NODE}/probe", "1023 1G\n")
        must_store(subject, f"{NODE}/node1023/state", "online")
        check(subject.show(f"{NODE}/online") == "0-1,3,7,1023\n", "the last one that can be")


def errors(args, path):
    """What is refused, by sysfs's errnos; by the tool in their words."""
    stores = [
        ("node1/state", "online", errno.EINVAL), ("node1/state", "away", errno.EINVAL),
        ("node1/state", "going-offline", errno.EINVAL), ("node1/state", "offlin", errno.EINVAL),
        ("node1/state", "offline", 0), ("node1/state", "offline", errno.EINVAL),
        ("node0/state", "offline", errno.EBUSY), ("node1/state", "online", 0),
        ("node0/state", "offline", 0), ("node1/state", "offline", errno.EBUSY),
        ("node0/state", "online", 0), ("node2/state", "online", errno.ENOENT),
        ("probe", "1 64M", errno.EEXIST), ("probe", "1024 64M", errno.ERANGE),
        ("probe", "3 99999999999G", errno.ERANGE), ("probe", "3", errno.EINVAL),
        ("probe", "x 64M", errno.EINVAL), ("possible", "0-7", errno.EACCES),
        ("node1/meminfo", "0", errno.EACCES), ("policy", "remote", errno.EINVAL),
        ("policy", "preferred", errno.EINVAL), ("policy", "preferred:0,1", errno.EINVAL),
        ("policy", "bind:", errno.EINVAL), ("policy", "bind:1-0", errno.EINVAL),
        ("policy", "local:1", errno.EINVAL), ("policy", "preferred:2", errno.ERANGE),
        ("policy", "bind:0-2", errno.ERANGE), ("policy", "interleave:1,5000", errno.ERANGE),
        ("policy", "remote:5000", errno.EINVAL), ("policy", "interleave:0-1", 0),
    ]
    with Subject(args, path, options="nodes:2") as subject:
        for file, text, expected in stores:
            status, out, err = tool(args, "set", subject.pid, f"{NODE}/{file}", text)
            said = f"uslub set: {NODE}/{file}: {os.strerror(expected)}\n" if expected else ""
            check((status, out, err) == (1 if expected else 0, "", said),
                  f"{text} to {file}: {status} {err}, expected {said!r}")
        check(subject.ask(READ, f"{NODE}/probe")[0] == errno.EACCES, "probe is read")
        check(subject.show(f"{NODE}/online") == "0-1\n", "both are there")


def follow(subject, store, files, turns):
    """Stores, then reads the files over and over: all asked for at once, so that nobody waits in between."""
    with subject.connect() as peer:
        peer.send(request(WRITE, *store)
                  + b"".join(request(READ, file) for file in files) * turns)
        check(peer.answer()[0] == 0, f"{store}")
        return [[peer.answer()[1].decode() for _ in files] for _ in range(turns)]


def leaves(args, path):
    """A node with 200 MiB in use goes, and its memory turns up on the nearest, with progress; then it comes back."""
    with Subject(args, path, options=f"{FOUR},policy:preferred:1") as subject:
        check(subject.show(f"{NODE}/policy") == "preferred:1\n", "the option")
        subject.tell("fill 100000 2048", "filled")
        before = used(subject, 1)
        check(before > 200000 and used(subject, 0) < 1000, f"{before} KiB")
        files = [f"{NODE}/node1/meminfo", f"{NODE}/node1/state"]
        seen = follow(subject, (f"{NODE}/node1/state", "offline\n"), files, 100)
        states = [state.strip() for _, state in seen]
        moves = [int(re.search(r"MemUsed: +(\d+)", text).group(1)) for text, _ in seen]
        steps = sorted(set(states), key=states.index)
        check(steps == ["going-offline", "offline"], f"{steps}")
        check(moves == sorted(moves, reverse=True) and len(set(moves)) > 5, f"{moves}")
        check(used(subject, 1) == 0 and used(subject, 0) >= before, "it is all on node 0")
        check(subject.show(f"{NODE}/online") == "0,2-3\n", "online")
        total, nodes = node_words(subject.show(f"{CACHE}/objects"))
        check((total, nodes) == (100000, {0: 100000}), f"{total} {nodes}")
        check(subject.show(f"{NODE}/node0/numastat").startswith("numa_hit 0\n"), "what came to it is a hit")
        check(subject.tell("verify", "wrong") == 0, "what it held is another")
        must_store(subject, f"{NODE}/node1/state", "online\n")
        check(subject.show(f"{NODE}/node1/state") == "online\n", "back")
        wait_for(lambda: used(subject, 1) >= before, "its memory comes back as well")
        check(subject.tell("verify", "wrong") == 0, "what it held is another")
        check(subject.ask(WRITE, f"{CACHE}/validate", "1")[0] == 0, "damage")


def under_load(args, path):
    """Threads allocate and free while nodes come and go; `uslub node` follows one to its end."""
    with Subject(args, path, options="nodes:4,policy:interleave") as subject:
        subject.tell("untouched 512", "untouched")
        subject.tell("fill 10000 2048", "filled")
        subject.tell("churn", "churning")
        for turn in range(100):
            state = f"{NODE}/node{turn % 4}/state"
            must_store(subject, state, "offline\n")
            must_store(subject, f"{NODE}/node{turn % 4}/state", "online\n")
        must_store(subject, f"{NODE}/node1/state", "offline\n")
        status, out, err = tool(args, "node", subject.pid)
        rows = [line.split() for line in out.splitlines() if re.match(r" +1 ", line)]
        check((status, err, rows[-1][1], rows[-1][3]) == (0, "", "offline", "0K"), f"{out} {err}")
        for cache in ("kmalloc-48", "kmalloc-320", "kmalloc-2048"):
            check(subject.ask(WRITE, f"kernel/slab/{cache}/validate", "1")[0] == 0, f"{cache}: damage")
        churned = subject.tell("churned", "churned")
        check(churned > 1000 and subject.number("wrong") == 0, "an object was not the thread's own")
        check(subject.tell("verify", "wrong") == 0, "what it held is another")


def address_space(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmSize:\s+(\d+)", status).group(1)) * 1024


def veto(args, path):
    """Where what caches need on a node is not to be had it stays offline: ENOMEM, and no harm done."""
    with Subject(args, path, options="nodes:2") as subject:
        must_store(subject, f"{NODE}/probe", "5 64M")
        size = limit = address_space(subject.pid)
        state = f"{NODE}/node5/state"
        resource.prlimit(subject.pid, resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
        done = tool(args, "set", subject.pid, state, "online")
        check(done == (1, "", f"uslub set: {state}: {os.strerror(errno.ENOMEM)}\n"), f"{done}")
        # A little more each time. What was made is kept, and used in the end.
        tries = kept = error = 0
        while (error := subject.ask(WRITE, state, "online")[0]) == errno.ENOMEM:
            check(subject.show(state) == "offline\n" and subject.show(f"{NODE}/online") == "0-1\n",
                  "vetoed, and online")
            check(address_space(subject.pid) - size >= kept, "what was made has gone")
            kept = address_space(subject.pid) - size
            tries += 1
            limit += 128 << 10
            resource.prlimit(subject.pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        check(error == 0 and tries > 2, f"{name_of(error)} after {tries} tries")
        print(f"{tries} vetoes; of what was made {kept >> 10} KiB were kept")
        check(kept > 0, "nothing was kept")
        check(subject.show(f"{NODE}/online") == "0-1,5\n", "online at last")
        resource.prlimit(subject.pid, resource.RLIMIT_AS,
                         (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        must_store(subject, f"{NODE}/policy", "preferred:5")
        subject.tell("hold 1000 2048", "held")
        check(node_words(subject.show(f"{CACHE}/objects")) == (1000, {5: 1000}), "and used")


def policies(args, path):
    """What is stored is shown, and obeyed from the next slow path on."""
    sizes = iter((160, 192, 224, 256, 320, 384, 448, 512))

    def placed(policy):
        """Where 20,000 objects of a size that nobody else has come from."""
        must_store(subject, f"{NODE}/policy", policy + "\n")
        check(subject.show(f"{NODE}/policy") == policy + "\n", policy)
        size = next(sizes)
        subject.tell(f"hold 20000 {size}", "held")
        _, nodes = node_words(subject.show(f"kernel/slab/kmalloc-{size}/slabs"))
        return nodes

    with Subject(args, path, options="nodes:4,node_cpus:0-63/64-127,policy:interleave") as subject:
        check(subject.show(f"{NODE}/policy") == "interleave\n", "the option")
        nodes = placed("interleave")
        check(set(nodes) == {0, 1, 2, 3} and min(nodes.values()) * 2 > max(nodes.values()), f"{nodes}")
        hits = [int(subject.show(f"{NODE}/node{node}/numastat").split()[7]) for node in range(4)]
        check(min(hits) > 0, f"interleave_hit {hits}")
        check(set(placed("interleave:1,3")) == {1, 3}, "interleave:1,3")
        check(set(placed("preferred:2")) == {2}, "preferred:2")
        check(set(placed("local")) == {0}, "local")
        check(set(placed("bind:1-2")) < {1, 2}, "bind:1-2: the nearer one")
        # Of what it is bound to one is left, then none: so it binds nobody until one comes back.
        must_store(subject, f"{NODE}/node1/state", "offline")
        check(set(placed("bind:1-2")) == {2}, "bind:1-2 without 1")
        must_store(subject, f"{NODE}/node2/state", "offline")
        check(set(placed("bind:1-2")) <= {0, 3}, "bind:1-2 without both")
        must_store(subject, f"{NODE}/node1/state", "online")
        check(set(placed("bind:1-2")) == {1}, "bind:1-2 with 1 again")
    with Subject(args, path, options="nodes:2,policy:bind:0,1,stats:0") as subject:
        check(subject.show(f"{NODE}/policy") == "bind:0-1\n", "a list among the options")


def caches(args, path):
    """Figures by node are sums; a slab of another node is given up, or, as the ratio has it, taken."""
    with Subject(args, path, options="nodes:2,policy:preferred:1") as subject:
        def counted(what):
            return int(subject.show(f"{CACHE}/{what}").split()[0])

        def objects():
            return node_words(subject.show(f"{CACHE}/objects"))[1]

        check(counted("remote_node_defrag_ratio") == 0, "the default")
        subject.tell("scatter 2048", "scattered")
        check(objects() == {1: 500}, f"{objects()}")
        for figure in ("slabs", "total_objects", "objects", "partial", "objects_partial"):
            total, nodes = node_words(subject.show(f"{CACHE}/{figure}"))
            check(total > 0 and nodes == {1: total}, f"{figure}: {total} {nodes}")
        subject.tell("hold 10 2048", "held")
        must_store(subject, f"{NODE}/policy", "preferred:0")
        check(counted("alloc_node_mismatch") == 0, "too early")
        subject.tell("hold 1000 2048", "held")
        check(counted("alloc_node_mismatch") == 1, f"{counted('alloc_node_mismatch')} mismatches")
        total, nodes = node_words(subject.show(f"{CACHE}/slabs"))
        check(total == sum(nodes.values()) and set(nodes) == {0, 1}, f"{total} {nodes}")
        before = objects()
        check(1000 > before[0] > 900 and before[1] < 620, f"with ratio 0: {before}")
        must_store(subject, f"{CACHE}/alloc_node_mismatch", "0")
        check(counted("alloc_node_mismatch") == 0, "not cleared")
        must_store(subject, f"{CACHE}/remote_node_defrag_ratio", "100\n")
        subject.tell("hold 1000 2048", "held")
        after = objects()
        check(after[1] - before[1] > 900, f"with ratio 100: {before}, then {after}")
        must_store(subject, f"{CACHE}/remote_node_defrag_ratio", "0\n")
        subject.tell("hold 1000 2048", "held")
        check(objects()[1] - after[1] < 100, f"with ratio 0 again: {after}, then {objects()}")


def fork_on_the_way(subject):
    """A child of the time when node 1 goes offline, which takes half a second."""
    for _ in range(10):
        must_store(subject, f"{NODE}/node1/state", "offline")
        child = subject.tell("child fork 0", "child")
        if subject.show(f"{NODE}/node1/state") == "going-offline\n":
            return child
        os.kill(child, 9)
        must_store(subject, f"{NODE}/node1/state", "online")
    return check(False, "it is always done before the fork")


def in_a_child(args, path):
    """A child has nodes of its own; what was on its way goes on in it, and in its parent."""
    with Subject(args, path, options="nodes:2,policy:preferred:1") as subject:
        subject.tell("untouched 2048", "untouched")
        subject.tell("fill 5000 2048", "filled")
        child = fork_on_the_way(subject)
        for pid in (None, child):
            wait_for(lambda pid=pid: subject.is_served(pid), "the child does not serve")
            wait_for(lambda pid=pid: subject.show(f"{NODE}/node1/state", pid) == "offline\n",
                     f"it goes on in {pid}")
            check(subject.show(f"{NODE}/online", pid) == "0\n", "online")
            check(node_words(subject.show(f"{CACHE}/objects", pid))[1] == {0: 5000}, "moved")
        must_store(subject, f"{NODE}/node1/state", "online", child)
        must_store(subject, f"{NODE}/probe", "9 1G", child)
        check(subject.show(f"{NODE}/possible", child) == "0-1,9\n", "the child's")
        check(subject.show(f"{NODE}/possible") == "0-1\n", "the parent's")
        check(subject.show(f"{NODE}/online") == "0\n", "the parent's")
        check(subject.tell("verify", "wrong") == 0, "what it held is another")
        os.kill(child, 9)


def drawn(args, path):
    """`uslub run` with nodes, and what `uslub node` draws of them."""
    done = tool(args, "run", f"--control={path}", "--nodes", 4, "--distance", "10/20/20/40",
                "--node-size", "256M/512M/64M/1G", "--node-cpus", "0/1", "--policy", "preferred:2",
                "--", "bash", "-c", f"'{args.tool}' node $$; echo $USLUB")
    check((done[0], done[2]) == (0, ""), f"{done}")
    head, *rows, options = done[1].splitlines()
    check(options == f"control:{path},nodes:4,distance:10/20/20/40,node_size:256M/512M/64M/1G,"
                     "node_cpus:0/1,policy:preferred:2", options)
    check(head.split() == ["NODE", "STATE", "SIZE", "USED", "HIT", "MISS", "CPUS", "DISTANCE"], head)
    check(len(rows) == 4, f"{rows}")
    cells = [re.fullmatch(r" +(\d) +online +(\S+) +(\d+[KM]) +\[([#.]{20})\] +(\d+) +(\d+)  (.{10}) "
                          r"([\d ]+)", row) for row in rows]
    check(all(cells), f"{rows}")
    cells = [[cell.strip() for cell in match.groups()] for match in cells]
    check([row[:2] for row in cells] == [["0", "256M"], ["1", "512M"], ["2", "64M"], ["3", "1024M"]],
          f"{rows}")
    check([row[6:] for row in cells] == [["0", "10 20 20 40"], ["1", "20 10 20 20"],
                                         ["", "20 20 10 20"], ["", "40 20 20 10"]], f"{rows}")
    check(cells[2][3].startswith("#") and int(cells[2][4]) > 0, f"it prefers node 2: {rows}")


if __name__ == "__main__":
    run_cases(__doc__, [lists, errors, leaves, under_load, veto, policies, caches, in_a_child, drawn])
