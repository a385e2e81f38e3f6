"""Provide a deployed pair in one account of a moto server, for the operator's commands."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from dualsync.runtime.aws.sqs import REASON_ATTRIBUTE
from dualsync.runtime.commands.app import app
from dualsync.runtime.commands.session import Session
from dualsync.runtime.model.records import Record
from dualsync.runtime.operations.aws.open import open_context
from dualsync.runtime.operations.stacks import PairLocation, find_pair
from dualsync.runtime.settings import SideName
from tests.support.moto_server import REGION, Server
from tests.support.operator_harness import Answer, settings

ACCOUNT = "123456789012"
"""The account of every moto server."""


class DeployedPair:
    """Both sides' buckets, queues, tables, users, secrets and logs, and the pair file that names them."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.s3 = server.client("s3")
        self.names = {side: server.make_bucket(versioned=True) for side in SideName}
        self.queues = {side: server.make_queue() for side in SideName}
        self.dead = {side: server.make_queue() for side in SideName}
        self.tables = {side: server.make_table() for side in SideName}
        self.users = {side: self._user(side) for side in SideName}
        document: dict[str, Any] = {"pair": "p"}
        for side in SideName:
            user_id, key_id = self.users[side.peer]
            secret = server.make_secret({"access_key_id": key_id, "secret_access_key": "hush", "user_id": user_id})
            values = settings(
                side,
                local_bucket=self.names[side],
                remote_bucket=self.names[side.peer],
                local_region=REGION,
                local_prefix="data/",
                queue_url=self.queues[side],
                dead_letter_queue_url=self.dead[side],
                ledger_table=self.tables[side],
                peer_secret=secret,
                own_user_ids=(self.users[side][0],),
            )
            document[str(side)] = {
                "accountId": ACCOUNT,
                "userId": self.users[side][0],
                "userName": f"{self.names[side]}-user",
                "workerGroup": "none-such",
                "workerLogGroup": self._logs(side),
                "environment": {**values.to_environment(), "AWS_ENDPOINT_URL": server.url},
            }
        self.file = folder / "pair.json"
        self.file.write_text(json.dumps(document))

    def _user(self, side: SideName) -> tuple[str, str]:
        iam = self.server.client("iam")
        name = f"{self.names[side]}-user"
        user_id = iam.create_user(UserName=name)["User"]["UserId"]
        return user_id, iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]

    def _logs(self, side: SideName) -> str:
        logs = self.server.client("logs")
        group = f"/logs/{self.names[side]}"
        logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName="i-1")
        line = {"event": "outcome", "key": 'odd "key"', "outcome": "copied", "time": "then"}
        logs.put_log_events(
            logGroupName=group,
            logStreamName="i-1",
            logEvents=[{"timestamp": int(time.time() * 1000), "message": json.dumps(line)}],
        )
        return group

    def put(self, side: SideName, key: str, body: bytes = b"hello", **more: Any) -> str:
        answer = self.s3.put_object(Bucket=self.names[side], Key=f"data/{key}", Body=body, **more)
        return str(answer["ETag"]).strip('"')

    def put_dead_letter(self, side: SideName, body: str, reason: str) -> None:
        attributes = {REASON_ATTRIBUTE: {"DataType": "String", "StringValue": reason}} if reason else {}
        self.server.client("sqs").send_message(QueueUrl=self.dead[side], MessageBody=body, MessageAttributes=attributes)

    def received(self, side: SideName) -> list[str]:
        answer = self.server.client("sqs").receive_message(QueueUrl=self.queues[side], MaxNumberOfMessages=10)
        return [item["Body"] for item in answer.get("Messages", ())]

    def call(self, *arguments: str) -> Answer:
        return Answer(
            CliRunner().invoke(app, ["--pair", str(self.file), *arguments], obj=Session(), prog_name="dualsync")
        )

    def record(self, side: SideName, record: Record) -> None:
        async def write() -> None:
            context = await open_context(find_pair(PairLocation(file=self.file)))
            await context.sides[side].ledger.record(record)

        asyncio.run(write())
