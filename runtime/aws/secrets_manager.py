"""The peer's credential, which the peer's own stack put into this side's account."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from dualsync.runtime.aws.errors import error_of
from dualsync.runtime.aws.http.client import ServiceClient, ServiceError
from dualsync.runtime.errors import CredentialRejectedError


@dataclass(frozen=True, slots=True)
class PeerSecret:
    """The peer's user's key, and the id of the user that it must belong to (empty when the secret names none)."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    user_id: str = ""


class PeerSecrets:
    """Reads the peer's secret anew at each call, so that a rotated key is found without a restart."""

    def __init__(self, caller: ServiceClient, name: str) -> None:
        self._caller = caller
        self._name = name

    async def read(self) -> PeerSecret | None:
        """The secret, or None while the peer has not put one there (or it is being deleted).

        Raises `CredentialRejectedError` when its text is not the expected JSON, and `RetryableError`.
        """
        try:
            answer = await self._caller.json(
                "GetSecretValue", "secretsmanager", self._name, "1.1", {"SecretId": self._name}
            )
        except ServiceError as refused:
            # InvalidRequestException is what a secret marked for deletion answers.
            if refused.refusal.code in ("ResourceNotFoundException", "InvalidRequestException"):
                return None
            raise error_of(refused.refusal) from None
        return parse(self._name, answer.get("SecretString") or "")


def parse(name: str, text: str) -> PeerSecret:
    """The secret's JSON text. Errors name the secret and what is missing, never its text."""
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
