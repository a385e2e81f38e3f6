"""The worker's process, built from its settings."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys

from dualsync.runtime.app.resources import log_resources
from dualsync.runtime.app.supervisor import end_with_parent
from dualsync.runtime.app.wiring import LocalServices, PeerCredential, build_copier, build_local_services, process_name
from dualsync.runtime.aws.http.body_memory import BUDGET_BYTES
from dualsync.runtime.errors import CredentialRejectedError, UnavailableError
from dualsync.runtime.log import JsonLog, State
from dualsync.runtime.messages.parser import Principals
from dualsync.runtime.service.circuit_breaker import CircuitBreaker
from dualsync.runtime.service.consumer import Consumer
from dualsync.runtime.service.heartbeat import HeartbeatLog
from dualsync.runtime.service.key_locks import KeyLocks
from dualsync.runtime.service.operator_controls import ControlsWatcher
from dualsync.runtime.service.peer_credential import GuardStatus, wait_for_peer
from dualsync.runtime.service.prefix_list import PrefixList, PrefixListWatcher
from dualsync.runtime.service.receive_gate import ReceiveGates
from dualsync.runtime.service.store_warnings import watch_stores
from dualsync.runtime.service.systemd_watchdog import feed_watchdog
from dualsync.runtime.settings import Settings
from dualsync.runtime.sync.context import SyncContext
from dualsync.runtime.sync.fleet_upload import PART_REQUESTS_AT_ONCE
from dualsync.runtime.sync.handler import MessageHandler
from dualsync.runtime.sync.service_health import ServiceHealth, probe
from dualsync.runtime.transfer.condition_proof import warn_of_ignored_conditions
from dualsync.runtime.transfer.throttle import Throttle, ThrottledBucket

OWN_ROLE_PAUSES = (1, 2, 4, 8, 16)
"""Seconds between the tries to read this worker's own identity."""


async def run_worker(settings: Settings, content_bytes: int | None = None, *, supervised: bool = False) -> None:
    """Run a worker until SIGTERM or SIGINT, then drain. Raises `FatalError` for what only an operator can fix.

    Args:
        settings: The worker's settings.
        content_bytes: Most bytes of objects' contents in memory; None for `BUDGET_BYTES`.
        supervised: Standard input is a pipe of a supervisor; the process ends with it.
    """
    services = build_local_services(settings, content_bytes or BUDGET_BYTES)
    plain = JsonLog(sys.stdout, settings.log_level, pair=settings.pair, side=settings.side)
    # Once, so that an operator sees what a machine really runs with; no setting is a secret.
    plain.line("INFO", "started", settings=settings.to_environment())
    log = HeartbeatLog(plain, services.clock, process_name())
    credential = PeerCredential(settings, services)
    health = ServiceHealth()
    throttle = Throttle(services.clock)
    controls = ControlsWatcher(services.ledger, services.clock, plain, throttle)
    listed = PrefixListWatcher(PrefixList(services.whole_bucket, settings.prefix_list_file), services.clock, plain)
    context = SyncContext(
        settings=settings,
        clock=services.clock,
        local=services.bucket,
        remote=ThrottledBucket(credential.bucket, throttle),
        ledger=services.ledger,
        queue=services.queue,
        copier=build_copier(settings, services),
        principals=Principals(frozenset(settings.own_user_ids), await _own_role(services)),
        authenticator=credential.authenticator,
        log=log,
    )

    connected = asyncio.Event()

    async def connect() -> bool:
        ready = await wait_for_peer(credential, services.clock, log) is GuardStatus.READY
        log.guard = credential.user_id
        if ready:
            connected.set()
        if ready and log.state in (State.WAITING_FOR_PEER, State.GUARD_REFUSED):
            log.line("INFO", "state", state=State.RUNNING)
        return ready

    async def check_conditional_writes() -> None:
        # Not before the guard has found that these are the right buckets. A one-way source is only read.
        await connected.wait()
        local = {} if settings.direction.one_way else {"local": services.bucket}
        await warn_of_ignored_conditions({"remote": credential.bucket, **local}, services.clock, log)

    handler = MessageHandler(
        context,
        health=health,
        locks=KeyLocks(),
        covers=listed.covers,
        part_slots=asyncio.Semaphore(PART_REQUESTS_AT_ONCE),
        on_event=log.record_event,
    )
    consumer = Consumer(
        queue=services.queue,
        clock=services.clock,
        log=log,
        process=handler.process,
        connect=connect,
        circuit=CircuitBreaker(
            health, lambda: probe(services.bucket, credential.bucket, services.ledger), services.clock, log
        ),
        health=health,
        concurrency=settings.worker_concurrency,
        visibility_seconds=settings.visibility_seconds,
        gate=ReceiveGates([controls, listed]),
    )
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, consumer.stop)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, log_resources, plain)
    # Workers that share the direction's limits count each other by their records: write this one's before the first
    # share is taken.
    await log.write(services.ledger)
    await asyncio.gather(controls.poll(), listed.poll())
    beside = [
        asyncio.create_task(controls.watch()),
        asyncio.create_task(listed.watch()),
        asyncio.create_task(log.beat(services.ledger, lambda: consumer.in_flight)),
        asyncio.create_task(feed_watchdog(os.environ, services.clock)),
        asyncio.create_task(check_conditional_writes()),
        asyncio.create_task(watch_stores({"local": services.bucket, "remote": credential.bucket}, services.clock, log)),
    ]
    if supervised:
        # Without its supervisor nothing would stop this process at the end. What it has in hand comes back by itself.
        beside.append(asyncio.create_task(end_with_parent(lambda: os._exit(1))))
    # Objects made at the start live until the end. A collection that visits them takes 70 ms in which nothing moves.
    gc.freeze()
    try:
        await consumer.run()
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await log.write_last(services.ledger, sys.exception())


async def _own_role(services: LocalServices) -> str:
    """Return the id by which events of the local bucket name this worker's own writes."""
    for pause in OWN_ROLE_PAUSES:
        try:
            return (await services.identity.user_id()).split(":", 1)[0]
        except (UnavailableError, CredentialRejectedError):
            await services.clock.sleep(pause)
    return (await services.identity.user_id()).split(":", 1)[0]
