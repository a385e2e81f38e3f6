"""SQS under threads: nothing lost, no busy waiting, and as quick at 10,000 messages as at ten.

moto rebuilds a queue's list on each deletion while other threads append to it (messages are lost), converts dates
for each look at each message (4,000 deep: 16 sends a second), and polls. One lock for all of SQS cures it.
Source: Amazon SQS Developer Guide, "Amazon SQS short and long polling", "Amazon SQS visibility timeout".
"""

from __future__ import annotations

import copy
import functools
import threading
import time
from typing import Any

from moto.sqs import models
from moto.sqs.exceptions import ReceiptHandleIsInvalid

from sandbox.cloud.patches.replace import replace

LOCK = threading.RLock()
_changed = threading.Condition(LOCK)
_POLL_SECONDS = 0.2
"""How often a waiting receive looks for delayed messages and expired visibility; arrivals wake it at once."""

_LOCKED = (
    "delete_queue",
    "get_queue_attributes",
    "set_queue_attributes",
    "send_message_batch",
    "delete_message_batch",
    "change_message_visibility",
    "change_message_visibility_batch",
    "purge_queue",
)
_receive_from_fifo = models.SQSBackend.receive_message
_send = models.SQSBackend.send_message


def _send_message(self: Any, *args: Any, **kwargs: Any) -> Any:
    with LOCK:
        message = _send(self, *args, **kwargs)
        _changed.notify_all()
        return message


def _receive_message(
    self: Any,
    queue_name: str,
    count: int,
    wait_seconds_timeout: int,
    visibility_timeout: int,
    message_attribute_names: list[str] | None = None,
) -> list[Any]:
    queue = self.get_queue(queue_name)
    names = message_attribute_names or []
    if queue.fifo_queue:
        return list(_receive_from_fifo(self, queue_name, count, wait_seconds_timeout, visibility_timeout, names))
    deadline = time.monotonic() + wait_seconds_timeout
    with LOCK:
        while True:
            received = _take(self, queue, count, visibility_timeout, names)
            left = deadline - time.monotonic()
            if received or left <= 0:
                return received
            _changed.wait(min(left, _POLL_SECONDS))


def _take(self: Any, queue: Any, count: int, visibility_timeout: int, names: list[str]) -> list[Any]:
    now = time.time() * 1000
    taken: list[Any] = []
    dead: list[Any] = []
    for message in queue._messages:
        if message.visible_at > now or message.delayed_until > now:
            continue
        limit = queue.redrive_policy["maxReceiveCount"] if queue.dead_letter_queue and queue.redrive_policy else None
        if limit is not None and message.approximate_receive_count >= limit:
            dead.append(message)
            continue
        message.mark_received(visibility_timeout=visibility_timeout)
        shown = copy.copy(message)
        shown.message_attributes = dict(message.message_attributes)
        models._filter_message_attributes(shown, names)
        taken.append(shown)
        if len(taken) == count:
            break
    for message in dead:
        queue._messages.remove(message)
        queue.dead_letter_queue.add_message(message)
    return taken


def _delete_message(self: Any, receipt_handle: str) -> None:
    with LOCK:
        if receipt_handle in self.deleted_messages:
            return
        for index, message in enumerate(self._messages):
            if message.receipt_handle == receipt_handle or receipt_handle in message._old_receipt_handles:
                self.deleted_messages.update(message.all_receipt_handles)
                del self._messages[index]
                return
        raise ReceiptHandleIsInvalid()


def _locked(method: Any) -> Any:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        with LOCK:
            return method(self, *args, **kwargs)

    return call


_set_attributes = models.Queue._set_attributes


def _keep_policy(self: Any, attributes: dict[str, Any], now: float | None = None) -> None:
    """What a SetQueueAttributes does not name stays as it is; moto drops the queue's policy (SQS API Reference)."""
    before = getattr(self, "policy", None) if hasattr(self, "_policy_json") else None
    given = attributes if "Policy" in attributes or before is None else {**attributes, "Policy": before}
    _set_attributes(self, given, now)


def apply() -> None:
    replace(models.Queue, "_set_attributes", _keep_policy)
    replace(models, "unix_time_millis", lambda *_: time.time() * 1000)
    replace(models.SQSBackend, "send_message", _send_message)
    replace(models.SQSBackend, "receive_message", _receive_message)
    replace(models.Queue, "delete_message", _delete_message)
    for name in _LOCKED:
        setattr(models.SQSBackend, name, _locked(getattr(models.SQSBackend, name)))
