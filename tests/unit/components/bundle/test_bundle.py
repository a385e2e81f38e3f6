"""Test the artifacts bucket and the bundles in it: privacy, encryption, versions, expiry of replaced bundles."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dualsync.components.bundle.bundle import Bundle, BundleArgs, Ready
from dualsync.components.config.errors import ConfigError
from dualsync.components.config.side_options import Architecture
from dualsync.runtime.settings import SideName
from tests.unit.components.parts import TinyBundles, World, deploy, pair


@pytest.fixture
def world(tmp_path: Path) -> World:
    args = BundleArgs(architectures=list(Architecture), builder=TinyBundles(tmp_path))
    return deploy(lambda context: Bundle(context, args), World(), pair(), SideName.CN)


def test_bucket_is_private_encrypted_and_tls_only(world: World) -> None:
    block = world.one("BucketPublicAccessBlock").inputs
    assert {
        block[k] for k in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    } == {True}
    (statement,) = json.loads(world.one("BucketPolicy").inputs["policy"])["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"][0] == "arn:aws-cn:s3:::dth-dual-cn-artifacts-111111111111"
    (rule,) = world.one("BucketServerSideEncryptionConfiguration").inputs["rules"]
    assert rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"] == "AES256"
    assert world.one("Bucket").inputs["forceDestroy"] is True


def test_only_replaced_bundles_expire(world: World) -> None:
    assert world.one("BucketVersioning").inputs["versioningConfiguration"] == {"status": "Enabled"}
    (rule,) = world.one("BucketLifecycleConfiguration").inputs["rules"]
    assert rule["noncurrentVersionExpiration"]["noncurrentDays"] >= 30
    assert "expiration" not in rule


def test_each_architecture_has_one_object_that_changes_with_its_content(world: World) -> None:
    objects = {o.inputs["key"]: o.inputs for o in world.of("BucketObjectv2")}
    assert set(objects) == {"bundles/arm64.tar", "bundles/x86_64.tar"}
    assert all(o["sourceHash"] == o["metadata"]["sha256"] for o in objects.values())


def test_prebuilt_bundles_are_uploaded_unchanged(tmp_path: Path) -> None:
    (tmp_path / "arm64.tar").write_bytes(b"x")
    assert Ready(tmp_path).build(Architecture.ARM64).sha256.startswith("2d711642b726b044")
    with pytest.raises(ConfigError, match=r"bundle=.* has no x86_64.tar; make it with `python"):
        Ready(tmp_path).build(Architecture.X86_64)
