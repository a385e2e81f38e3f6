"""Test that a preview fails when a configured list makes a policy document or a rule too long for AWS."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import botocore.session
import pulumi_aws as aws
import pytest

from dualsync.components import preflight
from dualsync.components.config.errors import ConfigError
from dualsync.components.config.model import PairModel
from dualsync.components.context import SideContext
from dualsync.components.network import SCHEDULE_SUBNETS, Network
from dualsync.runtime.settings import SideName
from tests.unit.components.config.test_config_fuzz import CN, cn, pair
from tests.unit.components.parts import World, deploy
from tests.unit.components.parts import pair as parts_pair
from tests.unit.components.recorder import by_role
from tests.unit.components.recorder import deploy as run_program

ADDRESSES = [f"203.{a}.{b}.0/24" for a in range(2) for b in range(256)]
ROLES = [f"arn:aws-cn:iam::111122223333:role/operators/of-the-night-shift-{n}" for n in range(400)]
IDS = [f"AIDA{n:017}" for n in range(400)]

TOO_LONG: list[tuple[dict[str, Any], str]] = [
    (cn(peerAddresses=ADDRESSES), "cn.peerAddresses='(512 entries)': makes the policy of the peer's user"),
    ({"operatorRoles": ROLES}, "operatorRoles='(400 entries)': makes a queue's policy"),
    (cn(formerUserIds=IDS), "cn.formerUserIds='(400 entries)': makes the workers' boot script"),
    (
        {"httpsProxy": "http://proxy:3128", "noProxy": [f"host-{n}.storage.example.com" for n in range(300)]},
        "noProxy='(300 entries)': makes the workers' boot script",
    ),
]


def context_of(model: PairModel) -> SideContext:
    return SideContext(model, SideName.CN, cast("aws.Provider", None))


@pytest.mark.parametrize(("changes", "start"), TOO_LONG, ids=[start for _, start in TOO_LONG])
def test_a_list_that_makes_a_document_too_long_is_refused(changes: dict[str, Any], start: str) -> None:
    with pytest.raises(ConfigError) as caught:
        preflight.check_documents(context_of(pair(changes)))
    assert str(caught.value).startswith(start)
    assert str(caught.value).endswith("; give fewer entries, or shorten the prefixes")


def test_lists_of_usual_length_are_accepted() -> None:
    changes = cn(peerAddresses=ADDRESSES[:40], formerUserIds=IDS[:40], prefix="ü" * 170) | {"operatorRoles": ROLES[:20]}
    preflight.check_documents(context_of(pair(changes)))


def test_a_long_list_of_deployers_is_refused_before_the_account_is_asked() -> None:
    with pytest.raises(ConfigError, match=r"^deployers='\(400 entries\)': makes a secret's policy \d+ characters long"):
        preflight.check_deployer(context_of(pair({"deployers": ROLES})))


def test_the_program_is_refused_before_the_first_resource(bundles: Path) -> None:
    with pytest.raises(Exception, match=r"^cn\.peerAddresses='\(512 entries\)': makes the policy of the peer's user"):
        run_program("cn", bundles, {"cn": {**CN, "peerAddresses": ADDRESSES}})


def test_a_roles_inline_policy_may_be_longer_than_a_users() -> None:
    addresses = ADDRESSES[:350]
    with pytest.raises(ConfigError):
        preflight.check_documents(context_of(pair(cn(peerAddresses=addresses))))
    roles = by_role()
    sides = {"cn": {**CN, "issuer": roles["cn"]["issuer"], "peerAddresses": addresses}, "global": roles["global"]}
    preflight.check_documents(context_of(pair({"peerIdentity": "role", **sides})))


def test_a_schedule_gets_no_more_subnets_than_the_service_allows() -> None:
    """A VPC may have any number of subnets with internet egress, and a list in config, too."""
    most = botocore.session.get_session().get_service_model("scheduler").shape_for("Subnets").metadata["max"]
    assert most == SCHEDULE_SUBNETS
    subnets = [f"subnet-{n:02}" for n in range(20)]
    world = World(subnets=subnets, zones={subnet: f"cnn1-az{n % 2 + 1}" for n, subnet in enumerate(subnets)})
    made: list[Network] = []
    deploy(lambda context: made.append(Network(context)), world, parts_pair(), SideName.CN)
    assert (len(made[0].subnet_ids), len(made[0].finder_subnet_ids)) == (20, SCHEDULE_SUBNETS)
