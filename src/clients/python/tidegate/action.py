"""An action as a gateway writes it into the stream, and the answers to it as a gateway reads them: docs/actions.md."""

from __future__ import annotations

import json
from typing import Any, NamedTuple


class ActionError(Exception):
    """The handler's answer is no: `code` is for programs, `message` for people."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(message or code)
        self.code, self.message = str(code), str(message or code)


class Action(NamedTuple):
    """What a client asks. `data` is what it said, `vars` are those of the path, `user` is "" without a token."""

    entry: str
    id: str
    conn: str
    user: str
    route: str
    vars: dict[str, str]
    key: str
    data: Any
    reply: str
    deadline_ms: int


class Malformed(Exception):
    """An entry that no gateway has written."""


def text_of(value: Any) -> Any:
    """What Redis said, as text; also where the client decodes it already."""
    return value.decode() if isinstance(value, bytes) else value


def read_entry(entry: Any, raw: Any) -> Action:
    try:
        fields = {text_of(name): text_of(value) for name, value in (raw or {}).items()}
        return Action(text_of(entry), fields["id"], fields["conn"], fields["user"], fields["route"], json.loads(fields["vars"]),
                      fields["key"], json.loads(fields["data"]), fields["reply"], int(fields["deadline"]))
    except (KeyError, ValueError, RecursionError) as error:
        raise Malformed(f"{text_of(entry)}: {error!r}") from error


def members(answer: dict[str, Any]) -> str:
    """What an answer says, without the action that it is for. ValueError, TypeError: there is no JSON of it."""
    return json.dumps(answer, allow_nan=False)[1:-1]


def refusal(error: ActionError) -> str:
    return members({"error": {"code": error.code, "message": error.message}})


def answer_to(action: Action, said: str) -> str:
    """The answer as it is published; `said` is of members()."""
    return '{"action": ' + json.dumps(action.id) + (", " + said if said else "") + "}"
