"""
Coverage: of each file that a fuzz target is for (coverage.txt), the share of its lines that inputs reached.

usage: coverage.py PERCENT TARGET...   with what `llvm-cov export -summary-only` says on standard input
Ends with 1 if a file of these targets has less than that.
"""

import json
import pathlib
import sys

FILES = pathlib.Path(__file__).with_name("coverage.txt")


def read_rows():
    """(file, its target, a bound of its own or None) of each row."""
    for line in FILES.read_text(encoding="utf-8").splitlines():
        words = line.split("#")[0].split()
        if words:
            yield words[0], words[1], float(words[2]) if len(words) > 2 else None


def main():
    least, targets = float(sys.argv[1]), sys.argv[2:]
    measured = {file["filename"]: file["summary"]["lines"] for file in json.load(sys.stdin)["data"][0]["files"]}
    bad = 0
    for name, target, own in read_rows():
        if target not in targets:
            continue
        lines = next((lines for path, lines in measured.items() if path.endswith(name)), {"count": 0, "covered": 0, "percent": 0})
        good = lines["percent"] >= (least if own is None else own)
        bad += not good
        print(f"  {name:32} {lines['covered']:4} of {lines['count']:4} lines, {lines['percent']:5.1f} %{'' if good else '  TOO FEW'}")
    sys.exit(1 if bad else 0)


main()
