"""What a rule sees: the resources of a plan as plain data, with what only the deployment will know marked as such."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final


class Later(Enum):
    """Stands where a value is not known at preview."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Later.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The provider that a resource goes through: in this program, one side's account. `urn` tells sides apart."""

    urn: str
    name: str
    properties: Mapping[str, Any] = field(default_factory=dict)

    @property
    def region(self) -> str:
        """The provider's region, or nothing where it has none."""
        value = self.properties.get("region", "")
        return value if isinstance(value, str) else ""

    @property
    def default_tags(self) -> Mapping[str, str]:
        """Tags that the provider puts on everything."""
        tags = structured(self.properties.get("defaultTags"))
        found = tags.get("tags") if isinstance(tags, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    @property
    def account_ids(self) -> tuple[str, ...]:
        """Accounts that the provider refuses not to be in."""
        ids = structured(self.properties.get("allowedAccountIds"))
        return tuple(str(i) for i in ids) if isinstance(ids, list) else ()

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Addresses given instead of AWS's: a stand-in cloud's."""
        given = structured(self.properties.get("endpoints")) or []
        blocks = given if isinstance(given, list) else [given]
        return tuple(
            sorted(
                {str(v) for block in blocks if isinstance(block, Mapping) for v in block.values() if isinstance(v, str)}
            )
        )

    @property
    def default(self) -> bool:
        """Whether it is the one that Pulumi makes up when a resource names none."""
        return self.name.startswith("default")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource of the plan. `depends` are the URNs that each property's value was made from."""

    type: str
    name: str
    urn: str
    properties: Mapping[str, Any]
    account: Account | None = None
    depends: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    protect: bool = False
    ignore_changes: tuple[str, ...] = ()
    delete_before_replace: bool | None = None

    @property
    def kind(self) -> str:
        """`aws:iam/user:User` → `iam.User`; other packages' types as they are."""
        package, _, rest = self.type.partition(":")
        module, _, name = rest.partition(":")
        return f"{module.partition('/')[0]}.{name}" if package == "aws" else self.type

    def get(self, path: str) -> Any:
        """A nested property (`metadataOptions.httpTokens`), None if absent, `UNKNOWN` as soon as a part is unknown."""
        value: Any = self.properties
        for part in path.split("."):
            if value is UNKNOWN:
                return UNKNOWN
            if not isinstance(value, Mapping):
                return None
            value = value.get(part)
        return value

    def items(self, path: str) -> list[Any]:
        """A nested list, or its one item where the provider flattens it; empty if absent or unknown."""
        value = self.get(path)
        if value is None or value is UNKNOWN:
            return []
        return list(value) if isinstance(value, (list, tuple)) else [value]

    def knows(self, path: str) -> bool:
        """Whether the value is known at this stage."""
        return self.get(path) is not UNKNOWN


@dataclass(frozen=True, slots=True)
class Plan:
    """All resources of a stack."""

    resources: tuple[Resource, ...]

    def of(self, *kinds: str) -> Iterator[Resource]:
        """Those of these kinds."""
        return (r for r in self.resources if r.kind in kinds)

    def behind(self, resource: Resource, path: str, *kinds: str) -> list[Resource]:
        """Resources of these kinds that a property was made from. Known at preview too, when values are not."""
        urns = resource.depends.get(path, ())
        return [r for r in self.resources if r.urn in urns and (not kinds or r.kind in kinds)]


def as_account(provider: Resource) -> Account:
    """A provider, which is a resource too, as the account that it leads to."""
    return Account(urn=provider.urn, name=provider.name, properties=provider.properties)


def structured(value: Any) -> Any:
    """Providers' lists and objects travel as JSON text."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    return value


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, text) of every text inside a value."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from texts(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from texts(inner, f"{path}[{number}]")


def known(values: Iterable[Any]) -> list[Any]:
    """Those that are there and known."""
    return [v for v in values if v is not None and v is not UNKNOWN]
