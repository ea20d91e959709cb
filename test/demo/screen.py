"""What the demo looks like: a bar of slots a second, and a few tables.

Plain ASCII, no wider than the terminal (80 columns when there is none), and
colours only on a terminal that has not asked for none.
"""
import os
import shutil
import sys
import textwrap
from typing import Dict, Sequence

ON_TERMINAL = sys.stdout.isatty()
COLOURS = ON_TERMINAL and "NO_COLOR" not in os.environ
WIDTH = shutil.get_terminal_size((80, 24)).columns if ON_TERMINAL else 80

CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33",
         "blue": "34", "cyan": "36"}

# One letter and one colour for each who can hold a slot.
LETTERS = {"monitor": ("m", "cyan"), "batch": ("b", "blue"),
           "orders": ("o", "yellow"), "checkout": ("c", "green")}


def paint(text: str, colour: str) -> str:
    return f"\033[{CODES[colour]}m{text}\033[0m" if COLOURS else text


def say(text: str = "") -> None:
    print(text, flush=True)


def heading(text: str) -> None:
    say()
    say(paint(text, "bold"))


def note(text: str, indent: int = 2) -> None:
    """A paragraph, wrapped and indented."""
    margin = " " * indent
    say(textwrap.fill(" ".join(text.split()), WIDTH, initial_indent=margin,
                      subsequent_indent=margin, break_on_hyphens=False))


def lines(text: str, indent: int = 2) -> None:
    """Somebody else's text: its own lines stay lines."""
    for line in text.strip().splitlines():
        note(line, indent)


def item(label: str, text: str, indent: int = 2, column: int = 12) -> None:
    """A label, and a paragraph that hangs beside it."""
    lead = (" " * indent + label).ljust(column)
    say(textwrap.fill(lead + text, WIDTH, subsequent_indent=" " * column,
                      break_on_hyphens=False))


def server_message(fields: Dict[str, str]) -> None:
    """A FATAL the way psql prints it with VERBOSITY verbose."""
    for label, text in [(fields["severity"], f"{fields['sqlstate']}: "
                         f"{fields['message']}"),
                        ("DETAIL", fields.get("detail")),
                        ("HINT", fields.get("hint"))]:
        if text:
            item(label + ":", text, column=len(label) + 5)


def live_header(remark: str) -> None:
    """The legend, and the names of live_line's columns; the last is given."""
    legend = [paint(letter, colour) + f" {name}"
              for name, (letter, colour) in LETTERS.items()]
    say("   " + "   ".join(legend + [". free", "= kept for superusers"]))
    say()
    say(paint(_columns("s", "slots".ljust(30), "orders", "free", "checkout",
                       remark).rstrip(), "dim"))


def live_line(second: int, connections: Dict[str, int], slots: int,
              reserved: int, free: int, served: int, asked: int,
              remarks: Sequence[str]) -> None:
    """One second: who holds what, how checkout fared, and what was done."""
    refused = served < asked
    checkout = paint(f"{served}/{asked}".rjust(8),
                     "red" if refused else "green")
    remark = "; ".join(remarks)
    room = WIDTH - len(_columns("", " " * slots, "", "", " " * 8, ""))
    if len(remark) > room:
        remark = remark.replace("_timeout", "")
    say(_columns(str(second), _bar(connections, slots, reserved),
                 str(connections.get("orders", 0)), str(free), checkout,
                 remark[:room]).rstrip())


def _columns(second: str, bar: str, orders: str, free: str, checkout: str,
             remark: str) -> str:
    return f"{second:>2} {bar} {orders:>6} {free:>4} {checkout}  {remark}"


def _bar(connections: Dict[str, int], slots: int, reserved: int) -> str:
    """One letter a slot; "?" for whoever else is connected."""
    runs = [(letter, colour, connections.get(name, 0))
            for name, (letter, colour) in LETTERS.items()]
    others = sum(connections.values()) - sum(run[2] for run in runs)
    empty = max(slots - sum(connections.values()), 0)
    kept = min(reserved, empty)
    runs += [("?", "red", others), (".", "dim", empty - kept),
             ("=", "dim", kept)]
    return "".join(paint(letter * count, colour)
                   for letter, colour, count in runs if count)


def table(rows: Sequence[Sequence[str]]) -> None:
    """A small table: the first row names the columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        line = "  ".join(cell.ljust(width)
                          for cell, width in zip(row, widths)).rstrip()
        say("  " + (paint(line, "dim") if number == 0 else line))


def query_result(query: str, result: str) -> None:
    """A query and what psql printed for it."""
    for line in query.strip().splitlines():
        say("  " + paint(line, "dim"))
    say()
    for line in result.rstrip().splitlines():
        say("  " + line.rstrip())
