"""SQS: no lost messages under threads, no polling, the characters of a message, and handles that are no longer valid.

moto rebuilds a queue's list on each deletion while other threads append to it (messages are lost), converts dates
for each comparison with each message (4,000 deep: 16 sends per second), and polls. One lock for SQS prevents this.
moto also takes any character in a message, and lets an older receipt handle extend a message.
Sources: Amazon SQS Developer Guide, "Amazon SQS short and long polling", "Amazon SQS visibility timeout"; Amazon SQS
API Reference, "SendMessage" (allowed characters, InvalidMessageContents), "ChangeMessageVisibility",
"SetQueueAttributes". For a handle whose message is deleted or visible again, SQS answers InvalidParameterValue
("Message does not exist or is not available for visibility timeout change"), not the MessageNotInflight of that page.
"""

from __future__ import annotations

import copy
import functools
import re
import threading
import time
from typing import Any

from moto.sqs import models
from moto.sqs.exceptions import InvalidParameterValue, ReceiptHandleIsInvalid, SQSException

from sandbox.cloud.patches.replace import replace

LOCK = threading.RLock()
_changed = threading.Condition(LOCK)
_POLL_SECONDS = 0.2
"""Interval at which a waiting receive checks delayed messages and expired visibility; a new message ends the wait."""

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


_FORBIDDEN = re.compile("[^\\x09\\x0a\\x0d\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
_send_batch = models.SQSBackend.send_message_batch
_change_visibility = models.SQSBackend.change_message_visibility


class InvalidMessageContents(SQSException):
    """The message has a character outside the allowed set."""

    code = "InvalidMessageContents"
    message = "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | ..."


def _send_message(self: Any, queue_name: str, message_body: str, *args: Any, **kwargs: Any) -> Any:
    if _FORBIDDEN.search(message_body):
        raise InvalidMessageContents
    with LOCK:
        message = _send(self, queue_name, message_body, *args, **kwargs)
        _changed.notify_all()
        return message


def _send_message_batch(
    self: Any, queue_name: str, entries: dict[str, dict[str, Any]]
) -> tuple[list[Any], list[dict[str, Any]]]:
    """Send the entries with allowed characters; report each other one as failed."""
    good = {id: entry for id, entry in entries.items() if not _FORBIDDEN.search(entry["MessageBody"])}
    sent, failed = _send_batch(self, queue_name, good) if good or not entries else ([], [])
    bad = [
        {
            "Id": entry["Id"],
            "SenderFault": True,
            "Code": InvalidMessageContents.code,
            "Message": InvalidMessageContents.message,
        }
        for id, entry in entries.items()
        if id not in good
    ]
    return sent, [*failed, *bad]


def _change_message_visibility(self: Any, queue_name: str, receipt_handle: str, visibility_timeout: int) -> None:
    now = time.time() * 1000
    for message in self.get_queue(queue_name)._messages:
        if message.receipt_handle == receipt_handle and message.visible_at > now:
            _change_visibility(self, queue_name, receipt_handle, visibility_timeout)
            if not int(visibility_timeout):
                _changed.notify_all()
            return
    raise InvalidParameterValue(
        f"Value {receipt_handle} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not"
        " available for visibility timeout change."
    )


def _change_message_visibility_batch(
    self: Any, queue_name: str, entries: list[dict[str, Any]]
) -> tuple[list[str], list[dict[str, Any]]]:
    changed: list[str] = []
    failed: list[dict[str, Any]] = []
    for entry in entries:
        try:
            _change_message_visibility(self, queue_name, entry["ReceiptHandle"], int(entry["VisibilityTimeout"]))
            changed.append(entry["Id"])
        except SQSException as e:
            failed.append({"Id": entry["Id"], "SenderFault": True, "Code": e.code, "Message": e.message})
    return changed, failed


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
    """Keep what a SetQueueAttributes does not name; moto drops the queue's policy."""
    before = getattr(self, "policy", None) if hasattr(self, "_policy_json") else None
    given = attributes if "Policy" in attributes or before is None else {**attributes, "Policy": before}
    _set_attributes(self, given, now)


def apply() -> None:
    replace(models.Queue, "_set_attributes", _keep_policy)
    replace(models, "unix_time_millis", lambda *_: time.time() * 1000)
    replace(models.SQSBackend, "send_message", _send_message)
    replace(models.SQSBackend, "send_message_batch", _send_message_batch)
    replace(models.SQSBackend, "change_message_visibility", _change_message_visibility)
    replace(models.SQSBackend, "change_message_visibility_batch", _change_message_visibility_batch)
    replace(models.SQSBackend, "receive_message", _receive_message)
    replace(models.Queue, "delete_message", _delete_message)
    for name in _LOCKED:
        setattr(models.SQSBackend, name, _locked(getattr(models.SQSBackend, name)))
