"""psycopg2: see run."""
import sys
import time

import psycopg2

from rolled_back import show

what, url = sys.argv[1:]


def backend(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()


try:
    connection = psycopg2.connect(url)
    if what == "warning":
        print(*connection.notices)
    elif what in ("statement", "commit"):
        show(what, lambda: None, lambda sql: connection.cursor().execute(sql),
             connection.commit, connection.rollback,
             lambda: backend(connection), psycopg2.Error)
    else:
        connection.cursor().execute("SELECT 1")
        time.sleep(1)
        connection.cursor().execute("SELECT 2")
except psycopg2.Error as error:
    print(error)
