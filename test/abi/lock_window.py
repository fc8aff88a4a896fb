#!/usr/bin/env python3
"""Between taking and dropping the lock the fast path leaves the word at its stack pointer alone.

A nested call notes a print of that word, which is a return address or whatever the frame keeps there, and
takes a holder for gone where it differs later (core/local_lock.h, rule 3). So from each store of the stack
pointer on, to the store that drops the lock, nothing may write to (%rsp) or push; a call writes below. And only to
a function that notes its own stack pointer first may it jump, for that jump may have given up the frame.
"""

import re
import sys

from exports import output_of

TAKE = re.compile(r"^movq?\s+%rsp,\s*(\S*\(%r\w+(?:,%r\w+)?(?:,\d)?\))$")
NOTES_ANEW = {"slab_free_full"}
LEAVE = re.compile(r"^(?:bnd )?jmp\s+[0-9a-fx]+ <([^+>]+)>")
WRITE = re.compile(r"^(push|enter)|^[a-z]+\s+.*,\s*\(%rsp\)$|^(pop|inc|dec|not|neg|set\w+)[a-z]*\s+\(%rsp\)")
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
    """The instructions from behind the take to the drop, or to where the function is left, by that one, too."""
    drop = re.compile(r"^movq?\s+%r\w+,\s*" + re.escape(place) + "$")
    for text in code[start + 1:start + MOST]:
        if drop.match(text):
            return
        yield text
        if END.match(text):
            return


def is_bad(text):
    leave = LEAVE.match(text)
    return bool(WRITE.match(text) or (leave and leave.group(1) not in NOTES_ANEW))


def notes_anew(code):
    """Before it does anything, and its frame stays for what it calls with the lock held."""
    early = any(TAKE.match(text) for text in code[:16])
    jumps = {leave.group(1).split(".")[0] for leave in map(LEAVE.match, code) if leave}
    return early and "free_by_flush" not in jumps


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: lock_window.py OBJDUMP LIBRARY")
    windows, bad = 0, 0
    for name, code in functions(output_of(sys.argv[1], "-d", "--no-show-raw-insn", sys.argv[2])):
        if name in NOTES_ANEW and not notes_anew(code):
            print(f"{name} goes on with its caller's stack pointer, or gives up its own")
            bad += 1
        for i, text in enumerate(code):
            take = TAKE.match(text)
            if not take or re.search(r"%r[sb]p", take.group(1)):
                continue
            windows += 1
            for inner in window(code, i, take.group(1)):
                if is_bad(inner):
                    print(f"{name}: {inner}")
                    bad += 1
    print(f"{windows} places take the lock, {bad} instructions between write to the stack's end")
    sys.exit(bad != 0 or windows < 5)


if __name__ == "__main__":
    main()
