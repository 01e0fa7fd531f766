"""
Log: the gateway's lines taken apart again, text and JSON alike.

text: 2026-01-01T00:00:00.000Z INFO  message key=value key="quoted value"
JSON: {"time":"…","level":"info","msg":"…","key":…}

Values are strings in both, so that a test reads the same for either format.
"""

import json
import re

TEXT = re.compile(r"^(?P<time>\d{4}-\d\d-\d\dT[\d:.]+Z)\s+(?P<level>[A-Z]+)\s+(?P<rest>.*)$")
FIELD = re.compile(r'\s([A-Za-z_][\w.]*)=("(?:[^"\\]|\\.)*"|[^\s"]*)')


class Line:
    def __init__(self, level, message, fields, text):
        self.level, self.message, self.fields, self.text = level, message, fields, text

    def __repr__(self):
        return self.text


def parse_line(text):
    """A line that is neither kind (a sanitizer's, say) comes back with the level 'none'."""
    if text.startswith("{"):
        try:
            members = json.loads(text)
        except ValueError:
            return Line("none", text, {}, text)
        members.pop("time")
        level, message = members.pop("level"), members.pop("msg")
        return Line(level, message, {key: as_text(value) for key, value in members.items()}, text)
    found = TEXT.match(text)
    if not found:
        return Line("none", text, {}, text)
    fields = {key: value.strip('"') for key, value in FIELD.findall(" " + found["rest"])}
    return Line(found["level"].lower(), FIELD.sub("", " " + found["rest"]).strip(), fields, text)


def as_text(value):
    return value if isinstance(value, str) else json.dumps(value)
