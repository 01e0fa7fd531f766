"""A plain browser and a plain page: `new WebSocket` works without any of our code."""

import json

from harness import browser

RECEIVED = "JSON.stringify([...document.querySelectorAll('#received li')].map(item => item.textContent))"
STATE = "document.getElementById('state') && document.getElementById('state').textContent"


def test_a_plain_page_shows_the_events_published_in_redis(chromium, gateway, redis):
    page = browser.Page(gateway.url("/ws/cards"))
    try:
        assert chromium.show(page.url, STATE, lambda state: state != "connecting" and state is not None) == "open"
        for number in range(20):
            redis.publish("cards", json.dumps({"type": "card_updated", "data": {"number": number, "title": "Ünïcode"}}))
        shown = json.loads(chromium.look(RECEIVED, lambda text: text and len(json.loads(text)) >= 20))
        events = [json.loads(text) for text in shown]
        assert [event["data"]["number"] for event in events] == list(range(20))
        assert all(event["channel"] == "cards" and event["data"]["title"] == "Ünïcode" for event in events)
    finally:
        page.stop()
