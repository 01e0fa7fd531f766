"""The cards of the demo, and what happens to one that comes into a column where somebody works on it."""

import random
import time

COLUMNS = ("plan", "implement", "test", "review", "done")

CARDS = [{"id": f"card-{100 + i}", "title": title, "tag": tag, "column": column, "rank": i} for i, (title, tag, column) in enumerate((
    ("Resume where a tunnel cut the line", "client", "plan"),
    ("Say who is looking at a board", "gateway", "plan"),
    ("Bring the old dashboard over", "docs", "plan"),
    ("Follow Sentinel to the new primary", "redis", "implement"),
    ("A thousand cards on one page", "client", "test"),
    ("Tokens that end while a tab sleeps", "security", "review"),
    ("Drain a node without a blink", "gateway", "done"),
    ("Certificates that renew by night", "security", "done"),
))]

LINES = {
    "implement": ("checked out a fresh worktree", "read the brief and twelve files", "wrote a test that fails", "made the change, 84 lines in 3 files",
                  "the test passes", "lint is quiet", "committed, handed over to test"),
    "test": ("building, two cores", "unit: 412 of 412", "integration: 96 of 231", "integration: 231 of 231", "faults: a gateway was killed, nothing lost",
             "coverage 97.4 %", "all green, ready for review"),
}
NEXT = {"implement": "test", "test": "review"}


def execute(publisher, change, card):
    """Works on it, a line of the log at a time, and hands it on; gives up as soon as somebody moves it."""
    said = LINES.get(card["column"], ())
    for n, text in enumerate(said):
        time.sleep(random.uniform(0.5, 1.1))
        publisher.publish(f"execution:{card['id']}", {"type": "log_line", "data": {"text": text, "column": card["column"]}})
        newer = change(card["id"], only_if=card["version"], progress=(n + 1) / len(said))
        if not newer:
            return
        card = newer
    if said:
        card = change(card["id"], only_if=card["version"], column=NEXT[card["column"]], by="Python worker", progress=None)
        if card:
            execute(publisher, change, card)
