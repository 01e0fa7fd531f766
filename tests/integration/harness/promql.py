"""
PromQL: which metrics and labels an expression speaks of. Not a parser: promtool has that, and looks at the rest.
"""

import re

WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}  # that are followed by no bracket
LABEL_LISTS = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*\{([^{}]*)\}")
MATCHER = re.compile(r'([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
NAME = re.compile(r"(?<![\w$:])([a-zA-Z_:][a-zA-Z0-9_:]*)(?!\w)(?!\s*\()")


class Expression:
    """metrics: the names. matchers: (metric, label, operator, value). grouped: labels of by, on and their like."""

    def __init__(self, text):
        self.metrics, self.matchers, self.grouped = set(), [], set()
        text = re.sub(r"\[[^\]]*\]", "", text)  # ranges
        for metric, inside in SELECTOR.findall(text):
            self.metrics.add(metric)
            self.matchers += [(metric, *matcher) for matcher in MATCHER.findall(inside)]
        text = SELECTOR.sub(" ", text)
        for _, labels in LABEL_LISTS.findall(text):
            self.grouped |= {label.strip() for label in labels.split(",") if label.strip()}
        text = LABEL_LISTS.sub(" ", text)
        self.metrics |= {name for name in NAME.findall(text) if name not in WORDS}
