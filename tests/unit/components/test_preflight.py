"""Test the checks of buckets, profiles and instance types before a side is registered."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID

from dualsync.components.bucket_access.inspection import BucketFacts, Versioning, from_result, inspect, to_result
from tests.unit.components.recorder import Call, Cloud, Deployment, config_of, deploy

SIDE_TYPES = {"aws:sqs/queue:Queue", "aws:iam/user:User", "aws:dynamodb/table:Table"}


def facts(**changes: Any) -> Call:
    found = to_result(BucketFacts(**{"versioning": Versioning.ENABLED, **changes}))

    def call(token: str, args: dict[str, Any]) -> dict[str, Any] | None:
        return found if token == "dualsync:index:inspectBucket" and args["region"] == "cn-north-1" else None

    return call


def test_each_bucket_is_inspected_with_its_own_accounts_provider(cn: Deployment) -> None:
    lookups = [(args, provider) for token, args, provider in cn.calls if token == "dualsync:index:inspectBucket"]
    assert {(a["bucket"], a["accountId"], p.split("::")[-2]) for a, p in lookups} == {
        ("dth-dual-dev-cn-north-1", "111122223333", "dth-dual-cn-sync"),
        ("dth-dual-dev-us-west-2", "444455556666", "dth-dual-global-sync"),
    }


def test_a_missing_bucket_ends_the_preview(bundles: Path) -> None:
    message = r"^cn.bucket='dth-dual-dev-cn-north-1': does not exist; create it, or correct its name"
    with pytest.raises(Exception, match=message):
        deploy("cn", bundles, call=facts(problem="does not exist; create it, or correct its name: buckets are adopted"))


def test_a_peers_missing_bucket_is_a_warning(bundles: Path) -> None:
    """The healthy side must still be updated and taken down."""
    gone = to_result(BucketFacts(problem="does not exist; create it"))

    def call(token: str, args: dict[str, Any]) -> dict[str, Any] | None:
        return gone if token == "dualsync:index:inspectBucket" and args["region"] == "us-west-2" else None

    found = deploy("cn", bundles, call=call)
    (warning,) = found.warnings
    assert warning.startswith(
        "global.bucket='dth-dual-dev-us-west-2': does not exist; create it (side global is managed"
    )
    assert expiry_settings(found) == ("false", "true"), "what is absent there is no deletion"
    with pytest.raises(Exception, match=r"^global.bucket='dth-dual-dev-us-west-2': does not exist"):
        deploy("global", bundles, call=call)


def test_a_wrong_profile_is_an_error_of_the_profile_on_either_side(bundles: Path) -> None:
    problem = "is of account 1, not of 2; swap the profiles, or correct accountId"
    wrong = to_result(BucketFacts(problem=problem, key="profile"))

    def call(token: str, args: dict[str, Any]) -> dict[str, Any] | None:
        return wrong if token == "dualsync:index:inspectBucket" and args["region"] == "us-west-2" else None

    for stack, more in (("cn", "; if that account is lost, see `python -m .* lost-peer --help`"), ("global", "")):
        with pytest.raises(Exception, match=rf"^global.profile='dualsync-global': {problem}{more}$"):
            deploy(stack, bundles, call=call)


def test_an_instance_type_of_another_architecture_is_refused(bundles: Path) -> None:
    message = r"^architecture='arm64': is not that of instanceType='t3.small' \(x86_64\); change either"
    with pytest.raises(Exception, match=message):
        deploy("cn", bundles, {"instanceType": "t3.small"})
    assert deploy("cn", bundles, {"instanceType": "t3.small", "architecture": "x86_64"}).aws


def test_an_instance_type_that_the_region_lacks_is_refused(bundles: Path) -> None:
    def call(token: str, args: dict[str, Any]) -> Any:
        fault = "InvalidInstanceType: The following supplied instance types do not exist: [t9.huge]"
        return ({}, [("", fault)]) if token == "aws:ec2/getInstanceType:getInstanceType" else None

    with pytest.raises(Exception, match=r"^instanceType='t9.huge': is not offered in cn-north-1; use one of `aws ec2"):
        deploy("cn", bundles, {"instanceType": "t9.huge"}, call)


@pytest.mark.parametrize(("lacking", "exists"), [("t4g.micro", True), ("t4g.small", True), ("t4g.small", False)])
def test_spot_instances_of_a_type_that_the_region_lacks_are_refused(bundles: Path, lacking: str, exists: bool) -> None:
    """The group takes the next size of the family too."""

    def call(token: str, args: dict[str, Any]) -> Any:
        if token != "aws:ec2/getInstanceType:getInstanceType":
            return None
        name = args["instanceType"]
        if name == lacking and not exists:
            return {}, [("", f"InvalidInstanceType: The following supplied instance types do not exist: [{name}]")]
        usages = ["on-demand"] if name == lacking else ["on-demand", "spot"]
        return {"instanceType": name, "supportedArchitectures": ["arm64"], "supportedUsagesClasses": usages, "id": name}

    message = rf"^spotPercent=50: takes spot instances of {lacking}, which cn-north-1 does not offer; use another"
    with pytest.raises(Exception, match=message):
        deploy("cn", bundles, {"spotPercent": 50}, call)
    assert deploy("cn", bundles, {"spotPercent": 0}, call).aws


IMAGE = "ami-0123456789abcdef0"


def image(**changes: Any) -> Call:
    root = {"deviceName": "/dev/xvda", "ebs": {"volume_size": "8"}}
    found = {"architecture": "arm64", "rootDeviceName": "/dev/xvda", "blockDeviceMappings": [root], "id": IMAGE}

    def call(token: str, args: dict[str, Any]) -> dict[str, Any] | None:
        if token != "aws:ec2/getAmi:getAmi":
            return None
        assert args["filters"] == [{"name": "image-id", "values": [IMAGE]}]
        assert args["includeDeprecated"] is True, "a deprecated image can still be launched"
        return {**found, **changes}

    return call


MAPPINGS = [
    {"deviceName": "/dev/sdf", "ebs": {"volume_size": "100"}},
    {"deviceName": "/dev/xvda", "ebs": {"volume_size": "30"}},
    {"deviceName": "/dev/sdg", "virtualName": "ephemeral0"},
]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"architecture": "x86_64"},
            f"machineImage='{IMAGE}': is an image for x86_64, and architecture is arm64; change either, so that",
        ),
        (
            {"rootDeviceName": "/dev/sda1"},
            f"machineImage='{IMAGE}': has the root volume /dev/sda1, and /dev/xvda is what workers encrypt and size;",
        ),
        (
            {"blockDeviceMappings": MAPPINGS},
            f"volumeSize=8: is smaller than the root volume of machineImage='{IMAGE}', 30 GiB; use 30 or more",
        ),
    ],
)
def test_a_machine_image_that_the_template_does_not_fit_is_refused(
    bundles: Path, changes: dict[str, Any], message: str
) -> None:
    """EC2 refuses each launch, and the group only retries; a root volume of another name is not encrypted."""
    with pytest.raises(Exception, match=f"^{re.escape(message)}"):
        deploy("cn", bundles, {"machineImage": IMAGE}, image(**changes))


def test_a_machine_image_that_fits_is_accepted(bundles: Path) -> None:
    assert deploy("cn", bundles, {"machineImage": IMAGE}, image()).aws
    assert deploy("cn", bundles, {"machineImage": IMAGE, "volumeSize": 30}, image(blockDeviceMappings=MAPPINGS)).aws


def test_a_machine_image_that_the_region_lacks_is_refused(bundles: Path) -> None:
    def call(token: str, args: dict[str, Any]) -> Any:
        fault = "Your query returned no results. Please change your search criteria and try again."
        return ({}, [("", fault)]) if token == "aws:ec2/getAmi:getAmi" else None

    message = rf"^machineImage='{IMAGE}': does not exist in cn-north-1, or account 111122223333 may not use it; use an"
    with pytest.raises(Exception, match=message):
        deploy("cn", bundles, {"machineImage": IMAGE}, call)


def test_the_current_amazon_linux_is_not_looked_up(cn: Deployment) -> None:
    assert "aws:ec2/getAmi:getAmi" not in [token for token, _, _ in cn.calls]


def test_lifecycle_rules_that_delete_are_named(bundles: Path) -> None:
    (warning,) = deploy("cn", bundles, call=facts(expiring_rules=("tmp-30-days",))).warnings
    assert "lifecycle rule 'tmp-30-days' deletes objects here only" in warning
    changes = {"onLifecycleExpiry": "propagate"}
    (warning,) = deploy("cn", bundles, changes, facts(expiring_rules=("tmp-30-days",))).warnings
    assert "deletes the objects on the other side too" in warning


def expiry_settings(deployment: Deployment) -> tuple[str, str]:
    """Return the settings of cn's finder about lifecycle rules: (of its own bucket, of the peer's)."""
    environment = deployment.outputs["cn"]["environment"]
    return environment["DUALSYNC_LOCAL_EXPIRES"], environment["DUALSYNC_REMOTE_EXPIRES"]


def test_the_finders_settings_name_the_buckets_that_expire_objects(bundles: Path, cn: Deployment) -> None:
    assert expiry_settings(cn) == ("false", "false")
    rule = facts(expiring_rules=("tmp-30-days",), rules_read=True)
    assert expiry_settings(deploy("cn", bundles, call=rule)) == ("true", "false")
    assert expiry_settings(deploy("cn", bundles, call=facts(rules_read=False))) == ("true", "false"), (
        "unknown is not none"
    )
    assert expiry_settings(deploy("cn", bundles, {"onLifecycleExpiry": "propagate"}, rule)) == ("false", "false")


def test_configured_expiry_overrides_the_buckets_rules(bundles: Path) -> None:
    own = json.loads(config_of("cn")["dualsync:cn"]) | {"lifecycleExpires": False}
    found = deploy("cn", bundles, {"cn": own}, facts(expiring_rules=("tmp-30-days",), rules_read=True))
    assert expiry_settings(found) == ("false", "false")
    assert any(
        "cn.lifecycleExpires=false, but bucket dth-dual-dev-cn-north-1 has such rules" in w for w in found.warnings
    )


def test_a_peers_bucket_that_can_not_be_read_counts_as_expiring(bundles: Path) -> None:
    alone = {"handOver": "config", "peerStack": ""}
    found = deploy("cn", bundles, alone)
    assert expiry_settings(found) == ("false", "true")
    assert not [
        a for token, a, _ in found.calls if token == "dualsync:index:inspectBucket" and a["region"] != "cn-north-1"
    ]
    peer = json.loads(config_of("cn")["dualsync:global"]) | {"lifecycleExpires": False}
    assert expiry_settings(deploy("cn", bundles, alone | {"global": peer})) == ("false", "false")


def test_rules_that_may_not_be_read_are_unknown(s3: Any) -> None:
    with Stubber(s3) as stub:
        stub.add_response("head_bucket", {"BucketRegion": "us-west-2"})
        stub.add_client_error("get_bucket_lifecycle_configuration", "AccessDenied", http_status_code=403)
        stub.add_response("get_bucket_versioning", {})
        stub.add_client_error("get_bucket_ownership_controls", "AccessDenied", http_status_code=403)
        assert inspect_bucket(s3) == BucketFacts(versioning=Versioning.NONE, rules_read=False)


def test_an_acl_that_the_bucket_does_not_support_is_refused(bundles: Path) -> None:
    peer = json.loads(config_of("cn")["dualsync:global"]) | {"acl": "public-read"}
    with pytest.raises(Exception, match=r"^global.acl='public-read': is refused by bucket dth-dual-dev-cn-north-1"):
        deploy("cn", bundles, {"global": peer}, facts(ownership="BucketOwnerEnforced"))


def test_the_finders_image_in_china(bundles: Path) -> None:
    with pytest.raises(Exception, match=r"^finderImage: not given, and China regions have no public registry"):
        deploy("cn", bundles, {"finderImage": ""})


def no_vpc(token: str, args: dict[str, Any]) -> dict[str, Any] | None:
    return {"ids": [], "id": "x", "region": "x"} if token == "aws:ec2/getVpcs:getVpcs" else None


def test_an_error_names_the_config_key_at_the_level_where_it_was_set(bundles: Path) -> None:
    """At the top for the one side that a stack manages, inside the side where it was given there, or for two sides."""
    with pytest.raises(Exception, match=r"^vpcId: not given, and account 111122223333 has no default VPC"):
        deploy("cn", bundles, {"vpcId": None}, no_vpc)
    own = json.loads(config_of("cn")["dualsync:cn"])
    inside = own | {"subnetIds": ["subnet-00000000"]}
    with pytest.raises(Exception, match=r"^cn.subnetIds='subnet-00000000': is no subnet of .* or another vpcId$"):
        deploy("cn", bundles, {"cn": inside})
    own["finderImage"] = config_of("cn")["dualsync:finderImage"]
    both = {"manages": ["cn", "global"], "peerStack": "", "cn": own, "vpcId": None, "finderImage": None}
    with pytest.raises(Exception, match=r"^cn.vpcId: not given"):
        deploy("cn", bundles, both, no_vpc)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        client = boto3.client("s3", region_name="us-west-2")
        client.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
        yield client


def inspect_bucket(s3: Any, **changes: Any) -> BucketFacts:
    asked = {"bucket": "bucket", "account_id": DEFAULT_ACCOUNT_ID, "region": "us-west-2", **changes}
    return inspect(s3, **asked)


def test_a_usable_bucket(s3: Any) -> None:
    assert inspect_bucket(s3) == BucketFacts(versioning=Versioning.NONE, rules_read=True)


def test_facts_of_a_bucket(s3: Any) -> None:
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_ownership_controls(
        Bucket="bucket", OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    )
    rules: list[dict[str, Any]] = [
        {"ID": "all", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 3}},
        {"ID": "off", "Status": "Disabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 3}},
        {"ID": "elsewhere", "Status": "Enabled", "Filter": {"Prefix": "z/"}, "Expiration": {"Days": 3}},
        {
            "ID": "uploads",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3},
        },
    ]
    s3.put_bucket_lifecycle_configuration(Bucket="bucket", LifecycleConfiguration={"Rules": rules})
    found = inspect_bucket(s3, prefix="a/")
    assert found == BucketFacts(
        versioning=Versioning.ENABLED, ownership="BucketOwnerEnforced", expiring_rules=("all",), rules_read=True
    )
    assert from_result(to_result(found)) == found


def test_unusable_buckets(s3: Any) -> None:
    assert inspect_bucket(s3, bucket="nothing").problem.startswith("does not exist; create it")
    assert (
        inspect_bucket(s3, region="eu-west-1").problem
        == "is not the bucket's, which is us-west-2; correct region or bucket"
    )
    with Stubber(s3) as stub:  # moto lets every account read the bucket
        stub.add_client_error("head_bucket", "403", http_status_code=403)
        assert inspect_bucket(s3).problem.startswith(
            f"is not account {DEFAULT_ACCOUNT_ID}'s, or this deployment may not read it"
        )


def test_a_refused_bucket_leaves_nothing_behind(bundles: Path) -> None:
    recorded: list[Deployment] = []

    def cloud_of(deployment: Deployment, call: Call | None) -> Cloud:
        recorded.append(deployment)
        return Cloud(deployment, call)

    with pytest.raises(Exception, match=r"^keepLoser: not given, and bucket dth-dual-dev-cn-north-1 of side cn keeps"):
        deploy("cn", bundles, call=facts(versioning=Versioning.NONE), cloud_of=cloud_of)
    (deployment,) = recorded
    assert {r.type for r in deployment.resources if r.custom} == {"pulumi:providers:aws", "pulumi:providers:dualsync"}


@pytest.mark.parametrize("kept", [True, False])
def test_a_decision_about_losers_is_deployed(bundles: Path, kept: bool) -> None:
    found = deploy("cn", bundles, {"keepLoser": kept}, facts(versioning=Versioning.NONE, rules_read=True))
    assert found.outputs["cn"]["environment"]["DUALSYNC_KEEP_LOSER"] == str(kept).lower()
    assert len(found.warnings) == (0 if kept else 1)
