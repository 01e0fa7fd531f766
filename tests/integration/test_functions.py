"""The library for Redis that `tidegate functions` prints: what a backend may rely on that calls it without us."""

import re
import subprocess
import threading
import time

import pytest
import redis

from harness.gateway import run
from harness.redis_server import DurableRedis, RedisServer
from harness.wait import PATIENCE_SECONDS, until

# The gateway but prints it.
pytestmark = pytest.mark.plain

DAY_MS = 24 * 3600 * 1000
KEEP = 1001
NEW_MS = 20000  # a log without entries that was begun a moment ago
STREAM, META = "tg:s:{cards}", "tg:m:{cards}"
EPOCH = "abcdefgh"

# What a publisher to one channel needs, and no more: docs/redis.md.
PUBLISHER = ("resetchannels &cards ~tg:*:{cards}* -@all +fcall +hmget +hset +get +set +xadd +pexpire +del +time "
             "+publish +spublish +ping")


class WithoutFunctions(RedisServer):
    options = ("--rename-command", "FCALL", "", "--rename-command", "FUNCTION", "")


@pytest.fixture(scope="module")
def library():
    printed = run("functions")
    assert (printed.returncode, printed.stderr) == (0, "")
    return printed.stdout


@pytest.fixture
def loaded(redis, library):
    redis.client.flushall()
    redis.client.function_load(library, replace=True)
    return redis.client


def publish(client, payload="{}", channel="cards", key=None, keep=KEEP, ttl_ms=DAY_MS, key_ttl_ms=60000):
    """The offset, the tag, whether it was known, and the epoch."""
    keys = [f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}"] + ([f"tg:i:{{{channel}}}:{key}"] if key else [])
    arguments = [payload, channel, "publish", keep, ttl_ms, EPOCH] + ([key_ttl_ms] if key else [])
    entry, known, epoch = client.fcall("tidegate_publish", len(keys), *keys, *arguments)
    offset, tag = entry.decode().split("-")
    return int(offset), int(tag), known, epoch.decode()


def publish_all(client, payloads, key=None, channel="cards"):
    """As publish(), of several payloads in one call: the answer is the last one's."""
    keys = [f"tg:s:{{{channel}}}", f"tg:m:{{{channel}}}"] + ([f"tg:i:{{{channel}}}:{key}"] if key else [])
    entry, known, epoch = client.fcall("tidegate_publish_all", len(keys), *keys, payloads[0], channel, "publish", KEEP, DAY_MS, EPOCH,
                                       60000, *payloads[1:])
    offset, tag = entry.decode().split("-")
    return int(offset), int(tag), known, epoch.decode()


def read(client, start=0, count=1000, ttl_ms=DAY_MS, epoch="ABCDEFGH", **limit):
    """The epoch, the top's offset and tag, and the entries as (offset, tag, payload)."""
    answer = client.fcall("tidegate_read", 2, STREAM, META, start, count, epoch, ttl_ms, *limit.values())
    entries = [(*map(int, entry.decode().split("-")), fields[1]) for entry, fields in answer[3]]
    return answer[0].decode(), int(answer[1]), int(answer[2]), entries


def pushes(listener, count):
    """The next envelopes: (offset, tag, previous tag, epoch, payload)."""
    found = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(found) < count and time.monotonic() < deadline:
        message = listener.get_message(ignore_subscribe_messages=True, timeout=1)
        if message:
            head, payload = message["data"].split(b"\n", 1)
            parts = re.fullmatch(rb"\x01(\d+)-(\d+) (\d+) ([A-Za-z0-9]+)", head)
            assert parts, head
            found.append((int(parts[1]), int(parts[2]), int(parts[3]), parts[4].decode(), payload))
    assert len(found) == count
    return found


@pytest.fixture
def listener(loaded):
    pubsub = loaded.pubsub()
    pubsub.subscribe("cards")
    until("subscribed", lambda: pubsub.get_message(timeout=1))
    yield pubsub
    pubsub.close()


def test_is_loaded_as_its_own_comment_says(redis, library):
    command = ["redis-cli", "-p", str(redis.port), "-x", "FUNCTION", "LOAD", "REPLACE"]
    assert " ".join(command[3:]) in library
    done = subprocess.run(command, input=library, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "tidegate"
    assert redis.client.fcall("tidegate_version", 0) >= 1


def test_publishers_side_by_side_leave_no_hole(redis, loaded, listener):
    count, answers = 500, []

    def publisher(name):
        client = type(loaded)(port=redis.port)
        answers.extend((publish(client, f"{name}:{number}"), f"{name}:{number}") for number in range(count))
        client.close()

    threads = [threading.Thread(target=publisher, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    heard = pushes(listener, 2 * count)
    for thread in threads:
        thread.join()
    assert [push[0] for push in heard] == list(range(1, 2 * count + 1))
    assert [push[2] for push in heard] == [0] + [push[1] for push in heard[:-1]], "each names the tag before it"
    assert {push[3] for push in heard} == {EPOCH}
    by_offset = {answer[0]: (answer[1], payload) for answer, payload in answers}
    assert by_offset == {push[0]: (push[1], push[4].decode()) for push in heard}
    for name in "ab":
        own = [push[4].decode() for push in heard if push[4].decode().startswith(name)]
        assert own == [f"{name}:{number}" for number in range(count)]
    epoch, top, tag, entries = read(loaded, start=1)
    assert (epoch, top, tag) == (EPOCH, 2 * count, heard[-1][1])
    assert entries == [(push[0], push[1], push[4]) for push in heard]


def test_one_key_is_one_publication(loaded, listener):
    first = publish(loaded, "first", key="order-7")
    assert first[2] == 0
    for _ in range(3):
        assert publish(loaded, "again", key="order-7") == (*first[:2], 1, first[3])
    publish(loaded, "last", key="order-8")
    assert [push[4] for push in pushes(listener, 2)] == [b"first", b"last"]
    assert 0 < loaded.pttl("tg:i:{cards}:order-7") <= 60000
    loaded.delete("tg:i:{cards}:order-7")  # as when its time is over
    assert publish(loaded, "later", key="order-7")[:1] == (3,)


def test_several_in_one_call_are_entries_like_any_others(loaded, listener):
    before = publish(loaded, "0")
    tag = publish_all(loaded, ["1", "2", "3"])[1]
    after = publish(loaded, "4")
    entries = [(1, before[1], b"0"), *((offset, tag, str(offset - 1).encode()) for offset in (2, 3, 4)), (5, after[1], b"4")]
    assert read(loaded, start=1) == (EPOCH, 5, after[1], entries)
    heard = pushes(listener, 5)
    assert [(push[0], push[1], push[4]) for push in heard] == entries
    assert [push[2] for push in heard] == [0] + [push[1] for push in heard[:-1]], "each names the tag before it"
    assert {push[3] for push in heard} == {EPOCH}


def test_one_key_is_one_call_of_several(loaded, listener):
    first = publish_all(loaded, ["1", "2", "3"], key="order-7")
    assert (first[0], first[2]) == (3, 0)
    assert publish_all(loaded, ["1", "2", "3"], key="order-7") == (*first[:2], 1, first[3])
    loaded.delete(STREAM)  # alone, or evicted: then a retry is published
    assert publish_all(loaded, ["1", "2", "3"], key="order-7")[0] == 6
    assert publish_all(loaded, ["1", "2", "3"], key="order-7")[::2] == (6, 1)
    assert [push[4] for push in pushes(listener, 6)] == [b"1", b"2", b"3"] * 2


def test_several_in_one_call_without_the_time_of_a_key_are_refused_whole(loaded):
    with pytest.raises(redis.exceptions.ResponseError, match="behind idem_ttl_ms"):
        loaded.fcall("tidegate_publish_all", 2, STREAM, META, "{}", "cards", "publish", KEEP, DAY_MS, EPOCH, '{"type":"n"}', "{}")
    assert loaded.dbsize() == 0


def test_several_in_one_call_are_trimmed_to_the_size_and_live_as_long(loaded):
    publish_all(loaded, [str(number) for number in range(2 * KEEP)])
    assert KEEP <= loaded.xlen(STREAM) <= KEEP + 128
    assert DAY_MS <= loaded.pttl(STREAM) <= loaded.pttl(META) + 1000 and loaded.pttl(META) <= DAY_MS * 1.25


def test_a_key_that_outlives_its_log_does_not_stand_for_an_entry(loaded, listener):
    publish(loaded, "first", key="order-7")
    loaded.delete(STREAM, META)  # or it has expired
    assert read(loaded, epoch="ABCDEFGH")[0] == "ABCDEFGH", "a log was begun since"
    assert publish(loaded, "again", key="order-7")[2:] == (0, "ABCDEFGH")
    loaded.delete(STREAM, META)
    again = publish(loaded, "and again", key="order-7")
    assert (again[0], again[2]) == (1, 0), "there is no log at all"
    assert publish(loaded, "a retry", key="order-7") == (*again[:2], 1, again[3])
    assert [entry[2] for entry in read(loaded)[3]] == [b"and again"]
    assert [push[4] for push in pushes(listener, 3)] == [b"first", b"again", b"and again"]


@pytest.fixture(params=["function", "script"])
def say(request, loaded, library):
    """publish() by the function, or by the same text as a script, as servers without functions are given it."""
    script = library.split("\n", 1)[1] + "return publish(KEYS, ARGV)"

    def by_script(payload="{}", key=None, keep=KEEP, ttl_ms=DAY_MS):
        keys = [STREAM, META] + ([f"tg:i:{{cards}}:{key}"] if key else [])
        entry, known, _ = loaded.eval(script, len(keys), *keys, payload, "cards", "publish", keep, ttl_ms, EPOCH,
                                      *([60000] if key else []))
        return int(entry.split(b"-")[0]), known

    def by_function(payload="{}", **options):
        return publish(loaded, payload, **options)[0:3:2]

    return by_script if request.param == "script" else by_function


def test_a_retry_of_what_was_deleted_with_its_stream_is_published(loaded, say):
    for number in (1, 2, 3):
        assert say(key=f"order-{number}") == (number, 0)
    loaded.delete(STREAM)  # or it was evicted
    assert say("again", key="order-1") == (4, 0)
    assert loaded.pttl(STREAM) >= DAY_MS, "it expires with its meta"
    assert say("again", key="order-2") == (5, 0), "there is a stream, which begins behind that entry"
    for number, offset in ((1, 4), (2, 5)):
        assert say("a retry", key=f"order-{number}") == (offset, 1)
    assert [entry[::2] for entry in read(loaded)[3]] == [(4, b"again"), (5, b"again")]
    loaded.delete(STREAM)
    say("another", ttl_ms=40000)
    assert 40000 <= loaded.pttl(STREAM), "a stream never stays behind"
    loaded.delete(STREAM, META)
    assert say(key="order-3") == (1, 0), "what was deleted from a log says nothing of the next one"
    assert say(key="order-3") == (1, 1)


def test_a_retry_of_what_was_trimmed_is_known(say):
    assert say(key="order-7", keep=51) == (1, 0)
    for _ in range(400):
        say(keep=51)
    assert say(key="order-7", keep=51) == (1, 1)


def test_scripts_of_two_versions_side_by_side_keep_a_log_alive(loaded, library):
    """Without functions each gateway calls its own text. An older one set shorter expiries, and left no word of it."""
    script = library.split("\n", 1)[1] + "return publish(KEYS, ARGV)"
    for _ in range(3):
        loaded.eval(script, 2, STREAM, META, "{}", "cards", "publish", KEEP, 3000, EPOCH)
        assert lives(loaded) >= 30000
        for key in (STREAM, META):
            loaded.pexpire(key, 3000)
        loaded.hset(META, "x", round(time.time()))


def test_a_payload_arrives_byte_for_byte(loaded, listener):
    payloads = [b"", b"\n\n", b"\x00\xff\x01", b"1-2 3 abc\n{}", "{\"ü\":\"\u2028\"}".encode(), b"x" * 300000]
    for payload in payloads:
        publish(loaded, payload)
    assert [push[4] for push in pushes(listener, len(payloads))] == payloads
    assert [entry[2] for entry in read(loaded)[3]] == payloads


def test_the_log_is_trimmed_to_its_size_or_a_little_more(loaded):
    for _ in range(500):
        publish(loaded, "x" * 200, keep=51)
    assert 51 <= loaded.xlen(STREAM) <= 51 + 100
    assert read(loaded, start=1)[3][-1][0] == 500
    assert publish(loaded)[0] == 501


def lives(client):
    """What is left of the log's life, in milliseconds."""
    return min(client.pttl(STREAM), client.pttl(META))


@pytest.mark.parametrize("use", [publish, read])
def test_publishing_and_reading_keep_the_log_alive(loaded, use):
    publish(loaded)
    assert DAY_MS <= lives(loaded) <= DAY_MS * 1.25
    now = round(time.time() * 1000)
    for until_ms in (now + DAY_MS - 2000, now - DAY_MS, now + 3 * DAY_MS, "none"):  # the clock may have been set
        loaded.hset(META, "u", until_ms)
        loaded.pexpire(META, 5000)
        use(loaded)
        assert lives(loaded) >= DAY_MS - 2000, until_ms


def test_the_expiry_is_not_set_with_each_publication(loaded):
    publish(loaded)
    loaded.pexpire(META, 5000)
    publish(loaded)
    assert lives(loaded) <= 5000


def test_a_log_lives_as_long_as_the_last_who_used_it_said(loaded):
    """Seconds used to be counted whole, and another ttl when a quarter of it was over."""
    for ttl_ms in (DAY_MS, 60000, 40000, 60000, DAY_MS):
        publish(loaded, ttl_ms=ttl_ms)
        assert ttl_ms - 2000 <= lives(loaded) <= ttl_ms * 1.25
        read(loaded, ttl_ms=ttl_ms)
        assert ttl_ms - 2000 <= lives(loaded) <= ttl_ms * 1.25


def test_no_log_expires_between_two_looks_of_a_gateway_at_it(loaded):
    publish(loaded, ttl_ms=1)
    assert 25000 < lives(loaded)
    read(loaded, ttl_ms=1)
    assert 25000 < lives(loaded)


def test_a_log_that_was_only_named_goes_soon(loaded):
    """Anybody may name a channel, and leave. Whoever still listens has it read again a few seconds later."""
    read(loaded)
    assert 15000 < loaded.pttl(META) <= NEW_MS
    loaded.hset(META, "u", round(time.time() * 1000) - 3000)
    loaded.persist(META)  # as where the right to PEXPIRE was missing when it was begun
    assert read(loaded, epoch="zyxwvuts")[0] == "ABCDEFGH"
    assert 15000 < loaded.pttl(META) <= NEW_MS - 2900, "asking twice in a moment makes it no older"
    for begun in (round(time.time() * 1000) - 6000, round(time.time() * 1000) + DAY_MS, 0):  # 0: by version 3
        loaded.hset(META, "u", begun)
        loaded.pexpire(META, 10000)
        read(loaded)
        assert NEW_MS < loaded.pttl(META) <= 75000, begun
    publish(loaded)
    assert lives(loaded) >= DAY_MS


def test_a_log_that_was_read_before_it_had_an_entry_expires_whole(loaded):
    read(loaded)
    publish(loaded)
    assert 0 < loaded.pttl(STREAM) <= DAY_MS * 1.25


def test_what_is_not_used_goes_and_begins_again_with_another_epoch(loaded):
    publish(loaded)
    loaded.pexpire(STREAM, 50)
    loaded.pexpire(META, 50)
    until("the log has expired", lambda: not loaded.exists(STREAM, META))
    epoch, top, tag, entries = read(loaded)
    assert (epoch, top, tag, entries) == ("ABCDEFGH", 0, 0, [])
    assert publish(loaded)[0::3] == (1, "ABCDEFGH"), "the epoch that a reader was told stays"


@pytest.mark.parametrize("lost, epoch, offset", [((META,), EPOCH, 1), ((STREAM,), "ABCDEFGH", 3)])
def test_half_a_log_is_never_taken_for_one(loaded, lost, epoch, offset):
    read(loaded)
    publish(loaded, "before")
    publish(loaded, "before")
    loaded.delete(*lost)
    assert publish(loaded, "after")[0::3] == (offset, epoch)
    assert [entry[2] for entry in read(loaded)[3]] == [b"after"]


def test_a_read_is_bounded_in_entries_and_in_bytes(loaded):
    for number in range(250):
        publish(loaded, "x" * 100)

    def offsets(*words, **limit):
        return [entry[0] for entry in read(loaded, *words, **limit)[3]]

    assert offsets(1, 1000) == list(range(1, 251))
    assert offsets(120, 105) == list(range(120, 225))
    assert offsets(0, 0) == []
    assert offsets(251) == []
    assert offsets(1, 1000, bytes_max=950) == list(range(1, 11)), "the last one may pass the bound"
    assert offsets(51, 1000, bytes_max=1) == [51, 52], "the one that the reader knows, and the next"
    assert offsets(250, 1000, bytes_max=1) == [250]
    assert offsets(51, 1, bytes_max=1) == [51]


def test_numbers_stay_whole_where_floats_are_printed_with_exponents(loaded):
    publish(loaded)
    loaded.hset(META, "n", 10**14 + 1)
    assert publish(loaded)[0] == 10**14 + 2
    assert [entry[0] for entry in read(loaded, 10**14 + 2)[3]] == [10**14 + 2]


@pytest.fixture
def user(redis, loaded):
    """user(rules) is a connection that may do this and nothing else."""
    clients = []

    def make(rules):
        loaded.execute_command("ACL", "SETUSER", "restricted", "reset", "on", ">secret", *rules.split())
        clients.append(type(loaded)(port=redis.port, username="restricted", password="secret"))
        return clients[-1]

    yield make
    for client in clients:
        client.close()
    loaded.acl_deluser("restricted")


@pytest.fixture
def publisher(user):
    return user(PUBLISHER)


def test_a_reader_needs_these_rights_and_no_more(loaded, user):
    reader = user("resetchannels ~tg:* -@all +fcall +hmget +xrange +hset +del +pexpire +time +ping")
    assert read(reader)[1:] == (0, 0, [])
    publish(loaded)
    assert len(read(reader)[3]) == 1


def test_a_publisher_needs_these_rights_and_no_more(loaded, publisher, listener, library):
    assert " ".join(PUBLISHER.split()) in " ".join(library.replace("--", "").split())
    for number in range(2):
        assert publish(publisher, key=f"k{number}")[0] == number + 1
    loaded.hset(META, "u", 0)
    assert publish(publisher, key="k1")[2] == 1
    assert publish_all(publisher, ["{}", "{}"], key="k2")[0] == 4
    assert len(pushes(listener, 4)) == 4


@pytest.mark.parametrize("stream, meta, channel", [
    pytest.param(STREAM, META, "orders", id="another channel"),
    pytest.param("tg:s:{orders}", "tg:m:{orders}", "cards", id="another channel's keys"),
])
def test_what_is_not_a_publishers_own_is_refused_with_nothing_written(loaded, publisher, stream, meta, channel):
    for function, more in (("tidegate_publish", ()), ("tidegate_publish_all", (0, "{}"))):
        with pytest.raises(redis.exceptions.NoPermissionError):
            publisher.fcall(function, 2, stream, meta, "{}", channel, "publish", KEEP, DAY_MS, EPOCH, *more)
    assert loaded.dbsize() == 0


def test_ids_go_on_after_a_kill(tmp_path, library):
    server = DurableRedis(tmp_path)
    try:
        server.client.function_load(library)
        before = [publish(server.client, str(number)) for number in range(1000)]
        server.kill()
        server.start()
        until("its files are read", lambda: answers(server.client))
        epoch, top, tag, entries = read(server.client, start=1)
        assert (epoch, top, tag) == (before[-1][3], 1000, before[-1][1])
        assert [entry[:2] for entry in entries] == [answer[:2] for answer in before]
        after = publish(server.client)
        assert (after[0], after[3]) == (1001, epoch)
        assert after[1] > tag
    finally:
        server.stop()


def answers(client):
    try:
        return client.fcall("tidegate_version", 0)
    except redis.exceptions.BusyLoadingError:
        return None


def test_a_full_redis_refuses_whole_and_goes_on(loaded, listener):
    publish(loaded, "before")
    loaded.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.exceptions.ResponseError, match="maxmemory"):
            publish(loaded, "refused")
        with pytest.raises(redis.exceptions.ResponseError, match="maxmemory"):
            publish_all(loaded, ["refused"] * 3)
    finally:
        loaded.config_set("maxmemory", 0)
    assert publish(loaded, "after")[0] == 2
    assert [push[4] for push in pushes(listener, 2)] == [b"before", b"after"]


def test_the_same_text_is_a_script_where_there_are_no_functions(tmp_path, library):
    server = WithoutFunctions(tmp_path)
    try:
        script = library.split("\n", 1)[1] + "return publish(KEYS, ARGV)"
        for offset in (1, 2):
            entry, known, epoch = server.client.eval(
                script, 2, STREAM, META, "{}", "cards", "publish", KEEP, DAY_MS, EPOCH)
            assert (entry.decode().split("-")[0], known, epoch.decode()) == (str(offset), 0, EPOCH)
        script = library.split("\n", 1)[1] + "return read(KEYS, ARGV)"
        assert len(server.client.eval(script, 2, STREAM, META, 0, 10, EPOCH, DAY_MS)[3]) == 2
    finally:
        server.stop()


def test_who_has_ended_is_told_from_who_died(loaded):
    """Both are cleared up behind, whoever takes it over from whom; only one that said nothing counts as dead."""
    keys = ("tg:{nodes}:leases", "tg:{nodes}:dead")

    def renew(node, ttl_ms=60000, claim_ms=0, claimed=""):
        held, dead = loaded.fcall("tidegate_lease", 2, *keys, "renew", node, ttl_ms, "first", "judge", claim_ms, claimed)
        assert held == 1
        return dead.decode()

    renew("died", ttl_ms=1)
    until("its lease is over", lambda: renew("one") == "died")
    renew("other", claim_ms=0, claimed="died")
    assert loaded.fcall("tidegate_lease", 2, *keys, "cleared", "died") == 1
    loaded.fcall("tidegate_lease", 2, *keys, "end", "ended", 0)
    until("it is due", lambda: renew("one") == "ended")
    until("another takes it over", lambda: renew("other") == "ended")
    renew("other", claim_ms=0, claimed="ended")
    assert loaded.fcall("tidegate_lease", 2, *keys, "cleared", "ended") == 2
    assert loaded.fcall("tidegate_lease", 2, *keys, "cleared", "nobody") == 1 and not loaded.zcard(keys[1])
