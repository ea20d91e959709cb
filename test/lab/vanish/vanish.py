#!/usr/bin/env python3
"""What test/lab/vanish/run does inside its network namespace.

usage: vanish.py FOLDER PROCESS CLIENTS, the process being one in the
namespace of the clients.
"""
import subprocess
import sys
import time

import psycopg2

GOALS = {False: 2, True: 2.5}
PATIENCE = 30
CROWD = """
import sys, threading, psycopg2
def wait(i):
    c = psycopg2.connect('host=192.0.2.1 port=54329 user=postgres application_name=web-%d' % i)
    c.cursor().execute('SELECT pg_advisory_lock(1)')
for i in range(int(sys.argv[1])):
    threading.Thread(target=wait, args=(i,)).start()
"""


def until(cursor, sql, value):
    """Returns when that was so."""
    give_up = time.time() + PATIENCE
    while time.time() < give_up:
        cursor.execute(sql)
        if cursor.fetchone()[0] == value:
            return time.time()
        time.sleep(0.005)
    sys.exit(f"did not happen in {PATIENCE} s: {sql}")


def vanish(cursor, process, clients, cut):
    crowd = subprocess.Popen(["nsenter", "-t", process, "-n", "/usr/bin/python3", "-c", CROWD, str(clients)])
    until(cursor, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'", clients)
    time.sleep(2.3)  # they have been there for a while
    began = time.time()
    if cut:
        subprocess.run(["ip", "link", "set", "near", "down"], check=True)
    crowd.kill()
    crowd.wait()
    seconds = until(cursor, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'web-%'", 0) - began
    if cut:
        subprocess.run(["ip", "link", "set", "near", "up"], check=True)
    print(f"{clients} clients, {'the wire cut, no FIN' if cut else 'killed, with FIN'}: all slots back after {seconds:.2f} s",
          flush=True)
    return seconds


def main():
    folder, process, clients = sys.argv[1], sys.argv[2], int(sys.argv[3])
    boss = psycopg2.connect(f"host={folder} port=54329 user=postgres dbname=postgres")
    boss.autocommit = True
    cursor = boss.cursor()
    cursor.execute("SELECT pg_advisory_lock(1)")
    late = [cut for cut in (False, True) * 3 if vanish(cursor, process, clients, cut) > GOALS[cut]]
    sys.exit(bool(late))


main()
