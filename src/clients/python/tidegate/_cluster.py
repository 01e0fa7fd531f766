"""A Redis Cluster: which server has a slot.

Who is redirected (MOVED, ASK, TRYAGAIN) asks who has the slot, and tries again: while a slot is on its way its server takes no call
about a key that is not there yet, such as that of a new event. (redis-py's own client tries for up to eleven seconds before it says
that a server is gone, and asks a server for the keys of each call of a function.)
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from typing import Any, NamedTuple, Optional
from urllib.parse import unquote

import redis

from ._redis import Kind, moved_to, patience, settings_of
from .sharding import SLOTS, slot_of

ASK_SECONDS = 2.0  # between two looks at who has which slots, while nobody redirects us
ANSWER_SECONDS = 0.5  # how long one server may take to say it: others know, too
Address = tuple[str, int]


class Seeds(NamedTuple):
    """redis://USER:PASSWORD@h1:6379,h2, or with one host redis+cluster://h1; rediss for TLS."""

    tls: bool
    hosts: list[Address]
    login: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> Optional[Seeds]:
        """None: it is another URL."""
        found = re.fullmatch(r"redis(s?)(\+cluster)?://(?:([^@]*)@)?([^/?]+)/?0?", text, re.IGNORECASE)
        if not found or not (found[2] or "," in found[4]):
            return None
        user, colon, password = (found[3] or "").partition(":")
        words = {"username": unquote(user), "password": unquote(password) if colon else ""}
        hosts = []
        for host in found[4].split(","):
            name, _, port = host.rpartition(":") if re.search(r":\d+$", host) else (host, "", "6379")
            hosts.append((name.strip("[]"), int(port)))
        return cls(bool(found[1]), hosts, {name: word for name, word in words.items() if word})


class Slot:
    """The server of one slot, whichever that is."""

    follows = True

    def __init__(self, cluster: Any, slot: int) -> None:
        self.cluster, self.slot = cluster, slot

    @property
    def client(self) -> Any:
        return self.cluster.client_of(self.slot)

    def look(self, *until: float) -> Any:
        return self.cluster.look(*until)

    def doubt(self, word: str, error: BaseException) -> Any:
        return self.cluster.doubt(self.slot, word, error)


class _Cluster:
    """What both kinds share: the table of slots, and a client for each server."""

    def __init__(self, kind: Kind, seeds: Seeds, seconds: Optional[float], options: dict[str, Any]) -> None:
        self.kind, self.seeds, self.seconds = kind, seeds, seconds
        self.options = {**options, **seeds.login, **({"connection_class": kind.tls_connection} if seeds.tls else {})}
        self.clients: dict[Address, Any] = {}
        self.asking: dict[Address, Any] = {}  # clients that wait for ANSWER_SECONDS only
        self.n_looks = 0
        self.named: Optional[Address] = None  # by a MOVED: the next to be asked
        self.table: list[Optional[Address]] = [None] * SLOTS
        self.asked = float("-inf")
        self.reason = "none was asked yet"

    def of(self, name: str) -> Slot:
        return Slot(self, slot_of(name))

    def client_of(self, slot: int) -> Any:
        address = self.table[slot]
        if address is None:
            raise redis.ConnectionError(f"no server of the cluster has slot {slot}: {self.reason}")
        return self._client(self.clients, address, self.seconds)

    def _client(self, clients: dict[Address, Any], address: Address, seconds: Optional[float]) -> Any:
        if address not in clients:
            settings = dict(self.options, host=address[0], port=address[1])
            clients[address] = self.kind.client(connection_pool=self.kind.pool(**settings_of(self.kind, settings, seconds)))
        return clients[address]

    def _ask(self, address: Address) -> Any:
        seconds = min(ANSWER_SECONDS, self.seconds / 2) if self.seconds else ANSWER_SECONDS
        return self._client(self.asking, address, seconds).execute_command("CLUSTER", "SLOTS")

    def _is_due(self) -> bool:
        return time.monotonic() - self.asked >= ASK_SECONDS

    def _whom(self) -> list[Address]:
        """Servers that have slots, and the seeds: first the one that a MOVED named. Each look begins one further on, because one
        that is cut off from the others, and believes what was so before, would be asked and believed for ever."""
        known = list(dict.fromkeys([address for address in self.table if address] + self.seeds.hosts))
        first = self.n_looks % len(known)
        named, self.named, self.n_looks = self.named, None, self.n_looks + 1
        return list(dict.fromkeys(([named] if named else []) + known[first:] + known[:first]))

    def _note(self, asked: Address, ranges: Any) -> bool:
        """The answer to CLUSTER SLOTS. A host that does not know its name is the one that was asked. False: it knows no server."""
        if not ranges:
            self.reason = f"{asked[0]}:{asked[1]} knows no server that has slots"
            return False
        table: list[Optional[Address]] = [None] * SLOTS
        for first, last, primary, *_ in ranges:
            host = primary[0].decode() if isinstance(primary[0], bytes) else primary[0]
            table[first:last + 1] = [(host or asked[0], int(primary[1]))] * (last + 1 - first)
        self.table, self.asked = table, time.monotonic()
        return True

    def _doubtful(self, slot: int, word: str, error: BaseException) -> Any:
        """The pool whose connections are of no use any more, if it is one."""
        self.asked = float("-inf")
        address = self.table[slot]
        named = moved_to(error) if word == "MOVED" else None
        if named and (named[0] or address):
            self.named = (named[0] or (address or named)[0], named[1])
        return self.clients[address].connection_pool if word != "MOVED" and address in self.clients else None


class Cluster(_Cluster):
    """For threads."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.lock = threading.Lock()

    def look(self, until: float = float("inf")) -> None:
        if not self._is_due() or not self.lock.acquire(timeout=patience(until) if self.asked == float("-inf") else 0):
            return
        try:
            for address in self._whom() if self._is_due() else ():
                try:
                    if time.monotonic() >= until or self._note(address, self._ask(address)):
                        return
                except redis.RedisError as error:
                    self.reason = str(error)
        finally:
            self.lock.release()

    def doubt(self, slot: int, word: str, error: BaseException) -> None:
        pool = self._doubtful(slot, word, error)
        if pool:
            pool.disconnect(inuse_connections=False)

    def close(self) -> None:
        for client in (*self.clients.values(), *self.asking.values()):
            client.connection_pool.disconnect()


class AsyncCluster(_Cluster):
    """For asyncio, within one event loop."""

    looking: Optional[Any] = None

    async def look(self) -> None:
        if self._is_due() and self.looking is None:
            self.looking = asyncio.ensure_future(self._look())
        if self.looking is not None:
            await asyncio.shield(self.looking)

    async def _look(self) -> None:
        try:
            for address in self._whom():
                try:
                    if self._note(address, await self._ask(address)):
                        return
                except redis.RedisError as error:
                    self.reason = str(error)
        finally:
            self.looking = None

    async def doubt(self, slot: int, word: str, error: BaseException) -> None:
        pool = self._doubtful(slot, word, error)
        if pool:
            await pool.disconnect(inuse_connections=False)

    async def close(self) -> None:
        for client in (*self.clients.values(), *self.asking.values()):
            await client.connection_pool.disconnect()
