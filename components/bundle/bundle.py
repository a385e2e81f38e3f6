"""Store what workers and finder run: one bundle per architecture in a small private bucket of the side.

The bucket is versioned and has one key per architecture, not one per content: only the expiry of *noncurrent* versions
counts from the day of replacement. An expiry by age would one day delete the bundle from which new instances boot.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pulumi
import pulumi_aws as aws

from dualsync.components.bundle.builder import Built, default_builder
from dualsync.components.config.errors import ConfigError
from dualsync.components.config.names import OWN_TAGS
from dualsync.components.config.side_options import Architecture
from dualsync.components.context import SideContext

EXPIRY_DAYS = 90
"""Days for which a replaced bundle is kept, so that instances of older templates can boot."""

OBJECT_TAGS = 10
"""Tags that S3 takes per object (S3 User Guide, Categorizing your objects using tags)."""

_OWN_TAGS_ONLY = aws.s3.BucketObjectv2OverrideProviderArgs(
    default_tags=aws.s3.BucketObjectv2OverrideProviderDefaultTagsArgs(tags={})
)
"""Override that leaves out the provider's default tags, which could be too many for an object. The bucket has them."""


class MakesBundles(Protocol):
    """Source of bundles."""

    def build(self, architecture: Architecture) -> Built:
        """Return the bundle for an architecture. Raises `ConfigError`."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Bundles built elsewhere: `<folder>/arm64.tar`, `<folder>/x86_64.tar`."""

    folder: Path
    """Folder of the bundles."""

    def build(self, architecture: Architecture) -> Built:
        """Return the folder's bundle. Raises `ConfigError` if it has none."""
        path = self.folder / f"{architecture}.tar"
        try:
            return Built.at(path)
        except FileNotFoundError:
            remedy = "make it with `python -m dualsync.components.bundle.builder bundles FOLDER`"
            raise ConfigError("bundle", str(self.folder), f"has no {path.name}", remedy) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleArgs:
    """Arguments of `Bundle`."""

    architectures: Sequence[Architecture]
    """Architectures of workers and finder."""
    builder: MakesBundles = field(default_factory=default_builder)
    """Source of the bundles."""


@dataclass(frozen=True, slots=True)
class BundleObject:
    """One bundle in S3. Workers and finder fetch `version` and check `sha256`."""

    bucket: str
    """Name of the artifacts bucket."""
    key: str
    """Key of the object."""
    version: pulumi.Output[str]
    """Version id of the object."""
    sha256: str
    """SHA-256 of the content, hexadecimal."""
    arn: str
    """ARN of the object."""


class Bundle(pulumi.ComponentResource):
    """The artifacts bucket with one bundle per architecture; other content is a new version of the object."""

    objects: Mapping[Architecture, BundleObject]
    """The bundles by architecture."""

    def __init__(self, context: SideContext, args: BundleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dualsync:index:Bundle", context.names.of("bundle"), None, opts)
        self._context = context
        bucket = self._bucket()
        self.objects = {
            architecture: self._object(bucket, architecture, args.builder.build(architecture))
            for architecture in sorted(set(args.architectures))
        }
        self.register_outputs({"bucket": bucket.bucket, "sha256": {str(a): o.sha256 for a, o in self.objects.items()}})

    def _object(self, bucket: aws.s3.Bucket, architecture: Architecture, built: Built) -> BundleObject:
        key = f"bundles/{architecture}.tar"
        name = self._context.names.of(f"bundle-{architecture}")
        stored = aws.s3.BucketObjectv2(
            name,
            bucket=bucket.bucket,
            key=key,
            source=pulumi.FileAsset(str(built.path)),
            source_hash=built.sha256,
            content_type="application/x-tar",
            **self._encryption(),
            metadata={"sha256": built.sha256},
            tags=self._context.tags(f"bundle-{architecture}"),
            override_provider=_OWN_TAGS_ONLY if len(self._context.pair.tags) + len(OWN_TAGS) > OBJECT_TAGS else None,
            # An object that is written before its bucket keeps versions has no version id.
            opts=self._context.options(self, depends_on=[self._versioning]),
        )
        arn = self._context.partition.arn("s3", f"{self._context.names.artifacts_bucket}/{key}")
        version = stored.version_id.apply(lambda v: v or "")
        return BundleObject(self._context.names.artifacts_bucket, key, version, built.sha256, arn)

    def _encryption(self) -> dict[str, Any]:
        key = self._context.kms_key_arn
        if key:
            return {"server_side_encryption": "aws:kms", "kms_key_id": key, "bucket_key_enabled": True}
        return {"server_side_encryption": "AES256"}

    def _bucket(self) -> aws.s3.Bucket:
        context = self._context
        name = context.names.of("artifacts")
        options = context.options(self)
        bucket = aws.s3.Bucket(
            name,
            bucket=context.names.artifacts_bucket,
            force_destroy=True,
            tags=context.tags("artifacts"),
            opts=options,
        )
        block = aws.s3.BucketPublicAccessBlock(
            f"{name}-access",
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=options,
        )
        self._versioning = aws.s3.BucketVersioning(
            f"{name}-versioning",
            bucket=bucket.bucket,
            versioning_configuration={"status": "Enabled"},
            opts=options,
        )
        aws.s3.BucketOwnershipControls(
            f"{name}-ownership",
            bucket=bucket.bucket,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=options,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.bucket,
            rules=[_default_encryption(context.kms_key_arn)],
            opts=options,
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.bucket,
            rules=[
                {
                    "id": "old-bundles",
                    "status": "Enabled",
                    "filter": {"prefix": "bundles/"},
                    "noncurrent_version_expiration": {"noncurrent_days": EXPIRY_DAYS},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 1},
                },
            ],
            # Refused while the bucket keeps no versions yet.
            opts=context.options(self, depends_on=[self._versioning]),
        )
        aws.s3.BucketPolicy(
            f"{name}-policy",
            bucket=bucket.bucket,
            policy=json.dumps(tls_only(context.partition.arn("s3", context.names.artifacts_bucket))),
            # Two changes of a bucket's access at once collide (409 OperationAborted).
            opts=context.options(self, depends_on=[block]),
        )
        return bucket


def _default_encryption(kms_key_arn: str | None) -> Any:
    if kms_key_arn is None:
        return {"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}
    by_default = {"sse_algorithm": "aws:kms", "kms_master_key_id": kms_key_arn}
    return {"apply_server_side_encryption_by_default": by_default, "bucket_key_enabled": True}


def tls_only(bucket_arn: str) -> dict[str, object]:
    """Return a bucket policy that denies requests without TLS."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [bucket_arn, f"{bucket_arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }
