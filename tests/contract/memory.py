"""Provide the in-memory fakes as a world of the contract tests."""

from __future__ import annotations

from collections.abc import Sequence

from dualsync.runtime.ports import Bucket, Ledger, Queue
from tests.contract.adapters import VISIBILITY_SECONDS
from tests.support.fakes.bucket import FakeBucket
from tests.support.fakes.clock import Time
from tests.support.fakes.gate import open_gate
from tests.support.fakes.identity import Accounts, FakeSecrets, FakeSts, Vault
from tests.support.fakes.ledger import FakeLedger
from tests.support.fakes.queue import Broker, FakeQueue
from tests.support.fakes.store import Store
from tests.support.fakes.version import Versioning

PRINCIPAL = "AWS:AIDAMEMORY"


class MemoryWorld:
    """An `AdapterWorld` over `tests.support.fakes`."""

    name = "memory"

    def __init__(self) -> None:
        self._time = Time()
        self._plain = Store("plain", "cn-north-1", self._time)
        self._versioned = Store("versioned", "cn-north-1", self._time, versioning=Versioning.ENABLED)
        self._vault = Vault()
        self._accounts = Accounts(self._time)
        self._users = 0
        self._broker = Broker(self._time, visibility=VISIBILITY_SECONDS)
        self.queue: Queue = FakeQueue(self._broker)
        self.ledger: Ledger = FakeLedger()

    def bucket(self, prefix: str = "") -> Bucket:
        return FakeBucket(self._plain, PRINCIPAL, prefix=prefix)

    def versioned(self) -> Bucket:
        return FakeBucket(self._versioned, PRINCIPAL)

    def remove_version(self, key: str, version_id: str) -> None:
        self._versioned.remove_version(key, version_id, PRINCIPAL)

    def archive(self, key: str) -> None:
        self._plain.archive(key)

    def thaw(self, key: str) -> None:
        self._plain.thaw(key)

    def advance(self, seconds: float) -> None:
        self._time.now += seconds

    def dead_letters(self) -> Sequence[tuple[str, str]]:
        return list(self._broker.dead)

    def secrets(self) -> FakeSecrets:
        return FakeSecrets(self._vault)

    def put_secret(self, text: str) -> None:
        self._vault.text = text

    def delete_secret(self) -> None:
        self._vault.text = None

    def make_user(self) -> tuple[str, str, str]:
        self._users += 1
        user_id = f"AIDAUSER{self._users}"
        return user_id, self._accounts.create(user_id), "secret"

    def delete_key(self, access_key_id: str) -> None:
        self._accounts.delete(access_key_id)

    def identity(self, access_key_id: str, secret_access_key: str) -> FakeSts:
        return FakeSts(self._accounts, access_key_id, open_gate("sts.identity"))

    def close(self) -> None:
        pass
