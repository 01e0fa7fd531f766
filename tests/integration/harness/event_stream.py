"""
EventStream: a client of server-sent events that reads as the standard says (HTML), and nothing ahead of the test.

It keeps what a browser keeps: the last id, which it brings back, and the time after which it would come back.
"""

import json
import time

from harness import wait
from harness.websocket import Closed, Refused, WebSocket


def request(path, headers=(), method="GET", version="HTTP/1.1", host="gateway.test", body=b""):
    lines = [f"{method} {path} {version}", *([f"Host: {host}"] if host else []), *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class EventStream(WebSocket):
    """An open stream; its socket is read as that of a WebSocket is."""

    @classmethod
    def connect(cls, address, path, headers=(), receive_buffer=None, tls=None, last_id="", **options):
        """Refused where the answer is not an event stream."""
        stream = cls(address, receive_buffer, tls)
        stream.last_id, stream.retry_ms, stream.comments, stream.blocks = last_id, None, 0, 0
        stream.joins, stream.every_ms = [], None
        try:
            if last_id:
                headers = [*headers, ("Last-Event-ID", last_id)]
            stream.send_raw(request(path, headers, **options))
            stream.response = stream.read_response()
            if stream.response is None:
                raise Closed(None)
            if stream.response.status != 200:
                raise Refused(stream.response)
            assert stream.response.headers["content-type"] == "text/event-stream; charset=utf-8"
            stream.unchunk = "chunked" in stream.response.headers.get("transfer-encoding", "")
            stream.text = b""
        except BaseException:
            stream.abandon()
            raise
        return stream

    def _chunk(self):
        line = b""
        while not line.endswith(b"\r\n"):
            line += self._take(1)
        data = self._take(int(line, 16))
        self._take(2)
        if not data:
            raise Closed(None)
        return data

    def line(self):
        while b"\n" not in self.text:
            self.text += self._chunk() if self.unchunk else self._take(max(1, len(self.pending)))
        line, _, self.text = self.text.partition(b"\n")
        return line.decode()

    def _note(self, comment):
        """What is said to those who read a stream by themselves."""
        word, _, value = comment.partition(" ")
        if word == "joins":
            self.joins.append(value)
        elif word == "every":
            self.every_ms = int(value)

    def receive_block(self):
        """The fields of the next block, each as a list of values. Comments are counted."""
        fields = {}
        while line := self.line():
            name, _, value = line.partition(":")
            if not name:
                self.comments += 1
                self._note(value)
                continue
            fields.setdefault(name, []).append(value.removeprefix(" "))
        assert set(fields) <= {"id", "data", "retry"}, fields
        if "id" in fields:
            self.last_id = fields["id"][-1]
        if "retry" in fields:
            self.retry_ms = int(fields["retry"][-1])
        self.blocks += 1
        return fields

    def receive_text(self):
        """The data of the next event; Closed at the end of the stream, with the code that its last event told."""
        deadline = time.monotonic() + wait.PATIENCE_SECONDS
        while True:
            fields = self.receive_block()
            if "data" not in fields:
                if time.monotonic() > deadline:
                    raise wait.Timeout("only heartbeats came")
                continue
            (text,) = fields["data"]
            message = json.loads(text)
            if message["type"] == "close":
                raise Closed(message["data"]["code"], message["data"]["reason"])
            return text

    def close_code(self):
        try:
            while True:
                self.receive_text()
        except Closed as closed:
            return closed.code
