"""Run ministack in a separate process, with an interpreter that has it: `python -P ministack_process.py`.

It is corrected where AWS's documentation differs:

- Its S3 events name the caller instead of `EXAMPLE` ("Event message structure", Amazon S3 User Guide:
  `userIdentity.principalId`).
- A role's session has the role's ARN as `aws:PrincipalArn`, not the session's ("AWS global condition context keys", IAM
  User Guide).
- An account's root may assume the roles of services, with `aws:SourceAccount`, as ECS does ("Amazon ECS task IAM role",
  ECS Developer Guide).
- A permission for an action of SQS covers its batch form ("Amazon SQS API permissions: Actions and resource reference",
  SQS Developer Guide; AddPermission, SQS API Reference).

The clock of its queues is ahead by the number of seconds in the file that `QUEUE_CLOCK` names, so that tests do not
wait. Signatures, policies, conditions and checksums are ministack's own.
"""

from __future__ import annotations

import os
import re
import time
import types
from pathlib import Path
from typing import Any

from ministack.app import main
from ministack.core import iam_actions, iam_evaluator
from ministack.services import s3, sqs

OFFSET = Path(os.environ["QUEUE_CLOCK"])

_ROLE_SESSION = re.compile(r"arn:([^:]+):sts::(\d{12}):assumed-role/([^/]+)/.*")

_deliver = s3._deliver_event_to_sqs
_resolve = iam_evaluator._resolve_condition_key
_action = iam_actions.extract_iam_action


def _with_caller(arn: str, payload: dict[str, Any], region: str, bucket_name: str = "") -> Any:
    key = iam_evaluator._verified_key.get()
    who = getattr(iam_evaluator.resolve_credential(key), "principal_id", "") if key else ""
    if who and payload.get("Records"):
        payload["Records"][0]["userIdentity"] = {"principalId": f"AWS:{who}"}
    return _deliver(arn, payload, region, bucket_name=bucket_name)


def _now() -> float:
    try:
        return time.time() + float(OFFSET.read_text())
    except (OSError, ValueError):
        return time.time()


def _as_documented(key: str, context: Any) -> Any:
    value = _resolve(key, context)
    match key.lower():
        case "aws:principalarn" if session := _ROLE_SESSION.fullmatch(value):
            return f"arn:{session[1]}:iam::{session[2]}:role/{session[3]}"
        case "aws:sourceaccount" if context.action == "sts:AssumeRole" and context.principal_type == "Root":
            return context.principal_account
    return value


def _without_batch(service: str, *arguments: Any, **named: Any) -> Any:
    action = _action(service, *arguments, **named)
    return action.removesuffix("Batch") if service == "sqs" and action else action


s3._deliver_event_to_sqs = _with_caller
iam_actions.extract_iam_action = _without_batch
iam_evaluator._resolve_condition_key = _as_documented
sqs.time = types.SimpleNamespace(time=_now)

if __name__ == "__main__":
    main()
