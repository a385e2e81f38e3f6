"""ministack in a process of its own, run by an interpreter that has it: `python -P ministack_process.py`.

Two things are added. Its S3 events name the caller, who is `EXAMPLE` otherwise ("Event message structure", Amazon S3
User Guide: `userIdentity.principalId`). The clock of its queues is put forward by the number of seconds in the file
that `QUEUE_CLOCK` names, so that tests need not wait. Everything else is ministack's own: signatures, policies,
conditions, checksums.
"""

from __future__ import annotations

import os
import time
import types
from pathlib import Path
from typing import Any

from ministack.app import main
from ministack.core import iam_evaluator
from ministack.services import s3, sqs

OFFSET = Path(os.environ["QUEUE_CLOCK"])

_deliver = s3._deliver_event_to_sqs


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


s3._deliver_event_to_sqs = _with_caller
sqs.time = types.SimpleNamespace(time=_now)

if __name__ == "__main__":
    main()
