"""The backend of the demo: carries out what pages ask of the board, and publishes what comes of it. REDIS_URL says where Redis is."""

import json
import os
import sys
import threading
import time

import redis
from tidegate import ActionError, Publisher, Worker

from cards import CARDS, COLUMNS, execute
from gateways import Gateways

store = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"), decode_responses=True)
publisher, worker, gateways = Publisher(store), Worker(store, "demo-actions"), Gateways()
in_turn = threading.Lock()  # the order of the versions is the order of the events


def change(card_id, only_if=None, **changes):
    """The last one to write wins: each change has a higher version than the one before, and pages go by that."""
    with in_turn:
        card = json.loads(store.hget("demo:cards", card_id) or "null")
        if not card:
            raise ActionError("no_such_card", f"there is no card {card_id}")
        if only_if not in (None, card["version"]):
            return None
        card = {**card, **changes, "version": store.incr("demo:version")}
        store.hset("demo:cards", card_id, json.dumps(card))
        publisher.publish("cards", {"type": "card_updated", "data": card}, key=f"demo-{card['version']}")
    return card


def is_rank(value):
    """JSON has numbers that Python reads as infinite, and no page could read the board again."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9  # false for NaN, too


@worker.action("move")
def move(action):
    card_id, column, rank = (action.data.get(name) for name in ("card", "column", "rank"))
    if not (isinstance(card_id, str) and column in COLUMNS and is_rank(rank)):
        raise ActionError("bad_move", "a move has a card, a column and a rank")
    card = change(card_id, column=column, rank=rank, by=str(action.data.get("by", ""))[:40], progress=None)
    threading.Thread(target=execute, args=(publisher, change, card), daemon=True).start()
    return card


@worker.action("board")
def board(action):
    cards = [json.loads(card) for card in store.hvals("demo:cards")]
    return {"cards": cards, **gateways.seen_from(action)}


worker.action("ping")(lambda action: None)
worker.action("kill")(gateways.kill)


def lay_out():
    """The board as it begins, as soon as Redis is there: run() below waits by itself."""
    while True:
        try:
            for each in CARDS:
                store.hsetnx("demo:cards", each["id"], json.dumps({"version": 0, **each}))
            return
        except redis.ConnectionError as error:
            print(f"waits for Redis: {error}", file=sys.stderr)
            time.sleep(1)


lay_out()
worker.run()
