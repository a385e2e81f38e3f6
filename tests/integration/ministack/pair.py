"""A pair in two accounts of one ministack: the program's own resources and policies, the runtime's own processes.

Deviations of ministack from AWS, each with the page that decides:

- It has the partition `aws` only, so the side `cn` is in a region of it ("Amazon Resource Names (ARNs)", IAM User
  Guide). The documents for China are held against AWS's schemas by the unit tests.
- It starts no instances and tasks. Only the account's root may assume a role there that a service is trusted with, so
  root hands out the sessions that EC2 and ECS would ("Using an IAM role to grant permissions to applications running on
  Amazon EC2 instances", IAM User Guide).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest

from dualsync.runtime.aws.boto3_bridge import client_config
from dualsync.runtime.aws.credentials import Credential
from dualsync.runtime.log import Outcome
from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.cloud.handle import Cloud
from sandbox.environment.deployed import Job, boot_environment
from sandbox.environment.workers import Fleet
from sandbox.environment.workspace import Workspace
from tests.integration.ministack.program import deploy_stack
from tests.support.ministack_server import EVERYTHING, Ministack
from tests.unit.components.recorder import Deployment

REGIONS = {SideName.CN: "eu-central-1", SideName.GLOBAL: "us-west-2"}
BUCKETS = {side: f"dth-dual-dev-{region}" for side, region in REGIONS.items()}
PREFIX = "shared/"
"""Prefix of both sides, so that their policies name less than a bucket."""
SETTINGS = {
    "DUALSYNC_RETRY_DELAY_SECONDS": "1",
    "DUALSYNC_MULTIPART_THRESHOLD": str(5 << 20),
    "DUALSYNC_PART_SIZE": str(5 << 20),
    "DUALSYNC_FINDER_GRACE_SECONDS": "0",
}
"""Settings of the runtime that differ from the deployed ones: shorter delays, smaller parts."""


class Accounts:
    """Clients in both accounts. The operator of an account is an IAM user, whose key owns the data."""

    def __init__(self, server: Ministack) -> None:
        self._server = server
        self._session: Any = boto3.Session()
        self._clients: dict[tuple[SideName, str, Credential], Any] = {}
        self._operators = {
            side: server.make_user(account.account_id, "operator", EVERYTHING)[1] for side, account in ACCOUNTS.items()
        }

    def client(self, side: SideName, service: str, key: Credential | None = None) -> Any:
        """Return a client in a side's region with a key, by default the operator's."""
        key = key or self.operator(side)
        known = (side, service, key)
        if known not in self._clients:
            # One session, so that a service's model is read once for all keys.
            self._clients[known] = self._session.client(
                service,
                REGIONS[side],
                endpoint_url=self._server.url,
                config=client_config(16, "path"),
                aws_access_key_id=key.access_key_id,
                aws_secret_access_key=key.secret_access_key,
                aws_session_token=key.token or None,
            )
        return self._clients[known]

    def operator(self, side: SideName) -> Credential:
        """Return the key of an account's operator, who may do everything there."""
        return self._operators[side]

    def role_session(self, side: SideName, role_arn: str, name: str) -> Credential:
        """Return a session of a role, as EC2 and ECS hand it out."""
        root = Credential(ACCOUNTS[side].account_id, "test")
        given = self.client(side, "sts", root).assume_role(RoleArn=role_arn, RoleSessionName=name)["Credentials"]
        return Credential(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])

    def profiles(self) -> str:
        """Return the AWS SDK's configuration with a profile for each operator."""
        lines = []
        for side, key in self._operators.items():
            lines += [
                f"[profile {ACCOUNTS[side].profile}]",
                f"region = {REGIONS[side]}",
                f"aws_access_key_id = {key.access_key_id}",
                f"aws_secret_access_key = {key.secret_access_key}",
            ]
        return "\n".join([*lines, ""])


class Processes(Fleet):
    """Workers and finders with the environment, and a session of the role, that the program gives them."""

    def __init__(
        self, accounts: Accounts, workspace: Workspace, stacks: Mapping[SideName, Deployment], server: Ministack
    ) -> None:
        super().__init__(Cloud(server.url), workspace, {}, SETTINGS | {"AWS_CA_BUNDLE": server.authority})
        self._accounts = accounts
        self._stacks = stacks

    def worker_job(self, side: SideName, instance: str) -> Job:
        """Read the worker from the launch template."""
        template = self._stacks[side].one("aws:ec2/launchTemplate:LaunchTemplate").inputs
        name = template["iamInstanceProfile"]["arn"].rpartition("/")[2]
        profile = self._accounts.client(side, "iam").get_instance_profile(InstanceProfileName=name)
        role = profile["InstanceProfile"]["Roles"][0]["Arn"]
        return self._job(side, boot_environment(base64.b64decode(template["userData"]).decode()), role, instance)

    def finder_job(self, side: SideName) -> Job:
        """Read the finder from the task definition."""
        task = self._stacks[side].one("aws:ecs/taskDefinition:TaskDefinition").inputs
        (container,) = json.loads(task["containerDefinitions"])
        environment = {entry["name"]: entry["value"] for entry in container["environment"]}
        # The container's folder for the bundle does not exist on this machine.
        environment.pop("TMPDIR")
        return self._job(side, environment, task["taskRoleArn"], "finder")

    def _job(self, side: SideName, environment: Mapping[str, str], role: str, session: str) -> Job:
        key = self._accounts.role_session(side, role, session)
        credentials = {
            "AWS_ACCESS_KEY_ID": key.access_key_id,
            "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
            "AWS_SESSION_TOKEN": key.token,
        }
        return Job(side, environment, role, credentials)


class Pair:
    """Both stacks deployed, with a worker on each side until `close`."""

    def __init__(self, server: Ministack, bundles: Path) -> None:
        self._ending = ExitStack()
        try:
            self._begin(server, bundles)
        except BaseException:
            self.close()
            raise

    def _begin(self, server: Ministack, bundles: Path) -> None:
        self.accounts = Accounts(server)
        workspace = Workspace.new("ministack")
        self._ending.callback(workspace.remove)
        workspace.config_file.write_text(self.accounts.profiles())
        for side, bucket in BUCKETS.items():
            self.s3(side).create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGIONS[side]})
        with pytest.MonkeyPatch.context() as patch:
            for name, value in workspace.environment.items():
                patch.setenv(name, value)
            changes = self._config(server.url)
            self.stacks = {side: deploy_stack(str(side), bundles, changes) for side in SideName}
        self.outputs = {side: self.stacks[side].outputs[str(side)] for side in SideName}
        self.processes = Processes(self.accounts, workspace, self.stacks, server)
        self._ending.callback(self.processes.stop)
        for side in SideName:
            self.processes.start(side)
        self.processes.wait_until_running()

    @staticmethod
    def _config(endpoint: str) -> dict[str, Any]:
        sides = {
            str(side): {
                "accountId": account.account_id,
                "region": REGIONS[side],
                "bucket": BUCKETS[side],
                "prefix": PREFIX,
                "profile": account.profile,
                "endpoint": endpoint,
            }
            for side, account in ACCOUNTS.items()
        }
        return {**sides, "finderImage": None, "keepLoser": False}

    def s3(self, side: SideName) -> Any:
        """Return the S3 client of a user on this side."""
        return self.accounts.client(side, "s3")

    def read(self, side: SideName, key: str) -> bytes | None:
        """Return the content of a key below the prefix; None if there is no object."""
        s3 = self.s3(side)
        try:
            return bytes(s3.get_object(Bucket=BUCKETS[side], Key=PREFIX + key)["Body"].read())
        except s3.exceptions.NoSuchKey:
            return None

    def worker_key(self, side: SideName) -> Credential:
        """Return a key of the worker's role."""
        return _key_in(self.processes.worker_job(side, "i-permissions").credentials)

    def finder_key(self, side: SideName) -> Credential:
        """Return a key of the finder's role."""
        return _key_in(self.processes.finder_job(side).credentials)

    def secret_name(self, side: SideName) -> str:
        """Return the name of the secret, in the peer's account, with the key of a side's dedicated user."""
        return str(self.stacks[side].one("aws:secretsmanager/secret:Secret").inputs["name"])

    def user_key(self, side: SideName) -> Credential:
        """Return the key of a side's dedicated user, as the peer's account has it."""
        secrets = self.accounts.client(side.peer, "secretsmanager")
        given = json.loads(secrets.get_secret_value(SecretId=self.secret_name(side))["SecretString"])
        return Credential(given["access_key_id"], given["secret_access_key"])

    def outcomes(self, *kinds: Outcome) -> list[dict[str, Any]]:
        """Return the outcome lines of both workers."""
        self.processes.check()
        return self.processes.journal.outcomes(*kinds)

    def messages(self, side: SideName, queue: str) -> int:
        """Return the number of messages in `queueUrl` or `deadLetterQueueUrl`, waiting or not."""
        sqs = self.accounts.client(side, "sqs")
        found = sqs.get_queue_attributes(QueueUrl=self.outputs[side][queue], AttributeNames=["All"])["Attributes"]
        return sum(int(value) for name, value in found.items() if name.startswith("ApproximateNumberOfMessages"))

    def close(self) -> None:
        """Stop the processes and delete their logs."""
        self._ending.close()


def _key_in(variables: Mapping[str, str]) -> Credential:
    return Credential(*(variables[f"AWS_{part}"] for part in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")))
