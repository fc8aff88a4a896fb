"""Judges what share.c prints: the parts of a limit that were in objects, under uslub and glibc.

Every mix must reach a sensible part of the limit, although other sizes filled memory before it, and
reach it again when everything was freed. What glibc reaches is printed beside it.
"""

import sys

import harness

# The program, its libraries and the metadata of the heap's sections take their part first.
LEAST_FIRST = {64: 0.65, 128: 0.7, 256: 0.75}
# Half was freed, scattered over all slabs: the other half alone makes so much.
LEAST_REFILLED = 0.35
# Of the first time.
LEAST_AGAIN = 0.85
LEAST_QUARTERS = 0.5


def shares(args, words, preload):
    done = harness.run(args, words, preload=preload)
    if done.returncode == harness.SKIP_CODE:
        harness.skip(done.stderr.strip())
    where = "uslub" if preload else "glibc"
    harness.check(done.returncode == 0,
                  f"under {where}: status {done.returncode}: {done.stderr}\n{done.stdout}")
    lines = (line.split() for line in done.stdout.splitlines())
    return {(what, mix): float(share) for what, mix, share in lines}


def least(what, mix, mib, ours):
    if mix == "quarter":
        return LEAST_QUARTERS
    if what == "refilled":
        return LEAST_REFILLED
    if what == "again":
        return LEAST_AGAIN * ours["first", mix]
    return LEAST_FIRST[mib]


def main():
    parser = harness.parser(__doc__)
    parser.add_argument("program")
    parser.add_argument("kind")
    parser.add_argument("mib", type=int)
    args = parser.parse_args()
    words = [args.program, args.kind, str(args.mib)]
    theirs = shares(args, words, False)
    ours = shares(args, words, True)
    bad = 0
    print(f"part of {args.mib} MiB ({args.kind}) in objects   glibc  uslub  at least")
    for key, share in ours.items():
        wanted = least(*key, args.mib, ours)
        bad += share < wanted
        print(f"{key[0]:<9}{key[1]:<24}{theirs.get(key, 0):>12.3f}{share:>7.3f}{wanted:>10.3f}"
              f"{'  too little' if share < wanted else ''}")
    harness.check(ours and not bad, f"{bad} of {len(ours)} are too little")
    sys.exit(0)


main()
