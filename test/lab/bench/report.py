"""The table and the JSON that a benchmark ends with."""
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional


class Report:
    def __init__(self, bindir: Path):
        self.machine = _machine(bindir)
        self.figures: List[Dict[str, Any]] = []
        self.details: Dict[str, Any] = {}

    @staticmethod
    def progress(text: str) -> None:
        print(f"-- {text}", file=sys.stderr, flush=True)

    def figure(self, name: str, value: float, unit: str,
               goal: Optional[float] = None) -> None:
        """A figure; the goal, where there is one, is the most it may be."""
        self.figures.append({"name": name, "value": value, "unit": unit,
                             "goal": goal,
                             "met": None if goal is None else value <= goal})

    def detail(self, name: str, value: Any) -> None:
        """What only the JSON has."""
        self.details[name] = value

    @property
    def met(self) -> bool:
        return all(figure["met"] is not False for figure in self.figures)

    def print(self) -> None:
        print(*(f"{name}: {value}" for name, value in self.machine.items()),
              sep="\n", end="\n\n")
        rows = [("", "measured", "goal", "")] + [_row(f) for f in self.figures]
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        for row in rows:
            print(f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  "
                  f"{row[2]:>{widths[2]}}  {row[3]}".rstrip())
        print()
        print(json.dumps({"machine": self.machine, "figures": self.figures,
                          "details": self.details}), flush=True)


def _row(figure: Dict[str, Any]) -> tuple:
    goal = figure["goal"]
    verdict = {None: "", True: "met", False: "MISSED"}[figure["met"]]
    return (figure["name"], _number(figure["value"], figure["unit"]),
            "" if goal is None else "<= " + _number(goal, figure["unit"]),
            verdict)


def _number(value: float, unit: str) -> str:
    if value == int(value):
        text = f"{int(value):,}"
    elif abs(value) < 1:
        text = f"{value:.4f}"
    elif abs(value) < 100:
        text = f"{value:.2f}"
    else:
        text = f"{value:,.0f}"
    return f"{text} {unit}".rstrip()


def _machine(bindir: Path) -> Dict[str, str]:
    def output(*command: str) -> str:
        return subprocess.run(command, stdout=subprocess.PIPE, text=True,
                              check=False).stdout.strip()

    cpu = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    system = platform.freedesktop_os_release() \
        if hasattr(platform, "freedesktop_os_release") else {}
    return {
        "PostgreSQL": output(str(bindir / "postgres"), "--version"),
        "pg_hygiene": os.environ.get("PGH_REVISION", "unknown"),
        "system": f"{system.get('PRETTY_NAME', '?')}, Linux {platform.release()}",
        "machine": f"{cpu}, {os.cpu_count()} processors, "
                   f"{memory / 2**30:.0f} GB",
        "valgrind": output("valgrind", "--version"),
    }
