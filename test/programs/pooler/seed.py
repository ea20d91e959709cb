"""The program that leaks: an engine and a Session for each call, never closed.

usage: seed.py URL WAVES CALLS PATIENCE

Makes waves of so many calls at once.  A wave is over when each of its calls
was served or failed, or after so many seconds of patience.  Prints how many
calls were served and, for each, why the others were not; then holds what it
has not closed until its standard input ends.
"""
import collections
import os
import sys
import threading

from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

url = sys.argv[1]
waves, calls, patience = (int(argument) for argument in sys.argv[2:5])
kept = []               # what a real program keeps alive by accident
results = collections.Counter()


def call():
    """One request of a web application."""
    session = Session(create_engine(url))
    kept.append(session)
    try:
        session.execute(text("SELECT item FROM shelf WHERE id = 1"))
        results["served"] += 1
    except SQLAlchemyError as error:
        results[str(error.orig).strip().splitlines()[-1]] += 1


for wave in range(waves):
    threads = [threading.Thread(target=call, daemon=True)
               for _ in range(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(patience)
        if thread.is_alive():
            break       # the others have waited as long as this one
for text_of, number in sorted(results.items()):
    print(number, text_of)
print("done", flush=True)
sys.stdin.read()
os._exit(0)             # some threads may wait for ever
