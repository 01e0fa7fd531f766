"""
docs/limits.md says what the source says: each figure is that of the option, the route's key or the constant that it names, and no
bound is missing.
"""

import re
from pathlib import Path

PAGE = "docs/limits.md"
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "ms": 1, "s": 1000, "m": 60000, "min": 60000, "h": 3600000,
         "d": 86400000, "day": 86400000, "days": 86400000}
SCALES = {"MS": 1, "US": 0.001, "SECONDS": 1000}  # of a time, in ms, by the end of the name
BOUND = re.compile(r"\w+_(?:MAX|MS|SECONDS|BYTES|MS_MAX|MS_MIN)")
CONSTANT = re.compile(r"^\t\s*([A-Z][A-Z0-9_]+)\s*=\s*([^,}]*?)\s*[,}]", re.MULTILINE)
MACRO = re.compile(r"^#define ([A-Z][A-Z0-9_]+) (.+)$", re.MULTILINE)
MEMBER = re.compile(r"^\t\.(\w+) = ([^,{]+),", re.MULTILINE)
LUA = re.compile(r"^local ([A-Z_]+) = (\d+)", re.MULTILINE)
OPTION = re.compile(r'^OPTION\((\w+), \w+, (\w+), "([^"]*)", (\d+), (\d+),', re.MULTILINE)
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)

AUTO, AUTO_IS = "auto", -1  # the word of an option that need not be a number, and a number that none is

# What looks like a bound by its name and bounds nothing that anybody waits for or fills: room for a text that has a longest form,
# units, the smallest of something that has a row, and what is a second name of a row.
NO_BOUND = {
    "room for a text of ours": (
        "ENVELOPE_HEAD_MAX", "POSITION_TEXT_MAX", "POSITION_NUMBER_MAX", "FRAME_HEADER_MAX", "FRAME_CONTROL_MAX", "REDIS_PROBE_TOKEN_MAX",
        "TOKEN_DIGITS_MAX", "SIGNATURE_MAX", "DAY_SECONDS", "REDIS_NUMBER_MAX", "NUMBER_MAX", "CURSOR_MAX", "PRESENCE_NODE_MAX", "SHA_MAX", "WORDS_MAX", "HEADER_MAX", "ID_DIGITS_MAX", "SIZE_DIGITS_MAX",
        "LENGTH_DIGITS_MAX", "ROUTE_IDS_MAX", "SEGMENT_MAX", "SINCE_MAX", "DISCONNECT_ROUTE_MAX", "NAME_MAX_BYTES", "REASON_MAX",
        "ERROR_LOOK_MAX", "VALUE_QUOTED_MAX", "WORD_MAX", "COLUMNS_MAX", "LWS_HEAD_BYTES", "ADMIN_DIGEST_BYTES", "PREFETCH_LINE_BYTES",
        "CLOCK_LAST_MS", "WINDOW_BITS_MAX", "PARTS_MAX", "ACTION_TEXT_MAX", "INTEGER_MAX", "CURVE_NAME_MAX", "KEY_BYTES_MAX", "SHA1_BYTES", "ANSWER_BYTES",
        "CONFIG_WARNINGS_MAX", "DER_MAX", "DRAFT_NAME_MAX", "OWN_CHANNEL_MAX", "CONTROL_NODE_MAX",
        "auth/revocations: KEY_MAX", "DIGITS_MAX", "SCORE_MAX", "REVOCATION_NAME_MAX", "ROLL_NODE_MAX", "ROLL_ERROR_MAX", "redis/revocations: TEXT_MAX",
        "PREFIX_BYTES", "USUAL_BYTES",
        "MEMORY_GAUGE_PATH_MAX", "EVENT_STREAM_POS_MAX", "EVENT_STREAM_HEAD_MAX", "FORM_HEAD_MAX", "mail/session: HEAD_MAX", "MARK_TEXT_MAX",
    ),
    "turns of a handshake with oneself": ("TURNS_MAX",),
    "a unit": ("US_PER_MS", "US_PER_S", "MS_PER_SECOND", "DAY_MS", "SECOND_MS"),
    "how much is taken or kept at once": ("SLICE_BYTES", "KEEP_BYTES", "CHUNK_BYTES", "PROC_FILE_MAX", "PROC_BYTES", "WS_RECORD_BYTES"),
    "how often something is looked at": ("TIMER_MS", "POLL_MS", "PULSE_MS", "FILE_LOOK_MS"),
    "in the row of a route's key": (
        "SLOW_AGE_MS", "SLOW_AGE_MS_MIN", "SLOW_AGE_MS_MAX", "ROUTE_HISTORY_SIZE_MAX", "ROUTE_HISTORY_TTL_MS", "ROUTE_HISTORY_TTL_MS_MIN",
        "ROUTE_HISTORY_TTL_MS_MAX", "ROUTE_ACTIONS_TIMEOUT_MS", "ROUTE_ACTIONS_TIMEOUT_MS_MIN", "ROUTE_ACTIONS_TIMEOUT_MS_MAX",
        "ROUTE_ACTIONS_IN_FLIGHT_MAX", "ROUTE_ACTIONS_BACKLOG_MAX", "ROUTE_PRESENCE_GRACE_MS",
        "ROUTE_PRESENCE_GRACE_MS_MAX", "ROUTE_LIFECYCLE_SIZE_MIN", "ROUTE_LIFECYCLE_SIZE_MAX",
    ),
    "of the same answer as another one": ("admin/nodes: DEPTH_MAX",),
    "of the form of a command": ("CONTROL_CODE_MAX", "protocol/control_command: DEPTH_MAX", "bus/control: LINES_MS"),
}
KEYS = {  # of routes: the default, the least, the most
    "slow.age": ("SLOW_AGE_MS", "SLOW_AGE_MS_MIN", "SLOW_AGE_MS_MAX"),
    "history.size": ("ROUTE_HISTORY_SIZE", None, "ROUTE_HISTORY_SIZE_MAX"),
    "history.ttl": ("ROUTE_HISTORY_TTL_MS", "ROUTE_HISTORY_TTL_MS_MIN", "ROUTE_HISTORY_TTL_MS_MAX"),
    "presence.grace": ("ROUTE_PRESENCE_GRACE_MS", None, "ROUTE_PRESENCE_GRACE_MS_MAX"),
    "lifecycle.size": ("ROUTE_LIFECYCLE_SIZE", "ROUTE_LIFECYCLE_SIZE_MIN", "ROUTE_LIFECYCLE_SIZE_MAX"),
    "actions.timeout": ("ROUTE_ACTIONS_TIMEOUT_MS", "ROUTE_ACTIONS_TIMEOUT_MS_MIN", "ROUTE_ACTIONS_TIMEOUT_MS_MAX"),
    "actions.in_flight": ("ROUTE_ACTIONS_IN_FLIGHT", None, "ROUTE_ACTIONS_IN_FLIGHT_MAX"),
    "actions.backlog": ("ROUTE_ACTIONS_BACKLOG", None, "ROUTE_ACTIONS_BACKLOG_MAX"),
}
KNOWN = {"PIPE_BUF": 4096}


def number(text):
    """Of the page: "1.5 s" is 1500, "8 KiB" 8192, "1,024" 1024."""
    if text == AUTO:
        return AUTO_IS
    figure, _, unit = text.partition(" ")
    return float(figure.replace(",", "")) * UNITS.get(unit, 1)


def value(expression, constants):
    """Of C: sums, products and shifts of numbers and names. None where it is something else."""
    text = re.sub(r"UINT64_C\((\w+)\)", r"\1", COMMENT.sub("", expression)).replace("(uint64_t)", "")
    text = re.sub(r"[A-Z][A-Z0-9_]*", lambda name: str(constants.get(name[0], name[0])), text)
    return eval(text, {"__builtins__": {}}) if re.fullmatch(r"[\dx\s+*<>()/-]+", text) else None  # pylint: disable=eval-used


def constants_of(sources):
    """{name: {file, without its ending: value in ms, bytes or pieces}}"""
    known, found = dict(KNOWN), {}
    for _ in range(2):  # some name others that come later
        for path, commented in sources.items():
            text = COMMENT.sub("", commented)
            rows = [*CONSTANT.findall(text), *MACRO.findall(text), *MEMBER.findall(text), *LUA.findall(text)]
            for name, expression in rows:
                is_value = value(expression, known)
                if is_value is not None:
                    known[name] = is_value
                    scale = SCALES.get(name.replace("_MAX", "").replace("_MIN", "").rpartition("_")[2], 1)
                    found.setdefault(name, {})[str(Path(path).with_suffix(""))] = is_value * scale
    return found


def rows():
    for line in Path(PAGE).read_text(encoding="utf-8").split("\n"):
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `") and len(cells) >= 4:
            yield cells[0].strip("`"), cells[1], cells[2]


def is_meant(file, path):
    return f"/{path}".endswith(f"/{file}")


def is_named(bound, path, name):
    file, _, named = bound.rpartition(": ")
    return named == name and (not file or is_meant(file, path))


def look_up(bound, constants, options):
    """(default, least, most) in the page's units; None where nobody has it."""
    file, _, name = bound.rpartition(": ")
    if bound in options:
        return options[bound]
    if file == "route" and name in KEYS:
        return tuple(None if one is None else next(iter(constants[one].values())) for one in KEYS[name])
    values = constants.get(name, {})
    if file:
        values = {path: one for path, one in values.items() if is_meant(file, path)}
    return (*set(values.values()), None, None) if len(set(values.values())) == 1 else None


def short(text):
    """The figures of an option as its row has them: "16KiB", "25s", "100"."""
    if text == AUTO:
        return AUTO_IS
    figure, unit = re.fullmatch(r"(\d+)([A-Za-z]*)", text).groups()
    return int(figure) * UNITS.get(unit, 1)


def options_of(text):
    joined = re.sub(r",\n\t", ", ", text)
    return {name: (short(default), int(least), int(most)) for name, kind, default, least, most in OPTION.findall(joined)
            if kind in ("duration", "size", "count", "count_or_auto", "workers")}


def findings(sources, options_table):
    constants, options = constants_of(sources), options_of(options_table)
    listed = set()
    for bound, said, may_be in rows():
        listed.add(bound)
        expected = look_up(bound, constants, options)
        if not expected:
            yield f"{PAGE}: `{bound}` is nowhere, or is several: write `FILE: NAME`, the file without its ending"
        elif number(said) != expected[0]:
            yield f"{PAGE}: `{bound}` is {expected[0]:g} in the source, not {said}"
        elif may_be != "–" and [number(one) for one in may_be.split(" to ")][1] != expected[2]:
            yield f"{PAGE}: `{bound}` may be {expected[2]:g} at most, not {may_be}"
        elif may_be != "–" and expected[1] is not None and number(may_be.split(" to ")[0]) != expected[1]:
            yield f"{PAGE}: `{bound}` may be {expected[1]:g} at least, not {may_be}"
    excused = {name for names in NO_BOUND.values() for name in names}
    for name in options:
        if name not in listed:
            yield f"{PAGE} has no row for the option `{name}`"
    for name, values in constants.items():
        for path in values:
            if BOUND.fullmatch(name) and not any(is_named(one, path, name) for one in listed | excused):
                yield f"{PAGE} has no row for `{name}` of {path}; if it bounds nothing, it belongs to NO_BOUND of tests/lint/limits.py"
