"""The table of a mixed day, from what day.py printed twice.

usage: day_table.py OBSERVED RULES ENFORCED

Fails when a leak was not ended or an honest pause was.
"""
import json
import re
import sys


def read(path):
    with open(path) as lines:
        return {row["program"]: row for row in map(json.loads, lines)}


def settings_of(rules, program):
    """What the rules' text says of a program."""
    found = re.search(r"(?:^|; )application=%s: ([^;]*)" % program, rules)
    return found.group(1) if found else "none"


def main(observed_path, rules_path, enforced_path):
    observed = read(observed_path)
    enforced = read(enforced_path)
    with open(rules_path) as file:
        rules = file.read().strip()
    bad = 0
    print("| program | pauses it came back to | the longest | leaks "
          "| rule that was suggested | leaks it ended | honest pauses it "
          "ended |\n|---|---|---|---|---|---|---|")
    for name, seen in observed.items():
        then = enforced[name]
        longest = "%.1f s" % seen["longest"] if seen["pauses"] else ""
        harm = then["hurt"] + (0 if name.startswith("leak")
                               else then["refused"])
        print("| `%s` | %d | %s | %d | `%s` | %s | %d |" % (
            name, seen["pauses"], longest, seen["leaks"],
            settings_of(rules, name),
            "%d of %d" % (then["leaks_ended"], then["leaks"])
            if then["leaks"] else "", harm))
        bad += harm + then["leaks"] - then["leaks_ended"]
    if bad:
        sys.exit("%d times wrong" % bad)


if __name__ == "__main__":
    main(*sys.argv[1:])
