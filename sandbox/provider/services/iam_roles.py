"""IAM: roles, what they may do, and the profiles that instances carry them in."""

from __future__ import annotations

from sandbox.provider.base import Properties, Resource, changed, found, handles, present, retag, tag_list, tag_map
from sandbox.provider.services.iam_users import GONE, document


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
