"""Secrets Manager: secrets, their policies and versions."""

from __future__ import annotations

from sandbox.provider.base import Properties, Resource, changed, found, handles, present, retag, tag_list, tag_map

GONE = ("ResourceNotFoundException",)


@handles("aws:secretsmanager/secret:Secret")
class Secret(Resource):
    replaces = frozenset({"name", "namePrefix"})
    autonamed = "name"
    documents = frozenset({"policy"})

    def create(self, inputs: Properties) -> str:
        made = self.account.client("secretsmanager").create_secret(
            Name=inputs["name"],
            Tags=tag_list(inputs),
            **present(Description=inputs.get("description"), KmsKeyId=inputs.get("kmsKeyId")),
        )
        return str(made["ARN"])

    def read(self, id: str, state: Properties) -> Properties | None:
        secret = found(self.account.client("secretsmanager").describe_secret, GONE, SecretId=id)
        if secret is None or secret.get("DeletedDate"):
            return None
        return {
            "arn": secret["ARN"],
            "name": secret["Name"],
            "description": secret.get("Description", ""),
            "tagsAll": tag_map(secret.get("Tags")),
        }

    def update(self, id: str, old: Properties, new: Properties) -> None:
        client = self.account.client("secretsmanager")
        if changed(old, new, "description", "kmsKeyId"):
            client.update_secret(
                SecretId=id, **present(Description=new.get("description"), KmsKeyId=new.get("kmsKeyId"))
            )
        added, removed = retag(old, new)
        if added:
            client.tag_resource(SecretId=id, Tags=tag_list({"tagsAll": added}))
        if removed:
            client.untag_resource(SecretId=id, TagKeys=removed)

    def delete(self, id: str, state: Properties) -> None:
        days = state.get("recoveryWindowInDays", 30)
        how = {"RecoveryWindowInDays": days} if days else {"ForceDeleteWithoutRecovery": True}
        found(self.account.client("secretsmanager").delete_secret, GONE, SecretId=id, **how)


@handles("aws:secretsmanager/secretVersion:SecretVersion")
class SecretVersion(Resource):
    """Version of a secret. A changed value is a new version with the stage AWSCURRENT; one in use is not removed."""

    replaces = frozenset({"secretId", "secretString", "secretBinary", "secretStringWoVersion"})
    secret_outputs = frozenset({"secretString", "secretBinary"})

    def create(self, inputs: Properties) -> str:
        made = self.account.client("secretsmanager").put_secret_value(
            SecretId=inputs["secretId"],
            **present(SecretString=inputs.get("secretString"), VersionStages=inputs.get("versionStages")),
        )
        return f"{inputs['secretId']}|{made['VersionId']}"

    def read(self, id: str, state: Properties) -> Properties | None:
        secret, _, version = id.partition("|")
        value = found(
            self.account.client("secretsmanager").get_secret_value,
            (*GONE, "InvalidRequestException"),
            SecretId=secret,
            VersionId=version,
        )
        if value is None:
            return None
        return {
            "arn": value["ARN"],
            "secretId": secret,
            "versionId": version,
            "secretString": value.get("SecretString", ""),
            "versionStages": value["VersionStages"],
        }

    def delete(self, id: str, state: Properties) -> None:
        """Do nothing: AWSCURRENT can't be removed from a version, and AWS removes a version without stages itself."""


@handles("aws:secretsmanager/secretPolicy:SecretPolicy")
class SecretPolicy(Resource):
    replaces = frozenset({"secretArn"})
    documents = frozenset({"policy"})

    def create(self, inputs: Properties) -> str:
        self._put(inputs)
        return str(inputs["secretArn"])

    def read(self, id: str, state: Properties) -> Properties | None:
        answer = found(self.account.client("secretsmanager").get_resource_policy, GONE, SecretId=id)
        if answer is None or not answer.get("ResourcePolicy"):
            return None
        return {"secretArn": id, "policy": answer["ResourcePolicy"]}

    def update(self, id: str, old: Properties, new: Properties) -> None:
        self._put(new)

    def delete(self, id: str, state: Properties) -> None:
        found(self.account.client("secretsmanager").delete_resource_policy, GONE, SecretId=id)

    def _put(self, inputs: Properties) -> None:
        self.account.client("secretsmanager").put_resource_policy(
            SecretId=inputs["secretArn"], ResourcePolicy=inputs["policy"]
        )
