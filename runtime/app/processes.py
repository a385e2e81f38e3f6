"""A worker's and a finder's process, put together from settings."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys

from dualsync.runtime.app.wiring import (
    LocalEdges,
    local_edges,
    remote_bucket,
    remote_credentials,
    remote_identity,
    wrong_buckets,
)
from dualsync.runtime.aws.s3.bucket import S3Bucket
from dualsync.runtime.aws.secrets_manager import PeerSecret
from dualsync.runtime.errors import CredentialRejectedError, DualSyncError, UnavailableError
from dualsync.runtime.finder.run import Finder
from dualsync.runtime.log import JsonLog, Log, State
from dualsync.runtime.messages.parser import Principals
from dualsync.runtime.service.bucket_guard import of_other_buckets
from dualsync.runtime.service.consumer import Consumer
from dualsync.runtime.service.heartbeat import HeartbeatLog
from dualsync.runtime.service.key_locks import KeyLocks
from dualsync.runtime.service.operator_controls import OperatorControls
from dualsync.runtime.service.peer_credential import GuardStatus, wait_for_peer
from dualsync.runtime.service.prefix_list import PrefixList, PrefixListWatcher
from dualsync.runtime.service.receive_gate import ReceiveGates
from dualsync.runtime.service.store_warnings import tell, tell_of_archives
from dualsync.runtime.service.systemd_watchdog import feed
from dualsync.runtime.settings import Settings
from dualsync.runtime.sync.context import SyncContext
from dualsync.runtime.sync.fleet_upload import PART_REQUESTS_AT_ONCE
from dualsync.runtime.sync.handler import MessageHandler
from dualsync.runtime.sync.service_health import ServiceHealth
from dualsync.runtime.transfer.copier import Copier
from dualsync.runtime.transfer.stale_uploads import StaleUploadSweep, sessions_of
from dualsync.runtime.transfer.throttle import Throttle, ThrottledBucket

FINDER_TRIES = 6
"""How often a finder looks for the peer's secret before it leaves it to its next run."""
PROBE = "dualsync-probe"


class PeerCredential:
    """`dualsync.runtime.service.peer_credential.Credential` over the secret in this side's account."""

    def __init__(self, settings: Settings, edges: LocalEdges) -> None:
        self._settings = settings
        self._edges = edges
        self._secret: PeerSecret | None = None
        self.user_id = ""
        """Whose key is in use, as the guard has proven."""
        self.arn = ""
        """The same user, as S3 names who began an upload."""
        self.bucket: S3Bucket = remote_bucket(settings, PeerSecret("none", "none"), edges.admission)

    async def user_id_promised(self) -> str | None:
        self._secret = await self._edges.secrets.read()
        return None if self._secret is None else self._secret.user_id

    async def user_id_real(self) -> str:
        if self._secret is None:
            raise CredentialRejectedError("there is no secret")
        who = await remote_identity(self._settings, self._secret).who()
        self.arn = who.arn
        return who.user_id

    async def premises(self) -> str:
        if self._secret is None:
            return ""
        wrong = await wrong_buckets(self._settings, self._secret)
        return wrong or await of_other_buckets(self._edges.ledger, self._settings, self._edges.clock)

    async def use(self) -> None:
        if self._secret is not None:
            self.user_id = self._secret.user_id
            self.bucket.use(remote_credentials(self._secret))


async def work(settings: Settings) -> None:
    """Run a worker until SIGTERM or SIGINT, then drain. Raises `FatalError` for what only a person can mend."""
    edges = local_edges(settings)
    plain = JsonLog(sys.stdout, settings.log_level, pair=settings.pair, side=settings.side)
    # Once, so that a person sees what a machine really runs with; no setting is a secret.
    plain.line("INFO", "started", settings=settings.to_environment())
    log = HeartbeatLog(plain, edges.clock, _who())
    credential = PeerCredential(settings, edges)
    health = ServiceHealth()
    throttle = Throttle(edges.clock)
    controls = OperatorControls(edges.ledger, edges.clock, plain, throttle)
    listed = PrefixListWatcher(PrefixList(edges.whole, settings.prefix_list_file), edges.clock, plain)
    context = SyncContext(
        settings=settings,
        clock=edges.clock,
        local=edges.bucket,
        remote=ThrottledBucket(credential.bucket, throttle),
        ledger=edges.ledger,
        queue=edges.queue,
        copier=copier_of(settings, edges),
        principals=Principals(frozenset(settings.own_user_ids), await _own_role(settings, edges)),
        log=log,
    )

    async def probe() -> None:
        await credential.bucket.head(PROBE)
        await edges.bucket.head(PROBE)
        await edges.ledger.get(PROBE)

    async def connect() -> bool:
        ready = await wait_for_peer(credential, edges.clock, log) is GuardStatus.READY
        log.guard = credential.user_id
        if ready and log.state in (State.WAITING_FOR_PEER, State.GUARD_REFUSED):
            log.line("INFO", "state", state=State.RUNNING)
        return ready

    worker = MessageHandler(
        context,
        health=health,
        locks=KeyLocks(),
        covers=listed.covers,
        part_slots=asyncio.Semaphore(PART_REQUESTS_AT_ONCE),
    )
    loop = Consumer(
        queue=edges.queue,
        clock=edges.clock,
        log=log,
        process=worker.process,
        connect=connect,
        probe=probe,
        health=health,
        concurrency=settings.worker_concurrency,
        visibility_seconds=settings.visibility_seconds,
        gate=ReceiveGates([controls, listed]),
    )
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, loop.stop)
    # Those who share the direction's limits count each other: this one before it takes its share.
    await log.tell(edges.ledger)
    await asyncio.gather(controls.poll(), listed.poll())
    beside = [
        asyncio.create_task(controls.watch()),
        asyncio.create_task(listed.watch()),
        asyncio.create_task(log.beat(edges.ledger, lambda: loop.in_flight)),
        asyncio.create_task(feed(os.environ, edges.clock)),
        asyncio.create_task(tell({"local": edges.bucket, "remote": credential.bucket}, edges.clock, log)),
    ]
    # What the start has made stays. To go through it again and again takes 70 ms each time, in which nothing moves.
    gc.freeze()
    try:
        await loop.run()
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await log.farewell(edges.ledger, sys.exception())


def copier_of(settings: Settings, edges: LocalEdges) -> Copier:
    """What carries objects, as the settings want them."""
    return Copier(
        threshold=settings.multipart_threshold,
        part_size=settings.part_size,
        parallel=edges.parallel,
        ledger=edges.ledger,
        clock=edges.clock,
        include_metadata=settings.include_metadata,
        keep_class=settings.keep_class,
        giant=settings.giant_threshold,
    )


def _who() -> str:
    """This process, among all of a side."""
    return f"{socket.gethostname()}-{os.getpid()}"


async def _own_role(settings: Settings, edges: LocalEdges) -> str:
    """The id by which this worker's own writes are known in the local bucket's events."""
    for pause in (1, 2, 4, 8, 16):
        try:
            return (await edges.identity.user_id()).split(":", 1)[0]
        except (UnavailableError, CredentialRejectedError):
            await edges.clock.sleep(pause)
    return (await edges.identity.user_id()).split(":", 1)[0]


async def find(settings: Settings) -> int:
    """One run of the finder; the exit code: 0 done (or waiting for the peer), 1 failed."""
    log = JsonLog(sys.stdout, settings.log_level, pair=settings.pair, side=settings.side)
    edges = local_edges(settings)
    credential = PeerCredential(settings, edges)
    verdict = await wait_for_peer(credential, edges.clock, log, tries=FINDER_TRIES)
    if verdict is GuardStatus.REFUSED:
        log.line("ERROR", "finder", state="failed", reason="the guard refuses: the line before says what")
        return 1
    if verdict is not GuardStatus.READY:
        log.line("WARNING", "finder", state="waiting", reason="no usable credential of the peer: next run")
        return 0
    try:
        finder = Finder(
            settings=settings,
            clock=edges.clock,
            local=edges.bucket,
            remote=credential.bucket,
            ledger=edges.ledger,
            queue=edges.queue,
            parallel=edges.parallel,
            log=log,
            scope=await PrefixList(edges.whole, settings.prefix_list_file).read(),
            name=_who(),
        )
        await finder.run()
        tell_of_archives({"local": edges.bucket.pages, "remote": credential.bucket.pages}, log)
        await _sweep(settings, edges, credential, log)
    except DualSyncError as e:
        log.line("ERROR", "finder", state="failed", reason=f"{type(e).__name__}: {e}")
        return 1
    return 0


def sweep_of(settings: Settings, edges: LocalEdges, credential: PeerCredential, log: Log) -> StaleUploadSweep:
    """A finder's last act, as the settings and the guard name who began what."""
    return StaleUploadSweep(
        clock=edges.clock,
        local=edges.bucket,
        remote=credential.bucket,
        ledger=edges.ledger,
        log=log,
        initiator=credential.arn,
        by_worker=sessions_of(settings.local_account, settings.worker_role),
    )


async def _sweep(settings: Settings, edges: LocalEdges, credential: PeerCredential, log: JsonLog) -> None:
    """Uploads under way have nothing to do with what the finder found: whatever fails here fails nothing else."""
    try:
        await sweep_of(settings, edges, credential, log).run()
    except DualSyncError as e:
        log.line("WARNING", "uploads", reason=f"{type(e).__name__}: {e}")
