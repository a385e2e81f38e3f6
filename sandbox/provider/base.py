"""The base class of resource handlers, and the account in which they act."""

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
    """One account as a provider instance reaches it. Clients are created once and shared by threads."""

    session: boto3.Session
    """Credentials of the provider instance."""

    endpoint: str
    """Address of all services."""

    account_id: str
    """Account id, by STS."""

    region: str
    """Region of the provider instance."""

    partition: str
    """Partition of the region."""

    dns_suffix: str
    """DNS suffix of the partition."""

    default_tags: Mapping[str, str] = field(default_factory=dict)
    """Tags that every resource gets."""

    def __post_init__(self) -> None:
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    @property
    def access_key_id(self) -> str:
        """Return the access key id of its credentials; empty without any."""
        found = self.session.get_credentials()
        return "" if found is None else str(found.access_key)

    def client(self, service: str) -> Any:
        """Return a boto3 client in this account. A call outside AWS's models raises `InvalidRequestError`."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = watch(client(self.session, service, self.endpoint))
            return self._clients[service]

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"


class Resource:
    """Handler of one resource type. Subclasses make the calls of AWS, `operations` does the rest.

    `create` returns the id, or the id and the outputs that only the creation returns (a secret key). `read` returns the
    current properties, None when the resource does not exist. `update` gets the old and new inputs, the old ones with
    the outputs of AWS. `replaces` names the inputs that AWS can't change.
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

    @staticmethod
    def imported(id: str) -> str:
        """Return the id of a resource from what `pulumi import` is given. Raises `ValueError` for another format."""
        return id

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
    """Register a class as the handler of `token`."""

    def register(kind: type[Resource]) -> type[Resource]:
        kind.token = token
        REGISTRY[token] = kind
        return kind

    return register


def found(call: Callable[..., Any], absent: tuple[str, ...], **arguments: Any) -> Any:
    """Return the answer of a call, None when the error's code is one of `absent`."""
    try:
        return call(**arguments)
    except ClientError as e:
        if e.response["Error"]["Code"] in absent:
            return None
        raise


def present(**values: Any) -> Properties:
    """Return the arguments that are not None, which boto3 does not accept."""
    return {k: v for k, v in values.items() if v is not None}


def tag_list(inputs: Properties, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Convert `tagsAll` into the list that most services take."""
    return [{key: k, value: v} for k, v in sorted(inputs.get("tagsAll", {}).items())]


def tag_map(tags: Any, key: str = "Key", value: str = "Value") -> dict[str, str]:
    """Convert a service's list of tags into a map."""
    return {t[key]: t[value] for t in tags or ()}


def retag(old: Properties, new: Properties) -> tuple[dict[str, str], list[str]]:
    """Return the tags to set and the names of tags to remove between two states."""
    before, after = old.get("tagsAll") or {}, new.get("tagsAll") or {}
    return {k: v for k, v in after.items() if before.get(k) != v}, [k for k in before if k not in after]


def changed(old: Properties, new: Properties, *names: str) -> bool:
    """Return whether any of the named inputs differs."""
    return any(old.get(n) != new.get(n) for n in names)
