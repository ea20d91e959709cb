"""A mixed day in fast motion: twelve programs whose pauses are known.

usage: day.py URL SECONDS [SEED]

Seven honest programs, four that leak, each in its own way, and one that does
both under one name.  The same seed makes the same pauses and leaks.  Prints a
line of JSON for each program: how many pauses it came back to and how long the
longest was, how many of them found the connection ended, how many sessions it
left behind and how many of those were ended before it gave them up.

A session that was left behind is not touched any more, and closed by its
client after LEAK_TIME.  All of it goes on in one process, in threads.
"""
import json
import random
import select
import sys
import threading
import time

import psycopg2

LEAK_TIME = 14          # seconds: longer than twice any honest pause
SHORTEST = 1            # seconds: what is shorter is no period


class Program:
    """What one program did, summed over its sessions."""

    def __init__(self, name, url):
        self.name = name
        self.url = url
        self.lock = threading.Lock()
        self.done = {"program": name, "pauses": 0, "longest": 0.0,
                     "hurt": 0, "refused": 0, "leaks": 0, "leaks_ended": 0}

    def count(self, what, by=1):
        with self.lock:
            self.done[what] += by

    def connect(self):
        connection = psycopg2.connect(self.url, application_name=self.name)
        connection.autocommit = True
        return connection

    def pause(self, seconds):
        """Come back after so long."""
        time.sleep(seconds)
        if seconds >= SHORTEST:
            with self.lock:
                self.done["pauses"] += 1
                self.done["longest"] = max(self.done["longest"], seconds)

    def leave(self, connection):
        """Forget a session; see whether the server ends it."""
        self.count("leaks")
        readable, _, _ = select.select([connection.fileno()], [], [],
                                       LEAK_TIME)
        if readable:
            self.count("leaks_ended")
        connection.close()


class Client(threading.Thread):
    """One session, or one series of them, of a program."""

    def __init__(self, program, work, seed, until):
        super().__init__(daemon=True)
        self.program = program
        self.work = work
        self.random = random.Random(seed)
        self.until = until

    def goes_on(self):
        return time.monotonic() < self.until

    def run(self):
        while self.goes_on():
            try:
                self.work(self)
            except psycopg2.OperationalError as error:
                refused = "too many" in str(error)
                self.program.count("refused" if refused else "hurt")
                time.sleep(0.2)
            except psycopg2.InterfaceError:
                self.program.count("hurt")


def repeat(self, transaction, rest):
    """Transaction after transaction on one connection."""
    connection = self.program.connect()
    with connection.cursor() as cursor:
        while self.goes_on():
            transaction(self, cursor)
            self.program.pause(self.random.uniform(*rest))
    connection.close()


def in_transaction(self, cursor, before, pauses, after="SELECT 1"):
    cursor.execute("BEGIN")
    cursor.execute(before)
    for seconds in pauses:
        self.program.pause(seconds)
        cursor.execute(after)
    cursor.execute("COMMIT")


def web(self):
    """A pool: short transactions, idle between them."""
    repeat(self, lambda _, cursor: cursor.execute("SELECT 1"), (0.2, 3))


def worker(self):
    """Takes a job, works on it for seconds, and deletes it."""
    repeat(self, lambda self, cursor: in_transaction(
        self, cursor, "SELECT id FROM job LIMIT 1 FOR UPDATE SKIP LOCKED",
        [self.random.uniform(1.1, 3)], "UPDATE job SET tries = 1 WHERE id = 0"),
        (0.2, 0.5))


def batch(self):
    """Writes, thinks, commits."""
    repeat(self, lambda self, cursor: in_transaction(
        self, cursor, "INSERT INTO item VALUES (1)",
        [self.random.uniform(2, 5)]), (0.3, 0.8))


def export(self):
    """A cursor, and a file to be written between two fetches."""
    def transaction(self, cursor):
        in_transaction(self, cursor, "DECLARE c CURSOR FOR TABLE job",
                       [self.random.uniform(1.2, 3) for _ in range(3)],
                       "FETCH 10 FROM c")
    repeat(self, transaction, (0.3, 1))


def people(self):
    """At a prompt: mostly quick, sometimes not."""
    repeat(self, lambda self, cursor: in_transaction(
        self, cursor, "TABLE job",
        [min(1.1 / (1 - self.random.random()) ** 0.7, 6)]), (1, 4))


def cron(self):
    """Connects, does its work, and leaves."""
    connection = self.program.connect()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(1.2)")
    connection.close()
    time.sleep(0.3)


def report(self):
    """Long statements, and a look at what they say."""
    repeat(self, lambda self, cursor: in_transaction(
        self, cursor, "SELECT pg_sleep(%f)" % self.random.uniform(1, 3),
        [self.random.uniform(1.1, 2)]), (0.5, 1.5))


def shop(self):
    """Honest; the same program leaks on another path."""
    repeat(self, lambda self, cursor: in_transaction(
        self, cursor, "SELECT 1", [self.random.uniform(1.1, 2.5)]), (0.3, 1))


def leak(*statements):
    """Every second or so one more session that is left behind."""
    def work(self):
        connection = self.program.connect()
        with connection.cursor() as cursor:
            for statement in statements:
                try:
                    cursor.execute(statement)
                except psycopg2.ProgrammingError:
                    pass        # and goes on, as if nothing had happened
        threading.Thread(target=self.program.leave, args=[connection],
                         daemon=False).start()
        time.sleep(self.random.uniform(0.7, 1.1))
    return work


PROGRAMS = [
    ("web", 4, web), ("worker", 4, worker), ("batch", 4, batch),
    ("export", 3, export), ("people", 4, people), ("cron", 2, cron),
    ("report", 4, report), ("shop", 3, shop),
    ("shop", 1, leak("BEGIN")),
    ("leak_read", 1, leak("BEGIN", "TABLE job")),
    ("leak_write", 1, leak("BEGIN", "INSERT INTO item VALUES (2)")),
    ("leak_aborted", 1, leak("BEGIN", "SELECT no_such_column FROM job")),
    ("leak_idle", 1, leak("SELECT 1")),
]


def play(url, seconds, seed):
    until = time.monotonic() + seconds
    programs = {name: Program(name, url) for name, _, _ in PROGRAMS}
    clients = [Client(programs[name], work, "%d %s %d %d" % (seed, name, i, j),
                      until)
               for i, (name, n, work) in enumerate(PROGRAMS)
               for j in range(n)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    return [program.done for program in programs.values()]


if __name__ == "__main__":
    for line in play(sys.argv[1], float(sys.argv[2]),
                     int(sys.argv[3]) if len(sys.argv) > 3 else 1):
        print(json.dumps(line))
