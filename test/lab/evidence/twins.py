"""Honest programs under a limit of 15 s, and their twins that leak.

usage: twins.py FOLDER PORT SECONDS

FOLDER has the server's socket; what is made here is made there.  Once a second
it looks who is told what: advice in hygiene.leaks and hygiene.applications,
events, and what the alert PgHygieneLeak asks for.  Prints a table; fails when
an honest program was blamed, or a twin was not named within a minute with the
advice that fits.
"""
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg2

HERE = Path(__file__).resolve().parent
JARS = ["postgresql.jar", "HikariCP.jar", "slf4j-api.jar", "slf4j-nop.jar"]
CLASSES = ":".join("/usr/share/java/" + jar for jar in JARS)

READS = "A SELECT opened"
WRITES = "The program wrote"
FAILED = "A statement failed"
BEGAN = "The program began"
WAITS = "The program waits"
CALLS = "Many connections did"
CONNECTS = "The program opens a new"
LARGE = "The application keeps many"
UNLOCK = "Unlock on the connection that locked"

# name, what it is, real (or plain Python), the advice that fits its twin
PROGRAMS = [
    ("django", "Django, slow views with ATOMIC_REQUESTS", True, READS),
    ("hikari", "HikariCP on pgjdbc", True, READS),
    ("asyncpg", "asyncpg, a pool of ten", True, WRITES),
    ("node", "node-postgres, a pool of ten", True, READS),
    ("pgbouncer", "clients of PgBouncer, transaction mode", True, READS),
    ("queue", "queue workers, `FOR UPDATE SKIP LOCKED`, 3 to 5 s", False, READS),
    ("share", "the same with `FOR SHARE`", False, READS),
    ("slow_api", "calls a slow API between SELECT and INSERT", False, WRITES),
    ("cursor", "cursor export, 3 to 5 s between fetches", False, READS),
    ("bi", "BI tool, a minute between fetches, with a rule of ten", False, READS),
    ("failing", "statements that fail, and ROLLBACK", False, FAILED),
    ("begin", "BEGIN, and then think", False, BEGAN),
    ("waits", "waits in a transaction; the twin at times for 20 s", False, WAITS),
    ("pool_30", "a pool of 30 just opened", False, LARGE),
    ("prefork", "24 processes; the twin an engine of SQLAlchemy for each call", True, CALLS),
    ("cron", "connects every 4 s; the twin for each transaction", False, CONNECTS),
    ("leader", "leaders with `pg_advisory_lock`; the twin unlocks elsewhere", False, UNLOCK),
    ("listen", "LISTEN workers", False, READS),
    ("fdw", "postgres_fdw", True, READS),
    ("decoding", "logical decoding, pg_recvlogical; the twin by SQL", True, READS),
    ("pg_dump", "pg_dump into a slow pipe; the twin keeps a snapshot", True, READS),
    ("psql", "psql left at a prompt; the twin in a transaction", True, READS),
]

RULES = ("application=pg_dump: exempt; "
         "application=bi: idle_in_transaction_timeout=10min; "
         "application=leader_leaks: advisory_blocker_timeout=15s")

SETUP = """
CREATE ROLE repl LOGIN REPLICATION;
GRANT ALL ON job, item TO repl;
CREATE TABLE large AS SELECT i, repeat('x', 200) AS t FROM generate_series(1, 60000) i;
GRANT ALL ON large TO app;
CREATE EXTENSION postgres_fdw;
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({far}, application_name 'fdw_remote');
CREATE SERVER far_leaks FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({far}, application_name 'fdw_leaks');
CREATE USER MAPPING FOR app SERVER far OPTIONS (user 'app', password_required 'false');
CREATE USER MAPPING FOR app SERVER far_leaks OPTIONS (user 'app', password_required 'false');
CREATE FOREIGN TABLE far_job (id int) SERVER far OPTIONS (table_name 'job');
CREATE FOREIGN TABLE far_leaks (id int) SERVER far_leaks OPTIONS (table_name 'job');
GRANT SELECT ON far_job, far_leaks TO app;
"""

# As monitoring/queries.yaml counts what the alert PgHygieneLeak asks for.
ALERT = """SELECT application_name FROM hygiene.leaks
    WHERE resumed = 0 OR diagnosis IS NOT NULL
    GROUP BY 1 HAVING sum(sessions_now) >= 3"""
ADVICE = """SELECT application_name, diagnosis FROM hygiene.leaks
    WHERE diagnosis IS NOT NULL
    UNION SELECT application_name, diagnosis FROM hygiene.applications
    WHERE diagnosis IS NOT NULL"""
EVENTS = """SELECT application_name, action || ' for ' || reason
    FROM hygiene.events WHERE outcome IN ('done', 'pending')
    AND application_name IS NOT NULL"""


class Lab:
    """The server, the programs that run, and what they were told."""

    def __init__(self, folder, port):
        self.folder = folder
        self.port = port
        self.dsn = "host=%s port=%s user=app dbname=postgres" % (folder, port)
        self.admin = psycopg2.connect(
            self.dsn.replace("user=app", "user=postgres"),
            application_name="lab")
        self.admin.autocommit = True
        self.running = {}
        self.since = {}
        self.told = {}          # application -> {what: seconds after start}

    def rows(self, sql):
        with self.admin.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def prepare(self):
        self.rows(SETUP.format(far="host '%s', port '%s', dbname 'postgres'"
                               % (self.folder, self.port)))
        self.rows("SELECT pg_create_logical_replication_slot('peeked', "
                  "'test_decoding')")
        for name, value in [("idle_in_transaction_timeout", "15s"),
                            ("rules", RULES)]:
            self.rows("ALTER SYSTEM SET pg_hygiene.%s = '%s'" % (name, value))
        self.rows("SELECT pg_reload_conf()")
        (self.folder / "pooler.ini").write_text(
            "[databases]\npostgres = host=%s port=%s user=app\n"
            "[pgbouncer]\nlisten_addr =\nunix_socket_dir = %s\n"
            "listen_port = %d\nauth_type = any\npool_mode = transaction\n"
            "default_pool_size = 40\nlogfile = %s/pooler.log\n"
            % (self.folder, self.port, self.folder, int(self.port) + 1,
               self.folder))

    def command(self, name, program):
        dsn = self.dsn
        if program == "hikari":
            if not Path("/usr/share/java/HikariCP.jar").exists():
                return None
            return ["java", "-cp", CLASSES, str(HERE / "Hikari.java"), name,
                    "jdbc:postgresql://127.0.0.1:%s/postgres?user=app"
                    "&ApplicationName=%s" % (self.port, name)]
        if program == "node":
            if subprocess.run(["node", "-e", "require('pg')"],
                              capture_output=True, check=False).returncode:
                return None
            return ["node", str(HERE / "node_pool.js"), name,
                    "postgresql://app@127.0.0.1:%s/postgres"
                    "?application_name=%s" % (self.port, name)]
        if program in ("django", "asyncpg") and subprocess.run(
                [sys.executable, "-c", "import " + program],
                check=False).returncode:
            return None
        if program == "pgbouncer":
            dsn = dsn.replace("port=%s" % self.port,
                              "port=%d" % (int(self.port) + 1))
        return [sys.executable, str(HERE / "programs.py"), name, dsn]

    def start(self, name, program):
        command = self.command(name, program)
        if command is None:
            print("left out: %s" % name, file=sys.stderr)
            return
        log = open(self.folder / ("program_%s.log" % name), "w")
        self.since[name] = time.monotonic()
        self.told[name] = {}
        self.running[name] = subprocess.Popen(command, stdout=log, stderr=log,
                                              start_new_session=True)

    def look(self):
        now = time.monotonic()
        seen = self.rows(ADVICE) + self.rows(EVENTS)
        seen += [(name, "alert") for name, in self.rows(ALERT)
                 if now - self.since.get(name, now) > 60]
        for name, what in seen:
            if name in self.told:
                self.told[name].setdefault(what, now - self.since[name])
            elif name == "fdw_remote":
                self.told["fdw"].setdefault(what, now - self.since["fdw"])
        if "leader_leaks" in self.told and UNLOCK in (
                self.folder / "server.log").read_text(errors="replace"):
            self.told["leader_leaks"].setdefault(
                UNLOCK, now - self.since["leader_leaks"])

    def stop(self):
        """Each has a session of its own, of which this is the leader."""
        for process in self.running.values():
            try:
                os.killpg(process.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        for process in self.running.values():
            process.wait()

    def observed(self, name):
        rows = self.rows(
            "SELECT periods, extract(epoch FROM longest_resumed)::float8 "
            "FROM hygiene.behaviour WHERE application_name = '%s' "
            "AND kind = 'idle in transaction'" % name)
        return rows[0] if rows else (0, None)


def first_words(text):
    return text.split(". ")[0] + "."


def report(lab):
    """The table; returns how much was wrong."""
    wrong = 0
    print("| program | | pauses of a second or more | it was told "
          "| its twin that leaks was told | after |\n|---|---|---|---|---|---|")
    for name, text, real, fits in PROGRAMS:
        if name not in lab.since:
            continue
        twin = name + "_leaks"
        blamed = lab.told[name]
        advice = {what: at for what, at in lab.told[twin].items()
                  if what.startswith(fits)}
        at = min(advice.values()) if advice else None
        other = {what for what in lab.told[twin]
                 if " for " not in what and what != "alert"
                 and not what.startswith(fits)}
        wrong += len(blamed) + (at is None or at > 60)
        periods, longest = lab.observed(name)
        print("| `%s` | %s%s | %s | %s | %s | %s |" % (
            name, text, "" if real else " (simulated)",
            "%d, up to %.0f s" % (periods, longest or 0) if periods else "",
            "; ".join(blamed) or "nothing",
            "%s%s" % (first_words(min(advice)) if advice else "NOT NAMED",
                      "".join("; also: " + first_words(what)
                              for what in sorted(other))),
            "%.0f s" % at if at is not None else "never"))
    return wrong


def main(folder, port, seconds):
    lab = Lab(Path(folder), port)
    lab.prepare()
    pooler = None
    if shutil.which("pgbouncer"):
        pooler = subprocess.Popen(["pgbouncer", "-q",
                                   str(lab.folder / "pooler.ini")])
        time.sleep(1)
    for name, _, _, _ in PROGRAMS:
        if name != "pgbouncer" or pooler:
            lab.start(name, name)
    until = time.monotonic() + seconds
    twins_at = until - 90
    started = False
    while time.monotonic() < until:
        if not started and time.monotonic() > twins_at:
            for name in list(lab.since):
                lab.start(name + "_leaks", name)
            started = True
        lab.look()
        time.sleep(1)
    wrong = report(lab)
    lab.stop()
    if pooler:
        pooler.terminate()
        pooler.wait()
    if wrong:
        sys.exit("%d times wrong" % wrong)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
