# SPDX-License-Identifier: MIT
"""postgres under pgbench: its own transactions and a report, four clients, a user without rights."""

import re
import shutil
from pathlib import Path

from comparelib.allocators import BenchError

# Debian installs one directory for each version.
PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/lib/postgresql/bin"),
               key=lambda path: int(path.parent.name))
NEEDS = {"postgresql": str(PROGRAMS / "postgres")}
RUNS = ("postgres",)
USER = "postgres"
QUICK, FULL = 200, 1500
CLIENTS = 4

REPORT = """\\set town random(1, 50)
SELECT aid % 50 AS town, count(*), sum(abalance), max(md5(aid::text)),
  json_agg(aid ORDER BY abalance, aid) FILTER (WHERE aid % 50 = :town)
FROM pgbench_accounts WHERE aid <= 8000 GROUP BY 1 ORDER BY 3 DESC, 1;
"""


def options(data, sockets):
    return ["-D", data, "-k", sockets, "-c", "listen_addresses=", "-c", "fsync=off",
            "-c", "shared_buffers=16MB", "-c", "autovacuum=off", "-c", "jit=off"]


def setup(box):
    data = box.input / "data"
    (box.input / "report.sql").write_text(REPORT)
    box.plain(PROGRAMS / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
              "--locale=C.UTF-8", "--no-instructions")
    start = " ".join(str(word) for word in options(data, box.input)[2:])
    box.plain(PROGRAMS / "pg_ctl", "-D", data, "-w", "-l", box.input / "log", "-o", start, "start")
    try:
        box.plain(PROGRAMS / "pgbench", "-h", box.input, "-U", "postgres", "-i", "-q", "-s", 1,
                  "postgres")
    finally:
        box.plain(PROGRAMS / "pg_ctl", "-D", data, "-w", "-m", "fast", "stop")


def before(box):
    shutil.copytree(box.input / "data", box.run / "data")
    box.own(box.run)


def server(box):
    return [PROGRAMS / "postgres", *options(box.run / "data", box.run)]


def ask(box, question):
    return box.plain(PROGRAMS / "psql", "-X", "-A", "-t", "-h", box.run, "-U", "postgres",
                     "-c", question)


def ready(box):
    try:
        return ask(box, "SELECT 1").strip() == "1"
    except BenchError:
        return False


def command(box):
    return [PROGRAMS / "pgbench", "-h", box.run, "-U", "postgres", "-n", "-c", CLIENTS, "-j", CLIENTS,
            "-b", "tpcb-like@9", "-f", f"{box.input}/report.sql@1", "-t", box.size,
            "--random-seed=7", "postgres"]


def result(box, output):
    """What was paid is the same in all tables, and in every run."""
    done = re.search(r"actually processed: (\d+)/(\d+)", output)
    if not done or int(done[1]) != CLIENTS * box.size:
        raise BenchError(f"pgbench did not end its transactions: {output[-300:]}")
    totals = ask(box, """SELECT sum(abalance) FROM pgbench_accounts UNION ALL
        SELECT sum(bbalance) FROM pgbench_branches UNION ALL
        SELECT sum(tbalance) FROM pgbench_tellers UNION ALL
        SELECT sum(delta) FROM pgbench_history""").split()
    if len(set(totals)) != 1:
        raise BenchError(f"the totals differ: {totals}")
    return totals[0]
