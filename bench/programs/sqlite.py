# SPDX-License-Identifier: MIT
"""sqlite3: a shop's tables imported, indexed, updated and asked, on a file."""

import random

NEEDS = {"sqlite3": "sqlite3"}
RUNS = ("sqlite3",)
QUICK, FULL = 45000, 300000

WORK = """
PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -8000;
CREATE TABLE customer(id INTEGER PRIMARY KEY, name TEXT, town TEXT, note TEXT);
CREATE TABLE purchase(id INTEGER PRIMARY KEY, customer INTEGER, day TEXT, item TEXT, amount REAL);
.mode csv
.import INPUT/customers.csv customer
.import INPUT/purchases.csv purchase
.mode list
CREATE INDEX by_customer ON purchase(customer, day);
CREATE INDEX by_item ON purchase(item);
CREATE INDEX by_town ON customer(town, name);
CREATE VIRTUAL TABLE notes USING fts5(note);
INSERT INTO notes SELECT note FROM customer;
UPDATE purchase SET amount = amount * 1.19 WHERE id % 7 = 0;
DELETE FROM purchase WHERE id % 23 = 0;
SELECT town, count(*), round(sum(amount)) FROM customer JOIN purchase ON customer = customer.id
  GROUP BY town ORDER BY 3 DESC LIMIT 20;
SELECT name, group_concat(DISTINCT item) FROM customer JOIN purchase ON customer = customer.id
  GROUP BY customer.id HAVING count(*) > 14 ORDER BY name LIMIT 50;
SELECT item, day, sum(amount) OVER (PARTITION BY item ORDER BY day, id) FROM purchase
  ORDER BY 3 DESC LIMIT 20;
WITH RECURSIVE chain(a, depth) AS (SELECT 1, 0 UNION ALL
  SELECT (a * 48271) % 2147483647, depth + 1 FROM chain WHERE depth < SIZE)
  SELECT count(DISTINCT json_extract(json_object('k', a % 1000, 'text', hex(a)), '$.text'))
  FROM chain;
SELECT count(*) FROM notes WHERE notes MATCH 'ka* OR su*';
SELECT count(*), upper(substr(note, 1, 10)) FROM customer GROUP BY 2 ORDER BY 1 DESC, 2 LIMIT 9;
PRAGMA integrity_check;
"""


def setup(box):
    from comparelib.programs_box import prose, vocabulary
    chance = random.Random(3)
    names, text = vocabulary(chance, 400), prose(4, 40000).split("\n")
    with open(box.input / "customers.csv", "w", encoding="utf-8") as file:
        for number in range(1, box.size // 4 + 1):
            name = f"{chance.choice(names)} {chance.choice(names)}"
            file.write(f"{number},{name},{names[number % 90]},{' '.join(chance.choices(text, k=4))}\n")
    with open(box.input / "purchases.csv", "w", encoding="utf-8") as file:
        for number in range(1, box.size + 1):
            day = f"20{chance.randint(10, 26)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
            file.write(f"{number},{chance.randint(1, box.size // 4)},{day},"
                       f"{chance.choice(names)},{chance.randint(1, 99999) / 100}\n")
    work = WORK.replace("INPUT", str(box.input)).replace("SIZE", str(box.size))
    (box.input / "work.sql").write_text(work)


def command(box):
    return ["sqlite3", "-batch", "-bail", box.run / "shop.db", f".read {box.input}/work.sql"]


def result(box, output):
    if not output.rstrip().endswith("ok"):
        return ""
    return output
