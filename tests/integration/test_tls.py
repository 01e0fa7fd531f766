"""
TLS on the public port: who gets in, that events flow as they do without it, that nothing of them can be read on the way, and that
certificates are exchanged under connections that go on.
"""

import json
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from harness import library
from harness.authority import RSA, Authority
from harness.gateway import Gateway, run
from harness.wait import PATIENCE_SECONDS, sized, until
from harness.websocket import PING, PONG, TEXT, WebSocket, frame, handshake

SHARED_ROUTES = """
routes:
  - {path: /ws/logged, channel: logged, history: on}
  - {path: /ws/small, channel: small, compression: on}
  - {path: /ws/patient, channel: cards, slow: {bytes: 64MiB, age: none}}
"""
SMALL_WINDOW = 4096
MANY = 150
LARGEST = 70_000
RECORD = 16384  # bytes that a record of TLS holds
HELLO_SECONDS = 5  # for a handshake
HALF = sized(500, 100)  # handshakes under way
CROWD = sized(1000, 60)  # connections under which the key is exchanged
MARK = "a-word-that-nobody-else-says"
CUTS = sized(7, 41)  # from one byte to cut behind to the next


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority):
    return authority.issue("gateway", "IP:127.0.0.1")


def options(pair, *more):
    return "--tls-certificate", pair[0], "--tls-key", pair[1], *more


@pytest.fixture(scope="module")
def secure(tmp_path_factory, authority, pair, config, redis):
    """A gateway with TLS that the tests of this file share."""
    gateway = Gateway(tmp_path_factory.mktemp("secure"), "--config", config, *options(pair), redis=redis, tls=authority.client())
    yield gateway
    gateway.stop()


class Changing:
    """A gateway whose files are written over while it serves."""

    def __init__(self, directory, authority, *more):
        self.directory, self.authority = directory, authority
        self.files = str(directory / "now.pem"), str(directory / "now.key")
        self.options = options(self.files, *more)

    def put(self, certificate, key):
        shutil.copyfile(key, self.files[1])
        shutil.copyfile(certificate, self.files[0])


@pytest.fixture
def changing(tmp_path, authority, pair):
    files = Changing(tmp_path, authority)
    files.put(*pair)
    return files


class Watching:
    """A gateway whose files were changed at the beginning: what came of it is looked at when the other tests have passed the time."""

    def __init__(self, directory, authority, pair):
        self.longer = authority.issue("longer", "IP:127.0.0.1", days=90)
        public, admin = (Changing(directory / name, authority) for name in ("public", "admin"))
        for files in (public, admin):
            files.directory.mkdir()
            files.put(*pair)
        self.gateway = Gateway(directory, *public.options, "--admin-tls-certificate", admin.files[0], "--admin-tls-key", admin.files[1],
                               tls=authority.client(), admin_tls=authority.client())
        self.before = self.expiry("admin")
        public.put(self.longer[0], pair[1])
        admin.put(*self.longer)

    def expiry(self, port):
        return self.gateway.metric(f'tidegate_tls_certificate_expiry_timestamp_seconds{{listener="{port}"}}')


@pytest.fixture(scope="module", autouse=True)
def watching(tmp_path_factory, authority, pair):
    watching = Watching(tmp_path_factory.mktemp("watching"), authority, pair)
    yield watching
    watching.gateway.stop()


def shown(gateway, context):
    """The certificate that a newcomer sees."""
    with WebSocket(gateway.address, tls=context) as peer:
        return peer.socket.getpeercert(binary_form=True)


def der(path):
    with open(path, encoding="ascii") as file:
        return ssl.PEM_cert_to_DER_cert(file.read())


def alert(gateway, context):
    """Why nobody comes in so: what the gateway tells, or the reason of our own side. None: one is let in."""
    try:
        with WebSocket(gateway.address, tls=context) as peer:
            peer.send_raw(handshake("/ws/cards"))
            return None if peer.read_response() else "hung up"
    except ssl.SSLError as refused:
        return refused.reason or str(refused)
    except ConnectionResetError:
        return "reset"


def of_version(authority, version):
    context = authority.client()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    return context


# --- as without it --------------------------------------------------------------------------------


def test_a_client_is_answered_and_the_end_is_told_in_tls_too(secure):
    with secure.connect() as peer:
        assert peer.socket.version() == "TLSv1.3"
        assert peer.ask({"type": "ping"})["type"] == "pong"
        peer.close(1000)
        assert peer.close_code() == 1000
        assert peer.socket.recv(1) == b"", "cut off without close_notify"


def test_a_refusal_is_read_whole_and_the_end_is_told(secure):
    with WebSocket(secure.address, tls=secure.tls) as peer:
        peer.send_raw(handshake("/nowhere"))
        answer = peer.read_response()
        assert (answer.status, json.loads(answer.body)["type"]) == (404, "error")
        assert peer.socket.recv(1) == b""


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda version: version.name)
def test_events_of_all_sizes_pass_a_small_window_with_pings_between(secure, authority, redis, version):
    """Writes that block, are kept and go on while more is queued: nothing is lost, doubled or torn, and no "bad write retry"."""
    sizes = [number * number * 7919 % LARGEST for number in range(MANY)]
    with secure.connect("/ws/patient", receive_buffer=SMALL_WINDOW, tls=of_version(authority, version)) as peer:
        for number, size in enumerate(sizes):
            redis.publish("cards", json.dumps({"type": "n", "data": {"n": number, "filler": "x" * size}}))
            peer.send_frame(PING, b"%d" % number)
        events, pongs = [], []
        while len(events) < MANY or len(pongs) < MANY:
            opcode, payload = peer.receive_frame()
            if opcode == TEXT:
                data = json.loads(payload)["data"]
                events.append((data["n"], len(data["filler"])))
            elif opcode == PONG:
                pongs.append(int(payload))
        assert events == list(enumerate(sizes))
        assert pongs == sorted(pongs)


def test_one_record_may_hold_a_request_and_what_comes_behind_it(secure):
    """OpenSSL has read it all by then: no descriptor will say that there is more."""
    with WebSocket(secure.address, tls=secure.tls) as peer:
        commands = b"".join(frame(TEXT, b'{"type":"ping"}') for _ in range(100))
        peer.send_raw(handshake("/ws/cards", [("X-Filler", "x" * 6000)]) + commands)
        answer = peer.read_response()
        assert answer.status == 101
        peer.pending = answer.body
        assert [peer.receive()["type"] for _ in range(100)] == ["pong"] * 100


def test_a_record_that_is_full_is_read_to_its_end(secure):
    """Many small frames, of whose answers the newest count, and frames that are as large as a message may be."""
    with secure.connect() as peer:
        peer.send_raw(b"".join(frame(PING, b"%04d" % number) for number in range(RECORD // 10)))
        heard = []
        while not heard or heard[-1] < RECORD // 10 - 1:
            opcode, payload = peer.receive_frame()
            assert opcode == PONG
            heard.append(int(payload))
        assert heard == sorted(set(heard))
        text = b'{"type":"ping","filler":"' + b"y" * (RECORD - 100) + b'"}'
        for _ in range(3):
            peer.send_text(text)
        assert [peer.receive()["type"] for _ in range(3)] == ["pong"] * 3


def test_who_comes_back_gets_what_was_missed(secure, redis):
    with secure.connect("/ws/logged") as peer:
        first = secure.post("/publish", {"channel": "logged", "payload": {"type": "n", "data": 1}, "history": True}).json()
        assert peer.receive()["data"] == 1
    secure.post("/publish", {"channel": "logged", "payload": {"type": "n", "data": "x" * LARGEST}, "history": True})
    with secure.connect(f"/ws/logged?since={first['pos']}") as peer:
        messages = [peer.receive() for _ in range(2)]
        assert LARGEST in [len(message["data"]) for message in messages if message["type"] == "n"]


def test_deflated_events_arrive_at_a_library(secure, redis):
    async def hear():
        client = await library.connect(secure.url("/ws/small"), compression="deflate", ssl=secure.tls)
        redis.publish("small", json.dumps({"type": "n", "data": "z" * LARGEST}))
        got = await library.collect(client, 1)
        await client.close()
        return client, got

    _, got = library.run(hear())
    assert len(got[0]["data"]) == LARGEST


def test_who_does_not_read_is_closed_and_nobody_else_notices(start, authority, pair, tmp_path):
    (tmp_path / "tidegate.yaml").write_text("routes:\n  - {path: /ws/slow, channel: cards, slow: {bytes: 64KiB, age: none}}\n",
                                            encoding="utf-8")
    gateway = start("--config", str(tmp_path / "tidegate.yaml"), *options(pair), tls=authority.client())
    event = {"channel": "cards", "payload": {"type": "n", "data": "x" * 500_000}}
    with gateway.connect("/ws/slow", receive_buffer=SMALL_WINDOW) as stuck, gateway.connect() as other:
        while not gateway.metric('tidegate_messages_dropped_total{policy="disconnect"}'):
            gateway.post("/publish", event)
            assert len(other.receive()["data"]) == 500_000
        assert stuck.close_code() in (4100, None)
        assert other.ask({"type": "ping"})["type"] == "pong"


def test_a_drain_says_goodbye_in_tls_too(start, authority, pair):
    gateway = start(*options(pair), tls=authority.client())
    with gateway.connect() as peer:
        gateway.process.signal(signal.SIGTERM)
        assert peer.close_code() == 1012
        assert peer.socket.recv(1) == b""
    gateway.process.end()


def test_the_load_generator_speaks_it(secure, redis):
    ended = run("bench", "--url", secure.url(""), "--redis", redis.url, "--connections", 20, "--window", 4, "--warmup", 0.1, "--duration", 0.3,
                "--payload", LARGEST, "--json")
    told = json.loads(ended.stdout)
    assert ended.returncode == 0, ended.stderr
    assert told["clean"] is True and told["deliveries_per_s"] > 0, told


# --- what is on the wire --------------------------------------------------------------------------


class Wire:
    """Somebody on the way, who reads all that passes."""

    def __init__(self, target):
        self.target, self.seen = target, []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = self.server.getsockname()
        self.threads = [threading.Thread(target=self._carry, daemon=True)]
        self.threads[0].start()

    def _carry(self):
        near, _ = self.server.accept()
        far = socket.create_connection(self.target)
        self.threads.append(threading.Thread(target=self._copy, args=(far, near), daemon=True))
        self.threads[1].start()
        self._copy(near, far)

    def _copy(self, source, sink):
        try:
            while data := source.recv(65536):
                self.seen.append(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        """All that has passed."""
        for thread in self.threads:
            thread.join(PATIENCE_SECONDS)
        self.server.close()
        return b"".join(self.seen)


def heard_on_the_wire(gateway, context):
    wire = Wire(gateway.address)
    with WebSocket.connect(wire.address, f"/ws/items/{MARK}", tls=context) as peer:
        gateway.post("/publish", {"channel": f"items:{MARK}", "payload": {"type": "n", "data": MARK}})
        assert peer.receive()["data"] == MARK
        assert peer.ask({"type": "ping", "id": MARK})["type"] == "pong"
        peer.close(1000)
        peer.close_code()
    return wire.close()


def test_nothing_of_it_can_be_read_on_the_way(secure, gateway):
    assert MARK.encode() in heard_on_the_wire(gateway, None), "the test sees what is plain"
    wire = heard_on_the_wire(secure, secure.tls)
    assert len(wire) > 1000
    for word in (MARK.encode(), b"HTTP/1.1", b"Upgrade", b'"type"'):
        assert word not in wire


def test_the_header_of_a_proxy_comes_before_tls(start, authority, pair):
    gateway = start(*options(pair, "--proxy-protocol", "true", "--trusted-proxies", "127.0.0.1"), ready=False)
    with socket.create_connection(gateway.address, PATIENCE_SECONDS) as plain:
        plain.sendall(b"PROXY TCP4 203.0.113.7 127.0.0.1 5000 443\r\n")
        with authority.client().wrap_socket(plain, server_hostname="127.0.0.1") as peer:
            peer.sendall(handshake("/ws/cards"))
            assert peer.recv(4096).startswith(b"HTTP/1.1 101")
            gateway.wait_for_line("client connected", remote="203.0.113.7")


# --- handshakes that are none ---------------------------------------------------------------------


def failed(gateway):
    return gateway.metric("tidegate_tls_handshakes_failed_total")


class OwnHand:
    """A client of TLS that sends each of its bytes by hand."""

    def __init__(self, address, context):
        self.socket = socket.create_connection(address, PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.read, self.write = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.read, self.write, server_hostname=address[0])

    def _send(self):
        for byte in self.write.read():
            self.socket.sendall(bytes([byte]))

    def do(self, what, *words):
        while True:
            try:
                result = what(*words)
                self._send()
                return result
            except ssl.SSLWantReadError:
                self._send()
                data = self.socket.recv(65536)
                if not data:
                    raise ConnectionResetError from None
                self.read.write(data)


def test_records_that_come_byte_by_byte_are_records(secure):
    hand = OwnHand(secure.address, secure.tls)
    hand.do(hand.tls.do_handshake)
    hand.do(hand.tls.write, handshake("/ws/cards"))
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += hand.do(hand.tls.read, 65536)
    assert answer.startswith(b"HTTP/1.1 101")
    hand.socket.close()


def test_handshakes_that_dribble_keep_nobody_out(start, authority, pair):
    """Each holds a place until its deadline, and none of the worker's time."""
    gateway = start(*options(pair, "--workers", "1"), tls=authority.client())
    hello = first_flight(gateway.tls)
    dribbling = [socket.create_connection(gateway.address, PATIENCE_SECONDS) for _ in range(HALF)]
    for number, peer in enumerate(dribbling):
        peer.sendall(hello[: 1 + number % (len(hello) - 1)])
    began = time.monotonic()
    with gateway.connect() as peer:
        assert peer.ask({"type": "ping"})["type"] == "pong"
    assert time.monotonic() - began < HELLO_SECONDS
    for peer in dribbling:
        peer.close()


def test_plain_http_is_told_where_it_is(secure):
    with socket.create_connection(secure.address, PATIENCE_SECONDS) as peer:
        peer.sendall(handshake("/ws/cards"))
        answer = b""
        while data := peer.recv(4096):
            answer += data
    refusal = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert answer.startswith(b"HTTP/1.1 400 ") and refusal["type"] == "error" and refusal["data"]["code"] == "tls_required"
    assert int(answer.split(b"Content-Length: ")[1].split(b"\r\n")[0]) == len(answer.partition(b"\r\n\r\n")[2])
    secure.wait_for_line("tls handshake failed", why="http request", alert="none")


def first_flight(context, name="127.0.0.1"):
    write = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), write, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return write.read()


def test_a_hello_that_is_cut_anywhere_costs_nothing_but_itself(secure):
    """And one with a wrong byte anywhere."""
    hello = first_flight(secure.tls)
    for cut in range(1, len(hello), CUTS):
        with socket.create_connection(secure.address, PATIENCE_SECONDS) as peer:
            peer.sendall(hello[:cut])
        with socket.create_connection(secure.address, PATIENCE_SECONDS) as peer:
            peer.sendall(hello[:cut] + bytes([hello[cut] ^ 0xFF]) + hello[cut + 1:])
    until("their ends are counted", lambda: failed(secure) > len(hello) // CUTS // 2)
    assert {line.fields["remote"] for line in secure.lines("tls handshake failed")} <= {"127.0.0.1", "gone"}
    secure.check()


def test_who_only_connects_is_not_worth_a_word(start, authority, pair):
    gateway = start(*options(pair), tls=authority.client())
    for _ in range(3):
        socket.create_connection(gateway.address).close()
    gateway.check()
    assert failed(gateway) == 0
    assert not gateway.lines("tls handshake failed")


def test_a_handshake_has_a_deadline(start, authority, pair):
    gateway = start(*options(pair), tls=authority.client())
    hello = first_flight(gateway.tls)
    with socket.create_connection(gateway.address, PATIENCE_SECONDS) as peer:
        peer.sendall(hello[:100])
        assert peer.recv(1) == b""
    assert gateway.wait_for_line("tls handshake failed", why="it took too long").fields["alert"] == "none"


def test_another_protocol_than_http_1_1_is_refused(authority, secure):
    context = authority.client()
    context.set_alpn_protocols(["h2"])
    assert "no application protocol" in alert(secure, context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with WebSocket(secure.address, tls=context) as peer:
        assert peer.socket.selected_alpn_protocol() == "http/1.1"


def test_old_versions_of_tls_are_refused(authority, pair, secure, start):
    with pytest.warns(DeprecationWarning):
        old = of_version(authority, ssl.TLSVersion.TLSv1_1)
    assert "PROTOCOL" in alert(secure, old)
    assert alert(secure, of_version(authority, ssl.TLSVersion.TLSv1_2)) is None
    strict = start(*options(pair, "--tls-min-version", "1.3"), tls=authority.client())
    assert "PROTOCOL" in alert(strict, of_version(authority, ssl.TLSVersion.TLSv1_2))
    strict.wait_for_line("tls handshake failed", alert="protocol version")


def test_ciphers_without_forward_secrecy_are_refused(authority, secure):
    context = of_version(authority, ssl.TLSVersion.TLSv1_2)
    for ciphers in ("AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA256"):
        context.set_ciphers(ciphers)
        assert "HANDSHAKE_FAILURE" in alert(secure, context)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda version: version.name)
def test_sessions_are_not_resumed(authority, secure, version):
    context = of_version(authority, version)
    with secure.connect(tls=context) as peer:
        assert peer.ask({"type": "ping"})["type"] == "pong"  # tickets of 1.3 would have come by then
        session = peer.socket.session
    assert session is None or not session.has_ticket
    if session:
        plain = socket.create_connection(secure.address, PATIENCE_SECONDS)
        with context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as again:
            assert not again.session_reused


def test_nobody_renegotiates(authority, secure):
    """The oldest way to have a server work for nothing."""
    ended = subprocess.run(["openssl", "s_client", "-connect", "%s:%d" % secure.address, "-tls1_2", "-CAfile", authority.certificate],
                           input="R\n", capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    assert "no renegotiation" in ended.stderr
    secure.check()


# --- keys -----------------------------------------------------------------------------------------


def check(*words):
    ended = run("check", "--admin-token", "x" * 32, *words)
    assert ended.returncode != 0
    return ended.stderr


def test_what_cannot_be_served_is_said_in_a_sentence(authority, pair, tmp_path):
    certificate, key = pair
    other = authority.issue("other")
    empty = tmp_path / "empty.pem"
    empty.write_text("", encoding="ascii")
    locked = tmp_path / "locked.key"
    subprocess.run(["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", locked], check=True)
    weak = authority.issue("weak", kind=("-newkey", "rsa:1024"))
    torn = tmp_path / "torn.pem"
    with open(certificate, encoding="ascii") as file:
        torn.write_text(file.read()[:200] + "\n-----END CERTIFICATE-----\n", encoding="ascii")
    rows = {
        ("/nowhere.pem", key): "tls_certificate: /nowhere.pem: No such file or directory",
        (certificate, "/nowhere.key"): "tls_key: /nowhere.key: No such file or directory",
        (empty, key): f"tls_certificate: {empty}: no certificate in PEM form is in it",
        (certificate, empty): f"tls_key: {empty}: ",
        (torn, key): f"tls_certificate: {torn}: ",
        (certificate, other[1]): f"tls_key: {other[1]}: it is not the key to the first certificate in {certificate}",
        (certificate, locked): f"tls_key: {locked}: the key has a passphrase",
        weak: f"tls_certificate: {weak[0]}: ee key too small",
    }
    for files, said in rows.items():
        assert said in check(*options(files)), files
    assert "tls_client_ca: /nowhere.pem: " in check(*options(pair, "--tls-client-ca", "/nowhere.pem"))
    assert "--tls-key: it is of no use without a certificate" in check("--tls-key", key)
    assert "--tls-client-ca: it is of no use without a certificate" in check("--tls-client-ca", authority.certificate)


def test_certificate_and_key_may_stand_in_one_file(authority, pair, start, tmp_path):
    both = tmp_path / "both.pem"
    both.write_text("".join(open(path, encoding="ascii").read() for path in pair), encoding="ascii")
    start("--tls-certificate", both, tls=authority.client()).check()


def test_an_expired_certificate_is_refused(authority):
    expired = authority.issue_expired("expired", "IP:127.0.0.1")
    assert f"tls_certificate: {expired[0]}: it has expired on 2" in check(*options(expired))
    ended = run("serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", *options(expired))
    assert ended.returncode != 0 and "it has expired on 2" in ended.stderr


def test_the_chain_is_shown_with_the_certificate(authority, start, tmp_path):
    """A client that knows the root alone has to be given what stands between."""
    middle = Authority(tmp_path, "middle", signed_by=authority)
    certificate, key = middle.issue("leaf", "IP:127.0.0.1")
    whole = tmp_path / "whole.pem"
    whole.write_text("".join(open(path, encoding="ascii").read() for path in (certificate, middle.certificate)), encoding="ascii")
    assert alert(start(*options((whole, key)), tls=authority.client()), authority.client()) is None
    lonely = start(*options((certificate, key)), ready=False)
    assert alert(lonely, authority.client()) == "CERTIFICATE_VERIFY_FAILED"


def test_a_key_of_another_kind_is_exchanged_under_a_crowd(authority, changing, pair, start):
    gateway = start(*changing.options, "--workers", "2", tls=authority.client())
    rsa = authority.issue("rsa", "IP:127.0.0.1", kind=RSA)
    crowd = [gateway.connect() for _ in range(CROWD)]
    for number, files in enumerate((rsa, pair, rsa)):
        changing.put(*files)
        assert run("reload", "--admin", gateway.admin).returncode == 0
        until("newcomers see the new one", lambda files=files: shown(gateway, gateway.tls) == der(files[0]))
        assert {shown(gateway, gateway.tls) for _ in range(20)} == {der(files[0])}, "each worker, each time"
        gateway.post("/publish", {"channel": "cards", "payload": {"type": "n", "data": number}})
        assert {peer.receive()["data"] for peer in crowd} == {number}
    for peer in crowd:
        peer.abandon()


def test_a_bad_pair_is_refused_by_a_reload_and_the_old_one_goes_on(authority, changing, pair, start):
    gateway = start(*changing.options, tls=authority.client())
    other = authority.issue("another", "IP:127.0.0.1")
    changing.put(other[0], pair[1])
    ended = run("reload", "--admin", gateway.admin)
    assert ended.returncode != 0
    assert "it is not the key to the first certificate" in ended.stderr
    assert shown(gateway, gateway.tls) == der(pair[0])
    assert gateway.metric("tidegate_config_last_reload_successful") == 0
    changing.put(*other)
    assert run("reload", "--admin", gateway.admin).returncode == 0
    until("the good one is shown", lambda: shown(gateway, gateway.tls) == der(other[0]))


# --- certificates of clients ----------------------------------------------------------------------


def test_only_who_shows_a_good_certificate_gets_in(authority, pair, start, tmp_path):
    gateway = start(*options(pair, "--tls-client-ca", authority.certificate), tls=authority.client(*authority.issue("client")))
    gateway.check()
    stranger = Authority(tmp_path, "stranger")
    # By the name of our authority, with a key of its own.
    imitator = Authority(tmp_path, "authority")
    rows = {
        "none": ((), "CERTIFICATE_REQUIRED"),
        "of a stranger": (stranger.issue("client"), "UNKNOWN_CA"),
        "of an imitator": (imitator.issue("client"), "UNKNOWN_CA|DECRYPT_ERROR"),
        "self-signed": ((stranger.certificate, stranger.key), "UNKNOWN_CA"),
        "expired": (authority.issue_expired("late"), "CERTIFICATE_EXPIRED"),
        "for servers only": (authority.issue("server", usage="serverAuth"), "UNSUPPORTED_CERTIFICATE|CERTIFICATE_UNKNOWN"),
    }
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        for row, (files, said) in rows.items():
            context = authority.client(*files)
            context.minimum_version = context.maximum_version = version
            reason = alert(gateway, context)
            assert reason and (version == ssl.TLSVersion.TLSv1_2 or any(word in reason for word in said.split("|"))), (row, reason)
    gateway.check()
    assert failed(gateway) == 2 * len(rows)


def test_the_authorities_of_clients_are_read_again(authority, pair, start, tmp_path):
    ours = tmp_path / "clients.pem"
    shutil.copyfile(authority.certificate, ours)
    gateway = start(*options(pair, "--tls-client-ca", ours), tls=authority.client(*authority.issue("first")))
    gateway.check()
    others = Authority(tmp_path, "others")
    newcomer = authority.client(*others.issue("second"))
    assert alert(gateway, newcomer)
    shutil.copyfile(others.certificate, ours)
    assert run("reload", "--admin", gateway.admin).returncode == 0
    until("the new ones are believed", lambda: alert(gateway, newcomer) is None)
    assert alert(gateway, gateway.tls), "the old ones no more"
    gateway.tls = newcomer


# --- the admin port -------------------------------------------------------------------------------


def admin_options(pair):
    return "--admin-tls-certificate", pair[0], "--admin-tls-key", pair[1]


def test_subcommands_and_scrapes_reach_an_admin_port_with_tls(watching, authority):
    """One of this machine is believed unseen, or by the authority that is named."""
    gateway = watching.gateway
    for words in (("--admin-tls-certificate", "/not/looked/at.pem"), ("--admin-tls-ca", authority.certificate)):
        at = ("--admin", gateway.admin, *words)
        for command in ("health", "status", "config"):
            ended = run(command, *at)
            assert ended.returncode == 0, ended.stderr
        with gateway.connect() as peer:
            assert run("publish", *at, "cards", json.dumps({"type": "n", "data": "x" * LARGEST})).returncode == 0
            assert len(peer.receive()["data"]) == LARGEST
    assert gateway.get("/metrics").status == 200
    assert gateway.get("/status").json()["tls"] is True


def test_subcommands_say_why_they_do_not_reach_an_admin_port(watching, tmp_path, gateway):
    stranger = Authority(tmp_path, "stranger")
    ended = run("status", "--admin", watching.gateway.admin, "--admin-tls-ca", stranger.certificate)
    assert ended.returncode != 0 and "the certificate of the admin port is refused" in ended.stderr
    assert "TLS is spoken here" in run("status", "--admin", watching.gateway.admin).stderr
    public = "%s:%s" % watching.gateway.address[:2]
    assert "TLS is spoken here" in run("status", "--admin", public).stderr
    ended = run("status", "--admin", gateway.admin, "--admin-tls-ca", stranger.certificate)
    assert ended.returncode != 0 and "no TLS with the admin port: wrong version number" in ended.stderr
    ended = run("status", "--admin", watching.gateway.admin, "--admin-tls-ca", "/nowhere.pem")
    assert "admin_tls_ca: /nowhere.pem: No such file" in ended.stderr


def test_an_admin_port_may_want_certificates_and_subcommands_have_one(authority, pair, start):
    ours = authority.issue("operator")
    gateway = start(*admin_options(pair), "--admin-tls-client-ca", authority.certificate, admin_tls=authority.client(*ours))
    at = ("--admin", gateway.admin, "--admin-tls-ca", authority.certificate)
    assert run("status", *at, *admin_options(ours)).returncode == 0
    assert run("status", *at).returncode != 0
    ended = run("status", *at, *admin_options((ours[0], pair[1])))
    assert "it is not the key to the first certificate" in ended.stderr


# --- the last: it has been long enough ------------------------------------------------------------


def test_changed_files_are_seen_without_a_word_good_and_bad(watching, pair):
    gateway = watching.gateway
    assert gateway.wait_for_line("tls certificate expires soon", listener="public").fields["days"] == "0"
    line = gateway.wait_for_line("tls certificate refused, the old one goes on", listener="public")
    assert "tls_key: " in line.fields["reason"] and "it is not the key" in line.fields["reason"]
    assert shown(gateway, gateway.tls) == der(pair[0])
    gateway.wait_for_line("tls certificate is read", listener="admin")
    with socket.create_connection(gateway.admin_address) as plain, gateway.tls.wrap_socket(plain, server_hostname="127.0.0.1") as peer:
        assert peer.getpeercert(binary_form=True) == der(watching.longer[0])
    assert 88 * 86400 < watching.expiry("admin") - watching.before < 90 * 86400
