#!/usr/bin/env python3
"""The path of a small object through malloc and free: no call, no atomic instruction, few at all.

Each warm pair is executed one instruction at a time, by ptrace or by a tracing emulator, and each
executed instruction looked up in the disassembly. The shortest way to a return that a walk over the
disassembly finds is printed beside, to show how far the path is from what the code allows.
"""

import re
import sys
import tempfile
from collections import defaultdict, deque
from pathlib import Path

import harness
from exports import output_of

# Of x86-64 and of aarch64, as GNU's and LLVM's objdump spell them; they do not collide.
CALL = re.compile(r"^(bnd )?(call|syscall|blr?\b|blra|svc)")
ATOMIC = re.compile(
    r"^(lock\b|xchg[bwlq]?\s.*\(|[lms]fence|xbegin|"
    r"ld(a|l|al)?x[rp]|st(l)?x[rp]|ld(add|clr|set|eor|[su]max|[su]min)|swp|cas|dmb|dsb)"
)
RETURN = re.compile(r"^(bnd |repz |notrack )*ret")
JUMP = re.compile(r"^(bnd )?(jmpq?|b)\s+(?:0x)?([0-9a-f]+)\b")
BRANCH = re.compile(r"^(j\w+|b\.\w+|cbn?z|tbn?z)\s.*?\b(?:0x)?([0-9a-f]+) <")


class Code:
    """The library's instructions by address."""

    def __init__(self, objdump, path):
        self.text = {}
        for line in output_of(objdump, "-d", "--no-show-raw-insn", path).splitlines():
            found = re.match(r"^\s*([0-9a-f]+):\s+(.*)$", line)
            if found:
                self.text[int(found.group(1), 16)] = found.group(2).strip()
        order = sorted(self.text)
        self.after = dict(zip(order, order[1:]))

    def successors(self, address):
        text = self.text[address]
        if RETURN.match(text) or CALL.match(text):
            return []
        jump = JUMP.match(text)
        if jump:
            return [int(jump.group(3), 16)]
        branch = BRANCH.match(text)
        following = [self.after[address]] if address in self.after else []
        return following + ([int(branch.group(2), 16)] if branch else [])

    def shortest(self, address):
        """Instructions on the shortest way from an address to a return, calls being no way."""
        queue, seen = deque([(address, 1)]), {address}
        while queue:
            at, count = queue.popleft()
            if at not in self.text:
                continue
            if RETURN.match(self.text[at]):
                return count
            for target in self.successors(at):
                if target not in seen:
                    seen.add(target)
                    queue.append((target, count + 1))
        return None


def by_ptrace(args):
    """Executed offsets for each call: {(function, size): [[offset or None, ...], ...]}."""
    done = harness.run(args, [args.program])
    if done.returncode == harness.SKIP_CODE:
        harness.skip(done.stderr)
    harness.check(done.returncode == 0, f"the tracer failed:\n{done.stderr}")
    calls = defaultdict(list)
    for line in done.stdout.splitlines():
        name, size, places = re.match(r"(\w+) (\d+):(.*)", line).groups()
        path = [None if at == "-" else int(at, 16) for at in places.split()]
        calls[name, int(size)].append(path)
    return calls


def by_emulator(args):
    """The same from qemu-user, told to translate and log one instruction at a time."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "trace"
        emulator = f"{args.emulator} -singlestep -d exec,nochain -D {log}"
        tracing = type(args)(**{**vars(args), "emulator": emulator})
        done = harness.run(tracing, [args.program, "--plain"], timeout=280)
        harness.check(done.returncode == 0, f"the program failed:\n{done.stderr}")
        facts = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
        with open(log, encoding="utf-8", errors="replace") as lines:
            return calls_in_log(lines, facts)


def calls_in_log(lines, facts):
    low, high = (int(at, 16) for at in facts["library"])
    entries = {int(facts[name][0], 16): name for name in ("malloc", "free")}
    mark = int(facts["mark"][0], 16)
    sizes = [int(size) for size in facts["sizes"] for _ in range(int(facts["rounds"][0]))]
    calls, path, marks, wanted = defaultdict(list), None, 0, set()
    for line in lines:
        found = re.search(r"\[[0-9a-f]+/([0-9a-f]+)/", line)
        if not found:
            continue
        at = int(found.group(1), 16)
        if at == mark:
            marks += 1
            wanted = set(entries)
        if at in wanted:
            wanted.discard(at)
            path = []
            calls[entries[at], sizes[marks - 1]].append(path)
        if path is None:
            continue
        if low <= at < high:
            path.append(at - low)
        else:
            # Back in the program, or away in a function of libc; then the last one is no return.
            path = None
    harness.check(marks == len(sizes), f"{marks} marks in the trace instead of {len(sizes)}")
    return calls


def faults_of(code, path, limit):
    for at in path:
        if at is None or at not in code.text:
            yield "leaves the library"
            return
        if CALL.match(code.text[at]):
            yield f"call at {at:x}: {code.text[at]}"
        if ATOMIC.match(code.text[at]):
            yield f"atomic instruction at {at:x}: {code.text[at]}"
    if not RETURN.match(code.text[path[-1]]):
        yield f"does not end in a return, but at {path[-1]:x}: {code.text[path[-1]]}"
    if len(path) > limit:
        yield f"{len(path)} instructions, {limit} are allowed"


def report(code, calls, limits):
    failed = False
    for name, entry in sorted({(call[0], paths[0][0]) for call, paths in calls.items()}):
        print(f"{name}: the shortest way to a return has {code.shortest(entry)} instructions")
    for (name, size), paths in sorted(calls.items()):
        limit = limits[name]
        counts = sorted(len(path) for path in paths)
        print(f"{name}({size}): {counts[0]} to {counts[-1]} instructions in {len(counts)} calls")
        faults = sorted({fault for path in paths for fault in faults_of(code, path, limit)})
        for fault in faults:
            print(f"  {fault}")
        if faults:
            failed = True
            longest = max(paths, key=len)[: 2 * limit]
            print("\n".join(f"    {at:x}: {code.text.get(at)}" for at in longest if at))
    return failed


def main():
    parser = harness.parser(__doc__)
    parser.add_argument("program")
    parser.add_argument("--objdump", required=True)
    parser.add_argument("--malloc", type=int, default=22, help="instructions from entry to return")
    parser.add_argument("--free", type=int, default=32, help="the same of free")
    parser.add_argument("--optimised", choices=("yes", "no"), default="yes")
    args = parser.parse_args()
    harness.check(args.lib, "--lib is needed")
    if args.optimised == "no":
        harness.skip("a debug build has its assertions on the path")
    code = Code(args.objdump, args.lib)
    calls = by_emulator(args) if args.emulator else by_ptrace(args)
    harness.check(len(calls) >= 8, f"only {len(calls)} kinds of call were seen")
    harness.check(not report(code, calls, {"malloc": args.malloc, "free": args.free}), "the fast path is not what it must be")


if __name__ == "__main__":
    sys.exit(main())
