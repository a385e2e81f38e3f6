"""The operations of a provider (check, diff, create, read, update, delete, invoke), for both front ends."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any

from sandbox.provider import types
from sandbox.provider.base import REGISTRY, Account, Properties, Resource
from sandbox.provider.catalogue import LOOKUPS


class InvalidInputsError(Exception):
    """The provider refuses the inputs; `problems` are pairs of property and reason."""

    def __init__(self, resource: str, problems: list[tuple[str, str]]) -> None:
        super().__init__(f"{resource}: " + "; ".join(f"{where} {why}" for where, why in problems))
        self.problems = problems


class UnknownTokenError(Exception):
    """The sandbox has no handler for this type or function."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference of two sets of inputs."""

    changed: tuple[str, ...]
    """Inputs that differ."""

    replacing: tuple[str, ...]
    """Those of them that require a new resource."""


def handler(token: str) -> type[Resource]:
    """Return the handler's class. Raises `UnknownTokenError`."""
    try:
        return REGISTRY[token]
    except KeyError:
        raise UnknownTokenError(f"no handler for {token}: add one under sandbox/provider/services") from None


def check(token: str, name: str, inputs: Properties, old: Properties | None = None) -> Properties:
    """Return the inputs with the provider's defaults. Raises `InvalidInputsError` with every problem."""
    kind = handler(token)
    filled = {k: v for k, v in inputs.items() if v is not None}
    if kind.autonamed and not filled.get(kind.autonamed):
        before = (old or {}).get(kind.autonamed)
        filled[kind.autonamed] = before or f"{name}-{secrets.token_hex(4)[:7]}"
    found = types.problems(token, filled)
    for document in sorted(kind.documents):
        text = filled.get(document)
        if isinstance(text, str) and text and not types.is_unknown(text):
            try:
                json.loads(text)
            except json.JSONDecodeError as e:
                found.append((document, f"is not JSON ({e})"))
    if found:
        raise InvalidInputsError(f"{token} {name}", found)
    return filled


def diff(token: str, old: Properties, new: Properties) -> Difference:
    """Compare two sets of checked inputs; JSON documents are compared by their values."""
    kind = handler(token)
    names = sorted(k for k in {*old, *new} if not same(kind, k, old.get(k), new.get(k)))
    return Difference(tuple(names), tuple(n for n in names if n in kind.replaces))


def same(kind: type[Resource], name: str, old: Any, new: Any) -> bool:
    """Return whether two values of an input are equivalent."""
    if old == new or (old in (None, "", [], {}) and new in (None, "", [], {})):
        return True
    if name in kind.documents and isinstance(old, str) and isinstance(new, str):
        try:
            return bool(json.loads(old) == json.loads(new))
        except json.JSONDecodeError:
            return False
    return False


def create(token: str, account: Account, inputs: Properties) -> tuple[str, Properties]:
    """Create a resource and return id and outputs. A resource that can't be read back was not created."""
    resource = handler(token)(account)
    full = _with_tags(resource, inputs)
    made = resource.create(full)
    id, created = made if isinstance(made, tuple) else (made, {})
    live = resource.read(id, {**full, **created})
    if live is None:
        raise RuntimeError(f"{token} {id}: was created but can't be read back")
    return id, {**live, **full, **created, "id": id}


def read(token: str, account: Account, id: str, state: Properties) -> Properties | None:
    """Return the current outputs, None when it does not exist. Outputs that only the creation returned are kept."""
    live = handler(token)(account).read(id, state)
    return None if live is None else {**state, **live, "id": id}


def update(token: str, account: Account, id: str, state: Properties, old: Properties, new: Properties) -> Properties:
    """Change it in place from inputs `old` to `new` and return the outputs; `state` are the outputs so far."""
    resource = handler(token)(account)
    full = _with_tags(resource, new)
    outputs = {k: v for k, v in state.items() if k == "tagsAll" or not types.has(token, k)}
    resource.update(id, {**outputs, **old}, full)
    live = resource.read(id, {**outputs, **full}) or {}
    return {**outputs, **live, **full, "id": id}


def delete(token: str, account: Account, id: str, state: Properties) -> None:
    """Delete it. Does nothing when it does not exist."""
    handler(token)(account).delete(id, state)


def invoke(token: str, account: Account, arguments: Properties) -> Properties:
    """Return the answer of a function. Raises `UnknownTokenError`."""
    function = LOOKUPS.get(token)
    if function is None:
        raise UnknownTokenError(f"no function {token}: add one to sandbox/provider/services/data_sources.py")
    return {**arguments, **function(account, arguments)}


def all_tags(token: str, account: Account, inputs: Properties) -> dict[str, str] | None:
    """Join the provider's default tags and the resource's own; None where the type has no tags of the common form."""
    if not types.has(token, "tags") or isinstance(inputs.get("tags"), list):
        return None
    return {**account.default_tags, **(inputs.get("tags") or {})}


def _with_tags(resource: Resource, inputs: Properties) -> Properties:
    tags = all_tags(resource.token, resource.account, inputs)
    return inputs if tags is None else {**inputs, "tagsAll": tags}
