"""Instructions that a backend executes, counted by callgrind.

The whole server runs under valgrind, and each process writes its own count
when it ends.  A transaction's cost is the difference between a session of 2N
transactions and one of N, divided by N; a connection's is all that its backend
executes from the fork to its end, when it has asked for nothing.  Unlike times
these counts hardly vary, whatever else the machine has to do.
"""
import re
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Dict

from cluster import EXTENSION, PATIENCE, STOCK, TIMER, Cluster

TRANSACTIONS = 500
CONNECTIONS = 21

# Five statements, and none whose cost depends on those before it.
TRANSACTION = ["BEGIN",
               "SELECT 1",
               "SELECT 2",
               "SELECT 3",
               "COMMIT"]

MANY_RULES = "; ".join(f"application=service-{i}-* user=app: idle_in_transaction_timeout={i}s"
                       for i in range(1, 257))

VARIANTS = {"stock": STOCK, "core's timer": TIMER, "pg_hygiene": EXTENSION,
            "pg_hygiene with 256 rules":
            {**EXTENSION, "pg_hygiene.rules": MANY_RULES},
            "pg_hygiene with rollback":
            {**EXTENSION, "pg_hygiene.idle_action": "rollback"}}

LIBRARY = "pg_hygiene.so"


class Profile:
    """What one process has executed, from callgrind's file."""

    def __init__(self, path: Path):
        self.total = 0
        self.ours: Counter = Counter()      # by function of the library
        self._read(path)

    def _read(self, path: Path) -> None:
        """Sum the self cost of each function of our library.

        Names are compressed: "fn=(7) name" defines 7, "fn=(7)" repeats it.
        The line after "calls=" has the callee's cost, not ours.
        """
        names: Dict[str, str] = {}
        objects: Dict[str, str] = {}
        function = object_file = ""
        called = False
        for line in path.read_text(errors="replace").splitlines():
            if line.startswith("fn="):
                function = _expand(line[3:], names)
            elif line.startswith("ob="):
                object_file = _expand(line[3:], objects)
            elif line.startswith("cfn="):
                _expand(line[4:], names)
            elif line.startswith("cob="):
                _expand(line[4:], objects)
            elif line.startswith("calls="):
                called = True
            elif line.startswith(("totals:", "summary:")):
                self.total = max(self.total, int(line.split()[1]))
            elif line[:1] in "0123456789+-*" and line:
                if not called and object_file.endswith(LIBRARY):
                    self.ours[function] += int(line.split()[1])
                called = False


def _expand(text: str, table: Dict[str, str]) -> str:
    number, _, name = text.partition(" ")
    if name:
        table[number] = name
    return table.get(number, number)


def _profile(cluster: Cluster, pid: int) -> Profile:
    """The profile of a backend that has been told to end."""
    path = cluster.directory / f"callgrind.{pid}"
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if path.exists() and re.search(r"^totals: \d+",
                                       path.read_text(errors="replace"), re.M):
            return Profile(path)
        time.sleep(0.05)
    raise TimeoutError(f"callgrind wrote nothing for process {pid}:\n"
                       + cluster.log_tail())


def _await_sleep(pid: int) -> None:
    """Wait until a backend sleeps.

    One that finds the next statement waiting does not go to sleep, which saves
    it hundreds of instructions.  Who wins that race must not count.
    """
    path = Path(f"/proc/{pid}/stat")
    while path.read_text().rpartition(") ")[2][0] != "S":
        time.sleep(0.0002)


def _session(cluster: Cluster, transactions: int) -> Profile:
    """What a session costs that runs so many transactions."""
    session = cluster.connect("orders", "app")
    for _ in range(transactions):
        for statement in TRANSACTION:
            _await_sleep(session.pid)
            session.query(statement)
    _await_sleep(session.pid)
    session.close()
    return _profile(cluster, session.pid)


def _counts(cluster: Cluster) -> Dict[str, object]:
    for _ in range(3):
        _session(cluster, 10)               # caches and files of the server
    idle = [_session(cluster, 0) for _ in range(CONNECTIONS)]
    once, twice = (_session(cluster, n * TRANSACTIONS) for n in (1, 2))
    middle = statistics.median_low([profile.total for profile in idle])
    typical = next(p for p in idle if p.total == middle)
    return {
        "transaction": (twice.total - once.total) / TRANSACTIONS,
        "connection": middle,
        "connection_spread": [min(p.total for p in idle),
                              max(p.total for p in idle)],
        "library_transaction": {
            name: round((twice.ours[name] - once.ours[name]) / TRANSACTIONS, 1)
            for name in twice.ours if twice.ours[name] != once.ours[name]},
        "library_connection": dict(typical.ours.most_common()),
    }


def measure(report) -> None:
    counts: Dict[str, Dict[str, object]] = {}
    for number, (name, settings) in enumerate(VARIANTS.items()):
        report.progress(f"instructions: {name}")
        cluster = Cluster(f"callgrind{number}", settings)
        # A child takes the postmaster's count over; this is the first that
        # it calls.
        cluster.prefix = ["valgrind", "-q", "--tool=callgrind",
                          "--zero-before=InitPostmasterChild",
                          f"--callgrind-out-file={cluster.directory}/callgrind.%p"]
        with cluster:
            counts[name] = _counts(cluster)
    for unit, goal in (("transaction", 200), ("connection", 30000)):
        stock = counts["stock"][unit]
        report.figure(f"instructions per {unit}, stock", stock, "")
        for name in counts:
            if name != "stock":
                report.figure(f"  added by {name}", counts[name][unit] - stock,
                              "", goal if name == "pg_hygiene" else None)
    report.detail("instructions", counts)
