"""The demonstration of ./run: real programs under glibc's malloc, jemalloc and uslub, in turns.

Usage: demo.py LIBUSLUB. Prints medians of wall time and peak memory, and ratios with their spread
over the rounds. Stops where an allocator changes what a program prints.
"""

import glob
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 7
SECONDS = 45
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

PARSE_JSON = """
import collections, json, sys
rows = json.load(open(sys.argv[1]))
words = collections.Counter(word for row in rows for word in row["text"].split())
print(len(rows), words.most_common(3), len(json.dumps(rows, sort_keys=True)))
"""

# A file as web services return it: many small strings, numbers and nested objects. Another process
# writes it, because the peak memory of a child starts at what its parent has.
WRITE_JSON = """
import json, random, sys
rng = random.Random(1)
words = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(3, 11))) for _ in range(5000)]
rows = [{"id": i, "text": " ".join(rng.choices(words, k=rng.randint(4, 24))),
         "score": rng.random(), "tags": rng.sample(words, 3),
         "where": {"x": rng.randint(0, 999), "y": None}} for i in range(40000)]
json.dump(rows, open(sys.argv[1], "w"))
"""

SQL = """
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, price REAL, tag TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250000)
INSERT INTO item SELECT i, 'item ' || (i * 7919 % 250007), i * 3 % 1000 / 10.0, 'tag' || (i % 97)
FROM n;
CREATE INDEX item_name ON item(name);
SELECT tag, count(*), round(sum(price), 1), group_concat(id % 10, '') FROM item
GROUP BY tag ORDER BY tag LIMIT 3;
SELECT count(*) FROM item a JOIN item b ON b.name = 'item ' || (a.id % 1000) WHERE a.id < 200000;
"""


def stop(message):
    sys.exit(f"run: {message}")


def biggest_source():
    sources = sorted(glob.glob(f"{ROOT}/core/*.c"), key=os.path.getsize)
    if not sources:
        stop("there is no core/*.c to compile")
    return sources[-1]


def workloads(directory):
    """Name, command, and the file whose bytes are the result (None: standard output)."""
    subprocess.run([sys.executable, "-c", WRITE_JSON, f"{directory}/rows.json"], check=True)
    with open(f"{directory}/items.sql", "w", encoding="ascii") as file:
        file.write(SQL)
    source = biggest_source()
    return [
        ("python3: parse and write a JSON file of "
         f"{os.path.getsize(directory + '/rows.json') >> 20} MB",
         [sys.executable, "-c", PARSE_JSON, f"{directory}/rows.json"], None),
        (f"gcc -O2 {os.path.relpath(source, ROOT)}, three times",
         ["sh", "-c", f"for i in 1 2 3; do gcc -O2 -w -std=gnu17 -D_GNU_SOURCE -I'{ROOT}' "
                      f"-I'{ROOT}/include' -S '{source}' -o '{directory}/out.s' || exit; done"],
         f"{directory}/out.s"),
        ("sqlite3: a table of 250,000 rows, an index, a join",
         ["sqlite3", ":memory:", f".read {directory}/items.sql"], None),
    ]


def find_jemalloc():
    for directory in glob.glob("/usr/lib/*-linux-gnu") + ["/usr/lib64", "/usr/lib"]:
        if os.path.exists(f"{directory}/libjemalloc.so.2"):
            return f"{directory}/libjemalloc.so.2"
    return stop("there is no libjemalloc.so.2 to compare with")


def require_preloaded(library):
    """The loader only warns where it can't preload, and glibc's malloc would be measured."""
    maps = subprocess.run(["cat", "/proc/self/maps"], env={**os.environ, "LD_PRELOAD": library},
                          capture_output=True, text=True, check=True).stdout
    if os.path.realpath(library) not in maps:
        stop(f"the loader doesn't preload {library}")


def run_once(command, library, result_file):
    """Seconds, peak MiB, and a digest of what the program made."""
    environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    if library:
        environment["LD_PRELOAD"] = library
    start = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE) as process:
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    if process.returncode != 0:
        stop(f"{command[0]} under {library or 'glibc'} ended with status {process.returncode}")
    if result_file:
        with open(result_file, "rb") as file:
            output += file.read()
    return seconds, usage.ru_maxrss / 1024, hashlib.sha256(output).digest()


def measure(command, result_file, allocators, rounds):
    """Per allocator the list of (seconds, MiB), every round in another order."""
    samples = {name: [] for name in allocators}
    digests = set()
    names = list(allocators)
    for turn in range(rounds + 1):
        for name in names[turn % len(names):] + names[:turn % len(names)]:
            seconds, peak, digest = run_once(command, allocators[name], result_file)
            digests.add(digest)
            if turn > 0:  # the first round warms the file cache
                samples[name].append((seconds, peak))
    if len(digests) != 1:
        stop(f"{command[0]} made different results under different allocators")
    return samples


def ratio(samples, name, base, column):
    """The median over the rounds, and the lowest and highest of them."""
    ratios = [mine[column] / other[column]
              for mine, other in zip(samples[name], samples[base])]
    return f"{statistics.median(ratios):5.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def report(title, samples):
    print(f"\n{title}")
    print(f"  {'':10} {'time':>9}  {'ratio to glibc':<18} {'peak RSS':>10}  ratio to glibc")
    for name, values in samples.items():
        seconds = statistics.median(value[0] for value in values)
        peak = statistics.median(value[1] for value in values)
        print(f"  {name:10} {seconds * 1000:6.0f} ms  {ratio(samples, name, 'glibc', 0):<18} "
              f"{peak:6.1f} MiB  {ratio(samples, name, 'glibc', 1)}")
    print(f"  uslub to jemalloc: time {ratio(samples, 'uslub', 'jemalloc', 0).strip()}, "
          f"peak RSS {ratio(samples, 'uslub', 'jemalloc', 1).strip()}", flush=True)


def main():
    if len(sys.argv) != 2:
        stop(__doc__)
    allocators = {"glibc": None, "jemalloc": find_jemalloc(), "uslub": sys.argv[1]}
    for library in filter(None, allocators.values()):
        require_preloaded(library)
    print("Real programs under three allocators, in turns. A ratio below 1 is better than glibc;")
    print("in brackets its lowest and highest over the rounds. The programs' results are compared.")
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="uslub-demo-") as directory:
        jobs = workloads(directory)
        for number, (title, command, result_file) in enumerate(jobs):
            seconds = run_once(command, None, result_file)[0]
            share = (SECONDS - (time.monotonic() - start)) / (len(jobs) - number)
            rounds = int(share / (seconds * len(allocators) * 1.3)) - 1
            rounds = max(1, min(ROUNDS, rounds))
            report(f"{title} ({rounds} rounds)", measure(command, result_file, allocators, rounds))
    print("\nEvery program gave the same result under all three. "
          "Try: USLUB=stats:1 ./run python3 -c 'import json'")


main()
