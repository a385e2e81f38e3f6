"""Denials that hold whatever other policies allow: who may send to the queues, and how the dedicated user signs."""

from __future__ import annotations

from collections.abc import Iterator

from policy.documents import Statement, allowed, denied
from policy.ownership import Owned
from policy.plan import UNKNOWN, Plan, Resource
from policy.rule import Finding, Options, Rule
from policy.rules.wiring.settings import PRIVATE_ACLS

_SENDING = frozenset({"sqs:sendmessage", "sqs:*", "*"})
_NEGATED = frozenset({"arnnotlike", "arnnotequals", "stringnotequals", "stringnotlike"})


def senders_denied(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield queues whose policy does not deny SendMessage to all but named roles and sources."""
    for policy in plan.of("sqs.QueuePolicy"):
        if policy.get("policy") is UNKNOWN:
            continue
        denials = [s for s in denied(policy) if _about_sending(s)]
        if not denials:
            yield Finding(policy, f"{policy.name} leaves SendMessage to everybody that IAM allows it")
        for statement in denials:
            wide = [a for a in _exempt(statement) if not _names_one(plan, policy, a)]
            if wide:
                yield Finding(policy, f"{policy.name}: statement {statement.sid} exempts {', '.join(wide)}")


def user_confined(resource: Resource, _: Options) -> Iterator[Finding]:
    """Yield policies of the dedicated user without its denials, or with an ACL of the caller's choice."""
    if resource.kind in ("iam.Policy", "iam.UserPolicy") and resource.get("policy") is not UNKNOWN:
        yield from unconfined(resource, of_role=False)


def unconfined(resource: Resource, *, of_role: bool) -> Iterator[Finding]:
    """Yield what the policy of a user, or of the role in its place, does not deny."""
    found = list(denied(resource))
    # A role has nothing but sessions; they end by themselves.
    if not of_role and not any(_denies(s, "*", "aws:TokenIssueTime") for s in found):
        yield Finding(resource, f"{resource.name} lets a holder of the key make sessions that outlive it")
    if not any(_denies(s, "s3:putobject", "s3:x-amz-server-side-encryption-customer-algorithm") for s in found):
        yield Finding(resource, f"{resource.name} lets a holder of the key encrypt objects with a key of their own")
    for statement in allowed(resource):
        if any(a.lower() == "s3:putobjectacl" for a in statement.actions):
            acls = statement.bound("s3:x-amz-acl")
            if not acls or not set(acls) <= {*PRIVATE_ACLS} - {""}:
                yield Finding(resource, f"{resource.name}: statement {statement.sid} allows any ACL")


def _about_sending(statement: Statement) -> bool:
    """Return whether a denial is about sending, for everybody, with negated conditions alone."""
    operators = {operator.lower() for operator, block in statement.conditions.items() if block}
    return (
        bool({*statement.principals} & {("*", "*"), ("AWS", "*")})
        and bool(_SENDING & {a.lower() for a in statement.actions})
        and bool(operators)
        and operators <= _NEGATED
    )


def _exempt(statement: Statement) -> list[str]:
    return [
        arn
        for operator in _NEGATED
        for key in ("aws:PrincipalArn", "aws:SourceArn")
        for arn in statement.condition(operator, key)
    ]


def _names_one(plan: Plan, policy: Resource, arn: str) -> bool:
    """Return whether an exempt ARN is a role or user of the own account, or a source of this side."""
    owned = Owned(plan, policy.account)
    parts = arn.split(":", 5)
    if "*" in arn or "?" in arn or len(parts) < 6:
        return False
    if parts[2] == "iam":
        return parts[4] == owned.account_id
    topics = {s.get("topic") for s in plan.of("sns.TopicSubscription") if s.get("protocol") == "sqs"}
    return owned.covers(arn) or arn in topics or UNKNOWN in topics


def _denies(statement: Statement, action: str, key: str) -> bool:
    """Return whether a statement denies an action on everything whenever the request has a key."""
    return (
        action in {a.lower() for a in statement.actions}
        and "*" in statement.resources
        and statement.condition("Null", key) == ("false",)
        and {o.lower() for o in statement.conditions} <= {"null", "boolifexists"}
    )


RULES = (
    Rule(
        name="senders-denied",
        what="The queues deny SendMessage to all but the bucket (or topic), the side's roles and named operators.",
        why="Account-wide rights to send, as AWS's managed policies give, would let any of their holders have keys"
        " checked and dead letters invented.",
        remedy="Keep the denials of components/queue.py; name operators by their role's ARN (operatorRoles), without"
        " wildcards.",
        all=senders_denied,
    ),
    Rule(
        name="user-confined",
        what="The dedicated user signs with its key alone, with no customer-provided encryption key, and with the"
        " configured ACL.",
        why="Sessions made from a stolen key last up to 36 hours after the key is deleted. With a key of their own a"
        " thief can make objects unreadable, and with another ACL public.",
        remedy="Keep the denials of components/identity.py, and the condition on s3:x-amz-acl.",
        each=user_confined,
    ),
)
