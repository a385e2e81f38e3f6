"""Break a deployment and repair it as documented: kills, a lost side, a second state, renames, manual deletions."""

from __future__ import annotations

import dataclasses
import re

from dualsync.runtime.settings import SideName
from sandbox.provider.hold import Moment
from tests.e2e.pulumi_lifecycle.checks import expect
from tests.e2e.pulumi_lifecycle.repairs import kill_at_next_creations, lose_credential, repair
from tests.e2e.pulumi_lifecycle.stage import EngineStage
from tests.e2e.pulumi_lifecycle.transcript import Transcript

CN, GLOBAL = SideName.CN, SideName.GLOBAL
MIN_RESOURCES = 70
"""Lower bound for the number of AWS resources of a side, whose creations are each interrupted once."""


def interrupted(engine: EngineStage, page: Transcript, moment: Moment = Moment.AFTER) -> None:
    """Kill `up` until every creation was interrupted once, and repair the state by the runbook after each kill."""
    before = engine.inventory()
    engine.create("cn")
    killed: list[str] = []
    kills = 0
    while held := kill_at_next_creations(engine, moment):
        killed += held
        kills += 1
        printed = repair(engine, "interrupted")
        for name in held:
            expect(f"the repair names {name}", f"{name}: " in printed)
        page.output(f"pulumi up --stack cn   # SIGKILL during {len(held)} creations", ())
        page.output("python -m dualsync.components.repair interrupted cn --run", printed.splitlines())
    expect("a preview after the last up shows no change", engine.preview("cn", "--expect-no-changes").changed, {})
    resources = {
        resource["urn"].rpartition("::")[2]
        for resource in engine.pulumi.resources("cn")
        if resource["type"].startswith("aws:")
    }
    expect("a side has many resources", len(resources) >= MIN_RESOURCES)
    expect("every creation was interrupted once", sorted(killed), sorted(resources))
    page.remark(
        f"{kills} kills interrupted each of the {len(killed)} creations of AWS resources once, {moment} the resource"
        " was created. The next `up` succeeded, and a preview after it shows no change."
    )
    engine.destroy("cn")
    expect("nothing is left, so nothing was created twice", engine.inventory()[CN], before[CN])
    page.remark("After `destroy` the account has the same resources as before, so none was created twice.")


def lost_side(engine: EngineStage, page: Transcript) -> None:
    """Lose one side's bucket, then the credential of its account; the healthy side is deployed and destroyed."""
    before = engine.inventory()
    for stack in ("cn", "global"):
        engine.create(stack)
        engine.up(stack)
    page.chapter("The bucket of global is gone")
    bucket = engine.stage.buckets[GLOBAL]
    engine.stage.cloud.client(GLOBAL, "s3").delete_bucket(Bucket=bucket)
    done = engine.preview("cn")
    page.refusal("pulumi preview --stack cn", done, bucket)
    expect("the healthy side's preview warns and continues", "does not exist" in done.text)
    done = engine.up("cn", queueRetentionDays=5)
    page.command("pulumi config set dualsync:queueRetentionDays 5 && pulumi up --stack cn", done)
    expect("the healthy side can be changed", "dth-dual-cn-queue" in done.touched("update"))
    expect("the healthy side can be refreshed", engine.refresh("cn").changed, {})
    done = engine.refresh("global")
    page.command("pulumi refresh --stack global", done)
    expect("the subscription is gone with the bucket", done.touched("delete"), ["dth-dual-global-events"])
    page.command("pulumi destroy --stack global", engine.destroy("global"), 3)
    left = sorted(engine.inventory()[GLOBAL] - before[GLOBAL])
    expect("only the secret that cn wrote is left", {entry.split()[0] for entry in left}, {"secretsmanager"})

    page.chapter("The credential of global's account is lost")
    lose_credential(engine, GLOBAL)
    done = engine.preview("cn", wanted=(1, 255))
    page.refusal("pulumi preview --stack cn", done, "lost-peer")
    expect("the refusal names the repair command", "lost-peer" in done.text)
    printed = repair(engine, "lost-peer")
    page.output("python -m dualsync.components.repair lost-peer cn --run", printed.splitlines())
    expect("the repair removes the lost account from the state", "forgotten" in printed)
    engine.changes["cn"]["handOver"] = "config"
    done = engine.up("cn")
    page.command("pulumi up --stack cn", done)
    expect("a refresh finds nothing", engine.refresh("cn").changed, {})
    page.command("pulumi destroy --stack cn", engine.destroy("cn"), 3)
    expect("nothing of the healthy side is left", engine.inventory()[CN], before[CN])
    page.remark("The healthy side was updated, refreshed and destroyed without the other account.")


def second_state(engine: EngineStage, page: Transcript) -> None:
    """Destroy a protected pair, deploy it from another state, rename it, and rename its user."""
    engine.create("cn", protect=True)
    engine.up("cn")
    live = engine.inventory()
    own = engine.pulumi

    page.chapter("`destroy` of a protected pair")
    for options in (("--preview-only",), ()):
        done = engine.destroy("cn", *options, wanted=(1, 255))
        flags = " ".join(options) or "--yes --skip-preview"
        page.refusal(f"pulumi destroy --stack cn {flags}", done, "cannot be deleted")
        expect("protection is reported", "cannot be deleted" in done.text)
        expect("nothing was deleted", engine.inventory(), live)
    page.remark("With `protect: true` nothing was deleted, with a preview or without.")
    engine.up("cn", protect=False)

    page.chapter("A second state over a live pair")
    engine.pulumi = dataclasses.replace(own, state="another-state")
    engine.pulumi.init("cn")
    # `up` runs twice without a preview, because a refused `up` must not make the state the pair's own.
    for operation in (("preview",), ("up", "--yes"), *[("up", "--yes", "--skip-preview")] * 2):
        done = engine.pulumi.run(*operation, "--stack", "cn", wanted=(1, 255))
        page.refusal(f"pulumi login ANOTHER && pulumi {' '.join(operation)} --stack cn", done, "another state deploys")
        expect("it is refused with the remedy", "another state deploys this pair: select its backend" in done.text)
        expect("nothing was created", engine.inventory(), live)
    engine.pulumi = own
    page.remark(
        "Nothing was created, with a preview or without. With the first state, `pulumi up` still changes nothing."
    )
    expect("the first state is unchanged", engine.up("cn").changed, {})

    page.chapter("The pair gets another name")
    engine.configure("cn", pair="other-pair")
    done = engine.preview("cn", wanted=(1, 255))
    page.refusal("pulumi config set dualsync:pair other-pair && pulumi preview --stack cn", done, "can't be renamed")
    expect("the refusal names the remedy", "run `pulumi destroy` in its stacks first" in done.text)
    expect("a refused rename creates nothing", engine.inventory(), live)
    del engine.changes["cn"]["pair"]

    page.chapter("The dedicated user gets another name")
    done = engine.up("cn", cn=engine.side(CN, userName="renamed-user"))
    page.command("pulumi up --stack cn   # with cn.userName: renamed-user", done)
    iam = engine.stage.cloud.client(CN, "iam")
    users = sorted(user["UserName"] for user in iam.list_users()["Users"])
    expect("the old user is gone with its key", ("renamed-user" in users, "dth-dual-user" in users), (True, False))
    keys = iam.list_access_keys(UserName="renamed-user")["AccessKeyMetadata"]
    expect("the new user has one key", len(keys), 1)
    page.remark("The new user has one key. The old user and its key are deleted.")
    expect("no change is left", engine.preview("cn", "--expect-no-changes").changed, {})


def deleted_by_hand(engine: EngineStage, page: Transcript) -> None:
    """Delete parts of a deployed side, then its bucket, as an operator does by mistake; `refresh` and `up` follow."""
    before = engine.inventory()
    engine.create("cn")
    engine.up("cn")
    live = _resource_names(engine)

    page.chapter("Table, queue, user and secret are gone")
    cloud, names = engine.stage.cloud, engine.stage.fleet.outputs[CN]
    cloud.client(CN, "dynamodb").delete_table(TableName=names["ledgerTable"])
    cloud.client(CN, "sqs").delete_queue(QueueUrl=names["queueUrl"])
    _delete_user(engine, "dth-dual-user")
    manager = cloud.client(GLOBAL, "secretsmanager")
    for secret in manager.list_secrets()["SecretList"]:
        manager.delete_secret(SecretId=secret["ARN"], ForceDeleteWithoutRecovery=True)
    done = engine.refresh("cn")
    page.command("pulumi refresh --stack cn", done)
    dropped = done.touched("delete")
    expect("the state has none of them", [name for name in DELETED if name not in dropped], [])
    done = engine.up("cn")
    page.command("pulumi up --stack cn", done)
    expect("they are created again", [name for name in DELETED if name not in done.touched("create")], [])
    expect("the account holds the same kinds as before", _resource_names(engine), live)
    expect("no change is left", engine.preview("cn", "--expect-no-changes").changed, {})
    page.remark("`refresh` dropped them from the state, and the next `up` created them again, with a new access key.")

    page.chapter("The bucket is gone")
    bucket = engine.stage.buckets[CN]
    cloud.client(CN, "s3").delete_bucket(Bucket=bucket)
    done = engine.refresh("cn")
    page.command("pulumi refresh --stack cn", done)
    expect("the subscription is dropped with the bucket", "dth-dual-cn-events" in done.touched("delete"))
    done = engine.pulumi.up("cn", wanted=(1, 255))
    page.refusal("pulumi up --stack cn", done, bucket)
    expect("the refusal names key, bucket and remedy", f"cn.bucket={bucket!r}: does not exist" in done.text)
    page.command("pulumi destroy --stack cn", engine.destroy("cn"), 3)
    expect("nothing but the earlier resources is left", engine.inventory()[CN], before[CN] - {f"s3 bucket {bucket}"})


DELETED = ("dth-dual-cn-ledger", "dth-dual-cn-queue", "dth-dual-cn-user", "dth-dual-global-credentials")
"""Resources of a side that an operator deletes by hand. The secret is in the peer's account."""


def _resource_names(engine: EngineStage) -> list[str]:
    """Return the resources of both accounts, without the ids of keys and instances and the revisions of tasks."""
    entries = [entry for found in engine.inventory().values() for entry in found]
    return sorted(re.sub(r"^(iam key|ec2 instance) .*|^(ecs .*):\d+$", r"\1\2", entry) for entry in entries)


def _delete_user(engine: EngineStage, name: str) -> None:
    """Delete the dedicated user as the console does it, with its keys and policies."""
    iam = engine.stage.cloud.client(CN, "iam")
    for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
        iam.delete_user_policy(UserName=name, PolicyName=policy)
    for attached in iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]:
        iam.detach_user_policy(UserName=name, PolicyArn=attached["PolicyArn"])
    iam.delete_user(UserName=name)
