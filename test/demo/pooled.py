"""pooled: a pool of eight connections, and every third transaction careless.

Eight workers of a web application share one SQLAlchemy engine.  A careless
transaction waits inside for something else, longer than the limit.  Reports
once, when it is told to stop: what was committed, what the program saw of the
rest, and how many of the server's backends it used.
"""
import os
import threading
import time
from collections import Counter
from typing import Set

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from pace import pace, report

WORKERS = 8
CARELESS_SECONDS = 0.4
BETWEEN_SECONDS = 0.05

committed = 0
errors: Counter = Counter()
backends: Set[int] = set()
stop = threading.Event()
lock = threading.Lock()


def pay(session: Session, careless: bool) -> None:
    """POST /pay: one transaction."""
    backend = session.execute(text("SELECT pg_backend_pid()")).scalar()
    with lock:
        backends.add(backend)
    session.execute(text("INSERT INTO payments VALUES (1, 1)"))
    if careless:
        time.sleep(CARELESS_SECONDS)
    session.commit()


def work(engine) -> None:
    global committed
    number = 0
    while not stop.wait(BETWEEN_SECONDS):
        number += 1
        with Session(engine) as session:
            try:
                pay(session, number % 3 == 0)
            except DBAPIError as error:
                with lock:
                    errors[str(error.orig).strip().splitlines()[0]] += 1
            else:
                with lock:
                    committed += 1


def main() -> None:
    engine = create_engine(os.environ["DATABASE_URL"], pool_size=WORKERS,
                           max_overflow=0)
    workers = [threading.Thread(target=work, args=[engine])
               for _ in range(WORKERS)]
    for number in pace(1):
        if number == 0:
            for worker in workers:
                worker.start()
    stop.set()
    for worker in workers:
        worker.join()
    report("done", committed=committed, errors=dict(errors),
           backends=len(backends))


if __name__ == "__main__":
    main()
