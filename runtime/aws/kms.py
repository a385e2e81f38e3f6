"""The keys that replace the peer's access key: they sign inside KMS, and are never read."""

from __future__ import annotations

import base64
import binascii

from dualsync.runtime.aws.errors import error_of
from dualsync.runtime.aws.http.client import ServiceClient, ServiceError
from dualsync.runtime.errors import UnavailableError

_PREFIX = "TrentService"
"""Name of KMS in its protocol (the service's model, `targetPrefix`)."""


class KmsKeys:
    """Two keys of this side's account."""

    def __init__(self, client: ServiceClient, token_key: str, message_key: str) -> None:
        self._client = client
        self._token_key = token_key
        self._message_key = message_key

    async def sign(self, message: bytes) -> bytes:
        """Return the signature RS256 of at most 4,096 bytes (KMS API Reference, Sign).

        Raises `CredentialRejectedError`, `RetryableError`, `PermanentError`.
        """
        given = {"SigningAlgorithm": "RSASSA_PKCS1_V1_5_SHA_256", "MessageType": "RAW"}
        return await self._ask("Sign", "Signature", self._token_key, message, given)

    async def mac(self, message: bytes) -> bytes:
        """Return the HMAC-SHA-256 of at most 4,096 bytes (KMS API Reference, GenerateMac). Raises as `sign`."""
        return await self._ask("GenerateMac", "Mac", self._message_key, message, {"MacAlgorithm": "HMAC_SHA_256"})

    async def _ask(self, operation: str, wanted: str, key: str, message: bytes, given: dict[str, str]) -> bytes:
        request = {"KeyId": key, "Message": base64.b64encode(message).decode(), **given}
        try:
            answer = await self._client.call_json(operation, _PREFIX, key, "1.1", request)
        except ServiceError as refused:
            raise error_of(refused.refusal) from None
        text = answer.get(wanted)
        try:
            found = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
        except (ValueError, binascii.Error):
            found = b""
        if not found:
            raise UnavailableError(f"kms {operation} {key}: the answer has no {wanted}")
        return found
