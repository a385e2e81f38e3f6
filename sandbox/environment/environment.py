"""A local cloud emulator with both stacks deployed into it: the demo runs in it, `serve` leaves it running."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.cloud.handle import Cloud
from sandbox.environment import pair_file
from sandbox.environment.deploy import build_bundles, deploy
from sandbox.environment.processes import ROOT
from sandbox.environment.workers import Fleet
from sandbox.environment.workspace import Workspace

FOREIGN_ID = "another-teams-restores"
"""Id of a notification that the cn bucket has before deployment and must keep."""

ESTIMATED_RESOURCES = 93
"""Number of resources per stack, as the size of progress bars; a test compares it with a deployed stack."""


def bucket_names() -> dict[SideName, str]:
    """Return the buckets that the project's config names."""
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    return {side: declared[str(side)]["default"]["bucket"] for side in SideName}


@dataclass
class Stage:
    """A running sandbox. Its exit ends all processes and deletes the folder."""

    workspace: Workspace
    """Folder of the sandbox."""

    cloud: Cloud
    """The local cloud emulator."""

    fleet: Fleet
    """Workers and finders."""

    keep: bool = False
    """True to leave the folder at exit, as after an error."""

    buckets: dict[SideName, str] = field(default_factory=bucket_names)
    """The data bucket of each side."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Lock of the state that threads share."""

    @classmethod
    def open(cls, name: str, port: int = 0, settings: Mapping[str, str] | None = None) -> Stage:
        """Start an empty local cloud emulator. `settings` (variables) override those of the deployed runtime."""
        workspace = Workspace.new(name)
        cloud = Cloud.start(port, workspace.log("cloud"))
        workspace.write_profiles(cloud.endpoint)
        return cls(workspace, cloud, Fleet(cloud, workspace, {}, settings or {}))

    def s3(self, side: SideName) -> Any:
        """Return the S3 client of a user on this side, for many threads."""
        return self.cloud.client(side, "s3", connections=32)

    def make_buckets(self) -> None:
        """Create the two data buckets, which exist before deployment, one with another team's notification."""
        for side, bucket in self.buckets.items():
            region = {"LocationConstraint": ACCOUNTS[side].region}
            self.cloud.client(side, "s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=region)
        self._foreign_notification()

    def _foreign_notification(self) -> None:
        side, bucket = SideName.CN, self.buckets[SideName.CN]
        account, sqs = ACCOUNTS[side], self.cloud.client(side, "sqs")
        url = sqs.create_queue(QueueName="another-teams-queue")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": f"arn:{account.partition}:s3:::{bucket}"}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        entry = {"Id": FOREIGN_ID, "QueueArn": arn, "Events": ["s3:ObjectRestore:Completed"]}
        self.cloud.client(side, "s3").put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [entry]}
        )

    def foreign_notification_is_there(self) -> bool:
        """Return whether the other team's notification is unchanged."""
        got = self.cloud.client(SideName.CN, "s3").get_bucket_notification_configuration(
            Bucket=self.buckets[SideName.CN]
        )
        theirs = [e for e in got.get("QueueConfigurations", ()) if e["Id"] == FOREIGN_ID]
        return [e["Events"] for e in theirs] == [["s3:ObjectRestore:Completed"]]

    def build_bundles(self) -> None:
        """Pack the runtime into the bundles that both stacks upload."""
        build_bundles(self.workspace)

    def deploy(
        self,
        side: SideName,
        report: Callable[[int], None] = lambda count: None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """Deploy the stack of one side.

        Args:
            side: The stack.
            report: Called with the number of resources so far.
            config: Config keys that override the stack's.

        Raises:
            DeployError: The program or a resource handler refused.
        """
        numbers = itertools.count(1)
        outputs = deploy(
            str(side), self.workspace, self.cloud.endpoint, lambda kind, name: report(next(numbers)), dict(config or {})
        )
        self.cloud.publish(outputs[str(side)].get("issuer") or {})
        with self._lock:
            self.fleet.outputs = {**self.fleet.outputs, side: outputs[str(side)]}

    def deploy_both(self, report: Callable[[int], None] = lambda count: None) -> None:
        """Deploy both stacks at the same time; `report` is called with the number of resources of both so far.

        Raises `DeployError`, after the end of both.
        """
        numbers = itertools.count(1)
        # A deployment ends with the thread that started it, so the threads wait for their deployments.
        with ThreadPoolExecutor(len(SideName)) as pool:
            running = [pool.submit(self.deploy, side, lambda _: report(next(numbers))) for side in SideName]
        for one in running:
            one.result()

    def find_both(self, changes: Mapping[str, str]) -> None:
        """Run both finders at the same time. Raises `ProcessFailedError`, after the end of both."""
        with ThreadPoolExecutor(len(SideName)) as pool:
            running = [pool.submit(self.fleet.find, side, changes) for side in SideName]
        for one in running:
            one.result()

    def write_pair(self, file: Path | None = None) -> Path:
        """Write the pair file that the operator's commands read (`--pair`), and return its path."""
        return pair_file.write(file or self.workspace.folder / "pair.json", self.fleet.outputs, self.fleet.changes)

    def hide_for(self, seconds: int) -> None:
        """Set both queues' visibility timeout, after which a killed worker's messages are received again."""
        for side, outputs in self.fleet.outputs.items():
            self.cloud.client(side, "sqs").set_queue_attributes(
                QueueUrl=outputs["queueUrl"], Attributes={"VisibilityTimeout": str(seconds)}
            )

    def backlog(self, side: SideName) -> tuple[int, int]:
        """Return two counts of a side: messages waiting, delayed or in flight; dead letters."""
        outputs, sqs = self.fleet.outputs[side], self.cloud.client(side, "sqs")

        def depth(url: str) -> int:
            got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            return sum(int(v) for k, v in got.items() if k.startswith("ApproximateNumberOfMessages"))

        return depth(outputs["queueUrl"]), depth(outputs["deadLetterQueueUrl"])

    def close(self) -> None:
        """End all processes; delete the folder unless `keep` is set."""
        self.fleet.stop()
        self.cloud.stop()
        if not self.keep:
            self.workspace.remove()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.keep = self.keep or (error is not None and not isinstance(error, KeyboardInterrupt))
        self.close()
