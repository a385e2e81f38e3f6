"""Other programs that copy objects, run over the same objects and servers.

A peer that is not installed is reported as missing.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.harness import tools
from bench.harness.process import Finished, run, running
from bench.harness.stage import REGION, SIZE, SOURCE, TABLE, TARGET, Measured, Stage
from bench.harness.stub import KEY, SECRET

RCLONE, BOTO3, DTHCLI = "rclone copy, 64 transfers", "boto3, 32 threads", "dthcli worker"
DTHCLI_WORKERS, DTHCLI_DEFAULT = 64, 4
"""Parallel transfers: for small objects as many as rclone has; for a large one its default, with parts in memory."""

failed: dict[str, str] = {}
"""Peers that failed, with their last output line."""


def missing(name: str) -> str:
    """Explain in a note why a peer has no figure."""
    why = "missing on this machine" if tools.peers_wanted else "not wanted in this run"
    return f"{name}: {failed.pop(name, why)}"


def _reason(log: str) -> str:
    """Return the message of a Go program's panic, else its last line."""
    lines = [line for line in log.splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("panic:")), lines[-1] if lines else "without a word")[:200]


RCLONE_ENVIRONMENT = {"RCLONE_S3_NO_CHECK_BUCKET": "true"}


def rclone_remote(url: str) -> str:
    """Describe a server as rclone's remote without a configuration file."""
    return f":s3,provider=Other,endpoint='{url}',access_key_id={KEY},secret_access_key={SECRET}:"


def rclone(stage: Stage, prefix: str, keys: Sequence[str]) -> Measured | None:
    """Run `rclone copy` of all below `prefix` by reading and writing, because the sides can't copy from each other."""
    program = tools.program("rclone")
    if program is None:
        return None
    near, far = rclone_remote(stage.url("s3")), rclone_remote(stage.url("peer"))
    options = ["--transfers", "64", "--checkers", "64", "--config", os.devnull, "--disable", "copy"]
    command = [str(program), "copy", f"{near}{SOURCE}/{prefix}", f"{far}{TARGET}/rclone/{prefix}", *options]
    return _timed(stage, len(keys), command, os.environ | RCLONE_ENVIRONMENT)


def boto3(stage: Stage, prefix: str, keys: Sequence[str]) -> Measured | None:
    """Run GET and PUT by boto3 in threads."""
    if not tools.peers_wanted:
        return None
    module = [sys.executable, "-m", "bench.harness.boto3_copy"]
    return _timed(stage, len(keys), [*module, stage.url("s3"), SOURCE, TARGET, prefix, str(len(keys))], None)


def dthcli(stage: Stage, prefix: str, keys: Sequence[str], *, size: int = SIZE) -> Measured | None:
    """The worker that ours replaces (aws-solutions/data-transfer-hub-cli), over a queue and a table like ours. It is
    used as it is found on the path, and reaches the servers by the SDK's own environment variables. The keys lead it;
    `prefix` is for the others."""
    program = tools.installed("dthcli")
    if program is None:
        return None
    stage.fresh()
    stage.announce(keys, size)
    if size > SIZE:
        asyncio.run(_never_empty(stage))
    workers = DTHCLI_WORKERS if size == SIZE else DTHCLI_DEFAULT
    log, folder = stage.folder / "dthcli.log", stage.folder / "dthcli"
    folder.mkdir(exist_ok=True)
    with running(
        [str(program), "run", "-t", "Worker"], log, dthcli_environment(stage, workers), folder=folder
    ) as process:
        try:
            last = stage.file(TARGET, keys[0]) if len(keys) == 1 else None
            return stage.watch(process, len(keys), delayed=False, last=last)
        except RuntimeError:
            # A peer's failure does not fail the benchmark: it is reported.
            failed[DTHCLI] = f"failed ({_reason(log.read_text(errors='replace'))})"
            return None


async def _never_empty(stage: Stage) -> None:
    """SQS says that a queue is empty by leaving the list of messages out, ElasticMQ by an empty one, which ends dthcli:
    while it copies for long, there is something to receive that costs it nothing."""
    queue = stage.queue()
    for delay in range(12, 900, 12):
        await queue.send(['{"Event":"s3:TestEvent"}'], delay)


def dthcli_environment(stage: Stage, workers: int) -> dict[str, str]:
    """Return its job's settings, as its documentation names them, and the addresses of the servers."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(stage.folder / "dthcli"),
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL_S3": stage.url("s3"),
        "AWS_ENDPOINT_URL_SQS": stage.url("sqs"),
        "AWS_ENDPOINT_URL_DYNAMODB": stage.url("dynamodb"),
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": stage.url("stub"),
        "SRC_BUCKET": SOURCE,
        "SRC_REGION": REGION,
        "SRC_IN_CURRENT_ACCOUNT": "true",
        "DEST_BUCKET": TARGET,
        "DEST_PREFIX": "dthcli",
        "DEST_REGION": REGION,
        "DEST_CREDENTIALS": "peer",
        "DEST_IN_CURRENT_ACCOUNT": "false",
        "JOB_TABLE_NAME": TABLE,
        "SINGLE_PART_TABLE_NAME": TABLE,
        "JOB_QUEUE_NAME": Path(stage.queue_url("work")).name,
        "WORKER_NUMBER": str(workers),
        # Larger ones would wait for a state machine that puts their parts together.
        "GIANT_FILE_THRESHOLD": "1000000",
        "CHUNK_SIZE": "8",
    }


PEERS: Mapping[str, Callable[[Stage, str, Sequence[str]], Measured | None]] = {
    DTHCLI: dthcli,
    RCLONE: rclone,
    BOTO3: boto3,
}


def _timed(stage: Stage, objects: int, command: Sequence[str], environment: dict[str, str] | None) -> Measured:
    before = stage.servers_cpu()
    done: Finished = run(command, environment)
    return Measured(objects, done.seconds, done.usage.cpu, done.usage.rss, stage.servers_cpu() - before)
