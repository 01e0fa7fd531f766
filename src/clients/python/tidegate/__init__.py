"""Tidegate for backends: publish events that are there once, and carry out what clients ask."""

from .action import Action, ActionError
from .manager import Manager
from .publisher import AsyncPublisher, NotPublished, Publisher
from .worker import AsyncWorker, Worker

__all__ = ["Action", "ActionError", "AsyncPublisher", "AsyncWorker", "Manager", "NotPublished", "Publisher", "Worker"]
