#!/usr/bin/env python3
"""Between taking and dropping the lock the fast path leaves the word at its stack pointer alone.

A nested call notes a print of that word, which is a return address or whatever the frame keeps there, and
takes a holder for gone where it differs later (core/local_lock.h, rule 3). So from each store of the stack
pointer on, to the store that drops the lock or a jump out of the function, nothing may write to (%rsp), push
or call.
"""

import re
import sys

from exports import output_of

TAKE = re.compile(r"^movq?\s+%rsp,\s*(\S*\(%r\w+(?:,%r\w+)?(?:,\d)?\))$")
WRITE = re.compile(r"^(push|call|enter)|^[a-z]+\s+.*,\s*\(%rsp\)$|^(pop|inc|dec|not|neg|set\w+)[a-z]*\s+\(%rsp\)")
END = re.compile(r"^(repz |bnd )?ret|^(bnd )?jmp\s")
MOST = 40


def functions(text):
    """Yields (name, instructions)."""
    name, code = None, []
    for line in text.splitlines():
        head = re.match(r"^[0-9a-f]+ <(.*)>:$", line)
        if head:
            if name:
                yield name, code
            name, code = head.group(1), []
        found = re.match(r"^\s*[0-9a-f]+:\s+(.*)$", line)
        if found:
            text = found.group(1).split("#")[0].strip()
            # llvm-objdump writes a space behind each comma.
            code.append(re.sub(r",\s+", ",", text))
    if name:
        yield name, code


def window(code, start, place):
    """The instructions from behind the take to the drop, or to where the function is left."""
    drop = re.compile(r"^movq?\s+%r\w+,\s*" + re.escape(place) + "$")
    for text in code[start + 1:start + MOST]:
        if drop.match(text) or END.match(text):
            return
        yield text


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: lock_window.py OBJDUMP LIBRARY")
    windows, bad = 0, 0
    for name, code in functions(output_of(sys.argv[1], "-d", "--no-show-raw-insn", sys.argv[2])):
        for i, text in enumerate(code):
            take = TAKE.match(text)
            if not take or re.search(r"%r[sb]p", take.group(1)):
                continue
            windows += 1
            for inner in window(code, i, take.group(1)):
                if WRITE.match(inner):
                    print(f"{name}: {inner}")
                    bad += 1
    print(f"{windows} places take the lock, {bad} instructions between write to the stack's end")
    sys.exit(bad != 0 or windows < 5)


if __name__ == "__main__":
    main()
