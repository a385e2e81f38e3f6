"""Test that the sandbox replaces a resource for the same changed properties as the provider's schema."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from sandbox.provider import types
from sandbox.provider.base import REGISTRY
from sandbox.provider.catalogue import LOOKUPS

TABLE: dict[str, dict[str, Any]] = tomllib.loads((Path(__file__).parent / "replacements.toml").read_text())


def test_every_type_of_aws_is_in_the_table() -> None:
    assert LOOKUPS, "the catalogue imports all handlers"
    assert {token for token in REGISTRY if token.startswith("aws:")} == {*TABLE}


@pytest.mark.parametrize("token", TABLE)
def test_a_handler_replaces_what_the_provider_replaces(token: str) -> None:
    wanted = TABLE[token]["replaces"]
    assert [name for name in wanted if not types.has(token, name)] == [], "no such inputs"
    assert sorted(REGISTRY[token].replaces) == sorted(wanted)
