"""KMS: keys and their aliases."""

from __future__ import annotations

from sandbox.provider.base import Properties, Resource, changed, found, handles, present, retag, tag_list, tag_map

GONE = ("NotFoundException",)


@handles("aws:kms/key:Key")
class Key(Resource):
    replaces = frozenset({"keyUsage", "customerMasterKeySpec", "multiRegion", "customKeyStoreId", "xksKeyId"})
    documents = frozenset({"policy"})

    def create(self, inputs: Properties) -> str:
        kms = self.account.client("kms")
        tags = tag_list(inputs, "TagKey", "TagValue")
        made = kms.create_key(
            Tags=tags,
            **present(
                Description=inputs.get("description"),
                Policy=inputs.get("policy"),
                KeyUsage=inputs.get("keyUsage"),
                KeySpec=inputs.get("customerMasterKeySpec"),
            ),
        )
        id = str(made["KeyMetadata"]["KeyId"])
        if inputs.get("enableKeyRotation"):
            kms.enable_key_rotation(KeyId=id)
        return id

    def read(self, id: str, state: Properties) -> Properties | None:
        kms = self.account.client("kms")
        answer = found(kms.describe_key, GONE, KeyId=id)
        if answer is None or answer["KeyMetadata"]["KeyState"] == "PendingDeletion":
            return None
        key = answer["KeyMetadata"]
        # Only symmetric keys for encryption are rotated (KMS API Reference, GetKeyRotationStatus).
        rotates = key.get("KeySpec", "SYMMETRIC_DEFAULT") == "SYMMETRIC_DEFAULT"
        return {
            "arn": key["Arn"],
            "keyId": id,
            "description": key["Description"],
            "isEnabled": key["Enabled"],
            "keyUsage": key.get("KeyUsage") or "ENCRYPT_DECRYPT",
            "customerMasterKeySpec": key.get("KeySpec") or "SYMMETRIC_DEFAULT",
            "enableKeyRotation": rotates and kms.get_key_rotation_status(KeyId=id)["KeyRotationEnabled"],
            "policy": kms.get_key_policy(KeyId=id, PolicyName="default")["Policy"],
            "tagsAll": tag_map(kms.list_resource_tags(KeyId=id).get("Tags"), "TagKey", "TagValue"),
        }

    def update(self, id: str, old: Properties, new: Properties) -> None:
        kms = self.account.client("kms")
        if changed(old, new, "description"):
            kms.update_key_description(KeyId=id, Description=new.get("description", ""))
        if changed(old, new, "policy"):
            kms.put_key_policy(KeyId=id, PolicyName="default", Policy=new["policy"])
        if changed(old, new, "enableKeyRotation"):
            (kms.enable_key_rotation if new.get("enableKeyRotation") else kms.disable_key_rotation)(KeyId=id)
        added, removed = retag(old, new)
        if added:
            kms.tag_resource(KeyId=id, Tags=tag_list({"tagsAll": added}, "TagKey", "TagValue"))
        if removed:
            kms.untag_resource(KeyId=id, TagKeys=removed)

    def delete(self, id: str, state: Properties) -> None:
        days = state.get("deletionWindowInDays", 30)
        schedule = self.account.client("kms").schedule_key_deletion
        found(schedule, (*GONE, "KMSInvalidStateException"), KeyId=id, PendingWindowInDays=days)


@handles("aws:kms/alias:Alias")
class Alias(Resource):
    replaces = frozenset({"name", "namePrefix"})

    def create(self, inputs: Properties) -> str:
        self.account.client("kms").create_alias(AliasName=inputs["name"], TargetKeyId=inputs["targetKeyId"])
        return str(inputs["name"])

    def read(self, id: str, state: Properties) -> Properties | None:
        for page in self.account.client("kms").get_paginator("list_aliases").paginate():
            for alias in page["Aliases"]:
                if alias["AliasName"] == id:
                    key = alias["TargetKeyId"]
                    return {
                        "arn": alias["AliasArn"],
                        "name": id,
                        "targetKeyId": key,
                        "targetKeyArn": self.account.arn("kms", f"key/{key}"),
                    }
        return None

    def update(self, id: str, old: Properties, new: Properties) -> None:
        self.account.client("kms").update_alias(AliasName=id, TargetKeyId=new["targetKeyId"])

    def delete(self, id: str, state: Properties) -> None:
        found(self.account.client("kms").delete_alias, GONE, AliasName=id)
