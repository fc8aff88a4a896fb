"""A real script for python3 to run under a handler that allocates: it prints a digest of all it made."""

import hashlib
import json
import random
import re
import threading
import zlib

THREADS = 2
ROUNDS = 12


def text_of(chooser):
    words = ["".join(chooser.choices("abcdefgh", k=chooser.randint(2, 9))) for _ in range(150)]
    return " ".join(words)


def one_round(chooser, table):
    texts = [text_of(chooser) for _ in range(25)]
    for text in texts:
        for word in re.findall(r"\b[a-d]\w+", text):
            table.setdefault(word, []).append(len(text))
    document = json.dumps({"texts": texts, "table": sorted(table.items())})
    assert json.loads(document)["texts"] == texts
    packed = zlib.compress(document.encode())
    assert zlib.decompress(packed).decode() == document
    for word in sorted(table)[::3]:
        del table[word]
    return hashlib.sha256(document.encode()).hexdigest()


def work(seed, digests):
    chooser = random.Random(seed)
    table = {}
    digests[seed] = [one_round(chooser, table) for _ in range(ROUNDS)]


def main():
    digests = {}
    threads = [threading.Thread(target=work, args=(seed, digests)) for seed in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(THREADS):
        print(seed, hashlib.sha256("".join(digests[seed]).encode()).hexdigest())


main()
