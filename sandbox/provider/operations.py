"""What a provider does: check, diff, create, read, update, delete; invoke. One code for both ways in."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any

from sandbox.provider import types
from sandbox.provider.base import REGISTRY, Account, Properties, Resource
from sandbox.provider.catalogue import LOOKUPS


class Invalid(Exception):
    """Inputs that the provider refuses; `problems` are (property, reason)."""

    def __init__(self, resource: str, problems: list[tuple[str, str]]) -> None:
        super().__init__(f"{resource}: " + "; ".join(f"{where} {why}" for where, why in problems))
        self.problems = problems


class UnknownToken(Exception):
    """The sandbox has no handler for this type or function."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Inputs that changed, and those of them for which AWS wants a new resource."""

    changed: tuple[str, ...]
    replacing: tuple[str, ...]


def handler(token: str) -> type[Resource]:
    """The handler's class. Raises `UnknownToken`."""
    try:
        return REGISTRY[token]
    except KeyError:
        raise UnknownToken(f"the sandbox has no handler for {token}: add one under sandbox/resources") from None


def check(token: str, name: str, inputs: Properties, old: Properties | None = None) -> Properties:
    """The inputs with what the provider fills in. Raises `Invalid` with all that is wrong."""
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
        raise Invalid(f"{token} {name}", found)
    return filled


def diff(token: str, old: Properties, new: Properties) -> Difference:
    """Between two sets of checked inputs; JSON documents are compared by what they say."""
    kind = handler(token)
    names = sorted(k for k in {*old, *new} if not same(kind, k, old.get(k), new.get(k)))
    return Difference(tuple(names), tuple(n for n in names if n in kind.replaces))


def same(kind: type[Resource], name: str, old: Any, new: Any) -> bool:
    """Whether two values of an input mean the same."""
    if old == new or (old in (None, "", [], {}) and new in (None, "", [], {})):
        return True
    if name in kind.documents and isinstance(old, str) and isinstance(new, str):
        try:
            return bool(json.loads(old) == json.loads(new))
        except json.JSONDecodeError:
            return False
    return False


def create(token: str, account: Account, inputs: Properties) -> tuple[str, Properties]:
    """Make it; the id and the outputs. A resource that can't be read back was not made."""
    resource = handler(token)(account)
    full = _with_tags(resource, inputs)
    made = resource.create(full)
    id, told = made if isinstance(made, tuple) else (made, {})
    live = resource.read(id, {**full, **told})
    if live is None:
        raise RuntimeError(f"{token} {id}: was created and is not there")
    return id, {**live, **full, **told, "id": id}


def read(token: str, account: Account, id: str, state: Properties) -> Properties | None:
    """The outputs as they are now, None when it is gone. What only the creation told is kept."""
    live = handler(token)(account).read(id, state)
    return None if live is None else {**state, **live, "id": id}


def update(token: str, account: Account, id: str, state: Properties, old: Properties, new: Properties) -> Properties:
    """Change it in place, from inputs `old` to inputs `new`; the outputs. `state` is the outputs so far."""
    resource = handler(token)(account)
    full = _with_tags(resource, new)
    told = {k: v for k, v in state.items() if k == "tagsAll" or not types.has(token, k)}
    resource.update(id, {**told, **old}, full)
    live = resource.read(id, {**told, **full}) or {}
    return {**told, **live, **full, "id": id}


def delete(token: str, account: Account, id: str, state: Properties) -> None:
    """Take it away. Harmless when it is gone."""
    handler(token)(account).delete(id, state)


def invoke(token: str, account: Account, arguments: Properties) -> Properties:
    """A function's answer. Raises `UnknownToken`."""
    function = LOOKUPS.get(token)
    if function is None:
        raise UnknownToken(f"the sandbox has no answer to {token}: add one to sandbox/resources/lookups.py")
    return {**arguments, **function(account, arguments)}


def all_tags(token: str, account: Account, inputs: Properties) -> dict[str, str] | None:
    """The provider's default tags and the resource's own; None where the type has no tags of the common form."""
    if not types.has(token, "tags") or isinstance(inputs.get("tags"), list):
        return None
    return {**account.default_tags, **(inputs.get("tags") or {})}


def _with_tags(resource: Resource, inputs: Properties) -> Properties:
    tags = all_tags(resource.token, resource.account, inputs)
    return inputs if tags is None else {**inputs, "tagsAll": tags}
