"""Builds what a worker or a finder needs from its settings: clients, buckets, ledger, queue and the peer's credential.

Only `dualsync.runtime.app` imports both the AWS adapters and the core.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from dataclasses import dataclass

from dualsync.runtime.aws.credentials import Credential, Credentials, FixedCredentials, NoCredentials
from dualsync.runtime.aws.dynamodb.ledger import DynamoLedger
from dualsync.runtime.aws.endpoints import Network, is_aws
from dualsync.runtime.aws.http.body_memory import BUDGET_BYTES, Admission
from dualsync.runtime.aws.kms import KmsKeys
from dualsync.runtime.aws.s3.bucket import S3Bucket
from dualsync.runtime.aws.s3.bucket_owner import bucket_problem
from dualsync.runtime.aws.s3.options import Options
from dualsync.runtime.aws.secrets_manager import PeerSecret, PeerSecrets
from dualsync.runtime.aws.sqs import SqsQueue
from dualsync.runtime.aws.sts import StsIdentity, unique_id
from dualsync.runtime.aws.web_identity import Claims, RoleCredentials, sign_token
from dualsync.runtime.errors import CredentialRejectedError
from dualsync.runtime.messages.authenticator import Authenticator
from dualsync.runtime.platform import LoopParallel, SystemClock
from dualsync.runtime.service.bucket_guard import check_buckets
from dualsync.runtime.settings import Settings, token_audience, token_subject
from dualsync.runtime.transfer.copier import Copier

SPARE = 2
"""Connections to the peer that are kept open ahead of need."""


@dataclass(frozen=True, slots=True)
class LocalServices:
    """This side's own services, all with the machine's own credential."""

    bucket: S3Bucket
    """The side's bucket below its prefix."""

    whole_bucket: S3Bucket
    """The same bucket without its prefix."""

    queue: SqsQueue
    """The side's queue and its dead-letter queue."""

    ledger: DynamoLedger
    """The side's ledger."""

    secrets: PeerSecrets
    """The secret in which the peer's stack hands over its user's key."""

    identity: StsIdentity
    """STS with the machine's own credential."""

    keys: KmsKeys
    """The keys that sign tokens and messages if the peer is a role."""

    clock: SystemClock
    """The operating system's clock."""

    parallel: LoopParallel
    """Runs independent calls side by side."""

    admission: Admission
    """Memory for objects' contents, shared by both buckets."""


def build_local_services(settings: Settings, content_bytes: int = BUDGET_BYTES) -> LocalServices:
    """Build this side's clients. `content_bytes` bounds the memory for objects' contents.

    Services' endpoints come from the AWS SDK's own variables, S3's from `local_endpoint`.
    """
    network = Network(settings.local_region)
    admission = Admission(content_bytes)
    s3, path_style = network.bucket_client(settings.local_bucket, settings.local_endpoint)
    options = local_options(settings)

    def bucket(prefix: str) -> S3Bucket:
        return S3Bucket(s3, settings.local_bucket, prefix, path_style=path_style, admission=admission, options=options)

    return LocalServices(
        bucket=bucket(settings.local_prefix),
        whole_bucket=bucket(""),
        queue=SqsQueue(
            network.client("sqs"),
            settings.queue_url,
            settings.dead_letter_queue_url,
            visibility_seconds=settings.visibility_seconds,
        ),
        ledger=DynamoLedger(network.client("dynamodb"), settings.ledger_table, tombstone_days=settings.tombstone_days),
        secrets=PeerSecrets(network.client("secretsmanager"), settings.peer_secret),
        identity=StsIdentity(network.client("sts")),
        keys=KmsKeys(network.client("kms"), settings.token_key, settings.message_key),
        clock=SystemClock(),
        parallel=LoopParallel(),
        admission=admission,
    )


def remote_bucket(settings: Settings, credentials: Credentials, admission: Admission | None = None) -> S3Bucket:
    """Build the client of the peer's bucket.

    Pass the `admission` of `build_local_services`, so that one bound holds for both buckets.
    """
    network = Network(settings.remote_region, credentials)
    s3, path_style = network.bucket_client(settings.remote_bucket, settings.remote_endpoint, spare=SPARE)
    return S3Bucket(
        s3,
        settings.remote_bucket,
        settings.remote_prefix,
        path_style=path_style,
        admission=admission,
        options=remote_options(settings),
    )


def _is_restoring_store(endpoint: str) -> bool:
    """Return whether a store restores archived objects: AWS's, at the default endpoint or at a named one."""
    return not endpoint or is_aws(endpoint)


def local_options(settings: Settings) -> Options:
    """Return how this side's bucket is read and written. Objects written there follow the bucket's own defaults."""
    return Options(
        tags=settings.include_tags,
        requester_pays=settings.requester_pays,
        owner=settings.local_account,
        restores=_is_restoring_store(settings.local_endpoint),
    )


def remote_options(settings: Settings) -> Options:
    """Return how the peer's bucket is read, and the class, ACL and encryption that replicas get there."""
    return Options(
        storage_class="" if settings.keep_class else settings.remote_storage_class,
        acl=settings.remote_acl,
        encryption=settings.remote_encryption,
        kms_key=settings.remote_kms_key,
        tags=settings.include_tags,
        requester_pays=settings.requester_pays,
        owner=settings.remote_account,
        restores=_is_restoring_store(settings.remote_endpoint),
    )


_MESSAGES = b"dualsync message authenticator 1"
"""What the messages' key is asked for: its answer is the secret of the authenticator."""
NO_KEY = FixedCredentials(Credential("none", "none"))
"""For clients that get their credential later."""


class PeerAccess:
    """The peer's credential as the secret describes it: a user's key, or sessions of a role."""

    def __init__(self, settings: Settings, keys: KmsKeys) -> None:
        self._settings = settings
        self._keys = keys
        self._sessions: RoleCredentials | None = None

    def credentials(self, secret: PeerSecret) -> Credentials:
        """Return the credential, for clients that continue with another one. Raises `CredentialRejectedError`."""
        s = self._settings
        if not secret.role_arn:
            if s.token_issuer:
                raise CredentialRejectedError("the peer's secret holds a user's key, and this stack expects a role")
            return FixedCredentials(Credential(secret.access_key_id, secret.secret_access_key))
        if not s.token_issuer:
            raise CredentialRejectedError("the peer's secret names a role, and this stack expects a user's key")
        if self._sessions is None or self._sessions.role_arn != secret.role_arn:
            sts = Network(s.remote_region, NoCredentials()).client("sts", s.remote_sts_endpoint)
            name = token_subject(s.pair, s.side)
            self._sessions = RoleCredentials(sts, secret.role_arn, name, self._token)
        return self._sessions

    async def authenticator_secret(self, secret: PeerSecret) -> str:
        """Return what only this side's worker and finder can obtain: the key of their messages is derived from it.

        Raises `CredentialRejectedError`, `RetryableError`, `PermanentError`.
        """
        if not secret.role_arn:
            return secret.secret_access_key
        return (await self._keys.mac(_MESSAGES)).hex()

    async def _token(self) -> str:
        s = self._settings
        claims = Claims(
            issuer=s.token_issuer,
            key_id=s.token_key.rpartition("/")[2],
            subject=token_subject(s.pair, s.side),
            audience=token_audience(s.pair, s.side.peer),
        )
        return await sign_token(claims, self._keys.sign, time.time())


class BucketCheck:
    """Checks the owner and the region of both buckets. Its clients are built once, since each keeps a pool."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._here, self._here_by_path = Network(settings.local_region).bucket_client(
            settings.local_bucket, settings.local_endpoint
        )
        network = Network(settings.remote_region, NO_KEY)
        self._there, self._there_by_path = network.bucket_client(settings.remote_bucket, settings.remote_endpoint)

    async def problem(self, credentials: Credentials) -> str:
        """Return what is wrong with either bucket, read with this key; empty for nothing. Raises `RetryableError`."""
        s = self._settings
        self._there.use(credentials)
        found = await asyncio.gather(
            bucket_problem(self._here, s.local_bucket, s.local_region, s.local_account, path_style=self._here_by_path),
            bucket_problem(
                self._there, s.remote_bucket, s.remote_region, s.remote_account, path_style=self._there_by_path
            ),
        )
        return "; ".join(problem for problem in found if problem)


class PeerCredential:
    """`dualsync.runtime.service.peer_credential.Credential` over the secret in this side's account.

    A worker whose peer is missing checks once per minute for as long as it takes, so all clients are built once and
    continue with the key that was read last.
    """

    def __init__(self, settings: Settings, services: LocalServices) -> None:
        self._settings = settings
        self._services = services
        self._access = PeerAccess(settings, services.keys)
        self._secret: PeerSecret | None = None
        self._message_secret = ""
        self._sts = Network(settings.remote_region, NO_KEY).client("sts", settings.remote_sts_endpoint)
        self._buckets = BucketCheck(settings)
        self.user_id = ""
        """Id of the user or role whose credential is in use, as the guard has verified it."""
        self.arn = ""
        """ARN of the same user or session, by which S3 names the initiator of an upload."""
        self.authenticator = Authenticator(settings.queue_url)
        """Signs this side's messages with a key derived from the secret in use, or by KMS if the peer is a role."""
        self.bucket: S3Bucket = remote_bucket(settings, NO_KEY, services.admission)

    async def expected_user_id(self) -> str | None:
        """Read the secret and return its `user_id`; None while there is no secret."""
        self._secret = await self._services.secrets.read()
        return None if self._secret is None else self._secret.user_id

    async def actual_user_id(self) -> str:
        """Return the id of the key's user or of the session's role, read from STS in the peer's own partition."""
        if self._secret is None:
            raise CredentialRejectedError("there is no secret")
        self._sts.use(self._access.credentials(self._secret))
        caller = await StsIdentity(self._sts).caller_identity()
        self.arn = caller.arn
        self._message_secret = await self._access.authenticator_secret(self._secret)
        return unique_id(caller.user_id)

    async def bucket_problem(self) -> str:
        """Return what is wrong with either bucket or with the ledger's record of them; empty for nothing."""
        if self._secret is None:
            return ""
        wrong = await self._buckets.problem(self._access.credentials(self._secret))
        return wrong or await check_buckets(self._services.ledger, self._settings, self._services.clock)

    async def use(self) -> None:
        """Use this key for the peer's bucket from now on."""
        if self._secret is not None:
            self.bucket.use(self._access.credentials(self._secret))
            self.authenticator.use(self._message_secret)
            self.user_id = self._secret.user_id


def build_copier(settings: Settings, services: LocalServices) -> Copier:
    """Build the copier that the settings describe."""
    return Copier(
        threshold=settings.multipart_threshold,
        part_size=settings.part_size,
        parallel=services.parallel,
        ledger=services.ledger,
        clock=services.clock,
        include_metadata=settings.include_metadata,
        keep_class=settings.keep_class,
        giant=settings.giant_threshold,
    )


def process_name() -> str:
    """Return a name of this process that is unique among all processes of a side."""
    return f"{socket.gethostname()}-{os.getpid()}"
