"""The programs that act in the storms, each as a process of its own.

    storm_crew.py PROGRAM SECONDS URL [name=value ...]

It prints "ready" when it has loaded and what it needs is open, waits for a
line on standard input, works for that many seconds (or until its standard
input is closed, so that it never outlives whoever started it), and prints one
line of JSON about how it fared.

    leak      a new engine and Session per request, never closed
              (rate=60 a second, threads=2 at a time: how many
              may connect at the same instant is what burst is for);
              naming=pid, pod, trace or letters: each connection has another
              name, as of a process, of a Kubernetes pod, a W3C traceparent,
              or at random; naming=tenant: one name, 200 roles;
              before=3: so many transactions that are ended come first
    first     a program that never was there before, every two seconds
              another one: tries to connect ten times a second until it gets
              in, then makes some transactions, pauses, and makes one more
              (every=2 seconds, pause=6)
    names     takes a new name each time it commits, as fast as it can, on some
              connections (kind=digits, uuid or hex; connections=17,
              total=333334 names)
    burst     so many connections at the same instant, each left in a
              transaction (size=50, every=2 seconds)
    checkout  opens a connection, reads, closes (rate=10 a second)
    batch     one transaction after the other, made of short statements with
              pauses between them (pause=4 seconds, statements=15)
    web       a connection pool (size=8), with some requests (rate=5 a second)
    hammer    attempts to connect, over and over, as raw as can be
              (rate=1000 a second, flight=16 at a time)
"""
import itertools
import json
import os
import random
import re
import resource
import select
import socket
import struct
import sys
import threading
import time
from collections import Counter
from typing import Callable, Dict, Iterator, List, Optional
from urllib.parse import parse_qs, urlsplit

import psycopg2
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

LAST_ANSWERS_SECONDS = 20   # how long requests may take that were under way


class Tally:
    """What became of the requests; may be used by several threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.served = 0
        self.errors: Counter = Counter()
        self.connect_ms: List[float] = []

    def serve(self, connect_seconds: Optional[float] = None) -> None:
        with self.lock:
            self.served += 1
            if connect_seconds is not None:
                self.connect_ms.append(1000 * connect_seconds)

    def fail(self, error: object) -> None:
        with self.lock:
            self.errors[_gist(str(error))] += 1

    def summary(self) -> Dict:
        asked = self.served + sum(self.errors.values())
        times = sorted(self.connect_ms)
        return {"asked": asked, "served": self.served,
                "percent": 100.0 * self.served / asked if asked else None,
                "p50": percentile(times, 50), "p99": percentile(times, 99),
                "errors": dict(self.errors)}


def percentile(ordered: List[float], percent: float) -> Optional[float]:
    if not ordered:
        return None
    return ordered[round(percent / 100 * (len(ordered) - 1))]


def _gist(message: str) -> str:
    """The first line of an error, without where the server is and which name
    was taken: the report must fit the pipe that nobody reads before the end."""
    first = (message.strip().splitlines() or [""])[0]
    return re.sub('"[^"]*"', '"..."', first.split("failed: ")[-1])


class Clock:
    """When it begins, and when it is over."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.over = threading.Event()

    def wait_for_go(self) -> None:
        print("ready", flush=True)
        if not os.read(0, 16):
            os._exit(0)
        self.start = time.monotonic()
        self.end = self.start + self.seconds
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        select.select([0], [], [], self.seconds)
        self.over.set()

    def sleep_until(self, moment: float) -> bool:
        """False when it is over before that."""
        if moment >= self.end:
            self.over.wait()
            return False
        return not self.over.wait(max(moment - time.monotonic(), 0))

    def pace(self, rate: float) -> Iterator[int]:
        """Numbers at a fixed rate.  What is late is made up for, else a
        server that hangs would look better than one that refuses."""
        for number in itertools.count():
            if not self.sleep_until(self.start + number / rate):
                return
            yield number


# ---------------------------------------------------------------- programs

KUBERNETES = "bcdfghjklmnpqrstvwxz2456789"
TENANTS = 200


def _pick(letters: str, length: int) -> str:
    return "".join(random.choice(letters) for _ in range(length))


def _renamed(url: str, naming: Optional[str], number: int) -> str:
    """The URL of one connection of a leak."""
    if naming is None:
        return url
    if naming == "tenant":
        return url.replace("//app@", f"//tenant{number % TENANTS}@")
    name = {
        "pid": lambda: f"orders-{20001 + number}",
        "pod": lambda: f"orders-7d9f8b6c5-{_pick(KUBERNETES, 5)}",
        "trace": lambda: (f"00-{_pick('0123456789abcdef', 32)}"
                          f"-{_pick('0123456789abcdef', 16)}-01"),
        "letters": lambda: _pick("abcdefghijklmnopqrstuvwxyz", 12),
    }[naming]()
    return url.replace("application_name=orders", f"application_name={name}")


def leak(url: str, clock: Clock, rate: float = 60, threads: int = 2,
         naming: Optional[str] = None, before: float = 0) -> Dict:
    tally = Tally()
    numbers = itertools.count()
    names = itertools.count()
    forgotten = []

    def request() -> None:
        session = Session(create_engine(_renamed(url, naming, next(names))))
        try:
            for _ in range(int(before)):
                session.execute(text("SELECT item FROM orders WHERE id = 1"))
                session.commit()
            session.execute(text("SELECT item FROM orders WHERE id = 1"))
            forgotten.append(session)
            tally.serve()
        except DBAPIError as error:
            tally.fail(error.orig)

    def serve() -> None:
        while clock.sleep_until(clock.start + next(numbers) / rate):
            request()

    create_engine(url)      # loads what it needs
    clock.wait_for_go()
    workers = [threading.Thread(target=serve, daemon=True)
               for _ in range(int(threads))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(max(clock.end - time.monotonic(), 0)
                    + LAST_ANSWERS_SECONDS)
    return tally.summary()


def first(url: str, clock: Clock, every: float = 2, pause: float = 6) -> Dict:
    """How long each one took to get in, and whether its session was kept."""
    waited: List[float] = []
    lost = []

    def program() -> None:
        name = _pick("abcdefghijklmnopqrstuvwxyz", 10)
        came = time.monotonic()
        while not clock.over.is_set():
            try:
                connection = psycopg2.connect(url.replace(
                    "application_name=first", f"application_name={name}"))
                break
            except psycopg2.Error:
                clock.over.wait(0.1)
        else:
            waited.append(time.monotonic() - came)
            return
        waited.append(time.monotonic() - came)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for seconds in (0, 0, 0, pause):
                    clock.over.wait(seconds)
                    cursor.execute("SELECT item FROM orders WHERE id = 1")
            connection.close()
        except psycopg2.Error as error:
            lost.append(str(error))

    clock.wait_for_go()
    programs = []
    for _ in clock.pace(1 / every):
        programs.append(threading.Thread(target=program, daemon=True))
        programs[-1].start()
    for thread in programs:
        thread.join(LAST_ANSWERS_SECONDS)
    ordered = sorted(waited)
    return {"came": len(programs), "median_s": percentile(ordered, 50),
            "longest_s": percentile(ordered, 100), "lost": lost}


NAME_PARTS = {
    "digits": "%s::text",
    "uuid": "md5(%s::text)::uuid::text",
    "hex": "substr(md5(%s::text), 1, 16)",
}
NAMES_AT_ONCE = 1000


def names(url: str, clock: Clock, kind: str = "digits", connections: int = 17,
          total: int = 333334) -> Dict:
    """Each connection has its share of the names, and no other has it."""
    program = parse_qs(urlsplit(url).query)["application_name"][0]
    connections = int(connections)
    each = -(-int(total) // connections)
    taken: List[int] = []
    errors: Counter = Counter()

    def take_names(number: int) -> None:
        mine = 0
        try:
            connection = psycopg2.connect(url)
            connection.autocommit = True
            with connection.cursor() as cursor:
                while mine < each and not clock.over.is_set():
                    n = min(NAMES_AT_ONCE, each - mine)
                    first = 10_000_000 * (number + 1) + mine
                    cursor.execute(
                        "DO $$ BEGIN FOR i IN %d..%d LOOP"
                        " PERFORM set_config('application_name',"
                        " '%s-' || %s, false); COMMIT;"
                        " END LOOP; END $$" % (
                            first, first + n - 1, program,
                            NAME_PARTS[kind] % "i"))
                    mine += n
            clock.over.wait()
            connection.close()
        except psycopg2.Error as error:
            errors[_gist(str(error))] += 1
        taken.append(mine)

    clock.wait_for_go()
    workers = [threading.Thread(target=take_names, args=(number,), daemon=True)
               for number in range(connections)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(max(clock.end - time.monotonic(), 0)
                    + LAST_ANSWERS_SECONDS)
    return {"asked": connections, "served": connections - sum(errors.values()),
            "names": sum(taken), "errors": dict(errors)}


def burst(url: str, clock: Clock, size: int = 50, every: float = 2) -> Dict:
    """The server asks for a password, and all answer once all were asked: so
    they really are there at the same instant."""
    tally = Tally()
    forgotten: List["Wire"] = []
    clock.wait_for_go()
    for _ in clock.pace(1 / every):
        # Not in step with the others, who also work by the clock.
        clock.over.wait(random.uniform(0, 0.2))
        wires = [Wire(url, query="BEGIN", password="secret")
                 for _ in range(int(size))]
        _receive_until(wires, lambda wire: wire.asked_for_password)
        for wire in wires:
            wire.give_password()
        _receive_until(wires, lambda wire: wire.ready)
        for wire in wires:
            if wire.error is None:
                tally.serve()
                forgotten.append(wire)
            else:
                tally.fail(wire.error)
    return tally.summary()


def _receive_until(wires: List["Wire"],
                   reached: Callable[["Wire"], bool]) -> None:
    """Until each is where it should be, or was refused."""
    poll = select.poll()
    waiting = {wire.fileno(): wire for wire in wires if not wire.error}
    for descriptor in waiting:
        poll.register(descriptor, select.POLLIN)
    while waiting:
        for descriptor, _ in poll.poll(1000):
            wire = waiting[descriptor]
            wire.receive()
            if wire.error or reached(wire):
                poll.unregister(descriptor)
                del waiting[descriptor]


def checkout(url: str, clock: Clock, rate: float = 10) -> Dict:
    tally = Tally()
    clock.wait_for_go()
    for _ in clock.pace(rate):
        began = time.monotonic()
        try:
            connection = psycopg2.connect(url)
            connected = time.monotonic() - began
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT item FROM orders WHERE id = 1")
            connection.close()
            tally.serve(connected)
        except psycopg2.Error as error:
            tally.fail(error)
    return tally.summary()


def batch(url: str, clock: Clock, pause: float = 4,
          statements: int = 15) -> Dict:
    """A transaction that is lost is begun again at once."""
    killed = 0
    refused = 0
    committed = 0
    connection = psycopg2.connect(url)
    clock.wait_for_go()
    while not clock.over.is_set():
        try:
            if connection.closed:
                connection = psycopg2.connect(url)
        except psycopg2.Error:
            refused += 1
            clock.over.wait(0.2)
            continue
        try:
            with connection, connection.cursor() as cursor:
                for _ in range(int(statements)):
                    cursor.execute("SELECT item FROM orders WHERE id = 1")
                    if clock.over.wait(pause):
                        break
                cursor.execute("SELECT 1")
            committed += 1
        except psycopg2.Error:
            killed += 1
            connection.close()
    return {"killed": killed, "refused": refused, "committed": committed}


def web(url: str, clock: Clock, size: int = 8, rate: float = 5) -> Dict:
    tally = Tally()
    size = int(size)
    engine = create_engine(url, poolclass=QueuePool, pool_size=size,
                           max_overflow=0, pool_timeout=30)

    @event.listens_for(engine, "handle_error")
    def keep_the_others(context) -> None:
        # A dead connection would make SQLAlchemy throw all of them away.
        context.invalidate_pool_on_disconnect = False

    def pids() -> List[int]:
        """Check out the whole pool at once."""
        found = []
        connections = []
        for _ in range(size):
            try:
                connections.append(engine.connect())
                found.append(connections[-1].scalar(
                    text("SELECT pg_backend_pid()")))
            except DBAPIError:
                pass
        for connection in connections:
            connection.close()
        return found

    first = pids()
    clock.wait_for_go()
    for _ in clock.pace(rate):
        try:
            with Session(engine) as session:
                session.execute(text("SELECT item FROM orders WHERE id = 1"))
                session.commit()
            tally.serve()
        except DBAPIError as error:
            tally.fail(error.orig)
    return {**tally.summary(), "pool": len(first),
            "lost": len(set(first) - set(pids()))}


def hammer(url: str, clock: Clock, rate: float = 1000,
           flight: int = 16) -> Dict:
    """One connection that stays, and the others, which are refused."""
    tally = Tally()
    holder = Wire(url)
    _receive_until([holder], lambda wire: wire.ready)
    poll = select.poll()
    flying: Dict[int, Wire] = {}
    clock.wait_for_go()
    sent = 0
    while not clock.over.is_set():
        due = (time.monotonic() - clock.start) * rate
        while sent < due and len(flying) < flight:
            wire = Wire(url)
            flying[wire.fileno()] = wire
            poll.register(wire.fileno(), select.POLLIN)
            sent += 1
        for descriptor, _ in poll.poll(1):
            wire = flying[descriptor]
            wire.receive()
            if wire.ready or wire.error:
                poll.unregister(descriptor)
                del flying[descriptor]
                wire.close()
                if wire.error is None:
                    tally.serve()
                else:
                    tally.fail(wire.error)
    return {**tally.summary(), "a_second": sum(tally.errors.values())
            / (time.monotonic() - clock.start)}


class Wire:
    """The least that a client must say."""

    def __init__(self, url: str, query: Optional[str] = None,
                 password: Optional[str] = None) -> None:
        parts = urlsplit(url)
        asked = parse_qs(parts.query)
        words = ["user", parts.username, "database", parts.path[1:],
                 "application_name", asked.get("application_name", [""])[0]]
        body = struct.pack("!I", 196608) + b"".join(
            word.encode() + b"\0" for word in words) + b"\0"
        self.query = query
        self.password = password
        self.asked_for_password = False
        self.ready = False
        self.buffer = b""
        self.error: Optional[str] = None
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(asked["host"][0] + "/.s.PGSQL."
                            + asked.get("port", ["5432"])[0])
        self.socket.sendall(struct.pack("!I", 4 + len(body)) + body)
        self.socket.setblocking(False)

    def fileno(self) -> int:
        return self.socket.fileno()

    def close(self) -> None:
        self.socket.close()

    def give_password(self) -> None:
        if self.asked_for_password and not self.error:
            self._send(b"p", self.password)

    def receive(self) -> None:
        """Read what is there."""
        try:
            data = self.socket.recv(8192)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self.error = self.error or "connection closed"
        self.buffer += data
        while len(self.buffer) >= 5 and not self.error:
            kind = self.buffer[:1]
            (length,) = struct.unpack("!I", self.buffer[1:5])
            if len(self.buffer) < 1 + length:
                return
            body = self.buffer[5:1 + length]
            self.buffer = self.buffer[1 + length:]
            self._take(kind, body)

    def _take(self, kind: bytes, body: bytes) -> None:
        if kind == b"E":
            fields = {field[:1]: field[1:] for field in body.split(b"\0")}
            self.error = "FATAL:  " + fields[b"M"].decode()
        elif kind == b"R" and body == struct.pack("!I", 3):
            self.asked_for_password = True
        elif kind == b"Z" and self.query is not None:
            self._send(b"Q", self.query)
            self.query = None
        elif kind == b"Z":
            self.ready = True

    def _send(self, kind: bytes, text_: str) -> None:
        body = text_.encode() + b"\0"
        try:
            self.socket.sendall(kind + struct.pack("!I", 4 + len(body)) + body)
        except (BrokenPipeError, ConnectionResetError):
            pass                # what it said is still to be read


PROGRAMS = {program.__name__: program
            for program in (leak, first, names, burst, checkout, batch, web,
                            hammer)}


def _value(text_: str) -> object:
    try:
        return float(text_)
    except ValueError:
        return text_


def main() -> None:
    program, seconds, url, *options = sys.argv[1:]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    result = PROGRAMS[program](
        url, Clock(float(seconds)),
        **{name: _value(value) for name, value in
           (option.split("=") for option in options)})
    print(json.dumps(result), flush=True)
    os._exit(0)     # as a killed program would: the server must clean up


if __name__ == "__main__":
    main()
