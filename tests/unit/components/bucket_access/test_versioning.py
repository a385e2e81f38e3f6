"""A bucket that keeps no versions: what a deployment reads of it, and when it is refused, warned of or taken."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pulumi_aws as aws
import pytest
from botocore.stub import Stubber

from dualsync.components import preflight
from dualsync.components.bucket_access import inspection
from dualsync.components.bucket_access.inspection import BucketFacts, Versioning, from_result, inspect, to_result
from dualsync.components.config import stack_config
from dualsync.components.config.errors import ConfigError
from dualsync.components.context import SideContext
from dualsync.components.providers import SyncProvider
from dualsync.runtime.settings import SideName

CN, GLOBAL = SideName.CN, SideName.GLOBAL
ACCOUNT = "111122223333"
SIDES = {
    "cn": {"accountId": ACCOUNT, "region": "cn-north-1", "bucket": "bucket-cn"},
    "global": {"accountId": "444455556666", "region": "us-west-2", "bucket": "bucket-global"},
}
ON = Versioning.ENABLED
LOST = [Versioning.NONE, Versioning.SUSPENDED]
MANAGED = [["cn"], ["global"], ["cn", "global"]]


@pytest.fixture
def s3() -> Iterator[Stubber]:
    """Answers to an S3 client up to those about versioning and ownership, which the test adds."""
    client: Any = boto3.client("s3", region_name="us-west-2", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        stub.add_response("head_bucket", {"BucketRegion": "us-west-2"})
        stub.add_response("get_bucket_lifecycle_configuration", {})
        yield stub
        stub.assert_no_pending_responses()


def inspected(stub: Stubber) -> BucketFacts:
    stub.add_response("get_bucket_ownership_controls", {})
    return inspect(stub.client, bucket="bucket-cn", account_id=ACCOUNT, region="us-west-2")


@pytest.mark.parametrize(
    ("answer", "versioning"),
    [
        ({}, Versioning.NONE),
        ({"Status": "Enabled"}, Versioning.ENABLED),
        ({"Status": "Suspended"}, Versioning.SUSPENDED),
        ({"Status": "Paused"}, Versioning.UNKNOWN),
    ],
)
def test_the_statuses_of_a_bucket(s3: Stubber, answer: dict[str, str], versioning: Versioning) -> None:
    s3.add_response("get_bucket_versioning", answer)
    found = inspected(s3)
    assert found == BucketFacts(versioning=versioning, rules_read=True)
    assert from_result(to_result(found)) == found


@pytest.mark.parametrize(("code", "status"), [("AccessDenied", 403), ("NotImplemented", 501)])
def test_versioning_that_may_not_be_read_is_unknown(s3: Stubber, code: str, status: int) -> None:
    """A bucket that never had versioning answers without a status; a refusal is no such answer."""
    s3.add_client_error("get_bucket_versioning", code, http_status_code=status)
    assert inspected(s3) == BucketFacts(versioning=Versioning.UNKNOWN, rules_read=True)


class Checked:
    """Runs the check of both buckets; keeps what it warns of."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.warnings: list[str] = []
        self._buckets: dict[str, Versioning] = {}
        monkeypatch.setattr("pulumi.log.warn", self.warnings.append)
        monkeypatch.setattr("pulumi.runtime.invoke", self._invoke)

    def __call__(self, cn: Versioning = ON, other: Versioning = ON, **given: Any) -> None:
        self.warnings.clear()
        self._buckets = {"bucket-cn": cn, "bucket-global": other}
        model = stack_config.pair_of({"manages": ["cn"], **SIDES, **given})
        contexts = {side: SideContext(model, side, cast("aws.Provider", None)) for side in SideName}
        preflight.check_buckets(model, contexts, {side: cast("SyncProvider", None) for side in SideName})

    def _invoke(self, token: str, args: dict[str, str], options: Any) -> SimpleNamespace:
        assert token == inspection.TOKEN
        return SimpleNamespace(value=to_result(BucketFacts(versioning=self._buckets[args["bucket"]], rules_read=True)))


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Checked:
    return Checked(monkeypatch)


@pytest.mark.parametrize("versioning", LOST)
def test_a_bucket_that_keeps_no_loser_is_refused_unless_config_decides(check: Checked, versioning: Versioning) -> None:
    with pytest.raises(ConfigError) as caught:
        check(cn=versioning)
    assert caught.value.key == "keepLoser"
    assert str(caught.value) == (
        f"keepLoser: not given, and bucket bucket-cn of side cn keeps no versions (versioning: {versioning}), so the"
        " loser of a conflict there is lost; set keepLoser to true, in both stacks, to keep losers under a conflict"
        " name, switch on the bucket's versioning, or set keepLoser to false to accept the loss"
    )


@pytest.mark.parametrize("versioning", [*LOST, Versioning.UNKNOWN])
def test_a_loss_that_is_accepted_is_a_warning(check: Checked, versioning: Versioning) -> None:
    check(cn=versioning, keepLoser=False)
    assert check.warnings == [
        "cn.bucket='bucket-cn': the bucket keeps no versions (as far as this deployment may read), and keepLoser=false:"
        " the loser of a conflict on this side is lost; set keepLoser to true, or switch on versioning"
    ]


@pytest.mark.parametrize("manages", MANAGED)
@pytest.mark.parametrize("versioning", [*LOST, Versioning.UNKNOWN])
def test_kept_losers_need_no_versions(check: Checked, versioning: Versioning, manages: list[str]) -> None:
    check(versioning, versioning, manages=manages, keepLoser=True)
    assert check.warnings == []


@pytest.mark.parametrize("manages", MANAGED)
@pytest.mark.parametrize("given", [{}, {"keepLoser": False}, {"keepLoser": True}])
def test_versioned_buckets_need_no_decision(check: Checked, given: dict[str, Any], manages: list[str]) -> None:
    check(manages=manages, **given)
    assert check.warnings == []


def test_a_bucket_whose_versioning_cannot_be_read_is_a_warning(check: Checked) -> None:
    check(cn=Versioning.UNKNOWN)
    (warning,) = check.warnings
    assert warning == (
        "cn.bucket='bucket-cn': the bucket keeps no versions (as far as this deployment may read), and keepLoser is not"
        " given: the loser of a conflict on this side is lost; set keepLoser to true, or switch on versioning"
    )


@pytest.mark.parametrize("versioning", LOST)
def test_a_bucket_of_the_other_stacks_side_is_a_warning_and_refused_by_its_own_stack(
    check: Checked, versioning: Versioning
) -> None:
    check(other=versioning)
    (warning,) = check.warnings
    assert warning.startswith("global.bucket='bucket-global': the bucket keeps no versions")
    with pytest.raises(ConfigError, match=r"^keepLoser: not given, and bucket bucket-global of side global keeps"):
        check(other=versioning, manages=["global"])


@pytest.mark.parametrize(
    ("cn", "other", "side"),
    [
        (ON, Versioning.NONE, GLOBAL),
        (Versioning.SUSPENDED, ON, CN),
        (Versioning.UNKNOWN, Versioning.SUSPENDED, GLOBAL),
    ],
)
def test_one_bucket_without_versions_of_two_managed_ones_is_refused(
    check: Checked, cn: Versioning, other: Versioning, side: SideName
) -> None:
    with pytest.raises(ConfigError, match=rf"^keepLoser: not given, and bucket bucket-{side} of side {side}") as caught:
        check(cn, other, manages=["cn", "global"])
    assert "set keepLoser to true to keep losers" in str(caught.value), "there is one stack"


@pytest.mark.parametrize("manages", MANAGED)
@pytest.mark.parametrize("versioning", LOST)
def test_a_one_way_pair_has_no_losers(check: Checked, versioning: Versioning, manages: list[str]) -> None:
    """What others change at an unversioned destination is lost: a warning, without a decision about keepLoser."""
    check(versioning, versioning, manages=manages, direction="cn-to-global")
    (warning,) = check.warnings
    assert warning.startswith("global.bucket='bucket-global': the bucket keeps no versions")
    assert "what others change at the destination is lost" in warning
