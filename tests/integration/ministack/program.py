"""Deploys the program, as a stack registers it, into ministack as far as the data plane reaches.

The resources of a side that the runtime uses, with their policies, are created there. ministack does not describe
instance types, images and networks as AWS does, so everything else is answered by the recorder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pulumi.runtime import mocks

from sandbox.provider import catalogue, operations
from sandbox.provider.access import account_of
from sandbox.provider.base import Account
from sandbox.provider.mock_monitor import revealed, wrapped
from tests.unit.components.recorder import Call, Cloud, Deployment, deploy

CREATED = frozenset({"dynamodb", "iam", "s3", "secretsmanager", "sqs"})
"""Services of AWS whose resources are created."""

OWN = frozenset(token for token in [*catalogue.REGISTRY, *catalogue.LOOKUPS] if token.startswith("dualsync:"))
"""The program's own resource types and functions, which act on the bucket."""


class DataPlane(Cloud):
    """Creates resources in the account of their provider instance."""

    def __init__(self, deployment: Deployment, call: Call | None = None) -> None:
        super().__init__(deployment, call)
        self._accounts: dict[str, Account] = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        """Create a resource of the data plane; record any other."""
        inputs = revealed(args.inputs)
        if args.typ.startswith("pulumi:providers:"):
            self._accounts[args.name] = account_of(inputs)
        if not (args.custom and (args.typ in OWN or service_of(args.typ) in CREATED)):
            return super().new_resource(args)
        account = self._accounts[str(args.provider).split("::")[-2]]
        checked = operations.check(args.typ, args.name, inputs)
        id_, outputs = operations.create(args.typ, account, checked)
        hidden = operations.handler(args.typ).secret_outputs
        return id_, {k: wrapped(v) if k in hidden and v else v for k, v in outputs.items() if k != "id"}

    def call(self, args: mocks.MockCallArgs) -> Any:
        """Inspect the bucket that is there; answer other lookups as an account with a default VPC."""
        if args.token in OWN:
            account = self._accounts[str(args.provider).split("::")[-2]]
            return operations.invoke(args.token, account, revealed(args.args)), []
        return super().call(args)


def service_of(token: str) -> str:
    """Return the service of a resource type of AWS (`sqs` for `aws:sqs/queue:Queue`)."""
    package, _, rest = token.partition(":")
    return rest.partition("/")[0] if package == "aws" else ""


def deploy_stack(stack: str, bundles: Path, changes: dict[str, Any]) -> Deployment:
    """Run the program as `stack` and return what it registered."""
    return deploy(stack, bundles, changes, cloud_of=DataPlane)
