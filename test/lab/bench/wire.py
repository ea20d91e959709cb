"""A client of PostgreSQL's protocol that adds next to nothing of its own.

One object is one session over a Unix socket.  It knows the simple query
protocol in the clear, and no authentication: what a benchmark needs that opens
thousands of sessions and wants to see the very moment a socket closes.
"""
import socket
import struct
from typing import Dict, List, Optional, Tuple

Row = Tuple[Optional[str], ...]


class ServerError(Exception):
    """What the server said, as its primary message."""


class Session:
    """A session that asks one thing at a time."""

    def __init__(self, directory: str, port: int, user: str = "postgres",
                 application: str = "bench", database: str = "postgres"):
        self.pid = 0
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._received = b""
        try:
            self.socket.connect(f"{directory}/.s.PGSQL.{port}")
            fields = ["user", user, "database", database,
                      "application_name", application, ""]
            body = struct.pack("!I", 196608) + "\0".join(fields).encode() + b"\0"
            self.socket.sendall(struct.pack("!I", len(body) + 4) + body)
            self._answer()
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        try:
            self.socket.sendall(b"X\0\0\0\4")
        except OSError:
            pass
        self.socket.close()

    def fileno(self) -> int:
        return self.socket.fileno()

    def query(self, text: str) -> List[Row]:
        """Run a statement and return its rows."""
        body = text.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!I", len(body) + 4) + body)
        return self._answer()

    def value(self, text: str) -> str:
        """The one value that a statement returns."""
        return self.query(text)[0][0]

    def _message(self) -> Tuple[bytes, bytes]:
        while True:
            if len(self._received) >= 5:
                (length,) = struct.unpack("!I", self._received[1:5])
                if len(self._received) > length:
                    kind = self._received[:1]
                    body = self._received[5:length + 1]
                    self._received = self._received[length + 1:]
                    return kind, body
            more = self.socket.recv(65536)
            if not more:
                raise ServerError("the server closed the connection")
            self._received += more

    def _answer(self) -> List[Row]:
        """Read up to ReadyForQuery."""
        rows: List[Row] = []
        error = None
        while True:
            kind, body = self._message()
            if kind == b"D":
                rows.append(_columns(body))
            elif kind == b"K":
                (self.pid,) = struct.unpack("!I", body[:4])
            elif kind == b"R" and body != b"\0\0\0\0":
                raise ServerError("the server wants a password")
            elif kind == b"E":
                fields = _fields(body)
                error = ServerError(fields.get("M", "an error without words"))
                if fields.get("S") == "FATAL":
                    raise error
            elif kind == b"Z":
                if error:
                    raise error
                return rows


def _columns(body: bytes) -> Row:
    """Split a DataRow."""
    (number,) = struct.unpack("!H", body[:2])
    found: List[Optional[str]] = []
    at = 2
    for _ in range(number):
        (length,) = struct.unpack("!i", body[at:at + 4])
        at += 4
        if length < 0:
            found.append(None)
        else:
            found.append(body[at:at + length].decode())
            at += length
    return tuple(found)


def _fields(body: bytes) -> Dict[str, str]:
    """Split an ErrorResponse: a letter and a C string each, then a zero."""
    return {field[:1].decode(): field[1:].decode(errors="replace")
            for field in body.split(b"\0") if field}
