"""psycopg2: leave a transaction open, and say what the next statement does.

usage: idle.py URL

Prints "ready" when the transaction is open, waits for a line on its standard
input, and prints the SQLSTATE and text of the error that it then gets.
"""
import sys

import psycopg2

connection = psycopg2.connect(sys.argv[1])
cursor = connection.cursor()
cursor.execute("SELECT 1")
print("ready", flush=True)
sys.stdin.readline()
try:
    cursor.execute("SELECT 2")
    print("no error")
except psycopg2.Error as error:
    print(error.pgcode, error, sep="\n")
