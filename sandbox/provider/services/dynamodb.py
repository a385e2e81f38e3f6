"""DynamoDB: tables."""

from __future__ import annotations

from typing import Any

from sandbox.provider.base import Properties, Resource, changed, found, handles, present, retag, tag_list, tag_map

GONE = ("ResourceNotFoundException",)


@handles("aws:dynamodb/table:Table")
class Table(Resource):
    replaces = frozenset(
        {"name", "hashKey", "rangeKey", "localSecondaryIndexes"}
        | {"restoreSourceName", "restoreToLatestTime", "restoreDateTime"}
    )
    autonamed = "name"

    def create(self, inputs: Properties) -> str:
        dynamodb = self.account.client("dynamodb")
        encryption = inputs.get("serverSideEncryption")
        indexes = [_index(i) for i in inputs.get("globalSecondaryIndexes") or ()]
        dynamodb.create_table(
            TableName=inputs["name"],
            KeySchema=_keys(inputs.get("hashKey"), inputs.get("rangeKey")),
            AttributeDefinitions=_attributes(inputs),
            BillingMode=inputs.get("billingMode", "PROVISIONED"),
            Tags=tag_list(inputs),
            **present(
                GlobalSecondaryIndexes=indexes or None,
                DeletionProtectionEnabled=inputs.get("deletionProtectionEnabled"),
                SSESpecification=encryption
                and present(Enabled=encryption["enabled"], KMSMasterKeyId=encryption.get("kmsKeyArn")),
            ),
        )
        self._settings(inputs, {})
        return str(inputs["name"])

    def read(self, id: str, state: Properties) -> Properties | None:
        dynamodb = self.account.client("dynamodb")
        answer = found(dynamodb.describe_table, GONE, TableName=id)
        if answer is None:
            return None
        table = answer["Table"]
        keys = {k["KeyType"]: k["AttributeName"] for k in table["KeySchema"]}
        recovery = dynamodb.describe_continuous_backups(TableName=id)["ContinuousBackupsDescription"]
        ttl = dynamodb.describe_time_to_live(TableName=id)["TimeToLiveDescription"]
        live = {
            "arn": table["TableArn"],
            "name": id,
            "hashKey": keys["HASH"],
            "rangeKey": keys.get("RANGE"),
            "billingMode": table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
            "deletionProtectionEnabled": table.get("DeletionProtectionEnabled", False),
            "pointInTimeRecovery": {
                "enabled": recovery["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
            },
            "ttl": {"attributeName": ttl.get("AttributeName", ""), "enabled": ttl["TimeToLiveStatus"] == "ENABLED"},
            "tagsAll": tag_map(dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]),
        }
        return present(**live)

    def update(self, id: str, old: Properties, new: Properties) -> None:
        dynamodb = self.account.client("dynamodb")
        if changed(old, new, "billingMode", "deletionProtectionEnabled"):
            dynamodb.update_table(
                TableName=id,
                BillingMode=new.get("billingMode", "PROVISIONED"),
                DeletionProtectionEnabled=bool(new.get("deletionProtectionEnabled")),
            )
        if changed(old, new, "globalSecondaryIndexes", "attributes"):
            self._reindex(id, old, new)
        self._settings(new, old)
        arn = self.account.arn("dynamodb", f"table/{id}")
        added, removed = retag(old, new)
        if added:
            dynamodb.tag_resource(ResourceArn=arn, Tags=tag_list({"tagsAll": added}))
        if removed:
            dynamodb.untag_resource(ResourceArn=arn, TagKeys=removed)

    def delete(self, id: str, state: Properties) -> None:
        found(self.account.client("dynamodb").delete_table, GONE, TableName=id)

    def _settings(self, new: Properties, old: Properties) -> None:
        dynamodb, name = self.account.client("dynamodb"), new["name"]
        if changed(old, new, "ttl") and new.get("ttl"):
            dynamodb.update_time_to_live(
                TableName=name,
                TimeToLiveSpecification={
                    "Enabled": new["ttl"].get("enabled", True),
                    "AttributeName": new["ttl"]["attributeName"],
                },
            )
        if changed(old, new, "pointInTimeRecovery"):
            enabled = bool((new.get("pointInTimeRecovery") or {}).get("enabled"))
            dynamodb.update_continuous_backups(
                TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": enabled}
            )

    def _reindex(self, id: str, old: Properties, new: Properties) -> None:
        before = {i["name"] for i in old.get("globalSecondaryIndexes") or ()}
        after = {i["name"]: i for i in new.get("globalSecondaryIndexes") or ()}
        updates: list[dict[str, Any]] = [{"Delete": {"IndexName": n}} for n in sorted(before - set(after))]
        updates += [{"Create": _index(after[n])} for n in sorted(set(after) - before)]
        for update in updates:
            self.account.client("dynamodb").update_table(
                TableName=id, AttributeDefinitions=_attributes(new), GlobalSecondaryIndexUpdates=[update]
            )


def _attributes(inputs: Properties) -> list[dict[str, str]]:
    return [{"AttributeName": a["name"], "AttributeType": a["type"]} for a in inputs.get("attributes") or ()]


def _keys(hash_key: str | None, range_key: str | None) -> list[dict[str, str]]:
    pairs = ((hash_key, "HASH"), (range_key, "RANGE"))
    return [{"AttributeName": name, "KeyType": kind} for name, kind in pairs if name]


def _index(given: Properties) -> dict[str, Any]:
    schema = [{"AttributeName": k["attributeName"], "KeyType": k["keyType"]} for k in given.get("keySchemas") or ()]
    return {
        "IndexName": given["name"],
        "KeySchema": schema or _keys(given.get("hashKey"), given.get("rangeKey")),
        "Projection": present(
            ProjectionType=given["projectionType"], NonKeyAttributes=given.get("nonKeyAttributes") or None
        ),
    }
