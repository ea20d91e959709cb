"""psycopg2: see run."""
import sys
import time

import psycopg2

what, url = sys.argv[1:]
try:
    connection = psycopg2.connect(url)
    if what == "warning":
        print(*connection.notices)
    else:
        connection.cursor().execute("SELECT 1")
        time.sleep(1)
        connection.cursor().execute("SELECT 2")
except psycopg2.Error as error:
    print(error)
