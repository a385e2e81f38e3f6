"""Test the peer's secret and whose key it holds (AWS Secrets Manager, AWS STS and IAM API References)."""

from __future__ import annotations

import json

import pytest

from dualsync.runtime.errors import CredentialRejectedError
from tests.contract.adapters import AdapterWorld, differs


def text(user_id: str = "AIDA1", key_id: str = "AKIA1") -> str:
    return json.dumps({"access_key_id": key_id, "secret_access_key": "sEcReT", "user_id": user_id})


async def test_missing_secret_is_none(world: AdapterWorld) -> None:
    assert await world.secrets().read() is None


async def test_secret_and_its_next_text_are_read(world: AdapterWorld) -> None:
    secrets = world.secrets()
    world.put_secret(text())
    first = await secrets.read()
    world.put_secret(text("AIDA2", "AKIA2"))
    second = await secrets.read()
    assert first is not None
    assert second is not None
    assert (first.user_id, first.access_key_id, first.secret_access_key) == ("AIDA1", "AKIA1", "sEcReT")
    assert (second.user_id, second.access_key_id) == ("AIDA2", "AKIA2")


async def test_secret_marked_for_deletion_is_none(world: AdapterWorld) -> None:
    world.put_secret(text())
    world.delete_secret()
    assert await world.secrets().read() is None


@pytest.mark.parametrize("wrong", ["sEcReT", "[]", '{"access_key_id": "sEcReT"}', '{"secret_access_key": "sEcReT"}'])
async def test_malformed_secret_is_refused_without_showing_it(world: AdapterWorld, wrong: str) -> None:
    world.put_secret(wrong)
    with pytest.raises(CredentialRejectedError) as refused:
        await world.secrets().read()
    assert "sEcReT" not in str(refused.value)


async def test_identity_returns_the_user_id_of_the_key(world: AdapterWorld) -> None:
    for _ in range(2):
        user_id, key_id, secret = world.make_user()
        assert await world.identity(key_id, secret).user_id() == user_id


async def test_deleted_key_is_refused(world: AdapterWorld) -> None:
    differs(world, "moto", "lets any key in", "IAM User Guide, Troubleshooting: InvalidClientTokenId")
    _, key_id, secret = world.make_user()
    world.delete_key(key_id)
    with pytest.raises(CredentialRejectedError):
        await world.identity(key_id, secret).user_id()
