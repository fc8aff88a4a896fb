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

TAKE = re.compile(r"^movq?\s+%rsp,(-?0x[0-9a-f]+|-?\d+)?\((%r\w+)\)$")
WRITE = re.compile(r"^(push|call|enter)|^[a-z]+\s+.*,\(%rsp\)$|^(pop|inc|dec|not|neg|set\w+)[a-z]*\s+\(%rsp\)")
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
            code.append(found.group(1).split("#")[0].strip())
    if name:
        yield name, code


def window(code, start, place):
    """The instructions from behind the take to the drop, or to where the function is left."""
    drop = re.compile(r"^movq?\s+%r\w+," + re.escape(place) + "$")
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
            if not take or take.group(2) in ("%rsp", "%rbp"):
                continue
            windows += 1
            for inner in window(code, i, f"{take.group(1) or ''}({take.group(2)})"):
                if WRITE.match(inner):
                    print(f"{name}: {inner}")
                    bad += 1
    print(f"{windows} places take the lock, {bad} instructions between write to the stack's end")
    sys.exit(bad != 0 or windows < 5)


if __name__ == "__main__":
    main()
