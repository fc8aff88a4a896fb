#!/usr/bin/env python3
"""The control files of a program, through the socket and by `uslub ls`, `get` and `set`."""

import errno
import re

from peer import (LIST, READ, STAT, WRITE, Subject, check, harness, name_of, os, request, run_cases,
                  tool)

NODE = "devices/system/node"
CACHE = "kernel/slab/kmalloc-2048"

# path, what is written, the errno
STORES = [
    (f"{NODE}/node0/state", "online\n", errno.EINVAL),
    (f"{NODE}/node0/state", "offline\n", errno.EBUSY),
    (f"{NODE}/node0/state", "gone\n", errno.EINVAL),
    (f"{NODE}/online", "1\n", errno.EACCES),
    (f"{NODE}/probe", "5000 1G", errno.ERANGE),
    (f"{NODE}/probe", "1 what", errno.EINVAL),
    (f"{CACHE}/remote_node_defrag_ratio", "101\n", errno.ERANGE),
    (f"{CACHE}/remote_node_defrag_ratio", "many\n", errno.EINVAL),
    (f"{CACHE}/remote_node_defrag_ratio", "70\n", 0),
    (f"{CACHE}/shrink", "0\n", errno.EINVAL),
    (f"{CACHE}/shrink", "1\n", 0),
    (f"{CACHE}/validate", "1\n", 0),
    (f"{CACHE}/objects", "1\n", errno.EACCES),
    (f"{CACHE}/alloc_slowpath", "7\n", errno.EINVAL),
    (f"{CACHE}/alloc_slowpath", "0\n", 0),
    (f"{CACHE}/none", "1\n", errno.ENOENT),
    (CACHE, "1\n", errno.EISDIR),
    ("slabinfo/x", "1\n", errno.ENOTDIR),
]


def formats(args, path):
    """Each file reads as the kernel's of that name does."""
    patterns = {
        f"{NODE}/possible": r"0\n",
        f"{NODE}/online": r"0\n",
        f"{NODE}/has_memory": r"0\n",
        f"{NODE}/has_normal_memory": r"0\n",
        f"{NODE}/has_cpu": r"0\n",
        f"{NODE}/node0/state": r"online\n",
        f"{NODE}/node0/distance": r"10\n",
        f"{NODE}/node0/cpulist": r"\d+(-\d+)?(,\d+(-\d+)?)*\n",
        f"{NODE}/node0/meminfo": r"(Node 0 \w+: +\d+ kB\n)+",
        f"{NODE}/node0/numastat": r"numa_hit \d+\nnuma_miss \d+\nnuma_foreign \d+\n"
                                  r"interleave_hit \d+\nlocal_node \d+\nother_node \d+\n",
        f"{CACHE}/object_size": r"2048\n",
        f"{CACHE}/objects": r"5000 N0=5000\n",
        f"{CACHE}/slabs": r"(\d+) N0=\1\n",
        f"{CACHE}/order": r"\d+\n",
        f"{CACHE}/validate": r"",
        "slabinfo": r"slabinfo - version: 2\.1\n# name .*\n"
                    r"(\S+( +\d+){5} : tunables +0 +0 +0 : slabdata( +\d+){3}\n)+",
    }
    with Subject(args, path) as subject:
        subject.tell("hold 5000 2048", "held")
        for file, pattern in patterns.items():
            text = subject.show(file)
            check(re.fullmatch(pattern, text), f"{file} reads {text[:200]!r}")
        meminfo = dict(re.findall(r"Node 0 (\w+): +(\d+) kB", subject.show(f"{NODE}/node0/meminfo")))
        check(10000 <= int(meminfo["Slab"]) <= 14000, f"5000 * 2 KiB are held: {meminfo}")
        row = re.search(r"^kmalloc-2048 +(\d+) +(\d+)", subject.show("slabinfo"), re.MULTILINE)
        check(row.group(1) == "5000" and int(row.group(2)) >= 5000, row.group())
        subject.tell("free", "freed")
        text = subject.show(f"{CACHE}/objects")
        check(text == "0\n", f"all are free: {text!r}")


def stores(args, path):
    """What may be written is taken, all else is refused with sysfs's errno; both ways."""
    with Subject(args, path) as subject:
        for file, text, expected in STORES:
            error, _ = subject.ask(WRITE, file, text)
            check(error == expected, f"{text!r} to {file}: {name_of(error)}")
            status, out, err = tool(args, "set", subject.pid, file, text.rstrip("\n"))
            check((status, out) == (1 if expected else 0, ""), f"uslub set {file}: {status} {out}")
            check(err == (f"uslub set: {file}: {os.strerror(expected)}\n" if expected else ""), err)
        check(subject.show(f"{CACHE}/remote_node_defrag_ratio") == "70\n", "70 was stored")
        error, _ = subject.ask(READ, f"{NODE}/probe")
        check(error == errno.EACCES, f"reading what is written alone: {name_of(error)}")


def walk(subject, path, seen):
    error, text = subject.ask(LIST, path)
    check(error == 0, f"{path}: {name_of(error)}")
    for line in text.splitlines():
        kind, mode, name = line.split(" ", 2)
        child = f"{path}/{name}".lstrip("/")
        seen.append(child)
        error, stat = subject.ask(STAT, child)
        check(error == 0 and stat.split()[:2] == [kind, mode], f"{child}: {stat!r}")
        if kind == "d" and (not path.endswith("/slab") or name == "kmalloc-64"):
            walk(subject, child, seen)


def listings(args, path):
    """`uslub ls` shows what the socket lists, and finds the directory by the process's environment."""
    with Subject(args, path) as subject:
        seen = []
        walk(subject, "", seen)
        check(len(seen) > 115, f"{len(seen)} entries")
        status, out, err = tool(args, "ls", subject.pid, "kernel/slab/kmalloc-64")
        check((status, err) == (0, ""), err)
        check([f"kernel/slab/kmalloc-64/{name}" for name in out.split()]
              == [name for name in seen if name.startswith("kernel/slab/kmalloc-64/")], out)
        status, out, _ = tool(args, "ls", "-l", subject.pid, "slabinfo")
        check((status, out) == (0, "- 0400 slabinfo\n"), out)
        status, out, _ = tool(args, "ls", "--dir", path)
        check((status, out) == (0, f"{subject.pid}\n"), out)
        status, out, err = tool(args, "get", subject.pid, f"{NODE}/online", f"{NODE}/none")
        check((status, out) == (1, "0\n") and "No such file" in err, err)
        status, out, err = tool(args, "node", subject.pid)
        check(status == 0 and re.search(r"\n +0 +online .*\[[#.]{20}\]", out), out + err)
    for words in (["ls", "1x"], ["get", "1"], ["get"], ["set", "1"], ["ls", "--nonsense"]):
        status, out, err = tool(args, *words)
        check(status in (1, 2) and err and not out, f"uslub {words}: {status}")
    status, _, err = tool(args, "ls", subject.pid)
    check(status == 1 and "no control files" in err, err)


def order(args, path):
    """Requests sent ahead are answered in their order, with their tags."""
    with Subject(args, path) as subject, subject.connect() as peer:
        files = [f"{NODE}/possible", "none", f"{CACHE}/object_size", CACHE] * 25
        peer.send(b"".join(request(READ, file, tag=tag) for tag, file in enumerate(files)))
        for tag, file in enumerate(files):
            error, data, came = peer.answer()
            check(came == tag, f"answer {came} instead of {tag}")
            expected = {"none": errno.ENOENT, CACHE: errno.EISDIR}.get(file, 0)
            check(error == expected and bool(data) == (not error), f"{file}: {name_of(error)}")


def aliases(args, path):
    """A cache that was merged into another is a symbolic link to it."""
    with Subject(args, path) as subject:
        check(subject.tell("cache mine 100", "cache") == 0, "no cache")
        error, text = subject.ask(STAT, "kernel/slab/mine")
        check((error, text) == (0, "l 0777 kmalloc-112\n"), f"{name_of(error)} {text}")
        check(subject.show("kernel/slab/kmalloc-112/aliases") == "1\n", "one alias")
        check(subject.show("kernel/slab/mine/object_size") == "112\n", "through the link")
        status, out, _ = tool(args, "ls", "-l", subject.pid, "kernel/slab")
        check(status == 0 and "\nl 0777 mine\n" in out, out)


def counters(args, path):
    """What the slow paths do is counted, and can be cleared."""
    with Subject(args, path) as subject:
        def counted(what):
            return int(subject.show(f"{CACHE}/{what}"))

        subject.tell("hold 5000 2048", "held")
        slabs = int(subject.show(f"{CACHE}/slabs").split()[0])
        check(counted("alloc_slab") == slabs, f"{counted('alloc_slab')} slabs, there are {slabs}")
        check(5000 <= counted("alloc_fastpath") <= 5100, f"{counted('alloc_fastpath')} objects")
        check(5000 / 32 <= counted("alloc_slowpath") <= 5000, f"{counted('alloc_slowpath')} refills")
        check(counted("free_slowpath") == counted("free_slab") == 0, "nothing was freed")
        subject.tell("free", "freed")
        # Out of the sheaf, or past it.
        check(4900 - counted("free_slowpath") <= counted("free_fastpath") <= 5000,
              f"{counted('free_fastpath')} objects")
        check(counted("free_slowpath") >= 5000 / 32, f"{counted('free_slowpath')} flushes")
        slabs -= int(subject.show(f"{CACHE}/slabs").split()[0])
        check(counted("free_slab") == slabs, f"{counted('free_slab')} slabs, {slabs} are gone")
        check(subject.ask(WRITE, f"{CACHE}/free_slab", "0") == (0, ""), "it can't be cleared")
        check(counted("free_slab") == 0 and counted("free_slowpath") > 0, "cleared")


def shape(text):
    """What a figure may be: with what nodes have of it, which the kernel leaves out where there is none."""
    text = re.sub(r" C\d+=\d+", "", text)
    text = re.sub(r" N\d+=\d+", "", text)
    return re.sub(r"\d+", "0", text)


def like_the_kernel(args, path):
    """This machine's own files of these names look the same, and have the same modes."""
    compared = []
    with Subject(args, path) as subject:
        for theirs, ours in (("/sys/kernel/slab/kmalloc-64", "kernel/slab/kmalloc-64"),
                             ("/sys/devices/system/node", NODE),
                             ("/sys/devices/system/node/node0", f"{NODE}/node0")):
            error, text = subject.ask(LIST, ours)
            check(error == 0, ours)
            for kind, mode, name in (line.split(" ", 2) for line in text.splitlines()):
                file = f"{theirs}/{name}"
                if kind != "-" or not os.access(file, os.R_OK):
                    continue
                with open(file, encoding="utf-8") as stream:
                    kernel = stream.read()
                mine = subject.show(f"{ours}/{name}")
                if name == "meminfo":
                    kernel, mine = (set(re.findall(r"^(Node \d+ )\w+(:) *\d+( kB)$", text, re.M))
                                    for text in (kernel, mine))
                    check(kernel == mine, f"meminfo: {mine}")
                elif not name.startswith("has_") and name not in ("online", "possible", "cpulist",
                                                                  "distance"):
                    check(shape(kernel) == shape(mine), f"{file}: {kernel!r}, ours: {mine!r}")
                check((os.stat(file).st_mode ^ int(mode, 8)) & 0o700 == 0, f"{file}: ours is {mode}")
                compared.append(name)
    if not compared:
        harness.skip("this machine shows nobody its slabs and nodes")
    print(f"like the kernel's: {' '.join(compared)}")


if __name__ == "__main__":
    run_cases(__doc__, [formats, stores, listings, order, aliases, counters, like_the_kernel])
