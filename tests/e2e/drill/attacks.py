"""Cases of attacks: forged and replayed queue messages, and a stolen key."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.exceptions import ClientError

from dualsync.runtime.log import Outcome, State
from dualsync.runtime.messages import part_request_codec, sync_request_codec
from dualsync.runtime.messages.part_request import PartRequest
from dualsync.runtime.messages.sync_request import Cause, SyncRequest
from dualsync.runtime.model.ledger_entry import CopyState, SyncedVersion
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.cloud.handle import client
from sandbox.demo.comparison import wait_for
from tests.e2e.drill.case import Case, Sizes
from tests.e2e.drill.environment import BASELINE, DeadlineError, Drill
from tests.e2e.drill.runbook import Page
from tests.support.fakes.notification import Event, body

CN, GLOBAL = SideName.CN, SideName.GLOBAL

HIGHEST = "F" * 32
"""A sequencer above that of every event to come."""

USER = "AWS:AIDAFORGEDFORGEDFORGE"

ANOTHER_BUCKET = "another-teams-bucket"

Snapshot = dict[tuple[SideName, str], tuple[str, datetime]]


def send_forged_messages(drill: Drill, sizes: Sizes) -> None:
    """Send forged messages to cn's queue as the account's operator, and replay a message of the finder."""
    drill.begin()
    victims = [f"before/{side}/{n}.txt" for side in SideName for n in range(BASELINE)]
    before = _snapshot(drill)
    messages = list(_forgeries(drill, victims))
    _send(drill, messages)
    drill.until("the forged messages are processed", lambda: drill.stage.backlog(CN)[0] == 0)
    drill.note(
        f"{len(messages)} forged messages about {len(victims)} objects are in cn's queue: deletions, newer versions,"
        " echoes, unrecorded copies, parts of uploads, and another bucket's events"
    )
    now = _snapshot(drill)
    changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    drill.check("no object was written or deleted on either side", not changed, changed[:5])
    reason = f"a record of another bucket: {ANOTHER_BUCKET!r}"
    logged = drill.stage.fleet.lines(CN, "outcome", outcome=Outcome.SKIPPED, reason=reason)
    drill.check("each event of the other bucket is logged", len(logged) == len(victims), len(logged))
    drill.put(CN, {key: f"a user's new version of {key}".encode() for key in victims})
    drill.settle()
    drill.note("then users overwrite all these objects; the forged sequencers are higher than theirs")
    unsettled = drill.unsettled_keys()
    drill.check("users' later changes are copied by their events", not unsettled, unsettled[:5])
    _replay_deletion(drill)
    drill.report.status = drill.status_until("healthy", lambda status: status["healthy"])
    drill.alarms()
    drill.check_same()
    drill.check_healthy()
    drill.check("no message became a dead letter", not any(drill.stage.backlog(side)[1] for side in SideName))


def _snapshot(drill: Drill) -> Snapshot:
    found: Snapshot = {}
    for side, place in drill.sides.items():
        for page in place.s3.get_paginator("list_objects_v2").paginate(Bucket=place.bucket):
            found |= {(side, o["Key"]): (o["ETag"], o["LastModified"]) for o in page.get("Contents", ())}
    return found


def _forgeries(drill: Drill, keys: list[str]) -> Iterator[str]:
    place, region, now = drill.sides[CN], ACCOUNTS[CN].region, int(time.time())
    echo = f"AWS:{drill.stage.fleet.outputs[CN]['userId']}"
    for key in keys:
        for principal in (USER, echo):
            for name in ("ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated", "LifecycleExpiration:Delete"):
                yield body(Event(name, now, principal, place.bucket, region, key, HIGHEST))
            yield body(
                Event("ObjectCreated:Put", now + 9e8, principal, place.bucket, region, key, HIGHEST, "0" * 32, 1)
            )
        yield body(Event("ObjectRemoved:Delete", now, USER, ANOTHER_BUCKET, region, key, HIGHEST))
        held = CopyState("0" * 32, now)
        for cause in Cause:
            yield sync_request_codec.encode(
                SyncRequest(
                    key,
                    cause,
                    sequencer=HIGHEST,
                    full_check=True,
                    may_delete=True,
                    may_have_written=True,
                    unrecorded=SyncedVersion(OriginVersion(CN, now, "0" * 32), held, held),
                )
            )
        part = part_request_codec.encode(PartRequest(key, "local>remote", keys[0], "upload-1", 1, 2))
        yield part
        yield json.dumps({"redrive": part})


def _send(drill: Drill, messages: list[str]) -> None:
    sqs, url = drill.stage.cloud.client(CN, "sqs"), drill.stage.fleet.outputs[CN]["queueUrl"]
    for at in range(0, len(messages), 10):
        entries = [{"Id": str(n), "MessageBody": text} for n, text in enumerate(messages[at : at + 10])]
        refused = sqs.send_message_batch(QueueUrl=url, Entries=entries).get("Failed", ())
        if refused:
            raise OSError(f"the queue refuses {refused}")


def _replay_deletion(drill: Drill) -> None:
    """Send a deletion that the finder has queued a second time, after a user wrote the key again."""
    key, fleet = "before/cn/0.txt", drill.stage.fleet
    s3, bucket = drill.stage.cloud.client(CN, "s3"), drill.sides[CN].bucket
    notification = s3.get_bucket_notification_configuration(Bucket=bucket)
    notification.pop("ResponseMetadata")
    for side in SideName:
        fleet.workers[side].stop()
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    drill.delete(CN, [key])
    drill.expected.delete(key)
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=notification)
    fleet.find(CN, {})
    signed = _copy_message(drill)
    for side in SideName:
        fleet.start(side)
    drill.settle()
    drill.put(CN, {key: b"written again after its deletion"})
    drill.settle()
    before = _snapshot(drill)
    _send(drill, [signed] * 3)
    drill.until("the replayed messages are processed", lambda: drill.stage.backlog(CN)[0] == 0)
    drill.note(f"a user deletes {key} and writes it again; the finder's authentic deletion is sent again afterwards")
    drill.check("the replayed deletion deletes nothing", _snapshot(drill) == before)


def _copy_message(drill: Drill) -> str:
    """Read the finder's message in cn's queue, and leave it there."""
    sqs, url = drill.stage.cloud.client(CN, "sqs"), drill.stage.fleet.outputs[CN]["queueUrl"]
    found: list[str] = []

    def received() -> bool:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        bodies = (str(message["Body"]) for message in answer.get("Messages", ()))
        found.extend(text for text in bodies if '"authenticator"' in text and '"deletion": true' in text)
        return bool(found)

    if not wait_for(received, 10):
        raise DeadlineError("no authenticated deletion of the finder arrived in 10 s")
    return found[0]


def use_stolen_key(drill: Drill, sizes: Sizes) -> None:
    """Use the key of global's user as a thief would, then follow the page of the runbook command by command."""
    s3, bucket = drill.stage.cloud.client(GLOBAL, "s3"), drill.sides[GLOBAL].bucket
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    drill.begin()
    thief = _thief(drill)
    since = datetime.now(UTC).replace(microsecond=0)
    second = int(time.time())
    drill.until("S3's next second", lambda: int(time.time()) > second, 5)
    for n in range(3):
        thief.put_object(Bucket=bucket, Key=f"before/cn/{n}.txt", Body=b"the thief's content")
        thief.delete_object(Bucket=bucket, Key=f"before/global/{n}.txt")
        thief.put_object(Bucket=bucket, Key=f"thief/{n}.txt", Body=b"the thief's object")
    drill.until("the thief's events are processed", lambda: not any(drill.stage.backlog(s)[0] for s in SideName))
    drill.note("a thief with the key of global's user overwrites, deletes and adds objects in global's bucket")
    here = _sizes(drill, CN)
    written = [key for n in range(3) for key in (f"before/cn/{n}.txt", f"thief/{n}.txt")]
    sizes_there = _sizes(drill, GLOBAL)
    copied = all(here.get(k) == sizes_there[k] for k in written)
    drill.check("what the thief wrote is copied like a user's change", copied)
    kept = [f"before/global/{n}.txt" in here for n in range(3)]
    drill.check("deletions are not copied before a finder runs", all(kept), kept)
    _follow_page(drill, Page(drill, "A key was stolen"), thief, since, sizes)
    for side in SideName:
        drill.stage.fleet.find(side, {})
    drill.check_same()
    drill.check_healthy()
    try:
        thief.list_objects_v2(Bucket=bucket)
        drill.check("the stolen key is refused", False)
    except ClientError as e:
        code = e.response["Error"]["Code"]
        drill.check("the stolen key is refused", code == "InvalidAccessKeyId", code)
    drill.check("no message became a dead letter", not any(drill.stage.backlog(side)[1] for side in SideName))


def _follow_page(drill: Drill, page: Page, thief: Any, since: datetime, sizes: Sizes) -> None:
    facts, bucket = drill.stage.fleet.outputs[GLOBAL], drill.sides[GLOBAL].bucket
    asked = page.dualsync("dualsync rotate-key")
    page.aws("aws iam update-access-key", [{"USER": facts["userName"], "KEY_ID": asked.data["secret_names"]}])
    try:
        thief.put_object(Bucket=bucket, Key="thief/late.txt", Body=b"")
        drill.check("the inactive key is refused", False)
    except ClientError:
        drill.check("the inactive key is refused", True)
    drill.put(CN, {f"meanwhile/{n}.txt": b"waits" for n in range(sizes.objects)})
    page.dualsync("dualsync pause")
    still = {State.PAUSED, State.WAITING_FOR_PEER}
    drill.status_until("both directions are paused", lambda s: {d["state"] for d in s["directions"]} <= still)
    drill.report.status = page.dualsync("dualsync status")
    for side in SideName:
        drill.stage.fleet.find(side, {})
    drill.note("both finders run while the directions are paused")
    (listing,) = page.aws("aws s3api list-object-versions", [{"BUCKET": bucket}])
    theirs = [
        {"BUCKET": bucket, "KEY": version["Key"], "VERSION_ID": version["VersionId"]}
        for version in (*listing.get("Versions", ()), *listing.get("DeleteMarkers", ()))
        if version["LastModified"] > since
    ]
    drill.check("the listing has the nine versions and markers of the thief", len(theirs) == 9, len(theirs))
    page.aws("aws s3api delete-object", theirs)
    rotated = page.dualsync("dualsync rotate-key")
    drill.check("rotate-key replaces the key", rotated.code == 0, rotated.out[-200:] + rotated.err[-200:])
    page.dualsync("dualsync resume")
    drained = page.dualsync("dualsync drain")
    drill.check("drain: nothing waits", drained.code == 0, drained.err)
    compared = page.dualsync("dualsync verify")
    drill.check("verify at the page's end: both sides are equal", compared.code == 0, compared.out[-300:])
    drill.check("every command of the page was run", not page.left, page.left)


def _thief(drill: Drill) -> Any:
    """Return an S3 client with the key that the secret in cn's account holds."""
    secrets = drill.stage.cloud.client(CN, "secretsmanager")
    text = secrets.get_secret_value(SecretId=drill.stage.fleet.outputs[CN]["secretName"])["SecretString"]
    held = json.loads(text)
    session = boto3.Session(held["access_key_id"], held["secret_access_key"], region_name=ACCOUNTS[GLOBAL].region)
    return client(session, "s3", drill.stage.cloud.endpoint)


def _sizes(drill: Drill, side: SideName) -> dict[str, int]:
    return {key: size for key, (_, size) in drill.sides[side].listing().items()}


CASES = (
    Case("forged-message", "Forged and replayed messages in the queue", send_forged_messages),
    Case("stolen-key", "A stolen key, and the runbook's page", use_stolen_key),
)
