"""What a handler is, and the account it acts in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import boto3
from botocore.exceptions import ClientError

from sandbox.cloud.handle import client
from sandbox.cloud.request_models import watch

Properties = dict[str, Any]


@dataclass
class Account:
    """One account as a provider instance reaches it. Clients are made once and shared by threads."""

    session: boto3.Session
    endpoint: str
    account_id: str
    region: str
    partition: str
    dns_suffix: str
    default_tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str) -> Any:
        """Return a boto3 client in this account. A call outside AWS's models raises `InvalidRequestError`."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = watch(client(self.session, service, self.endpoint))
            return self._clients[service]

    def arn(self, service: str, resource: str) -> str:
        """ARN of something in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"


class Resource:
    """Handler of one resource type; subclasses say what is AWS's, `operations` does the rest.

    `create` gives the id, or the id and what only the creation tells (a secret key). `read` gives the properties as
    they are in the account now, None when there is no such thing. `update` is given inputs, and of the old state also
    what AWS told. `replaces` names the inputs that AWS can't change.
    """

    token: ClassVar[str]
    replaces: ClassVar[frozenset[str]] = frozenset()
    secret_outputs: ClassVar[frozenset[str]] = frozenset()
    autonamed: ClassVar[str] = ""
    """Input that gets the logical name and a random suffix when it is not given."""

    documents: ClassVar[frozenset[str]] = frozenset()
    """Inputs that are JSON documents: parsed when checked, compared as values."""

    def __init__(self, account: Account) -> None:
        self.account = account

    def create(self, inputs: Properties) -> str | tuple[str, Properties]:
        raise NotImplementedError(f"{self.token}: create")

    def read(self, id: str, state: Properties) -> Properties | None:
        raise NotImplementedError(f"{self.token}: read")

    def update(self, id: str, old: Properties, new: Properties) -> None:
        raise NotImplementedError(f"{self.token}: update of {sorted(k for k in new if old.get(k) != new[k])}")

    def delete(self, id: str, state: Properties) -> None:
        raise NotImplementedError(f"{self.token}: delete")


REGISTRY: dict[str, type[Resource]] = {}
"""Handlers by type token."""


def handles(token: str) -> Callable[[type[Resource]], type[Resource]]:
    """Registers a class as the handler of `token`."""

    def register(kind: type[Resource]) -> type[Resource]:
        kind.token = token
        REGISTRY[token] = kind
        return kind

    return register


def found(call: Callable[..., Any], absent: tuple[str, ...], **arguments: Any) -> Any:
    """The call's answer, or None when the error's code is one of `absent`."""
    try:
        return call(**arguments)
    except ClientError as e:
        if e.response["Error"]["Code"] in absent:
            return None
        raise


def present(**values: Any) -> Properties:
    """The arguments that are not None: what boto3 wants left out."""
    return {k: v for k, v in values.items() if v is not None}


def tag_list(inputs: Properties, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """`tagsAll` as most services want it."""
    return [{key: k, value: v} for k, v in sorted(inputs.get("tagsAll", {}).items())]


def tag_map(tags: Any, key: str = "Key", value: str = "Value") -> dict[str, str]:
    """And back."""
    return {t[key]: t[value] for t in tags or ()}


def retag(old: Properties, new: Properties) -> tuple[dict[str, str], list[str]]:
    """(tags to set, names of tags to remove) between two states."""
    before, after = old.get("tagsAll") or {}, new.get("tagsAll") or {}
    return {k: v for k, v in after.items() if before.get(k) != v}, [k for k in before if k not in after]


def changed(old: Properties, new: Properties, *names: str) -> bool:
    """Whether any of the named inputs differs."""
    return any(old.get(n) != new.get(n) for n in names)
