"""
Prometheus: its text, taken apart, and its own tool.
"""

import re
import subprocess

from harness import wait

SAMPLE = re.compile(r'([a-z_]+)(?:\{(.*)\})? (\S+)')
LABEL = re.compile(r'([a-z_]+)="([^"]*)"')


class Metrics:
    """One scrape: types and helps by name, samples by name and labels."""

    def __init__(self, text):
        self.text = text
        self.types, self.helps, self.samples = {}, {}, {}
        for line in text.splitlines():
            if line.startswith("# "):
                _, word, name, rest = line.split(" ", 3)
                (self.types if word == "TYPE" else self.helps)[name] = rest
                continue
            name, labels, value = SAMPLE.fullmatch(line).groups()
            self.samples[(name, frozenset(LABEL.findall(labels or "")))] = float(value)

    def get(self, name, **labels):
        return self.samples[(name, frozenset(labels.items()))]

    def since(self, before, name, **labels):
        """How much it grew."""
        return self.get(name, **labels) - before.get(name, **labels)

    def family(self, sample):
        """What a sample belongs to: a histogram has three kinds."""
        base = re.sub(r"_(bucket|sum|count)$", "", sample)
        return base if self.types.get(base) == "histogram" else sample

    def labels(self, sample):
        """{label: the values that it has} of the samples of this name; None if there are none."""
        found = [dict(labels) for name, labels in self.samples if name == sample]
        if not found:
            return None
        return {label: {row[label] for row in found} for label in found[0]}


def scrape(gateway):
    return Metrics(gateway.get("/metrics").body.decode())


def promtool(*words, text=None):
    """Its exit code and what it said."""
    done = subprocess.run(["promtool", *map(str, words)], input=text, capture_output=True, text=True,
                          timeout=wait.PATIENCE_SECONDS * 4, check=False)
    return done.returncode, done.stdout + done.stderr
