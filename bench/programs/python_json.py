# SPDX-License-Identifier: MIT
"""python3 as it ships: JSON read and written, dictionaries, sorting, regular expressions.

Objects to 512 bytes come from Python's own pools, which it maps itself: malloc serves strings,
dictionary tables and lists.
"""

NEEDS = {"python3": "/usr/bin/python3"}
RUNS = ("python3",)
ENVIRONMENT = {"PYTHONHASHSEED": "0"}
QUICK, FULL = 12000, 60000

SCRIPT = r"""
import collections, hashlib, json, random, re, sys
chance = random.Random(7)
words = open(sys.argv[1]).read().split()
def record(number):
    return {"id": number, "name": " ".join(chance.choices(words, k=3)),
            "tags": chance.choices(words, k=chance.randint(1, 12)),
            "text": " ".join(chance.choices(words, k=chance.randint(20, 200))),
            "place": {"x": chance.random(), "y": chance.random()}}
lines = [json.dumps(record(number)) for number in range(int(sys.argv[2]))]
records = [json.loads(line) for line in lines]
index = collections.defaultdict(list)
for one in records:
    for tag in one["tags"]:
        index[tag].append(one["id"])
    for word in re.findall(r"\b\w{7,}\b", one["text"]):
        index[word.upper()].append(one["id"])
records.sort(key=lambda one: (one["name"], one["id"]))
text = json.dumps([records, sorted(index.items())], indent=1)
again = json.loads(text)
print(len(text), len(again[1]), hashlib.sha256(text.encode()).hexdigest())
"""


def setup(box):
    from comparelib.programs_box import prose
    (box.input / "words").write_text(prose(1, 20000))
    (box.input / "work.py").write_text(SCRIPT)


def command(box):
    return ["/usr/bin/python3", "-IS", box.input / "work.py", box.input / "words", box.size]
