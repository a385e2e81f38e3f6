"""Run a pair's deployments as the published deploy roles, with an IAM evaluator in front of every call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dualsync.components.monitoring.observability import DEPLOYER_TAG
from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from tests.e2e.pulumi_lifecycle import iam_guard
from tests.e2e.pulumi_lifecycle.checks import expect
from tests.e2e.pulumi_lifecycle.stage import EngineStage
from tests.e2e.pulumi_lifecycle.transcript import Transcript
from tools.iam_roles.recording import CHANGES

PAIR = "dth-dual"
ROLES = iam_guard.ROOT / "docs" / "roles"
MIN_ACTIONS = 80
"""Lower bound for the number of different actions in such a lifecycle."""


def environment(folder: Path) -> Mapping[str, str]:
    """Return the variables by which the deployment's processes evaluate each call."""
    return iam_guard.environment(folder, f"{DEPLOYER_TAG}={PAIR}")


def under_roles(engine: EngineStage, page: Transcript) -> None:
    """Run a lifecycle of both stacks as the published deploy roles; check that the preview role can create nothing."""
    for side in SideName:
        _make_roles(engine, side)
    before = engine.inventory()
    page.chapter("As the role that may only preview")
    for stack in SideName:
        engine.create(stack, **_sides(engine, stack, "preview", "preview"))
    refused = engine.up("cn", wanted=(1, 255))
    page.refusal("pulumi up --stack cn   # cn.roleArn: preview-cn", refused, "AccessDenied")
    expect("the refusal names role and action", "preview-cn is not authorized to perform: " in refused.text)
    expect("nothing was created", engine.inventory(), before)

    page.chapter("As the deploy role of the own account, and the hand-over role of the other")
    for stack in SideName:
        done = engine.up(stack, **_sides(engine, stack, "deploy", "hand-over"))
        page.command(f"pulumi up --stack {stack}   # deploy-{stack}, hand-over-{stack.peer}", done, 3)
    done = engine.up("cn", **CHANGES)
    page.command(f"pulumi up --stack cn   # {len(CHANGES)} keys of config changed", done, 3)
    done = engine.up("cn", keyVersion=2)
    page.command("pulumi config set dualsync:keyVersion 2 && pulumi up --stack cn", done)
    expect("a rotation replaces the key", "dth-dual-cn-key" in done.touched("replace"))
    expect("a refresh finds nothing", engine.refresh("cn").changed, {})
    for stack in SideName:
        page.command(f"pulumi destroy --stack {stack}", engine.destroy(stack), 3)
    expect("nothing is left", engine.inventory(), before)
    asked = list(iam_guard.asked(engine.stage.workspace.folder / "asked"))
    names = {action for _, action, _ in asked}
    expect("the evaluator was asked about the lifecycle's actions", len(names) >= MIN_ACTIONS)
    notifications = {"s3:PutBucketNotification", "s3:GetBucketNotification"}
    expect("the evaluator was asked about the plugin's calls", notifications <= names)
    page.remark(
        f"{len(asked)} requests with {len(names)} different actions were evaluated against `docs/roles`,"
        " each on its resource and with its conditions. The preview role could create nothing. For the deploy roles no"
        " request was refused."
    )


def _make_roles(engine: EngineStage, side: SideName) -> None:
    """Create the boundary and the roles, as docs/pipelines.md has an administrator do it once in each account."""
    iam = engine.stage.cloud.client(side, "iam")
    text = (ROLES / f"boundary-{side}.json").read_text()
    iam.create_policy(PolicyName=f"{PAIR}-{side}-boundary", PolicyDocument=text)
    for role in ("deploy", "hand-over", "preview"):
        trust = (ROLES / f"{role}-{side}-trust.json").read_text()
        iam.create_role(RoleName=f"{role}-{side}", AssumeRolePolicyDocument=trust)


def _sides(engine: EngineStage, stack: SideName, own: str, others: str) -> dict[str, Any]:
    found = {}
    for side in SideName:
        role = own if side is stack else others
        account = ACCOUNTS[side]
        iam = f"arn:{account.partition}:iam::{account.account_id}:"
        found[str(side)] = engine.side(
            side, roleArn=f"{iam}role/{role}-{side}", permissionsBoundary=f"{iam}policy/{PAIR}-{side}-boundary"
        )
    return found
