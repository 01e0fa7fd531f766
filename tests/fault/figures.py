"""
Figures: what a fault was to reach and what it reached, one row each, and the table of them.

A fault without a control run tests nothing: a row may carry what the same figure was when the mechanism was left out,
and a control that reached the figure all the same counts as not reached. What cannot run here is said so and not counted.
"""

CELL_MAX = 80

HEAD = ("fault", "what is looked at", "to reach", "reached", "without it")


class Row:
    def __init__(self, fault, what, wanted, shown, good):
        self.fault, self.what, self.wanted, self.shown, self.good = fault, what, wanted, shown, good
        self.control = ""          # what the control run showed
        self.control_failed = None  # True as it should; None: no control run looks at this row

    @property
    def counts(self):
        """(reached, not reached)"""
        verdicts = [verdict for verdict in (self.good, self.control_failed) if verdict is not None]
        return sum(verdicts), len(verdicts) - sum(verdicts)

    @property
    def mark(self):
        if self.good is None:
            return "not counted" if self.wanted or self.shown else ""
        if not self.good:
            return "NOT REACHED"
        return "THE CONTROL REACHED IT" if self.control_failed is False else ""

    def line(self, is_control=False):
        word = {True: "ok  ", False: "miss" if is_control else "FAIL", None: "----"}[self.good]
        return f"  {word} {self.fault}: {self.what}: {self.shown}" + (f" (to reach: {self.wanted})" if self.wanted else "")


def heading(fault, sentence):
    """What is done, over the figures of a fault."""
    return Row(fault, sentence, "", "", None)


def at_most(fault, what, wanted, reached, unit=""):
    shown = "never" if reached is None else f"{reached:.2f}" if isinstance(reached, float) else str(reached)
    return Row(fault, what, f"≤ {wanted}{unit}" if wanted else f"0{unit}", shown + ("" if reached is None else unit),
               reached is not None and reached <= wanted)


def short(text):
    """On one line, whatever it is; the whole of it was printed when it came."""
    return text if len(text) <= CELL_MAX and "\n" not in text else text.replace("\n", " ")[:CELL_MAX] + "…"


def table(rows):
    """The whole run, to be read down."""
    lines = [HEAD, *[(row.fault, row.what, row.wanted, short(row.shown), short(row.control), row.mark) for row in rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    out, before = [], None
    for line in lines:
        name = line[0] if line[0] != before else ""
        before = line[0]
        cells = [cell.ljust(width) for cell, width in zip((name, *line[1:len(HEAD)]), widths)]
        out.append("  ".join([*cells, *line[len(HEAD):]]).rstrip())
    return "\n".join(out)


def count(rows):
    """(reached, not reached), control runs included."""
    counts = [row.counts for row in rows]
    return sum(good for good, _ in counts), sum(bad for _, bad in counts)
