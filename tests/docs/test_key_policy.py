"""Test the key policy that the configuration's page shows against the services' names in China."""

from __future__ import annotations

import json
import re
from typing import Any

from dualsync.components.config.partitions import partition_of
from tests.docs.pages import FOLDER


def shown() -> dict[str, Any]:
    """Return the policy under the heading about a key of one's own."""
    text = (FOLDER / "configuration.md").read_text()
    section = re.search(r"^### A KMS key of your own\n(.*?)^### ", text, re.DOTALL | re.MULTILINE)
    assert section is not None
    block = re.search(r"^```json\n(.*?)^```", section[1], re.DOTALL | re.MULTILINE)
    assert block is not None
    found: dict[str, Any] = json.loads(block[1])
    return found


def test_the_shown_key_policy_names_the_services_that_use_the_key_by_themselves() -> None:
    partition = partition_of("cn-north-1")
    assert partition is not None
    principals = [statement["Principal"] for statement in shown()["Statement"]]
    assert [next(iter(p.values())) for p in principals] == [
        "arn:aws-cn:iam::111122223333:root",
        *(partition.principal(service, "cn-north-1") for service in ("s3", "cloudwatch", "logs")),
    ]
