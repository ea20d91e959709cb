"""Passes, logins, views and the report beside thousands of sessions that exist
in shared memory only, without rules and with 256."""
import statistics
import sys
import time
from pathlib import Path
from typing import Callable, Dict, List, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
from cluster import EXTENSION, Cluster  # noqa: E402
from wire import Session  # noqa: E402

SIZES = (1000, 3000, 9000)
SLOTS = 10000
RULES = "; ".join(f"application=service-{i}-* user=app: "
                  f"idle_in_transaction_timeout={i + 60}min, connections=9000"
                  for i in range(1, 257))
WINDOW = 8              # seconds in which passes are watched
RELOADS = 10
SETTINGS = {**EXTENSION, "max_connections": str(SLOTS),
            "pg_hygiene.idle_in_transaction_timeout": "1h",
            "pg_hygiene.idle_blocker_timeout": "1h",
            "max_locks_per_transaction": "10"}

VIEWS = {name: f"SELECT count(*) FROM hygiene.{name}" for name in
         ("status", "sessions", "applications", "events", "leaks", "behaviour",
          "rules", "horizon", "samples", "incidents", "drains")}
VIEWS["suggest()"] = "SELECT count(*) FROM hygiene.suggest()"
VIEWS["predict()"] = ("SELECT count(*) FROM hygiene.predict("
                      "'application=*: idle_in_transaction_timeout=1s')")
VIEWS["rehearse()"] = ("SELECT count(*) FROM hygiene.rehearse("
                       "'application=*: idle_in_transaction_timeout=1s')")
VIEWS["report()"] = "SELECT length(hygiene.report())"


def milliseconds(action: Callable[[], object], times: int) -> float:
    """The least of so many times: what it takes when nothing else runs."""
    taken: List[float] = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        taken.append((time.perf_counter() - began) * 1000)
    return min(taken)


def last_pass(session: Session) -> Tuple[str, float]:
    """When it was, and how many milliseconds it took."""
    ((when, duration),) = session.query(
        "SELECT last_pass, extract(epoch FROM pass_duration) * 1000"
        " FROM hygiene.status")
    return when, float(duration)


def at_rest(session: Session) -> float:
    seen: Dict[str, float] = {}
    end = time.monotonic() + WINDOW
    while time.monotonic() < end:
        when, duration = last_pass(session)
        seen[when] = duration
        time.sleep(0.1)
    return min(seen.values())


def after_reload(session: Session) -> float:
    """The pass that looks at all sessions anew; the middle one of several, for
    not every reload is one that the worker sees by itself."""
    durations: List[float] = []
    for _ in range(RELOADS):
        before, _ = last_pass(session)
        session.query("SELECT pg_reload_conf()")
        when = before
        while when == before:
            when, duration = last_pass(session)
        durations.append(duration)
        time.sleep(0.2)
    return statistics.median(durations)


def column(cluster: Cluster, n: int) -> Dict[str, float]:
    figures: Dict[str, float] = {}
    with cluster.connect() as session:
        session.query("CREATE EXTENSION IF NOT EXISTS pg_hygiene")
        session.query("CREATE OR REPLACE FUNCTION crowd(int, oid) RETURNS int"
                      " AS 'pg_hygiene' LANGUAGE C")
        if n:
            session.query(f"SELECT crowd({n}, 'app'::regrole)")
        for what, rules in (("", ""), (", 256 rules", RULES)):
            if rules:
                cluster.set("pg_hygiene.rules", rules)
                time.sleep(1)
            figures[f"a pass at rest{what}"] = at_rest(session)
            figures[f"a pass after a reload{what}"] = after_reload(session)
            figures[f"a login and its end{what}"] = milliseconds(
                lambda: cluster.connect("newcomer", "app").close(), 50)
            for name, text in VIEWS.items():
                figures[f"{name}{what}"] = milliseconds(
                    lambda text=text: session.query(text), 7)
        counted = session.value("SELECT count(*) FROM hygiene.sessions")
        if int(counted) < n:
            raise SystemExit(f"only {counted} of {n} sessions are seen")
    return figures


def main() -> None:
    Cluster.bindir, Cluster.folder = Path(sys.argv[1]), Path(sys.argv[2])
    columns: Dict[int, Dict[str, float]] = {}
    for n in (0, *SIZES):
        with Cluster(f"crowd{n}", SETTINGS) as cluster:
            columns[n] = column(cluster, n)
    print(f"milliseconds, {SLOTS} slots, sessions: ".ljust(44)
          + "".join(f"{n:>10}" for n in columns))
    for name in columns[0]:
        print(name.ljust(44) + "".join(f"{figures[name]:10.2f}"
                                       for figures in columns.values()))


main()
