"""Dead letters: one that no worker can read, and very many of one cause."""

from __future__ import annotations

import json

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.demo.comparison import wait_for
from tests.e2e.drill.case import Case, Sizes
from tests.e2e.drill.case_report import Answer
from tests.e2e.drill.environment import Night, NotInTime

CN, GLOBAL = SideName.CN, SideName.GLOBAL


def _letters(answer: Answer) -> str:
    return f"{len(answer.data['letters'])} letters"


def _moved(answer: Answer) -> str:
    counts = answer.data["cn->global"]
    return f"{counts['done']} done, {counts['unreadable']} unreadable, {counts['left']} left"


def poison(night: Night, sizes: Sizes) -> None:
    """The event of a write arrives mangled: no worker can read it, however often it is received."""
    night.begin()
    _mangle_one(night)
    night.told.happened.append("the event of one new object arrives cut in half; five receives later it is dead")
    night.until("the message is a dead letter", lambda: night.stage.backlog(CN)[1] == 1)
    status = night.status_until("a dead letter", lambda s: s["directions"][0]["dead"]["visible"] == 1)
    night.told.status = status
    night.check("status: exit code 3", status.code == 3, status.code)
    night.alarms(now=["cn-dead-letters"])
    listed = night.dualsync("dlq", "list", "cn", gist=_letters)
    unreadable = listed.data["letters"][0]
    night.check("dlq list shows the body that can't be read", not unreadable["readable"] and bool(unreadable["body"]))
    again = night.dualsync("dlq", "redrive", "cn", "--all", "--yes", gist=_moved)
    night.check("dlq redrive refuses what can't be read", again.code == 3 and night.stage.backlog(CN)[1] == 1)
    verified = night.dualsync("verify", "--grace", "0", gist=lambda a: a.data["verdict"])
    night.check("verify finds the object that did not travel", verified.code == 3 and verified.data["faults"] == 1)
    dropped = night.dualsync("dlq", "drop", "cn", "--all", "--yes", gist=_moved)
    night.check("dlq drop removes it", dropped.code == 0 and night.stage.backlog(CN)[1] == 0, dropped.err)
    night.dualsync("reconcile", "--yes", gist=lambda a: f"{a.data['cn->global']['queued']} queued")
    night.same()
    night.well()


def _mangle_one(night: Night) -> None:
    """With no worker at it, take an event out of the queue, and put half of it back."""
    fleet, sqs = night.stage.fleet, night.stage.cloud.client(CN, "sqs")
    url = fleet.outputs[CN]["queueUrl"]
    fleet.workers[CN].stop()
    night.put(CN, {"poison.txt": b"its event arrives mangled"})
    body = ""

    def received() -> bool:
        nonlocal body
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1).get("Messages", ()):
            body = message["Body"]
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bool(body)

    if not wait_for(received, 10):
        raise NotInTime("the event of poison.txt did not come")
    sqs.send_message(QueueUrl=url, MessageBody=body[: len(body) // 2])
    fleet.start(CN)


def full(night: Night, sizes: Sizes) -> None:
    """A policy of the other bucket refuses every write, for longer than a worker waits."""
    night.begin()
    s3, bucket = night.stage.cloud.client(GLOBAL, "s3"), night.sides[GLOBAL].bucket
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:{ACCOUNTS[GLOBAL].partition}:s3:::{bucket}/*",
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    count = sizes.letters
    night.told.happened.append(f"global's bucket refuses writes (six hours pass); {count} objects are written at cn")
    night.put(CN, {f"refused/{n}.txt": f"{n}".encode() for n in range(count)})
    night.until(f"{count} dead letters", lambda: night.stage.backlog(CN)[1] == count, 60 + count)
    status = night.status_until("dead letters", lambda s: s["directions"][0]["dead"]["visible"] == count)
    night.told.status = status
    night.check("status: exit code 3, and says denied", status.code == 3 and "denied" in _all(status), _all(status))
    night.alarms(now=["cn-dead-letters"])
    listed = night.dualsync("dlq", "list", "cn", "--limit", "100000", gist=_letters)
    reasons = {letter["reason"].split(":")[0] for letter in listed.data["letters"]}
    night.check("dlq list has all, with the reason", len(listed.data["letters"]) == count and reasons == {"denied"})
    s3.delete_bucket_policy(Bucket=bucket)
    night.told.happened.append("the policy is mended")
    sent = night.dualsync("dlq", "redrive", "cn", "--all", "--yes", gist=_moved)
    night.check("dlq redrive sends all anew", sent.code == 0 and sent.data["cn->global"]["done"] == count, sent.data)
    night.same()
    night.check("the dead-letter queue is empty", not any(night.stage.backlog(side)[1] for side in SideName))
    night.well()


def _all(status: Answer) -> str:
    return "; ".join(problem["what"] for problem in status.data["problems"])


CASES = (
    Case("poison", "A poison message", poison),
    Case("dead-letters", "A full dead-letter queue", full, {"DUALSYNC_DENIED_SECONDS": "0"}),
)
