"""What the workers of a stream know of a key: which entry has claimed it, or what was answered. A key in Redis for each."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any, NamedTuple, Optional, Union

from .action import Action, ActionError, refusal, text_of

REMEMBER_SECONDS = 120
REMEMBER_BYTES_MAX = 256 << 10  # of one answer with all its parts


class Claim(NamedTuple):
    """The key's action is under way: the entry says which one it is, and a try of a worker has a name of its own."""

    entry: str
    once: bool
    attempt: str

    def text(self) -> str:
        return json.dumps({"entry": self.entry, "once": self.once, "attempt": self.attempt})


class Answered(NamedTuple):
    """What was said, part after part; of: a mark of the data that it was said to."""

    of: str
    said: list[str]

    def text(self) -> str:
        return json.dumps({"of": self.of, "said": self.said})


def where(stream: str, action: Action) -> str:
    """The key in Redis. Users choose keys, so each has keys of its own."""
    whose = json.dumps([action.user, action.route, action.vars, action.key], sort_keys=True)
    return f"tg:k:{{{stream}}}:{hashlib.sha256(whose.encode()).hexdigest()}"


def claim(action: Action, once: bool) -> Claim:
    return Claim(action.entry, once, uuid.uuid4().hex)


def _mark(action: Action) -> str:
    return hashlib.sha256(json.dumps(action.data, sort_keys=True).encode()).hexdigest()[:16]


def answered(action: Action, said: Optional[list[str]]) -> Answered:
    """said: None if it is too much to keep."""
    if said is None or sum(map(len, said)) > REMEMBER_BYTES_MAX:
        said = [refusal(ActionError("carried_out", "this was carried out, and its answer was too long to be kept"))]
    return Answered(_mark(action), said)


def read(value: Any) -> Union[Claim, Answered, None]:
    """None: nothing is known."""
    if value is None:
        return None
    known = json.loads(text_of(value))
    if "entry" in known:
        return Claim(known["entry"], known["once"], known["attempt"])
    return Answered(known["of"], known["said"])


def repeated(action: Action, known: Answered) -> list[str]:
    """What this action hears, too, or that its key belongs to another one."""
    if known.of == _mark(action):
        return known.said
    return [refusal(ActionError("key_reused", "another action was said with this key"))]


def interrupted(action: Action) -> Answered:
    return answered(action, [refusal(ActionError("interrupted", "a worker died at it, and it must not be begun twice"))])


