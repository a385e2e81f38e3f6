"""Sign and verify the messages that worker and finder send to their own queue.

A signed body has a last member `authenticator`: an HMAC over the queue and the rest of the text. Version 0.1 ignores
members beside `dualsync` and `dualsync-parts`. Why this key, and what happens when it changes:
docs/decisions/2026-11-27-message-authenticator.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

MEMBER = "authenticator"
"""Member of the body that holds the authenticator; the last one in the text."""

_PURPOSE = b"dualsync message authenticator 1"
_SIGNED = re.compile(r'(\{.*), "authenticator": "([A-Za-z0-9_-]{43})"\}', re.DOTALL)


class Authenticator:
    """Signs with the current key, and accepts what the current or the previous key signed.

    Without a key, nothing is signed and nothing verifies.
    """

    __slots__ = ("_keys", "_queue")

    def __init__(self, queue: str, secret: str = "") -> None:
        """Create an authenticator for one queue, named by its URL.

        `secret` is the secret access key of the peer's user.
        """
        self._queue = queue.encode()
        self._keys: tuple[bytes, ...] = ()
        if secret:
            self.use(secret)

    def use(self, secret: str) -> None:
        """Sign with a key derived from `secret` from now on. The key in use before is still accepted."""
        key = hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256)
        if key not in self._keys[:1]:
            self._keys = (key, *self._keys[:1])

    def sign(self, body: str) -> str:
        """Return the body, a JSON object as text, with its authenticator."""
        if not self._keys:
            return body
        return f'{body[:-1]}, "{MEMBER}": "{self._code(self._keys[0], body)}"}}'

    def verify(self, body: str) -> bool:
        """Return True if the body carries a valid authenticator for this queue."""
        match = _SIGNED.fullmatch(body)
        if match is None:
            return False
        signed, code = match.group(1) + "}", match.group(2)
        return any(hmac.compare_digest(self._code(key, signed), code) for key in self._keys)

    def _code(self, key: bytes, body: str) -> str:
        text = self._queue + b"\n" + body.encode(errors="surrogatepass")
        return base64.urlsafe_b64encode(hmac.digest(key, text, hashlib.sha256)).decode().rstrip("=")
