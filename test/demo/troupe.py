"""Start the demo's three programs, listen to what they report, end them."""
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Dict, List, Optional

HERE = Path(__file__).resolve().parent
START_SECONDS = 30      # longest wait for a program to have loaded
GRACE_SECONDS = 10      # what a program gets to finish after it was asked to


class Program:
    """One of orders, checkout and batch, running against one cluster."""

    def __init__(self, name: str, url: str, errors: Path):
        self.name = name
        self.reports: List[Dict] = []
        self.ready = threading.Event()
        with open(errors, "w") as stderr:
            # In a session of its own: Ctrl-C is for the demo, which then
            # ends its programs one by one.
            self.process = subprocess.Popen(
                [sys.executable, "-E", "-s", "-B", str(HERE / f"{name}.py")],
                env={**os.environ, "DATABASE_URL": url}, bufsize=0,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                start_new_session=True)
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def _listen(self) -> None:
        for line in self.process.stdout:
            entry = json.loads(line)
            if entry["kind"] == "ready":
                self.ready.set()
            else:
                self.reports.append(entry)
        self.ready.set()        # also when it died before it was ready

    def go(self) -> None:
        try:
            self.process.stdin.write(b"go\n")
        except BrokenPipeError:
            pass                # finish() will say that it is gone

    def ask_to_stop(self) -> None:
        self.process.stdin.close()

    def finish(self) -> None:
        """Wait for the end of a program that was asked to stop."""
        try:
            self.process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.listener.join(1)

    def count(self, kind: str) -> int:
        return Counter(entry["kind"] for entry in list(self.reports))[kind]

    def first(self, kind: str) -> Optional[Dict]:
        """The first report of a kind, if there was one."""
        return next((entry for entry in list(self.reports)
                     if entry["kind"] == kind), None)


class Troupe:
    """All three; use it in a "with" statement."""

    def __init__(self, urls: Dict[str, str], directory: Path):
        self.directory = directory
        self.urls = urls
        self.programs: Dict[str, Program] = {}

    def __enter__(self) -> "Troupe":
        try:
            for name, url in self.urls.items():
                self.programs[name] = Program(
                    name, url, self.directory / f"{name}.stderr")
            for program in self.programs.values():
                program.ready.wait(START_SECONDS)
            for program in self.programs.values():
                program.go()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for program in self.programs.values():
            program.ask_to_stop()
        for program in self.programs.values():
            program.finish()

    def __getitem__(self, name: str) -> Program:
        return self.programs[name]

    def failures(self) -> List[str]:
        """What programs said that ended in an error nobody foresaw."""
        return [f"{name}.py failed:\n"
                + (self.directory / f"{name}.stderr").read_text()
                for name, program in self.programs.items()
                if program.process.returncode != 0]
