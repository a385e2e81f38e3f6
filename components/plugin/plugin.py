"""Serve this package: the subscription to a bucket's events, the inspection of a bucket, and the component.

The engine starts one process per instance of the provider, that is per account, and one for the component.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import grpc
from botocore.exceptions import BotoCoreError, ClientError
from google.protobuf.empty_pb2 import Empty
from pulumi.provider.experimental import server
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import (
    CheckFailure,
    CheckRequest,
    CheckResponse,
    ConfigureRequest,
    ConfigureResponse,
    ConstructRequest,
    ConstructResponse,
    CreateRequest,
    CreateResponse,
    DeleteRequest,
    DiffRequest,
    DiffResponse,
    GetSchemaRequest,
    GetSchemaResponse,
    InvokeRequest,
    InvokeResponse,
    PropertyDiff,
    PropertyDiffKind,
    Provider,
    ReadRequest,
    ReadResponse,
    UpdateRequest,
    UpdateResponse,
)
from pulumi.runtime.rpc import UNKNOWN

from dualsync.components.bucket_access import inspection, notifications
from dualsync.components.bucket_access.sessions import Reach, WrongAccountError, s3_client
from dualsync.components.config.model import Access
from dualsync.components.config.prefixes import filter_value
from dualsync.components.plugin import engine_log, live_parts
from dualsync.components.plugin.schema import DOWNLOAD_URL
from dualsync.runtime.settings import VERSION

NAME = "dualsync"
SUBSCRIPTION = "dualsync:index:BucketSubscription"
REPLACING = ("bucket", "owner", "notificationId")
"""Properties whose change needs another entry."""
PARTS = "parts"
"""Input of the provider: parts that only a deployed side has, `KIND/NAME` each, separated by commas."""
BUCKETS = "buckets"
"""Input of the provider: the buckets, prefixes, regions and accounts that the side's ledger describes, in words."""
FILTER = "filter"
"""Output: the filter's value as the bucket's document holds it."""

_OTHER_BUCKETS = (
    "this stack deployed {before}, and has {now} now; the ledger describes the former, so worker and finder will stop"
    " (GUARD_REFUSED) and events of a bucket that is left are lost; correct the configuration, or, if the change is"
    " intended, follow the runbook first (GUARD_REFUSED, for the bucket)"
)

Properties = dict[str, PropertyValue]


class DualSyncProvider(Provider):
    """Provider of `BucketSubscription` and `inspectBucket` for one account."""

    warn: engine_log.Warn
    """Shows a warning beside a resource."""

    def __init__(self, pause: notifications.Pause = time.sleep) -> None:
        self.warn = engine_log.nowhere
        self._pause = pause
        self._reach: Reach | None = None
        self._client: Any = None

    async def get_schema(self, request: GetSchemaRequest) -> GetSchemaResponse:
        return GetSchemaResponse(schema=json.dumps(schema()))

    async def check_config(self, request: CheckRequest) -> CheckResponse:
        """Refuse a state without resources of a side that is deployed. This check is the first, in `up` too.

        Other buckets than before are a warning, since that change may be intended.

        The engine passes the earlier inputs of a provider that the state holds, and records a provider before anything
        that needs it. So no earlier inputs mean that this state has never created anything of the side.
        """
        inputs = request.new_inputs
        before, now = _text_of(request.old_inputs.get(BUCKETS)), _text_of(inputs.get(BUCKETS))
        if before and now and before != now:
            await self.warn(_OTHER_BUCKETS.format(before=before, now=now), request.urn)
        if request.old_inputs or any(_is_unknown(value) for value in inputs.values()):
            return CheckResponse(inputs=inputs)
        parts = [part for part in _text_of(inputs.get(PARTS)).split(",") if part]
        reason = await asyncio.to_thread(live_parts.belongs_to_another_state, reach_of(inputs), parts)
        return CheckResponse(inputs=inputs, failures=[CheckFailure(PARTS, reason)] if reason else None)

    async def configure(self, request: ConfigureRequest) -> ConfigureResponse:
        self._reach = reach_of(request.args)
        return ConfigureResponse(accept_secrets=True, supports_preview=True, accept_outputs=True, accept_resources=True)

    async def construct(self, request: ConstructRequest) -> ConstructResponse:
        # The AWS SDK for Pulumi takes seconds to load, and only the component needs it.
        from dualsync.components.plugin.construct import construct

        return await construct(request)

    async def check(self, request: CheckRequest) -> CheckResponse:
        inputs = request.new_inputs
        if any(_is_unknown(inputs.get(k)) for k in ("bucket", "owner", "notificationId", "events", "prefix")):
            return CheckResponse(inputs=inputs)
        subscription = subscription_of(inputs)
        try:
            reasons = list(await self._call(notifications.overlaps, subscription))
            if not request.old_inputs:
                reason = await self._call(notifications.belongs_to_another_state, subscription)
                reasons += [reason] if reason else []
        except (WrongAccountError, BotoCoreError, ClientError) as e:
            reasons = [str(e)]
        return CheckResponse(inputs=inputs, failures=[CheckFailure("bucket", r) for r in reasons])

    async def diff(self, request: DiffRequest) -> DiffResponse:
        old, new = request.old_state, request.new_inputs
        changed = [k for k in new if not _same(k, old.get(k), new[k])]
        if "prefix" not in changed and _text_of(old.get(FILTER, old.get("prefix"))) != filter_value(
            _text_of(new.get("prefix"))
        ):
            # Version 0.1 wrote the prefix as it is; S3 matches nothing with one that has special characters.
            changed.append("prefix")
        replacing = [k for k in changed if k in REPLACING]
        return DiffResponse(
            changes=bool(changed),
            replaces=replacing,
            diffs=changed,
            # S3 refuses two entries for the same events, so the old one is removed first.
            delete_before_replace=True,
            detailed_diff={
                k: PropertyDiff(
                    PropertyDiffKind.UPDATE_REPLACE if k in REPLACING else PropertyDiffKind.UPDATE, input_diff=True
                )
                for k in changed
            },
        )

    async def create(self, request: CreateRequest) -> CreateResponse:
        if request.preview:
            return CreateResponse(resource_id="", properties=request.properties)
        subscription = subscription_of(request.properties)
        await self._call(notifications.put, subscription, self._pause)
        return CreateResponse(resource_id=id_of(subscription), properties=properties_of(subscription))

    async def update(self, request: UpdateRequest) -> UpdateResponse:
        if request.preview:
            return UpdateResponse(properties=request.news)
        subscription = subscription_of(request.news)
        await self._call(notifications.put, subscription, self._pause)
        return UpdateResponse(properties=properties_of(subscription))

    async def read(self, request: ReadRequest) -> ReadResponse:
        bucket, _, name = request.resource_id.partition("/")
        wanted = notifications.Subscription(
            bucket=bucket, owner=self._configured().account_id, id=name, queue_arn="", events=()
        )
        found = await self._call(notifications.get, wanted)
        if found is None:
            return ReadResponse(resource_id="")
        properties = properties_of(found)
        inputs = {k: v for k, v in properties.items() if k != FILTER}
        return ReadResponse(resource_id=request.resource_id, properties=properties, inputs=inputs)

    async def delete(self, request: DeleteRequest) -> None:
        await self._call(notifications.remove, subscription_of(request.properties), self._pause)

    async def invoke(self, request: InvokeRequest) -> InvokeResponse:
        if request.tok != inspection.TOKEN:
            return InvokeResponse(failures=[CheckFailure("token", f"unknown function {request.tok}")])
        args = {k: str(v.value) for k, v in request.args.items()}
        try:
            facts = await self._call(
                lambda s3: inspection.inspect(
                    s3,
                    bucket=args["bucket"],
                    account_id=args["accountId"],
                    region=args["region"],
                    prefix=args.get("prefix", ""),
                )
            )
        except WrongAccountError as e:
            facts = inspection.BucketFacts(problem=str(e), key="profile")
        except (BotoCoreError, ClientError) as e:
            facts = inspection.BucketFacts(
                problem=f"gives no credentials ({e}); correct profile or roleArn", key="profile"
            )
        return InvokeResponse(
            return_value={k: PropertyValue(_plain(v)) for k, v in inspection.to_result(facts).items()}
        )

    async def _call(self, function: Any, *args: Any) -> Any:
        """Run blocking work in a thread: the event loop also answers the engine's other calls."""
        return await asyncio.to_thread(lambda: function(self._s3(), *args))

    def _configured(self) -> Reach:
        if self._reach is None:
            raise RuntimeError("the engine calls Configure first")
        return self._reach

    def _s3(self) -> Any:
        if self._client is None:
            self._client = s3_client(self._configured())
        return self._client


def reach_of(inputs: Properties) -> Reach:
    """Return the account of a provider's inputs, and the way into it."""
    access = Access(
        profile=_text_of(inputs.get("profile")),
        role_arn=_text_of(inputs.get("roleArn")),
        external_id=_text_of(inputs.get("externalId")),
        endpoint=_text_of(inputs.get("endpoint")),
    )
    return Reach(region=_text_of(inputs.get("region")), account_id=_text_of(inputs.get("accountId")), access=access)


def subscription_of(properties: Properties) -> notifications.Subscription:
    """Return the resource's inputs or outputs as a `Subscription`."""
    events = properties["events"].value
    prefix = properties.get("prefix")
    return notifications.Subscription(
        bucket=str(properties["bucket"].value),
        owner=str(properties["owner"].value),
        id=str(properties["notificationId"].value),
        queue_arn="" if _is_unknown(properties.get("queueArn")) else str(properties["queueArn"].value),
        events=tuple(sorted(str(e.value) for e in events)) if isinstance(events, (list, tuple)) else (),
        prefix="" if prefix is None or prefix.value is None else str(prefix.value),
    )


def properties_of(subscription: notifications.Subscription) -> Properties:
    """Return a `Subscription` as the resource's properties."""
    return {
        "bucket": PropertyValue(subscription.bucket),
        "owner": PropertyValue(subscription.owner),
        "notificationId": PropertyValue(subscription.id),
        "queueArn": PropertyValue(subscription.queue_arn),
        "events": PropertyValue([PropertyValue(e) for e in sorted(subscription.events)]),
        "prefix": PropertyValue(subscription.prefix),
        FILTER: PropertyValue(subscription.filter),
    }


def id_of(subscription: notifications.Subscription) -> str:
    """Return the resource's id, which an import takes too."""
    return f"{subscription.bucket}/{subscription.id}"


def schema() -> dict[str, Any]:
    """Return the package's schema."""
    from dualsync.components.plugin.schema import component, types

    text = {"type": "string"}
    subscription = {
        "bucket": {**text, "description": "Bucket whose events are sent. Never created, owned or deleted."},
        "owner": {**text, "description": "Account that must own the bucket."},
        "notificationId": {**text, "description": "Id of the entry among the bucket's notifications."},
        "queueArn": {**text, "description": "Queue that receives the events."},
        "events": {"type": "array", "items": text, "description": "Event types, like s3:ObjectCreated:*."},
        "prefix": {**text, "description": "Only keys under this prefix."},
    }
    provider = {
        "region": {**text, "description": "Region of the account's bucket."},
        "accountId": {**text, "description": "Account that the credentials must be of."},
        "profile": {**text, "description": "AWS profile."},
        "roleArn": {**text, "description": "Role to assume."},
        "externalId": {**text, "description": "External id for the role."},
        "endpoint": {**text, "description": "Address to use instead of AWS's, for local cloud emulators."},
        PARTS: {
            **text,
            "description": "Parts that only a deployed side has, KIND/NAME each, separated by commas. A state without"
            " this provider is refused where all of them exist.",
        },
        BUCKETS: {
            **text,
            "description": "Buckets, prefixes, regions and accounts that the side's ledger describes. A change is"
            " shown as a warning.",
        },
    }
    return {
        "name": NAME,
        "version": VERSION,
        "displayName": "DualSync",
        "description": "Keeps two S3 buckets identical while users write to both, across accounts and partitions.",
        "pluginDownloadURL": DOWNLOAD_URL,
        "keywords": ["aws", "s3", "category/cloud", "kind/component"],
        "language": {
            "nodejs": {"respectSchemaVersion": True},
            "python": {"respectSchemaVersion": True, "pyproject": {"enabled": True}},
        },
        "provider": {
            "description": "One account, and the way in which the subscription to its bucket's events reaches it.",
            "inputProperties": provider,
            "requiredInputs": ["region", "accountId"],
        },
        "types": types(),
        "resources": {
            **component(),
            SUBSCRIPTION: {
                "description": "Adds one queue to a bucket's notifications and does not touch the others.",
                "properties": {
                    **subscription,
                    FILTER: {**text, "description": "The filter's value as the bucket's document holds it."},
                },
                "inputProperties": subscription,
                "requiredInputs": ["bucket", "owner", "notificationId", "queueArn", "events"],
                "required": [*subscription, FILTER],
            },
        },
    }


def _text_of(value: PropertyValue | None) -> str:
    return value.value if value is not None and isinstance(value.value, str) else ""


def _plain(value: Any) -> Any:
    return [PropertyValue(v) for v in value] if isinstance(value, list) else value


def _is_unknown(value: PropertyValue | None) -> bool:
    """Return whether a value is unknown. The SDK has `Computed` for it, but sends and expects this text."""
    return value is None or value.value == UNKNOWN


def _same(key: str, old: PropertyValue | None, new: PropertyValue) -> bool:
    if old is None:
        return key == "prefix" and new.value == ""
    if key == "events" and isinstance(old.value, (list, tuple)) and isinstance(new.value, (list, tuple)):
        return sorted(str(v.value) for v in old.value) == sorted(str(v.value) for v in new.value)
    return bool(old.value == new.value)


class Servicer(server.ProviderServicer):
    """The SDK's servicer, with errors in one line instead of a traceback, and with support for attaching."""

    def __init__(self, args: list[str], version: str, provider: Provider, engine_address: str) -> None:
        super().__init__(args, version, provider, engine_address)
        if isinstance(provider, DualSyncProvider):
            provider.warn = engine_log.to_engine(engine_address)

    async def Attach(self, request: Any, context: Any) -> Any:
        return Empty()


def _in_one_line(method: Any) -> Any:
    async def call(self: Servicer, request: Any, context: Any) -> Any:
        try:
            return await method(self, request, context)
        except Exception as e:
            # The SDK's wrapper puts the traceback on the lines after the message.
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(e).split(":\n")[0])

    return call


_CALLS = ("CheckConfig", "Check", "Diff", "Create", "Read", "Update", "Delete", "Invoke", "Configure", "GetSchema")
for _name in _CALLS:
    setattr(Servicer, _name, _in_one_line(getattr(server.ProviderServicer, _name)))


def serve(arguments: list[str]) -> None:
    """Run the provider: print the port on one line of standard output, then serve until the engine ends it."""
    server.ProviderServicer = Servicer  # type: ignore[misc]  # the SDK's main offers no other way
    server.main(arguments, VERSION, DualSyncProvider())
