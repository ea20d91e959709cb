"""A throwaway server for one measurement.

It is started from a copy of a data directory that is made once, listens on a
Unix socket of its own and nowhere else, and ends with the "with" statement.
"""
import shutil
import subprocess
import time
from pathlib import Path
from typing import Dict, Optional, Sequence

from wire import ServerError, Session

PORT = 54329
PATIENCE = 120          # seconds for anything that should take a few

# Nothing that runs by itself and would be counted with what is measured.
QUIET = {"fsync": "off", "listen_addresses": "", "autovacuum": "off",
         "shared_buffers": "64MB", "max_wal_senders": "0",
         "max_parallel_workers": "0", "superuser_reserved_connections": "3",
         "lc_messages": "C", "log_line_prefix": "%m [%p] %q%a "}

STOCK: Dict[str, str] = {}
TIMER = {"idle_in_transaction_session_timeout": "10min"}
EXTENSION = {"shared_preload_libraries": "pg_hygiene"}


class ClusterError(Exception):
    """The server could not be made or started; the text says what it said."""


class Cluster:
    """A server with some settings; a data directory comes from a template."""

    bindir = Path()
    folder = Path()

    def __init__(self, name: str, settings: Dict[str, str],
                 prefix: Sequence[str] = ()):
        self.directory = self.folder / name
        self.settings = {**QUIET, **settings}
        self.prefix = list(prefix)
        self.process: Optional[subprocess.Popen] = None

    def __enter__(self) -> "Cluster":
        template = self.folder / "template"
        if not template.exists():
            _make_template(self.bindir, template)
        self.directory.mkdir()
        shutil.copytree(template, self.directory / "data", symlinks=True)
        (self.directory / "data").chmod(0o700)
        with open(self.directory / "data/postgresql.conf", "a") as conf:
            for name, value in self.settings.items():
                conf.write(f"{name} = '{value}'\n")
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for mode in ("fast", "immediate"):
            if self.process and self.process.poll() is None:
                subprocess.run([str(self.bindir / "pg_ctl"), "stop", "-s",
                                "-w", "-t", str(PATIENCE), "-m", mode, "-D",
                                str(self.directory / "data")], check=False)
                _wait(self.process)
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory / "data", ignore_errors=True)

    def connect(self, application: str = "bench",
                user: str = "postgres") -> Session:
        return Session(str(self.directory), PORT, user, application)

    def set(self, name: str, value: str) -> None:
        """Change a setting of the running server."""
        with self.connect("settings") as session:
            session.query(f"ALTER SYSTEM SET {name} = '{value}'")
            session.query("SELECT pg_reload_conf()")

    def log_tail(self, lines: int = 15) -> str:
        log = (self.directory / "log").read_text(errors="replace")
        return "\n".join(log.splitlines()[-lines:])

    def _start(self) -> None:
        command = [*self.prefix, str(self.bindir / "postgres"), "-D",
                   str(self.directory / "data"), "-k", str(self.directory),
                   "-p", str(PORT)]
        with open(self.directory / "log", "w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.connect("waiting").close()
                return
            except (OSError, ServerError) as error:
                if self.process.poll() is not None:
                    raise ClusterError("the server did not start:\n"
                                       + self.log_tail())
                if time.monotonic() > deadline:
                    raise ClusterError(f"the server does not answer: {error}\n"
                                       + self.log_tail())
                time.sleep(0.05)


def _wait(process: subprocess.Popen) -> None:
    """pg_ctl waits for the pid file to go, which is not quite the end."""
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        pass


def _make_template(bindir: Path, template: Path) -> None:
    """A data directory with a small table and a role that is nobody special."""
    scratch = template.with_name("template.new")
    _run(bindir / "initdb", "-D", scratch, "-U", "postgres", "-A", "trust",
         "-E", "UTF8", "--no-locale", "--no-sync")
    script = """
CREATE ROLE app LOGIN;
CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, n int NOT NULL);
INSERT INTO items SELECT i, 'item ' || i, 0 FROM generate_series(1, 1000) i;
VACUUM FREEZE ANALYZE items;
GRANT SELECT, UPDATE ON items TO app;
"""
    single = subprocess.run([str(bindir / "postgres"), "--single", "-j", "-D",
                             str(scratch), "postgres"],
                            input=script.replace(";\n", ";\n\n"), text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if single.returncode != 0 or "ERROR" in single.stdout:
        raise ClusterError("could not fill the template:\n" + single.stdout)
    scratch.rename(template)


def _run(*command: object) -> None:
    done = subprocess.run([str(word) for word in command], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise ClusterError(f"{command[0]} failed:\n{done.stdout}")
