"""A machine in QEMU with a program in it (placed.c), and what the cases ask of both."""

import re

from machine import DIMM_MIB, DIMM_NODE, NODES, Machine, TestFailed, check

SOCKETS = "/run/uslub"
PRELOADED = "env LD_PRELOAD=/lib/libuslub.so "
MIB = 1 << 20
# For what happens by itself: the service thread's look at sysfs, and some for a slow machine under load.
SOON = 20


class Guest(Machine):
    """A machine with a program in it that obeys too (placed.c)."""

    def ok(self, text):
        print(f"ok      {text}", flush=True)
        self.note(f"ok {text}")

    def last_words(self, text):
        try:
            self.note(text)
        except TestFailed as failure:
            self.transcript.append(f"(it can't be told on the console: {failure})")

    def begin(self, options="", launcher="", preloaded=True):
        """Starts the program: under the library, with control files and these options."""
        words = f"control:{SOCKETS}" + (f",{options}" if options else "")
        environment = f"{PRELOADED}USLUB={words} " if preloaded else ""
        self.run(f"begin {launcher} {environment}placed")
        self.pid = int(self.answer("ready", self.run('read -r answer <&8 && echo "$answer"'))[0])
        if preloaded:
            maps = self.read(f"/proc/{self.pid}/maps")
            check("libuslub.so" in maps, f"the program isn't under libuslub.so: {maps}")
            self.wait_until(lambda: self.attempt(f"uslub ls {self.pid}")[0] == 0, "control files")

    def answer(self, word, said):
        words = said.split()
        check(words[:1] == [word], f"the program says {said!r}, not {word}")
        return words[1:]

    def tell(self, order, seconds=120):
        """Gives the program an order; the words of its answer."""
        status, said = self.attempt(f"tell {order}", seconds)
        if status != 0:
            raise TestFailed(f"the program has ended: {self.read('/run/stderr')!r}")
        return self.answer(order.split()[0], said)

    def figures(self, order):
        """An answer of the form A=1 B=2."""
        return {name: int(value) for name, value in (word.split("=") for word in self.tell(order))}

    def hold(self, node, size, count):
        held = int(self.tell(f"hold {node} {size} {count}")[0])
        check(held == count, f"{held} of {count} objects of {size} bytes of node {node} were to be had")

    def intact(self):
        """The number of objects that the program holds, none of them damaged."""
        damaged, total = map(int, self.tell("check"))
        check(damaged == 0 and total > 0, f"{damaged} of {total} objects are damaged")
        return total

    def load_reaches_dimm(self):
        """Waits until what the load holds is partly on the DIMM."""
        seen = []

        def some():
            seen.append(self.figures("census"))
            return share(seen[-1], DIMM_NODE) >= 10

        self.wait_until(some, "a tenth of the load's pages are on the DIMM")
        return seen[-1]

    def finish(self):
        """The program ends, content with all that it had, and silent."""
        status, _ = self.attempt("finish")
        said = self.read("/run/stderr")
        check(status == 0 and not said, f"the program ends with status {status}: {said!r}")

    def get(self, path):
        return self.run(f"uslub get {self.pid} devices/system/node/{path}").rstrip("\n")

    def set_state(self, state):
        """Writes to the control file of the DIMM's node; returns when it reads so, and after how many seconds."""
        file = f"node{DIMM_NODE}/state"
        self.run(f"uslub set {self.pid} devices/system/node/{file} {state}")
        return self.wait_until(lambda: self.get(file) == state, f"{file} is {state}", 60)

    def tree_is_as_sysfs(self):
        """What uslub shows of nodes is what the kernel shows; the lists."""
        lists = ("possible", "online", "has_memory", "has_cpu")
        kernel = {name: self.read(f"{NODES}/{name}") for name in lists}
        for node in expand(kernel["online"]):
            kernel |= {f"node{node}/{name}": self.read(f"{NODES}/node{node}/{name}").strip()
                       for name in ("cpulist", "distance")}
        shown = {name: self.get(name).strip() for name in kernel}
        different = {name: (text, kernel[name]) for name, text in shown.items() if text != kernel[name]}
        check(not different, f"(uslub's, the kernel's): {different}")
        return " ".join(f"{name}={shown[name]}" for name in lists)

    def memory_is_there(self, there):
        return (DIMM_NODE in expand(self.get("has_memory"))) == there and \
            (DIMM_NODE in expand(self.get("online"))) == there

    def plug_and_wait(self):
        self.plug()
        return self.wait_until(lambda: self.memory_is_there(True),
                               f"node {DIMM_NODE} is online in uslub's tree", SOON)


def expand(text):
    """The numbers of a list as sysfs writes them."""
    ranges = [part.split("-") for part in text.strip().split(",") if part]
    return [number for part in ranges for number in range(int(part[0]), int(part[-1]) + 1)]


def share(figures, *nodes):
    """Percent of the pages that are on the nodes; every page must be in memory."""
    total = sum(figures.values())
    check(total > 0 and figures["failed"] == figures["absent"] == 0, f"not all pages are there: {figures}")
    return 100 * sum(figures[str(node)] for node in nodes) / total


def fresh_shares(guest, threads, mib):
    """Of each thread that allocates: its node, and its pages: own, all, on each node."""
    answers = guest.tell(f"fresh {threads} {mib * MIB}")
    check(len(answers) == threads, f"{threads} threads: {answers}")
    return [tuple(map(int, re.split("[:/]", answer))) for answer in answers]


def fresh_is_local(guest, threads, mib):
    """95 % at least of what each thread allocates is on its own node."""
    shares = fresh_shares(guest, threads, mib)
    check({share[0] for share in shares} == {0, 1}, f"the threads run on nodes 0 and 1: {shares}")
    worst = min(100 * own / total for _, own, total, *_ in shares)
    check(worst >= 95, f"only {worst:.2f} % of a thread's pages are on its node: {shares}")
    pages = sum(total for _, _, total, *_ in shares)
    guest.ok(f"{threads} threads on nodes 0 and 1: at least {worst:.2f} % of each one's pages are local, "
             f"{pages} pages")


def fill_node(guest, node, mib):
    """Objects of all sizes that are asked of the node; where they are."""
    for size, count in ((48, 20000), (1000, 5000), (5000, 1000), (100000, 60), (3 * MIB, 2), (mib * MIB, 1)):
        guest.hold(node, size, count)
    return guest.figures("where")


def fill_dimm(guest):
    """All pages of such objects are on the DIMM; numa_maps and the tree say so too."""
    before = pages_in_maps(guest)
    figures = fill_node(guest, DIMM_NODE, 40)
    check(share(figures, DIMM_NODE) == 100, f"objects of uslub_malloc_node(size, 2): {figures}")
    mapped = pages_in_maps(guest) - before
    check(mapped * 4096 >= 60 * MIB, f"numa_maps has {mapped} pages more on node {DIMM_NODE}")
    used = int(re.search(r"MemUsed: +(\d+) kB", guest.get(f"node{DIMM_NODE}/meminfo")).group(1))
    check(60 << 10 <= used <= DIMM_MIB << 10, f"{used} kB of node {DIMM_NODE} are used, says the tree")
    guest.ok(f"{guest.intact()} objects on node {DIMM_NODE} by move_pages: {figures}; "
             f"numa_maps: {mapped} pages more on it, meminfo: {used} kB used")


def pages_in_maps(guest):
    """The pages of the program that are on the DIMM's node, as /proc/PID/numa_maps has them."""
    return sum(map(int, re.findall(rf" N{DIMM_NODE}=(\d+)", guest.read(f"/proc/{guest.pid}/numa_maps"))))


def load_goes_on(guest):
    before = guest.figures("state")["operations"]
    guest.wait_until(lambda: guest.figures("state")["operations"] > before + 500, "the load goes on")
    check(guest.figures("state")["errors"] == 0, f"errors: {guest.read('/run/stderr')}")


def nothing_on_dimm(guest, when, orders=("where", "census")):
    """Neither of what is held, nor of what the load has."""
    for order in orders:
        figures = guest.figures(order)
        check(share(figures, DIMM_NODE) == 0, f"{when}, {order}: {figures}")
        guest.ok(f"{when}, {order}: no page of a live object is on node 2: {figures}")


def end_of_load(guest):
    result = guest.figures("rest")
    check(result["errors"] == 0, f"load: {result}: {guest.read('/run/stderr')}")
    guest.ok(f"{guest.intact()} objects held and all of the load's were intact at the end: {result}")
    guest.tell("drop")
    guest.finish()
