"""Test a pair of two companies without shared state, passphrase or credentials.

Only the two hand-overs are exchanged, as secrets.
"""

from __future__ import annotations

import configparser
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.environment.checkout import Checkout
from sandbox.environment.environment import Stage
from sandbox.environment.workspace import Workspace
from sandbox.provider.attached import Attached
from tests.e2e.pulumi_lifecycle.command import Command

pytestmark = pytest.mark.engine(long=True)


@dataclass
class Company:
    """The operators of one side: a checkout, a state, a passphrase and a profile of their own."""

    side: SideName
    pulumi: Command
    stage: Stage
    attached: Attached

    @property
    def stack(self) -> str:
        return str(self.side)

    def configure(self) -> None:
        changes = {"handOver": "config", "peerStack": "", "manages": [self.stack]}
        bundles = self.stage.workspace.folder / "bundles"
        self.pulumi.checkout.configure(self.stack, self.stage.cloud.endpoint, bundles, changes)

    def up(self) -> None:
        self.pulumi.up(self.stack, "--policy-pack", "policy")

    def hand_over(self) -> str:
        """Return the hand-over for the other company: `pulumi stack output handOver --show-secrets`."""
        return self.pulumi.run("stack", "output", "handOver", "--show-secrets", "--stack", self.stack).text.strip()

    def take(self, text: str) -> None:
        """Store the other company's hand-over as a config secret, given on standard input and not as an argument."""
        self.pulumi.run("config", "set", "--secret", "--stack", self.stack, "dualsync:peerCredential", text=text)

    def secret(self) -> dict[str, str]:
        """Return the content of the secret that their worker reads."""
        manager = self.stage.cloud.client(self.side, "secretsmanager")
        name = self.pulumi.outputs(self.stack)[self.stack]["secretName"]
        found: dict[str, str] = json.loads(manager.get_secret_value(SecretId=name)["SecretString"])
        return found

    @property
    def user_id(self) -> str:
        return str(self.pulumi.outputs(self.stack)["userIds"][self.stack])


def company(stage: Stage, side: SideName) -> Company:
    folder = stage.workspace.folder / f"company-{side}"
    for part in ("logs", "stacks", "bundles"):
        (folder / part).mkdir(parents=True)
    workspace = Workspace(folder)
    only_own_profile(stage.workspace.config_file, workspace.config_file, ACCOUNTS[side].profile)
    attached = Attached.start(workspace)
    command = Command(workspace, Checkout.make(workspace), attached.variables, passphrase=f"of {side} alone")
    made = Company(side, command, stage, attached)
    made.configure()
    command.init(made.stack)
    return made


def only_own_profile(source: Path, target: Path, profile: str) -> None:
    profiles = configparser.ConfigParser()
    profiles.read(source)
    for name in profiles.sections():
        if name != f"profile {profile}":
            profiles.remove_section(name)
    with target.open("w") as file:
        profiles.write(file)


@pytest.fixture
def companies() -> Iterator[tuple[Company, Company]]:
    with Stage.open("companies") as stage:
        stage.make_buckets()
        stage.build_bundles()
        made: list[Company] = []
        try:
            made += [company(stage, SideName.CN)]
            made += [company(stage, SideName.GLOBAL)]
            yield made[0], made[1]
        finally:
            for one in made:
                one.attached.stop()


def test_two_companies_without_shared_state_sync_their_buckets(companies: tuple[Company, Company]) -> None:
    cn, other = companies
    # The deployments need no order, because workers wait until they get the peer's key.
    for one in companies:
        one.up()
    for one, peer in ((cn, other), (other, cn)):
        one.take(peer.hand_over())
        one.up()
        assert one.secret()["user_id"] == peer.user_id
    # On both sides the suppressed user is the one as which the peer's worker writes there.
    for one, peer in ((cn, other), (other, cn)):
        environment = one.pulumi.outputs(one.stack)[one.stack]["environment"]
        assert environment["DUALSYNC_OWN_USER_IDS"] == peer.secret()["user_id"] == one.user_id

    stage = cn.stage
    stage.fleet.outputs = {one.side: one.pulumi.outputs(one.stack)[one.stack] for one in companies}
    for side in SideName:
        stage.fleet.start(side)
    stage.fleet.wait_until_running()


def test_only_the_company_can_read_its_stack(companies: tuple[Company, Company]) -> None:
    cn, other = companies
    cn.up()
    key = json.loads(cn.hand_over())["secret_access_key"]
    state = json.dumps(cn.pulumi.export(cn.stack))
    assert key not in state
    files = [p for p in other.pulumi.workspace.folder.rglob("*") if p.is_file() and not p.is_symlink()]
    assert not [p for p in files if key.encode() in p.read_bytes()]
