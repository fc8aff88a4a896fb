# SPDX-License-Identifier: MIT
"""z3 on formulas: a timetable of integers with distances, and the factors of a bit vector."""

import random

from comparelib.allocators import BenchError

NEEDS = {"z3": "z3"}
RUNS = ("z3",)
QUICK, FULL = 220, 400


def timetable(count):
    """Jobs that must not overlap where they share a machine."""
    chance = random.Random(11)
    lines = ["(set-option :smt.random_seed 7)", "(set-logic QF_IDL)"]
    length = [chance.randint(1, 9) for _ in range(count)]
    lines += [f"(declare-fun s{i} () Int)(assert (>= s{i} 0))" for i in range(count)]
    for i in range(count):
        for j in range(i):
            if chance.random() < 0.3:
                lines.append(f"(assert (or (<= (- s{i} s{j}) (- {length[i]})) "
                             f"(<= (- s{j} s{i}) (- {length[j]}))))")
        lines.append(f"(assert (<= s{i} {count * 4}))")
    return "\n".join([*lines, "(check-sat)", "(reset)"])


def factors(number, bits):
    """Two factors of a prime number: there are none."""
    one, width = f"(_ bv1 {2 * bits})", f"(_ BitVec {2 * bits})"
    limit = f"(_ bv{2**bits} {2 * bits})"
    names = "".join(f"(declare-fun {n} () {width})(assert (bvult {n} {limit}))"
                    f"(assert (bvugt {n} {one}))" for n in "ab")
    return (f"(set-logic QF_BV)\n{names}\n"
            f"(assert (= (bvmul a b) (_ bv{number} {2 * bits})))(check-sat)\n")


def setup(box):
    prime, bits = (65521, 13) if box.size == QUICK else (1048573, 20)
    (box.input / "formulas.smt2").write_text(timetable(box.size) + "\n" + factors(prime, bits))


def command(box):
    return ["z3", "-smt2", box.input / "formulas.smt2"]


def result(_box, output):
    if output.split() != ["sat", "unsat"]:
        raise BenchError(f"z3 says {output[-300:]}")
    return output
