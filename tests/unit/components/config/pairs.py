"""Make the model of a pair from config values."""

from __future__ import annotations

from typing import Any

from dualsync.components.config import stack_config
from dualsync.components.config.model import PairModel

CN = {"accountId": "111122223333", "region": "cn-north-1", "bucket": "bucket-cn", "profile": "a"}
GLOBAL = {"accountId": "444455556666", "region": "us-west-2", "bucket": "bucket-global", "profile": "b"}


def pair(changes: dict[str, Any] | None = None) -> PairModel:
    """Return the model of a pair of which the stack manages cn, with changed keys. Raises `ConfigError`."""
    return stack_config.pair_of({"manages": ["cn"], "cn": CN, "global": GLOBAL} | (changes or {}))
