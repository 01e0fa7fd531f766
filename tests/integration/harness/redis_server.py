"""
Redis server: a real one, on a free port and a Unix socket, in a folder of its own.

It keeps its port over a restart. Nothing is written to disk, unless it is a DurableRedis.
"""

import os
import shutil
import tempfile

import redis

from harness import wait
from harness.ports import free_port
from harness.process import Process

STARTS_TRIED = 5  # another test run may take the port between our look and the server's bind


class RedisServer:
    options = ()  # more words for its command line; a test may set others before the next start
    prefix = ()   # words before it, such as those that enter a namespace

    def __init__(self, directory, password=None):
        self.directory = directory
        self.password = password
        # A socket's path has to fit into 107 bytes, and a test's folder is named after the test.
        self.socket_directory = tempfile.mkdtemp(prefix="tg-")
        self.socket_path = os.path.join(self.socket_directory, "redis.sock")
        self.port = None
        self.process = None
        self.start()

    @property
    def url(self):
        secret = f":{self.password}@" if self.password else ""
        return f"redis://{secret}127.0.0.1:{self.port}"

    def start(self):
        """Starts, or starts again on the same port. Returns when it answers."""
        for _ in range(STARTS_TRIED):
            self.process = self._run(self.port or free_port())
            if wait.until("redis answers or ends", lambda: self._answers() or not self.process.alive()):
                if self.process.alive():
                    return
        raise AssertionError(f"redis does not start: {self.process.stdout()}")

    def launch(self):
        """Starts again on the same port, and does not wait until it answers."""
        self.process = self._run(self.port)

    def _run(self, port):
        program = shutil.which("redis-server")
        assert program, "redis-server is missing: deploy/deps.sh --test installs it"
        self.client = self._client(port)
        command = [*self.prefix, program, *self._listens(port), "--bind", "127.0.0.1", "--unixsocket", self.socket_path,
                   "--save", "", "--dir", self.directory, *self.options]
        if self.password:
            command += ["--requirepass", self.password]
        self.wanted_port = port
        return Process(command, self.directory, "redis")

    def _client(self, port):
        return redis.Redis(port=port, password=self.password)

    def _listens(self, port):
        return ("--port", port)

    def _answers(self):
        try:
            self.client.ping()
        except redis.RedisError:
            return False
        self.port = self.wanted_port
        return True

    def publish(self, channel, payload):
        """The number of subscribers that Redis gave it to."""
        return self.client.publish(channel, payload)

    def subscribers(self, channel):
        return dict(self.client.pubsub_numsub(channel))[channel.encode()]

    def follow(self, primary, port=None):
        """Becomes its replica, by this port on the way to it, and returns when it has everything."""
        primary.client.config_set("repl-diskless-sync-delay", 0)  # or it waits 5 s for further replicas
        self.client.replicaof("127.0.0.1", port or primary.port)
        wait.until("the replica follows", lambda: self.client.info("replication").get("master_link_status") == "up")

    def kill(self):
        """As `kill -9` does."""
        self.process.kill()
        self.client.close()

    def stop(self):
        self.client.close()
        self.process.kill()
        shutil.rmtree(self.socket_directory)


class TlsRedis(RedisServer):
    """One that speaks TLS only. With asks_clients it wants their certificates, by the same authority."""

    def __init__(self, directory, authority, certificate, asks_clients=False):
        self.authority = authority
        self.certificate, self.key = certificate
        self.asks_clients = asks_clients
        super().__init__(directory)

    @property
    def url(self):
        return f"rediss://127.0.0.1:{self.port}"

    def _client(self, port):
        return redis.Redis(port=port, ssl=True, ssl_ca_certs=self.authority.certificate, ssl_check_hostname=False,
                           ssl_certfile=self.certificate, ssl_keyfile=self.key)

    def _listens(self, port):
        return ("--port", 0, "--tls-port", port, "--tls-ca-cert-file", self.authority.certificate,
                "--tls-cert-file", self.certificate, "--tls-key-file", self.key,
                "--tls-auth-clients", "yes" if self.asks_clients else "no")


class DurableRedis(RedisServer):
    """One that has its data again after `kill -9`. (With everysec Redis holds writes back while the disk is slow.)"""

    options = ("--appendonly", "yes", "--appendfsync", "always")
