"""Change a deployed pair from keys to roles and back, by the steps of the runbook."""

from __future__ import annotations

from typing import Any

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.demo.comparison import Side
from sandbox.demo.scenario import Scenario, library
from tests.e2e.pulumi_lifecycle.checks import expect
from tests.e2e.pulumi_lifecycle.settling import expect_settled
from tests.e2e.pulumi_lifecycle.stage import EngineStage
from tests.e2e.pulumi_lifecycle.transcript import Transcript

ISSUERS = {side: f"https://id.example.com/dth-dual/{side}" for side in SideName}


def keys_and_roles(engine: EngineStage, page: Transcript) -> None:
    """Deploy with users, change to roles, change back, and destroy. Each mode copies a file in both directions."""
    Change(engine, page).play()


class Change:
    """A pair whose kind of peer identity is changed twice."""

    def __init__(self, engine: EngineStage, page: Transcript) -> None:
        self.engine, self.page = engine, page
        self.fleet = engine.stage.fleet
        sides = {side: Side(side, bucket, engine.stage.s3(side)) for side, bucket in engine.stage.buckets.items()}
        self.users = Scenario(sides)

    def play(self) -> None:
        """Run all steps. Raises `LifecycleError` and the errors of commands."""
        before = self.engine.inventory()
        for stack in SideName:
            self.engine.create(stack, protect=True)
            self.engine.up(stack)
        for side in SideName:
            self.fleet.start(side)
        self.copy_files("with-keys")
        self.page.chapter("From keys to roles")
        self.change("role", {"issuer"})
        self.copy_files("with-roles")
        expect("no user and no key is left", self.iam("iam user dth", "iam key"), [])
        self.page.remark("No account has a dedicated user or an access key. A file of each side reached the other.")
        self.page.chapter("From roles to keys")
        self.change("user", set())
        self.copy_files("with-keys-again")
        expect("no role of a peer is left", self.iam("iam role dth-dual-cn-peer", "iam role dth-dual-global-peer"), [])
        expect("no issuer is left", self.iam("iam issuer"), [])
        self.page.remark("A file of each side reached the other, and the roles are gone with their issuers.")
        self.fleet.stop()
        expect("no secret key is in clear", self.engine.leaks(), [])
        for stack in SideName:
            self.engine.up(stack, protect=False)
            self.engine.destroy(stack)
        expect("nothing is left", self.engine.inventory(), before)

    def iam(self, *kinds: str) -> list[str]:
        """Return the IAM resources of some kinds in both accounts, without the operators' own keys."""
        operators = {f"iam key {account.access_key_id}" for account in ACCOUNTS.values()}
        found = {entry for entries in self.engine.inventory().values() for entry in entries if entry.startswith(kinds)}
        return sorted(found - operators)

    def change(self, mode: str, given: set[str]) -> None:
        """Change the kind of peer identity of both stacks by the five steps of the runbook."""
        former = {side: self.fleet.outputs[side]["userId"] for side in SideName}
        for stack in SideName:  # 1
            self.engine.up(stack, protect=False)
        self.page.output("pulumi config set dualsync:protect false && pulumi up   # both stacks", ())
        for side in SideName:  # 2
            more = {"issuer": ISSUERS[side]} if "issuer" in given else {}
            own: dict[str, Any] = self.engine.side(side, formerUserIds=[former[side]], **more)
            changes: dict[str, Any] = {"peerIdentity": mode, str(side): own}
            for stack in SideName:
                self.engine.configure(stack, **changes)
        refused = self.engine.preview("cn", wanted=(1, 255))
        self.page.refusal(
            f"pulumi preview --stack cn   # with peerIdentity: {mode}, and peerStack", refused, "deployed"
        )
        for stack in SideName:  # 3
            done = self.engine.up(stack, peerStack="")
            self.page.command(f"pulumi up --stack {stack}   # with peerIdentity: {mode}, without peerStack", done, 8)
        for side in SideName:  # 4
            self.engine.stage.cloud.publish(self.fleet.outputs[side]["issuer"])
        for stack in SideName:  # 5
            self.engine.up(stack, peerStack=str(SideName(stack).peer), protect=True)
            expect("no change is left", self.engine.preview(stack, "--expect-no-changes").changed, {})
        for side in SideName:
            # The group's instance refresh replaced the machines.
            self.fleet.workers.pop(side).stop()
            self.fleet.start(side)

    def copy_files(self, prefix: str) -> None:
        """Write a file on each side and wait until it is on the other."""
        self.fleet.wait_until_running()
        for side in SideName:
            self.users.upload(side, f"{prefix}-{side}", library(1), lambda count: None)
        expect_settled(f"files arrive {prefix}", self.fleet, self.users)
        dead = {side: self.engine.stage.backlog(side)[1] for side in SideName}
        expect("no message became a dead letter", dead, dict.fromkeys(SideName, 0))
