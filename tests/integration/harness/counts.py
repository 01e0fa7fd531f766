"""
Counts: what a suite ran, from the reports that its runner wrote.

  counts.py NAME unit TESTLOG.JSON        every test function of every cmocka program
  counts.py NAME pytest FOLDER            every test of every JUnit report in the folder

Prints "PASSED FAILED SKIPPED" on stdout and the failed ones, a line each, on stderr. A program that crashed counts the
functions that it did not reach as failed; a report that is missing is one failure.
"""

import json
import pathlib
import re
import sys
import xml.etree.ElementTree

RUNNING = re.compile(r"^\[==========\] (?:[^:]*: )?Running (\d+) test\(s\)", re.MULTILINE)
OK = re.compile(r"^\[       OK \] ", re.MULTILINE)
SKIPPED = re.compile(r"^\[  SKIPPED \] (?!.*test\(s\))(\w+)", re.MULTILINE)
BROKEN = re.compile(r"^\[  FAILED  \] (?!.*test\(s\))(?:[^:\n]*: )?(\w+)", re.MULTILINE)


def count_program(test):
    """(passed, failed names, skipped) of one line of meson's log."""
    output = test.get("stdout", "") + test.get("stderr", "")
    announced = sum(int(n) for n in RUNNING.findall(output))
    if not announced:  # no cmocka program: it is one test
        good = test["result"] == "OK"
        return (1, [], 0) if good else (0, [test["name"]], 0)
    passed, skipped = len(OK.findall(output)), len(set(SKIPPED.findall(output)))
    failed = [f"{test['name']}: {name}" for name in sorted(set(BROKEN.findall(output)))]
    while passed + skipped + len(failed) < announced:
        failed.append(f"{test['name']}: a test that the program did not reach ({test['result']})")
    if test["result"] != "OK" and not failed:
        failed.append(f"{test['name']}: {test['result']} after its last test")
    return passed, failed, skipped


def count_unit(path):
    with open(path, encoding="utf-8") as log:
        return [count_program(json.loads(line)) for line in log if line.strip()]


def count_report(path):
    """(passed, failed names, skipped) of one file of tests. A test that fails twice, in its end too, counts once."""
    try:
        cases = list(xml.etree.ElementTree.parse(path).iter("testcase"))
    except (OSError, xml.etree.ElementTree.ParseError):
        return 0, [f"{path.stem}: ended without a report"], 0
    verdicts = {}
    for case in cases:
        name = f"{case.get('classname')}: {case.get('name')}"
        kinds = {child.tag for child in case}
        verdict = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        if verdicts.get(name) != "failed":
            verdicts[name] = verdict
    failed = [name for name, verdict in verdicts.items() if verdict == "failed"]
    values = list(verdicts.values())
    return values.count("passed"), failed, values.count("skipped")


def main():
    _, suite, kind, where = sys.argv
    if kind == "unit":
        results = count_unit(where)
    else:
        results = [count_report(path) for path in sorted(pathlib.Path(where).glob("*.xml"))]
    failed = [name for result in results for name in result[1]]
    for name in failed:
        print(f"  failed in {suite}: {name}", file=sys.stderr)
    print(sum(result[0] for result in results), len(failed), sum(result[2] for result in results))


if __name__ == "__main__":
    main()
