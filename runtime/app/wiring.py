"""Everything a worker or a finder needs from the world, built from its settings."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from dualsync.runtime.aws.credentials import Credential, FixedCredentials
from dualsync.runtime.aws.dynamodb.ledger import DynamoLedger
from dualsync.runtime.aws.endpoints import Network
from dualsync.runtime.aws.http.body_memory import Admission
from dualsync.runtime.aws.s3.bucket import S3Bucket
from dualsync.runtime.aws.s3.bucket_owner import wrong_place
from dualsync.runtime.aws.s3.options import Options
from dualsync.runtime.aws.secrets_manager import PeerSecret, PeerSecrets
from dualsync.runtime.aws.sqs import SqsQueue
from dualsync.runtime.aws.sts import StsIdentity
from dualsync.runtime.platform import LoopParallel, SystemClock
from dualsync.runtime.settings import Settings

SPARE = 2
"""Connections to the peer that are kept open ahead of need."""


@dataclass(frozen=True, slots=True)
class LocalEdges:
    """This side's own services, all with the machine's own credential."""

    bucket: S3Bucket
    whole: S3Bucket
    """The same without its prefix."""
    queue: SqsQueue
    ledger: DynamoLedger
    secrets: PeerSecrets
    identity: StsIdentity
    clock: SystemClock
    parallel: LoopParallel
    admission: Admission


def local_edges(settings: Settings) -> LocalEdges:
    """This side's edges. Services' endpoints come from the AWS SDK's own variables, S3's from `local_endpoint`."""
    network = Network(settings.local_region)
    admission = Admission()
    s3, path_style = network.s3(settings.local_bucket, settings.local_endpoint)
    options = local_options(settings)

    def bucket(prefix: str) -> S3Bucket:
        return S3Bucket(s3, settings.local_bucket, prefix, path_style=path_style, admission=admission, options=options)

    return LocalEdges(
        bucket=bucket(settings.local_prefix),
        whole=bucket(""),
        queue=SqsQueue(
            network.caller("sqs"),
            settings.queue_url,
            settings.dead_letter_queue_url,
            visibility_seconds=settings.visibility_seconds,
        ),
        ledger=DynamoLedger(network.caller("dynamodb"), settings.ledger_table, tombstone_days=settings.tombstone_days),
        secrets=PeerSecrets(network.caller("secretsmanager"), settings.peer_secret),
        identity=StsIdentity(network.caller("sts")),
        clock=SystemClock(),
        parallel=LoopParallel(),
        admission=admission,
    )


def remote_bucket(settings: Settings, secret: PeerSecret, admission: Admission | None = None) -> S3Bucket:
    """The peer's bucket with the peer's user's key. `admission` is that of `local_edges`: one bound for both."""
    network = Network(settings.remote_region, remote_credentials(secret))
    s3, path_style = network.s3(settings.remote_bucket, settings.remote_endpoint, spare=SPARE)
    return S3Bucket(
        s3,
        settings.remote_bucket,
        settings.remote_prefix,
        path_style=path_style,
        admission=admission,
        options=remote_options(settings),
    )


def local_options(settings: Settings) -> Options:
    """How this side's bucket is asked. What is written there follows its own defaults."""
    return Options(
        tags=settings.include_tags,
        requester_pays=settings.requester_pays,
        owner=settings.local_account,
        restores=not settings.local_endpoint,
    )


def remote_options(settings: Settings) -> Options:
    """How the peer's bucket is asked, and what replicas get there."""
    return Options(
        storage_class="" if settings.keep_class else settings.remote_storage_class,
        acl=settings.remote_acl,
        encryption=settings.remote_encryption,
        kms_key=settings.remote_kms_key,
        tags=settings.include_tags,
        requester_pays=settings.requester_pays,
        owner=settings.remote_account,
        restores=not settings.remote_endpoint,
    )


async def wrong_buckets(settings: Settings, secret: PeerSecret) -> str:
    """What is wrong with either bucket's owner or region, in words; empty for nothing. Raises `RetryableError`."""
    here, here_by_path = Network(settings.local_region).s3(settings.local_bucket, settings.local_endpoint)
    network = Network(settings.remote_region, remote_credentials(secret))
    there, there_by_path = network.s3(settings.remote_bucket, settings.remote_endpoint)
    found = await asyncio.gather(
        wrong_place(
            here, settings.local_bucket, settings.local_region, settings.local_account, path_style=here_by_path
        ),
        wrong_place(
            there, settings.remote_bucket, settings.remote_region, settings.remote_account, path_style=there_by_path
        ),
    )
    return "; ".join(problem for problem in found if problem)


def remote_credentials(secret: PeerSecret) -> FixedCredentials:
    """For `S3Bucket.use`: the same bucket goes on with a key that has been rotated."""
    return FixedCredentials(Credential(secret.access_key_id, secret.secret_access_key))


def remote_identity(settings: Settings, secret: PeerSecret) -> StsIdentity:
    """Whose key the secret holds, asked in the peer's own partition."""
    network = Network(settings.remote_region, remote_credentials(secret))
    return StsIdentity(network.caller("sts", settings.remote_sts_endpoint))
