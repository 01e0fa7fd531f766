"""
What no compiler says of the sources: functions that are too long or that nobody calls, tests that sleep, fuzz targets and
unit tests that no build has; references to what is not there (references.py), includes that docs/architecture.md does
not have (folders.py), limits that are not as docs/limits.md says (limits.py).
One line a finding; the exit code says whether there was any.
"""

import re
import subprocess
import sys
from pathlib import Path

import folders
import limits
import references

COLUMNS_MAX = 110  # of a line of a comment, which clang-format leaves alone; tabs are 8
LINES_MAX = 50  # of a function, braces not counted: a screen
# Waiting for time, in C and in Python: sleeps, polls of nothing, loops that turn for so long, probes that ask the clock, and
# "nothing came" concluded from a deadline. What asks again names its pause; where time is the point there is pass_time().
SLEEPS = re.compile(r"""\b(?:u|nano|clock_nano|thrd_)?sleep\(|\[["']sleep["']|\bpoll\(NULL|\bselect\((?:0,\sNULL|\[\],\s\[\],\s\[\])
    |\bevent_base_loopexit\(|\bwhile\s\(clock_\w+\(\)\s<|\bEvent\(\)\.wait\(|\bwait_for_timeout\(|\buntil\(.*lambda:.*\bmonotonic\(
    |\braises\((?:socket\.timeout|(?:wait\.)?Timeout)\b""", re.VERBOSE)
PAUSES = re.compile(r"ASK_AGAIN_SECONDS|until_then|self\.channel_seconds|UNREAD_US")  # the last two are slow on purpose
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
SIGNATURE_NAME = re.compile(r"(\w+)\(")
INCLUDE = re.compile(r'#include (["<])(\S+\.h)[">]')
MADE = {"version.h", "date.h"}  # by the build
TYPED = re.compile(r"(struct \w+) \*(\w+) = \w+alloc\([^;]*?sizeof\(\1\)")
ATTRIBUTE = re.compile(r"__attribute__\(\(.*?\)\)\)?")


def read(*patterns):
    """Text by path, of the files that git knows."""
    listed = subprocess.run(["git", "ls-files", "-z", "--", *patterns], capture_output=True, text=True, check=True).stdout
    return {path: Path(path).read_text(encoding="utf-8") for path in listed.split("\0") if path and Path(path).exists()}


def functions(text):
    """(name, is static, line, lines of the body) of each function; clang-format puts its braces into the first column."""
    lines = text.split("\n")
    for at, line in enumerate(lines):
        if line != "{" or at == 0 or not lines[at - 1].endswith(")"):
            continue
        first = at - 1
        while first > 0 and lines[first - 1] and not re.search(r"(?:[;}]|\*/)$|^#", lines[first - 1]):
            first -= 1
        signature = ATTRIBUTE.sub("", " ".join(lines[first:at]))
        yield SIGNATURE_NAME.search(signature)[1], signature.startswith("static"), at, lines.index("}", at) - at - 1


def too_long(sources):
    for path, text in sources.items():
        for name, _, line, length in functions(text):
            if length > LINES_MAX:
                yield f"{path}:{line}: {name}() has {length} lines; {LINES_MAX} fit on a screen"


def too_wide(texts):
    for path, text in texts.items():
        for at, line in enumerate(text.split("\n"), 1):
            if line.lstrip().startswith(("*", "/*")) and len(line.expandtabs(8)) > COLUMNS_MAX:
                yield f"{path}:{at}: a comment of {len(line.expandtabs(8))} columns; {COLUMNS_MAX} are read at a glance"


def dead(sources, headers, tests):
    """Named nowhere but where it is declared and defined."""
    words = {}
    for path, text in {**sources, **headers, **tests}.items():
        declares = path.endswith(".h") and path in headers
        for word in re.findall(r"\w+", COMMENT.sub("", text)):
            words.setdefault(word, [0, 0])[declares] += 1
    for path, text in sources.items():
        for name, is_static, line, _ in functions(text):
            used, declared = words[name]
            if not is_static and name not in ("main", "LLVMFuzzerTestOneInput") and used < 2 and declared < 2:
                yield f"{path}:{line}: {name}() is called by nobody"


def sleeping(tests):
    for path, text in tests.items():
        for at, line in enumerate(text.split("\n"), 1):
            if SLEEPS.search(line.split("#")[0]) and not PAUSES.search(line):
                yield f"{path}:{at}: a test waits for what happens, not for time: until(), or a marker behind it"


def includes(sources):
    """Own headers by their folder, each block sorted; only what the build makes stands bare."""
    for path, text in sources.items():
        block = []
        for at, line in enumerate([*text.split("\n"), ""], 1):
            found = INCLUDE.match(line)
            if not found:
                block = []
                continue
            name = found.group(2)
            if found.group(1) == '"' and "/" not in name and name not in MADE:
                yield f"{path}:{at}: {name} is included without its folder"
            order = ("/" not in name and name in MADE, name.split("/"))
            if block and order < block[-1]:
                yield f"{path}:{at}: {name} stands behind {'/'.join(block[-1][1])}"
            block.append(order)


def memory(sources):
    """sizeof(*p) cannot name the wrong type."""
    for path, text in sources.items():
        for found in TYPED.finditer(text):
            yield f"{path}:{text.count(chr(10), 0, found.start()) + 1}: sizeof(*{found.group(2)}) is meant"


def not_built():
    for folder, prefix in (("unit", "test"), ("fuzz", "fuzz")):
        listed = Path(f"tests/{folder}/meson.build").read_text(encoding="utf-8")
        for path in sorted(Path(f"tests/{folder}").glob(f"{prefix}_*.c")):
            if f"'{path.stem.removeprefix(prefix + '_')}'" not in listed:
                yield f"{path} is not in tests/{folder}/meson.build"


def main():
    sources = read("src/*.c")
    tests = read("tests/*.c")
    findings = [
        *too_long(sources),  # tests have tables in theirs
        *too_wide(read("*.c", "*.h")),
        *dead(sources, read("src/*.h", "src/*.def", "include/*"), tests),
        *sleeping(read("tests/unit/*.[ch]", "tests/support/*.[ch]", "tests/sim/*.[ch]", "tests/integration/*.py")),
        *not_built(),
        *includes(read("src/*.[ch]", "include/*.h")),
        *memory(sources),
        *folders.findings(read("src/*.[ch]", "include/*.h"), read(folders.PAGE)[folders.PAGE]),
        *references.findings(),
        *limits.findings(read("src/*.[ch]", "src/*.lua", "include/*.h", ":!src/bench", ":!src/cli", ":!include/bench", ":!src/ws_client", ":!include/ws_client"),
                         read("src/config/options.def")["src/config/options.def"]),
    ]
    print(*findings, sep="\n", end="\n" if findings else "")
    return 1 if findings else 0


sys.exit(main())
