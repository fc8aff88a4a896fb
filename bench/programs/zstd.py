# SPDX-License-Identifier: MIT
"""zstd -T2: a compiler's binary and text, two threads."""

import hashlib

NEEDS = {"zstd": "zstd", "gcc": "gcc"}
RUNS = ("zstd",)
QUICK, FULL = 16, 64  # MiB


def setup(box):
    from comparelib.programs_box import prose
    compiler = box.plain("gcc", "-print-prog-name=cc1").strip()
    with open(compiler, "rb") as file:
        binary = file.read(box.size * 2**19)
    text = prose(10, 400000).encode()
    (box.input / "data").write_bytes((text * box.size)[:box.size * 2**19] + binary)


def command(box):
    return ["zstd", "-q", "-T2", "-9", "-B1MiB", box.input / "data", "-o", box.run / "data.zst"]


def result(box, _output):
    packed = box.run / "data.zst"
    box.plain("zstd", "-q", "--test", packed)
    return hashlib.sha256(packed.read_bytes()).hexdigest()
