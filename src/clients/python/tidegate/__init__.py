"""Tidegate for backends: publish events that are there once, carry out what clients ask, and steer their connections."""

from .action import Action, ActionError
from .control import AsyncControl, Control, Outcome, Refused
from .manager import Manager
from .publisher import AsyncPublisher, NotPublished, Publisher
from .sharding import shard_of, slot_of
from .worker import AsyncWorker, Worker

__all__ = ["Action", "ActionError", "AsyncControl", "AsyncPublisher", "AsyncWorker", "Control", "Manager", "NotPublished",
           "Outcome", "Publisher", "Refused", "Worker", "shard_of", "slot_of"]
