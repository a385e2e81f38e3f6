"""Run the lifecycle of a pair under the real engine in chapters, each of which checks its results."""

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
from tests.e2e.pulumi_lifecycle.checks import expect
from tests.e2e.pulumi_lifecycle.settling import expect_settled
from tests.e2e.pulumi_lifecycle.stage import EngineStage
from tests.e2e.pulumi_lifecycle.transcript import Transcript

SETTINGS = {"DUALSYNC_RETRY_DELAY_SECONDS": "2", "DUALSYNC_VISIBILITY_SECONDS": "10"}
"""Settings of the runtime (variables): shorter delays than the deployed ones."""

SECRET = "4dabf18193072939515e22adb298388d"
"""The member that marks a secret value in states and plans (Pulumi's deployment format)."""

FILES = 60


@dataclass
class Lifecycle:
    """One lifecycle, whose chapters `play` runs in order. Users upload `files` files on each side, twice."""

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
        self.before = self.engine.inventory()
        self.preview()
        self.deploy_first_side()
        self.deploy_second_side()
        self.deploy_without_changes()
        self.review()
        self.copy_files()
        self.reconfigure()
        self.rotate_key()
        self.revert_drift()
        self.destroy()
        expect("no secret key is in clear anywhere", self.engine.leaks(), [])
        self.page.remark(
            f"{len(self.engine.keys)} secret keys were handed over in this lifecycle. In clear or in Base64 they are"
            " in no state, backup, history, plan, event, log or output."
        )

    def preview(self) -> None:
        self.page.chapter("Preview before the first deployment")
        for stack in ("cn", "global"):
            self.engine.create(stack, protect=True)
        done = self.engine.preview("cn", "--save-plan", str(self.engine.plan_file("cn")))
        self.page.command("pulumi preview --stack cn --save-plan plan.json", done)
        expect("a preview only creates", set(done.changed), {"create"})
        expect("a preview creates nothing", self.engine.inventory(), self.before)
        self.page.remark("The peer's stack was never deployed, which is no error. Neither account was changed.")

    def deploy_first_side(self) -> None:
        self.page.chapter("The first side: global (the order does not matter)")
        done = self.engine.up("global")
        self.page.command("pulumi up --stack global", done)
        outputs = done.text.partition("\nOutputs:\n")[2]
        shown, _, rest = outputs.partition("\n    global ")
        expect("an operator's outputs come first", (shown.split(":")[0].strip(), bool(rest)), ("addresses", True))
        expect("the dashboard's address is among them", "dashboardUrl" in shown)
        self.page.output("pulumi up --stack global   # the first of its outputs", shown.splitlines())
        self.fleet.start(B)
        waiting = wait_for(lambda: self._has_state(B, State.WAITING_FOR_PEER), 30)
        expect("a worker without a peer waits", waiting)
        self.fleet.check()
        self.page.remark("Its worker was started: `WAITING_FOR_PEER`. It keeps running and checks again periodically.")

    def deploy_second_side(self) -> None:
        self.page.chapter("The second side fails midway, imports what exists, and continues")
        iam = self.engine.stage.cloud.client(A, "iam")
        name, kind = "dth-dual-user", "aws:iam/user:User"
        id = iam.create_user(UserName=name, Tags=[{"Key": "made", "Value": "by hand"}])["User"]["UserId"]
        failed = self.engine.up("cn", wanted=(1, 255))
        self.page.command("pulumi up --stack cn", failed, 6)
        expect("the collision is reported", "EntityAlreadyExists" in failed.text)
        half = len(self.engine.pulumi.resources("cn"))
        adopted = self.engine.adopt("cn", kind, "dth-dual-cn-user", name)
        self.page.command(f"pulumi import --stack cn {kind} dth-dual-cn-user {name} --parent … --provider …", adopted)
        done = self.engine.up("cn")
        self.page.command("pulumi up --stack cn", done)
        expect("the imported user is updated in place", done.touched("update", "replace"), ["dth-dual-cn-user"])
        expect("nothing is deleted", done.touched("delete"), [])
        expect("the imported user is the same", iam.get_user(UserName=name)["User"]["UserId"], id)
        expect("its id is the stack's output", self.engine.pulumi.outputs("cn")["userIds"], {"cn": id})
        self.page.remark(f"The failed run left {half} resources in the state; the next one continued from there.")
        self.page.remark("The imported user kept its unique id, by which this side's worker recognises its echoes.")
        self.fleet.start(A)
        self.fleet.wait_until_running()
        self.page.remark("Both workers run. The one that waited has read its credential without a restart.")

    def deploy_without_changes(self) -> None:
        self.page.chapter("A second `up` changes nothing")
        for stack in ("cn", "global"):
            done = self.engine.up(stack, "--expect-no-changes")
            self.page.command(f"pulumi up --stack {stack} --expect-no-changes", done)
            expect("a second up changes nothing", done.changed, {})
            self._check_encryption(stack)
        self.page.remark("Each key is in its stack's state and in a plan saved now (`--save-plan`): encrypted.")
        peer = self.engine.pulumi.outputs("global")["peer"]
        expect("a stack reads the outputs of its peer", (peer["deployed"], set(peer["userIds"])), (True, {"cn"}))

    def review(self) -> None:
        self.page.chapter("Reviewed by the policy pack")
        done = self.engine.preview("cn", "--policy-pack", str(self.engine.pulumi.checkout.folder / "policy"))
        self.page.command("pulumi preview --stack cn --policy-pack policy", done)
        expect("the pack was loaded", "dualsync@" in done.text)
        self.page.remark("No mandatory rule was broken.")

    def copy_files(self) -> None:
        self.page.chapter("Files are copied by the deployed pair")
        files = library(4 * self.files)
        self.users.upload(A, "one", files[: self.files], _ignore_progress)
        self.users.upload(B, "two", files[self.files : 2 * self.files], _ignore_progress)
        self._expect_settled("files from before set-up and after arrive", find=True)
        edited = self.users.pick(5, 1)
        self.users.edit(A, edited, _ignore_progress)
        self.users.delete(B, self.users.pick(5, 2, edited), _ignore_progress)
        self._expect_settled("edits and deletions arrive")
        self.page.remark(f"{self._compare()} objects are the same on both sides, byte for byte, by events and finder.")

    def reconfigure(self) -> None:
        self.page.chapter("A change of config updates only what it concerns")
        done = self.engine.up("global", queueRetentionDays=5)
        self.page.command("pulumi config set dualsync:queueRetentionDays 5 && pulumi up --stack global", done)
        expect(
            "only the queue is changed",
            done.touched("create", "update", "replace", "delete"),
            ["dth-dual-global-queue"],
        )
        before = self._machines(B)
        done = self.engine.up("global", workerConcurrency=16)
        self.page.command("pulumi config set dualsync:workerConcurrency 16 && pulumi up --stack global", done)
        expect("launch template and group are updated", done.touched("update")[-2:], _MACHINES)
        expect("a task definition is replaced", done.touched("replace"), ["dth-dual-global-finder"])
        expect("the group's machine is replaced", (len(before), len(self._machines(B) - before)), (1, 1))
        self.page.remark("The group replaced its machine by an instance refresh, which `up` started.")
        self.fleet.workers.pop(B).stop()
        self.fleet.start(B)
        self.fleet.wait_until_running()
        name = variable("worker_concurrency")
        values = [line["settings"][name] for line in self.fleet.lines(B, "started")]
        expect("the new worker logs the new settings", values, ["16"])
        self.page.remark(f"A worker booted from the new template logs its setting: `{name}={values[0]}`.")

    def rotate_key(self) -> None:
        self.page.chapter("A key is rotated while both sides write")
        old = self.engine.pulumi.outputs("cn")["cn"]["keyId"]
        files = library(4 * self.files)
        with self._writing(files[2 * self.files :]):
            done = self.engine.up("cn", keyVersion=2)
        self.page.command("pulumi config set dualsync:keyVersion 2 && pulumi up --stack cn", done)
        wanted = ["dth-dual-cn-key", "dth-dual-global-credentials-value"]
        expect("a rotation replaces the key and the value handed over", done.touched("replace", "update"), wanted)
        iam = self.engine.stage.cloud.client(A, "iam")
        keys = [k["AccessKeyId"] for k in iam.list_access_keys(UserName="dth-dual-user")["AccessKeyMetadata"]]
        expect("the old key is gone", (len(keys), old in keys), (1, False))
        # These files can only be copied with the new key.
        self.users.upload(B, "after-rotation", files[:10], _ignore_progress)
        self._expect_settled("the worker follows the rotation")
        count = self._compare()
        self.page.remark(f"The new key exists, the old one is deleted. {count} objects are the same on both sides.")
        expect("neither key is in clear anywhere", self.engine.leaks(), [])
        dead = {side: self.engine.stage.backlog(side)[1] for side in SideName}
        expect("no message became a dead letter", dead, dict.fromkeys(SideName, 0))

    def revert_drift(self) -> None:
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
        expect("a refresh finds drift", found, (["dth-dual-cn-queue"], ["dth-dual-cn-events"]))
        done = self.engine.up("cn")
        self.page.command("pulumi up --stack cn", done)
        reverted = (done.touched("update"), done.touched("create"))
        expect("the next up reverts it", reverted, (["dth-dual-cn-queue"], ["dth-dual-cn-events"]))
        expect("a refresh after it finds nothing", self.engine.refresh("cn").changed, {})
        self.users.upload(A, "after-drift", library(5), _ignore_progress)
        self._expect_settled("events arrive again")

    def destroy(self) -> None:
        self.page.chapter("Both stacks are destroyed")
        refused = self._check_protection("cn")
        self.page.remark(f"Ledger and user are protected: `pulumi destroy` was refused ({refused} resources left).")
        self.fleet.stop()
        listings = {side: place.listing() for side, place in self.users.sides.items()}
        for stack in ("cn", "global"):
            self.engine.up(stack, protect=False)
            line = f"pulumi config set dualsync:protect false && pulumi up -s {stack} && pulumi destroy -s {stack}"
            self.page.command(line, self.engine.destroy(stack))
        after = self.engine.inventory()
        expect("nothing is left in either account", {s: sorted(after[s] - self.before[s]) for s in SideName}, _NOTHING)
        expect("nothing else was deleted", {s: sorted(self.before[s] - after[s]) for s in SideName}, _NOTHING)
        expect("another team's notification is untouched", self.engine.stage.foreign_notification_is_there())
        expect("objects are untouched", {s: place.listing() for s, place in self.users.sides.items()}, listings)
        self.page.remark(
            "No resource of the pair is left. Buckets, objects and another team's notification are unchanged."
        )

    def _check_protection(self, stack: str) -> int:
        """Check that protection stops a destroy before anything is deleted."""
        done = self.engine.destroy(stack, "--preview-only", wanted=(1, 255))
        expect("protection is reported", "cannot be deleted" in done.text)
        return len(self.engine.pulumi.resources(stack))

    def _has_state(self, side: SideName, state: State) -> bool:
        return bool(self.fleet.lines(side, "state", state=state))

    def _machines(self, side: SideName) -> set[str]:
        """Return the ids of the instances of a side's group."""
        scaling = self.engine.stage.cloud.client(side, "autoscaling")
        name = self.fleet.outputs[side]["workerGroup"]
        (group,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return {i["InstanceId"] for i in group["Instances"]}

    def _check_encryption(self, stack: str) -> None:
        """Check that state and saved plan hold the secrets that `leaks` searches for, and only encrypted."""
        plan = self.engine.plan_file(stack)
        self.engine.preview(stack, "--save-plan", str(plan))
        in_clear = json.dumps(self.engine.pulumi.export(stack, secrets=True))
        expect("the state holds this side's key", sum(key in in_clear for key in self.engine.keys), 1)
        planned = {urn.rsplit("::", 1)[1]: p for urn, p in json.loads(plan.read_text())["resourcePlans"].items()}
        key = planned[f"dth-dual-{stack}-key"]["state"]["secret"]
        value = planned[f"dth-dual-{SideName(stack).peer}-credentials-value"]["state"]["secretString"]
        expect("the plan holds it encrypted", [set(secret) for secret in (key, value)], [{SECRET, "ciphertext"}] * 2)
        expect("no secret key is in clear", self.engine.leaks(), [])

    @contextmanager
    def _writing(self, files: list[Any]) -> Iterator[None]:
        """Write on both sides during the block."""
        half = len(files) // 2
        parts = [(A, "while-rotating-a", files[:half]), (B, "while-rotating-b", files[half:])]
        writers = [threading.Thread(target=self.users.upload, args=(*part, _ignore_progress)) for part in parts]
        for writer in writers:
            writer.start()
        try:
            yield
        finally:
            for writer in writers:
                writer.join()

    def _expect_settled(self, expectation: str, find: bool = False) -> None:
        if find:
            for side in SideName:
                self.fleet.find(side, {"DUALSYNC_FINDER_GRACE_SECONDS": "0"})
        expect_settled(expectation, self.fleet, self.users)

    def _compare(self) -> int:
        comparison = compare(self.users.sides.values(), self.users.expected)
        expect("both sides hold what users wrote", comparison.differences, [])
        return len(self.users.expected.contents)


_MACHINES = ["dth-dual-global-worker-template", "dth-dual-global-workers"]
_NOTHING: dict[SideName, list[str]] = {side: [] for side in SideName}


def _ignore_progress(count: int) -> None:
    """Do nothing with the progress of an upload."""
