"""Create the keys of a side that signs tokens instead of keeping an access key, and the documents of its issuer.

Both private keys stay in KMS. Worker and finder may use them, and nothing can read them.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pulumi
import pulumi_aws as aws

from dualsync.components.context import SideContext
from dualsync.components.monitoring.observability import administrators, deployers

DISCOVERY, KEY_SET = "/.well-known/openid-configuration", "/keys.json"
"""Paths of the two documents below the issuer's address. The first is the standard's (OpenID Connect Discovery)."""


class Issuer(pulumi.ComponentResource):
    """A key for tokens, by which the peer's account recognises this side, and one for messages to the own queue."""

    token_key_arn: pulumi.Output[str]
    """ARN of the key that signs tokens."""
    message_key_arn: pulumi.Output[str]
    """ARN of the key from which the messages' authenticator is derived."""
    documents: pulumi.Output[dict[str, str]]
    """Text of the documents to publish, by address. Nothing secret."""

    def __init__(self, context: SideContext, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dualsync:index:Issuer", context.names.of("issuer"), None, opts)
        token = self._key(context, "token-key", "Signs the tokens", key_usage="SIGN_VERIFY", spec="RSA_2048")
        message = self._key(context, "message-key", "Signs messages", key_usage="GENERATE_VERIFY_MAC", spec="HMAC_256")
        public = aws.kms.get_public_key_output(key_id=token.arn, opts=context.invoke_options(self))
        self.token_key_arn, self.message_key_arn = token.arn, message.arn
        issuer = context.local.issuer
        self.documents = pulumi.Output.all(arn=token.arn, key=public.public_key).apply(
            lambda known: documents(issuer, known["arn"], known["key"])
        )
        self.register_outputs({"tokenKeyArn": self.token_key_arn, "messageKeyArn": self.message_key_arn})

    @property
    def arns(self) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        """ARNs of the keys for tokens and for messages."""
        return self.token_key_arn, self.message_key_arn

    def _key(self, context: SideContext, part: str, what: str, *, key_usage: str, spec: str) -> aws.kms.Key:
        name = context.names.of(part)
        key = aws.kms.Key(
            name,
            description=f"{what} of {context.names.prefix}",
            key_usage=key_usage,
            customer_master_key_spec=spec,
            deletion_window_in_days=7,
            policy=json.dumps(key_policy(context)),
            tags=context.tags(part),
            # The successor exists before the old key is disabled, and the machines are replaced in between.
            opts=context.options(self, replacement_trigger=context.pair.key_version, delete_before_replace=False),
        )
        # The roles' permissions boundary names the key by its alias, which can't be given to another team's key.
        aws.kms.Alias(f"{name}-alias", name=f"alias/{name}", target_key_id=key.key_id, opts=context.options(self))
        return key


def key_policy(context: SideContext) -> dict[str, Any]:
    """Return a key's policy: the account's policies decide who uses it, and the deploy role manages it."""
    return {"Version": "2012-10-17", "Statement": [administrators(context), deployers(context)]}


def documents(issuer: str, key_arn: str, public_key: str) -> dict[str, str]:
    """Return the text of the issuer's two documents by their addresses.

    Args:
        issuer: Address of the issuer.
        key_arn: ARN of the key; its last part is the key's id in tokens.
        public_key: The public key as KMS shows it, DER in base64 (KMS API Reference, GetPublicKey).
    """
    modulus, exponent = rsa_numbers(base64.b64decode(public_key))
    key = {
        "kty": "RSA",
        "use": "sig",
        "alg": "RS256",
        "kid": key_arn.rpartition("/")[2],
        "n": _base64url(modulus),
        "e": _base64url(exponent),
    }
    # The members that the standard requires, and that IAM reads (OpenID Connect Discovery 1.0, section 3).
    discovery = {
        "issuer": issuer,
        "jwks_uri": f"{issuer}{KEY_SET}",
        "authorization_endpoint": f"{issuer}/none",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": ["aud", "exp", "iat", "iss", "sub"],
    }
    found = {f"{issuer}{DISCOVERY}": discovery, f"{issuer}{KEY_SET}": {"keys": [key]}}
    return {address: json.dumps(document, sort_keys=True) for address, document in found.items()}


def rsa_numbers(der: bytes) -> tuple[int, int]:
    """Return modulus and exponent of a public key in DER (RFC 5280, SubjectPublicKeyInfo; RFC 8017, RSAPublicKey).

    Raises `ValueError`.
    """
    info, _ = _element(der, 0x30)
    _, rest = _element(info, 0x30)
    bits, _ = _element(rest, 0x03)
    key, _ = _element(bits[1:], 0x30)
    modulus, rest = _element(key, 0x02)
    exponent, _ = _element(rest, 0x02)
    return int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big")


def _element(der: bytes, tag: int) -> tuple[bytes, bytes]:
    """Return the content of the first element, and what follows it."""
    if len(der) < 2 or der[0] != tag:
        raise ValueError("the public key is no RSA key in DER")
    length, start = der[1], 2
    if length & 0x80:
        start = 2 + (length & 0x7F)
        length = int.from_bytes(der[2:start], "big")
    if len(der) < start + length:
        raise ValueError("the public key is cut off")
    return der[start : start + length], der[start + length :]


def _base64url(number: int) -> str:
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
