"""The demo: the same storm twice, on a stock server and with pg_hygiene; then
a pool that leaks, with a timer of PostgreSQL's own and with a rollback.

usage: demo.py BINDIR DIRECTORY

BINDIR has the server's programs; DIRECTORY is an empty one in which all of it
happens and that the caller removes.  Ends with 0 if the promise was kept: with
pg_hygiene checkout is served every time, batch loses nothing, and the leaking
program is told why its sessions end; and a pool keeps its connections.
"""
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional

import screen
from cluster import Cluster, ClusterError, Settings
from troupe import Troupe
from views import HygieneView, StockView

# ---------------------------------------------------------------------------
# All that is not PostgreSQL's or pg_hygiene's default.
#
# Thirty slots and a limit of one and a half seconds make visible in seconds
# what takes minutes with a hundred slots and ten minutes.
# ---------------------------------------------------------------------------
STOCK: Settings = [
    ("max_connections", "30"),
]
WITH_PG_HYGIENE: Settings = STOCK + [
    ("shared_preload_libraries", "pg_hygiene"),
    ("pg_hygiene.idle_in_transaction_timeout", "1500ms"),
]
CORE_TIMER: Settings = [
    ("idle_in_transaction_session_timeout", "300ms"),
]
ROLLBACK: Settings = [
    ("shared_preload_libraries", "pg_hygiene"),
    ("pg_hygiene.idle_in_transaction_timeout", "300ms"),
    ("pg_hygiene.idle_action", "rollback"),
]
POOLED_SECONDS = 6
STOCK_SECONDS = 10
WITH_PG_HYGIENE_SECONDS = 16

APPLICATIONS_QUERY = """
SELECT application_name, connections AS now, idle_in_transaction AS idle_in_tx,
       peak_connections AS peak, opened, terminated, evicted, refused
  FROM hygiene.applications ORDER BY opened DESC;
"""
EVENTS_QUERY = """
SELECT to_char(occurred_at, 'HH24:MI:SS.MS') AS at, application_name AS app,
       action, outcome, reason, measured
  FROM hygiene.events ORDER BY event_id DESC LIMIT 5;
"""


@dataclass
class Outcome:
    """How the three programs fared in one act."""
    served: int = 0
    asked: int = 0
    orders_served: int = 0
    orders_asked: int = 0
    statements: int = 0
    statements_kept: int = 0
    batch_error: str = ""
    refusal: str = ""           # what the first refused checkout was told
    ended: int = 0              # sessions of orders
    others_hurt: Dict[str, int] = field(default_factory=dict)
    fatal: Optional[Dict[str, str]] = None
    raised: str = ""            # what SQLAlchemy made of that FATAL
    orders_refusal: str = ""    # what the first refused request was told
    diagnoses: Dict[str, str] = field(default_factory=dict)
    applications: str = ""
    events: str = ""


def play(bindir: Path, directory: Path, settings: Settings, seconds: int,
         view_of: type) -> Outcome:
    """One act: a new cluster, the storm, a line a second."""
    with Cluster(bindir, directory, settings) as cluster:
        connection = cluster.connect()
        view = view_of(connection)
        urls = {name: cluster.url("app", name)
                for name in ("batch", "checkout", "orders")}
        outcome = Outcome()
        with Troupe(urls, directory) as troupe:
            screen.live_header(view.remark)
            watch(view, troupe, seconds)
            if isinstance(view, HygieneView):
                outcome.applications = cluster.psql(APPLICATIONS_QUERY,
                                                    screen.WIDTH - 2)
                outcome.events = cluster.psql(EVENTS_QUERY, screen.WIDTH - 2)
                outcome.diagnoses = view.diagnoses()
                outcome.others_hurt = view.others_hurt()
        for failure in troupe.failures():
            raise ClusterError(failure)
        count_up(outcome, troupe, view)
        connection.close()
    return outcome


def watch(view: StockView, troupe: Troupe, seconds: int) -> None:
    """Print a line a second while the programs run."""
    start = time.monotonic()
    served = refused = 0
    for second in range(1, seconds + 1):
        time.sleep(max(start + second - time.monotonic(), 0))
        sample = view.sample()
        before = served, served + refused
        served = troupe["checkout"].count("served")
        refused = troupe["checkout"].count("refused")
        screen.live_line(second, sample.connections, view.slots,
                         view.reserved, sample.free, served - before[0],
                         served + refused - before[1], sample.remarks)


def count_up(outcome: Outcome, troupe: Troupe, view: StockView) -> None:
    """Gather what the programs reported, and check it against the tables."""
    checkout, orders, batch = (troupe[name] for name in
                               ("checkout", "orders", "batch"))
    outcome.served = checkout.count("served")
    outcome.asked = outcome.served + checkout.count("refused")
    outcome.orders_served = orders.count("served")
    outcome.orders_asked = outcome.orders_served + orders.count("refused")
    outcome.statements = batch.count("served")
    outcome.statements_kept = view.value("SELECT count(*) FROM ledger")
    outcome.batch_error = (batch.first("lost") or {}).get("error", "")
    outcome.refusal = (checkout.first("refused") or {}).get("error", "")
    outcome.orders_refusal = (orders.first("refused") or {}).get("error", "")
    outcome.fatal = (orders.first("ended") or {}).get("fatal")
    outcome.raised = (orders.first("raised") or {}).get("error", "")
    if isinstance(view, HygieneView):
        outcome.ended = view.ended("orders")


def introduce() -> None:
    screen.heading("Three programs, one login role, one server")
    screen.item("orders", "SQLAlchemy; a new engine and Session per request,"
                " never closed; ten requests a second")
    screen.item("checkout", "the healthy neighbour: ten short connections a"
                " second")
    screen.item("batch", "an honest long transaction: two short statements a"
                " second, idle in between, one commit at the end")


def announce(title: str, settings: Settings, seconds: int) -> None:
    screen.heading(f"{title}, {seconds} s")
    for name, value in settings:
        screen.say(f"  {name} = {value}")
    screen.say()


def fatal_of(error: str) -> str:
    """The server's words in libpq's error, without the path of the socket."""
    return error[error.find("FATAL"):] if "FATAL" in error else error


def compare(stock: Outcome, hygiene: Outcome) -> None:
    """The table of both acts."""
    def share(part: int, whole: int) -> str:
        # Rounded down: only all of them are 100 %.
        return f"{100 * part // max(whole, 1)} % ({part} of {whole})"

    def batch(act: Outcome) -> str:
        if act.batch_error:
            return "killed"
        return f"committed, {act.statements_kept} rows"

    screen.heading("Both runs")
    screen.table([("", "stock", "with pg_hygiene")] + [
        (label, of(stock), of(hygiene)) for label, of in [
            ("checkout served", lambda act: share(act.served, act.asked)),
            ("orders served", lambda act: share(act.orders_served,
                                                act.orders_asked)),
            ("batch", batch),
            ("sessions of orders ended", lambda act: str(act.ended)),
            ("sessions of others ended",
             lambda act: str(sum(act.others_hurt.values()))),
        ]])


def explain(hygiene: Outcome) -> None:
    """Who did it, what was done, and what the leaking program was told."""
    screen.heading("Who did it")
    screen.query_result(APPLICATIONS_QUERY, hygiene.applications)
    for application, diagnosis in hygiene.diagnoses.items():
        screen.say()
        screen.item(application, diagnosis)
    screen.heading("What was done, newest first")
    screen.query_result(EVENTS_QUERY, hygiene.events)
    if hygiene.fatal:
        screen.heading("What the server wrote to the leaking program's"
                       " connection")
        screen.server_message(hygiene.fatal)
    if hygiene.raised:
        screen.heading("What SQLAlchemy raised when the program used it again")
        screen.lines(hygiene.raised.split("[SQL:")[0])
    if hygiene.orders_refusal:
        screen.heading("What a refused request of orders was told")
        screen.lines(fatal_of(hygiene.orders_refusal))


def broken_promises(stock: Outcome, hygiene: Outcome) -> List[str]:
    """Why this run does not show what it should; empty if it does."""
    fatal = hygiene.fatal or {}
    return [what for wrong, what in [
        (stock.served == stock.asked,
         "the stock server refused nobody: the failure was not reproduced"),
        (hygiene.asked == 0 or hygiene.served < hygiene.asked,
         "checkout was not served every time: " + hygiene.refusal),
        (hygiene.batch_error, "batch was killed: " + hygiene.batch_error),
        (hygiene.statements_kept != hygiene.statements,
         f"batch ran {hygiene.statements} statements, and"
         f" {hygiene.statements_kept} are in its table"),
        (hygiene.others_hurt,
         f"others than orders were touched: {hygiene.others_hurt}"),
        (hygiene.ended == 0, "no session of orders was ended"),
        (not (fatal.get("sqlstate") and fatal.get("detail")
              and fatal.get("hint")),
         "the leaking program was not told why: " + str(fatal)),
    ] if wrong]


def play_pool(bindir: Path, directory: Path, settings: Settings) -> Dict:
    """The third act, with one of its two servers: what the program saw."""
    with Cluster(bindir, directory, settings) as cluster:
        with Troupe({"pooled": cluster.url("app", "pooled")},
                    directory) as troupe:
            time.sleep(POOLED_SECONDS)
        for failure in troupe.failures():
            raise ClusterError(failure)
    return troupe["pooled"].first("done") or {}


def compare_pools(timer: Dict, rollback: Dict) -> None:
    def first_error(seen: Dict) -> str:
        return next(iter(seen["errors"]), "nothing")

    screen.table([("", "PostgreSQL's timer", "rollback")] + [
        ("committed", str(timer["committed"]), str(rollback["committed"])),
        ("careless, not committed", str(sum(timer["errors"].values())),
         str(sum(rollback["errors"].values()))),
        ("backends used", str(timer["backends"]), str(rollback["backends"]))])
    screen.say()
    screen.item("timer", f"the program sees: {first_error(timer)}")
    screen.item("rollback", f"the program sees: {first_error(rollback)}")


def broken_pool(rollback: Dict) -> List[str]:
    """Why the pool was not spared; empty if it was."""
    told = [error for error in rollback["errors"]
            if "transaction was rolled back due to" not in error]
    return [what for wrong, what in [
        (rollback["backends"] != 8,
         f"the pool of 8 used {rollback['backends']} backends"),
        (not rollback["errors"], "no transaction was rolled back"),
        (told, f"the program was not told why: {told}"),
    ] if wrong]


def run(bindir: Path, directory: Path) -> int:
    """All acts and the verdict."""
    introduce()
    announce("Act 1: PostgreSQL as it is", STOCK, STOCK_SECONDS)
    stock = play(bindir, directory / "stock", STOCK, STOCK_SECONDS, StockView)
    if stock.refusal:
        screen.say()
        screen.note("checkout, which did nothing wrong, was told:")
        screen.lines(fatal_of(stock.refusal))
    announce("Act 2: with pg_hygiene", WITH_PG_HYGIENE,
             WITH_PG_HYGIENE_SECONDS)
    hygiene = play(bindir, directory / "hygiene", WITH_PG_HYGIENE,
                   WITH_PG_HYGIENE_SECONDS, HygieneView)
    explain(hygiene)
    compare(stock, hygiene)
    announce("Act 3: a pool of eight, every third transaction careless, with"
             " PostgreSQL's own timer", CORE_TIMER, POOLED_SECONDS)
    timer = play_pool(bindir, directory / "timer", CORE_TIMER)
    announce("and with pg_hygiene's rollback", ROLLBACK, POOLED_SECONDS)
    rollback = play_pool(bindir, directory / "rollback", ROLLBACK)
    compare_pools(timer, rollback)
    screen.say()
    broken = broken_promises(stock, hygiene) + broken_pool(rollback)
    for promise in broken:
        screen.note(screen.paint("NOT KEPT: ", "red") + promise)
    if not broken:
        screen.note(screen.paint("Kept: ", "green") + "checkout was served"
                    " every time, batch lost nothing, the program that leaks"
                    " was told why, and the pool kept its connections.")
    return 1 if broken else 0


def interrupt(number: int, _: object) -> None:
    """Leave by way of every "with" statement, and only once."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def main() -> int:
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, interrupt)
    try:
        return run(Path(sys.argv[1]), Path(sys.argv[2]))
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
