"""The peer's credential, which the peer's stack wrote into this side's account."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from dualsync.runtime.aws.errors import error_of
from dualsync.runtime.aws.http.client import ServiceClient, ServiceError
from dualsync.runtime.errors import CredentialRejectedError


@dataclass(frozen=True, slots=True)
class PeerSecret:
    """The key of the peer's dedicated user."""

    access_key_id: str
    """Public half of the key."""
    secret_access_key: str = field(repr=False)
    """Secret half of the key."""
    user_id: str = ""
    """Id of the user that the key must belong to; empty if the secret names none."""


class PeerSecrets:
    """Reads the peer's secret again at each call, so that a rotated key is found without a restart."""

    def __init__(self, client: ServiceClient, name: str) -> None:
        self._client = client
        self._name = name

    async def read(self) -> PeerSecret | None:
        """Return the secret, None while the peer has not written one or it is marked for deletion.

        Raises `CredentialRejectedError` when its text is not the expected JSON, and `RetryableError`.
        """
        try:
            answer = await self._client.json(
                "GetSecretValue", "secretsmanager", self._name, "1.1", {"SecretId": self._name}
            )
        except ServiceError as refused:
            # InvalidRequestException is the answer for a secret marked for deletion.
            if refused.refusal.code in ("ResourceNotFoundException", "InvalidRequestException"):
                return None
            raise error_of(refused.refusal) from None
        return parse(self._name, str(answer.get("SecretString") or ""))


def parse(name: str, text: str) -> PeerSecret:
    """Read the secret's JSON text. Errors name the secret and what is missing, never its text."""
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    wanted = ("access_key_id", "secret_access_key")
    if not isinstance(values, dict) or not all(isinstance(values.get(key), str) and values[key] for key in wanted):
        raise CredentialRejectedError(
            f"secret {name} is not a JSON object with access_key_id and secret_access_key: let the peer's stack write"
            " it again"
        )
    return PeerSecret(values["access_key_id"], values["secret_access_key"], str(values.get("user_id") or ""))
