"""Connect the parts of one side of a pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from dualsync.components.bundle.builder import default_builder
from dualsync.components.bundle.bundle import Bundle, BundleArgs, MakesBundles
from dualsync.components.config.model import HandOverMode, PeerIdentity
from dualsync.components.context import SideContext
from dualsync.components.federation.issuer import Issuer
from dualsync.components.federation.peer_role import PeerRole
from dualsync.components.finder import Finder, FinderArgs
from dualsync.components.handover import HandOver, secret_of
from dualsync.components.identity import Identity
from dualsync.components.ledger import Ledger
from dualsync.components.monitoring.observability import Observability, ObservabilityArgs
from dualsync.components.network import Network
from dualsync.components.peer_stack import OPTIONS, PEER_IDENTITY, PEER_OPTIONS, shared_options
from dualsync.components.providers import SyncProvider
from dualsync.components.queue import Queue
from dualsync.components.subscription import Subscription
from dualsync.components.workers.fleet import Fleet, FleetArgs
from dualsync.components.workers.worker_settings import UNKNOWN, environment
from dualsync.runtime.settings import SideName

_PARTS = (
    *("userId", "userName", "keyId", "queueUrl", "deadLetterQueueUrl", "ledgerTable", "secretName", "workerGroup"),
    *("workerLogGroup", "finderCluster", "finderTask", "finderLogGroup", "dashboard", "dashboardUrl", "alarmTopic"),
    "metrics",
    "roleArn",
)
"""Outputs of parts that a one-way pair's side may not have; they are empty then."""


@dataclass(frozen=True, kw_only=True)
class SideArgs:
    """What a side needs of others."""

    sync: SyncProvider
    """Provider of the subscription, for this side's account."""
    peer: SideContext | None = None
    """The other side, if this program reaches its account."""
    received: pulumi.Input[str] | None = None
    """The peer's hand-over, if it is passed in."""
    builder: MakesBundles = field(default_factory=default_builder)
    """Builder of the bundles."""
    expires: Mapping[SideName, bool] = field(default_factory=lambda: UNKNOWN)
    """Whether lifecycle rules expire objects, per bucket (`worker_settings.settings_of`)."""
    after: Sequence[pulumi.Resource] = ()
    """Resources that must exist before this side's subscription, as another one at the same bucket."""


class Side(pulumi.ComponentResource):
    """Identity and hand-over, queue and subscription, ledger, workers, finder, and observability.

    A one-way pair's source has no identity, and its destination has nothing else.
    """

    outputs: dict[str, Any]
    """Names and addresses of this side's parts, for operators and the command line. Nothing secret."""

    hand_over: pulumi.Output[str] | None
    """This side's access key or role for the peer, secret; None at a one-way pair's source, which has none."""

    subscription: Subscription | None
    """The subscription to the bucket's events; None at a one-way pair's destination, which has none."""

    def __init__(self, context: SideContext, args: SideArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dualsync:index:Side", context.names.prefix, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        # The network is first, because its lookups fail before anything is created.
        network = Network(context, child) if context.pair.carries(context.side) else None
        by_role = context.pair.peer_identity is PeerIdentity.ROLE
        identity: Identity | PeerRole | None = None
        if context.pair.receives(context.side):
            identity = PeerRole(context, child) if by_role else Identity(context, child)
        self.hand_over = None if identity is None else secret_of(identity, context.local)
        self.subscription = None
        handed_over = self._pass_on(context, args, child)
        self.outputs = {
            **dict.fromkeys(_PARTS, ""),
            "accountId": context.account_id,
            "region": context.region,
            "bucket": context.local.bucket,
            "prefix": context.local.prefix,
            OPTIONS: shared_options(context.local),
            PEER_OPTIONS: shared_options(context.peer),
            PEER_IDENTITY: str(context.pair.peer_identity),
            "issuer": {},
        }
        if identity is not None:
            self.outputs |= {
                "userId": identity.user_id,
                "userName": identity.user_name,
                "keyId": identity.access_key_id,
                "roleArn": identity.role_arn,
            }
        if network is not None:
            self.outputs |= self._carry(context, args, network, identity, handed_over, child)
        else:
            user = None if identity is None else identity.user_id
            self.outputs |= {"environment": dict(environment(context.pair, context.side, user_id=user))}
        self.register_outputs(self.outputs)

    def _carry(
        self,
        context: SideContext,
        args: SideArgs,
        network: Network,
        identity: Identity | PeerRole | None,
        handed_over: Sequence[pulumi.Resource],
        child: pulumi.ResourceOptions,
    ) -> dict[str, Any]:
        """Create what copies this side's changes to the other, and return its outputs."""
        issuer = Issuer(context, child) if context.pair.peer_identity is PeerIdentity.ROLE else None
        queue = Queue(context, child)
        ledger = Ledger(context, child)
        variables = environment(
            context.pair,
            context.side,
            queue_url=queue.url,
            dead_letter_queue_url=queue.dead_letter_url,
            ledger_table=ledger.name,
            user_id=None if identity is None else identity.user_id,
            keys=issuer.arns if issuer else None,
            expires=args.expires,
        )
        architectures = {context.local.fleet.architecture, context.local.finder.architecture}
        bundle = Bundle(context, BundleArgs(architectures=sorted(architectures), builder=args.builder), child)
        fleet = Fleet(
            context,
            FleetArgs(
                network=network,
                bundle=bundle,
                environment=variables,
                queue_name=queue.name,
                queue_arn=queue.arn,
                dead_letter_queue_arn=queue.dead_letter_arn,
                table_arn=ledger.arn,
                issuer=issuer,
            ),
            child,
        )
        finder = Finder(
            context,
            FinderArgs(
                network=network,
                bundle=bundle,
                environment=variables,
                queue_arn=queue.arn,
                dead_letter_arn=queue.dead_letter_arn,
                table_arn=ledger.arn,
                issuer=issuer,
            ),
            child,
        )
        watch = Observability(
            context,
            ObservabilityArgs(
                queue_name=queue.name,
                dead_letter_queue_name=queue.dead_letter_name,
                group_name=fleet.group_name,
                worker_log_group=fleet.log_group_name,
                finder_log_group=finder.log_group_name,
            ),
            child,
        )
        self.subscription = Subscription(context, queue, args.sync, child, after=args.after)
        finder.start_on_schedule(
            [
                network,
                *([] if identity is None else [identity]),
                *([issuer] if issuer else []),
                *handed_over,
                *(queue, ledger, bundle, fleet, watch, self.subscription),
            ]
        )
        return {
            "queueUrl": queue.url,
            "deadLetterQueueUrl": queue.dead_letter_url,
            "ledgerTable": ledger.name,
            "secretName": context.names.secret,
            "workerGroup": fleet.group_name,
            "workerLogGroup": fleet.log_group_name,
            "finderCluster": finder.cluster_name,
            "finderTask": finder.task_family,
            "finderLogGroup": finder.log_group_name,
            "dashboard": watch.dashboard_name,
            "dashboardUrl": watch.dashboard_url,
            "alarmTopic": watch.topic_arn,
            "metrics": context.names.metrics,
            "environment": dict(variables),
            "issuer": issuer.documents if issuer else {},
        }

    def _pass_on(self, context: SideContext, args: SideArgs, child: pulumi.ResourceOptions) -> list[pulumi.Resource]:
        """Write the own key into the peer's account, or the peer's into this one; return what was created."""
        if context.pair.hand_over is HandOverMode.PROVIDER:
            if self.hand_over is None:
                return []
            if args.peer is None:
                raise ValueError("handOver=provider needs the peer's provider")
            return [HandOver(args.peer, self.hand_over, child)]
        if args.received is None or not context.pair.carries(context.side):
            return []
        return [HandOver(context, args.received, child)]
