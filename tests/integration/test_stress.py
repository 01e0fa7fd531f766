"""
Everything at once, at random: connect, say where one was, subscribe, flood, be slow, be rude, vanish.

The seed is printed with a failure, and one run is one sequence of steps. What is promised: the gateway lives (the harness
looks for sanitizers' reports), a witness that does nothing wrong hears every event once and in order, and in the end
nothing is left of anybody.
"""

import json
import os
import random
import select
import socket

import pytest

from harness.wait import sized, until
from harness.websocket import BINARY, CLOSE, PING, PONG, TEXT, WebSocket, frame

CONFIG = """
routes:
  - path: /ws/cards
    channel: cards
    history: {size: 100}
    compression: on
  - path: /ws/slow/{id}
    channels: [cards, "items:{id}"]
    slow: {policy: drop_oldest, bytes: 64KiB, age: 1s}
  - path: /ws/latest
    channel: cards
    slow: {policy: latest_by_key, key: data.key, bytes: 64KiB}
"""
PATHS = ["/ws/cards", "/ws/cards?since=start", "/ws/cards?since=aaaaaaaa.1.1", "/ws/slow/1", "/ws/slow/2", "/ws/latest",
         "/ws/items/3", "/ws/nowhere"]
DEFLATE = [("Sec-WebSocket-Extensions", "permessage-deflate")]
PEERS_MAX = 60


class Crowd:
    def __init__(self, seed, gateway, redis):
        self.random = random.Random(seed)
        self.gateway, self.redis = gateway, redis
        self.peers = []
        self.published = 0

    def step(self):
        doings = [self.connect] * 4 + [self.publish] * 6 + [self.speak] * 4 + [self.be_rude, self.vanish, self.leave]
        self.random.choice(doings)()

    def connect(self):
        if len(self.peers) >= PEERS_MAX:
            return
        request = socket.create_connection(self.gateway.address)
        request.close()  # one that changes its mind
        try:
            peer = WebSocket.connect(self.gateway.address, self.random.choice(PATHS),
                                     headers=self.random.choice([[], DEFLATE]), receive_buffer=4096)
        except Exception:  # refused: /ws/nowhere is none
            return
        peer.socket.settimeout(0.01)
        self.peers.append(peer)

    def publish(self):
        for _ in range(self.random.randrange(1, 20)):
            event = {"type": "n", "data": {"n": self.published, "key": self.published % 5,
                                           "filler": "x" * self.random.choice([10, 1000, 20000])}}
            self.redis.publish("cards", json.dumps(event))
            self.published += 1
        self.redis.publish("items:%d" % self.random.randrange(4), '{"type":"item"}')

    def say(self, data):
        if self.peers:
            try:
                self.random.choice(self.peers).send_raw(data)
            except OSError:
                pass  # it was closed for something that it did before

    def speak(self):
        channel = self.random.choice(["cards", "items:1", "items:2", "execution:9", "nowhere"])
        say = {"type": self.random.choice(["subscribe", "unsubscribe", "ping"]), "id": 1, "data": {"channel": channel}}
        if self.random.random() < 0.3:
            say["data"]["since"] = self.random.choice(["start", "now", "nonsense", "aaaaaaaa.5.17"])
        self.say(frame(TEXT, json.dumps(say).encode()) * self.random.choice([1, 1, 30]))

    def be_rude(self):
        self.say(self.random.choice([
            frame(TEXT, b"{" * 70), frame(BINARY, b"x"), frame(TEXT, b"x" * 20000), frame(PING, b"p") * 20,
            frame(TEXT, b"\xff"), frame(TEXT, b"half", fin=False), os.urandom(50), frame(CLOSE, b"\x03\xe8")]))

    def vanish(self):
        if self.peers:
            peer = self.peers.pop(self.random.randrange(len(self.peers)))
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            peer.abandon()

    def leave(self):
        if self.peers:
            self.peers.pop(self.random.randrange(len(self.peers))).abandon()


def answer_ping(witness):
    """One that is there already. Without events it would be read too late."""
    while witness.pending or select.select([witness.socket], [], [], 0)[0]:
        opcode, payload = witness.receive_frame()
        assert opcode == PING
        witness.send_frame(PONG, payload)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_witness_hears_everything_whatever_the_others_do(start, redis, tmp_path, seed):
    file = tmp_path / "tidegate.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    gateway = start("--config", file, "--ping-interval", "1s", "--pong-timeout", "1s", redis=redis)
    crowd = Crowd(seed, gateway, redis)
    heard = 0
    with gateway.connect() as witness:
        for _ in range(sized(600, 300)):
            crowd.step()
            while heard < crowd.published:
                assert witness.receive()["data"]["n"] == heard
                heard += 1
            answer_ping(witness)
        while crowd.peers:
            crowd.vanish()
    until("everybody is gone", lambda: gateway.metric("tidegate_connections") == 0)
    until("and their subscriptions", lambda: gateway.metric("tidegate_subscriptions") == 0)
    assert gateway.get("/live").status == 200
