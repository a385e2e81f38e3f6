"""The WSGI application in front of moto: routes by service, identifies the caller, refuses unknown keys and signatures.

moto runs each request in a thread, checks conditions and writes in separate steps, and lists an object before its
metadata is set. So one lock per service makes each request atomic, as it is in AWS. SQS has a lock of its own because
its receives wait (`patches.sqs`). `wire` reads the body first, so a slow sender blocks no other request.
"""

from __future__ import annotations

import dataclasses
import hmac
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from sandbox.cloud import federation, signatures
from sandbox.cloud.boundaries import Refusal, refusal
from sandbox.cloud.callers import CALLER, Caller, ExpiredTokenError, Scope, UnknownKeyError, identify, scope_of
from sandbox.cloud.patches.s3_keys import routable

Environ = dict[str, Any]

_JSON_SERVICES = {"dynamodb", "sqs", "secretsmanager", "logs", "ssm", "ecs", "events", "kms", "monitoring", "scheduler"}
_NAMED_BY_SCOPE = _JSON_SERVICES | {"s3", "sts", "iam", "ec2", "autoscaling", "sns"}
"""Services that the signature's scope alone identifies; moto searches all its modules for each request."""


class Gate(DomainDispatcherApplication):
    """moto's dispatcher with callers, signatures, locks and a shortcut."""

    def __init__(self) -> None:
        super().__init__(create_backend_app)
        self._apps: dict[str, Any] = {}
        self._locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith(federation.PATH):
            status, body = federation.serve(environ)
            start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
            return [body]
        scope = scope_of(environ)
        if scope is None or environ["PATH_INFO"].startswith("/moto-api"):
            return self._serve("", None, super().get_application(environ), environ, start_response)
        try:
            caller = identify(scope.access_key_id, environ.get("REMOTE_ADDR", "127.0.0.1"))
        except UnknownKeyError:
            return _refuse(scope, "unknown", start_response)
        except ExpiredTokenError:
            return _refuse(scope, "expired", start_response)
        why = _unverified(scope, caller, environ)
        if why:
            return _refuse(scope, why, start_response)
        # moto would search every account and partition for the key, and create those that are missing.
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = caller.account_id
        if "HTTP_AUTHORIZATION" not in environ:
            _sign_by_header(scope, environ)
        if scope.service == "s3":
            environ["PATH_INFO"] = routable(environ["PATH_INFO"])
        refused = refusal(scope, environ) if scope.service == "s3" else None
        if refused is not None:
            return _answer_s3(refused, environ, start_response)
        return self._serve(scope.service, caller, self._application(scope, environ), environ, start_response)

    def _application(self, scope: Scope, environ: Environ) -> Any:
        shortcut = scope.service in _NAMED_BY_SCOPE and not environ["PATH_INFO"].startswith("/v20180820/")
        if not shortcut or environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDBStreams"):
            return super().get_application(environ)
        app = self._apps.get(scope.service)
        if app is None:
            app = self._apps[scope.service] = super().get_application(environ)
        return app

    def _serve(
        self, service: str, caller: Caller | None, app: Any, environ: Environ, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        token = CALLER.set(caller)
        try:
            if service == "sqs":
                return list(app(environ, start_response))
            with self._locks[service]:
                return list(app(environ, start_response))
        finally:
            CALLER.reset(token)


def _unverified(scope: Scope, caller: Caller, environ: Environ) -> str:
    """Return why the request's signature or session token is not accepted, as a key of `_REFUSALS`; empty if it is."""
    if not signatures.is_enabled():
        return ""
    if not hmac.compare_digest(_session_token(environ), caller.token):
        return "token"
    body = environ["wsgi.input"].getvalue()
    fault = signatures.fault_of(environ, body, caller.secret, scope.service)
    return fault.value if fault else ""


def _sign_by_header(scope: Scope, environ: Environ) -> None:
    """Turn a presigned request, whose account moto does not find, into one with an Authorization header."""
    kept = [pair for pair in environ["QUERY_STRING"].split("&") if not pair.startswith("X-Amz-")]
    environ["QUERY_STRING"] = "&".join(kept)
    path = environ["RAW_URI"].partition("?")[0]
    environ["RAW_URI"] = environ["REQUEST_URI"] = f"{path}?{environ['QUERY_STRING']}"
    environ["HTTP_AUTHORIZATION"] = (
        f"AWS4-HMAC-SHA256 Credential={scope.access_key_id}/00000000/{scope.region}/s3/aws4_request, "
    )


def _session_token(environ: Environ) -> str:
    given = environ.get("HTTP_X_AMZ_SECURITY_TOKEN")
    if given is None:
        given = parse_qs(environ["QUERY_STRING"]).get("X-Amz-Security-Token", [""])[0]
    return str(given)


@dataclasses.dataclass(frozen=True)
class _Refusal:
    code: str
    """Code of the error."""
    message: str
    """Its text."""
    status: str = "403 Forbidden"
    """Its HTTP status."""


_BAD = "400 Bad Request"
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key"
    " and signing method."
)
_REFUSALS = {
    # Amazon S3 API Reference, "Error responses"; IAM User Guide, "Common errors" of the query and JSON protocols.
    ("s3", "unknown"): _Refusal(
        "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."
    ),
    ("s3", "expired"): _Refusal("ExpiredToken", "The provided token has expired.", "400 Bad Request"),
    ("json", "unknown"): _Refusal(
        "UnrecognizedClientException", "The security token included in the request is invalid.", "400 Bad Request"
    ),
    ("json", "expired"): _Refusal(
        "ExpiredTokenException", "The security token included in the request is expired", "400 Bad Request"
    ),
    ("query", "unknown"): _Refusal("InvalidClientTokenId", "The security token included in the request is invalid."),
    ("query", "expired"): _Refusal("ExpiredToken", "The security token included in the request is expired"),
    ("s3", "token"): _Refusal("InvalidToken", "The provided token is malformed or otherwise invalid.", _BAD),
    ("json", "token"): _Refusal(
        "UnrecognizedClientException", "The security token included in the request is invalid.", _BAD
    ),
    ("query", "token"): _Refusal("InvalidClientTokenId", "The security token included in the request is invalid"),
    ("s3", "mismatch"): _Refusal("SignatureDoesNotMatch", _MISMATCH),
    ("json", "mismatch"): _Refusal("InvalidSignatureException", _MISMATCH, _BAD),
    ("query", "mismatch"): _Refusal("SignatureDoesNotMatch", _MISMATCH),
    ("s3", "body"): _Refusal(
        "XAmzContentSHA256Mismatch",
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
        _BAD,
    ),
    ("json", "body"): _Refusal("InvalidSignatureException", _MISMATCH, _BAD),
    ("query", "body"): _Refusal("SignatureDoesNotMatch", _MISMATCH),
    ("s3", "skew"): _Refusal(
        "RequestTimeTooSkewed", "The difference between the request time and the server's time is too large."
    ),
    ("s3", "presigned"): _Refusal("AccessDenied", "Request has expired"),
    ("json", "skew"): _Refusal("InvalidSignatureException", "Signature not yet current or expired.", _BAD),
    ("query", "skew"): _Refusal("SignatureDoesNotMatch", "Signature not yet current or expired."),
}


def _answer_s3(refused: Refusal, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = f"<Error><Code>{escape(refused.code)}</Code><Message>{escape(refused.message)}</Message></Error>"
    data = b"" if environ["REQUEST_METHOD"] == "HEAD" else body.encode()
    headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(data))), *refused.headers.items()]
    start_response(refused.status, headers)
    return [data]


def _refuse(scope: Scope, why: str, start_response: Callable[..., Any]) -> Iterable[bytes]:
    protocol = "s3" if scope.service == "s3" else "json" if scope.service in _JSON_SERVICES else "query"
    refusal = _REFUSALS[protocol, why]
    code, message = escape(refusal.code), escape(refusal.message)
    if protocol == "json":
        body = json.dumps({"__type": f"com.amazonaws#{refusal.code}", "message": refusal.message})
    elif protocol == "s3":
        body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    else:
        body = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            "<RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>"
        )
    kind = "application/x-amz-json-1.0" if protocol == "json" else "application/xml"
    data = body.encode()
    start_response(refusal.status, [("Content-Type", kind), ("Content-Length", str(len(data)))])
    return [data]
