"""Measure what pg_hygiene costs, and hold it against its goals.

bench.py BINDIR FOLDER [PART...]: the programs of a PostgreSQL that has
pg_hygiene installed, an empty folder, and what to measure (default: all).
BENCH_STORM names a file with figures in JSON that go into ours.
"""
import importlib
import json
import os
import sys
from pathlib import Path

from cluster import Cluster
from report import Report

PARTS = ["instructions", "logins", "waiting", "overshoot", "worker",
         "memory"]


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
    storm = os.environ.get("BENCH_STORM")
    if storm:
        text = Path(storm).read_text()
        report.detail("storm", json.loads(text) if text else None)
    report.print()
    return 0 if report.met else 1


sys.exit(main())
