"""What a login costs where rules count sessions, beside few and many.

The CPU time of the new backend from its fork until it is ready, as the
kernel's scheduler has counted it: it does not grow while others run.  The
rules are as costly as rules can be, and have a cap each.
"""
import statistics
import time
from pathlib import Path
from typing import List

from cluster import EXTENSION, Cluster

SIZES = (5, 500)
LOGINS = 100
SETTLE = 3              # seconds, until the worker has seen all sessions

# As many patterns as a rule can have, and none that fails at once.
GLOBS = " ".join(f"application=*-*{c}*-*" for c in "abcdefg")
MANY_CAPS = "; ".join(f"{GLOBS} user=*{i}*: connections=900"
                      for i in range(256))
MOST = 300              # microseconds that 495 more sessions may add


def _login(cluster: Cluster) -> float:
    """Microseconds of CPU that the backend of a new session has used."""
    with cluster.connect("service-abcdefg-x", "app") as session:
        return int(Path(f"/proc/{session.pid}/schedstat").read_text().split()[0]) / 1e3


def _logins(cluster: Cluster) -> List[float]:
    return sorted(_login(cluster) for _ in range(LOGINS))


def _measure_size(report, number: int, rules: str) -> float:
    settings = {**EXTENSION, "max_connections": "1000",
                "pg_hygiene.rules": rules, "log_min_messages": "warning"}
    with Cluster(f"logins{number}{'r' * bool(rules)}", settings) as cluster:
        sessions = [cluster.connect(f"service-abcdefg-{i}", "app")
                    for i in range(number)]
        time.sleep(SETTLE)
        found = _logins(cluster)
        for session in sessions:
            session.close()
    report.detail(f"logins, {number} sessions, {'256 rules' if rules else 'none'}",
                  found)
    return statistics.median(found)


def measure(report) -> None:
    costs = []
    for number in SIZES:
        report.progress(f"logins: {number} sessions")
        plain = _measure_size(report, number, "")
        rules = _measure_size(report, number, MANY_CAPS)
        costs.append(rules - plain)
        report.figure(f"a login beside {number} sessions, without rules",
                      round(plain), "us")
        report.figure("with 256 rules that count", round(rules), "us")
    report.figure(f"{SIZES[1] - SIZES[0]} more sessions lengthen what rules cost by",
                  round(costs[1] - costs[0]), "us", MOST)
