"""Pulumi's mock monitor in front of the resource handlers, which create each resource in the local cloud emulator."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc

from sandbox.environment.workspace import Workspace
from sandbox.provider import operations
from sandbox.provider.access import account_of
from sandbox.provider.base import Account, Properties
from sandbox.provider.services.data_sources import AbsentError

Progress = Callable[[str, str], None]
"""Called with type and name of each resource that was created."""


class Sandboxed(mocks.Mocks):
    """Creates resources and answers lookups by the handlers, in the account of the provider instance."""

    def __init__(self, workspace: Workspace, progress: Progress) -> None:
        self._workspace = workspace
        self._progress = progress
        self._accounts: dict[str, Account] = {}
        self._lock = threading.Lock()
        self.resources: list[dict[str, Any]] = []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        inputs = revealed(args.inputs)
        if args.typ.startswith("pulumi:providers:"):
            with self._lock:
                self._accounts[args.name] = account_of(inputs)
            return args.name, inputs
        if not args.custom:
            return "", inputs
        account = self._account(args.provider)
        checked = operations.check(args.typ, args.name, inputs)
        id, outputs = operations.create(args.typ, account, checked)
        self._progress(args.typ, args.name)
        with self._lock:
            self.resources.append(
                {
                    "type": args.typ,
                    "name": args.name,
                    "id": id,
                    "account": account.account_id,
                    "provider": args.provider,
                    "outputs": {k: v for k, v in outputs.items() if not isinstance(v, pulumi.Asset)},
                }
            )
        hidden = operations.handler(args.typ).secret_outputs
        return id, {k: wrapped(v) if k in hidden and v else v for k, v in outputs.items() if k != "id"}

    def call(self, args: mocks.MockCallArgs) -> Any:
        arguments = revealed(args.args)
        if args.token == "pulumi:pulumi:readStackOutputs":
            name = arguments["name"].split("/")[-1]
            state = self._workspace.stack(name)
            if state is None:
                # With the engine's text. An exception would end the program instead of failing the call.
                return {}, [("name", f"unknown stack {arguments['name']!r}")]
            return {"outputs": state["outputs"], "secretOutputNames": state["secretOutputNames"]}, []
        account = self._account(args.provider)
        try:
            return operations.invoke(args.token, account, arguments), []
        except AbsentError as e:
            # An exception would end the program instead of failing the call.
            return {}, [("", str(e))]

    def _account(self, provider: str | None) -> Account:
        """Return the account of a provider reference `urn::id`, whose id is the provider's name."""
        name = (provider or "").rpartition("::")[2]
        with self._lock:
            if name not in self._accounts:
                raise LookupError(f"no provider {provider!r}: default providers are disabled")
            return self._accounts[name]


class Monitor(mocks.MockMonitor):
    """The mock monitor, keeping the stack's outputs."""

    def __init__(self, sandboxed: Sandboxed) -> None:
        super().__init__(sandboxed)
        self.outputs: Properties = {}
        self.secret_names: list[str] = []

    def RegisterResourceOutputs(self, request: Any) -> Any:
        if "pulumi:pulumi:Stack" in request.urn:
            raw = rpc.deserialize_properties(request.outputs)
            self.secret_names = sorted(k for k, v in raw.items() if is_secret(v))
            self.outputs = revealed(raw)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


def is_secret(value: Any) -> bool:
    """Return whether a value, or anything in it, is wrapped as a secret."""
    if isinstance(value, dict):
        return value.get(rpc._special_sig_key) == rpc._special_secret_sig or any(map(is_secret, value.values()))
    return isinstance(value, list) and any(map(is_secret, value))


def revealed(value: Any) -> Any:
    """Return the value without wrappers of secrets. Whole numbers become integers, as the protocol has only doubles."""
    if isinstance(value, dict):
        if value.get(rpc._special_sig_key) == rpc._special_secret_sig:
            return revealed(value["value"])
        return {k: revealed(v) for k, v in value.items()}
    if isinstance(value, list):
        return [revealed(v) for v in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def wrapped(value: Any) -> Any:
    """Wrap a value as a secret."""
    return {rpc._special_sig_key: rpc._special_secret_sig, "value": value}
