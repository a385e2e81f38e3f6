"""What users do to the pair: very many deletions by mistake, and very many conflicts."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from dualsync.runtime.settings import SideName
from tests.e2e.drill.case import Case, Sizes
from tests.e2e.drill.case_report import Answer
from tests.e2e.drill.environment import Night

CN, GLOBAL = SideName.CN, SideName.GLOBAL
SETTLE_EACH = 0.1
"""Seconds that an object may take, besides the usual ones, where there are very many."""


def _many(night: Night, count: int) -> list[str]:
    """A bucket in use: objects on both sides before anything is deployed; the first finder run learns of them."""
    objects = {f"archive/{n % 100:02}/{n:06}.txt": f"document {n}".encode() for n in range(count)}
    for side in SideName:
        night.put(side, objects)
    night.begin()
    return list(objects)


def _pending(answer: Answer) -> str:
    return f"{len(answer.data['pending'])} pending, {sum(hold['count'] for hold in answer.data['held'])} held"


def lost(night: Night, sizes: Sizes) -> None:
    """Deletions whose events never came: the finder finds them all at once, and holds them."""
    count = sizes.deletions
    keys = _many(night, count)
    s3, bucket = night.stage.cloud.client(CN, "s3"), night.sides[CN].bucket
    notification = s3.get_bucket_notification_configuration(Bucket=bucket)
    notification.pop("ResponseMetadata")
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    night.delete(CN, keys)
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=notification)
    night.told.happened.append(f"{count} objects are deleted at cn by mistake while its notification is gone")
    for side in SideName:
        night.stage.fleet.find(side, {}, 60 + count * SETTLE_EACH)
    there = len(night.sides[GLOBAL].listing())
    night.check("the finder has deleted nothing", there == len(night.expected.contents), there)
    status = night.status_until("deletions are held", lambda s: any("held" in p["what"] for p in s["problems"]))
    night.told.status = status
    night.check("status: exit code 3", status.code == 3, status.code)
    night.alarms(now=["cn-held-deletions", "global-held-deletions"])
    listed = night.dualsync("deletions", "list", gist=lambda a: f"{[hold['count'] for hold in a.data['held']]} held")
    counts = [hold["count"] for hold in listed.data["held"]]
    night.check("deletions list has all", listed.code == 3 and counts == [count, count], counts)
    _reject(night, count)
    night.settle(60 + count * SETTLE_EACH)
    night.same()
    night.well()


def _reject(night: Night, count: int) -> None:
    taken = night.dualsync("deletions", "reject", "--yes", gist=lambda a: f"{a.data['kept']} written again")
    night.check("deletions reject brings them back", taken.code == 0 and taken.data["kept"] == count, taken.data)


def live(night: Night, sizes: Sizes) -> None:
    """Deletions that travel as events: an alarm tells, pausing saves the rest, versions have what is gone."""
    count = sizes.deletions
    s3, bucket = night.stage.cloud.client(GLOBAL, "s3"), night.sides[GLOBAL].bucket
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    keys = _many(night, count)
    begun = datetime.now(UTC).replace(microsecond=0)
    night.delete(CN, keys)
    night.woken("cn-many-deletions")
    paused = night.dualsync("pause", "cn", "--yes", "--wait", "--reason", "mass deletion at cn", "--timeout", "120")
    night.check("pause: no worker has anything in hand", paused.code == 0 and paused.data["still"], paused.data)
    survivors = {key for key in night.sides[GLOBAL].listing() if key.startswith("archive/")}
    saved, gone = len(survivors), count - len(survivors)
    night.told.happened.append(
        f"{count} objects are deleted at cn by mistake; the alarm wakes somebody, the direction is paused: {gone} are"
        f" deleted at global, too, by then; its bucket keeps versions"
    )
    status = night.status_until("cn->global is paused", lambda s: s["directions"][0]["state"] == "PAUSED")
    night.told.status = status
    night.check("status: exit code 3", status.code == 3, status.code)
    waits = ["cn-oldest-message"] if night.stage.backlog(CN)[0] else []
    night.alarms(now=["cn-many-deletions"], lasting=waits)
    listed = night.dualsync("deletions", "list", "--live", gist=_pending)
    night.check("deletions list --live names the saved", _keys(listed) == survivors, len(_keys(listed)))
    _reject(night, saved)
    back = night.dualsync(
        "deletions", "restore", "--since", begun.isoformat(), "--yes", gist=lambda a: f"{a.data['restored']} restored"
    )
    night.check(
        "deletions restore brings back what is gone", back.code == 0 and back.data["restored"] == gone, back.out
    )
    resumed = night.dualsync("resume", "cn")
    night.check("resume", resumed.code == 0, resumed.err)
    night.settle(60 + count * SETTLE_EACH)
    night.same()
    kept = len(set(keys) & set(night.sides[CN].listing()))
    night.check("every object is back at cn", kept == count, f"{kept} of {count}")
    night.well()


def _keys(answer: Answer) -> set[str]:
    return {deletion["key"] for deletion in answer.data["pending"]}


def storm(night: Night, sizes: Sizes) -> None:
    """Users of both sides write the same keys while no worker looks."""
    night.begin()
    count, fleet = sizes.conflicts, night.stage.fleet
    for side in SideName:
        fleet.workers[side].stop()
    keys = [f"shared/{n}.txt" for n in range(count)]
    night.put(CN, {key: f"cn's {key}".encode() for key in keys})
    second = int(time.time())
    night.until("S3's next second", lambda: int(time.time()) > second, 5)
    night.put(GLOBAL, {key: f"global's {key}".encode() for key in keys})
    for side in SideName:
        fleet.start(side)
    night.told.happened.append(f"{count} keys are written on both sides while no worker runs, later at global")
    night.settle()
    status = night.status_until("conflicts are told", lambda s: s["directions"][0]["conflicts"] > 0)
    night.told.status = status
    night.check("status: exit code 0, for all is settled", status.code == 0, status.data["problems"])
    night.check("the later write won everywhere", not night.late(), night.late()[:3])
    night.alarms(now=["cn-many-conflicts", "global-many-conflicts"], lasting=[])
    listed = night.dualsync("conflicts", "list", gist=lambda a: f"{len(a.data['conflicts'])} conflicts")
    found: list[dict[str, Any]] = listed.data["conflicts"]
    night.check("conflicts list has all", listed.code == 3 and {c["key"] for c in found} == {*keys}, len(found))
    undone = night.dualsync("conflicts", "undo", keys[0], "--yes", gist=lambda a: f"{a.data['undone']} undone")
    night.check("conflicts undo brings a loser back", undone.code == 0, undone.err)
    night.expected.write(keys[0], f"cn's {keys[0]}".encode())
    night.settle()
    # Listings tell sizes; these contents differ in size by side.
    night.check("the loser is back on both sides", not night.late(), night.late()[:3])
    struck = night.dualsync("conflicts", "resolve", "--all", "--yes", gist=lambda a: f"{a.data['resolved']} resolved")
    night.check("conflicts resolve accepts the rest", struck.code == 0, struck.err)
    night.check("no conflict is left on the list", night.dualsync("conflicts", "list").code == 0)
    night.same()
    night.well()


CASES = (
    Case("deletions-lost", "Deletions by mistake, found by the finder", lost),
    Case(
        "deletions-live",
        "Deletions by mistake, as events",
        live,
        config=lambda sizes: {"deletionsAlarm": max(1, sizes.deletions // 10)},
    ),
    Case(
        "conflicts",
        "A conflict storm",
        storm,
        config=lambda sizes: {"conflictsAlarm": max(1, sizes.conflicts // 2)},
    ),
)
