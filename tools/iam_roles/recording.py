"""Record every call to AWS during a pair's whole life in the sandbox: deploy, refresh, change, destroy."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from unittest import mock

import pulumi
from botocore.client import BaseClient

from dualsync.components.config.model import PairModel, PeerIdentity
from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.environment.environment import Stage
from sandbox.environment.stack_config import config_of
from sandbox.provider import operations
from sandbox.provider.mock_monitor import Monitor, Sandboxed, revealed, wrapped


class Phase(StrEnum):
    """What a deployment was doing when it made a call."""

    PREVIEW = "preview"
    """The program looks something up: all that a preview needs."""

    REFRESH = "refresh"
    """Every resource is read, as a refresh and a drift check do."""

    CHANGE = "change"
    """Resources are created, changed and deleted."""


@dataclass(frozen=True, slots=True, order=True)
class Call:
    """One operation of one service."""

    side: str
    """The side in whose account it was."""
    service: str
    """Name of the service."""
    operation: str
    """Name of the operation in the service's API."""
    bucket: str = ""
    """The data bucket, if the call was about that."""
    stack: str = ""
    """The stack that made it."""


@dataclass
class Recorder:
    """Records the calls of each phase."""

    data_buckets: frozenset[str]
    """Names of the synchronised buckets."""
    calls: dict[Phase, set[Call]] = field(default_factory=lambda: {phase: set() for phase in Phase})
    """Calls by phase."""
    phase: Phase = Phase.CHANGE
    """The current phase."""
    stack: str = ""
    """The stack that is deployed now."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Lock for the fields that several threads use."""

    def note(self, service: str, operation: str, region: str, parameters: Mapping[str, Any]) -> None:
        side = next((str(s) for s, a in ACCOUNTS.items() if a.region == region), "")
        bucket = str(parameters.get("Bucket", "")) if service == "s3" else ""
        with self._lock:
            about = bucket if bucket in self.data_buckets else ""
            self.calls[self.phase].add(Call(side, service, operation, about, self.stack))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Record every call of every client in this process."""
        make = BaseClient._make_api_call  # type: ignore[attr-defined]

        def noted(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
            model = client.meta.service_model
            self.note(model.service_name, operation, client.meta.region_name, parameters)
            return make(client, operation, parameters)

        with mock.patch.object(BaseClient, "_make_api_call", noted):
            yield


@dataclass
class _Made:
    """A resource that the last run has created."""

    token: str
    """Type of the resource."""
    account: Any
    """The provider's account."""
    id: str
    """Id of the resource."""
    inputs: dict[str, Any]
    """Its inputs."""
    outputs: dict[str, Any]
    """Its outputs."""


class _Life(Sandboxed):
    """Creates missing resources, changes different ones, and deletes those that the last run did not register."""

    def __init__(self, stage: Stage, recorder: Recorder) -> None:
        super().__init__(stage.workspace, lambda kind, name: None)
        self._recorder = recorder
        self.made: dict[tuple[str, str], _Made] = {}
        self.wanted: set[tuple[str, str]] = set()

    def new_resource(self, args: Any) -> tuple[str | None, dict[Any, Any]]:
        if args.typ.startswith("pulumi:providers:") or not args.custom:
            return super().new_resource(args)
        key = (args.typ, args.name)
        with self._lock:
            self.wanted.add(key)
        account = self._account(args.provider)
        inputs = operations.check(args.typ, args.name, revealed(args.inputs))
        old = self.made.get(key)
        made = old if old is not None and _same(old, inputs) else self._made(args, account, old, inputs)
        with self._lock:
            self.made[key] = made
        hidden = operations.handler(args.typ).secret_outputs
        shown = {k: wrapped(v) if k in hidden and v else v for k, v in made.outputs.items() if k != "id"}
        return made.id, shown

    def _made(self, args: Any, account: Any, old: _Made | None, inputs: dict[str, Any]) -> _Made:
        if old is not None:
            if not operations.diff(args.typ, old.inputs, inputs).replacing:
                outputs = operations.update(args.typ, account, old.id, old.outputs, old.inputs, inputs)
                return _Made(args.typ, account, old.id, inputs, outputs)
            operations.delete(args.typ, account, old.id, old.outputs)
        id, outputs = operations.create(args.typ, account, inputs)
        return _Made(args.typ, account, id, inputs, outputs)

    def call(self, args: Any) -> Any:
        before, self._recorder.phase = self._recorder.phase, Phase.PREVIEW
        try:
            return super().call(args)
        finally:
            self._recorder.phase = before

    def refresh(self) -> None:
        """Read every resource, as a refresh does."""
        self._recorder.phase = Phase.REFRESH
        for made in self.made.values():
            operations.read(made.token, made.account, made.id, made.outputs)
        self._recorder.phase = Phase.CHANGE

    def delete_unwanted(self) -> None:
        """Delete, latest first, what the last run did not register."""
        for key in reversed([k for k in self.made if k not in self.wanted]):
            made = self.made.pop(key)
            operations.delete(made.token, made.account, made.id, made.outputs)
        self.wanted.clear()


def _same(old: _Made, inputs: dict[str, Any]) -> bool:
    tags = operations.all_tags(old.token, old.account, inputs)
    unchanged = not operations.diff(old.token, old.inputs, inputs).changed
    return unchanged and (tags is None or tags == old.outputs.get("tagsAll", {}))


CHANGES: Mapping[str, Any] = {
    "tags": {"team": "storage"},
    "alarmEmail": "storage@example.com",
    "logRetentionDays": 30,
    "lagAlarmSeconds": 1200,
    "deletionsAlarm": 500,
    "maxCapacity": 10,
    "instanceType": "t4g.small",
    "volumeSize": 16,
    "workerConcurrency": 16,
    "finderIntervalMinutes": 120,
    "finderMemory": 2048,
    "queueRetentionDays": 5,
    "gatewayEndpoints": True,
    "alarmTopicKey": True,
    "events": "Create",
    "acl": "",
}
"""A change of every kind that config allows for a deployed pair."""


def record(pair: PairModel) -> Recorder:
    """Deploy, refresh, change, refresh and destroy both stacks, and return every call.

    Of `pair` only the kind of peer identity is used, because it decides about kinds of resources.
    """
    with Stage.open("deployrole") as stage:
        stage.make_buckets()
        stage.build_bundles()
        recorder = Recorder(frozenset(stage.buckets.values()))
        with mock.patch.dict(os.environ, stage.workspace.environment), recorder.listening():
            lives = {side: _Life(stage, recorder) for side in SideName}
            for changes in ({}, CHANGES, {}):
                for side, life in lives.items():
                    recorder.stack = str(side)
                    _run(str(side), stage, life, {**_identity(pair, stage), **changes})
                    life.delete_unwanted()
                    life.refresh()
            for side, life in lives.items():
                recorder.stack = str(side)
                life.delete_unwanted()
    return recorder


def _identity(pair: PairModel, stage: Stage) -> dict[str, Any]:
    if pair.peer_identity is PeerIdentity.USER:
        return {}
    config = config_of(str(SideName.CN), stage.cloud.endpoint, stage.workspace.folder / "bundles")
    sides = {s: json.loads(config[f"dualsync:{s}"]) | {"issuer": pair.side(s).issuer} for s in SideName}
    return {"peerIdentity": str(pair.peer_identity), **{str(s): own for s, own in sides.items()}}


def _run(stack: str, stage: Stage, life: _Life, changes: Mapping[str, Any]) -> None:
    from pulumi.runtime import mocks
    from pulumi.runtime.settings import set_root_resource
    from pulumi.runtime.stack import run_in_stack

    from sandbox.environment.deploy import ORGANIZATION, PROJECT

    config = config_of(stack, stage.cloud.endpoint, stage.workspace.folder / "bundles", dict(changes))
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    monitor = Monitor(life)
    mocks.set_mocks(life, PROJECT, stack, False, logging.getLogger("sandbox.program"), monitor, ORGANIZATION)
    pulumi.runtime.set_all_config(config)
    set_root_resource(None)  # type: ignore[arg-type]
    try:
        loop.run_until_complete(run_in_stack(program()))
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        loop.close()


def program() -> Callable[[], None]:
    """Return the project's program."""
    import runpy

    from sandbox.environment.processes import ROOT

    def run() -> None:
        runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")

    return run
