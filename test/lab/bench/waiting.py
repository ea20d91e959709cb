"""What admission_wait changes when 300 clients come at once and retry.

Each connects, works for a while and leaves; who is refused tries again after
a tenth of a second.  All are of one program that has a cap, and the headroom is
so large that all others may wait.  Counted are the
refusals, and how long it took until all were served; beside them a neighbour
runs a short statement every few milliseconds on a connection that it keeps.

The same clients at a server without the library, where nobody waits, show what
it costs the neighbour that so many processes begin at once.
"""
import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import List

from cluster import EXTENSION, PORT, STOCK, Cluster
from wire import ServerError

CLIENTS = 300
CAP = 60
HEADROOM = 480          # half of it may wait
WORK = "SELECT pg_sleep(1)"
RETRY = 0.1             # seconds
PAUSE = 0.005           # of the neighbour
QUIET_SECONDS = 5
ROUNDS = 3
FEWER = 0.1             # of the refusals, at most
SLOWER = 2              # times as slow as on a quiet server, at most

NEIGHBOUR = """
import select, sys, time
sys.path.insert(0, sys.argv[3])
from wire import Session
session = Session(sys.argv[1], int(sys.argv[2]), "app", "checkout")
print("ready", flush=True)
for line in sys.stdin:
    took = []
    end = time.monotonic() + float(line) if float(line) else None
    while not (select.select([sys.stdin], [], [], 0)[0] if end is None
               else time.monotonic() > end):
        began = time.monotonic()
        session.query("SELECT n FROM items WHERE id = 7")
        took.append(time.monotonic() - began)
        time.sleep(%r)
    took.sort()
    print(took[int(len(took) * 0.99)] * 1000, flush=True)
    if end is None:
        break
""" % PAUSE


@dataclass
class Crowd:
    cluster: Cluster
    refused: int = 0
    failed: List[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def client(self, start: threading.Barrier, number: int) -> None:
        pause = random.Random(number)
        start.wait()
        while True:
            try:
                with self.cluster.connect("web", "app") as session:
                    session.query(WORK)
                return
            except ServerError as error:
                with self.lock:
                    self.refused += 1
                    if "too many connections" not in str(error):
                        self.failed.append(str(error))
            except OSError as error:
                with self.lock:
                    self.failed.append(str(error))
            time.sleep(RETRY * pause.uniform(0.5, 1.5))


def _burst(cluster: Cluster):
    """All clients at once; refusals and seconds."""
    crowd = Crowd(cluster)
    start = threading.Barrier(CLIENTS + 1)
    threads = [threading.Thread(target=crowd.client, args=(start, i))
               for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.monotonic()
    for thread in threads:
        thread.join()
    if crowd.failed:
        raise SystemExit(f"a client failed: {crowd.failed[0]}")
    return crowd.refused, time.monotonic() - began


def _capped(wait: str):
    return {**EXTENSION, "pg_hygiene.headroom": str(HEADROOM),
            "pg_hygiene.admission_wait": wait,
            "pg_hygiene.rules": f"application=web: connections={CAP}"}


def _run(name: str, settings):
    """Refusals, seconds, and the neighbour's p99 quiet and beside it."""
    with Cluster(name, {**settings, "max_connections": "1000",
                        "log_min_messages": "panic"}) as cluster:
        neighbour = subprocess.Popen(
            [sys.executable, "-c", NEIGHBOUR, str(cluster.directory),
             str(PORT), sys.path[0]], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        neighbour.stdout.readline()

        def ask(line: str) -> None:
            neighbour.stdin.write(line + "\n")
            neighbour.stdin.flush()

        ask(str(QUIET_SECONDS))
        quiet = float(neighbour.stdout.readline())
        ask("0")
        bursts = [_burst(cluster) for _ in range(ROUNDS)]
        ask("end")
        beside = float(neighbour.stdout.readline())
        neighbour.stdin.close()
        neighbour.wait()
    return (sum(b[0] for b in bursts) / ROUNDS,
            sum(b[1] for b in bursts) / ROUNDS, quiet, beside)


def measure(report) -> None:
    report.progress("waiting: without the library")
    _, _, quiet, beside = _run("waiting_stock", STOCK)
    report.figure(f"{CLIENTS} clients at once, without the library: "
                  "a neighbour's p99, on a quiet server", round(quiet, 1), "ms")
    report.figure("and beside them", round(beside, 1), "ms")
    report.progress("waiting: refused at once")
    refused, seconds, quiet, beside = _run("waiting_refused", _capped("0"))
    report.figure(f"with a cap of {CAP}: refusals", round(refused), "")
    report.figure("until all were served", round(seconds, 2), "s")
    report.figure("a neighbour's p99, on a quiet server", round(quiet, 1), "ms")
    report.figure("and beside them", round(beside, 1), "ms")
    report.progress("waiting: admission_wait = 2s")
    some, sooner, calm, waited = _run("waiting", _capped("2s"))
    report.figure("admission_wait = 2s: refusals", round(some), "",
                  goal=round(refused * FEWER))
    report.figure("until all were served", round(sooner, 2), "s",
                  goal=round(seconds, 2))
    report.figure("a neighbour's p99, on a quiet server", round(calm, 1), "ms")
    report.figure("and beside them", round(waited, 1), "ms",
                  goal=round(calm * SLOWER, 1))
