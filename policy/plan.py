"""The resources of a plan as plain data. Values that are known at deployment only are marked as `UNKNOWN`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final


class Later(Enum):
    """Marks of values that are missing."""

    UNKNOWN = "unknown"
    """The value is not known at preview."""


UNKNOWN: Final = Later.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The provider that a resource goes through: in this program, one side's account."""

    urn: str
    """URN of the provider; it differs between the sides."""
    name: str
    """Logical name of the provider."""
    properties: Mapping[str, Any] = field(default_factory=dict)
    """Inputs of the provider."""

    @property
    def region(self) -> str:
        """Return the provider's region, or an empty text."""
        value = self.properties.get("region", "")
        return value if isinstance(value, str) else ""

    @property
    def default_tags(self) -> Mapping[str, str]:
        """Return the tags that the provider puts on every resource."""
        tags = structured(self.properties.get("defaultTags"))
        found = tags.get("tags") if isinstance(tags, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    @property
    def account_ids(self) -> tuple[str, ...]:
        """Return the accounts outside which the provider refuses to work."""
        ids = structured(self.properties.get("allowedAccountIds"))
        return tuple(str(i) for i in ids) if isinstance(ids, list) else ()

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Return the addresses that replace AWS's own: those of a local cloud."""
        given = structured(self.properties.get("endpoints")) or []
        blocks = given if isinstance(given, list) else [given]
        return tuple(
            sorted(
                {str(v) for block in blocks if isinstance(block, Mapping) for v in block.values() if isinstance(v, str)}
            )
        )

    @property
    def default(self) -> bool:
        """Return whether Pulumi made the provider because a resource named none."""
        return self.name.startswith("default")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource of the plan."""

    type: str
    """Pulumi's type token."""
    name: str
    """Logical name."""
    urn: str
    """URN in the stack."""
    properties: Mapping[str, Any]
    """Inputs, and outputs where they are known."""
    account: Account | None = None
    """The provider that the resource goes through."""
    depends: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """URNs of the resources that each property's value was made from."""
    protect: bool = False
    """Whether Pulumi refuses to delete it."""
    ignore_changes: tuple[str, ...] = ()
    """Properties that a deployment leaves as they are."""
    delete_before_replace: bool | None = None
    """Whether a replacement deletes before it creates; None for the provider's own choice."""

    @property
    def kind(self) -> str:
        """Return the short type: `aws:iam/user:User` → `iam.User`; other packages' types as they are."""
        package, _, rest = self.type.partition(":")
        module, _, name = rest.partition(":")
        return f"{module.partition('/')[0]}.{name}" if package == "aws" else self.type

    def get(self, path: str) -> Any:
        """Return a nested property (`metadataOptions.httpTokens`): None if absent, `UNKNOWN` if a part is unknown."""
        value: Any = self.properties
        for part in path.split("."):
            if value is UNKNOWN:
                return UNKNOWN
            if not isinstance(value, Mapping):
                return None
            value = value.get(part)
        return value

    def items(self, path: str) -> list[Any]:
        """Return a nested list, or its one item where the provider flattens it; empty if absent or unknown."""
        value = self.get(path)
        if value is None or value is UNKNOWN:
            return []
        return list(value) if isinstance(value, (list, tuple)) else [value]

    def is_known(self, path: str) -> bool:
        """Return whether the value is known at this stage."""
        return self.get(path) is not UNKNOWN


@dataclass(frozen=True, slots=True)
class Plan:
    """All resources of a stack."""

    resources: tuple[Resource, ...]
    """In the order of their registration."""

    def of(self, *kinds: str) -> Iterator[Resource]:
        """Yield the resources of these kinds."""
        return (r for r in self.resources if r.kind in kinds)

    def behind(self, resource: Resource, path: str, *kinds: str) -> list[Resource]:
        """Return the resources of these kinds that a property was made from; known at preview, when values are not."""
        urns = resource.depends.get(path, ())
        return [r for r in self.resources if r.urn in urns and (not kinds or r.kind in kinds)]


def as_account(provider: Resource) -> Account:
    """Return a provider, which is a resource too, as the account that it leads to."""
    return Account(urn=provider.urn, name=provider.name, properties=provider.properties)


def structured(value: Any) -> Any:
    """Return a provider's list or object, which travels as JSON text."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    return value


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (path, text) of every text inside a value."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from texts(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from texts(inner, f"{path}[{number}]")


def known(values: Iterable[Any]) -> list[Any]:
    """Return the values that are present and known."""
    return [v for v in values if v is not None and v is not UNKNOWN]
