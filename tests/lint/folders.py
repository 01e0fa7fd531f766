"""
Who includes whom: as the table in docs/architecture.md says, each folder only those above it, and libraries where they
belong. And where function pointers stand.
"""

import re

PAGE = "docs/architecture.md"
ROW = re.compile(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|([^|]*)\|$", re.MULTILINE)
INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
SYSTEM = re.compile(r"^#include <([^>]+)>", re.MULTILINE)
STRUCT = re.compile(r"^(?:static )?(?:const )?struct (\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
LIBRARIES = {"curl": "libcurl", "event2": "libevent", "hiredis": "hiredis", "hiredis.h": "hiredis", "jansson.h": "jansson",
             "jsmn.h": "jsmn", "jwt.h": "libjwt", "liburing.h": "liburing",
             "libwebsockets.h": "libwebsockets", "openssl": "OpenSSL", "yaml.h": "libyaml", "zlib.h": "zlib"}


def folder(path):
    """Of src/ or include/; None of what stands in none, main.c."""
    parts = path.split("/")
    return parts[1] if len(parts) > 2 else None


def table(page):
    """({folder: (folders it includes, libraries)}, in the order of the rows)"""
    return {name: (re.findall(r"`(\w+)`", includes), libraries.strip().split(", "))
            for name, includes, libraries in ROW.findall(page)}


def used(sources):
    """{folder: {folder or library that it includes: the first file that does}}"""
    found = {}
    for path, text in sources.items():
        here = folder(path)
        if not here:
            continue
        mine = found.setdefault(here, {})
        for name in INCLUDE.findall(text):
            if "/" in name and name.split("/")[0] != here:
                mine.setdefault(name.split("/")[0], path)
        for name in SYSTEM.findall(text):
            if name.split("/")[0] in LIBRARIES:
                mine.setdefault(LIBRARIES[name.split("/")[0]], path)
    return found


def wrong_includes(rows, includes):
    places = list(rows)
    for here, mine in includes.items():
        if here not in rows:
            yield f"{PAGE} has no row for the folder {here}"
            continue
        allowed = {*rows[here][0], *rows[here][1]}
        for name, path in mine.items():
            if name not in allowed:
                yield f"{path}: {here} includes {name}, which is not in its row of {PAGE}"
            elif name in places and places.index(name) > places.index(here):
                yield f"{path}: {here} includes {name}, which stands below it in {PAGE}: is that a circle?"
        for name in sorted(allowed - {*mine, ""}):
            yield f"{PAGE}: the row of {here} has {name}, which nobody there includes"


def wrong_pointers(sources, page):
    """Function pointers in a struct that is no listener, no source, and not named in the page."""
    for path, text in sources.items():
        for name, body in STRUCT.findall(COMMENT.sub("", text)):
            if re.search(r"\(\*\w+\)\s*\(", body) and not name.endswith(("_listener", "_source")) and f"`{name}`" not in page:
                yield f"{path}: struct {name} has function pointers, and {PAGE} does not say why"


def findings(sources, page):
    return [*wrong_includes(table(page), used(sources)), *wrong_pointers(sources, page)]
