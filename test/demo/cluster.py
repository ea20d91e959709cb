"""A throwaway PostgreSQL cluster: made, started, stopped, never installed.

It listens on a Unix socket inside its own directory and nowhere else, so it
cannot meet another server, whatever runs on the machine.
"""
import subprocess
import time
from pathlib import Path
from typing import List, Tuple
from urllib.parse import quote

import psycopg2

Settings = List[Tuple[str, str]]

START_SECONDS = 30      # longest wait for the server to answer

# Nothing here is worth keeping, and a demo should not wear out a disk.
THROWAWAY: Settings = [("fsync", "off"), ("listen_addresses", ""),
                       ("log_line_prefix", "%m [%p] %q%a "),
                       ("lc_messages", "C")]

SCHEMA = """
CREATE ROLE app LOGIN;
CREATE TABLE orders (id int PRIMARY KEY, item text NOT NULL,
                     status text NOT NULL);
CREATE TABLE payments (order_id int NOT NULL REFERENCES orders,
                       amount int NOT NULL);
CREATE TABLE ledger (order_id int NOT NULL REFERENCES orders,
                     booked_at timestamptz NOT NULL);
INSERT INTO orders
  SELECT i, 'item ' || i, 'open' FROM generate_series(1, 50) i;
GRANT SELECT, INSERT, UPDATE ON orders, payments, ledger TO app;
"""


class ClusterError(Exception):
    """The server could not be made or started; the text says what it said."""


class Cluster:
    """Use it in a "with" statement: the server ends when that does."""

    def __init__(self, bindir: Path, directory: Path, settings: Settings):
        self.bindir = bindir
        self.directory = directory
        self.data = directory / "data"
        self.log = directory / "log"
        self.settings = settings
        self.process = None

    def __enter__(self) -> "Cluster":
        try:
            self._create()
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server, by pg_ctl and in its own data directory."""
        if self.process is None:
            return
        for mode in ("fast", "immediate"):
            if self.process.poll() is None:
                self._run("pg_ctl", "stop", "-w", "-t", "10", "-m", mode,
                          "-D", self.data, check=False)
        if self.process.poll() is None:
            self.process.terminate()    # it had no pid file yet
        self.process.wait()

    def url(self, user: str, application: str) -> str:
        """How libpq, and SQLAlchemy too, is told where the server is."""
        host = quote(str(self.directory))
        return (f"postgresql://{user}@/postgres?host={host}"
                f"&application_name={application}")

    def connect(self):
        """The demo's own connection: a superuser's, without transactions."""
        connection = psycopg2.connect(self.url("postgres", "monitor"))
        connection.autocommit = True
        return connection

    def psql(self, query: str, columns: int) -> str:
        """What psql prints for a query, no wider than so many columns."""
        return self._run("psql", "-X", "-P", "footer=off", "-P", "border=0",
                         "-P", "format=wrapped", "-P", f"columns={columns}",
                         "-c", query, self.url("postgres", "monitor"))

    def _create(self) -> None:
        self.directory.mkdir(mode=0o700)
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust",
                  "-E", "UTF8", "--no-locale", "--no-sync")
        settings = THROWAWAY + [
            ("unix_socket_directories", str(self.directory))] + self.settings
        with open(self.data / "postgresql.conf", "a") as conf:
            for name, value in settings:
                conf.write(f"{name} = '{value}'\n")

    def _start(self) -> None:
        # Not by pg_ctl, which would leave us without a handle on a server
        # that was interrupted while starting; and in a session of its own,
        # so that Ctrl-C at the terminal reaches us and not the server.
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [str(self.bindir / "postgres"), "-D", str(self.data)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                connection = self.connect()
                break
            except psycopg2.OperationalError as error:
                if self.process.poll() is not None:
                    raise ClusterError("the server did not start:\n"
                                       + self.log_tail())
                if time.monotonic() > deadline:
                    raise ClusterError(f"the server does not answer: {error}"
                                       + self.log_tail())
                time.sleep(0.05)
        with connection.cursor() as cursor:
            cursor.execute(SCHEMA)
        connection.close()

    def log_tail(self, lines: int = 10) -> str:
        """The end of the server's log, for when something went wrong."""
        return "\n".join(self.log.read_text(errors="replace")
                         .splitlines()[-lines:])

    def _run(self, program: str, *arguments: object,
             check: bool = True) -> str:
        with subprocess.Popen(
                [str(self.bindir / program), *map(str, arguments)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True,
                start_new_session=True) as process:
            try:
                output, _ = process.communicate()
            except BaseException:
                # Let it finish: an initdb that is killed leaves servers
                # behind that go on writing files.
                process.communicate()
                raise
        if check and process.returncode != 0:
            raise ClusterError(f"{program} failed:\n{output}")
        return output
