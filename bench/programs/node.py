# SPDX-License-Identifier: MIT
"""node: buffers, streams through zlib, JSON and maps.

V8 maps the memory of its own objects itself: malloc serves buffers, zlib and the compiler.
"""

NEEDS = {"nodejs": "node"}
RUNS = ("node",)
QUICK, FULL = 400, 3000

SCRIPT = r"""
const zlib = require('zlib'), crypto = require('crypto'), fs = require('fs');
const text = fs.readFileSync(process.argv[2]);
const turns = Number(process.argv[3]);
const hash = crypto.createHash('sha256');
const kept = [];
for (let turn = 0; turn < turns; turn++) {
  const from = (turn * 7919) % (text.length - 70000);
  const piece = Buffer.from(text.subarray(from, from + 1000 + (turn * 131) % 60000));
  const packed = zlib.deflateSync(piece, { level: 1 });
  if (!zlib.inflateSync(packed).equals(piece)) throw new Error('zlib');
  const counts = new Map();
  for (const word of piece.toString().split(/\W+/))
    counts.set(word, (counts.get(word) || 0) + 1);
  const json = JSON.stringify([...counts].sort());
  hash.update(piece).update(json);
  kept.push(Buffer.concat([piece, Buffer.from(json)]));
  if (kept.length > 200) kept.splice(0, 100);
}
console.log(hash.digest('hex'), Buffer.concat(kept).length);
"""


def setup(box):
    from comparelib.programs_box import prose
    (box.input / "text").write_text(prose(8, 60000))
    (box.input / "work.js").write_text(SCRIPT)


def command(box):
    return ["node", box.input / "work.js", box.input / "text", box.size]
