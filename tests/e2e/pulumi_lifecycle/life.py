"""The lifecycle of a pair under the real engine, in chapters; each chapter checks its results."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dualsync.runtime.log import State
from dualsync.runtime.settings import SideName, variable
from sandbox.demo.comparison import Side, compare, wait_for
from sandbox.demo.scenario import A, B, Scenario, library
from tests.e2e.pulumi_lifecycle.promises import hold
from tests.e2e.pulumi_lifecycle.settling import hold_settled
from tests.e2e.pulumi_lifecycle.stage import EngineStage
from tests.e2e.pulumi_lifecycle.transcript import Transcript

SETTINGS = {"DUALSYNC_RETRY_DELAY_SECONDS": "2", "DUALSYNC_VISIBILITY_SECONDS": "10"}
"""Settings of the runtime (variables): shorter delays than the deployed ones."""

SECRET = "4dabf18193072939515e22adb298388d"
"""The member that marks a secret value in states and plans (Pulumi's deployment format)."""

FILES = 60


@dataclass
class Life:
    """One lifecycle; `play` runs its chapters in order. `files` are uploaded on each side, twice."""

    engine: EngineStage
    page: Transcript
    files: int = FILES
    before: dict[SideName, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        stage = self.engine.stage
        sides = {side: Side(side, bucket, stage.s3(side)) for side, bucket in stage.buckets.items()}
        self.users = Scenario(sides)
        self.fleet = stage.fleet

    def play(self) -> None:
        """Run every chapter between two empty accounts. Raises `LifecycleError` and the errors of commands."""
        self.users.before_set_up()
        self.before = self.engine.census()
        self.previewed()
        self.first_side()
        self.second_side()
        self.nothing_to_do()
        self.reviewed()
        self.at_work()
        self.reconfigured()
        self.rotated()
        self.drifted()
        self.destroyed()
        hold("the secret keys stand nowhere in clear", self.engine.leaks(), [])
        self.page.remark(
            f"{len(self.engine.keys)} secret keys were handed over in this life. In clear or in Base64 they are in "
            "no state, backup, history, plan, event, log or output."
        )

    def previewed(self) -> None:
        self.page.chapter("Preview, before anything is there")
        for stack in ("cn", "global"):
            self.engine.create(stack, protect=True)
        done = self.engine.preview("cn", "--save-plan", str(self.engine.plan_file("cn")))
        self.page.command("pulumi preview --stack cn --save-plan plan.json", done)
        hold("a preview only creates", set(done.changed), {"create"})
        hold("a preview makes nothing", self.engine.census(), self.before)
        self.page.remark("The peer's stack was never deployed, which is no error. Neither account was changed.")

    def first_side(self) -> None:
        self.page.chapter("The first side: global (the order does not matter)")
        done = self.engine.up("global")
        self.page.command("pulumi up --stack global", done)
        outputs = done.text.partition("\nOutputs:\n")[2]
        shown, _, rest = outputs.partition("\n    global ")
        hold("an operator's outputs come first", (shown.split(":")[0].strip(), bool(rest)), ("addresses", True))
        hold("with the dashboard", "dashboardUrl" in shown)
        self.page.output("pulumi up --stack global   # the first of its outputs", shown.splitlines())
        self.fleet.start(B)
        waiting = wait_for(lambda: self._is(B, State.WAITING_FOR_PEER), 30)
        hold("a worker without a peer waits", waiting)
        self.fleet.check()
        self.page.remark("Its worker was started: `WAITING_FOR_PEER`. It keeps running and checks again periodically.")

    def second_side(self) -> None:
        self.page.chapter("The second side fails midway, imports what exists, and continues")
        iam = self.engine.stage.cloud.client(A, "iam")
        name, kind = "dth-dual-user", "aws:iam/user:User"
        id = iam.create_user(UserName=name, Tags=[{"Key": "made", "Value": "by hand"}])["User"]["UserId"]
        failed = self.engine.up("cn", wanted=(1, 255))
        self.page.command("pulumi up --stack cn", failed, 6)
        hold("the collision is reported", "EntityAlreadyExists" in failed.text)
        half = len(self.engine.pulumi.resources("cn"))
        adopted = self.engine.adopt("cn", kind, "dth-dual-cn-user", name)
        self.page.command(f"pulumi import --stack cn {kind} dth-dual-cn-user {name} --parent … --provider …", adopted)
        done = self.engine.up("cn")
        self.page.command("pulumi up --stack cn", done)
        hold("what was there is changed in place", done.touched("update", "replace"), ["dth-dual-cn-user"])
        hold("nothing was lost midway", done.touched("delete"), [])
        hold("the imported user is the same", iam.get_user(UserName=name)["User"]["UserId"], id)
        hold("its id is the output", self.engine.pulumi.outputs("cn")["userIds"], {"cn": id})
        self.page.remark(f"The failed run left {half} resources in the state; the next one continued from there.")
        self.page.remark("The imported user kept its unique id, by which this side's worker knows its echoes.")
        self.fleet.start(A)
        self.fleet.wait_until_running()
        self.page.remark("Both workers run: the one that waited has found its credential by itself.")

    def nothing_to_do(self) -> None:
        self.page.chapter("A second time: no change")
        for stack in ("cn", "global"):
            done = self.engine.up(stack, "--expect-no-changes")
            self.page.command(f"pulumi up --stack {stack} --expect-no-changes", done)
            hold("a second up changes nothing", done.changed, {})
            self._sealed(stack)
        self.page.remark("Each key is in its stack's state and in a plan saved now (`--save-plan`): encrypted.")
        peer = self.engine.pulumi.outputs("global")["peer"]
        hold("a stack sees its peer", (peer["deployed"], set(peer["userIds"])), (True, {"cn"}))

    def reviewed(self) -> None:
        self.page.chapter("Reviewed by the policy pack")
        done = self.engine.preview("cn", "--policy-pack", str(self.engine.pulumi.checkout.folder / "policy"))
        self.page.command("pulumi preview --stack cn --policy-pack policy", done)
        hold("the pack was loaded", "dualsync@" in done.text)
        self.page.remark("No mandatory rule was broken.")

    def at_work(self) -> None:
        self.page.chapter("The deployed pair at work")
        files = library(4 * self.files)
        self.users.upload(A, "one", files[: self.files], _quietly)
        self.users.upload(B, "two", files[self.files : 2 * self.files], _quietly)
        self._settled("files from before set-up and after arrive", find=True)
        edited = self.users.pick(5, 1)
        self.users.edit(A, edited, _quietly)
        self.users.delete(B, self.users.pick(5, 2, edited), _quietly)
        self._settled("edits and deletions arrive")
        self.page.remark(f"{self._same()} objects are the same on both sides, byte for byte, by events and finder.")

    def reconfigured(self) -> None:
        self.page.chapter("A change of config is the update that it should be")
        done = self.engine.up("global", queueRetentionDays=5)
        self.page.command("pulumi config set dualsync:queueRetentionDays 5 && pulumi up --stack global", done)
        hold(
            "retention is the queue's", done.touched("create", "update", "replace", "delete"), ["dth-dual-global-queue"]
        )
        before = self._machines(B)
        done = self.engine.up("global", workerConcurrency=16)
        self.page.command("pulumi config set dualsync:workerConcurrency 16 && pulumi up --stack global", done)
        hold("machines' settings are the template's and its group's", done.touched("update")[-2:], _MACHINES)
        hold("a task definition is replaced", done.touched("replace"), ["dth-dual-global-finder"])
        hold("the group's machines are others now", (len(before), len(self._machines(B) - before)), (1, 1))
        self.page.remark("The group replaced its machine by an instance refresh, which `up` started.")
        self.fleet.workers.pop(B).stop()
        self.fleet.start(B)
        self.fleet.wait_until_running()
        name = variable("worker_concurrency")
        values = [line["settings"][name] for line in self.fleet.lines(B, "started")]
        hold("the new worker logs the new settings", values, ["16"])
        self.page.remark(f"A worker booted from the new template logs its setting: `{name}={values[0]}`.")

    def rotated(self) -> None:
        self.page.chapter("A key is rotated while both sides write")
        old = self.engine.pulumi.outputs("cn")["cn"]["keyId"]
        files = library(4 * self.files)
        with self._writing(files[2 * self.files :]):
            done = self.engine.up("cn", keyVersion=2)
        self.page.command("pulumi config set dualsync:keyVersion 2 && pulumi up --stack cn", done)
        wanted = ["dth-dual-cn-key", "dth-dual-global-credentials-value"]
        hold("a rotation replaces the key and the value handed over", done.touched("replace", "update"), wanted)
        iam = self.engine.stage.cloud.client(A, "iam")
        keys = [k["AccessKeyId"] for k in iam.list_access_keys(UserName="dth-dual-user")["AccessKeyMetadata"]]
        hold("the old key is gone", (len(keys), old in keys), (1, False))
        # Only the new key can carry these.
        self.users.upload(B, "after-rotation", files[:10], _quietly)
        self._settled("the worker follows the rotation")
        self.page.remark(f"The new key is there, the old one gone; {self._same()} objects are the same on both sides.")
        hold("neither key stands anywhere in clear", self.engine.leaks(), [])
        dead = {side: self.engine.stage.backlog(side)[1] for side in SideName}
        hold("no message became a dead letter", dead, dict.fromkeys(SideName, 0))

    def drifted(self) -> None:
        self.page.chapter("Manual changes are found and reverted")
        cloud, bucket = self.engine.stage.cloud, self.engine.stage.buckets[A]
        cloud.client(A, "sqs").set_queue_attributes(
            QueueUrl=self.fleet.outputs[A]["queueUrl"], Attributes={"VisibilityTimeout": "33"}
        )
        s3 = cloud.client(A, "s3")
        kept = s3.get_bucket_notification_configuration(Bucket=bucket)
        theirs = [e for e in kept["QueueConfigurations"] if not e["Id"].startswith("dth-dual")]
        s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"QueueConfigurations": theirs}
        )
        done = self.engine.refresh("cn")
        self.page.command("pulumi refresh --stack cn", done)
        found = (done.touched("update"), done.touched("delete"))
        hold("a refresh finds drift", found, (["dth-dual-cn-queue"], ["dth-dual-cn-events"]))
        done = self.engine.up("cn")
        self.page.command("pulumi up --stack cn", done)
        reverted = (done.touched("update"), done.touched("create"))
        hold("the next up reverts it", reverted, (["dth-dual-cn-queue"], ["dth-dual-cn-events"]))
        hold("and nothing is left to find", self.engine.refresh("cn").changed, {})
        self.users.upload(A, "after-drift", library(5), _quietly)
        self._settled("events arrive again")

    def destroyed(self) -> None:
        self.page.chapter("The end")
        refused = self._refused("cn")
        self.page.remark(f"Ledger and user are protected: `pulumi destroy` was refused ({refused} resources left).")
        self.fleet.stop()
        listings = {side: place.listing() for side, place in self.users.sides.items()}
        for stack in ("cn", "global"):
            self.engine.up(stack, protect=False)
            line = f"pulumi config set dualsync:protect false && pulumi up -s {stack} && pulumi destroy -s {stack}"
            self.page.command(line, self.engine.destroy(stack))
        after = self.engine.census()
        hold("nothing is left in either account", {s: sorted(after[s] - self.before[s]) for s in SideName}, _NOTHING)
        hold("nothing else was taken", {s: sorted(self.before[s] - after[s]) for s in SideName}, _NOTHING)
        hold("another team's notification is untouched", self.engine.stage.foreign_notification_is_there())
        hold("objects are untouched", {s: place.listing() for s, place in self.users.sides.items()}, listings)
        self.page.remark("Nothing is left in either account; buckets, objects and another team's notification are.")

    def _refused(self, stack: str) -> int:
        """Check that protection stops a destroy before anything is deleted."""
        done = self.engine.destroy(stack, "--preview-only", wanted=(1, 255))
        hold("protection is reported", "cannot be deleted" in done.text)
        return len(self.engine.pulumi.resources(stack))

    def _is(self, side: SideName, state: State) -> bool:
        return bool(self.fleet.lines(side, "state", state=state))

    def _machines(self, side: SideName) -> set[str]:
        """Return the ids of the instances of a side's group."""
        scaling = self.engine.stage.cloud.client(side, "autoscaling")
        name = self.fleet.outputs[side]["workerGroup"]
        (group,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return {i["InstanceId"] for i in group["Instances"]}

    def _sealed(self, stack: str) -> None:
        """Check that state and saved plan hold the secrets that `leaks` searches for, and only encrypted."""
        plan = self.engine.plan_file(stack)
        self.engine.preview(stack, "--save-plan", str(plan))
        in_clear = json.dumps(self.engine.pulumi.export(stack, secrets=True))
        hold("the state holds this side's key", sum(key in in_clear for key in self.engine.keys), 1)
        planned = {urn.rsplit("::", 1)[1]: p for urn, p in json.loads(plan.read_text())["resourcePlans"].items()}
        key = planned[f"dth-dual-{stack}-key"]["state"]["secret"]
        value = planned[f"dth-dual-{SideName(stack).peer}-credentials-value"]["state"]["secretString"]
        hold("the plan holds it encrypted", [set(sealed) for sealed in (key, value)], [{SECRET, "ciphertext"}] * 2)
        hold("and nowhere in clear", self.engine.leaks(), [])

    @contextmanager
    def _writing(self, files: list[Any]) -> Iterator[None]:
        """Write on both sides during the block."""
        half = len(files) // 2
        parts = [(A, "while-rotating-a", files[:half]), (B, "while-rotating-b", files[half:])]
        writers = [threading.Thread(target=self.users.upload, args=(*part, _quietly)) for part in parts]
        for writer in writers:
            writer.start()
        try:
            yield
        finally:
            for writer in writers:
                writer.join()

    def _settled(self, promise: str, find: bool = False) -> None:
        if find:
            for side in SideName:
                self.fleet.find(side, {"DUALSYNC_FINDER_GRACE_SECONDS": "0"})
        hold_settled(promise, self.fleet, self.users)

    def _same(self) -> int:
        comparison = compare(self.users.sides.values(), self.users.expected)
        hold("both sides hold what users wrote", comparison.differences, [])
        return len(self.users.expected.contents)


_MACHINES = ["dth-dual-global-worker-template", "dth-dual-global-workers"]
_NOTHING: dict[SideName, list[str]] = {side: [] for side in SideName}


def _quietly(count: int) -> None:
    """Ignore progress."""
