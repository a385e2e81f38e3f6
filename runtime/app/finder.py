"""The finder's process: one run, then the sweep of stale uploads."""

from __future__ import annotations

import sys

from dualsync.runtime.app.wiring import LocalServices, PeerCredential, build_local_services, process_name
from dualsync.runtime.errors import DualSyncError
from dualsync.runtime.finder.run import Finder
from dualsync.runtime.log import JsonLog, Log
from dualsync.runtime.service.peer_credential import GuardStatus, wait_for_peer
from dualsync.runtime.service.prefix_list import PrefixList
from dualsync.runtime.service.store_warnings import warn_of_archives
from dualsync.runtime.settings import Settings
from dualsync.runtime.transfer.stale_uploads import StaleUploadSweep, sessions_of

MAX_CREDENTIAL_TRIES = 6
"""How often a finder reads the peer's secret before it leaves the work to its next run."""


async def run_finder(settings: Settings) -> int:
    """Run the finder once. Return the exit code: 0 for done or waiting for the peer, 1 for failed."""
    log = JsonLog(sys.stdout, settings.log_level, pair=settings.pair, side=settings.side)
    services = build_local_services(settings)
    credential = PeerCredential(settings, services)
    status = await wait_for_peer(credential, services.clock, log, tries=MAX_CREDENTIAL_TRIES)
    if status is GuardStatus.REFUSED:
        log.line("ERROR", "finder", state="failed", reason="the guard refuses: the line before has the reason")
        return 1
    if status is not GuardStatus.READY:
        log.line("WARNING", "finder", state="waiting", reason="the peer's credential is not usable yet: next run")
        return 0
    try:
        finder = Finder(
            settings=settings,
            clock=services.clock,
            local=services.bucket,
            remote=credential.bucket,
            ledger=services.ledger,
            queue=services.queue,
            authenticator=credential.authenticator,
            parallel=services.parallel,
            log=log,
            scope=await PrefixList(services.whole_bucket, settings.prefix_list_file).read(),
            name=process_name(),
        )
        await finder.run()
        warn_of_archives({"local": services.bucket.pages, "remote": credential.bucket.pages}, log)
        await _run_sweep(settings, services, credential, log)
    except DualSyncError as e:
        log.line("ERROR", "finder", state="failed", reason=f"{type(e).__name__}: {e}")
        return 1
    return 0


def build_sweep(settings: Settings, services: LocalServices, credential: PeerCredential, log: Log) -> StaleUploadSweep:
    """Build the sweep of stale uploads, for the initiators that the settings and the guard name."""
    return StaleUploadSweep(
        clock=services.clock,
        local=services.bucket,
        remote=credential.bucket,
        ledger=services.ledger,
        log=log,
        initiator=credential.arn,
        by_worker=sessions_of(settings.local_account, settings.worker_role),
    )


async def _run_sweep(settings: Settings, services: LocalServices, credential: PeerCredential, log: JsonLog) -> None:
    """Run the sweep. Its failure does not make the finder's run a failure, since both are independent."""
    try:
        await build_sweep(settings, services, credential, log).run()
    except DualSyncError as e:
        log.line("WARNING", "uploads", reason=f"{type(e).__name__}: {e}")
