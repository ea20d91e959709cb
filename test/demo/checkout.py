"""checkout: the healthy neighbour.

Ten times a second it opens a connection, books one payment, commits and
closes.  It holds a slot for some milliseconds, and does nothing wrong; yet it
is the one that a full server turns away.
"""
import os

import psycopg2

from pace import pace, report

PAYMENTS_PER_SECOND = 10


def pay(order: int) -> None:
    """Book one payment on a connection of its own."""
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO payments (order_id, amount)"
                           " VALUES (%s, 10)", [1 + order % 50])
    finally:
        connection.close()


def main() -> None:
    for number in pace(PAYMENTS_PER_SECOND):
        try:
            pay(number)
        except psycopg2.Error as error:
            report("refused", error=str(error).strip())
        else:
            report("served")


if __name__ == "__main__":
    main()
