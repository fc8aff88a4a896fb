"""Real programs under a limit on their address space: with the library they write what they write
without it and without a limit; and python3, which fills memory until there is a MemoryError, goes on.
"""

import hashlib
import os
import resource
import shutil
import subprocess
import sys

import harness

MIB = 1 << 20
SHELL_MIB = 64
PYTHON_MIB = 160
# Of what python gets into the limit with glibc.
LEAST_OF_GLIBC = 0.6

BASH = r"""
set -eu
declare -A count
lines=()
for ((i = 0; i < 3000; i++)); do
    lines+=("line $((i * 7919 % 3001)) of $i")
    count[$((i * 31 % 97))]=$((${count[$((i * 31 % 97))]:-0} + i))
done
text=$(printf '%s\n' "${lines[@]}" | sort -k2,2n | tail -n 40)
printf '%s\n' "${text//line/Zeile}"
for key in "${!count[@]}"; do printf '%s=%s\n' "$key" "${count[$key]}"; done | sort -n
long=x; for i in {1..20}; do long+=$long; done; echo "${#long}"
"""

# Prints what it could hold, and fails where anything that it held has changed.
PYTHON = r"""
def fill(held, make):
    try:
        while True:
            held.append(make(len(held)))
    except MemoryError:
        del held[-4:]
    return held

def size(n):
    return (10 << 10) + n * 7919 % (150 << 10)

def block(n):
    return bytes([n % 251]) * size(n)

def is_block(b, n):
    return len(b) == size(n) == b.count(n % 251)

def table(n):
    return {f"{n}.{i}": [i, str(i) * 3] for i in range(300)}

blocks = fill([], block)
most = len(blocks)
assert all(is_block(b, n) for n, b in enumerate(blocks))
del blocks[::2]
tables = fill([], table)
many = len(tables)
assert many > 10
for n in (0, many // 2, many - 1):
    assert tables[n]["%d.299" % n] == [299, "299299299"], n
assert all(is_block(b, 2 * n + 1) for n, b in enumerate(blocks))
del blocks, tables
again = len(fill([], block))
assert again > most * 0.8, (most, again)
try:
    bytearray(1 << 40)
except MemoryError:
    print(most, many)
"""


def limited(mib):
    def set_limit():
        resource.setrlimit(resource.RLIMIT_AS, (mib * MIB, mib * MIB))
    return set_limit


def run(words, data=None, lib=None, mib=None):
    environment = {key: value for key, value in os.environ.items()
                   if key not in ("LD_PRELOAD", "USLUB")}
    environment["LC_ALL"] = "C"
    if lib:
        environment["LD_PRELOAD"] = lib
    done = subprocess.run(words, input=data, env=environment, capture_output=True, timeout=100,
                          preexec_fn=limited(mib) if mib else None, check=False)
    name = f"{os.path.basename(words[0])}{' under uslub' if lib else ''}"
    harness.check(done.returncode == 0,
                  f"{name}: status {done.returncode}: {done.stderr[-2000:].decode()}")
    harness.check(not done.stderr, f"{name}: {done.stderr[-2000:].decode()}")
    return done.stdout


def sorting_data():
    lines = (hashlib.md5(str(i).encode()).hexdigest() for i in range(120000))
    return "\n".join(lines).encode() + b"\n"


def compare(lib, root):
    data = sorting_data()
    cases = [
        (["bash", "-c", BASH], None),
        (["ls", "-lR", "--time-style=full-iso", root], None),
        (["sort", "-S", "8M", "--parallel=2"], data),
        (["sort", "-u", "-r"], data),
        (["awk", "{ n[substr($0, 1, 3)]++ } END { for (k in n) print k, n[k] | \"sort\" }"], data),
    ]
    for words, text in cases:
        harness.check(shutil.which(words[0]), f"there is no {words[0]}")
        expected = run(words, text)
        harness.check(expected, f"{words[0]} writes nothing")
        got = run(words, text, lib, SHELL_MIB)
        harness.check(got == expected, f"{words[:2]} writes something else under {SHELL_MIB} MiB")
        print(f"{words[0]}: the same {len(got)} bytes under {SHELL_MIB} MiB")


def python(lib):
    words = [sys.executable, "-S", "-c", PYTHON]
    theirs = [int(word) for word in run(words, mib=PYTHON_MIB).split()]
    ours = [int(word) for word in run(words, lib=lib, mib=PYTHON_MIB).split()]
    print(f"python3 under {PYTHON_MIB} MiB: {ours[0]} blocks, then {ours[1]} tables; "
          f"with glibc {theirs[0]} and {theirs[1]}")
    harness.check(ours[0] >= theirs[0] * LEAST_OF_GLIBC, "too few")


def main():
    parser = harness.parser(__doc__)
    parser.add_argument("directory", help="what ls lists")
    args = parser.parse_args()
    compare(args.lib, args.directory)
    python(args.lib)


main()
