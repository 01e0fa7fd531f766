"""Tidegate for backends: publish events that are there once, carry out what clients ask, steer connections, know who is there."""

from .action import Action, ActionError
from .control import AsyncControl, Control, Outcome, Refused
from .lifecycle import AsyncLifecycle, Lifecycle, LifecycleEvent
from .manager import Manager
from .presence import AsyncPresence, Change, Presence, Roll
from .publisher import AsyncPublisher, NotPublished, Publisher
from .sharding import shard_of, slot_of
from .worker import AsyncWorker, Worker

__all__ = ["Action", "ActionError", "AsyncControl", "AsyncLifecycle", "AsyncPresence", "AsyncPublisher", "AsyncWorker", "Change", "Control",
           "Lifecycle", "LifecycleEvent", "Manager", "NotPublished", "Outcome", "Presence", "Publisher", "Refused", "Roll", "Worker", "shard_of", "slot_of"]
