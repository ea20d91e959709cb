"""How much later than its limit an idle transaction is ended.

As its client sees it: from the reply to the last statement until the socket is
closed.  The same for PostgreSQL's own timer and for a program that looks at
pg_stat_activity once a second, as most such programs do.
"""
import random
import selectors
import threading
import time
from typing import Dict, List, Optional

from cluster import EXTENSION, PATIENCE, Cluster

LIMIT = 0.7             # seconds
SESSIONS = 100
SPREAD = 3.0            # seconds in which the sessions fall idle

# Room for all of them: how slots are freed is measured elsewhere.
ROOMY = {"max_connections": "300"}

KILL = f"""
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE state IN ('idle in transaction', 'idle in transaction (aborted)')
   AND clock_timestamp() - state_change > '{LIMIT}s'"""


class Poller(threading.Thread):
    """Ends what has been idle too long, once a second."""

    def __init__(self, cluster: Cluster):
        super().__init__(daemon=True)
        self.session = cluster.connect("poller")
        self.stopped = threading.Event()

    def run(self) -> None:
        while not self.stopped.wait(1):
            self.session.query(KILL)

    def stop(self) -> None:
        self.stopped.set()
        self.join()
        self.session.close()


def _watch(cluster: Cluster) -> List[float]:
    """Let sessions fall idle; returns by how many ms each was late."""
    chance = random.Random(7)
    waiting = [cluster.connect("orders", "app") for _ in range(SESSIONS)]
    begin = time.monotonic()
    starts = sorted(begin + chance.random() * SPREAD for _ in waiting)
    idle_since: Dict[int, float] = {}
    late: List[float] = []
    with selectors.DefaultSelector() as selector:
        while len(late) < SESSIONS:
            now = time.monotonic()
            if now > begin + PATIENCE:
                raise TimeoutError(f"only {len(late)} sessions were ended:\n"
                                   + cluster.log_tail())
            if waiting and starts[0] <= now:
                starts.pop(0)
                session = waiting.pop()
                session.query("BEGIN")
                idle_since[session.fileno()] = time.monotonic()
                selector.register(session.socket, selectors.EVENT_READ, session)
                continue
            wait = max(starts[0] - now, 0) if waiting else 1
            for key, _ in selector.select(wait):
                if not _closed(key.fileobj):
                    continue
                passed = time.monotonic() - idle_since[key.fd]
                late.append((passed - LIMIT) * 1000)
                selector.unregister(key.fileobj)
                key.fileobj.close()
    return sorted(late)


def _closed(connection) -> bool:
    """Read what there is, at most the server's last words; is it the end?"""
    try:
        return not connection.recv(65536)
    except ConnectionResetError:
        return True


def _run(name: str, settings: Dict[str, str], polled: bool) -> List[float]:
    with Cluster(name, {**ROOMY, **settings}) as cluster:
        poller: Optional[Poller] = None
        if polled:
            poller = Poller(cluster)
            poller.start()
        try:
            return _watch(cluster)
        finally:
            if poller:
                poller.stop()


def measure(report) -> None:
    milliseconds = f"{LIMIT * 1000:.0f}ms"
    variants = {
        "core's timer":
            ({"idle_in_transaction_session_timeout": milliseconds}, False),
        "pg_hygiene":
            ({**EXTENSION,
              "pg_hygiene.idle_in_transaction_timeout": milliseconds}, False),
        "SQL every second": ({}, True),
    }
    for number, (name, (settings, polled)) in enumerate(variants.items()):
        report.progress(f"overshoot: {name}")
        late = _run(f"overshoot{number}", settings, polled)
        for label, value, goal in (("p50", late[SESSIONS // 2 - 1], None),
                                   ("p95", late[SESSIONS * 95 // 100 - 1], 5),
                                   ("max", late[-1], None)):
            report.figure(f"limit of {milliseconds} overshot by {name}, {label}",
                          round(value, 3), "ms",
                          goal if name == "pg_hygiene" else None)
        report.detail(f"overshoot, {name}", [round(ms, 3) for ms in late])
