"""Other programs that copy objects, run over the same objects and servers.

A peer that is not installed is reported as missing. One that fails or has no result by its deadline is reported with
the reason, at once and in the notes; the other peers still run.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from bench.harness.measured import Measured
from bench.harness.process import DeadlineError, running
from bench.harness.servers import tools
from bench.harness.servers.stub import KEY, SECRET
from bench.harness.site import REGION, SOURCE, TABLE, TARGET
from bench.harness.stage import SIZE, Stage

RCLONE, BOTO3, DTHCLI = "rclone copy, 64 transfers", "boto3, 32 threads", "dthcli worker"
OBSTORE, AWSCRT = "obstore, 32 at once", "awscrt, 32 at once"
DTHCLI_WORKERS, DTHCLI_DEFAULT = 64, 4
"""Parallel transfers: for small objects as many as rclone has; for a large one its default, with parts in memory."""

SECONDS_PER_OBJECT, LEAST_SECONDS = 0.05, 60.0
"""A peer's deadline for small objects: 20 objects per second, and a minute at least."""

Result = TypeVar("Result")

CHECKSUMS = {"AWS_REQUEST_CHECKSUM_CALCULATION": "when_required"}
"""The SDKs' trailing checksums are off: over TLS versitygw leaves the trailer unread and refuses the next request on
that connection. The peers compute less by it."""

failed: dict[str, str] = {}
"""Peers that failed, with the reason."""


def missing(name: str) -> str:
    """Explain in a note why a peer has no figure."""
    why = "missing on this machine" if tools.peers_wanted else "not wanted in this run"
    return f"{name}: {failed.get(name, why)}"


def attempt(name: str, measure: Callable[[], Result | None]) -> Result | None:
    """Return a peer's result. A peer's failure is printed and noted; the others still run."""
    try:
        return measure()
    except (DeadlineError, RuntimeError, OSError) as error:
        failed[name] = " ".join(str(error).split())[:300] or type(error).__name__
        print(f"{name}: {failed[name]}", flush=True)
        return None


def deadline(objects: int) -> float:
    """Return a peer's deadline in seconds."""
    return max(LEAST_SECONDS, objects * SECONDS_PER_OBJECT)


def _reason(log: str) -> str:
    """Return the message of a Go program's panic, else its last line."""
    lines = [line for line in log.splitlines() if line.strip()]
    last = lines[-1] if lines else "without output"
    return next((line for line in lines if line.startswith("panic:")), last)[:200]


def rclone_environment(stage: Stage) -> dict[str, str]:
    """Return rclone's variables."""
    return os.environ | stage.trusted() | CHECKSUMS | {"RCLONE_S3_NO_CHECK_BUCKET": "true"}


def rclone_remote(url: str) -> str:
    """Describe a server as rclone's remote without a configuration file."""
    return f":s3,provider=Other,endpoint='{url}',access_key_id={KEY},secret_access_key={SECRET}:"


def rclone_trust(stage: Stage) -> list[str]:
    """Return the options by which rclone trusts the servers."""
    return ["--ca-cert", str(stage.authority.ca)] if stage.authority else []


def rclone(stage: Stage, prefix: str, keys: Sequence[str]) -> Measured | None:
    """Run `rclone copy` of all below `prefix` by reading and writing, because the sides can't copy from each other."""
    program = tools.program("rclone")
    if program is None:
        return None
    near, far = rclone_remote(stage.url("s3")), rclone_remote(stage.url("peer"))
    options = ["--transfers", "64", "--checkers", "64", "--config", os.devnull, "--disable", "copy"]
    command = [str(program), "copy", f"{near}{SOURCE}/{prefix}", f"{far}{TARGET}/rclone/{prefix}"]
    command += [*options, *rclone_trust(stage)]
    return stage.run(len(keys), command, rclone_environment(stage), deadline(len(keys)))


def boto3(stage: Stage, prefix: str, keys: Sequence[str]) -> Measured | None:
    """Run GET and PUT by boto3 in threads."""
    if not tools.peers_wanted:
        return None
    return _python(stage, [sys.executable, "-m", "bench.harness.peers.boto3_copy"], prefix, len(keys))


def obstore(stage: Stage, prefix: str, keys: Sequence[str]) -> Measured | None:
    """Run GET and PUT by obstore (Rust under asyncio)."""
    return _installed_python(stage, "obstore_copy", prefix, len(keys))


def awscrt(stage: Stage, prefix: str, keys: Sequence[str]) -> Measured | None:
    """Run GET and PUT by awscrt's S3 client (C under asyncio)."""
    return _installed_python(stage, "awscrt_copy", prefix, len(keys))


def _installed_python(stage: Stage, module: str, prefix: str, number: int) -> Measured | None:
    interpreter = tools.python()
    if interpreter is None:
        return None
    return _python(stage, [str(interpreter), str(Path(__file__).with_name(f"{module}.py"))], prefix, number)


def _python(stage: Stage, command: Sequence[str], prefix: str, number: int) -> Measured:
    environment = os.environ | stage.trusted() | CHECKSUMS | {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    given = [*command, stage.url("s3"), SOURCE, TARGET, prefix, str(number)]
    return stage.run(number, given, environment | {"PYTHONPATH": str(tools.ROOT)}, deadline(number))


def dthcli(
    stage: Stage, prefix: str, keys: Sequence[str], *, size: int = SIZE, seconds: float | None = None
) -> Measured | None:
    """Run the worker that ours replaces (aws-solutions/data-transfer-hub-cli), over a queue and a table like ours.

    It is run as found on PATH, and reaches the servers by the SDK's environment variables. It gets its
    work from messages about the keys; `prefix` is for the others.
    """
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
    command = [str(program), "run", "-t", "Worker"]
    single = len(keys) == 1
    with (
        stage.as_client() as group,
        running(command, log, dthcli_environment(stage, workers), folder=folder) as process,
    ):
        stage.started(process, group)
        try:
            # For one object, its file shows the end, because dthcli continues to receive.
            last = stage.file(TARGET, f"dthcli/{keys[0]}") if single else None
            limit = seconds or deadline(len(keys))
            return stage.watch(process, len(keys), delayed=False, last=last, seconds=limit, until_empty=not single)
        except DeadlineError:
            raise
        except RuntimeError:
            raise RuntimeError(f"failed ({_reason(log.read_text(errors='replace'))})") from None


async def _never_empty(stage: Stage) -> None:
    """Send messages that cost nothing, so that there is always one to receive.

    SQS leaves the list of messages out when a queue is empty. ElasticMQ sends an empty one, which ends dthcli.
    """
    queue = stage.queue()
    for delay in range(12, 900, 12):
        await queue.send(['{"Event":"s3:TestEvent"}'], delay)


def dthcli_environment(stage: Stage, workers: int) -> dict[str, str]:
    """Return its job's settings, as its documentation names them, and the addresses of the servers."""
    return (stage.trusted() | CHECKSUMS) | {
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
    OBSTORE: obstore,
    AWSCRT: awscrt,
}
