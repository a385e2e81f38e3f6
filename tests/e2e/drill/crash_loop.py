"""Case of a crash loop: a worker is killed each time it receives one certain message."""

from __future__ import annotations

from dualsync.runtime.settings import SideName
from tests.e2e.drill.case import Case, Sizes
from tests.e2e.drill.case_report import Answer
from tests.e2e.drill.environment import Drill

CN, GLOBAL = SideName.CN, SideName.GLOBAL
RECEIVES = 5
"""Receives before SQS moves a message to the dead-letter queue (the queue's redrive policy)."""

BYTES = 41 << 20
"""Size of the object: nine parts. The speed limit lets the first part of each worker pass at once; the others wait.
There are more parts than receives, because a worker continues the upload of the one before it."""

PARTS = str(5 << 20)
"""Part size, and size above which an object is copied in parts, in bytes."""

SLOW = "1k"
"""Bytes per second that the direction is limited to."""


def _sent(answer: Answer) -> str:
    return f"{answer.data['cn->global']['done']} sent"


def _parts(drill: Drill) -> int:
    """Count the parts of all unfinished uploads at global."""
    there = drill.sides[GLOBAL]
    uploads = there.s3.list_multipart_uploads(Bucket=there.bucket).get("Uploads", ())
    named = [{"Bucket": there.bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]} for upload in uploads]
    return sum(len(there.s3.list_parts(**upload).get("Parts", ())) for upload in named)


def _is_dead(drill: Drill) -> bool:
    return drill.stage.backlog(CN)[1] == 1


def kill_workers(drill: Drill, sizes: Sizes) -> None:
    """Kill every worker that processes the message, as the kernel does when memory is short."""
    drill.begin()
    fleet = drill.stage.fleet
    # The limit keeps the copy running long enough to kill the worker during it.
    drill.dualsync("limit", "cn", "--bytes", SLOW, "--yes", reported=False)
    limited = lambda: any(fleet.journal.lines("controls", process="worker-cn", bytes_per_second=1000))  # noqa: E731
    drill.until("the worker applies the limit", limited)
    drill.put(CN, {"bomb.bin": b"\0" * BYTES})
    kills = 0
    while not _is_dead(drill):
        # The parts that a killed worker uploaded stay, so one more part is one more receive.
        drill.until(f"copy {kills + 1} has begun", lambda n=kills: _parts(drill) > n or _is_dead(drill))  # type: ignore[misc]
        if _is_dead(drill):
            break
        fleet.workers[CN].kill()
        fleet.log_exit(CN)
        fleet.start(CN)
        kills += 1
    drill.note(f"{kills} workers in a row are killed (SIGKILL) while they copy the same object")
    drill.check("after at most five receives the message is a dead letter", 3 <= kills <= RECEIVES, kills)
    # Half an hour later the kills are out of the alarm's period, so only the alarm about dead letters remains.
    drill.alarms(now=["cn-dead-letters", "cn-fatal"], lasting=["cn-dead-letters"])
    status = drill.status_until(
        "ended workers are reported", lambda s: any("workers crashed" in p["what"] for p in s["problems"]), 360
    )
    drill.report.status = status
    drill.check("status: exit code 3", status.code == 3, status.code)
    listed = drill.dualsync("dlq", "list", "cn", gist=lambda a: a.data["letters"][0]["reason"])
    drill.check("dlq list names the object", listed.code == 3 and listed.data["letters"][0]["keys"] == ["bomb.bin"])
    answer = drill.dualsync("explain", "bomb.bin", gist=lambda a: a.data["verdict"])
    drill.check("explain names the dead letter", answer.data is not None and "dead letter" in answer.data["verdict"])
    drill.note("the cause is removed: here the speed limit; in production, too little memory")
    drill.dualsync("limit", "cn", "--bytes", "0", "--yes", reported=False)
    sent = drill.dualsync("dlq", "redrive", "cn", "--all", "--yes", gist=_sent)
    drill.check("dlq redrive sends it again", sent.code == 0, sent.err)
    drill.check_same()
    drill.check("the worker is still running", fleet.workers[CN].process.poll() is None)


SETTINGS = {
    # One message at a time: a second one could be delivered to a worker that is about to be killed, which is a receive.
    "DUALSYNC_WORKER_CONCURRENCY": "1",
    "DUALSYNC_MULTIPART_THRESHOLD": PARTS,
    "DUALSYNC_PART_SIZE": PARTS,
}

CASES = (Case("dying-worker", "A worker that is killed again and again", kill_workers, SETTINGS),)
