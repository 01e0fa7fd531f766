"""What the lint suite must find: references to what is not there, includes that no row allows, limits that are not so."""

import sys

import pytest

from harness.gateway import ROOT

sys.path.insert(0, str(ROOT / "tests/lint"))

import folders  # pylint: disable=wrong-import-position
import limits  # pylint: disable=wrong-import-position
import references  # pylint: disable=wrong-import-position

pytestmark = pytest.mark.plain

KNOWN = {
    "docs/recovery-protocol.md": references.Document("## Rules\n\n### R4: the read includes the own position\n\n**Storms.** Many.\n"),
    "docs/testing.md": references.Document("| | what |\n|---|---|\n| F1, F1b | Redis is killed |\n"),
}


@pytest.mark.parametrize("words", [
    "see docs/recovery-protocol.md",
    "docs/recovery-protocol.md R4: inclusive",
    "bounded (docs/recovery-protocol.md, Storms)",
    "docs/testing.md F1b, killed",
    "rule R4",
    "RFC 9112 section 7.1",
])
def test_a_reference_to_what_is_there_is_good(words):
    assert not list(references.wrong_citations("src/bus/bus.c", words, KNOWN))


@pytest.mark.parametrize("words", [
    "see docs/recovery.md",
    "docs/recovery-protocol.md R5",
    "docs/recovery-protocol.md, Drizzle",
    "rule R5",
    "fault F2",
    "(section 7)",
    "as the design says",
])
def test_a_reference_to_what_is_not_there_is_found(words):
    assert list(references.wrong_citations("src/bus/bus.c", words, KNOWN))


def test_a_function_that_nobody_has_is_found():
    assert not list(references.wrong_functions("hub_free() frees it", {"hub_free"}))
    assert list(references.wrong_functions("hub_release() frees it", {"hub_free"}))


TABLE = "| `core` | lists | | |\n| `hub` | who listens | `core` | |\n| `ws` | sockets | `core`, `hub` | libwebsockets |\n"


@pytest.mark.parametrize("path,include,is_good", [
    ("src/ws/ws_server.c", '"hub/hub.h"', True),
    ("src/ws/ws_server.c", "<libwebsockets.h>", True),
    ("src/hub/hub.c", '"ws/ws_server.h"', False),
    ("src/hub/hub.c", "<libwebsockets.h>", False),
    ("src/news/news.c", '"core/list.h"', False),
])
def test_an_include_that_no_row_allows_is_found(path, include, is_good):
    found = list(folders.wrong_includes(folders.table(TABLE), folders.used({path: f"#include {include}\n"})))
    assert (not any(finding.startswith(path) or "no row" in finding for finding in found)) == is_good


def test_a_row_with_a_folder_that_nobody_there_includes_is_found():
    (finding,) = folders.wrong_includes(folders.table(TABLE), folders.used({"src/hub/hub.c": ""}))
    assert "core" in finding


def test_a_circle_is_found_even_where_the_rows_allow_it():
    rows = folders.table(TABLE.replace("| lists | |", "| lists | `hub` |"))
    assert any("circle" in finding for finding in folders.wrong_includes(rows, folders.used({"src/core/list.c": '#include "hub/hub.h"\n'})))


def test_figures_of_limits_are_read_as_people_write_them():
    assert [limits.number(text) for text in ("1.5 s", "8 KiB", "1,024", "1 day")] == [1500, 8192, 1024, 86400000]
    constants = limits.constants_of({"src/a/b.c": "enum {\n\tLONG_MS = 2 * 1000, /* why */\n\tBOX_BYTES = 1 << 20,\n\tBEAT_SECONDS = 2\n};\n"})
    assert constants == {"LONG_MS": {"src/a/b": 2000}, "BOX_BYTES": {"src/a/b": 1 << 20}, "BEAT_SECONDS": {"src/a/b": 2000}}
