"""AWS Signature Version 4 (AWS IAM User Guide, "Create a signed AWS API request")."""

from __future__ import annotations

import hashlib
import hmac
import re
import time

from dualsync.runtime.aws.credentials import Credential

UNSIGNED = "UNSIGNED-PAYLOAD"
"""Instead of the payload's hash, where TLS protects the payload (S3 only)."""

EMPTY = hashlib.sha256(b"").hexdigest()
"""Hash of an empty payload."""

_UNUSUAL = re.compile(r"[^!-~ ]|  |^ | $")
_BLANKS = re.compile("[ \t\n\x0b\f\r\x1c-\x1f]+")


class Signer:
    """Signs for one service in one region."""

    def __init__(self, service: str, region: str) -> None:
        self.skew = 0.0
        """Seconds by which the service's clock is ahead of this machine's."""
        self._scope = f"{region}/{service}/aws4_request"
        self._steps = (region.encode(), service.encode(), b"aws4_request")
        self._key: tuple[str, str, hmac.HMAC] = ("", "", hmac.new(b"", digestmod="sha256"))
        self._second = (0, "")

    def sign(
        self, credential: Credential, method: str, path: str, query: str, headers: dict[str, str], payload_hash: str
    ) -> None:
        """Add the signature to `headers` (names in lower case, `host` among them).

        `path` and `query` as they are sent: encoded, the query sorted. S3 and JSON services only: other services want
        the path encoded twice.
        """
        moment = self._moment()
        headers["x-amz-date"] = moment
        if credential.token:
            headers["x-amz-security-token"] = credential.token
        names = sorted(headers)
        listed = "".join([f"{name}:{headers[name]}\n" for name in names])
        if not _is_plain(listed) or listed.count("\n") != len(names):
            listed = "".join([f"{name}:{_trimmed(headers[name])}\n" for name in names])
        signed = ";".join(names)
        request = f"{method}\n{path}\n{query}\n{listed}\n{signed}\n{payload_hash}"
        digest = hashlib.sha256(request.encode("latin-1")).hexdigest()
        scope = f"{moment[:8]}/{self._scope}"
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
        signature = self._key_of(credential, moment[:8]).copy()
        signature.update(text.encode())
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credential.access_key_id}/{scope}, SignedHeaders={signed},"
            f" Signature={signature.hexdigest()}"
        )

    def _moment(self) -> str:
        second = int(time.time() + self.skew)
        if second != self._second[0]:
            self._second = (second, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second)))
        return self._second[1]

    def _key_of(self, credential: Credential, day: str) -> hmac.HMAC:
        """Return an HMAC of nothing yet with the key of a day. It is copied per signature."""
        secret, kept_day, keyed = self._key
        if kept_day != day or secret != credential.secret_access_key:
            key = b"AWS4" + credential.secret_access_key.encode()
            for step in (day.encode(), *self._steps):
                key = hmac.digest(key, step, "sha256")
            keyed = hmac.new(key, digestmod="sha256")
            self._key = (credential.secret_access_key, day, keyed)
        return keyed


def _is_plain(lines: str) -> bool:
    """Return whether nothing can need folding in lines of `name:value`. One search costs less than one per value."""
    return (
        lines.isascii()
        and lines.replace("\n", "").isprintable()
        and not ("  " in lines or ": " in lines or " \n" in lines)
    )


def _trimmed(value: str) -> str:
    """Fold white space as AWS's own signers do, tabs included.

    `value` is bytes in the guise of Latin-1. They are folded as the text they encode in UTF-8, since a byte of "à"
    looks like a blank to Latin-1. What is no UTF-8 has ASCII's white space folded.
    """
    if not _UNUSUAL.search(value):
        return value
    try:
        return " ".join(value.encode("latin-1").decode().split()).encode().decode("latin-1")
    except UnicodeError:
        return _BLANKS.sub(" ", value).strip(" ")
