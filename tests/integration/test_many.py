"""Thousands of connections on as many channels, and what one costs."""

from harness.crowd import Crowd
from harness.wait import sized, until

CONNECTIONS = sized(5000, 1000)


def test_thousands_of_connections_on_as_many_channels_each_hear_their_own(start, own_redis, figure):
    gateway = start(redis=own_redis)
    before = gateway.resident_kib()
    crowd = Crowd(gateway, CONNECTIONS)
    try:
        memory = (gateway.resident_kib() - before) / CONNECTIONS
        figure(f"memory per connection at {CONNECTIONS} connections on {CONNECTIONS} channels", f"{memory:.2f} KiB")
        until("all are counted", lambda: gateway.metric("tidegate_connections") == CONNECTIONS)
        assert gateway.metric("tidegate_channels") == CONNECTIONS + 1  # tg:control
        pipeline = own_redis.client.pipeline(transaction=False)
        for number in range(CONNECTIONS):
            pipeline.publish(f"items:{number}", '{"type":"yours","data":%d}' % number)
        assert pipeline.execute() == [1] * CONNECTIONS
        for number, event in enumerate(crowd.receive_one_each()):
            assert (event["data"], event["channel"]) == (number, f"items:{number}")
        assert crowd.silent()
        gateway.check()
    finally:
        crowd.leave()


def test_connections_come_and_go_without_leaving_memory_behind(start, own_redis):
    gateway = start(redis=own_redis)
    rounds, size = 6, sized(500, 100)
    resident = []
    for _ in range(rounds):
        crowd = Crowd(gateway, size)
        crowd.leave()
        until("all are gone", lambda: gateway.metric("tidegate_connections") == 0)
        resident.append(gateway.resident_kib())
    growth = resident[-1] - resident[1]  # the first rounds fill the allocator's pools
    assert growth < sized(1024, 20000), resident
