"""Test `dualsync doctor`: each check and its remedy, over accounts in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from dualsync.components.config.model import Access, PairModel, SideModel
from dualsync.runtime.errors import AccessDeniedError, FatalError, PermanentError
from dualsync.runtime.operations.aws.account import partition_of
from dualsync.runtime.operations.setup.account import (
    Account,
    BucketState,
    Caller,
    Notification,
    Simulation,
    SubnetRoute,
    Vpc,
)
from dualsync.runtime.operations.setup.declared import Declaration, DeclaredSide, read_declaration
from dualsync.runtime.operations.setup.doctor import CheckResult, Verdict, check_setup
from dualsync.runtime.operations.setup.machine import examine_machine
from dualsync.runtime.operations.setup.permissions import creation_actions
from dualsync.runtime.settings import SideName
from tools.iam_roles.evaluator import Request, decide

CN, GLOBAL = SideName.CN, SideName.GLOBAL
ROLES = Path(__file__).resolve().parents[5] / "docs" / "roles"
DIGEST = "sha256:" + "a" * 64
CN_SIDE = DeclaredSide(
    side=CN,
    account_id="123456789012",
    region="cn-north-1",
    bucket="ours-cn",
    profile="cn",
    image=f"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/lambda-python@{DIGEST}",
)
GLOBAL_SIDE = DeclaredSide(side=GLOBAL, account_id="210987654321", region="us-west-2", bucket="ours-global")


@dataclass
class FakeAccount:
    """A correct account, of which a test breaks a part."""

    caller_: Caller
    state: BucketState = field(default_factory=lambda: BucketState(versioned=True, notifications=[]))
    vpc_: Vpc = Vpc("vpc-1", [SubnetRoute("subnet-1", "rtb-1", "igw-1")])
    image: bool = True
    offered: Sequence[str] = ("arm64",)
    denied: frozenset[str] = frozenset()
    conditional: frozenset[str] = frozenset()
    errors: dict[str, Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def _fail(self, name: str) -> None:
        if name in self.errors:
            raise self.errors[name]

    async def caller(self) -> Caller:
        self._fail("caller")
        return self.caller_

    async def bucket(self, name: str, owner: str, region: str) -> BucketState:
        self._fail("bucket")
        return self.state

    async def vpc(self, id: str) -> Vpc:
        self._fail("vpc")
        return self.vpc_

    async def has_image(self, registry: str, repository: str, digest: str) -> bool:
        return self.image

    async def architectures(self, instance_type: str) -> Sequence[str]:
        return self.offered

    async def simulate(self, arn: str, actions: Sequence[str], resource: str) -> Sequence[Simulation]:
        self._fail("simulate")
        self.asked.append(arn)
        return [
            Simulation(a, a not in self.denied | self.conditional, ["aws:TagKeys"] if a in self.conditional else [])
            for a in actions
        ]

    async def role_arn(self, name: str) -> str:
        self._fail("role_arn")
        return f"arn:aws:iam::210987654321:role/path/{name}"


def fine() -> dict[SideName, FakeAccount]:
    return {
        CN: FakeAccount(Caller("arn:aws-cn:iam::123456789012:user/ann", "123456789012", "aws-cn", 0.4)),
        GLOBAL: FakeAccount(Caller("arn:aws:sts::210987654321:assumed-role/deploy/ann", "210987654321", "aws", 0.4)),
    }


def check(
    accounts: dict[SideName, FakeAccount], pair: Declaration | None = None, **cn: Any
) -> dict[tuple[str, str], CheckResult]:
    declared = pair or Declaration(sides={CN: replace(CN_SIDE, **cn), GLOBAL: GLOBAL_SIDE})
    given: dict[SideName, Account] = dict(accounts)
    found = asyncio.run(check_setup(declared, given, partition_of))
    assert all(f.remedy for f in found if f.verdict is not Verdict.FINE), "every problem has its remedy"
    # The worst finding of each check.
    order = list(Verdict)
    return {(f.side, f.check): f for f in sorted(found, key=lambda f: order.index(f.verdict))}


def test_two_correct_accounts_have_no_problems() -> None:
    accounts = fine()
    found = check(accounts)
    assert {f.verdict for f in found.values()} == {Verdict.FINE}
    assert {name for side, name in found if side == "cn"} == {
        *("identity", "clock", "bucket", "versioning", "events", "network", "instance type"),
        *("finder image", "permissions"),
    }
    assert set(accounts[GLOBAL].asked) == {"arn:aws:iam::210987654321:role/path/deploy"}


def test_profile_of_another_account_is_reported_before_other_checks() -> None:
    accounts = fine()
    accounts[CN].caller_ = accounts[GLOBAL].caller_
    found = check(accounts)
    assert found["cn", "identity"].verdict is Verdict.WRONG
    assert "profile 'cn' is of account 210987654321 in aws" in found["cn", "identity"].what
    assert ("cn", "bucket") not in found
    assert found["global", "bucket"].verdict is Verdict.FINE, "a problem of one side leaves the checks of the other"


def test_signed_out_profile_names_the_sign_in_command() -> None:
    accounts = fine()
    accounts[CN].errors["caller"] = FatalError(
        "profile 'cn' is signed out: run `aws sso login`; or give --profile-cn X"
    )
    found = check(accounts)["cn", "identity"]
    assert (found.verdict, found.what) == (Verdict.WRONG, "profile 'cn' is signed out: run `aws sso login`")
    assert "--profile-cn" in found.remedy


@pytest.mark.parametrize(("skew", "verdict"), [(20.0, Verdict.FINE), (-90.0, Verdict.WARNING), (400.0, Verdict.WRONG)])
def test_clock_skew_is_judged_by_its_size(skew: float, verdict: Verdict) -> None:
    accounts = fine()
    accounts[CN].caller_ = replace(accounts[CN].caller_, skew_seconds=skew)
    assert check(accounts)["cn", "clock"].verdict is verdict


def test_sample_accounts_of_the_project_file_are_not_checked() -> None:
    found = check(fine(), account_id="111122223333")
    assert found["cn", "config"].remedy == "`dualsync init` writes yours"
    assert ("cn", "identity") not in found


def test_unusable_bucket_is_reported_with_its_remedy() -> None:
    accounts = fine()
    accounts[CN].state = BucketState(problem="does not exist", remedy="create it")
    assert check(accounts)["cn", "bucket"] == CheckResult(
        "cn", "bucket", Verdict.WRONG, "ours-cn does not exist", "create it"
    )


def test_unversioned_bucket_is_a_warning_that_names_what_can_be_lost() -> None:
    accounts = fine()
    accounts[CN].state = BucketState(versioned=False, notifications=[])
    found = check(accounts, keep_loser=False)["cn", "versioning"]
    assert found.verdict is Verdict.WARNING
    assert found.what == "off: deleted objects and the losers of conflicts of this side can't be restored"
    assert found.remedy.endswith("`, or set keepLoser: true for the losers")
    found = check(accounts, keep_loser=True)["cn", "versioning"]
    assert found.verdict is Verdict.WARNING
    assert "losers" not in found.what + found.remedy


def test_unversioned_bucket_is_wrong_if_keep_loser_is_not_configured() -> None:
    accounts = fine()
    accounts[CN].state = BucketState(versioned=False, notifications=[])
    found = check(accounts)["cn", "versioning"]
    assert found.verdict is Verdict.WRONG
    assert found.what.startswith("off, and keepLoser is not given: deleted objects and the losers of conflicts")
    assert found.remedy.endswith("`, or set keepLoser: true for the losers, or false to accept their loss")
    assert check(accounts, managed=False)["cn", "versioning"].verdict is Verdict.WARNING, "another stack's"
    accounts[CN].state = BucketState(versioned=None, notifications=[])
    assert check(accounts)["cn", "versioning"].verdict is Verdict.WARNING, "not visible"


def test_keep_loser_is_read_from_the_managing_stack_then_from_the_default(tmp_path: Path) -> None:
    side = {"accountId": "123456789012", "region": "us-west-2", "bucket": "one"}
    sides = {"dualsync:cn": side, "dualsync:global": {**side, "bucket": "two"}}
    (tmp_path / "Pulumi.yaml").write_text("config: {}\n")
    for stack, more in (("cn", {"dualsync:keepLoser": True}), ("global", {})):
        config = {"dualsync:manages": [stack], **sides, **more}
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(json.dumps({"config": config}))
    found = read_declaration(tmp_path, {})
    assert [s.keep_loser for s in found.sides.values()] == [True, None]
    shared = {"config": {"keepLoser": {"type": "boolean", "default": False}}}
    (tmp_path / "Pulumi.yaml").write_text(json.dumps(shared))
    assert [s.keep_loser for s in read_declaration(tmp_path, {}).sides.values()] == [True, False]


@pytest.mark.parametrize(
    ("events", "prefix", "own", "verdict"),
    [
        (["s3:ObjectCreated:Put"], "", "", Verdict.WRONG),
        (["s3:ObjectCreated:*"], "logs/", "data/", Verdict.FINE),
        (["s3:ObjectCreated:*"], "data/in/", "data/", Verdict.WRONG),
        (["s3:ObjectRestore:Completed"], "", "", Verdict.FINE),
    ],
)
def test_another_consumer_of_the_same_events_is_reported(
    events: list[str], prefix: str, own: str, verdict: Verdict
) -> None:
    accounts = fine()
    other = Notification("other", "arn:aws-cn:sqs:cn-north-1:123456789012:other", events, prefix)
    accounts[CN].state = BucketState(versioned=True, notifications=[other])
    assert check(accounts, prefix=own)["cn", "events"].verdict is verdict


def test_own_notification_and_a_topic_are_no_overlap() -> None:
    accounts = fine()
    own = Notification("dth-dual-cn-events", "arn:aws-cn:sqs:::q", ["s3:ObjectCreated:*"], "")
    accounts[CN].state = BucketState(versioned=True, notifications=[own])
    assert check(accounts)["cn", "events"].verdict is Verdict.FINE
    accounts[CN].state = BucketState(versioned=True, notifications=[replace(own, id="other")])
    assert check(accounts, topic="arn:aws-cn:sns:cn-north-1:123456789012:t")["cn", "events"].verdict is Verdict.FINE


def test_subnets_without_internet_access_are_reported() -> None:
    accounts = fine()
    accounts[CN].vpc_ = Vpc("vpc-1", [SubnetRoute("subnet-1", "rtb-1", "")])
    assert "no subnet of vpc-1 has a route" in check(accounts)["cn", "network"].what
    found = check(accounts, subnet_ids=("subnet-1", "subnet-9"))["cn", "network"]
    assert found.verdict is Verdict.WRONG
    accounts[CN].vpc_ = Vpc("vpc-1", [SubnetRoute("subnet-1", "rtb-1", "igw-1")])
    assert "publicIp is false" in check(accounts, public_ip=False, subnet_ids=("subnet-1",))["cn", "network"].what
    accounts[CN].vpc_ = Vpc("")
    assert "no default VPC" in check(accounts)["cn", "network"].what


@pytest.mark.parametrize(
    ("targets", "public_ip", "shown"),
    [
        (["igw-1"], None, "1 subnets of vpc-1 lead out (igw), with public addresses"),
        (["nat-1", "tgw-1"], None, "2 subnets of vpc-1 lead out (nat, tgw), without public addresses"),
        (["igw-1", "nat-1"], None, "2 subnets of vpc-1 lead out (igw, nat), with public addresses"),
        (["igw-1", "nat-1"], False, "1 subnets of vpc-1 lead out (nat), without public addresses"),
        (["vpce-1"], None, "1 subnets of vpc-1 lead out (vpce), without public addresses"),
        (["vpce-1"], True, "1 subnets of vpc-1 lead out (vpce), with public addresses"),
    ],
)
def test_public_addresses_are_reported_as_the_deployment_gives_them(
    targets: list[str], public_ip: bool | None, shown: str
) -> None:
    accounts = fine()
    accounts[CN].vpc_ = Vpc("vpc-1", [SubnetRoute(f"subnet-{n}", "rtb", t) for n, t in enumerate(targets)])
    assert check(accounts, public_ip=public_ip)["cn", "network"].what == shown


def test_subnets_need_no_internet_egress_with_a_proxy() -> None:
    accounts = fine()
    accounts[CN].vpc_ = Vpc("vpc-1", [SubnetRoute("subnet-1", "rtb-1", "")])
    for subnets in ((), ("subnet-1",)):
        found = check(accounts, by_proxy=True, subnet_ids=subnets)["cn", "network"]
        assert (found.verdict, found.what) == (Verdict.FINE, "1 subnets of vpc-1, through httpsProxy")
    assert check(accounts, by_proxy=True, subnet_ids=("subnet-9",))["cn", "network"].verdict is Verdict.WRONG


def test_image_in_china_must_be_in_a_reachable_registry() -> None:
    assert "no public registry" in check(fine(), image="")["cn", "finder image"].what
    assert check(fine(), image="public.ecr.aws/lambda/python:3.12")["cn", "finder image"].verdict is Verdict.WRONG
    accounts = fine()
    accounts[CN].image = False
    assert check(accounts)["cn", "finder image"].verdict is Verdict.WRONG


def test_instance_type_of_another_architecture_is_reported() -> None:
    accounts = fine()
    accounts[CN].offered = ["x86_64"]
    assert check(accounts)["cn", "instance type"].verdict is Verdict.WRONG
    accounts[CN].offered = []
    assert "not offered in cn-north-1" in check(accounts)["cn", "instance type"].what


def test_missing_permissions_are_reported_and_conditional_ones_are_warnings() -> None:
    accounts = fine()
    accounts[CN].denied = frozenset({"sqs:CreateQueue", "iam:PassRole"})
    accounts[GLOBAL].conditional = frozenset({"ec2:CreateSecurityGroup"})
    found = check(accounts)
    assert "may not call iam:PassRole, sqs:CreateQueue" in found["cn", "permissions"].what
    assert found["global", "permissions"].verdict is Verdict.WARNING


def test_denied_check_is_a_warning() -> None:
    accounts = fine()
    accounts[CN].errors = {
        "vpc": AccessDeniedError("ec2 DescribeVpcs"),
        "simulate": PermanentError("NoSuchEntity", "iam"),
        "role_arn": AccessDeniedError("iam GetRole"),
    }
    found = check(accounts)
    assert {found["cn", name].verdict for name in ("network", "permissions")} == {Verdict.WARNING}
    assert found["cn", "bucket"].verdict is Verdict.FINE


def test_permissions_of_the_root_user_are_not_checked() -> None:
    accounts = fine()
    accounts[CN].caller_ = replace(accounts[CN].caller_, arn="arn:aws-cn:iam::123456789012:root")
    assert "not checked" in check(accounts)["cn", "permissions"].what


@pytest.mark.parametrize("side", SideName)
def test_simulated_calls_are_allowed_by_the_deploy_role(side: SideName) -> None:
    """Each call that is simulated is one that the generated role document allows, on the same resource."""
    documents = [json.loads(path.read_text()) for path in ROLES.glob(f"deploy-{side}-[0-9].json")]
    accounts = {CN: "111122223333", GLOBAL: "444455556666"}
    regions = {CN: "cn-north-1", GLOBAL: "us-west-2"}
    sides = {
        s: DeclaredSide(side=s, account_id=accounts[s], region=regions[s], bucket=f"dth-dual-dev-{regions[s]}")
        for s in SideName
    }
    pair = Declaration(sides=sides)
    partition = partition_of(regions[side])
    boundary = f"arn:{partition}:iam::{accounts[side]}:policy/dth-dual-{side}-boundary"
    context = {
        "iam:PermissionsBoundary": boundary,
        "iam:PolicyARN": f"arn:{partition}:iam::{accounts[side]}:policy/dth-dual-policy",
        "iam:PassedToService": "ec2.amazonaws.com",
        "aws:RequestTag/dualsync:pair": "dth-dual",
        "aws:RequestTag/dualsync:side": str(side),
    }
    calls = list(creation_actions(sides[side], pair, partition))
    assert len(calls) > 15
    for resource, actions in calls:
        for action in actions:
            assert decide(documents, Request(action, resource, context)).allowed, (action, resource)


def test_pair_with_roles_simulates_no_user_creation() -> None:
    accounts, regions = {CN: "1" * 12, GLOBAL: "2" * 12}, {CN: "cn-north-1", GLOBAL: "us-west-2"}
    sides = {
        s: DeclaredSide(
            side=s, account_id=accounts[s], region=regions[s], bucket="b", issuer=f"https://id.example.com/{s}"
        )
        for s in SideName
    }
    calls = dict(creation_actions(sides[CN], Declaration(sides=sides), "aws-cn"))
    assert calls["arn:aws-cn:iam::111111111111:oidc-provider/id.example.com/global"] == [
        "iam:CreateOpenIDConnectProvider"
    ]
    assert calls["arn:aws-cn:iam::111111111111:role/dth-dual-cn-peer"] == ["iam:CreateRole", "iam:PutRolePolicy"]
    assert calls["*"] == ["kms:CreateKey"]
    assert not {"iam:CreateUser", "iam:CreateAccessKey"} & {action for found in calls.values() for action in found}


@pytest.mark.parametrize("name", ["dth-dual", "other"])
def test_simulated_resources_are_named_as_in_the_component(name: str) -> None:
    models = {
        side: SideModel(side=side, account_id=account, region=region, bucket="b", access=Access())
        for side, account, region in ((CN, "1" * 12, "cn-north-1"), (GLOBAL, "2" * 12, "us-west-2"))
    }
    model = PairModel(cn=models[CN], global_=models[GLOBAL], manages=(CN,), name=name)
    sides = {s: DeclaredSide(side=s, account_id=m.account_id, region=m.region, bucket="b") for s, m in models.items()}
    resources = " ".join(r for r, _ in creation_actions(sides[CN], Declaration(pair=name, sides=sides), "aws-cn"))
    names = model.names(CN)
    for wanted in (names.user, names.policy, names.secret, names.of("queue"), names.artifacts_bucket):
        assert wanted in resources


def test_tools_of_this_machine_are_checked(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: dualsync\n")
    answers = {
        "version": "v3.260.0\n",
        "plugin": '[{"name":"aws","kind":"resource","version":"7.30.0"}]',
        "whoami": "ann",
    }

    def run(command: Sequence[str]) -> str | None:
        return answers.get(command[1])

    assert {f.verdict for f in examine_machine(tmp_path, run)} == {Verdict.FINE}
    del answers["whoami"]
    # Pulumi fetches a plugin that it lacks, or that is older than the SDK, on the first preview.
    for listed in ("[]", '[{"name":"aws","kind":"resource","version":"6.0.0"}]'):
        answers["plugin"] = listed
        found = {f.check: f for f in examine_machine(tmp_path, run)}
        assert {name: f.verdict for name, f in found.items() if f.verdict is not Verdict.FINE} == {
            "plugin": Verdict.WARNING,
            "state": Verdict.WRONG,
        }
        assert "`pulumi preview` fetches it" in found["plugin"].remedy
        assert "`pulumi install`" in found["plugin"].remedy
    (only,) = examine_machine(tmp_path, lambda command: None)
    assert only.verdict is Verdict.WRONG
