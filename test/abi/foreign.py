#!/usr/bin/env python3
"""What free and realloc do with another allocator's memory, by the option foreign."""

import sys

import harness
import misuse


def reported(args, mode):
    options = "foreign:report,on_error:abort"
    done = harness.run(args, [args.program, mode], options)
    misuse.check_report(done, "foreign", f"{mode} of memory that is not uslub's: {{address}}")
    misuse.check_aborted(done)
    done = harness.run(args, [args.program, mode], "foreign:report,on_error:report")
    misuse.check_report(done, "foreign", f"{mode} of memory that is not uslub's: {{address}}")
    misuse.check_survived(done, "report")


def silent(args, mode, options):
    done = harness.run(args, [args.program, mode], options)
    harness.check(not done.own_lines(), f"{options}, but it said:\n{done.stderr}")
    misuse.check_survived(done, str(options))


def main():
    parser = harness.parser(__doc__)
    parser.add_argument("program")
    args = parser.parse_args()
    harness.check(args.lib, "--lib is needed")
    silent(args, "forward", None)
    silent(args, "forward", "foreign:forward")
    reported(args, "free")
    reported(args, "realloc")
    silent(args, "free", "foreign:ignore")


if __name__ == "__main__":
    sys.exit(main())
