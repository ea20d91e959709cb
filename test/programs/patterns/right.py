"""The programs of wrong.py, right: each function has the same work to do.

usage: right.py PATTERN URL

Prints "ready" when it has done it once, holds what a good program holds, and
ends when its standard input does.
"""
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg2
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

kept = []


def read_never_ended(url):
    """One engine, a Session in a with block."""
    engine = create_engine(url)
    for number in range(4):
        with Session(engine) as session:
            session.execute(text("SELECT item FROM shelf WHERE id = :id"),
                            {"id": number})
    kept.append(engine)


def write_never_committed(url):
    """psycopg2's with block commits."""
    connection = psycopg2.connect(url)
    for number in range(4):
        with connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO shelf VALUES (%s, 'x')", [number])
    kept.append(connection)


def aborted_never_rolled_back(url):
    """psycopg2's with block rolls back."""
    connection = psycopg2.connect(url)
    for _ in range(4):
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT no_such_column FROM shelf")
        except psycopg2.Error:
            pass
    kept.append(connection)


def pool_per_call(url):
    """One engine for all calls."""
    engine = create_engine(url)
    for number in range(24):
        with engine.connect() as connection:
            connection.execute(text("SELECT :id"), {"id": number})
    kept.append(engine)


def no_pooling(url):
    """As many transactions, from several threads, through one pool."""
    engine = create_engine(url)

    def call(number):
        with engine.connect() as connection:
            connection.execute(text("SELECT :id"), {"id": number})

    with ThreadPoolExecutor(5) as threads:
        list(threads.map(call, range(150)))
    kept.append(engine)


def pool_too_large(url):
    """A pool of the size of its use."""
    engine = create_engine(url, pool_size=5, max_overflow=0)
    for connection in [engine.connect() for _ in range(5)]:
        connection.close()
    kept.append(engine)


def burst(url, at_once=24, seconds=4):
    """A pool that grows because all of it is needed, and then waits."""
    engine = create_engine(url, pool_size=at_once, max_overflow=0)
    together = threading.Barrier(at_once)

    def call(_):
        together.wait()
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_sleep(:s)"), {"s": seconds})

    with ThreadPoolExecutor(at_once) as threads:
        list(threads.map(call, range(at_once)))
    kept.append(engine)


def short_bursts(url):
    """A large pool, all of it needed for a moment every few seconds."""
    at_once = 24
    engine = create_engine(url, pool_size=at_once, max_overflow=0)
    together = threading.Barrier(at_once)

    def work():
        while True:
            together.wait()
            with engine.connect() as connection:
                connection.execute(text("SELECT pg_sleep(0.02)"))
            time.sleep(3)

    for _ in range(at_once):
        threading.Thread(target=work, daemon=True).start()


def no_name(url):
    """A name in the connection string, which the caller gives."""
    for _ in range(12):
        connection = psycopg2.connect(url)
        connection.autocommit = True
        kept.append(connection)


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
    print("ready", flush=True)
    sys.stdin.read()
