"""Events in S3's form."""

from __future__ import annotations

import json
import time
from urllib.parse import quote_plus

EVENT_USER = "AWS:AIDASOMEBODY"


def event(bucket: str, region: str, key: str, size: int, number: int) -> str:
    """Return an S3 message with one record of a user's PUT of `key`; the sequencer is made from `number`."""
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": region,
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": EVENT_USER},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "dualsync",
            "bucket": {
                "name": bucket,
                "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                "arn": f"arn:x:s3:::{bucket}",
            },
            "object": {"key": quote_plus(key, safe="/"), "size": size, "sequencer": f"0055AED6DC{number:08X}"},
        },
    }
    return json.dumps({"Records": [record]})
