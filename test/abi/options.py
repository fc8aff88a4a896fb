#!/usr/bin/env python3
"""USLUB=key:value,...: what is wrong is named once on stderr, and the program runs on."""

import sys

import harness

# value of USLUB: for each complaint the words that it must have
BAD = {
    "on_eror:abort": [("on_eror", "on_error")],
    "onerror:abort": [("onerror", "on_error")],
    "forein:report": [("forein", "foreign")],
    "stat:1": [("stat", "stats")],
    "purge_dely:5": [("purge_dely", "purge_delay")],
    "ON_ERROR:abort": [("ON_ERROR", "on_error")],
    "on_error:abrot": [("abrot", "abort")],
    "on_error:reprot": [("reprot", "report")],
    "foreign:forwrd": [("forwrd", "forward")],
    "foreign:ignored": [("ignored", "ignore")],
    "stats:2": [("2",)],
    "stats:yes": [("yes",)],
    "purge_delay:soon": [("soon", "purge_delay")],
    "purge_delay:-1": [("-1", "purge_delay")],
    "purge_delay:100ms": [("100ms", "purge_delay")],
    "purge_delay:99999999999999999999": [("99999999999999999999", "purge_delay")],
    "purge_delay:4294967296": [("4294967296", "purge_delay")],
    "purge_delay:": [("purge_delay",)],
    "on_error:": [("abort", "on_error")],
    "on_error": [("on_error",)],
    "stats:1x": [("1x",)],
    "on_eror:abort,forein:report": [("on_eror", "on_error"), ("forein", "foreign")],
    "on_error:report,bogus_key_without_a_twin:1": [("bogus_key_without_a_twin",)],
    "nonsense": [("nonsense",)],
    "nodes:1025": [("1025", "nodes", "1024")],
    "nodes:few": [("few", "nodes")],
    "policy:lcoal": [("lcoal", "policy", "local")],
    "policy:bind:0,1x,stats:0": [("1x",)],
    "policy:bind:0,1-,stats:0": [("bind:0,1-", "policy")],
    "policy:preferred:0,1,foreign:report": [("preferred:0,1", "policy")],
    "policy:bind:1024": [("bind:1024", "policy")],
    "y" * 100000: [("yyyy",)],
}
GOOD = [
    "",
    ",",
    "on_error:abort",
    "on_error:report,foreign:ignore,purge_delay:0",
    "purge_delay:4294967295,foreign:forward,on_error:ignore,stats:0,",
    ",foreign:report",
    "policy:bind:0,foreign:report",
    "policy:interleave,stats:0",
    "foreign:report,policy:local",
    "policy:bind:0,0,0-0,foreign:report",
]


def runs_on(args, options):
    done = harness.run(args, [args.program], options)
    harness.check(
        done.returncode == 0 and done.stdout.endswith("ok\n"),
        f"USLUB={options[:60]}: ended with {done.returncode}:\n{done.stdout}{done.stderr}",
    )
    return done.own_lines()


def check_bad(args, options, complaints):
    lines = runs_on(args, options)
    harness.check(
        len(lines) == len(complaints),
        f"USLUB={options[:60]}: {len(lines)} lines, expected {len(complaints)}: {lines}",
    )
    for line, words in zip(lines, complaints):
        harness.check(line.startswith("uslub: "), f"not greppable: {line}")
        harness.check(len(line) < 400, "the line has no bounds")
        for word in words:
            harness.check(word in line, f"USLUB={options[:60]}: no '{word}' in: {line}")


def good_part_of_a_bad_text(args):
    """One bad key does not lose the others, before it or behind it."""
    for options in ("bogus:1,stats:1", "stats:1,bogus:1", "stats:1,foreign:nonsense"):
        lines = runs_on(args, options)
        table = [line for line in lines if "active_objs" in line]
        harness.check(len(table) == 1, f"USLUB={options}: stats:1 was lost: {lines}")


def main():
    parser = harness.parser(__doc__)
    parser.add_argument("program")
    args = parser.parse_args()
    harness.check(args.lib, "--lib is needed")
    for options in GOOD:
        lines = runs_on(args, options)
        harness.check(not lines, f"USLUB={options}: complains: {lines}")
    for options, complaints in BAD.items():
        check_bad(args, options, complaints)
    good_part_of_a_bad_text(args)
    print(f"{len(GOOD)} good and {len(BAD)} bad texts: ok")


if __name__ == "__main__":
    sys.exit(main())
