"""Runs `uslub conform` with what follows `--` and holds its verdicts against those expected.

Usage: verdict.py CASE=WORD[|WORD]... -- PROGRAM conform [OPTION]... LIBRARY

Each case named must have been judged with one of its words, no other case may have been run, and the
exit status must fit the words. Where all cases were unable to run, so is the test: status 77.
"""

import json
import os
import subprocess
import sys
import tempfile

SKIPPED = 77
GOOD, UNABLE = {"pass"}, {"unable"}


def run(command):
    with tempfile.TemporaryDirectory() as directory:
        results = os.path.join(directory, "results.json")
        done = subprocess.run(command + ["--json", results], check=False)
        if not os.path.exists(results):
            sys.exit(f"no results were written; status {done.returncode}")
        with open(results, encoding="utf-8") as file:
            cases = json.load(file)["cases"]
    return done.returncode, {case["name"]: case["word"] for case in cases}


def main():
    if "--" not in sys.argv:
        sys.exit(__doc__)
    at = sys.argv.index("--")
    expected = dict(item.split("=", 1) for item in sys.argv[1:at])
    command = sys.argv[at + 1:]
    for name in expected:
        command += ["--case", name]
    status, words = run(command)
    if words and set(words.values()) <= UNABLE:
        sys.exit(SKIPPED)
    complaints = [f"{name}: {words.get(name)}, not {wanted}"
                  for name, wanted in expected.items() if words.get(name) not in wanted.split("|")]
    complaints += [f"{name} was not asked for" for name in words if name not in expected]
    if status != (0 if set(words.values()) <= GOOD else 1):
        complaints.append(f"the exit status is {status}")
    sys.exit("\n".join(complaints) if complaints else 0)


if __name__ == "__main__":
    main()
