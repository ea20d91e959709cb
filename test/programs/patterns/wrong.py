"""Programs as people write them, wrong: each function is one pattern.

usage: wrong.py PATTERN URL

Prints "ready" when it has done what it does, holds what it holds, and ends
when its standard input does.
"""
import sys
import threading

import psycopg2
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

kept = []           # what a real program keeps alive by accident


def read_never_ended(url):
    """An engine and a Session per request, never closed."""
    for number in range(4):
        session = Session(create_engine(url))
        session.execute(text("SELECT item FROM shelf WHERE id = :id"),
                        {"id": number})
        kept.append(session)


def write_never_committed(url):
    """The commit is forgotten."""
    for number in range(4):
        connection = psycopg2.connect(url)
        connection.cursor().execute("INSERT INTO shelf VALUES (%s, 'x')",
                                    [number])
        kept.append(connection)


def aborted_never_rolled_back(url):
    """The error is caught, logged and forgotten."""
    for _ in range(4):
        connection = psycopg2.connect(url)
        try:
            connection.cursor().execute("SELECT no_such_column FROM shelf")
        except psycopg2.Error:
            pass
        kept.append(connection)


def pool_per_call(url):
    """An engine per call; the transactions are ended, the pools stay."""
    for number in range(24):
        engine = create_engine(url)
        with engine.connect() as connection:
            connection.execute(text("SELECT :id"), {"id": number})
        kept.append(engine)


def no_pooling(url):
    """NullPool: a connection for each transaction."""
    engine = create_engine(url, poolclass=NullPool)
    for number in range(150):
        with engine.connect() as connection:
            connection.execute(text("SELECT :id"), {"id": number})


def pool_too_large(url):
    """A pool filled to its size at the start; two of it are used at all."""
    engine = create_engine(url, pool_size=24, max_overflow=0)
    for connection in [engine.connect() for _ in range(24)]:
        connection.close()
    kept.append(engine)
    # it goes on working, so its connections are not abandoned at once
    stop = threading.Event()

    def work():
        while not stop.wait(0.5):
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))

    threading.Thread(target=work, daemon=True).start()


def no_name(url):
    """A program that says nothing of itself, with its ten connections."""
    for _ in range(12):
        connection = psycopg2.connect(url)
        connection.autocommit = True
        kept.append(connection)


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
    print("ready", flush=True)
    sys.stdin.read()
