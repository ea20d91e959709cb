"""psycopg 3: see run."""
import sys
import time

import psycopg

from rolled_back import show

what, url = sys.argv[1:]



try:
    connection = psycopg.connect(url)
    if what in ("statement", "commit"):
        show(what, lambda: None, connection.execute,
             connection.commit, connection.rollback,
             lambda: connection.execute("SELECT pg_backend_pid()").fetchone(),
             psycopg.Error)
    elif what != "warning":
        connection.execute("SELECT 1")
        time.sleep(1)
        connection.execute("SELECT 2")
except psycopg.Error as error:
    print(error)
