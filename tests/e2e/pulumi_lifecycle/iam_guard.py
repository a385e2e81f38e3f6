"""Refuse every call of a deployment that the documents of its role do not allow, with AccessDenied.

moto evaluates no identity policies. This module wraps boto3's calls in every process of the deployment: a session of a
role may do what the documents of `docs/roles` allow on the resource of each call, and the operator's own key may only
assume roles. Sources: Service Authorization Reference (actions and resources); EC2 Auto Scaling User Guide, "Control
Amazon EC2 launch template usage" (what the caller of CreateAutoScalingGroup needs); IAM User Guide, "Grant permissions
to pass a role".
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.e2e.pulumi_lifecycle.iam_resources import Place, Target, created_id, targets
from tools.iam_roles.evaluator import Request, Value, decide

FOLDER, ASKED, TAG = "DUALSYNC_TEST_ROLES", "DUALSYNC_TEST_ASKED", "DUALSYNC_TEST_ROLE_TAG"
"""Environment variables: folder of the roles' documents, file with each request that was evaluated, `name=value` of the
tag that the deploy roles have."""

ROOT = Path(__file__).resolve().parents[3]

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Role:
    """A role that was assumed."""

    name: str
    """Name as in the names of the documents' files, like `deploy-cn`."""

    place: Place
    """Account, region and partition."""

    documents: Sequence[Document]
    """Its policies."""


class Guard:
    """Evaluates the calls of one process."""

    def __init__(self, folder: Path, asked: Path, tag: str) -> None:
        self._folder, self._asked = folder, asked
        self._tag = tag.split("=")
        self._roles: dict[str, Role] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self._boundaries: dict[str, str] = {}
        self._key_policies: dict[str, Document] = {}
        self._templates: dict[str, Mapping[str, Any]] = {}
        self._lock = threading.Lock()

    def install(self) -> None:
        """Wrap boto3's method for calls, so that every call of this process is evaluated first."""
        make = BaseClient._make_api_call  # type: ignore[attr-defined]

        def guarded(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
            role = self._check(client, operation, parameters)
            answer = make(client, operation, parameters)
            self._remember(client, role, operation, parameters, answer)
            return answer

        BaseClient._make_api_call = guarded  # type: ignore[attr-defined]

    def _check(self, client: Any, operation: str, parameters: Mapping[str, Any]) -> Role | None:
        service = client.meta.service_model.service_name
        key = client._request_signer._credentials.access_key
        with self._lock:
            role = self._roles.get(key)
        if role is None:
            if operation not in ("AssumeRole", "GetCallerIdentity"):
                raise _denied(operation, f"{service}:{operation}", "*", "the operator's key")
            return None
        lines = []
        for target in targets(service, operation, parameters, role.place, self._templates):
            request = Request(target.action, target.resource, self._context(role, target, parameters))
            lines.append(f"{role.name} {target.action} {target.resource}\n")
            if not decide(role.documents, request).allowed and not self._by_key_policy(target, request):
                raise _denied(operation, target.action, target.resource, role.name)
        with self._asked.open("a") as file:
            file.write("".join(lines))
        return role

    def _context(self, role: Role, target: Target, parameters: Mapping[str, Any]) -> dict[str, Value]:
        """Return the condition keys of a request that the documents use."""
        found: dict[str, Value] = {
            "aws:PrincipalAccount": role.place.account,
            f"aws:PrincipalTag/{self._tag[0]}": self._tag[1] if role.name.startswith("deploy-") else "",
            **target.context,
        }
        with self._lock:
            tags = self._tags.get(target.id, {})
            boundary = parameters.get("PermissionsBoundary") or self._boundaries.get(target.id)
        found |= {f"aws:ResourceTag/{name}": value for name, value in tags.items()}
        if boundary:
            found["iam:PermissionsBoundary"] = str(boundary)
        return found

    def _by_key_policy(self, target: Target, request: Request) -> bool:
        with self._lock:
            policy = self._key_policies.get(target.id)
        if policy is None:
            return False
        # The statement of the account's root leaves the decision to the role's own documents.
        named = [s for s in policy["Statement"] if s.get("Principal") == {"AWS": "*"}]
        return decide([{"Statement": named}], request).allowed

    def _remember(
        self, client: Any, role: Role | None, operation: str, parameters: Mapping[str, Any], answer: Mapping[str, Any]
    ) -> None:
        """Store what later decisions depend on: sessions, tags, boundaries, keys' policies, launch templates."""
        if operation == "AssumeRole":
            found = self._role(parameters["RoleArn"], client.meta.region_name)
            with self._lock:
                self._roles[answer["Credentials"]["AccessKeyId"]] = found
        if role is None:
            return
        id, tags = created_id(operation, parameters, answer)
        with self._lock:
            if id:
                self._tags[id] = tags
            if operation in ("CreateUser", "CreateRole"):
                name = parameters.get("UserName") or parameters["RoleName"]
                self._boundaries[str(name)] = str(parameters.get("PermissionsBoundary", ""))
            if operation == "CreateKey":
                self._key_policies[id] = json.loads(parameters["Policy"])
            if operation == "PutKeyPolicy":
                self._key_policies[parameters["KeyId"].rpartition("/")[2]] = json.loads(parameters["Policy"])
            if operation == "CreateLaunchTemplate":
                self._templates[id] = parameters["LaunchTemplateData"]

    def _role(self, arn: str, region: str) -> Role:
        _, partition, _, _, account, resource = arn.split(":", 5)
        name = resource.rpartition("/")[2]
        files = sorted(p for p in self._folder.glob(f"{name}*.json") if not p.name.endswith("-trust.json"))
        return Role(name, Place(partition, region, account), [json.loads(p.read_text()) for p in files])


def _denied(operation: str, action: str, resource: str, who: str) -> ClientError:
    text = (
        f"{who} is not authorized to perform: {action} on resource: {resource} because no identity-based policy allows"
        f" the {action} action"
    )
    return ClientError({"Error": {"Code": "AccessDenied", "Message": text}}, operation)


def asked(file: Path) -> Iterator[tuple[str, str, str]]:
    """Yield role, action and resource of every allowed request, from the file in which the processes record them."""
    for line in file.read_text().splitlines() if file.exists() else ():
        role, action, resource = line.split(" ", 2)
        yield role, action, resource


def install() -> None:
    """Install the guard if this process belongs to a deployment under roles."""
    if FOLDER in os.environ:
        Guard(Path(os.environ[FOLDER]), Path(os.environ[ASKED]), os.environ[TAG]).install()


def environment(folder: Path, tag: str) -> dict[str, str]:
    """Return variables with which every Python process installs the guard at its start, by a `sitecustomize.py`."""
    hook = folder / "guard"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        f"from {__name__} import install\n"
        "install()\n"
        f"sys.path.remove({str(ROOT)!r})\n"
    )
    roles = ROOT / "docs" / "roles"
    return {"PYTHONPATH": str(hook), FOLDER: str(roles), ASKED: str(folder / "asked"), TAG: tag}
