"""A stack's config as the engine passes it: the project's defaults, the stack's file, the sandbox's changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from dualsync.components.config.images import STOCK_DIGEST
from dualsync.components.config.stack_config import PROJECT
from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.environment.processes import ROOT


def config_of(stack: str, endpoint: str, bundles: Path, changes: dict[str, Any] | None = None) -> dict[str, str]:
    """Return every key with its value as text; lists and objects as JSON."""
    values = {**_declared(), **_stack_file(stack)}
    for key, value in {**overrides(endpoint, bundles, values), **(changes or {})}.items():
        values[f"{PROJECT}:{key}"] = value
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


def overrides(endpoint: str, bundles: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Return the keys that the sandbox sets: accounts and endpoint, a local bundle, no deletion protection.

    Its buckets keep no versions, and the loser of a conflict is not kept.
    """
    sides = {}
    for side in SideName:
        account = ACCOUNTS[side]
        declared = dict(values[f"{PROJECT}:{side}"])
        image = f"{account.account_id}.dkr.ecr.{account.region}.{account.dns_suffix}/lambda-python@{STOCK_DIGEST}"
        sides[str(side)] = declared | {
            "accountId": account.account_id,
            "region": account.region,
            "profile": account.profile,
            "endpoint": endpoint,
            "finderImage": image,
        }
    return {**sides, "bundle": str(bundles), "protect": False, "keepLoser": False}


def _declared() -> dict[str, Any]:
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    return {
        key if ":" in key else f"{PROJECT}:{key}": entry.get("default", entry.get("value"))
        for key, entry in declared.items()
        if "default" in entry or "value" in entry
    }


def _stack_file(stack: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    return values
