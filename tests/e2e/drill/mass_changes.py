"""Cases of mass changes: thousands of deletions by mistake, and hundreds of conflicts."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from dualsync.runtime.settings import SideName
from tests.e2e.drill.case import Case, Sizes
from tests.e2e.drill.case_report import Answer
from tests.e2e.drill.environment import Drill

CN, GLOBAL = SideName.CN, SideName.GLOBAL
SETTLE_EACH = 0.1
"""Seconds per object that are added to a deadline."""


def _begin_with_objects(drill: Drill, count: int) -> list[str]:
    """Create objects on both sides before deployment; the first finder run records them."""
    objects = {f"archive/{n % 100:02}/{n:06}.txt": f"document {n}".encode() for n in range(count)}
    for side in SideName:
        drill.put(side, objects)
    drill.begin()
    return list(objects)


def _pending(answer: Answer) -> str:
    return f"{len(answer.data['pending'])} pending, {sum(hold['count'] for hold in answer.data['held'])} held"


def delete_without_events(drill: Drill, sizes: Sizes) -> None:
    """Delete while the notification is missing: one finder run finds all deletions and holds them."""
    count = sizes.deletions
    keys = _begin_with_objects(drill, count)
    s3, bucket = drill.stage.cloud.client(CN, "s3"), drill.sides[CN].bucket
    notification = s3.get_bucket_notification_configuration(Bucket=bucket)
    notification.pop("ResponseMetadata")
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    drill.delete(CN, keys)
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=notification)
    drill.note(f"{count} objects are deleted at cn by mistake while its notification is gone")
    for side in SideName:
        drill.stage.fleet.find(side, {}, 60 + count * SETTLE_EACH)
    there = len(drill.sides[GLOBAL].listing())
    drill.check("the finder has deleted nothing", there == len(drill.expected.contents), there)
    status = drill.status_until("deletions are held", lambda s: any("held" in p["what"] for p in s["problems"]))
    drill.report.status = status
    drill.check("status: exit code 3", status.code == 3, status.code)
    drill.alarms(now=["cn-held-deletions", "global-held-deletions"])
    listed = drill.dualsync("deletions", "list", gist=lambda a: f"{[hold['count'] for hold in a.data['held']]} held")
    counts = [hold["count"] for hold in listed.data["held"]]
    drill.check("deletions list has all", listed.code == 3 and counts == [count, count], counts)
    _reject(drill, count)
    drill.settle(60 + count * SETTLE_EACH)
    drill.check_same()
    drill.check_healthy()


def _reject(drill: Drill, count: int) -> None:
    taken = drill.dualsync("deletions", "reject", "--yes", gist=lambda a: f"{a.data['kept']} written again")
    drill.check("deletions reject writes them again", taken.code == 0 and taken.data["kept"] == count, taken.data)


def delete_with_events(drill: Drill, sizes: Sizes) -> None:
    """Delete with events: after the alarm a pause keeps the rest, and versions restore the deleted objects."""
    count = sizes.deletions
    s3, bucket = drill.stage.cloud.client(GLOBAL, "s3"), drill.sides[GLOBAL].bucket
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    keys = _begin_with_objects(drill, count)
    begun = datetime.now(UTC).replace(microsecond=0)
    drill.delete(CN, keys)
    drill.wait_for_alarm("cn-many-deletions")
    paused = drill.dualsync("pause", "cn", "--yes", "--wait", "--reason", "mass deletion at cn", "--timeout", "120")
    drill.check("pause: no worker is processing a message", paused.code == 0 and paused.data["still"], paused.data)
    survivors = {key for key in drill.sides[GLOBAL].listing() if key.startswith("archive/")}
    saved, gone = len(survivors), count - len(survivors)
    drill.note(
        f"{count} objects are deleted at cn by mistake; the operator pauses the direction when the alarm fires;"
        f" by then {gone} are deleted at global too; its bucket keeps versions"
    )
    status = drill.status_until("cn->global is paused", lambda s: s["directions"][0]["state"] == "PAUSED")
    drill.report.status = status
    drill.check("status: exit code 3", status.code == 3, status.code)
    waits = ["cn-oldest-message"] if drill.stage.backlog(CN)[0] else []
    drill.alarms(now=["cn-many-deletions"], lasting=waits)
    listed = drill.dualsync("deletions", "list", "--live", gist=_pending)
    named = _keys(listed)
    drill.check("deletions list --live names the objects that the pause kept", named == survivors, len(named))
    _reject(drill, saved)
    back = drill.dualsync(
        "deletions", "restore", "--since", begun.isoformat(), "--yes", gist=lambda a: f"{a.data['restored']} restored"
    )
    drill.check(
        "deletions restore writes the deleted objects again", back.code == 0 and back.data["restored"] == gone, back.out
    )
    resumed = drill.dualsync("resume", "cn")
    drill.check("resume", resumed.code == 0, resumed.err)
    drill.settle(60 + count * SETTLE_EACH)
    drill.check_same()
    kept = len(set(keys) & set(drill.sides[CN].listing()))
    drill.check("every object is back at cn", kept == count, f"{kept} of {count}")
    drill.check_healthy()


def _keys(answer: Answer) -> set[str]:
    return {deletion["key"] for deletion in answer.data["pending"]}


def write_conflicts(drill: Drill, sizes: Sizes) -> None:
    """Write the same keys on both sides while no worker runs."""
    drill.begin()
    count, fleet = sizes.conflicts, drill.stage.fleet
    for side in SideName:
        fleet.workers[side].stop()
    keys = [f"shared/{n}.txt" for n in range(count)]
    drill.put(CN, {key: f"cn's {key}".encode() for key in keys})
    second = int(time.time())
    drill.until("S3's next second", lambda: int(time.time()) > second, 5)
    drill.put(GLOBAL, {key: f"global's {key}".encode() for key in keys})
    for side in SideName:
        fleet.start(side)
    drill.note(f"{count} keys are written on both sides while no worker runs, later at global")
    drill.settle()
    status = drill.status_until("conflicts are listed", lambda s: s["directions"][0]["conflicts"] > 0)
    drill.report.status = status
    drill.check("status: exit code 0, because all are settled", status.code == 0, status.data["problems"])
    drill.check("the later write won everywhere", not drill.unsettled_keys(), drill.unsettled_keys()[:3])
    drill.alarms(now=["cn-many-conflicts", "global-many-conflicts"], lasting=[])
    listed = drill.dualsync("conflicts", "list", gist=lambda a: f"{len(a.data['conflicts'])} conflicts")
    found: list[dict[str, Any]] = listed.data["conflicts"]
    drill.check("conflicts list has all", listed.code == 3 and {c["key"] for c in found} == {*keys}, len(found))
    undone = drill.dualsync("conflicts", "undo", keys[0], "--yes", gist=lambda a: f"{a.data['undone']} undone")
    drill.check("conflicts undo brings a loser back", undone.code == 0, undone.err)
    drill.expected.write(keys[0], f"cn's {keys[0]}".encode())
    drill.settle()
    # A listing holds sizes; the two sides' contents differ in size.
    drill.check("the loser is back on both sides", not drill.unsettled_keys(), drill.unsettled_keys()[:3])
    struck = drill.dualsync("conflicts", "resolve", "--all", "--yes", gist=lambda a: f"{a.data['resolved']} resolved")
    drill.check("conflicts resolve accepts the rest", struck.code == 0, struck.err)
    drill.check("no conflict is left on the list", drill.dualsync("conflicts", "list").code == 0)
    drill.check_same()
    drill.check_healthy()


CASES = (
    Case("deletions-lost", "Deletions by mistake whose events were lost", delete_without_events),
    Case(
        "deletions-live",
        "Deletions by mistake, with their events",
        delete_with_events,
        config=lambda sizes: {"deletionsAlarm": max(1, sizes.deletions // 10)},
    ),
    Case(
        "conflicts",
        "Many conflicts at once",
        write_conflicts,
        config=lambda sizes: {"conflictsAlarm": max(1, sizes.conflicts // 2)},
    ),
)
