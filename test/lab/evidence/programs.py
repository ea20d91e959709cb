"""Honest programs and their twins that leak, in plain Python: see twins.py.

Each function runs until it is ended.  "c" connects under the program's name;
an honest one and its twin do the same work.
"""
import os
import random
import subprocess
import sys
import threading
import time

import psycopg2
import psycopg2.extensions

kept = []               # what a leaking program keeps open


class Connector:
    """Connections under one name."""

    def __init__(self, dsn, name):
        self.dsn = "%s application_name=%s" % (dsn, name)
        self.name = name

    def __call__(self, autocommit=False):
        connection = psycopg2.connect(self.dsn)
        connection.autocommit = autocommit
        return connection


def run(connection, *statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def threads(n, work, *args):
    """As many sessions at once; one that is ended begins anew."""
    def forever():
        while True:
            try:
                work(*args)
            except psycopg2.Error:
                time.sleep(0.5)
    for _ in range(n):
        threading.Thread(target=forever, daemon=True).start()
    while True:
        time.sleep(60)


def leaking(c, *statements, every=2.0):
    """One more session each time, and nobody ends its transaction."""
    while True:
        connection = c()
        for statement in statements:
            try:
                run(connection, statement)
            except psycopg2.ProgrammingError:
                pass                # and goes on
        kept.append(connection)
        time.sleep(every)


def pausing(c, first, shortest, longest, then, n=6):
    """Transactions with a pause, all of which are committed."""
    def work():
        connection = c()
        while True:
            run(connection, first)
            time.sleep(random.uniform(shortest, longest))
            run(connection, then)
            connection.commit()
            time.sleep(random.uniform(0.1, 0.5))
    threads(n, work)


# ---------------------------------------------- workers, loaders and exports

TAKE = "SELECT id FROM job LIMIT 1 FOR UPDATE SKIP LOCKED"
READ = "SELECT id, state FROM job WHERE id = 7"
WRITE = "INSERT INTO item VALUES (1)"


def queue(c):
    pausing(c, TAKE, 3, 5, "SELECT 1", 8)


def queue_leaks(c):
    leaking(c, TAKE)


def share(c):
    pausing(c, "SELECT id FROM job WHERE id < 9 FOR SHARE", 3, 5, "SELECT 1")


def share_leaks(c):
    leaking(c, "SELECT id FROM job WHERE id < 9 FOR SHARE")


def slow_api(c):
    pausing(c, READ, 3, 5, WRITE)


def slow_api_leaks(c):
    leaking(c, READ, WRITE)


def cursor(c):
    def work():
        connection = c()
        while True:
            run(connection, "DECLARE c CURSOR FOR TABLE job", "FETCH 100 FROM c")
            for _ in range(5):
                time.sleep(random.uniform(3, 5))
                run(connection, "FETCH 100 FROM c")
            connection.commit()
    threads(4, work)


def cursor_leaks(c):
    leaking(c, "DECLARE c CURSOR FOR TABLE job", "FETCH 100 FROM c")


def bi(c):
    def work():
        connection = c()
        run(connection, "DECLARE grid CURSOR FOR TABLE job")
        for _ in range(9):
            run(connection, "FETCH 50 FROM grid")
            time.sleep(random.uniform(50, 80))
        connection.commit()
    threads(2, work)


def bi_leaks(c):
    leaking(c, "DECLARE grid CURSOR FOR TABLE job", "FETCH 50 FROM grid", every=10)


def failing(c):
    def work():
        connection = c()
        while True:
            try:
                run(connection, READ)
                time.sleep(random.uniform(2, 4))
                run(connection, "SELECT no_such_column FROM job")
            except psycopg2.ProgrammingError:
                connection.rollback()
    threads(4, work)


def failing_leaks(c):
    leaking(c, READ, "SELECT no_such_column FROM job")


def begin(c):
    pausing(lambda: c(autocommit=True), "BEGIN", 2, 4, "COMMIT", 4)


def begin_leaks(c):
    leaking(lambda: c(autocommit=True), "BEGIN")


def waits(c):
    pausing(c, READ, 2, 6, WRITE)


def waits_leaks(c):
    """Comes back, but not always in time."""
    def work():
        connection = c()
        while True:
            run(connection, READ)
            time.sleep(20 if random.random() < 0.2 else random.uniform(2, 4))
            run(connection, WRITE)
            connection.commit()
    threads(8, work)


# ------------------------------------------------------- how they connect

def pool_30(c):
    """Thirty at once, and a minute later all are needed at once."""
    pool = [c(autocommit=True) for _ in range(30)]
    time.sleep(35)
    def work(connection):
        while True:
            run(connection, "SELECT pg_sleep(1)")
            time.sleep(4)
    for connection in pool:
        threading.Thread(target=work, args=[connection], daemon=True).start()
    while True:
        time.sleep(60)


def pool_30_leaks(c):
    """Thirty at once, and one of them is enough for ever."""
    pool = [c(autocommit=True) for _ in range(30)]
    while True:
        run(pool[0], "SELECT 1")
        time.sleep(2)


def prefork(c):
    """Twenty-four processes, each with a connection that is used again."""
    for _ in range(24):
        if os.fork() == 0:
            parent = os.getppid()
            connection = c(autocommit=True)
            while os.getppid() == parent:
                run(connection, READ)
                time.sleep(random.uniform(5, 40))
            os._exit(0)
    while True:
        time.sleep(60)


def prefork_leaks(c):
    """SQLAlchemy: an engine for each call."""
    import sqlalchemy
    while True:
        engine = sqlalchemy.create_engine("postgresql://", creator=c)
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))
        kept.append(engine)
        time.sleep(1)


def cron(c):
    while True:
        connection = c()
        run(connection, READ)
        connection.commit()
        connection.close()
        time.sleep(4)


def cron_leaks(c):
    """A connection for each transaction, several a second."""
    while True:
        connection = c()
        run(connection, READ)
        connection.commit()
        connection.close()
        time.sleep(0.15)


# ------------------------------------------------ locks, channels and servers

def leader(c):
    """One of three leads; the others wait for its lock."""
    def work():
        connection = c(autocommit=True)
        run(connection, "SELECT pg_advisory_lock(1)")
        while True:
            time.sleep(5)
            run(connection, "SELECT 1")
    threads(3, work)


def leader_leaks(c):
    """Unlocks through another connection of its pool."""
    first, second, waiter = (c(autocommit=True) for _ in range(3))
    run(first, "SELECT pg_advisory_lock(2)")
    run(second, "SELECT pg_advisory_unlock(2)")
    run(waiter, "SELECT pg_advisory_lock(2)")
    while True:
        time.sleep(60)


def listen(c):
    def work():
        connection = c(autocommit=True)
        run(connection, "LISTEN jobs")
        while True:
            time.sleep(20)
            run(connection, "NOTIFY jobs")
            connection.poll()
    threads(3, work)


def listen_leaks(c):
    """Looks for jobs, and waits for a notice in that transaction."""
    while True:
        connection = c()
        run(connection, "LISTEN jobs")
        connection.commit()
        run(connection, "SELECT id FROM job WHERE state = 'new' LIMIT 1")
        kept.append(connection)
        time.sleep(5)


def fdw(c):
    def work():
        connection = c()
        while True:
            run(connection, "SELECT count(*) FROM far_job",
                "SELECT pg_sleep(%f)" % random.uniform(3, 6),
                "SELECT count(*) FROM far_job")
            connection.commit()
            time.sleep(1)
    threads(3, work)


def fdw_leaks(c):
    leaking(c, "SELECT count(*) FROM far_leaks", every=4)


def decoding(c):
    """pg_recvlogical, for as long as it runs."""
    kept.append(subprocess.Popen(
        ["pg_recvlogical", "-d", c.dsn.replace("user=app", "user=repl"),
         "--slot=honest", "--create-slot", "--start", "-f", "/dev/null"]))
    connection = c(autocommit=True)
    while True:
        run(connection, WRITE)
        time.sleep(5)


def decoding_leaks(c):
    """Reads changes by SQL, and never commits."""
    c.dsn = c.dsn.replace("user=app", "user=repl")
    leaking(c, "SELECT * FROM pg_logical_slot_peek_changes('peeked', NULL, 1)",
            every=5)


def pg_dump(c):
    """A dump into a pipe that is read slowly, again and again."""
    while True:
        dump = subprocess.Popen(["pg_dump", "-d", c.dsn, "-t", "large"],
                                stdout=subprocess.PIPE)
        while dump.stdout.read(65536):
            time.sleep(0.2)
        dump.wait()


def pg_dump_leaks(c):
    """A backup program that keeps its snapshot when it is done."""
    leaking(c, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "SELECT pg_export_snapshot()", every=5)


def psql(c, *statements):
    """psql, left at its prompt."""
    os.environ["PGAPPNAME"] = c.name
    for _ in range(3):
        shell = subprocess.Popen(
            ["psql", "-XAtq", "-d", c.dsn], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
        kept.append(shell)
        for statement in statements or ["TABLE item;"]:
            shell.stdin.write(statement + "\n")
        shell.stdin.flush()
    while True:
        time.sleep(60)


def psql_leaks(c):
    psql(c, "BEGIN;", "SELECT * FROM item;")


def pgbouncer(c):
    def work():
        connection = c()
        while True:
            run(connection, "SELECT pg_sleep(0.2)")
            time.sleep(random.uniform(0.5, 2))
            run(connection, WRITE)
            connection.commit()
            time.sleep(2)
    threads(8, work)


def pgbouncer_leaks(c):
    leaking(c, READ, every=4)


def django(c, leaks=False):
    """Views in a transaction each (ATOMIC_REQUESTS), which are slow."""
    import django as package
    from django.conf import settings
    from django.db import connection, transaction
    parts = dict(word.split("=") for word in c.dsn.split())
    settings.configure(DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql", "HOST": parts["host"],
        "PORT": parts["port"], "USER": "app", "NAME": "postgres",
        "OPTIONS": {"application_name": c.name}}})
    package.setup()

    def view():
        while True:
            with transaction.atomic(), connection.cursor() as its:
                its.execute(READ)
                time.sleep(random.uniform(3, 5))
                its.execute(WRITE)
            time.sleep(1)

    def wrong_view():
        transaction.set_autocommit(False)
        with connection.cursor() as its:
            its.execute(READ)
        time.sleep(600)

    if not leaks:
        threads(5, view)
    while True:
        threading.Thread(target=wrong_view, daemon=True).start()
        time.sleep(2)


def django_leaks(c):
    django(c, leaks=True)


def asyncpg(c, leaks=False):
    """A pool of ten."""
    import asyncio
    import asyncpg as package
    parts = dict(word.split("=") for word in c.dsn.split())

    async def work(pool):
        while True:
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute(READ)
                await asyncio.sleep(random.uniform(2, 5))
                await connection.execute(WRITE)
            await asyncio.sleep(0.5)

    async def wrong(pool):
        connection = await pool.acquire()
        await connection.transaction().start()
        await connection.execute(WRITE)
        kept.append(connection)
        await asyncio.sleep(2)

    async def main():
        pool = await package.create_pool(
            host=parts["host"], port=int(parts["port"]), user="app",
            database="postgres", min_size=10, max_size=10,
            server_settings={"application_name": c.name})
        if not leaks:
            await asyncio.gather(*[work(pool) for _ in range(10)])
        for _ in range(8):
            await wrong(pool)
        await asyncio.sleep(600)

    asyncio.run(main())


def asyncpg_leaks(c):
    asyncpg(c, leaks=True)


if __name__ == "__main__":
    globals()[sys.argv[1]](Connector(sys.argv[2], sys.argv[1]))
