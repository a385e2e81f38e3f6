"""S3: the program's own small bucket, its settings, and objects in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pulumi
from botocore.exceptions import ClientError

from sandbox.provider.base import Properties, Resource, changed, found, handles, present, tag_list, tag_map

GONE = ("NoSuchBucket", "404", "NoSuchKey")


@handles("aws:s3/bucket:Bucket")
class Bucket(Resource):
    replaces = frozenset({"bucket", "bucketPrefix", "objectLockEnabled"})
    autonamed = "bucket"

    def create(self, inputs: Properties) -> str:
        s3, name = self.account.client("s3"), inputs["bucket"]
        s3.create_bucket(
            Bucket=name,
            CreateBucketConfiguration={"LocationConstraint": self.account.region},
            **present(ObjectLockEnabledForBucket=inputs.get("objectLockEnabled")),
        )
        self._tag(name, inputs)
        return str(name)

    def read(self, id: str, state: Properties) -> Properties | None:
        s3 = self.account.client("s3")
        if found(s3.head_bucket, GONE, Bucket=id) is None:
            return None
        tags = found(s3.get_bucket_tagging, ("NoSuchTagSet",), Bucket=id) or {}
        suffix = self.account.dns_suffix
        return {
            "arn": f"arn:{self.account.partition}:s3:::{id}",
            "bucket": id,
            "bucketDomainName": f"{id}.s3.{suffix}",
            "bucketRegionalDomainName": f"{id}.s3.{self.account.region}.{suffix}",
            "bucketRegion": self.account.region,
            "tagsAll": tag_map(tags.get("TagSet")),
        }

    def update(self, id: str, old: Properties, new: Properties) -> None:
        if changed(old, new, "tagsAll"):
            self._tag(id, new)

    def delete(self, id: str, state: Properties) -> None:
        s3 = self.account.client("s3")
        if state.get("forceDestroy"):
            self._empty(id)
        found(s3.delete_bucket, GONE, Bucket=id)

    def _tag(self, name: str, inputs: Properties) -> None:
        if tags := tag_list(inputs):
            self.account.client("s3").put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})

    def _empty(self, name: str) -> None:
        s3 = self.account.client("s3")
        try:
            pages = list(s3.get_paginator("list_object_versions").paginate(Bucket=name))
        except ClientError as e:
            if e.response["Error"]["Code"] in GONE:
                return
            raise
        for page in pages:
            for version in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]:
                s3.delete_object(Bucket=name, Key=version["Key"], VersionId=version["VersionId"])


@handles("aws:s3/bucketObjectv2:BucketObjectv2")
class BucketObject(Resource):
    replaces = frozenset({"bucket", "key"})

    def create(self, inputs: Properties) -> str:
        self._put(inputs)
        return f"{inputs['bucket']}/{inputs['key']}"

    def read(self, id: str, state: Properties) -> Properties | None:
        bucket, _, key = id.partition("/")
        head = found(self.account.client("s3").head_object, GONE, Bucket=bucket, Key=key)
        if head is None:
            return None
        version = head.get("VersionId", "")
        return {
            "arn": f"arn:{self.account.partition}:s3:::{id}",
            "bucket": bucket,
            "key": key,
            "etag": head["ETag"].strip('"'),
            "contentType": head["ContentType"],
            "metadata": head["Metadata"],
            "versionId": "" if version == "null" else version,
        }

    def update(self, id: str, old: Properties, new: Properties) -> None:
        self._put(new)

    def delete(self, id: str, state: Properties) -> None:
        """Delete every version of the object, as the provider does."""
        bucket, _, key = id.partition("/")
        s3 = self.account.client("s3")
        versions = found(s3.list_object_versions, GONE, Bucket=bucket, Prefix=key) or {}
        for version in [*versions.get("Versions", ()), *versions.get("DeleteMarkers", ())]:
            if version["Key"] == key:
                s3.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])

    def _put(self, inputs: Properties) -> None:
        arguments = present(
            ContentType=inputs.get("contentType"),
            Metadata=inputs.get("metadata"),
            ServerSideEncryption=inputs.get("serverSideEncryption"),
            Tagging=urlencode(inputs["tagsAll"]) if inputs.get("tagsAll") else None,
        )
        body = _content(inputs)
        self.account.client("s3").put_object(Bucket=inputs["bucket"], Key=inputs["key"], Body=body, **arguments)


def _content(inputs: Properties) -> bytes:
    source = inputs.get("source")
    if isinstance(source, pulumi.FileAsset):
        return Path(str(source.path)).read_bytes()
    if isinstance(source, pulumi.StringAsset):
        return str(source.text).encode()
    return str(inputs.get("content", "")).encode()


class Setting(Resource):
    """One setting of a bucket, whose name is its id. Subclasses name the calls and convert the values."""

    replaces = frozenset({"bucket"})
    get: str
    put: str
    remove: str
    absent: tuple[str, ...] = ()

    def to_call(self, inputs: Properties) -> dict[str, Any]:
        raise NotImplementedError

    def from_call(self, answer: dict[str, Any]) -> Properties | None:
        raise NotImplementedError

    def create(self, inputs: Properties) -> str:
        getattr(self.account.client("s3"), self.put)(Bucket=inputs["bucket"], **self.to_call(inputs))
        return str(inputs["bucket"])

    def read(self, id: str, state: Properties) -> Properties | None:
        answer = found(getattr(self.account.client("s3"), self.get), (*GONE, *self.absent), Bucket=id)
        live = None if answer is None else self.from_call(answer)
        return None if live is None else {"bucket": id, **live}

    def update(self, id: str, old: Properties, new: Properties) -> None:
        self.create(new)

    def delete(self, id: str, state: Properties) -> None:
        found(getattr(self.account.client("s3"), self.remove), (*GONE, *self.absent), Bucket=id)


@handles("aws:s3/bucketPolicy:BucketPolicy")
class BucketPolicy(Setting):
    documents = frozenset({"policy"})
    get, put, remove = "get_bucket_policy", "put_bucket_policy", "delete_bucket_policy"
    absent = ("NoSuchBucketPolicy",)

    def to_call(self, inputs: Properties) -> dict[str, Any]:
        return {"Policy": inputs["policy"]}

    def from_call(self, answer: dict[str, Any]) -> Properties | None:
        return {"policy": answer["Policy"]}


@handles("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
class BucketPublicAccessBlock(Setting):
    get, put, remove = "get_public_access_block", "put_public_access_block", "delete_public_access_block"
    absent = ("NoSuchPublicAccessBlockConfiguration",)
    names = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")

    def to_call(self, inputs: Properties) -> dict[str, Any]:
        return {"PublicAccessBlockConfiguration": {n: inputs.get(n[0].lower() + n[1:], False) for n in self.names}}

    def from_call(self, answer: dict[str, Any]) -> Properties | None:
        return {n[0].lower() + n[1:]: v for n, v in answer["PublicAccessBlockConfiguration"].items()}


@handles("aws:s3/bucketOwnershipControls:BucketOwnershipControls")
class BucketOwnershipControls(Setting):
    get, put, remove = (
        "get_bucket_ownership_controls",
        "put_bucket_ownership_controls",
        "delete_bucket_ownership_controls",
    )
    absent = ("OwnershipControlsNotFoundError",)

    def to_call(self, inputs: Properties) -> dict[str, Any]:
        return {"OwnershipControls": {"Rules": [{"ObjectOwnership": inputs["rule"]["objectOwnership"]}]}}

    def from_call(self, answer: dict[str, Any]) -> Properties | None:
        return {"rule": {"objectOwnership": answer["OwnershipControls"]["Rules"][0]["ObjectOwnership"]}}


@handles("aws:s3/bucketVersioning:BucketVersioning")
class BucketVersioning(Setting):
    replaces = frozenset({"bucket", "expectedBucketOwner"})
    get, put = "get_bucket_versioning", "put_bucket_versioning"

    def to_call(self, inputs: Properties) -> dict[str, Any]:
        return {"VersioningConfiguration": {"Status": inputs["versioningConfiguration"]["status"]}}

    def from_call(self, answer: dict[str, Any]) -> Properties | None:
        return {"versioningConfiguration": {"status": answer["Status"]}} if answer.get("Status") else None

    def delete(self, id: str, state: Properties) -> None:
        suspended = {"VersioningConfiguration": {"Status": "Suspended"}}
        found(self.account.client("s3").put_bucket_versioning, GONE, Bucket=id, **suspended)


@handles("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
class BucketEncryption(Setting):
    replaces = frozenset({"bucket", "expectedBucketOwner"})
    get, put, remove = "get_bucket_encryption", "put_bucket_encryption", "delete_bucket_encryption"
    absent = ("ServerSideEncryptionConfigurationNotFoundError",)

    def to_call(self, inputs: Properties) -> dict[str, Any]:
        rules = []
        for rule in inputs["rules"]:
            default = rule["applyServerSideEncryptionByDefault"]
            how = present(SSEAlgorithm=default["sseAlgorithm"], KMSMasterKeyID=default.get("kmsMasterKeyId"))
            rules.append(present(ApplyServerSideEncryptionByDefault=how, BucketKeyEnabled=rule.get("bucketKeyEnabled")))
        return {"ServerSideEncryptionConfiguration": {"Rules": rules}}

    def from_call(self, answer: dict[str, Any]) -> Properties | None:
        rules = []
        for rule in answer["ServerSideEncryptionConfiguration"]["Rules"]:
            default = rule["ApplyServerSideEncryptionByDefault"]
            how = present(sseAlgorithm=default["SSEAlgorithm"], kmsMasterKeyId=default.get("KMSMasterKeyID"))
            rules.append({"applyServerSideEncryptionByDefault": how})
        return {"rules": rules}


@handles("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
class BucketLifecycle(Setting):
    replaces = frozenset({"bucket", "expectedBucketOwner"})
    get, put = "get_bucket_lifecycle_configuration", "put_bucket_lifecycle_configuration"
    remove = "delete_bucket_lifecycle"
    absent = ("NoSuchLifecycleConfiguration",)

    def to_call(self, inputs: Properties) -> dict[str, Any]:
        rules = []
        for rule in inputs["rules"]:
            noncurrent = rule.get("noncurrentVersionExpiration") or {}
            abort = rule.get("abortIncompleteMultipartUpload") or {}
            expiration = rule.get("expiration") or {}
            rules.append(
                present(
                    ID=rule["id"],
                    Status=rule["status"],
                    Filter={"Prefix": (rule.get("filter") or {}).get("prefix", "")},
                    Expiration=present(Days=expiration.get("days")) or None,
                    NoncurrentVersionExpiration=present(NoncurrentDays=noncurrent.get("noncurrentDays")) or None,
                    AbortIncompleteMultipartUpload=present(DaysAfterInitiation=abort.get("daysAfterInitiation"))
                    or None,
                )
            )
        return {"LifecycleConfiguration": {"Rules": rules}}

    def from_call(self, answer: dict[str, Any]) -> Properties | None:
        rules = []
        for rule in answer["Rules"]:
            noncurrent = rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays")
            abort = rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation")
            days = rule.get("Expiration", {}).get("Days")
            rules.append(
                present(
                    id=rule["ID"],
                    status=rule["Status"],
                    filter={"prefix": rule.get("Filter", {}).get("Prefix", "")},
                    expiration={"days": days} if days else None,
                    noncurrentVersionExpiration={"noncurrentDays": noncurrent} if noncurrent else None,
                    abortIncompleteMultipartUpload={"daysAfterInitiation": abort} if abort else None,
                )
            )
        return {"rules": rules}
