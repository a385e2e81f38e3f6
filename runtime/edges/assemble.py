"""Everything a worker or a finder needs from the world, built from its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3

from runtime.edges.clock import SystemClock
from runtime.edges.dynamodb import DynamoLedger
from runtime.edges.parallel import LoopParallel
from runtime.edges.s3 import S3Bucket
from runtime.edges.secrets import PeerSecret, PeerSecrets
from runtime.edges.sqs import SqsQueue
from runtime.edges.sts import StsIdentity
from runtime.edges.threads import Threads, client_config
from runtime.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_SPARE_THREADS = 8


@dataclass(frozen=True, slots=True)
class LocalEdges:
    """This side's own services, all with the machine's own credential."""

    bucket: S3Bucket
    queue: SqsQueue
    ledger: DynamoLedger
    secrets: PeerSecrets
    clock: SystemClock
    parallel: LoopParallel
    threads: Threads


def local_edges(settings: Settings) -> LocalEdges:
    """This side's edges. Services' endpoints come from the AWS SDK's own variables, S3's from `local_endpoint`."""
    threads = Threads(settings.worker_concurrency + _SPARE_THREADS)
    config = client_config(threads.size)
    session = boto3.Session(region_name=settings.local_region)
    return LocalEdges(
        bucket=S3Bucket(
            _s3(session, settings.local_endpoint, threads),
            settings.local_bucket,
            settings.local_prefix,
            threads=threads,
        ),
        queue=SqsQueue(
            session.client("sqs", config=config), settings.queue_url, settings.dead_letter_queue_url, threads=threads
        ),
        ledger=DynamoLedger(
            session.client("dynamodb", config=config),
            settings.ledger_table,
            threads=threads,
            tombstone_days=settings.tombstone_days,
        ),
        secrets=PeerSecrets(session.client("secretsmanager", config=config), settings.peer_secret, threads=threads),
        clock=SystemClock(),
        parallel=LoopParallel(),
        threads=threads,
    )


def remote_bucket(settings: Settings, secret: PeerSecret, threads: Threads | None = None) -> S3Bucket:
    """The peer's bucket with the peer's user's key. `threads` may be those of `local_edges`."""
    threads = threads or Threads(settings.worker_concurrency + _SPARE_THREADS)
    return S3Bucket(
        remote_client(settings, secret, threads),
        settings.remote_bucket,
        settings.remote_prefix,
        threads=threads,
        storage_class=settings.remote_storage_class,
        acl=settings.remote_acl,
    )


def remote_client(settings: Settings, secret: PeerSecret, threads: Threads) -> S3Client:
    """For `S3Bucket.use`: the same bucket goes on with a key that has been rotated."""
    return _s3(_remote_session(settings, secret), settings.remote_endpoint, threads)


def remote_identity(settings: Settings, secret: PeerSecret, threads: Threads | None = None) -> StsIdentity:
    """Whose key the secret holds, asked in the peer's own partition."""
    threads = threads or Threads(1)
    client = _remote_session(settings, secret).client(
        "sts", config=client_config(threads.size), endpoint_url=settings.remote_sts_endpoint or None
    )
    return StsIdentity(client, threads=threads)


def local_identity(settings: Settings, threads: Threads) -> StsIdentity:
    """Who this process is in its own account."""
    session = boto3.Session(region_name=settings.local_region)
    return StsIdentity(session.client("sts", config=client_config(threads.size)), threads=threads)


def _remote_session(settings: Settings, secret: PeerSecret) -> boto3.Session:
    return boto3.Session(
        aws_access_key_id=secret.access_key_id,
        aws_secret_access_key=secret.secret_access_key,
        region_name=settings.remote_region,
    )


def _s3(session: boto3.Session, endpoint: str, threads: Threads) -> S3Client:
    config = client_config(threads.size, "path" if endpoint else "auto")
    return session.client("s3", config=config, endpoint_url=endpoint or None)
