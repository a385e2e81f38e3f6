"""A worker that dies again and again, of one message."""

from __future__ import annotations

from dualsync.runtime.settings import SideName
from tests.e2e.drill.case import Case, Sizes
from tests.e2e.drill.case_report import Answer
from tests.e2e.drill.environment import Night

CN, GLOBAL = SideName.CN, SideName.GLOBAL
RECEIVES = 5
"""Receives until a message is dead (the queue's redrive policy)."""
BYTES = 41 << 20
"""Nine parts: each worker's first one goes at once under any limit, the others wait. More than there are receives, as a
worker goes on with what the one before it has begun."""
PARTS = str(5 << 20)
SLOW = "1k"


def _sent(answer: Answer) -> str:
    return f"{answer.data['cn->global']['done']} sent"


def _parts(night: Night) -> int:
    """Parts of all uploads that are under way at global, whoever began them."""
    there = night.sides[GLOBAL]
    uploads = there.s3.list_multipart_uploads(Bucket=there.bucket).get("Uploads", ())
    named = [{"Bucket": there.bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]} for upload in uploads]
    return sum(len(there.s3.list_parts(**upload).get("Parts", ())) for upload in named)


def _is_dead(night: Night) -> bool:
    return night.stage.backlog(CN)[1] == 1


def dying(night: Night, sizes: Sizes) -> None:
    """Whoever takes the message is killed with it in hand, as the kernel does when memory is short."""
    night.begin()
    fleet = night.stage.fleet
    # Slowed down, so that a worker can be killed in the middle of the copy.
    night.dualsync("limit", "cn", "--bytes", SLOW, "--yes", told=False)
    heard = lambda: any(fleet.journal.lines("controls", process="worker-cn", bytes_per_second=1000))  # noqa: E731
    night.until("the worker has heard of the limit", heard)
    night.put(CN, {"bomb.bin": b"\0" * BYTES})
    deaths = 0
    while not _is_dead(night):
        # What a killed worker has sent stays: another part is another receive.
        night.until(f"copy {deaths + 1} has begun", lambda n=deaths: _parts(night) > n or _is_dead(night))  # type: ignore[misc]
        if _is_dead(night):
            break
        fleet.workers[CN].kill()
        fleet.mourn(CN)
        fleet.start(CN)
        deaths += 1
    night.told.happened.append(f"a worker is killed with -9 as it copies one object; so are its {deaths - 1} heirs")
    night.check("after at most five receives it is a dead letter, and a worker lives", 3 <= deaths <= RECEIVES, deaths)
    # Half an hour later nobody has died for long.
    night.alarms(now=["cn-dead-letters", "cn-fatal"], lasting=["cn-dead-letters"])
    status = night.status_until(
        "workers that died", lambda s: any("workers died" in p["what"] for p in s["problems"]), 360
    )
    night.told.status = status
    night.check("status: exit code 3", status.code == 3, status.code)
    listed = night.dualsync("dlq", "list", "cn", gist=lambda a: a.data["letters"][0]["reason"])
    night.check("dlq list names the object", listed.code == 3 and listed.data["letters"][0]["keys"] == ["bomb.bin"])
    told = night.dualsync("explain", "bomb.bin", gist=lambda a: a.data["verdict"])
    night.check("explain says why it is not there", told.data is not None and "dead letter" in told.data["verdict"])
    night.told.happened.append("the cause is mended: here the limit that made the copy slow, in life a larger machine")
    night.dualsync("limit", "cn", "--bytes", "0", "--yes", told=False)
    sent = night.dualsync("dlq", "redrive", "cn", "--all", "--yes", gist=_sent)
    night.check("dlq redrive sends it anew", sent.code == 0, sent.err)
    night.same()
    night.check("the worker lives", fleet.workers[CN].process.poll() is None)


SETTINGS = {
    # A message that is not in hand could go to the long poll of a worker that is killed, which is a receive, too.
    "DUALSYNC_WORKER_CONCURRENCY": "1",
    "DUALSYNC_MULTIPART_THRESHOLD": PARTS,
    "DUALSYNC_PART_SIZE": PARTS,
}

CASES = (Case("dying-worker", "A worker that dies again and again", dying, SETTINGS),)
