"""The peer's credential, which the peer's stack wrote into this side's account."""

from __future__ import annotations

import base64
import codecs
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dualsync.runtime.aws.errors import error_of
from dualsync.runtime.aws.http.client import ServiceClient, ServiceError
from dualsync.runtime.errors import CredentialRejectedError


@dataclass(frozen=True, slots=True)
class PeerSecret:
    """The key of the peer's dedicated user, or the role to assume there."""

    access_key_id: str
    """Public half of the key; empty if it is a role."""
    secret_access_key: str = field(repr=False)
    """Secret half of the key; empty if it is a role."""
    user_id: str = ""
    """Id of the user or role that the credential must belong to; empty if the secret names none."""
    role_arn: str = ""
    """ARN of the role; empty if it is a user."""


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
            answer = await self._client.call_json(
                "GetSecretValue", "secretsmanager", self._name, "1.1", {"SecretId": self._name}
            )
        except ServiceError as refused:
            # InvalidRequestException is the answer for a secret marked for deletion.
            if refused.refusal.code in ("ResourceNotFoundException", "InvalidRequestException"):
                return None
            raise error_of(refused.refusal) from None
        return parse(self._name, text_of(answer))


FIELDS = ("access_key_id", "secret_access_key", "user_id", "role_arn")
"""Fields of the secret. `user_id` may be missing, and with `role_arn` the key."""
_ROLE_ARN = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:role/[\w+=,.@/-]{1,576}", re.ASCII)
_ID = re.compile(r"\w{1,128}", re.ASCII)
_KEY_ID = re.compile(r"A[KS]IA[A-Z0-9]{12,124}")
_WORD = re.compile(r"[!-~]+")
_BYTE_ORDER_MARK = "\ufeff"


def text_of(answer: Mapping[str, object]) -> str:
    """Return the text of a `GetSecretValue` answer, which has it as `SecretString` or as `SecretBinary`.

    A file that Windows wrote may be in UTF-16. Bytes that are no text keep a mark that no JSON has.
    """
    stored = answer.get("SecretBinary")
    if isinstance(answer.get("SecretString"), str) or stored is None:
        return str(answer.get("SecretString") or "")
    try:
        data = stored if isinstance(stored, bytes) else base64.b64decode(str(stored), validate=True)
        # JSON begins with a brace: its zero byte shows UTF-16 without a byte order mark (RFC 4627, section 3).
        encoding = "utf-16-be" if data[:1] == b"\0" else "utf-16-le" if data[1:2] == b"\0" else "utf-8"
        return data.decode("utf-16" if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else encoding)
    except ValueError:
        return "\ufffd"


def parse(name: str, text: str) -> PeerSecret:
    """Return the secret's JSON text, decoded.

    A byte order mark, and blanks or line breaks around a value, are removed: both come from pasting. Errors name the
    secret, the field and what is wrong with it, never its text. Raises `CredentialRejectedError`.
    """
    problem, values = _decode(_stripped(text))
    if not problem:
        for field_name in FIELDS:
            value = values.get(field_name, "")
            if value and not _WORD.fullmatch(value):
                problem = f"{field_name} holds a blank, a line break or another character that no key has"
                break
    problem = problem or _misplaced_value(values)
    role = values.get("role_arn", "")
    if not problem and role and not _ROLE_ARN.fullmatch(role):
        problem = "role_arn is not the ARN of a role"
    if problem:
        raise CredentialRejectedError(
            f"secret {name} is not a JSON object with access_key_id and secret_access_key: {problem}; let the peer's"
            " stack write it again (`pulumi up --refresh`)"
        )
    if role:
        return PeerSecret("", "", values.get("user_id", ""), role)
    return PeerSecret(values["access_key_id"], values["secret_access_key"], values.get("user_id", ""))


def _misplaced_value(values: Mapping[str, str]) -> str:
    """Return which value is in another's place, empty for none.

    Ids of keys and users are shown to operators, so a secret in their place must be refused before it is. An id has
    letters, digits and underscores only (IAM API Reference, AccessKey). Those of keys begin with AKIA, those of
    temporary keys with ASIA (IAM User Guide, "IAM identifiers").
    """
    key, secret = values.get("access_key_id", ""), values.get("secret_access_key", "")
    if _KEY_ID.fullmatch(secret):
        return "secret_access_key holds the id of a key; the two values may be swapped"
    if key and not _ID.fullmatch(key):
        return "access_key_id is not the id of a key; the two values may be swapped"
    if key.startswith("ASIA"):
        return "access_key_id is that of a temporary key, which ends within hours"
    if values.get("user_id") and not _ID.fullmatch(values["user_id"]):
        return "user_id is not the unique id of a user or role, such as AIDA… or AROA…"
    return ""


def _decode(text: str) -> tuple[str, dict[str, str]]:
    """Return what is wrong with the text (empty for nothing), and its fields without blanks around them."""
    try:
        document = json.loads(text, strict=False)
    except RecursionError:
        return "it is not JSON that can be read", {}
    except ValueError as e:
        where = f" near line {e.lineno}, column {e.colno}" if isinstance(e, json.JSONDecodeError) else ""
        return ("it is empty" if not text.strip() else f"it is not JSON{where}"), {}
    if not isinstance(document, dict):
        return "it is JSON, but not an object", {}
    values = {str(key): _stripped(value) for key, value in document.items() if isinstance(value, str)}
    missing = [key for key in FIELDS[:2] if not values.get(key)]
    if missing and not values.get("role_arn"):
        others = sorted(str(key) for key in document if key not in FIELDS)
        names = f"; it has {', '.join(repr(key[:40]) for key in others[:5])} instead" if others else ""
        return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing or no text{names}", {}
    return "", values


def _stripped(text: str) -> str:
    """Return text without blanks, line breaks and byte order marks around it."""
    while text != (bare := text.strip().strip(_BYTE_ORDER_MARK)):
        text = bare
    return text
