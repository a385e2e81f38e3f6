"""Write the documentation's examples from a running sandbox: what each command prints, and pictures of terminals.

python -m tools.docs.captures commands    docs/examples/*.txt and docs/images/status.svg
python -m tools.docs.captures demo        docs/images/demo.svg

The commands run in a pair that has a conflict, held deletions, and dead letters.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dualsync.runtime.settings import SideName
from sandbox.demo import demo
from sandbox.demo.comparison import wait_for
from sandbox.environment.environment import Stage
from tools.docs import terminal

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
IMAGES = ROOT / "docs" / "images"

SETTINGS = {
    "DUALSYNC_RETRY_DELAY_SECONDS": "2",
    "DUALSYNC_VISIBILITY_SECONDS": "10",
    "DUALSYNC_FINDER_GRACE_SECONDS": "0",
    "DUALSYNC_KEEP_LOSER": "true",
}
"""Settings of the runtime (variables): shorter delays than the deployed ones, and the losers of conflicts are kept."""

WAIT_SECONDS = 90
"""Deadline of each step, in seconds."""

CN, GLOBAL = SideName.CN, SideName.GLOBAL


class CaptureError(Exception):
    """A command ended with an unexpected exit code; the text holds its output."""


class Story:
    """A pair in a sandbox, its users, and the operator whose commands are recorded."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.pair = stage.write_pair()
        self.failures: list[str] = []

    def put(self, side: SideName, keys: Sequence[str], **more: Any) -> None:
        """Write objects as a user of that side."""
        s3, bucket = self.stage.s3(side), self.stage.buckets[side]
        for key in keys:
            s3.put_object(Bucket=bucket, Key=key, Body=f"{side} {key}".encode(), **more)

    def delete(self, side: SideName, keys: Sequence[str], event: bool = True) -> None:
        """Delete objects as a user of that side; without `event`, S3 sends no event, as if it was lost."""
        s3, bucket = self.stage.s3(side), self.stage.buckets[side]
        kept = s3.get_bucket_notification_configuration(Bucket=bucket)
        kept.pop("ResponseMetadata")
        if not event:
            s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
        if not event:
            s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=kept)

    @contextmanager
    def stopped_workers(self) -> Iterator[None]:
        """Stop both workers during the block."""
        running = self.stage.fleet.workers.values()
        try:
            for one in running:
                os.kill(one.process.pid, signal.SIGSTOP)
            yield
        finally:
            for one in running:
                os.kill(one.process.pid, signal.SIGCONT)

    def settle(self) -> None:
        """Wait until both queues are empty. Raises `CaptureError`."""
        if not wait_for(lambda: not any(self.stage.backlog(side)[0] for side in SideName), WAIT_SECONDS, 0.5):
            raise CaptureError(f"the queues are not empty after {WAIT_SECONDS} s")

    def show(self, line: str, *codes: int, file: str = "", **values: str) -> terminal.Shown:
        """Run `dualsync LINE`, with `values` in place of the words that they name, and record what it prints.

        A command that ends otherwise than expected is not recorded. `record_commands` raises `CaptureError` at its end.
        """
        try:
            shown = self.run([values.get(word, word) for word in line.split()], *codes)
        except CaptureError as e:
            self.failures.append(str(e))
            return terminal.Shown(1, "", "")
        name = file or "-".join(
            word for word in line.split() if word.isalpha() and word.islower() and word not in values
        )
        text = shown.text()
        for word, value in values.items():
            text = text.replace(value, word)
        EXAMPLES.mkdir(exist_ok=True)
        (EXAMPLES / f"{name}.txt").write_text(f"$ dualsync {line}\n{text}", encoding="utf-8")
        return shown

    def run(self, arguments: Sequence[str], *codes: int) -> terminal.Shown:
        """Run an operator's command. Raises `CaptureError` if its exit code is none of `codes` (0 if none is given)."""
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "DUALSYNC", "PULUMI_"))}
        environment = {**keep, **self.stage.workspace.environment, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "dualsync.runtime", "--pair", str(self.pair), *arguments]
        shown = terminal.run(command, environment)
        if shown.code not in (codes or (0,)):
            raise CaptureError(f"{' '.join(arguments)}: exit code {shown.code}\n{shown.text()}{shown.errors}")
        return shown

    def answer(self, *arguments: str) -> Any:
        """Run an operator's command and return its JSON document."""
        return json.loads(self.run([*arguments, "--json"], 0, 3).text())


def play(story: Story) -> None:
    """Bring the pair into every state that an operator sees, and record each command."""
    stage = story.stage
    reports = [f"reports/2026/{number:03}.csv" for number in range(1, 61)]
    story.put(CN, reports)
    story.put(GLOBAL, [f"images/{number:03}.png" for number in range(1, 21)])
    stage.find_both({})
    story.settle()
    story.show("version")
    story.show("status", file="status-healthy")
    story.show("verify")
    story.show("plan")
    story.show("explain reports/2026/001.csv", file="explain")
    story.show("smoke", file="smoke")
    story.show("stacks")
    story.show("pause cn --reason maintenance --yes", file="pause")
    story.show("resume cn", file="resume")
    story.show("limit cn --bytes 20M --yes", file="limit")
    story.run(["limit", "cn", "--bytes", "0", "--yes"])
    story.show("drain --yes", file="drain")
    story.show("reconcile --yes", 0, 3, file="reconcile")
    stage.find_both({})
    story.show("rotate-key cn --yes", 0, 3, file="rotate-key")
    story.delete(GLOBAL, reports[:3])
    story.settle()
    story.show("deletions restore --since 1h --dry-run", file="deletions-restore")
    with story.stopped_workers():
        story.put(CN, ["plans/roadmap.txt"])
        story.put(GLOBAL, ["plans/roadmap.txt"])
    story.settle()
    story.put(CN, ["archive/2019.tar", "archive/2020.tar"], StorageClass="GLACIER")
    if not wait_for(lambda: stage.backlog(CN)[1] == 2, WAIT_SECONDS, 0.5):
        raise CaptureError("no dead letters")
    story.delete(CN, reports[10:40], event=False)
    stage.find_both({})
    story.settle()
    (conflict, *_) = story.answer("conflicts", "list")["conflicts"]
    story.show("conflicts list", 3)
    story.show("conflicts show ID", 0, 3, file="conflicts-show", ID=conflict["id"])
    story.show("conflicts undo ID --dry-run", 0, 3, file="conflicts-undo", ID=conflict["id"])
    story.show("conflicts resolve ID --dry-run", 0, 3, file="conflicts-resolve", ID=conflict["id"])
    story.show("deletions list", 3)
    story.show("deletions approve --dry-run", 0, 3, file="deletions-approve")
    story.show("deletions reject --dry-run", 0, 3, file="deletions-reject")
    story.show("dlq list", 3)
    story.show("dlq redrive --reason archived --dry-run", 0, 3, file="dlq-redrive")
    story.show("dlq drop --reason archived --dry-run", 0, 3, file="dlq-drop")
    story.show("pending --limit 8", 3, file="pending")
    story.show("audit")
    seen = story.show("status", 3)
    picture = terminal.picture(seen.output, "dualsync status", "status")
    IMAGES.joinpath("status.svg").write_text(picture, encoding="utf-8")


def record_commands() -> None:
    """Run all commands in a sandbox. Raises `CaptureError` and the errors of the sandbox."""
    with Stage.open("captures", settings=SETTINGS) as stage:
        stage.make_buckets()
        for side, bucket in stage.buckets.items():
            stage.s3(side).put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        stage.build_bundles()
        stage.deploy_both()
        stage.hide_for(int(SETTINGS["DUALSYNC_VISIBILITY_SECONDS"]))
        for side in SideName:
            stage.fleet.start(side)
        stage.fleet.wait_until_running()
        story = Story(stage)
        play(story)
        if story.failures:
            raise CaptureError("\n".join(story.failures))


def record_demo() -> None:
    """Run the demo and write its picture. Raises `CaptureError`."""
    console = terminal.recorder()
    if demo.run(demo.Demo.objects, kill_worker=False, console=console):
        raise CaptureError(f"the demo failed:\n{console.export_text()}")
    IMAGES.joinpath("demo.svg").write_text(terminal.drawn(console, "make demo", "demo"), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Write one kind of examples and return the exit code: 0 after success, 1 if a command ended unexpectedly."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs.captures", description="Record examples in a sandbox.")
    parser.add_argument("what", choices=("commands", "demo"))
    try:
        if parser.parse_args(arguments).what == "commands":
            record_commands()
        else:
            record_demo()
    except CaptureError as e:
        sys.stderr.write(f"{e}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
