"""Serves the engine's provider protocol over gRPC with the sandbox's resource handlers."""

from __future__ import annotations

import functools
import json
import logging
import re
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, TypeVar

import grpc
from botocore.exceptions import BotoCoreError, ClientError
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from sandbox.provider import hold, operations, types
from sandbox.provider.access import AccessError
from sandbox.provider.base import Account, Properties
from sandbox.provider.drift import inputs_now
from sandbox.provider.instances import Instances, NotConfiguredError
from sandbox.provider.wire import UNKNOWN, Message, contains_unknown, decode, encode

NAME = "aws"
EXPECTED = (
    AccessError,
    NotConfiguredError,
    BotoCoreError,
    ClientError,
    LookupError,
    ValueError,
    operations.InvalidInputsError,
    operations.UnknownTokenError,
)
"""Failures with a text for the operator. Any other is a fault of the sandbox, and its traceback is logged."""

RECOMPUTED = {
    "aws:ec2/launchTemplate:LaunchTemplate": frozenset({"latestVersion", "defaultVersion"}),
    "aws:s3/bucketObjectv2:BucketObjectv2": frozenset({"etag", "versionId"}),
}
"""Outputs that an update changes: unknown at preview. All others stay as they are."""

_log = logging.getLogger(__name__)
Answer = TypeVar("Answer")
_Method = Callable[[Any, Any, Any], Answer]


def _with_status(method: _Method[Answer]) -> _Method[Answer]:
    """Turn a failure into the call's status with one line for the operator."""

    @functools.wraps(method)
    def call(self: Any, request: Any, context: Any) -> Answer:
        try:
            return method(self, request, context)
        except EXPECTED as e:
            text = str(e.args[0]) if isinstance(e, KeyError) and e.args else str(e)
            return context.abort(grpc.StatusCode.UNKNOWN, text)  # type: ignore[no-any-return]
        except Exception as e:
            _log.exception("%s", method.__name__)
            return context.abort(  # type: ignore[no-any-return]
                grpc.StatusCode.INTERNAL, f"the sandbox's provider failed: {type(e).__name__}: {e}"
            )

    return call


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Serve every instance of the provider that an engine configures."""

    def __init__(self) -> None:
        self._instances = Instances()

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: Any, context: Any) -> Any:
        return Empty()

    def Cancel(self, request: Any, context: Any) -> Any:
        return Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=version("pulumi-aws"))

    def GetSchema(self, request: Any, context: Any) -> Any:
        """Return names only: the program's types are pulumi_aws's, and `Check` checks every input against them."""
        return provider_pb2.GetSchemaResponse(schema=json.dumps({"name": NAME, "version": version("pulumi-aws")}))

    @_with_status
    def CheckConfig(self, request: Any, context: Any) -> Any:
        news = decode(request.news)
        failures = [
            provider_pb2.CheckFailure(property=name, reason="is required, because the sandbox never connects to AWS")
            for name in ("region", "endpoints")
            if not news.plain.get(name)
        ]
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    @_with_status
    def DiffConfig(self, request: Any, context: Any) -> Any:
        old, new = decode(request.old_inputs).plain, decode(request.news).plain
        return _difference({k for k in {*old, *new} if old.get(k) != new.get(k)}, set(), old, new)

    @_with_status
    def Configure(self, request: Any, context: Any) -> Any:
        self._instances.configure(context.peer(), decode(request.args).plain)
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    @_with_status
    def Invoke(self, request: Any, context: Any) -> Any:
        arguments = decode(request.args)
        answer = operations.invoke(request.tok, self._account(context), arguments.plain)
        return provider_pb2.InvokeResponse(**{"return": encode(answer, arguments.secret)})

    @_with_status
    def Check(self, request: Any, context: Any) -> Any:
        token, name = _token(request.urn), _name(request.urn)
        news, olds = decode(request.news), decode(request.olds)
        given = {k: v for k, v in news.plain.items() if k != "tagsAll"}
        try:
            filled = operations.check(token, name, given, olds.plain)
        except operations.InvalidInputsError as e:
            failures = [provider_pb2.CheckFailure(property=where, reason=why) for where, why in e.problems]
            return provider_pb2.CheckResponse(inputs=request.news, failures=failures)
        tags = operations.all_tags(token, self._account(context), filled)
        if tags:
            # As the real provider does, so that a change of its default tags is a change of the resource's inputs.
            filled = {**filled, "tagsAll": UNKNOWN if contains_unknown(tags) else tags}
        return provider_pb2.CheckResponse(inputs=encode(filled, (), news))

    @_with_status
    def Diff(self, request: Any, context: Any) -> Any:
        token, kind = _token(request.urn), operations.handler(_token(request.urn))
        old, new = decode(request.old_inputs).plain, decode(request.news).plain
        found = operations.diff(token, old, new)
        ignored = {path.partition(".")[0].partition("[")[0] for path in request.ignoreChanges}
        changed, replacing = set(found.changed) - ignored, set(found.replacing) - ignored
        first = _name_is_taken(kind.autonamed, _name(request.urn), new) and kind.autonamed not in replacing
        return _difference(changed, replacing, old, new, delete_first=first)

    @_with_status
    def Create(self, request: Any, context: Any) -> Any:
        token, given = _token(request.urn), decode(request.properties)
        if request.preview:
            outputs = _preview(token, given.plain)
            return provider_pb2.CreateResponse(properties=encode(outputs, _secret(token), given))
        name = _name(request.urn)
        hold.wait(hold.Moment.BEFORE, name, context.is_active)
        id, outputs = operations.create(token, self._account(context), given.plain)
        hold.wait(hold.Moment.AFTER, name, context.is_active)
        return provider_pb2.CreateResponse(id=id, properties=encode(outputs, _secret(token), given))

    @_with_status
    def Read(self, request: Any, context: Any) -> Any:
        token, account = _token(request.urn), self._account(context)
        state, inputs = decode(request.properties), decode(request.inputs)
        # Without a state it is an import, whose id can have another format (Read of Pulumi's bridge to Terraform).
        id = request.id if state.plain else operations.handler(token).imported(request.id)
        live = operations.read(token, account, id, {**inputs.plain, **state.plain})
        if live is None:
            return provider_pb2.ReadResponse()
        now = inputs_now(token, account, inputs.plain, live)
        return provider_pb2.ReadResponse(
            id=id,
            properties=encode(live, _secret(token), state, inputs),
            inputs=encode(now, _secret(token), inputs),
        )

    @_with_status
    def Update(self, request: Any, context: Any) -> Any:
        token, account = _token(request.urn), self._account(context)
        state, old, given = decode(request.olds), decode(request.old_inputs), decode(request.news)
        if request.preview:
            removed = set(old.plain) - set(given.plain)
            outputs = _preview(token, given.plain, {k: v for k, v in state.plain.items() if k not in removed})
        else:
            before = decode(request.old_inputs).plain
            outputs = operations.update(token, account, request.id, state.plain, before, given.plain)
        return provider_pb2.UpdateResponse(properties=encode(outputs, _secret(token), given, state))

    @_with_status
    def Delete(self, request: Any, context: Any) -> Any:
        token, account = _token(request.urn), self._account(context)
        operations.delete(token, account, request.id, decode(request.properties).plain)
        return Empty()

    def _account(self, context: Any) -> Account:
        return self._instances.of(context.peer())


def _token(urn: str) -> str:
    """Split `urn:pulumi:stack::project::parent$type::name` into type and name."""
    return urn.split("::")[2].rpartition("$")[2]


def _name(urn: str) -> str:
    return urn.split("::", 3)[3]


def _secret(token: str) -> frozenset[str]:
    return operations.handler(token).secret_outputs


def _preview(token: str, given: Properties, kept: Properties | None = None) -> Properties:
    """Return the outputs at preview: given values, those that stay of an existing resource, everything else unknown."""
    if kept is None:
        return {**dict.fromkeys(types.outputs(token), UNKNOWN), **given}
    kind = operations.handler(token)
    same = all(operations.same(kind, k, kept.get(k), v) for k, v in given.items())
    return {**kept, **given, **dict.fromkeys(() if same else RECOMPUTED.get(token, ()), UNKNOWN)}


def _name_is_taken(autonamed: str, logical: str, new: Properties) -> bool:
    """Return whether a replacement has the old resource's name, because the program sets it."""
    name = new.get(autonamed) if autonamed else None
    return isinstance(name, str) and not re.fullmatch(re.escape(logical) + r"-[0-9a-f]{7}", name)


def _difference(
    changed: set[str], replacing: set[str], old: Properties, new: Properties, *, delete_first: bool = False
) -> Any:
    kinds = provider_pb2.PropertyDiff
    detailed = {}
    for name in sorted(changed):
        kind = "ADD" if name not in old else "DELETE" if name not in new else "UPDATE"
        value = kinds.Kind.Value(kind + ("_REPLACE" if name in replacing else ""))
        detailed[name] = kinds(kind=value, inputDiff=True)
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
        replaces=sorted(replacing),
        diffs=sorted(changed),
        detailedDiff=detailed,
        hasDetailedDiff=True,
        deleteBeforeReplace=bool(replacing) and delete_first,
    )


__all__ = ["NAME", "Message", "Servicer"]
