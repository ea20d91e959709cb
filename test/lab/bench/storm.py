"""The measured storms: what one application that leaks does to the others.

    storm.py [--seconds N] [--only NAME,...] [--json FILE] [--set NAME=VALUE]
             BINDIR DIRECTORY
    storm.py --server HOST:PORT [--seconds N] --only NAME DIRECTORY

The second form lets one storm loose on a server that is there, with table
orders and role app, and prints one line of JSON: for other tests.

Each storm has a throwaway cluster of its own, max_connections = 100 where
nothing else is said, and one login role for all programs that are measured;
one runs after the other.  Prints a table.  Exit status: 0 when all promises
were kept, 1 when one was broken, 2 when the storms could not be run.
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, NoReturn, Optional, Tuple, Union
from urllib.parse import quote

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "demo"))

from cluster import Cluster, ClusterError, Settings     # noqa: E402

Role = Tuple[str, str, List[str]]       # application, program, its options
Results = Dict[str, Dict]               # by the applications' names

READY_SECONDS = 60      # longest wait for a program to have loaded
GRACE_SECONDS = 60      # what it gets to finish after its time

HYGIENE: Settings = [("shared_preload_libraries", "pg_hygiene")]
CAPPED: Settings = HYGIENE + [
    ("pg_hygiene.rules", "application=hammer: connections=1")]
COUNTERS = ("SELECT evicted, refused, refused_by_server, spared"
            " FROM hygiene.status")

CHECKOUT: Role = ("checkout", "checkout", [])
BATCH: Role = ("batch", "batch", [])
WEB: Role = ("web", "web", [])
ORDERS: Role = ("orders", "leak", [])
FIRST: Role = ("first", "first", [])
NAMES = 1_000_000
NAMING: List[Role] = [
    (name, "names", [f"kind={kind}", f"connections={connections}",
                     f"total={NAMES * connections // 50 + 1}"])
    for name, kind, connections in (
        ("billing", "digits", 17), ("search", "uuid", 17),
        ("mail", "hex", 16))]
TENANTS = 200
BURST: Role = ("orders", "burst", [])
HAMMER: Role = ("hammer", "hammer", ["rate=1000"])  # has a role of its own
TAPPER: Role = ("hammer", "hammer", ["rate=200"])


@dataclass
class Storm:
    name: str
    title: str
    cast: List[Role]
    settings: Settings = field(default_factory=lambda: list(HYGIENE))
    served: Dict[str, float] = field(default_factory=dict)  # promised percent
    unhurt: bool = False        # batch and web are promised not to be hurt
    quieter: Optional[str] = None   # compare p99 with that of this storm
    slower_by_ms: float = 20
    attempts: float = 0         # so many a second are needed to judge that
    programs: bool = False      # as many applications as programs, about
    names: int = 0              # so many are taken, by three programs
    worker_kb: int = 256        # and the worker grows by less than that


def neighbours(*leakers: Role, web: int = 8) -> List[Role]:
    return [CHECKOUT, BATCH, ("web", "web", [f"size={web}"]), *leakers]


def core_timeout(value: str) -> Settings:
    return [("idle_in_transaction_session_timeout", value)]


ALL = {"checkout": 100.0}

STORMS = [
    Storm("stock", "stock", neighbours(ORDERS), []),
    Storm("core-5s", "idle_in_transaction_session_timeout = 5s",
          neighbours(ORDERS), core_timeout("5s")),
    Storm("core-2s", "idle_in_transaction_session_timeout = 2s",
          neighbours(ORDERS), core_timeout("2s")),
    Storm("default", "pg_hygiene", neighbours(ORDERS),
          served=ALL, unhurt=True),
    Storm("pool-70", "  web a pool of 70", neighbours(ORDERS, web=70),
          served=ALL, unhurt=True),
    Storm("two", "  two leaking applications",
          neighbours(ORDERS, ("returns", "leak", [])),
          served=ALL, unhurt=True),
    Storm("nameless", "  leaker without application name",
          neighbours(("", "leak", [])), served=ALL, unhurt=True),
    *(Storm(f"named-{naming}", f"  each connection called {title}",
            neighbours(("orders", "leak", [f"naming={naming}"]), FIRST),
            served={"checkout": served}, unhurt=True, programs=True)
      for naming, title, served in (
          ("pid", "orders-<pid>", 100.0),
          ("pod", "after its pod", 100.0),
          ("trace", "by a traceparent", 100.0),
          ("letters", "at random", 99.0))),
    Storm("named-known", "  the same, after three transactions each",
          neighbours(("orders", "leak", ["naming=letters", "before=3"]), FIRST),
          served={"checkout": 99.0}, unhurt=True),
    Storm("tenants", "  one name, 200 roles",
          neighbours(("orders", "leak", ["naming=tenant"]), FIRST),
          served=ALL, unhurt=True, programs=True),
    Storm("no-families", "  application_families = off, orders-<pid>",
          neighbours(("orders", "leak", ["naming=pid"])),
          HYGIENE + [("pg_hygiene.application_families", "off")]),
    Storm("million", "  a million names",
          [CHECKOUT, *NAMING], served={"checkout": 99.0}, names=NAMES),
    Storm("bursts", "  bursts of 50 every 2 s",
          neighbours(BURST),
          served={"checkout": 98.0}, unhurt=True),
    Storm("bursts-cap", "  the same, orders: connections=30",
          neighbours(BURST),
          HYGIENE + [("pg_hygiene.rules", "application=orders: connections=30")],
          served=ALL, unhurt=True),
    Storm("bursts-room", "  max_connections = 130, headroom = 55",
          neighbours(BURST),
          HYGIENE + [("max_connections", "130"), ("pg_hygiene.headroom", "55")],
          served=ALL, unhurt=True),
    Storm("alone-stock", "orders alone, 15/s: stock",
          [("orders", "leak", ["rate=15"])], []),
    Storm("alone", "orders alone, 15/s: pg_hygiene",
          [("orders", "leak", ["rate=15"])], served={"orders": 99.0}),
    Storm("refused-core", "1000 refused/s by a role's limit: stock",
          [CHECKOUT, HAMMER], []),
    Storm("quiet", "pg_hygiene, nobody else", [CHECKOUT], served=ALL),
    Storm("refused", "  1000 refused connections/s", [CHECKOUT, HAMMER],
          CAPPED, served=ALL, quieter="quiet", attempts=1000),
    Storm("refused-200", "  200 refused connections/s", [CHECKOUT, TAPPER],
          CAPPED, served=ALL, quieter="quiet", attempts=200),
]


class Player:
    """One program, in a process of its own."""

    def __init__(self, role: Role, url: str, seconds: float, errors: Path):
        self.application, self.program, options = role
        self.errors = errors
        with open(errors, "w") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-E", "-s", "-B", str(HERE / "storm_crew.py"),
                 self.program, str(seconds), url, *options],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                text=True, start_new_session=True)

    def wait_until_ready(self) -> None:
        if self.process.stdout.readline() != "ready\n":
            self.complain("did not get ready")

    def go(self) -> None:
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def result(self, timeout: float) -> Dict:
        """Its standard input stays open: to close it would be to end it."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.complain("did not finish in time")
        line = self.process.stdout.readline()
        if not line:
            self.complain("has nothing to report")
        return json.loads(line)

    def complain(self, what: str) -> NoReturn:
        raise ClusterError(f"{self.program} {what}:\n"
                           + self.errors.read_text())

    def leave(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class RunningServer:
    """What perform() needs of a cluster, of one that somebody else started."""

    def __init__(self, where: str, directory: Path):
        self.host, self.port = where.rsplit(":", 1)
        self.directory = directory

    def url(self, user: str, application: str) -> str:
        return (f"postgresql://{user}@/postgres?host={quote(self.host)}"
                f"&port={self.port}&application_name={application}")


def url_for(role: Role, cluster: Union[Cluster, RunningServer]) -> str:
    if role is HAMMER:
        return cluster.url("hammer", role[0])
    url = cluster.url("app", role[0])
    # Into another database, for which a password is asked for.
    return url.replace("/postgres?", "/leaky?") if role is BURST else url


def perform(storm: Storm, seconds: float,
            cluster: Union[Cluster, RunningServer]) -> Results:
    """All programs of a storm, from the same instant."""
    players: List[Player] = []
    try:
        for number, role in enumerate(storm.cast):
            players.append(Player(
                role, url_for(role, cluster), seconds,
                cluster.directory / f"{number}.stderr"))
        for player in players:
            player.wait_until_ready()
        for player in players:
            player.go()
        end = time.monotonic() + seconds + GRACE_SECONDS
        return {player.application:
                player.result(max(end - time.monotonic(), 0))
                for player in players}
    finally:
        for player in players:
            player.leave()


def run(storm: Storm, seconds: float, bindir: Path, directory: Path,
        extra: Settings) -> Results:
    settings = [("max_connections", "100")] + storm.settings + (
        extra if storm.settings else [])
    with Cluster(bindir, directory, settings) as cluster:
        prepare(cluster, 1 if not storm.settings else -1)
        before = worker_kb(cluster)
        results = perform(storm, seconds, cluster)
        results["server"] = {"log_lines": count_lines(cluster.log),
                             "worker_kb": worker_kb(cluster) - before}
        if ("shared_preload_libraries", "pg_hygiene") in settings:
            connection = cluster.connect()
            with connection.cursor() as cursor:
                cursor.execute("CREATE EXTENSION pg_hygiene")
                cursor.execute(COUNTERS)
                results["server"].update(zip(
                    (column.name for column in cursor.description),
                    cursor.fetchone()))
                # What is left when the last ones have gone, too.
                for _ in range(100):
                    cursor.execute("SELECT used FROM hygiene.status")
                    if cursor.fetchone()[0] == 1:
                        break
                    time.sleep(0.1)
                cursor.execute("SELECT application_name"
                               " FROM hygiene.applications")
                names = [row[0] for row in cursor.fetchall()]
                results["server"]["applications"] = len(names)
                results["server"]["application_names"] = names
            connection.close()
        return results


def prepare(cluster: Cluster, limit: int) -> None:
    """What the hammer and the bursts need."""
    hba = cluster.data / "pg_hba.conf"
    hba.write_text("local leaky all password\n" + hba.read_text())
    connection = cluster.connect()
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE hammer LOGIN CONNECTION LIMIT %s",
                       [limit])
        cursor.execute("ALTER ROLE app PASSWORD 'secret'")
        cursor.execute("CREATE DATABASE leaky")
        for number in range(TENANTS):
            cursor.execute(f"CREATE ROLE tenant{number} LOGIN IN ROLE app")
        cursor.execute("SELECT pg_reload_conf()")
    connection.close()


def worker_kb(cluster: Cluster) -> int:
    """How much memory of its own pg_hygiene's worker has; 0 without one."""
    connection = cluster.connect()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity"
                       " WHERE backend_type = 'pg_hygiene worker'")
        row = cursor.fetchone()
    connection.close()
    if row is None:
        return 0
    status = Path(f"/proc/{row[0]}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0])


def count_lines(path: Path) -> int:
    with open(path, errors="replace") as lines:
        return sum(1 for _ in lines)


def broken_promises(storm: Storm, results: Results,
                    others: Dict[str, Results]) -> List[str]:
    broken = []
    for application, promised in storm.served.items():
        percent = results[application]["percent"] or 0.0
        if percent < promised:
            broken.append(f"{application} was served {percent:.2f} %, not"
                          f" {promised:g} %: "
                          f"{results[application]['errors']}")
    if storm.unhurt:
        batch, web = results["batch"], results["web"]
        if batch["killed"] or batch["refused"]:
            broken.append(f"batch lost {batch['killed']} transactions, and"
                          f" was refused {batch['refused']} times")
        if web["lost"] or web["errors"]:
            broken.append(f"web lost {web['lost']} of {web['pool']}"
                          f" connections: {web['errors']}")
    if storm.programs:
        first = results["first"]
        # checkout, batch, web, orders, and whoever came once
        programs = 4 + first["came"]
        rows = results["server"]["applications"]
        if abs(rows - programs) > 10:
            broken.append(f"{programs} programs have {rows} rows")
        if first["median_s"] > 2 or first["lost"]:
            broken.append("programs that were new here waited"
                          f" {first['median_s']:.1f} s and lost"
                          f" {first['lost']}")
    if storm.names:
        taken = sum(result.get("names", 0) for result in results.values())
        rows = results["server"]["applications"]
        grown = results["server"]["worker_kb"]
        print(f"    {taken} names in {rows} rows; the worker grew by"
              f" {grown} kB", flush=True)
        # checkout, whoever asks, those that are gone, and of each program its
        # first name and its family
        if taken < storm.names:
            broken.append(f"{taken} names were taken, not {storm.names}")
        if rows > 3 + 2 * len(NAMING):
            broken.append(f"{rows} rows, not {3 + 2 * len(NAMING)}")
        if grown > storm.worker_kb:
            broken.append(f"the worker grew by {grown} kB")
    if storm.quieter in others:
        slower = (results["checkout"]["p99"]
                  - others[storm.quieter]["checkout"]["p99"])
        reached = results["hammer"]["a_second"]
        results["checkout"]["p99_slower_by"] = slower
        # A machine that cannot do that many a second is saturated, with
        # anybody's refusals; then the row says only how many it could do.
        if reached < 0.95 * storm.attempts:
            print(f"    not judged: {reached:.0f} of {storm.attempts:g}"
                  " refusals a second are all that this machine can do")
        elif slower > storm.slower_by_ms:
            broken.append(f"checkout's p99 is {slower:.1f} ms more than on a"
                          f" quiet server, not {storm.slower_by_ms:g} ms")
    return broken


# ------------------------------------------------------------------- screen

COLUMNS = "{:44} {:>9} {:>7} {:>6} {:>7} {:>7} {:>9} {:>8}"


def print_header() -> None:
    print(COLUMNS.format("", "checkout", "honest", "pool", "p50", "p99",
                         "leaker", "leaker"))
    print(COLUMNS.format("storm", "served", "killed", "lost", "ms", "ms",
                         "asked/s", "served"), flush=True)


def print_row(storm: Storm, results: Results, seconds: float) -> None:
    checkout = results.get("checkout", {})
    leakers = [result for name, result in results.items()
               if name not in ("checkout", "batch", "web", "server", "first")]
    asked = sum(leaker["asked"] for leaker in leakers)
    served = sum(leaker["served"] for leaker in leakers)

    def show(value: Optional[float], form: str) -> str:
        return "" if value is None else form.format(value)

    print(COLUMNS.format(
        storm.title, show(checkout.get("percent"), "{:.2f} %"),
        show(results.get("batch", {}).get("killed"), "{}"),
        show(results.get("web", {}).get("lost"), "{}"),
        show(checkout.get("p50"), "{:.1f}"),
        show(checkout.get("p99"), "{:.1f}"),
        show(asked / seconds if leakers else None, "{:.0f}"),
        show(100 * served / asked if asked else None, "{:.1f} %")),
        flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60,
                        help="how long each storm lasts")
    parser.add_argument("--only", help="names of storms, with commas between")
    parser.add_argument("--json", help="write all figures to this file")
    parser.add_argument("--set", action="append", default=[],
                        metavar="NAME=VALUE",
                        help="a setting for all storms with pg_hygiene")
    parser.add_argument("--server", metavar="HOST:PORT",
                        help="a server that is there already")
    parser.add_argument("bindir", type=Path, nargs="?")
    parser.add_argument("directory", type=Path)
    options = parser.parse_args()
    if not options.server and not options.bindir:
        parser.error("BINDIR is missing")
    names = options.only.split(",") if options.only else [
        storm.name for storm in STORMS]
    unknown = set(names) - {storm.name for storm in STORMS}
    if unknown:
        parser.error(f"no such storm: {', '.join(sorted(unknown))}; there are "
                     + ", ".join(storm.name for storm in STORMS))
    extra: Settings = [tuple(setting.split("=", 1)) for setting in options.set]

    # A signal must unwind the stack, so that servers and programs are ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.server:
        (storm,) = (storm for storm in STORMS if storm.name in names)
        print(json.dumps(perform(storm, options.seconds, RunningServer(
            options.server, options.directory))))
        return 0
    others: Dict[str, Results] = {}
    broken: List[str] = []
    print_header()
    for storm in STORMS:
        if storm.name not in names:
            continue
        results = run(storm, options.seconds, options.bindir,
                      options.directory / storm.name, extra)
        complaints = broken_promises(storm, results, others)
        print_row(storm, results, options.seconds)
        for complaint in complaints:
            print(f"    BROKEN: {complaint}", flush=True)
        results["broken"] = complaints
        broken += complaints
        others[storm.name] = results
    if options.json:
        with open(options.json, "w") as output:
            json.dump({"seconds": options.seconds, "cpus": os.cpu_count(),
                       "storms": others}, output, indent=1)
    print("all promises were kept" if not broken
          else f"{len(broken)} promises were broken")
    return 1 if broken else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as error:
        print(f"storm: {error}", file=sys.stderr)
        sys.exit(2)
