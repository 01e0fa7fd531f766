"""
What clang says of the tests in C, which gcc alone compiles: each file is checked as the build in the folder given compiles
it, without making anything. The exit code says whether clang had anything to say.
"""

import json
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

JOBS = 2
QUIETER = ("-Wno-c2x-extensions", "-Wno-gnu-zero-variadic-macro-arguments")  # as meson.build has them for clang


def check(entry):
    words = [word for word in shlex.split(entry["command"]) if word not in ("ccache", "-c", "-MD")]
    for option in ("-o", "-MQ", "-MF"):  # nothing is made
        del words[words.index(option):words.index(option) + 2]
    return subprocess.run(["clang", *words[1:], *QUIETER, "-fsyntax-only"], cwd=entry["directory"], capture_output=True,
                          text=True, check=False)


def main():
    _, folder = sys.argv
    entries = json.loads(Path(folder, "compile_commands.json").read_text(encoding="utf-8"))
    ours = [entry for entry in entries if "/tests/" in entry["file"]]
    with ThreadPoolExecutor(JOBS) as pool:
        results = list(pool.map(check, ours))
    for result in results:
        sys.stdout.write(result.stderr)
    return 0 if ours and all(result.returncode == 0 for result in results) else 1


sys.exit(main())
