"""Denials that hold whatever other policies allow: who may send to the queues, and how the dedicated user signs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from policy.documents import Statement, allowed, denied
from policy.ownership import Owned
from policy.plan import UNKNOWN, Plan, Resource, structured
from policy.rule import Finding, Options, Rule
from policy.rules.wiring.settings import PRIVATE_ACLS

_VALUE = frozenset(f"secretsmanager:{name}" for name in ("getsecretvalue", "putsecretvalue", "updatesecret"))
"""Actions that read or write the value of a secret (Secrets Manager API Reference)."""
_SENDING = frozenset({"sqs:sendmessage", "sqs:*", "*"})
_NEGATED = frozenset({"arnnotlike", "arnnotequals", "stringnotequals", "stringnotlike"})


def senders_denied(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield queues whose policy does not deny SendMessage to all but named roles and sources.

    SQS moves dead letters by itself, past the policy. So a queue must refuse those of other queues, which their owners
    choose. It is not known whether SQS takes that attribute in China.
    """
    for queue in plan.of("sqs.Queue"):
        china = Owned(plan, queue.account).partition == "aws-cn"
        if not china and queue.is_known("redriveAllowPolicy") and not _refuses_letters(queue):
            yield Finding(queue, f"{queue.name} takes the dead letters of any queue (redriveAllowPolicy)")
    policies = list(plan.of("sqs.QueuePolicy"))
    named = [queue for policy in policies for queue in _queues(plan, policy)]
    # A queue's policy may also be a property of the queue. Without any policy no sender is denied.
    for policy in (*policies, *(queue for queue in plan.of("sqs.Queue") if queue not in named)):
        if policy.get("policy") is UNKNOWN and (policy.kind != "sqs.Queue" or policy.depends.get("policy")):
            continue
        denials = [s for s in denied(policy) if _about_sending(plan, policy, s)]
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
    # A role acts through sessions only, which expire.
    if not of_role and not any(_denies(s, "*", "aws:TokenIssueTime") for s in found):
        yield Finding(resource, f"{resource.name} lets a holder of the key make sessions that outlive it")
    if not any(_denies(s, "s3:putobject", "s3:x-amz-server-side-encryption-customer-algorithm") for s in found):
        yield Finding(resource, f"{resource.name} lets a holder of the key encrypt objects with a key of their own")
    for statement in allowed(resource):
        if any(a.lower() == "s3:putobjectacl" for a in statement.actions):
            acls = statement.bound("s3:x-amz-acl")
            if not acls or not set(acls) <= {*PRIVATE_ACLS} - {""}:
                yield Finding(resource, f"{resource.name}: statement {statement.sid} allows any ACL")


def _about_sending(plan: Plan, policy: Resource, statement: Statement) -> bool:
    """Return whether a denial is about sending to this queue, for all but named principals and sources."""
    return (
        _exempts_only(statement, "aws:principalarn", "aws:sourcearn")
        and bool(_SENDING & {a.lower() for a in statement.actions})
        and _covers_queue(plan, policy, statement)
    )


def _exempts_only(statement: Statement, *keys: str) -> bool:
    """Return whether a denial is for all principals but those that its conditions name by these keys.

    A further condition would exempt each principal that does not meet it, those of the own account for example.
    """
    return (
        bool({*statement.principals} & {("*", "*"), ("AWS", "*")})
        and not statement.negated
        and {operator.lower() for operator, block in statement.conditions.items() if block} <= _NEGATED
        and {key.lower() for block in statement.conditions.values() for key in block} == {*keys}
    )


def _refuses_letters(queue: Resource) -> bool:
    """Return whether no queue, or only named ones, may name this one as its dead-letter queue."""
    allowed = structured(queue.get("redriveAllowPolicy"))
    permission = allowed.get("redrivePermission") if isinstance(allowed, Mapping) else None
    return permission in ("denyAll", "byQueue")


def _covers_queue(plan: Plan, policy: Resource, statement: Statement) -> bool:
    """Return whether the statement's resources include the queue, as far as its ARN is known."""
    owned = Owned(plan, policy.account)
    names = [q.get("name") for q in _queues(plan, policy) if isinstance(q.get("name"), str)]
    return "*" in statement.resources or all(owned.arn("sqs", name) in statement.resources for name in names)


def _queues(plan: Plan, policy: Resource) -> list[Resource]:
    """Return the queues of a policy; a queue's own property is about itself."""
    if policy.kind == "sqs.Queue":
        return [policy]
    return plan.behind(policy, "queueUrl", "sqs.Queue") or [
        q for q in plan.of("sqs.Queue") if policy.get("queueUrl") in (q.get("url"), q.get("id"))
    ]


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
    keys = {
        (operator.lower(), name.lower()): ",".join(statement.condition(operator, name)).lower()
        for operator, block in statement.conditions.items()
        for name in block
    }
    return (
        action in {a.lower() for a in statement.actions}
        and "*" in statement.resources
        and not statement.negated
        and keys.pop(("null", key.lower()), "") == "false"
        and keys in ({}, {("boolifexists", "aws:viaawsservice"): "false"})
    )


def secret_confined(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield policies of secrets that leave the value to others than named roles and users of the own account."""
    for policy in plan.of("secretsmanager.SecretPolicy"):
        if policy.get("policy") is UNKNOWN:
            continue
        denials = [s for s in denied(policy) if _about_value(s)]
        if not denials:
            yield Finding(policy, f"{policy.name} leaves the secret's value to everybody that IAM allows it")
        owned = Owned(plan, policy.account)
        for statement in denials:
            own = owned.arn("iam", "", anywhere=True)
            names = {a: a.removeprefix(own).rpartition("/")[2] for a in _exempt(statement)}
            wide = [a for a, name in names.items() if not a.startswith(own) or not name.strip("*?")]
            if wide:
                yield Finding(policy, f"{policy.name}: statement {statement.sid} exempts {', '.join(wide)}")


def _about_value(statement: Statement) -> bool:
    """Return whether a denial is about the secret's value, for all but named principals."""
    return (
        _exempts_only(statement, "aws:principalarn")
        and {a.lower() for a in statement.actions} >= _VALUE
        and "*" in statement.resources
    )


RULES = (
    Rule(
        name="secret-confined",
        what="A policy of the hand-over's secret denies its value to all but named roles and users.",
        why="The value is the key with which the peer's bucket is written. Account-wide rights to read or replace"
        " secrets would include it.",
        remedy="Keep the denial of components/handover.py; name the deployers of the own account (deployers).",
        all=secret_confined,
    ),
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
