# SPDX-License-Identifier: MIT
"""xz -T2: a compiler's binary and text, in blocks, two threads."""

import hashlib

NEEDS = {"xz-utils": "xz", "gcc": "gcc"}
RUNS = ("xz",)
QUICK, FULL = 6, 30  # MiB


def setup(box):
    from comparelib.programs_box import prose
    compiler = box.plain("gcc", "-print-prog-name=cc1").strip()
    with open(compiler, "rb") as file:
        binary = file.read(box.size * 2**19)
    text = prose(9, box.size * 90000).encode()[:box.size * 2**19]
    (box.input / "data").write_bytes(text + binary)


def command(box):
    return ["xz", "-T2", "-3", "--block-size=1MiB", "--stdout", box.input / "data"]


def result(box, _output):
    """The output itself is binary: the harness left it beside the run's directory."""
    packed = box.run.parent / "stdout"
    box.plain("xz", "--test", "--format=xz", "-T2", packed)
    return hashlib.sha256(packed.read_bytes()).hexdigest()
