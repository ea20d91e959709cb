#!/usr/bin/env python3
"""Clients that stop in the middle of a statement, or go on very slowly.

usage: clients.py SOCKET_FOLDER PORT INTERVAL WHAT/HOW[/NUMBER]...

WHAT a client does:
  copy     begins COPY FROM STDIN, sends a part of a line and stops
  copyto   begins COPY TO STDOUT and reads nothing of it
  result   asks for many rows and reads none of them
  pipeline sends a statement without Sync, reads the answer and stops
  commit   the same in a transaction that has written
  sleep    runs pg_sleep() and waits
  slowcopy, slowresult, slowcopyto, slowpipeline
           the same, but a byte every INTERVAL seconds, to the end

HOW it is connected: unix, tcp, tls.

Prints a line for each client as soon as it has stopped: WHAT HOW PID SECONDS,
the time of the last byte, and "ready" when all of them have.  Those that are
slow go on until standard input ends.  Then each of them does the rest at once,
and a line is printed for each client: WHAT HOW PID GAP and how it ended: "done",
"closed", "open", or the SQLSTATE and the message of an error.  GAP is the
longest time in seconds in which one that is slow moved nothing: on a busy
machine it may not have come to it.
"""
import select
import socket
import ssl
import struct
import sys
import time

ROWS = 20000
ROW = 1000
PATIENCE = 120


class Client:
    def __init__(self, what, how, folder, port):
        self.what, self.how = what, how
        self.slow = what.startswith("slow")
        self.kind = what[4:] if self.slow else what
        self.socket = self.connect(folder, port)
        self.tls = None
        self.input = b""
        self.to_send = b""
        self.pid = 0
        self.error = None
        self.ended = False
        self.gap = 0
        self.moved = None
        if how == "tls":
            self.start_tls()
        self.send_now(message(b"", struct.pack("!i", 196608) + b"user\0app\0database\0postgres\0"
                              b"application_name\0" + what.encode() + b"\0\0"))
        self.read_until(b"Z")

    def connect(self, folder, port):
        if self.how == "unix":
            s = socket.socket(socket.AF_UNIX)
            address = f"{folder}/.s.PGSQL.{port}"
        else:
            s = socket.socket()
            address = ("127.0.0.1", port)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        s.connect(address)
        return s

    def start_tls(self):
        self.socket.sendall(struct.pack("!ii", 8, 80877103))
        assert self.socket.recv(1) == b"S"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing)
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.socket.sendall(self.outgoing.read())
                self.incoming.write(self.socket.recv(65536))
        self.socket.sendall(self.outgoing.read())

    # What goes over the socket, byte by byte.
    def encode(self, data):
        if not self.tls:
            return data
        self.tls.write(data)
        return self.outgoing.read()

    def decode(self, data):
        if not self.tls:
            return data
        self.incoming.write(data)
        plain = b""
        while True:
            try:
                piece = self.tls.read(65536)
            except ssl.SSLWantReadError:
                return plain
            if not piece:
                return plain
            plain += piece

    def send_now(self, data):
        self.socket.sendall(self.encode(data))

    def messages(self):
        """The whole messages among what was read."""
        while len(self.input) >= 5:
            length = struct.unpack("!i", self.input[1:5])[0]
            if len(self.input) <= length:
                return
            kind, body = self.input[:1], self.input[5:length + 1]
            self.input = self.input[length + 1:]
            if kind == b"K":
                self.pid = struct.unpack("!i", body[:4])[0]
            if kind == b"E":
                fields = {f[:1]: f[1:].decode() for f in body.split(b"\0") if f}
                self.error = fields[b"C"] + " " + fields[b"M"]
            yield kind

    def read_until(self, kind, patience=PATIENCE):
        """Read up to a message of this type; False when the connection ended."""
        give_up = time.time() + patience
        while True:
            for k in self.messages():
                if k == kind:
                    return True
            self.socket.settimeout(max(give_up - time.time(), 0.01))
            try:
                data = self.socket.recv(65536)
            except (ConnectionError, socket.timeout) as why:
                self.ended = not isinstance(why, socket.timeout)
                return False
            if not data:
                self.ended = True
                return False
            self.input += self.decode(data)

    def begin(self):
        """Come to the point at which it stops."""
        rows = f"SELECT repeat('x', {ROW}) FROM generate_series(1, {ROWS})"
        if self.kind == "copy":
            self.query("COPY t FROM STDIN")
            self.read_until(b"G")
            line = b"x" * ROW + b"\n"
            whole = self.encode(message(b"d", line) + message(b"c", b""))
            self.socket.sendall(whole[:7])
            self.to_send = whole[7:]
        elif self.kind == "copyto":
            self.query(f"COPY ({rows}) TO STDOUT")
        elif self.kind == "result":
            self.query(rows)
        elif self.kind == "sleep":
            self.query("SELECT pg_sleep(1000)")
        elif self.kind in ("pipeline", "commit"):
            sql = b"INSERT INTO t VALUES ('p')" if self.kind == "commit" else b"SELECT 1"
            if self.kind == "commit":
                self.query("BEGIN")
                self.read_until(b"Z")
            self.send_now(message(b"P", b"\0" + sql + b"\0\0\0") + message(b"B", b"\0\0\0\0\0\0\0\0") +
                          message(b"E", b"\0\0\0\0\0") + message(b"H", b""))
            self.read_until(b"C")
            self.to_send = self.encode(message(b"Q", b"SELECT '" + b"x" * ROW + b"'\0"))
        else:
            sys.exit(f"what is {self.kind}?")
        self.moved = time.time()
        print(self.what, self.how, self.pid, f"{self.moved:.6f}", flush=True)

    def query(self, sql):
        self.send_now(message(b"Q", sql.encode() + b"\0"))

    def move(self):
        """One byte."""
        self.note_gap()
        try:
            if self.kind in ("copy", "pipeline"):
                self.socket.sendall(self.to_send[:1])
                self.to_send = self.to_send[1:]
            else:
                self.input += self.decode(self.socket.recv(1))
        except ConnectionError:
            pass
        self.moved = time.time()

    def note_gap(self):
        if self.slow:
            self.gap = max(self.gap, time.time() - self.moved)

    def finish(self):
        """The rest at once; returns how it ended."""
        self.note_gap()
        try:
            if self.slow:
                self.socket.sendall(self.to_send)
                if self.kind == "pipeline":
                    self.send_now(message(b"S", b""))
        except OSError:
            pass
        ready = self.read_until(b"Z", PATIENCE if self.slow else 0.2)
        if self.error or ready:
            return self.error or "done"
        return "closed" if self.ended else "open"


def message(kind, body):
    return kind + struct.pack("!i", 4 + len(body)) + body


def wait(clients, interval):
    """Until standard input ends, move what is slow."""
    due = time.time()
    while True:
        if select.select([sys.stdin], [], [], max(due - time.time(), 0))[0]:
            return
        due += interval
        for client in clients:
            client.move()


def go_on(clients, interval):
    """Move what is slow and due."""
    for client in clients:
        if client.slow and client.moved and time.time() - client.moved >= interval:
            client.move()


def main():
    folder, port, interval = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    clients = []
    for word in sys.argv[4:]:
        what, how, *number = word.split("/")
        clients += [Client(what, how, folder, port) for _ in range(int(number[0]) if number else 1)]
    # those that must not stop begin last, and go on meanwhile
    clients.sort(key=lambda c: c.slow)
    for client in clients:
        client.begin()
        go_on(clients, interval)
    print("ready", flush=True)
    wait([c for c in clients if c.slow], interval)
    # first those that must not stop now, last those that say nothing more
    clients.sort(key=lambda c: (not c.slow, c.kind not in ("result", "copyto")))
    for client in list(clients):
        end = client.finish()
        client.slow = False
        go_on(clients, interval)
        print(client.what, client.how, client.pid, f"{client.gap:.2f}", end, flush=True)
    time.sleep(1)  # so that it is seen what they did


main()
