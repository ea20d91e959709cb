"""batch: an honest long transaction.

It works for as long as the demo runs, in one transaction made of short
statements with pauses for work of its own between them.  Most of the time
the server sees it "idle in transaction", just like a leak; a tool that cannot
tell the two apart kills it.
"""
import os

import psycopg2

from pace import pace, report

STATEMENTS_PER_SECOND = 2


def main() -> None:
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    cursor = connection.cursor()
    try:
        for number in pace(STATEMENTS_PER_SECOND):
            cursor.execute("INSERT INTO ledger (order_id, booked_at)"
                           " VALUES (%s, clock_timestamp())",
                           [1 + number % 50])
            report("served")
        connection.commit()
    except psycopg2.Error as error:
        report("lost", error=str(error).strip())
    else:
        report("committed")


if __name__ == "__main__":
    main()
