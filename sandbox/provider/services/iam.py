"""IAM: policies, users and their keys, roles, instance profiles."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from sandbox.provider.base import Properties, Resource, changed, found, handles, present, retag, tag_list, tag_map

GONE = ("NoSuchEntity",)


def document(value: Any) -> str:
    """Return a policy that IAM returned (parsed by boto3, or percent-encoded) as JSON text."""
    return json.dumps(value) if isinstance(value, dict) else unquote(value)


@handles("aws:iam/policy:Policy")
class Policy(Resource):
    replaces = frozenset({"name", "namePrefix", "path", "description"})
    autonamed = "name"
    documents = frozenset({"policy"})

    def create(self, inputs: Properties) -> str:
        made = self.account.client("iam").create_policy(
            PolicyName=inputs["name"],
            PolicyDocument=inputs["policy"],
            Tags=tag_list(inputs),
            **present(Path=inputs.get("path"), Description=inputs.get("description")),
        )
        return str(made["Policy"]["Arn"])

    def read(self, id: str, state: Properties) -> Properties | None:
        iam = self.account.client("iam")
        answer = found(iam.get_policy, GONE, PolicyArn=id)
        if answer is None:
            return None
        policy = answer["Policy"]
        version = iam.get_policy_version(PolicyArn=id, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
        return {
            "arn": id,
            "policyId": policy["PolicyId"],
            "name": policy["PolicyName"],
            "path": policy["Path"],
            "description": policy.get("Description", ""),
            "attachmentCount": policy["AttachmentCount"],
            "policy": document(version["Document"]),
            "tagsAll": tag_map(policy.get("Tags")),
        }

    def update(self, id: str, old: Properties, new: Properties) -> None:
        iam = self.account.client("iam")
        if changed(old, new, "policy"):
            # A policy keeps five versions (IAM User Guide, "Versioning IAM policies"): delete the oldest.
            others = [v for v in iam.list_policy_versions(PolicyArn=id)["Versions"] if not v["IsDefaultVersion"]]
            if len(others) > 3:
                oldest = min(others, key=lambda v: v["CreateDate"])
                iam.delete_policy_version(PolicyArn=id, VersionId=oldest["VersionId"])
            iam.create_policy_version(PolicyArn=id, PolicyDocument=new["policy"], SetAsDefault=True)
        added, removed = retag(old, new)
        if added:
            iam.tag_policy(PolicyArn=id, Tags=tag_list({"tagsAll": added}))
        if removed:
            iam.untag_policy(PolicyArn=id, TagKeys=removed)

    def delete(self, id: str, state: Properties) -> None:
        iam = self.account.client("iam")
        versions = found(iam.list_policy_versions, GONE, PolicyArn=id)
        for version in (versions or {"Versions": ()})["Versions"]:
            if not version["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=id, VersionId=version["VersionId"])
        found(iam.delete_policy, GONE, PolicyArn=id)


@handles("aws:iam/user:User")
class User(Resource):
    """User. Name and path can be changed in place; the id stays (IAM API Reference, UpdateUser)."""

    autonamed = "name"

    def create(self, inputs: Properties) -> str:
        self.account.client("iam").create_user(
            UserName=inputs["name"],
            Tags=tag_list(inputs),
            **present(Path=inputs.get("path"), PermissionsBoundary=inputs.get("permissionsBoundary")),
        )
        return str(inputs["name"])

    def read(self, id: str, state: Properties) -> Properties | None:
        answer = found(self.account.client("iam").get_user, GONE, UserName=id)
        if answer is None:
            return None
        user = answer["User"]
        return {
            "arn": user["Arn"],
            "uniqueId": user["UserId"],
            "name": user["UserName"],
            "path": user["Path"],
            "tagsAll": tag_map(user.get("Tags")),
        }

    def update(self, id: str, old: Properties, new: Properties) -> None:
        iam = self.account.client("iam")
        if changed(old, new, "name", "path"):
            more = present(NewUserName=new["name"] if new["name"] != id else None, NewPath=new.get("path"))
            iam.update_user(UserName=id, **more)
        added, removed = retag(old, new)
        if added:
            iam.tag_user(UserName=new["name"], Tags=tag_list({"tagsAll": added}))
        if removed:
            iam.untag_user(UserName=new["name"], TagKeys=removed)

    def delete(self, id: str, state: Properties) -> None:
        iam = self.account.client("iam")
        if state.get("forceDestroy"):
            for key in (found(iam.list_access_keys, GONE, UserName=id) or {}).get("AccessKeyMetadata", ()):
                iam.delete_access_key(UserName=id, AccessKeyId=key["AccessKeyId"])
        found(iam.delete_user, GONE, UserName=id)


@handles("aws:iam/userPolicyAttachment:UserPolicyAttachment")
class UserPolicyAttachment(Resource):
    replaces = frozenset({"user", "policyArn"})

    def create(self, inputs: Properties) -> str:
        self.account.client("iam").attach_user_policy(UserName=inputs["user"], PolicyArn=inputs["policyArn"])
        return f"{inputs['user']}/{inputs['policyArn']}"

    def read(self, id: str, state: Properties) -> Properties | None:
        user, _, arn = id.partition("/")
        answer = found(self.account.client("iam").list_attached_user_policies, GONE, UserName=user)
        if answer is None or arn not in [p["PolicyArn"] for p in answer["AttachedPolicies"]]:
            return None
        return {"user": user, "policyArn": arn}

    def delete(self, id: str, state: Properties) -> None:
        user, _, arn = id.partition("/")
        found(self.account.client("iam").detach_user_policy, GONE, UserName=user, PolicyArn=arn)


@handles("aws:iam/accessKey:AccessKey")
class AccessKey(Resource):
    replaces = frozenset({"user", "pgpKey"})
    secret_outputs = frozenset({"secret"})

    def create(self, inputs: Properties) -> tuple[str, Properties]:
        key = self.account.client("iam").create_access_key(UserName=inputs["user"])["AccessKey"]
        if inputs.get("status") == "Inactive":
            self._set_status(inputs["user"], key["AccessKeyId"], "Inactive")
        return key["AccessKeyId"], {"secret": key["SecretAccessKey"]}

    def read(self, id: str, state: Properties) -> Properties | None:
        user = state["user"]
        answer = found(self.account.client("iam").list_access_keys, GONE, UserName=user)
        for key in (answer or {}).get("AccessKeyMetadata", ()):
            if key["AccessKeyId"] == id:
                return {"user": user, "status": key["Status"], "createDate": key["CreateDate"].isoformat()}
        return None

    def update(self, id: str, old: Properties, new: Properties) -> None:
        self._set_status(new["user"], id, new.get("status", "Active"))

    def delete(self, id: str, state: Properties) -> None:
        found(self.account.client("iam").delete_access_key, GONE, UserName=state["user"], AccessKeyId=id)

    def _set_status(self, user: str, id: str, status: str) -> None:
        self.account.client("iam").update_access_key(UserName=user, AccessKeyId=id, Status=status)


@handles("aws:iam/openIdConnectProvider:OpenIdConnectProvider")
class OpenIdConnectProvider(Resource):
    replaces = frozenset({"url"})

    def create(self, inputs: Properties) -> str:
        made = self.account.client("iam").create_open_id_connect_provider(
            Url=inputs["url"], ClientIDList=list(inputs["clientIdLists"]), Tags=tag_list(inputs)
        )
        return str(made["OpenIDConnectProviderArn"])

    def read(self, id: str, state: Properties) -> Properties | None:
        answer = found(self.account.client("iam").get_open_id_connect_provider, GONE, OpenIDConnectProviderArn=id)
        if answer is None:
            return None
        return {
            "arn": id,
            "url": state.get("url", f"https://{answer['Url']}"),
            "clientIdLists": answer["ClientIDList"],
            "thumbprintLists": answer.get("ThumbprintList", []),
            "tagsAll": tag_map(answer.get("Tags")),
        }

    def update(self, id: str, old: Properties, new: Properties) -> None:
        iam = self.account.client("iam")
        before, after = set(old["clientIdLists"]), set(new["clientIdLists"])
        for client_id in sorted(after - before):
            iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=id, ClientID=client_id)
        for client_id in sorted(before - after):
            iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=id, ClientID=client_id)
        added, removed = retag(old, new)
        if added:
            iam.tag_open_id_connect_provider(OpenIDConnectProviderArn=id, Tags=tag_list({"tagsAll": added}))
        if removed:
            iam.untag_open_id_connect_provider(OpenIDConnectProviderArn=id, TagKeys=removed)

    def delete(self, id: str, state: Properties) -> None:
        found(self.account.client("iam").delete_open_id_connect_provider, GONE, OpenIDConnectProviderArn=id)


@handles("aws:iam/role:Role")
class Role(Resource):
    replaces = frozenset({"name", "namePrefix", "path"})
    autonamed = "name"
    documents = frozenset({"assumeRolePolicy"})

    def create(self, inputs: Properties) -> str:
        self.account.client("iam").create_role(
            RoleName=inputs["name"],
            AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
            Tags=tag_list(inputs),
            **present(
                Path=inputs.get("path"),
                Description=inputs.get("description"),
                MaxSessionDuration=inputs.get("maxSessionDuration"),
                PermissionsBoundary=inputs.get("permissionsBoundary"),
            ),
        )
        return str(inputs["name"])

    def read(self, id: str, state: Properties) -> Properties | None:
        answer = found(self.account.client("iam").get_role, GONE, RoleName=id)
        if answer is None:
            return None
        role = answer["Role"]
        return {
            "arn": role["Arn"],
            "uniqueId": role["RoleId"],
            "name": role["RoleName"],
            "path": role["Path"],
            "description": role.get("Description", ""),
            "maxSessionDuration": role.get("MaxSessionDuration", 3600),
            "createDate": role["CreateDate"].isoformat(),
            "assumeRolePolicy": document(role["AssumeRolePolicyDocument"]),
            "tagsAll": tag_map(role.get("Tags")),
        }

    def update(self, id: str, old: Properties, new: Properties) -> None:
        iam = self.account.client("iam")
        if changed(old, new, "assumeRolePolicy"):
            iam.update_assume_role_policy(RoleName=id, PolicyDocument=new["assumeRolePolicy"])
        if changed(old, new, "description", "maxSessionDuration"):
            iam.update_role(
                RoleName=id,
                **present(Description=new.get("description"), MaxSessionDuration=new.get("maxSessionDuration")),
            )
        added, removed = retag(old, new)
        if added:
            iam.tag_role(RoleName=id, Tags=tag_list({"tagsAll": added}))
        if removed:
            iam.untag_role(RoleName=id, TagKeys=removed)

    def delete(self, id: str, state: Properties) -> None:
        found(self.account.client("iam").delete_role, GONE, RoleName=id)


@handles("aws:iam/rolePolicy:RolePolicy")
class RolePolicy(Resource):
    replaces = frozenset({"role", "name", "namePrefix"})
    autonamed = "name"
    documents = frozenset({"policy"})

    def create(self, inputs: Properties) -> str:
        self._put(inputs)
        return f"{inputs['role']}:{inputs['name']}"

    def read(self, id: str, state: Properties) -> Properties | None:
        role, _, name = id.partition(":")
        answer = found(self.account.client("iam").get_role_policy, GONE, RoleName=role, PolicyName=name)
        return answer and {"role": role, "name": name, "policy": document(answer["PolicyDocument"])}

    def update(self, id: str, old: Properties, new: Properties) -> None:
        self._put(new)

    def delete(self, id: str, state: Properties) -> None:
        role, _, name = id.partition(":")
        found(self.account.client("iam").delete_role_policy, GONE, RoleName=role, PolicyName=name)

    def _put(self, inputs: Properties) -> None:
        self.account.client("iam").put_role_policy(
            RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=inputs["policy"]
        )


@handles("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
class RolePolicyAttachment(Resource):
    replaces = frozenset({"role", "policyArn"})

    def create(self, inputs: Properties) -> str:
        self.account.client("iam").attach_role_policy(RoleName=inputs["role"], PolicyArn=inputs["policyArn"])
        return f"{inputs['role']}/{inputs['policyArn']}"

    def read(self, id: str, state: Properties) -> Properties | None:
        role, _, arn = id.partition("/")
        answer = found(self.account.client("iam").list_attached_role_policies, GONE, RoleName=role)
        if answer is None or arn not in [p["PolicyArn"] for p in answer["AttachedPolicies"]]:
            return None
        return {"role": role, "policyArn": arn}

    def delete(self, id: str, state: Properties) -> None:
        role, _, arn = id.partition("/")
        found(self.account.client("iam").detach_role_policy, GONE, RoleName=role, PolicyArn=arn)


@handles("aws:iam/instanceProfile:InstanceProfile")
class InstanceProfile(Resource):
    replaces = frozenset({"name", "namePrefix", "path"})
    autonamed = "name"

    def create(self, inputs: Properties) -> str:
        iam = self.account.client("iam")
        iam.create_instance_profile(
            InstanceProfileName=inputs["name"], Tags=tag_list(inputs), **present(Path=inputs.get("path"))
        )
        if inputs.get("role"):
            iam.add_role_to_instance_profile(InstanceProfileName=inputs["name"], RoleName=inputs["role"])
        return str(inputs["name"])

    def read(self, id: str, state: Properties) -> Properties | None:
        answer = found(self.account.client("iam").get_instance_profile, GONE, InstanceProfileName=id)
        if answer is None:
            return None
        profile = answer["InstanceProfile"]
        roles = [role["RoleName"] for role in profile["Roles"]]
        return {
            "arn": profile["Arn"],
            "uniqueId": profile["InstanceProfileId"],
            "name": profile["InstanceProfileName"],
            "path": profile["Path"],
            "createDate": profile["CreateDate"].isoformat(),
            "tagsAll": tag_map(profile.get("Tags")),
            **({"role": roles[0]} if roles else {}),
        }

    def update(self, id: str, old: Properties, new: Properties) -> None:
        iam = self.account.client("iam")
        if changed(old, new, "role"):
            iam.remove_role_from_instance_profile(InstanceProfileName=id, RoleName=old["role"])
            iam.add_role_to_instance_profile(InstanceProfileName=id, RoleName=new["role"])
        added, removed = retag(old, new)
        if added:
            iam.tag_instance_profile(InstanceProfileName=id, Tags=tag_list({"tagsAll": added}))
        if removed:
            iam.untag_instance_profile(InstanceProfileName=id, TagKeys=removed)

    def delete(self, id: str, state: Properties) -> None:
        iam = self.account.client("iam")
        live = self.read(id, state)
        if live is None:
            return
        if live.get("role"):
            iam.remove_role_from_instance_profile(InstanceProfileName=id, RoleName=live["role"])
        iam.delete_instance_profile(InstanceProfileName=id)
