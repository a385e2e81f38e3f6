"""What goes wrong with a deployment, and the documented ways back: kills, a second state, renames."""

from __future__ import annotations

import dataclasses

from dualsync.runtime.settings import SideName
from sandbox.provider.hold import Moment
from tests.e2e.pulumi_lifecycle.promises import hold
from tests.e2e.pulumi_lifecycle.repairs import kill_at_next_creations, repair
from tests.e2e.pulumi_lifecycle.stage import EngineStage
from tests.e2e.pulumi_lifecycle.transcript import Transcript

CN = SideName.CN
LEAST_RESOURCES = 70
"""Fewer than the AWS resources of a side, each of which is interrupted once."""


def interrupted(engine: EngineStage, page: Transcript, moment: Moment = Moment.AFTER) -> None:
    """Kill `up` until every creation was interrupted once, and repair the state each time as the runbook says."""
    before = engine.census()
    engine.create("cn")
    killed: list[str] = []
    kills = 0
    while held := kill_at_next_creations(engine, moment):
        killed += held
        kills += 1
        said = repair(engine, "interrupted")
        for name in held:
            hold(f"the repair names {name}", f"{name}: " in said)
        page.output(f"pulumi up --stack cn   # SIGKILL during {len(held)} creations", ())
        page.output("python -m dualsync.components.repair interrupted cn --run", said.splitlines())
    hold("the last up has left nothing to do", engine.preview("cn", "--expect-no-changes").changed, {})
    resources = {
        resource["urn"].rpartition("::")[2]
        for resource in engine.pulumi.resources("cn")
        if resource["type"].startswith("aws:")
    }
    hold("a side has many resources", len(resources) >= LEAST_RESOURCES)
    hold("every creation was interrupted once", sorted(killed), sorted(resources))
    page.remark(
        f"{kills} kills interrupted each of the {len(killed)} creations of AWS resources once, {moment} the resource"
        " was made. The next `up` ended by itself, and a preview after it shows no change."
    )
    engine.destroy("cn")
    hold("nothing is left, and nothing was made twice", engine.census()[CN], before[CN])
    page.remark("After `destroy` the account holds what it held before: no resource was made twice.")


def second_state(engine: EngineStage, page: Transcript) -> None:
    """Destroy a protected pair, deploy it from another state, rename it, and rename its user."""
    engine.create("cn", protect=True)
    engine.up("cn")
    live = engine.census()
    own = engine.pulumi

    page.chapter("`destroy` of a protected pair")
    for options in (("--preview-only",), ()):
        done = engine.destroy("cn", *options, wanted=(1, 255))
        said = " ".join(options) or "--yes --skip-preview"
        page.refusal(f"pulumi destroy --stack cn {said}", done, "cannot be deleted")
        hold("protection is reported", "cannot be deleted" in done.text)
        hold("nothing left the account", engine.census(), live)
    page.remark("With `protect: true` nothing was deleted, with a preview or without.")
    engine.up("cn", protect=False)

    page.chapter("A second state over a live pair")
    engine.pulumi = dataclasses.replace(own, state="another-state")
    engine.pulumi.init("cn")
    for operation in (("preview",), ("up", "--yes")):
        done = engine.pulumi.run(*operation, "--stack", "cn", wanted=(1, 255))
        page.refusal(f"pulumi login ANOTHER && pulumi {' '.join(operation)} --stack cn", done, "another state deploys")
        hold("it is refused with the remedy", "another state deploys this pair: select its backend" in done.text)
        hold("before anything is created", engine.census(), live)
    engine.pulumi = own
    page.remark("Nothing was created. With the first state, `pulumi up` still changes nothing.")
    hold("the first state is unharmed", engine.up("cn").changed, {})

    page.chapter("The pair gets another name")
    engine.configure("cn", pair="other-pair")
    done = engine.preview("cn", wanted=(1, 255))
    page.refusal("pulumi config set dualsync:pair other-pair && pulumi preview --stack cn", done, "can't be renamed")
    hold("the refusal says the way", "run `pulumi destroy` in its stacks first" in done.text)
    hold("a rename makes nothing", engine.census(), live)
    del engine.changes["cn"]["pair"]

    page.chapter("The dedicated user gets another name")
    done = engine.up("cn", cn=engine.side(CN, userName="renamed-user"))
    page.command("pulumi up --stack cn   # with cn.userName: renamed-user", done)
    iam = engine.stage.cloud.client(CN, "iam")
    users = sorted(user["UserName"] for user in iam.list_users()["Users"])
    hold("the old user is gone with its key", ("renamed-user" in users, "dth-dual-user" in users), (True, False))
    keys = iam.list_access_keys(UserName="renamed-user")["AccessKeyMetadata"]
    hold("the new user has one key", len(keys), 1)
    page.remark("The user is another one, with one key. The old user and its key are gone.")
    hold("no change is left", engine.preview("cn", "--expect-no-changes").changed, {})
