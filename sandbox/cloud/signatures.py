"""Signatures, version 4: whether a request was signed with the secret key of the access key that it names.

moto checks no signature. Sources: IAM User Guide, "Create a signed AWS API request" (canonical request, string to
sign); Amazon S3 API Reference, "Authenticating Requests: Using Query Parameters", "Error responses"
(SignatureDoesNotMatch, XAmzContentSHA256Mismatch, RequestTimeTooSkewed). White space within a header's value counts as
one blank, as AWS's SDKs sign it. `DUALSYNC_SANDBOX_SIGNATURES=off` in the emulator's environment turns the check off.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import os
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from urllib.parse import quote, unquote

from moto.core.request import environ_key_for_header

SWITCH = "DUALSYNC_SANDBOX_SIGNATURES"
"""Environment variable of the emulator; `off` accepts every signature."""

MAX_SKEW_SECONDS = 900
"""Largest difference between a request's time and the server's (S3's RequestTimeTooSkewed)."""

_ALGORITHM = "AWS4-HMAC-SHA256"
_HEADER = re.compile(
    rf"{_ALGORITHM}\s+Credential=(?P<credential>[^,\s]+),\s*SignedHeaders=(?P<headers>[^,\s]+),"
    r"\s*Signature=(?P<signature>[0-9a-f]+)"
)
_SPACES = re.compile(r"[ \t\n\x0b\f\r]+")


class Fault(Enum):
    """Faults of a signature."""

    MISMATCH = "mismatch"
    """Another secret key, or another request, was signed."""

    BODY = "body"
    """The body does not have the signed SHA-256."""

    SKEW = "skew"
    """The request's time differs from the server's by more than 15 minutes."""

    EXPIRED = "presigned"
    """A presigned URL is used after its end."""


@dataclass(frozen=True, slots=True)
class _Signed:
    credential: str
    """Access key id and scope."""
    headers: tuple[str, ...]
    """Names of the signed headers."""
    signature: str
    """The signature, in hexadecimal."""
    time: str
    """The request's time, as it was signed."""
    payload: str
    """The signed SHA-256 of the body, or the protocol's placeholder for it."""
    query: str
    """The canonical query."""
    expires: int | None
    """Seconds for which a presigned URL holds; None for other requests."""


def is_enabled() -> bool:
    """Return whether signatures are checked."""
    return os.environ.get(SWITCH, "").lower() != "off"


def fault_of(environ: Mapping[str, Any], body: bytes, secret: str, service: str) -> Fault | None:
    """Return the fault of a request's signature, None for a valid one."""
    signed = _from_header(environ, body) or _from_query(environ)
    if signed is None:
        return Fault.MISMATCH
    now = datetime.now(UTC)
    try:
        age = (now - datetime.strptime(signed.time, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)).total_seconds()
    except ValueError:
        return Fault.MISMATCH
    if signed.expires is not None and age > signed.expires:
        return Fault.EXPIRED
    if signed.expires is None and abs(age) > MAX_SKEW_SECONDS:
        return Fault.SKEW
    if not hmac.compare_digest(_signature(environ, signed, secret, service), signed.signature):
        return Fault.MISMATCH
    if re.fullmatch(r"[0-9a-f]{64}", signed.payload) and signed.payload != hashlib.sha256(body).hexdigest():
        return Fault.BODY
    return None


def _from_header(environ: Mapping[str, Any], body: bytes) -> _Signed | None:
    found = _HEADER.match(environ.get("HTTP_AUTHORIZATION", ""))
    if found is None:
        return None
    payload = environ.get("HTTP_X_AMZ_CONTENT_SHA256") or hashlib.sha256(body).hexdigest()
    headers = tuple(found["headers"].split(";"))
    query = environ["QUERY_STRING"]
    time = environ.get("HTTP_X_AMZ_DATE", "")
    return _Signed(found["credential"], headers, found["signature"], time, payload, query, None)


def _from_query(environ: Mapping[str, Any]) -> _Signed | None:
    pairs = [pair for pair in environ["QUERY_STRING"].split("&") if pair]
    given = {name: unquote(value) for name, _, value in (pair.partition("=") for pair in pairs)}
    if given.get("X-Amz-Algorithm") != _ALGORITHM or "X-Amz-Signature" not in given:
        return None
    rest = "&".join(pair for pair in pairs if not pair.startswith("X-Amz-Signature="))
    return _Signed(
        credential=given.get("X-Amz-Credential", ""),
        headers=tuple(given.get("X-Amz-SignedHeaders", "host").split(";")),
        signature=given["X-Amz-Signature"],
        time=given.get("X-Amz-Date", ""),
        payload="UNSIGNED-PAYLOAD",
        query=rest,
        expires=int(given.get("X-Amz-Expires", "0") or 0),
    )


def _signature(environ: Mapping[str, Any], signed: _Signed, secret: str, service: str) -> str:
    _, _, scope = signed.credential.partition("/")
    request = "\n".join(
        (
            environ["REQUEST_METHOD"],
            _canonical_path(environ["RAW_URI"].partition("?")[0], service),
            _canonical_query(signed.query),
            "".join(f"{name}:{_value(environ, name)}\n" for name in signed.headers),
            ";".join(signed.headers),
            signed.payload,
        )
    )
    digest = hashlib.sha256(request.encode("latin-1")).hexdigest()
    text = "\n".join((_ALGORITHM, signed.time, scope, digest))
    return hmac.digest(_signing_key(secret, scope), text.encode("latin-1"), "sha256").hex()


@functools.lru_cache(maxsize=1024)
def _signing_key(secret: str, scope: str) -> bytes:
    """Derive the key of one day, region and service from a secret key."""
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _canonical_path(path: str, service: str) -> str:
    """Encode a path once for S3, which takes it as it is, and twice and normalised for every other service."""
    if service == "s3":
        return quote(unquote(path, "latin-1"), safe="/-_.~", encoding="latin-1")
    normal = posixpath.normpath(path) if path else "/"
    return quote(f"{normal}/" if path.endswith("/") and normal != "/" else normal, safe="/-_.~")


def _canonical_query(query: str) -> str:
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return "&".join(
        f"{name}={value}" for name, value in sorted((_encoded(name), _encoded(value)) for name, _, value in pairs)
    )


def _encoded(text: str) -> str:
    return quote(unquote(text, "latin-1"), safe="-_.~", encoding="latin-1")


def _value(environ: Mapping[str, Any], name: str) -> str:
    return _SPACES.sub(" ", str(environ.get(environ_key_for_header(name), "")).strip(" \t\n\x0b\f\r"))
