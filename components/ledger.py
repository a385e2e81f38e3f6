"""Create the side's ledger: the table of versions that both sides held. Its loss costs the proof of every deletion."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from dualsync.components.context import SideContext

RECORDS_INDEX = "records"
"""Sparse index over conflicts, held deletions and other records, oldest first."""


class Ledger(pulumi.ComponentResource):
    """DynamoDB table with key `ObjectKey`, protected against deletion while the pair is protected."""

    name: pulumi.Output[str]
    """Name of the table."""
    arn: pulumi.Output[str]
    """ARN of the table."""

    def __init__(self, context: SideContext, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dualsync:index:Ledger", context.names.of("ledger"), None, opts)
        key = context.kms_key_arn
        table = aws.dynamodb.Table(
            context.names.of("ledger"),
            name=context.names.of("ledger"),
            billing_mode="PAY_PER_REQUEST",
            hash_key="ObjectKey",
            attributes=[
                {"name": "ObjectKey", "type": "S"},
                {"name": "RecordKind", "type": "S"},
                {"name": "RecordTime", "type": "N"},
            ],
            global_secondary_indexes=[
                {
                    "name": RECORDS_INDEX,
                    "key_schemas": [
                        {"attribute_name": "RecordKind", "key_type": "HASH"},
                        {"attribute_name": "RecordTime", "key_type": "RANGE"},
                    ],
                    "projection_type": "ALL",
                }
            ],
            ttl={"attribute_name": "ExpiresAt", "enabled": True},
            point_in_time_recovery={"enabled": True},
            server_side_encryption=aws.dynamodb.TableServerSideEncryptionArgs(enabled=True, kms_key_arn=key or None),
            deletion_protection_enabled=context.pair.protect,
            tags=context.tags("ledger"),
            opts=context.options(self, protect=context.pair.protect),
        )
        self.name, self.arn = table.name, table.arn
        self.register_outputs({"name": self.name, "arn": self.arn})
