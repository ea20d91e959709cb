"""What the background worker costs while thousands of sessions are idle.

Half of them are in a transaction.  Beside it a program that looks at
pg_stat_activity once a second: the CPU time of its backend.  A process's CPU
time is what the kernel's scheduler has counted, in nanoseconds.
"""
import resource
import time
from pathlib import Path
from typing import Dict, List, Tuple

from cluster import EXTENSION, Cluster
from instructions import MANY_RULES
from wire import Session

SIZES = (100, 1000, 5000)
WINDOW = 30             # seconds
RULES_WINDOW = 15       # seconds, for each of
RULES_ROUNDS = 3        # rounds without and with rules
SETTLE = 3              # seconds after a change of settings
QUIET = 20              # seconds until backends have flushed their statistics

POLL = """
SELECT pid, usename, application_name, state, now() - state_change
  FROM pg_stat_activity
 WHERE state = 'idle in transaction'
   AND now() - state_change > interval '1 day'"""


def _cpu_seconds(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


class Window:
    """What a process did between two moments."""

    def __init__(self, pid: int):
        self.pid = pid
        self.began = time.monotonic()
        self.cpu = _cpu_seconds(pid)

    def share(self) -> float:
        """Percent of a core."""
        passed = time.monotonic() - self.began
        return (_cpu_seconds(self.pid) - self.cpu) / passed * 100


def _passes(monitor: Session, seconds: float) -> List[int]:
    """The durations of the passes in this time, in microseconds."""
    durations: Dict[str, int] = {}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for last, duration in monitor.query("""
SELECT last_pass, (extract(epoch FROM pass_duration) * 1000000)::bigint
  FROM hygiene.status"""):
            durations[last] = int(duration)
        time.sleep(0.5)
    return sorted(durations.values())


def _quantile(values: List[int], share: float) -> float:
    return values[min(int(len(values) * share), len(values) - 1)]


def _open(cluster: Cluster, number: int) -> List[Session]:
    """Idle sessions, every other one in a transaction."""
    sessions = []
    for i in range(number):
        session = cluster.connect(f"service-{i % 50}", "app")
        sessions.append(session)
        session.query("BEGIN" if i % 2 else "SELECT 1")
    return sessions


def _poll(cluster: Cluster) -> Tuple[float, float]:
    """CPU share of a poller's backend, and microseconds of CPU for a poll."""
    with cluster.connect("poller") as session:
        session.query(POLL)
        window = Window(session.pid)
        cpu = window.cpu
        for _ in range(10):
            time.sleep(1)
            session.query(POLL)
        return window.share(), (_cpu_seconds(session.pid) - cpu) / 10 * 1e6


def _compare_rules(cluster: Cluster, monitor: Session) -> Dict[str, List[int]]:
    """Passes without and with 256 rules, in turns, for machines vary."""
    found: Dict[str, List[int]] = {"": [], MANY_RULES: []}
    for _ in range(RULES_ROUNDS):
        for rules, durations in found.items():
            cluster.set("pg_hygiene.rules", rules)
            time.sleep(SETTLE)
            durations += _passes(monitor, RULES_WINDOW)
    return {"none": sorted(found[""]), "256": sorted(found[MANY_RULES])}


def _measure_size(report, number: int) -> None:
    settings = {**EXTENSION, "max_connections": str(number * 5 // 4 + 20),
                "log_min_messages": "warning"}
    with Cluster(f"worker{number}", settings) as cluster:
        report.progress(f"worker: opening {number} sessions")
        sessions = _open(cluster, number)
        with cluster.connect("monitor") as monitor:
            monitor.query("CREATE EXTENSION pg_hygiene")
            pid = int(monitor.value("SELECT worker_pid FROM hygiene.status"))
            time.sleep(QUIET)
            report.progress(f"worker: {number} sessions")
            window = Window(pid)
            durations = _passes(monitor, WINDOW)
            share = window.share()
            held = int(monitor.value("SELECT used FROM hygiene.status"))
            if held < number:
                raise RuntimeError(f"only {held} of {number} sessions are left:\n"
                                   + cluster.log_tail())
            poller_share, poll = _poll(cluster)
            _report_size(report, number, durations, share, poller_share, poll)
            if number == max(SIZES):
                _report_rules(report, _compare_rules(cluster, monitor))
        for session in sessions:
            session.close()


def _report_size(report, number: int, durations: List[int], share: float,
                 poller_share: float, poll: float) -> None:
    largest = number == max(SIZES)
    middle = _quantile(durations, 0.5)
    sessions = f"{number:,} sessions"
    report.figure(f"{sessions}: worker's share of a core", round(share, 4),
                  "%", 0.1 if largest else None)
    report.figure(f"{sessions}: a poller's, once a second",
                  round(poller_share, 4), "%")
    report.figure(f"{sessions}: a pass, p50", middle, "us")
    report.figure(f"{sessions}: a pass, p95", _quantile(durations, 0.95), "us")
    report.figure(f"{sessions}: a pass for each session", round(middle / number, 4),
                  "us", 0.1 if largest else None)
    report.figure(f"{sessions}: a poll", round(poll), "us")
    report.detail(f"worker, {number} sessions", durations)


def _report_rules(report, found: Dict[str, List[int]]) -> None:
    without, rules = (_quantile(found[key], 0.5) for key in ("none", "256"))
    report.figure("256 rules lengthen a pass in which nothing changed by",
                  round((rules / without - 1) * 100, 1), "%", 20)
    report.detail("worker, rules", found)


def measure(report) -> None:
    wanted = max(SIZES) + 100
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    for number in SIZES:
        _measure_size(report, number)
