"""
Sentinels: a primary, a replica and three sentinels, all real, that fail over for one another.
"""

import shutil

import redis

from harness.ports import free_port
from harness.process import Process
from harness.redis_server import DurableRedis, TlsRedis
from harness.wait import until

NAME = "mymaster"
DOWN_AFTER_MS = 1000


class TlsServer(TlsRedis):
    """One whose replica speaks TLS, too."""

    options = ("--tls-replication", "yes")


class Sentinels:
    """down_after_ms: for how long a primary is silent before they act. tls: an authority, by which all of them have certificates."""

    def __init__(self, directory, n=3, password=None, down_after_ms=DOWN_AFTER_MS, tls=None, tls_name="IP:127.0.0.1"):
        self.directory, self.password, self.tls = directory, password, tls
        self.certificate = tls.issue("sentinels", tls_name) if tls else None
        self.servers = [self._server(name) for name in ("primary", "replica")]
        self.servers[1].follow(self.servers[0])
        self.sentinels = [self._sentinel(i, down_after_ms) for i in range(n)]
        for _, client in self.sentinels:
            until("it knows all", lambda client=client: self._knows_all(client, n))

    def _server(self, name):
        folder = self.directory / name
        folder.mkdir()
        return TlsServer(folder, self.tls, self.certificate) if self.tls else DurableRedis(folder)

    def _sentinel(self, number, down_after_ms):
        port, folder = free_port(), self.directory / f"sentinel{number}"
        folder.mkdir()
        tls = {"ssl": True, "ssl_ca_certs": self.tls.certificate, "ssl_check_hostname": False} if self.tls else {}
        lines = [*self._listens(port), "bind 127.0.0.1", f"dir {folder}", f"sentinel monitor {NAME} 127.0.0.1 {self.servers[0].port} 2",
                 f"sentinel down-after-milliseconds {NAME} {down_after_ms}", f"sentinel failover-timeout {NAME} 5000"]
        if self.password:
            lines += [f"requirepass {self.password}", f"sentinel sentinel-pass {self.password}"]
        (folder / "sentinel.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
        process = Process([shutil.which("redis-server"), folder / "sentinel.conf", "--sentinel"], folder, "sentinel")
        client = redis.Redis(port=port, password=self.password, **tls)
        client.port = port
        until("the sentinel answers", lambda: self._answers(client))
        return process, client

    def _listens(self, port):
        if not self.tls:
            return [f"port {port}"]
        certificate, key = self.certificate
        return ["port 0", f"tls-port {port}", "tls-replication yes", "tls-auth-clients no", f"tls-ca-cert-file {self.tls.certificate}",
                f"tls-cert-file {certificate}", f"tls-key-file {key}"]

    @staticmethod
    def _answers(client):
        try:
            return client.ping()
        except redis.RedisError:
            return False

    @staticmethod
    def _knows_all(client, n):
        state = client.sentinel_master(NAME)
        return state["num-slaves"] == 1 and state["num-other-sentinels"] == n - 1

    @property
    def ports(self):
        return [client.port for _, client in self.sentinels]

    @property
    def url(self):
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"redis{'s' if self.tls else ''}+sentinel://{hosts}/{NAME}" + (f"?sentinel_password={self.password}" if self.password else "")

    def primary(self):
        """The server that the sentinels name."""
        port = self.sentinels[0][1].sentinel_get_master_addr_by_name(NAME)[1]
        return next(server for server in self.servers if server.port == int(port))

    def failover(self):
        """A planned one: the old primary stays up, and takes writes for a while."""
        self.sentinels[0][1].execute_command("SENTINEL", "FAILOVER", NAME)

    def stop(self):
        for process, client in self.sentinels:
            client.close()
            process.kill()
        for server in self.servers:
            server.stop()
