"""The permissions boundary of a side's users and roles: the union of what the program gives them, and nothing more.

IAM grants an action only if the boundary allows it too, whatever the policies of the user or role allow (IAM User
Guide, "Permissions boundaries for IAM entities"). So a deployment that may write those policies gives no other right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from dualsync.components import permissions
from dualsync.components.config.model import PairModel, PeerIdentity
from dualsync.components.config.side_options import Architecture
from dualsync.components.context import SideContext
from dualsync.components.identity import user_policy
from dualsync.runtime.settings import SideName
from tools.iam_roles.statements import Document, Statement, document


def boundary(pair: PairModel, side: SideName) -> Document:
    """Return the boundary of a side, with the rights that the options of replicas need (object tags)."""
    merged: dict[tuple[tuple[str, ...], str], set[str]] = defaultdict(set)
    sids: dict[tuple[tuple[str, ...], str], str] = {}
    conditions: dict[tuple[tuple[str, ...], str], Any] = {}
    for statement in _statements(pair, side):
        resources = tuple(sorted(_many(statement["Resource"])))
        condition = statement.get("Condition")
        key = (resources, repr(condition))
        merged[key] |= set(_many(statement["Action"]))
        sids.setdefault(key, statement["Sid"])
        conditions[key] = condition
    found: list[Statement] = []
    for key, names in merged.items():
        one: Statement = {
            "Sid": sids[key],
            "Effect": "Allow",
            "Action": sorted(names),
            "Resource": key[0][0] if len(key[0]) == 1 else list(key[0]),
        }
        found.append({**one, "Condition": conditions[key]} if conditions[key] else one)
    return document(found)


def _statements(pair: PairModel, side: SideName) -> Iterator[Statement]:
    """Yield what allows something in every identity policy of the side."""
    context = _context(pair, side)
    names = context.names
    reach = permissions.Reach(
        queue=context.arn("sqs", names.of("queue")),
        dead_letter_queue=context.arn("sqs", names.of("dead-letters")),
        table=context.arn("dynamodb", f"table/{names.of('ledger')}"),
        bundle_objects=tuple(
            context.partition.arn("s3", f"{names.artifacts_bucket}/bundles/{a}.tar") for a in Architecture
        ),
        log_group=context.arn("logs", f"log-group:{names.of('worker-log')}"),
        keys=(context.arn("kms", "key/*"),) * 2 if pair.peer_identity is PeerIdentity.ROLE else (),
    )
    finder_reach = replace(reach, log_group=context.arn("logs", f"log-group:{names.of('finder-log')}"))
    cluster = context.arn("ecs", f"cluster/{context.local.finder.cluster or names.of('cluster')}")
    repository = context.arn("ecr", "repository/*")
    roles = [
        context.partition.arn("iam", f"role/{names.of(p)}", account=context.account_id)
        for p in ("finder-start", "finder-task")
    ]
    family = context.arn("ecs", f"task-definition/{names.of('finder')}:*")
    documents = (
        permissions.worker(context, reach, names.of("workers")),
        permissions.finder(context, finder_reach, cluster),
        permissions.execution(finder_reach, repository),
        permissions.schedule(family, cluster, roles, context.principal("ecs-tasks")),
        user_policy(context),
    )
    for found in documents:
        yield from (_by_alias(context, s) for s in found["Statement"] if s["Effect"] == "Allow")


def _by_alias(context: SideContext, statement: Statement) -> Statement:
    """Narrow a statement about a key whose id is not known yet to the key that has the pair's alias.

    The deploy role gives the alias to no other key: that takes a right on the key, which other keys' policies do not
    give it (KMS Developer Guide, "Use aliases to control access to KMS keys").
    """
    part = {"SignTokens": "token-key", "SignMessages": "message-key"}.get(statement["Sid"])
    if part is None:
        return statement
    aliases = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": f"alias/{context.names.of(part)}"}}
    return {**statement, "Condition": {**statement["Condition"], **aliases}}


def _context(pair: PairModel, side: SideName) -> SideContext:
    """Return the side with every option that needs rights of its own, so that the boundary stays the same."""

    def with_options(name: SideName) -> Any:
        model = pair.side(name)
        return replace(model, replicas=replace(model.replicas, include_tags=True, acl=model.replicas.acl or "private"))

    full = replace(pair, cn=with_options(SideName.CN), global_=with_options(SideName.GLOBAL))
    # Nothing is registered: the policies are plain functions of the model, and never use the provider.
    return SideContext(full, side, cast(Any, None))


def _many(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
