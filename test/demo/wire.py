"""Read what the server has written to a connection that nobody is using.

When a session is ended while its client is idle, the server's last words wait
in the client's socket.  psql prints them; psycopg2 drops them and says only
that the server closed the connection.  To show what was really received this
looks at the bytes themselves, without taking them away from the driver.

It reads the protocol in the clear, so it is for connections without TLS.
"""
import os
import socket
import struct
from typing import Dict, Optional

# The fields of an ErrorResponse that people read; see "Error and Notice
# Message Fields" in PostgreSQL's documentation of its protocol.
FIELDS = {"S": "severity", "C": "sqlstate", "M": "message",
          "D": "detail", "H": "hint"}


def peek_fatal(descriptor: int) -> Optional[Dict[str, str]]:
    """The ErrorResponse that waits in this socket, by field, or None."""
    with socket.socket(fileno=os.dup(descriptor)) as connection:
        try:
            waiting = connection.recv(65536,
                                      socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except (BlockingIOError, ConnectionResetError):
            return None
    while len(waiting) >= 5:
        kind = waiting[:1]
        (length,) = struct.unpack("!I", waiting[1:5])
        if kind == b"E":
            return _fields(waiting[5:1 + length])
        waiting = waiting[1 + length:]
    return None


def _fields(body: bytes) -> Dict[str, str]:
    """Split an ErrorResponse: a letter and a C string each, then a zero."""
    found = {}
    for field in body.split(b"\0"):
        name = FIELDS.get(field[:1].decode())
        if name:
            found[name] = field[1:].decode()
    return found
