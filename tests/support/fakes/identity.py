"""Provide IAM's keys, STS and Secrets Manager in memory, and the credential that is read from them."""

from __future__ import annotations

import json
from collections.abc import Callable

from dualsync.runtime.aws.secrets_manager import PeerSecret, parse
from dualsync.runtime.errors import CredentialRejectedError
from tests.support.fakes.clock import Time
from tests.support.fakes.gate import Gate, Pair, Step, open_gate


class Accounts:
    """The access keys of one partition, with their users and the times from which they are accepted.

    "Changes that I make are not always immediately visible" (IAM User Guide, eventual consistency).
    """

    def __init__(self, time: Time) -> None:
        self._time = time
        self._keys: dict[str, tuple[str, float]] = {}
        self._count = 0

    def create(self, user_id: str, known_in: float = 0.0) -> str:
        """Create an access key of this user, accepted after `known_in` seconds, and return its id."""
        self._count += 1
        key_id = f"AKIA{user_id[4:]}{self._count}"
        self._keys[key_id] = (user_id, self._time.now + known_in)
        return key_id

    def delete(self, key_id: str) -> None:
        """Delete the key (DeleteAccessKey)."""
        self._keys.pop(key_id, None)

    def user_of(self, key_id: str) -> str:
        """Return the user of a key. Raises `CredentialRejectedError` for a key that is not, or not yet, accepted."""
        user_id, since = self._keys.get(key_id, ("", 0.0))
        if not user_id or self._time.now < since:
            raise CredentialRejectedError(f"InvalidClientTokenId: {key_id}")
        return user_id


class Vault:
    """One secret of one account: its text, or None if it does not exist or is being deleted."""

    __slots__ = ("text",)

    def __init__(self) -> None:
        self.text: str | None = None

    def put(self, key_id: str, user_id: str) -> None:
        """Replace the text (PutSecretValue), as the peer's stack does."""
        self.text = json.dumps({"access_key_id": key_id, "secret_access_key": f"of-{key_id}", "user_id": user_id})


class FakeSecrets:
    """`dualsync.runtime.aws.secrets_manager.PeerSecrets` over a `Vault`."""

    def __init__(self, vault: Vault, *, gate: Gate = open_gate) -> None:
        self._vault = vault
        self._read = gate("secrets.read")

    async def read(self) -> PeerSecret | None:
        await self._read[0]
        text = self._vault.text
        await self._read[1]
        return None if text is None else parse("secret", text)


class FakeSts:
    """`dualsync.runtime.aws.sts.StsIdentity` for one key."""

    def __init__(self, accounts: Accounts, key_id: str, step: Pair) -> None:
        self._accounts = accounts
        self._key_id = key_id
        self._step = step

    async def user_id(self) -> str:
        await self._step[0]
        user_id = self._accounts.user_of(self._key_id)
        await self._step[1]
        return user_id


class FakeCredential:
    """`dualsync.runtime.service.peer_credential.Credential` of one machine.

    Writes with it are writes of the user to whom the key in use belongs.
    """

    def __init__(self, vault: Vault, accounts: Accounts, *, gate: Gate = open_gate, key_id: str = "") -> None:
        self._secrets = FakeSecrets(vault, gate=gate)
        self._accounts = accounts
        self._identity = gate("sts.identity")
        self._secret: PeerSecret | None = None
        self._key_id = key_id
        self.connecting = False
        """True while a message of the machine has it checked."""

    async def expected_user_id(self) -> str | None:
        self._secret = await self._secrets.read()
        return None if self._secret is None else self._secret.user_id

    async def actual_user_id(self) -> str:
        if self._secret is None:
            raise CredentialRejectedError("there is no secret")
        return await FakeSts(self._accounts, self._secret.access_key_id, self._identity).user_id()

    async def bucket_problem(self) -> str:
        return ""

    async def use(self) -> None:
        if self._secret is not None:
            self._key_id = self._secret.access_key_id

    def principal(self) -> str:
        """Return the user whose key is in use. Raises `CredentialRejectedError`."""
        return self._accounts.user_of(self._key_id)


def keyed(gate: Gate, check: Callable[[], object]) -> Gate:
    """Return a gate whose calls are refused where `check` raises, before they take effect."""

    def make(call: str) -> Pair:
        before, after = gate(call)
        return (_Checked(before, check), after) if isinstance(before, Step) else (before, after)

    return make


class _Checked(Step):
    """A step before a call's effect that ends in a check of the caller's key."""

    __slots__ = ("_before", "_check")

    def __init__(self, before: Step, check: Callable[[], object]) -> None:
        super().__init__(before.call, False)
        self._before = before
        self._check = check

    def __await__(self):  # type: ignore[no-untyped-def]
        yield from self._before.__await__()
        self._check()
