"""Test the real bundles: this architecture's is unpacked and run, the other one's wheels are inspected."""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dualsync.components.bundle.builder import SERVICES, Builder, default_builder
from dualsync.components.config.side_options import Architecture
from dualsync.runtime.settings import SideName
from sandbox.cloud.handle import Cloud

ROOT = Path(__file__).parents[3]
WHEELS = ROOT / "build" / "wheels"
HERE = {"x86_64": Architecture.X86_64, "aarch64": Architecture.ARM64}.get(platform.machine())

pytestmark = [
    pytest.mark.skipif(not WHEELS.is_dir(), reason="no wheels in build/wheels: `make test` fetches them"),
]
runs_here = pytest.mark.skipif(
    HERE is None or sys.platform != "linux" or sys.version_info[:2] != (3, 11),
    reason="bundles run on Linux with Python 3.11",
)


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    usual = default_builder()
    return Builder(runtime=usual.runtime, lock=usual.lock, cache=tmp_path_factory.mktemp("bundles"), wheels=WHEELS)


@pytest.fixture(scope="module")
def root(builder: Builder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with nothing but the unpacked bundle."""
    assert HERE is not None
    folder = tmp_path_factory.mktemp("root")
    with tarfile.open(builder.build(HERE).path) as archive:
        archive.extractall(folder)
    return folder


def command(*words: str) -> list[str]:
    """Return a command of this interpreter without its site-packages, which an instance does not have."""
    return [sys.executable, "-S", "-P", "-W", "ignore", *words]


def environment(root: Path, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(root),
        "PYTHONPATH": str(root),
        "PYTHONDONTWRITEBYTECODE": "1",
        **more,
    }


@runs_here
def test_a_missing_setting_is_reported_by_name(root: Path) -> None:
    done = subprocess.run(
        command("-m", "dualsync.runtime", "worker"),
        env=environment(root),
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "DUALSYNC_PAIR is not set" in done.stderr


@runs_here
def test_every_service_of_the_runtime_is_in_the_bundle(root: Path) -> None:
    sources = "\n".join(p.read_text() for p in (root / "dualsync").rglob("*.py"))
    asked = set(re.findall(r"""\.client\(\s*["'](\w+)["']""", sources))
    assert asked <= SERVICES
    # Clients of the core session: boto3 itself is in the bundle only as long as the lock has it.
    script = "import botocore.session; session = botocore.session.get_session()\n"
    script += f"for s in {sorted(SERVICES)}: session.create_client(s, region_name='cn-north-1')"
    subprocess.run(command("-c", script), env=environment(root), cwd=root, check=True)


@runs_here
def test_every_module_of_the_runtime_imports(root: Path) -> None:
    modules = [".".join(p.relative_to(root).with_suffix("").parts) for p in (root / "dualsync").rglob("*.py")]
    wanted = [m.removesuffix(".__init__") for m in modules if not m.endswith("__main__")]
    script = f"import importlib\nfor m in {wanted}: importlib.import_module(m)"
    subprocess.run(command("-c", script), env=environment(root), cwd=root, check=True)


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud.start() as running:
        yield running


@pytest.fixture(scope="module")
def settings(cloud: Cloud, root: Path) -> dict[str, str]:
    """Create a side, with its peer's bucket and key, and return the variables of its processes."""
    for side, bucket, region in (
        (SideName.GLOBAL, "bundle-here", "us-west-2"),
        (SideName.CN, "bundle-there", "cn-north-1"),
    ):
        where: Any = {"LocationConstraint": region}
        cloud.client(side, "s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
    iam = cloud.client(SideName.CN, "iam")
    user = iam.create_user(UserName="bundle-user")["User"]
    made = iam.create_access_key(UserName="bundle-user")["AccessKey"]
    secret = {
        "access_key_id": made["AccessKeyId"],
        "secret_access_key": made["SecretAccessKey"],
        "user_id": user["UserId"],
    }
    cloud.client(SideName.GLOBAL, "secretsmanager").create_secret(
        Name="bundle-credentials", SecretString=json.dumps(secret)
    )
    sqs = cloud.client(SideName.GLOBAL, "sqs")
    queues = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("bundle-queue", "bundle-dead")]
    key = cloud.session(SideName.GLOBAL).get_credentials()
    assert key is not None
    cloud.client(SideName.GLOBAL, "dynamodb").create_table(
        TableName="bundle-ledger",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "ObjectKey", "AttributeType": "S"},
            {"AttributeName": "RecordKind", "AttributeType": "S"},
            {"AttributeName": "RecordTime", "AttributeType": "N"},
        ],
        KeySchema=[{"AttributeName": "ObjectKey", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "records",
                "KeySchema": [
                    {"AttributeName": "RecordKind", "KeyType": "HASH"},
                    {"AttributeName": "RecordTime", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    return environment(
        root,
        AWS_ACCESS_KEY_ID=key.access_key,
        AWS_SECRET_ACCESS_KEY=key.secret_key,
        AWS_REGION="us-west-2",
        AWS_DEFAULT_REGION="us-west-2",
        AWS_ENDPOINT_URL=cloud.endpoint,
        DUALSYNC_PAIR="p",
        DUALSYNC_SIDE="global",
        DUALSYNC_LOCAL_BUCKET="bundle-here",
        DUALSYNC_LOCAL_REGION="us-west-2",
        DUALSYNC_LOCAL_ENDPOINT=cloud.endpoint,
        DUALSYNC_REMOTE_BUCKET="bundle-there",
        DUALSYNC_REMOTE_REGION="cn-north-1",
        DUALSYNC_REMOTE_ENDPOINT=cloud.endpoint,
        DUALSYNC_QUEUE_URL=queues[0],
        DUALSYNC_DEAD_LETTER_QUEUE_URL=queues[1],
        DUALSYNC_LEDGER_TABLE="bundle-ledger",
        DUALSYNC_REMOTE_STS_ENDPOINT=cloud.endpoint,
        DUALSYNC_PEER_SECRET="bundle-credentials",
        DUALSYNC_FINDER_GRACE_SECONDS="0",
        DUALSYNC_OWN_USER_IDS="AIDAEXAMPLE",
    )


@runs_here
def test_worker_waits_for_its_peer_feeds_the_watchdog_and_drains(
    settings: dict[str, str], root: Path, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as watchdog:
        watchdog.bind(str(tmp_path / "notify"))
        watchdog.settimeout(60)
        variables = settings | {
            "DUALSYNC_PEER_SECRET": "nowhere",
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": "3000000",
        }
        with subprocess.Popen(
            command("-m", "dualsync.runtime", "worker"), env=variables, cwd=root, stdout=subprocess.PIPE, text=True
        ) as worker:
            assert worker.stdout is not None
            try:
                states = (line for line in map(json.loads, worker.stdout) if line["event"] == "state")
                assert next(states)["state"] == "WAITING_FOR_PEER"
                assert watchdog.recv(64) == b"WATCHDOG=1"
                worker.send_signal(signal.SIGTERM)
                assert [line["state"] for line in states][-1] == "STOPPED"
                assert worker.wait(60) == 0
            finally:
                worker.kill()


@runs_here
def test_finder_runs_to_its_end(cloud: Cloud, settings: dict[str, str], root: Path) -> None:
    cloud.client(SideName.GLOBAL, "s3").put_object(Bucket="bundle-here", Key="new", Body=b"x")
    done = subprocess.run(
        command("-m", "dualsync.runtime", "finder"), env=settings, cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["event"], last["state"], last["queued"], last["held"]) == ("finder", "finished", 1, 0)


def elf_machines(path: Path) -> dict[str, str]:
    """Return the native libraries of a bundle with the architecture of each (ELF header, e_machine)."""
    words = {0x3E: "x86_64", 0xB7: "arm64"}
    found: dict[str, str] = {}
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            content: Any = archive.extractfile(member)
            head = content.read(20) if content else b""
            if head.startswith(b"\x7fELF"):
                found[member.name] = words.get(int.from_bytes(head[18:20], "little"), "other")
    return found


@pytest.mark.parametrize("architecture", list(Architecture))
def test_native_parts_are_for_their_architecture(builder: Builder, architecture: Architecture) -> None:
    assert set(elf_machines(builder.build(architecture).path).values()) <= {str(architecture)}


def test_bundle_is_small_enough_to_boot_quickly(builder: Builder) -> None:
    assert builder.build(Architecture.ARM64).path.stat().st_size < 64 << 20


def test_a_second_build_gives_the_same_bundle(builder: Builder, tmp_path: Path) -> None:
    again = Builder(runtime=builder.runtime, lock=builder.lock, cache=tmp_path, wheels=WHEELS)
    assert again.build(Architecture.ARM64).sha256 == builder.build(Architecture.ARM64).sha256
