"""Starts the finder in a stock Python image: fetches the bundle, checks it, runs it. The image's boto3 is enough.

If an earlier task of the same family still runs in the cluster, this one leaves: two finders do no harm, and no good.
"""

import hashlib
import json
import os
import sys
import tarfile
import urllib.request

# Where Lambda's images keep boto3 for Python 3.11; the interpreter alone does not look there.
sys.path.append("/var/runtime")

import boto3


def say(level: str, state: str, **more: str) -> None:
    """Print one log line."""
    sys.stdout.write(json.dumps({"level": level, "event": "finder", "state": state, **more}) + "\n")
    sys.stdout.flush()


def task() -> dict[str, str]:
    """Return the own task's ARN, family and cluster (ECS guide: task metadata endpoint version 4)."""
    address = os.environ["ECS_CONTAINER_METADATA_URI_V4"] + "/task"
    with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - ECS gives the address
        found: dict[str, str] = json.load(answer)
    return found


def busy() -> list[str]:
    """Return the other running tasks of this family."""
    me = task()
    pages = boto3.client("ecs").get_paginator("list_tasks")
    running = [
        arn
        for page in pages.paginate(cluster=me["Cluster"], family=me["Family"], desiredStatus="RUNNING")
        for arn in page["taskArns"]
    ]
    return [arn for arn in running if arn != me["TaskARN"]]


def fetch(bucket: str, key: str, version: str, sha256: str, root: str) -> None:
    """Unpack the bundle under `root`."""
    os.makedirs(root, exist_ok=True)
    path = os.path.join(root, "bundle.tar")
    digest = hashlib.sha256()
    s3 = boto3.client("s3")
    found = (
        s3.get_object(Bucket=bucket, Key=key, VersionId=version) if version else s3.get_object(Bucket=bucket, Key=key)
    )
    with open(path, "wb") as file:
        for chunk in found["Body"].iter_chunks(1 << 20):
            digest.update(chunk)
            file.write(chunk)
    if digest.hexdigest() != sha256:
        raise SystemExit(f"s3://{bucket}/{key} has sha256 {digest.hexdigest()}, not {sha256}: deploy again")
    with tarfile.open(path) as archive:
        # The filter came with Python 3.11.4; before, the checksum alone vouches for the archive.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(root)  # noqa: S202 - its checksum was verified


def main(bucket: str, key: str, version: str, sha256: str, root: str) -> None:
    """Fetch the bundle and replace this process by the finder, unless another run of it is still under way."""
    try:
        others = busy()
        if others:
            say("INFO", "skipped", reason=f"still running: {others[0]}")
            return
        fetch(bucket, key, version, sha256, root)
    except Exception as error:
        say("ERROR", "failed", reason=f"{type(error).__name__}: {error}")
        raise
    os.environ["PYTHONPATH"] = root
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.chdir(root)
    os.execv(sys.executable, [sys.executable, "-m", "dualsync.runtime", "finder"])  # noqa: S606


if __name__ == "__main__":
    main(*sys.argv[1:])
