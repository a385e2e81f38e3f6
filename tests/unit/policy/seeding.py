"""Put seeded violations into the program's registrations.

A seed changes one registration of the real program, or adds one, through a stack transformation, so that the same seeds
serve the mock monitor and the real engine. The seeds fit a stack that manages both sides, with `CONFIG`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi


@dataclass
class Registered:
    """The resources that the program has registered so far."""

    resources: dict[tuple[str, str], Any] = field(default_factory=dict)
    """Resources by type and logical name."""

    def __call__(self, kind: str, name: str) -> Any:
        return next(r for (t, n), r in self.resources.items() if t.endswith(f":{kind}") and n == name)

    def provider(self, side: str) -> Any:
        return next(
            r for (t, n), r in self.resources.items() if t == "pulumi:providers:aws" and n == f"dth-dual-{side}"
        )


CONFIG = {"alarmTopicKey": True}
"""Config under which the program registers all that the seeds change."""

Change = Callable[[dict[str, Any], pulumi.ResourceOptions, Registered], None]


@dataclass(frozen=True)
class Seed:
    """One violation."""

    id: str
    """Name of the seed in reports."""
    rule: str
    """The rule that must find it."""
    kind: str = ""
    """Kind of the resource that `change` applies to."""
    name: str = ""
    """Logical name of that resource."""
    change: Change | None = None
    """Function that changes one registration of the program."""
    extra: Callable[[Registered], None] | None = None
    """Function that registers an additional resource."""
    engine: bool = True
    """Whether the real engine runs it too: not if the change would break the engine, or if it adds nothing there."""
    known_later: bool = False
    """Whether the value is known only during the deployment."""
    at: str = ""
    """The resource that the rule reports, if it is not the changed one."""
    also: tuple[str, ...] = ()
    """Further rules that report the same resource."""
    also_at: tuple[str, ...] = ()
    """Further resources that the same rule reports."""
    besides: tuple[tuple[str, str], ...] = ()
    """Further (rule, resource) that the change violates."""
    apart_from: tuple[str, ...] = ()
    """Further resources whose own seeds would change what is found."""

    @property
    def caught(self) -> tuple[str, str]:
        """Return the rule, and the resource that it must report."""
        return self.rule, self.at or self.name

    @property
    def found(self) -> set[tuple[str, str]]:
        """Return all (rule, resource) that must be found, and no other."""
        at = self.at or self.name
        return {
            self.caught,
            *((rule, at) for rule in self.also),
            *((self.rule, name) for name in self.also_at),
            *self.besides,
        }

    @property
    def touched(self) -> set[str]:
        """Return the resources that no seed beside this one may change or report."""
        return {self.name, self.at, *self.apart_from, *(name for _, name in self.found)} - {""}

    def matches(self, type_: str, name: str) -> bool:
        return self.change is not None and type_.endswith(f":{self.kind}") and name == self.name


class Seeder:
    """Apply seeds to a program's registrations."""

    def __init__(self, *seeds: Seed) -> None:
        self._seeds = seeds
        self._seen = Registered()
        self.seeded: list[str] = []

    def transformation(self, args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        self._seen.resources[(args.type_, args.name)] = args.resource
        hits = [s for s in self._seeds if s.matches(args.type_, args.name)]
        if not hits:
            return None
        props, opts = dict(args.props), args.opts
        for seed in hits:
            assert seed.change is not None
            seed.change(props, opts, self._seen)
            self.seeded.append(seed.id)
        return pulumi.ResourceTransformationResult(props=props, opts=opts)

    def extra(self) -> None:
        for seed in self._seeds:
            if seed.extra is not None:
                seed.extra(self._seen)
                self.seeded.append(seed.id)


def put(**values: Any) -> Change:
    """Set properties."""

    def change(props: dict[str, Any], _: pulumi.ResourceOptions, __: Registered) -> None:
        props.update(values)

    return change


def document(key: str, edit: Callable[[dict[str, Any]], None]) -> Change:
    """Edit a policy document, which may be an output."""

    def apply(text: str) -> str:
        found: dict[str, Any] = json.loads(text)
        edit(found)
        return json.dumps(found)

    def change(props: dict[str, Any], _: pulumi.ResourceOptions, __: Registered) -> None:
        value = props[key]
        props[key] = apply(value) if isinstance(value, str) else value.apply(apply)

    return change


def user_data(edit: Callable[[str, Mapping[str, str]], str], *users: str) -> Change:
    """Edit a launch template's script; the edit gets the ids of the dedicated users `users`."""

    def change(props: dict[str, Any], _: pulumi.ResourceOptions, seen: Registered) -> None:
        ids = {u: seen("User", u).unique_id for u in users}
        props["user_data"] = pulumi.Output.all(script=props["user_data"], **ids).apply(
            lambda v: base64.b64encode(edit(base64.b64decode(v["script"]).decode(), v).encode()).decode()
        )

    return change


def variable(name: str, value: str) -> Callable[[str, Mapping[str, str]], str]:
    """Give one line of the worker's environment another value."""

    def edit(script: str, _: Mapping[str, str]) -> str:
        lines = [f'{name}="{value}"' if line.startswith(f"{name}=") else line for line in script.splitlines()]
        return "\n".join(lines) + "\n"

    return edit


def grant(actions: str | list[str], resources: str | list[str], **more: Any) -> Callable[[dict[str, Any]], None]:
    """Add a statement to a document."""

    def edit(found: dict[str, Any]) -> None:
        found["Statement"].append(
            {"Sid": "Seeded", "Effect": "Allow", "Action": actions, "Resource": resources, **more}
        )

    return edit


def without_tls(found: dict[str, Any]) -> None:
    found["Statement"] = [s for s in found["Statement"] if s["Effect"] == "Allow"] or [
        {"Effect": "Deny", "Principal": "*", "Action": "sqs:PurgeQueue", "Resource": "*"}
    ]


def option(**values: Any) -> Change:
    def change(_: dict[str, Any], opts: pulumi.ResourceOptions, __: Registered) -> None:
        for key, value in values.items():
            setattr(opts, key, value)

    return change


def at(seen: Registered, side: str = "cn") -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(provider=seen.provider(side))


def tags(part: str = "seeded") -> dict[str, str]:
    return {"dualsync:pair": "dth-dual", "dualsync:side": "cn", "dualsync:part": part}


def batches(seeds: Iterable[Seed]) -> list[list[Seed]]:
    """Group seeds that can be applied together: no two of them touch the same resource."""
    made: list[list[Seed]] = []
    for seed in seeds:
        free = (b for b in made if all(not seed.touched & other.touched for other in b))
        batch = next(free, None)
        if batch is None:
            made.append([seed])
        else:
            batch.append(seed)
    return made


def registered(_: object) -> None:
    """Do nothing: a resource registers itself when it is made."""
