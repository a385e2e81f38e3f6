"""Cases of dead letters: a few that no worker can decode, and hundreds with one cause."""

from __future__ import annotations

import json

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.demo.comparison import wait_for
from tests.e2e.drill.case import Case, Sizes
from tests.e2e.drill.case_report import Answer
from tests.e2e.drill.environment import DeadlineError, Drill

CN, GLOBAL = SideName.CN, SideName.GLOBAL

UNDECODABLE = (
    "[" * 100_000,
    '{"Records": [{"eventName": "ObjectCreated:Put", "s3": {"object": {"key": 7, "size": -1}}}]}',
    '{"dualsync": {"key": "before/cn/0.txt", "cause": "finding", "since": 1e999}, "format": 2}',
)
"""Messages that no worker can decode: nested too deeply, with wrong types, and with a number out of range."""


def _letters(answer: Answer) -> str:
    count = len(answer.data["letters"])
    return f"{count} dead letter{'' if count == 1 else 's'}"


def _moved(answer: Answer) -> str:
    counts = answer.data["cn->global"]
    return f"{counts['done']} done, {counts['unreadable']} unreadable, {counts['left']} left"


def deliver_undecodable_messages(drill: Drill, sizes: Sizes) -> None:
    """Deliver messages that no worker can decode, among them the first half of an event."""
    drill.begin()
    _put_undecodable_messages(drill)
    count = len(UNDECODABLE) + 1
    drill.note(f"the event of one new object arrives cut in half, beside {len(UNDECODABLE)} other undecodable messages")
    neighbours = {f"neighbours/{n}.txt": b"its event is complete" for n in range(sizes.objects)}
    drill.put(CN, neighbours)
    drill.until("other changes arrive", lambda: neighbours.keys() <= drill.sides[GLOBAL].listing().keys())
    drill.check("other changes arrive while these messages are received again", drill.stage.backlog(CN)[1] < count)
    drill.until("these messages are dead letters", lambda: drill.stage.backlog(CN)[1] == count)
    drill.note("after five receives each of them is a dead letter")
    drill.check("the worker is still running", drill.stage.fleet.workers[CN].process.poll() is None)
    status = drill.status_until("dead letters", lambda s: s["directions"][0]["dead"]["visible"] == count)
    drill.report.status = status
    drill.check("status: exit code 3", status.code == 3, status.code)
    drill.alarms(now=["cn-dead-letters"])
    listed = drill.dualsync("dlq", "list", "cn", gist=_letters)
    letters = listed.data["letters"]
    shown = len(letters) == count and all(not letter["readable"] and letter["body"] for letter in letters)
    drill.check("dlq list shows the unreadable bodies", shown, letters)
    again = drill.dualsync("dlq", "redrive", "cn", "--all", "--yes", gist=_moved)
    drill.check("dlq redrive refuses unreadable messages", again.code == 3 and drill.stage.backlog(CN)[1] == count)
    verified = drill.dualsync("verify", "--grace", "0", gist=lambda a: a.data["verdict"])
    drill.check("verify finds the object that was not copied", verified.code == 3 and verified.data["faults"] == 1)
    dropped = drill.dualsync("dlq", "drop", "cn", "--all", "--yes", gist=_moved)
    drill.check("dlq drop removes them", dropped.code == 0 and drill.stage.backlog(CN)[1] == 0, dropped.err)
    drill.dualsync("reconcile", "--yes", gist=lambda a: f"{a.data['cn->global']['queued']} queued")
    drill.check_same()
    drill.check_healthy()


def _put_undecodable_messages(drill: Drill) -> None:
    """While no worker runs, replace an event in the queue by its first half, and add the undecodable messages."""
    fleet, sqs = drill.stage.fleet, drill.stage.cloud.client(CN, "sqs")
    url = fleet.outputs[CN]["queueUrl"]
    fleet.workers[CN].stop()
    drill.put(CN, {"poison.txt": b"its event arrives cut in half"})
    body = ""

    def received() -> bool:
        nonlocal body
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1).get("Messages", ()):
            body = message["Body"]
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bool(body)

    if not wait_for(received, 10):
        raise DeadlineError("the event of poison.txt did not arrive in 10 s")
    for text in (body[: len(body) // 2], *UNDECODABLE):
        sqs.send_message(QueueUrl=url, MessageBody=text)
    fleet.start(CN)


def fill_dead_letter_queue(drill: Drill, sizes: Sizes) -> None:
    """Refuse every write by a policy of the other bucket, for longer than a worker retries."""
    drill.begin()
    s3, bucket = drill.stage.cloud.client(GLOBAL, "s3"), drill.sides[GLOBAL].bucket
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:{ACCOUNTS[GLOBAL].partition}:s3:::{bucket}/*",
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    count = sizes.letters
    drill.note(f"global's bucket refuses writes for longer than workers retry; {count} objects are written at cn")
    drill.put(CN, {f"refused/{n}.txt": f"{n}".encode() for n in range(count)})
    drill.until(f"{count} dead letters", lambda: drill.stage.backlog(CN)[1] == count, 60 + count)
    status = drill.status_until("dead letters", lambda s: s["directions"][0]["dead"]["visible"] == count)
    drill.report.status = status
    drill.check(
        "status: exit code 3, and names the reason denied",
        status.code == 3 and "denied" in _problems(status),
        _problems(status),
    )
    drill.alarms(now=["cn-dead-letters"])
    listed = drill.dualsync("dlq", "list", "cn", "--limit", "100000", gist=_letters)
    reasons = {letter["reason"].split(":")[0] for letter in listed.data["letters"]}
    drill.check("dlq list has all, with the reason", len(listed.data["letters"]) == count and reasons == {"denied"})
    s3.delete_bucket_policy(Bucket=bucket)
    drill.note("the policy is removed")
    sent = drill.dualsync("dlq", "redrive", "cn", "--all", "--yes", gist=_moved)
    drill.check("dlq redrive sends all again", sent.code == 0 and sent.data["cn->global"]["done"] == count, sent.data)
    drill.check_same()
    drill.check("the dead-letter queue is empty", not any(drill.stage.backlog(side)[1] for side in SideName))
    drill.check_healthy()


def _problems(status: Answer) -> str:
    return "; ".join(problem["what"] for problem in status.data["problems"])


CASES = (
    Case("poison", "Messages that no worker can decode", deliver_undecodable_messages),
    Case("dead-letters", "A full dead-letter queue", fill_dead_letter_queue, {"DUALSYNC_DENIED_SECONDS": "0"}),
)
