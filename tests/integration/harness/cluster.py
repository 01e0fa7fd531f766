"""
Cluster: a real Redis Cluster of some primaries, each with as many replicas as wanted, on free ports.
"""

from harness.ports import free_port
from harness.redis_server import RedisServer, TlsRedis
from harness.wait import until

N_SLOTS = 16384
NODE_TIMEOUT_MS = 2000


class ClusterRedis(RedisServer):
    """One server of it. It has its slots and neighbours again after a restart, and no data."""

    def __init__(self, directory, node_timeout_ms):
        self.bus_port = free_port()
        self.options = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(node_timeout_ms), "--cluster-port",
                        str(self.bus_port), "--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0", *self._announces())
        super().__init__(directory)
        self.id = self.cluster("MYID")

    def _announces(self):
        """More words for its command line, about where the others find it."""
        return ()

    def cluster(self, *words):
        answer = self.client.execute_command("CLUSTER " + words[0], *words[1:])
        return answer.decode() if isinstance(answer, bytes) else answer


class TlsClusterRedis(ClusterRedis):
    """One that speaks TLS only, with the others, too."""

    asks_clients = False
    url, _client = TlsRedis.url, TlsRedis._client

    def __init__(self, directory, node_timeout_ms, authority, certificate):
        self.authority = authority
        self.certificate, self.key = certificate
        super().__init__(directory, node_timeout_ms)

    def _listens(self, port):
        return (*TlsRedis._listens(self, port), "--tls-cluster", "yes")


class Cluster:
    """make(folder, node_timeout_ms) is one server of it."""

    def __init__(self, directory, n=3, n_replicas=0, node_timeout_ms=NODE_TIMEOUT_MS, make=ClusterRedis):
        self.servers = []
        try:
            for i in range(n * (1 + n_replicas)):
                folder = directory / f"redis{i}"
                folder.mkdir()
                self.servers.append(make(folder, node_timeout_ms))
            self.primaries, self.replicas = self.servers[:n], self.servers[n:]
            self._join(n)
        except BaseException:
            self.stop()
            raise

    def _join(self, n):
        for i, server in enumerate(self.primaries):
            server.cluster("ADDSLOTSRANGE", N_SLOTS * i // n, N_SLOTS * (i + 1) // n - 1)
            server.cluster("SET-CONFIG-EPOCH", i + 1)
        for server in self.servers[1:]:
            server.client.execute_command("CLUSTER MEET", "127.0.0.1", self.servers[0].port, self.servers[0].bus_port)
        self.wait_until_all_know_all()
        for i, server in enumerate(self.replicas):
            server.cluster("REPLICATE", self.primaries[i % n].id)
        for server in self.replicas:
            until("it replicates", lambda server=server: server.client.info("replication").get("master_link_status") == "up")
        for server in self.servers:
            until("its replicas are known", lambda server=server: self._n_replicas_known(server) == len(self.replicas))

    def wait_until_all_know_all(self):
        for server in self.servers:
            until("it knows all", lambda server=server: self._knows_all(server))

    def _nodes(self, server):
        """Id to what one says of the others. (redis-py makes a mapping of the lines, by address.)"""
        return server.client.execute_command("CLUSTER NODES")

    def _knows_all(self, server):
        info = server.client.execute_command("CLUSTER INFO")
        return info["cluster_state"] == "ok" and int(info["cluster_known_nodes"]) == len(self.servers) and \
            int(info["cluster_slots_ok"]) == N_SLOTS and len(self._nodes(server)) == len(self.servers)

    def _knows_epochs(self, server):
        """A server that does not know of a newer epoch takes none of its own above it: its claim of a slot then loses to a late
        ping of the former owner, which has given the slot up, and nobody has it."""
        newest = max(int(one.client.execute_command("CLUSTER INFO")["cluster_my_epoch"]) for one in self.primaries if one.process.alive())
        return int(server.client.execute_command("CLUSTER INFO")["cluster_current_epoch"]) >= newest

    def _n_replicas_known(self, server):
        return sum("slave" in node["flags"] for node in self._nodes(server).values())

    @property
    def url(self):
        return "redis://" + ",".join(f"127.0.0.1:{server.port}" for server in self.primaries)

    def slot(self, name):
        return self._alive().client.execute_command("CLUSTER KEYSLOT", name)

    def _alive(self):
        return next(server for server in self.servers if server.process.alive())

    def owners(self, asked=None):
        """The server of each slot."""
        return {slot: server for first, last, server in self._ranges(asked) for slot in range(first, last + 1)}

    def _ranges(self, asked):
        for first, last, primary, *_ in (asked or self._alive()).client.execute_command("CLUSTER SLOTS"):
            yield first, last, next((server for server in self.servers if server.port == primary[1]), None)

    def owner_of_slot(self, slot, asked=None):
        return next((server for first, last, server in self._ranges(asked) if first <= slot <= last), None)

    def owner(self, name):
        return self.owner_of_slot(self.slot(name))

    def one_of_each(self, pattern):
        """A name for each primary: pattern has a {} for a number."""
        found = {}
        for number in range(1000):
            name = pattern.format(number)
            found.setdefault(self.owner(name).port, name)
            if len(found) == len(self.primaries):
                break
        return [found[server.port] for server in self.primaries]

    def move(self, slot, target, source=None):
        """As redis-cli --cluster reshard does it."""
        source = source or self.owner_of_slot(slot)
        if source is target:
            return
        until("the next owner knows the newest epoch", lambda: self._knows_epochs(target))
        target.cluster("SETSLOT", slot, "IMPORTING", source.id)
        source.cluster("SETSLOT", slot, "MIGRATING", target.id)
        while keys := source.client.execute_command("CLUSTER GETKEYSINSLOT", slot, 100):
            source.client.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        for server in (target, source, *[one for one in self.primaries if one not in (source, target)]):
            if server.process.alive():
                server.cluster("SETSLOT", slot, "NODE", target.id)

    def stop(self):
        for server in self.servers:
            server.stop()
