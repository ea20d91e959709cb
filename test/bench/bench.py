"""Measure what pg_hygiene costs, and hold it against its goals.

bench.py BINDIR FOLDER [PART...]: the programs of a PostgreSQL that has
pg_hygiene installed, an empty folder, and what to measure (default: all).
"""
import importlib
import sys
from pathlib import Path

from cluster import Cluster
from report import Report

PARTS = ["instructions", "overshoot", "worker", "memory"]


def main() -> int:
    Cluster.bindir = Path(sys.argv[1])
    Cluster.folder = Path(sys.argv[2])
    parts = sys.argv[3:] or PARTS
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        print(f"there is no part {unknown[0]}; parts are {' '.join(PARTS)}",
              file=sys.stderr)
        return 2
    report = Report(Cluster.bindir)
    for part in parts:
        importlib.import_module(part).measure(report)
    report.print()
    return 0 if report.met else 1


sys.exit(main())
