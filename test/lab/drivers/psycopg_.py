"""psycopg 3: see run."""
import sys
import time

import psycopg

what, url = sys.argv[1:]
try:
    connection = psycopg.connect(url)
    if what != "warning":
        connection.execute("SELECT 1")
        time.sleep(1)
        connection.execute("SELECT 2")
except psycopg.Error as error:
    print(error)
