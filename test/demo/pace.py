"""What the three programs of the demo share: a schedule, and a way to tell.

A program asks for work at a fixed rate from the moment it is told to go until
its standard input is closed, and reports each outcome as one line of JSON on
its standard output.  Nothing here knows PostgreSQL.
"""
import json
import os
import select
import time
from typing import Iterator


def report(kind: str, **details: object) -> None:
    """Tell the demo what has just happened."""
    print(json.dumps({"kind": kind, **details}), flush=True)


def pace(per_second: float) -> Iterator[int]:
    """Count 0, 1, 2, ... at a fixed rate until standard input is closed.

    A slow answer does not slow the schedule down: requests that are due are
    made up for.  Otherwise a server that hangs would look better than one
    that refuses, because it would be asked less often.

    Closed input also means that the demo itself is gone, so a program never
    outlives it.
    """
    report("ready")
    if not os.read(0, 16):
        return
    start = time.monotonic()
    number = 0
    while not _stop_asked(start + number / per_second - time.monotonic()):
        yield number
        number += 1


def _stop_asked(wait: float) -> bool:
    """Sleep for that many seconds; true if standard input was closed."""
    readable, _, _ = select.select([0], [], [], max(wait, 0.0))
    return bool(readable) and not os.read(0, 16)
