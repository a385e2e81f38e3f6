"""Make resources, policies and statements by hand, and run one rule over them."""

from __future__ import annotations

import json
from typing import Any

from policy.plan import Account, Plan, Resource
from policy.rule import Rule
from policy.rules import RULES

CN = Account(
    urn="urn:cn",
    name="dth-dual-cn",
    properties={
        "region": "cn-north-1",
        "allowedAccountIds": '["111122223333"]',
        "defaultTags": '{"tags": {"dualsync:pair": "dth-dual", "dualsync:side": "cn"}}',
    },
)
"""Account of side cn."""


def resource(type_: str, name: str = "it", account: Account | None = CN, **properties: Any) -> Resource:
    """Return a resource with these properties; `depends` holds the URNs that a property was made from."""
    depends = properties.pop("depends", {})
    return Resource(type=type_, name=name, urn=f"urn:{name}", properties=properties, account=account, depends=depends)


def rule(name: str) -> Rule:
    """Return the rule of this name."""
    return next(r for r in RULES if r.name == name)


def found(name: str, *resources: Resource, **options: Any) -> list[str]:
    """Return the details of the findings of one rule."""
    return [f.detail for f in rule(name).check(Plan(resources), options)]


def policy(*statements: dict[str, Any]) -> str:
    """Return a policy document of these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions: Any, resources: Any, **more: Any) -> dict[str, Any]:
    """Return a statement that allows actions on resources, with further elements."""
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}
