"""Read what the stacks' files declare of each side: `Pulumi.yaml` and `Pulumi.<stack>.yaml`, without Pulumi."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dualsync.runtime.errors import FatalError
from dualsync.runtime.operations.stacks import Pair
from dualsync.runtime.settings import ConflictPolicy, Direction, SideName

PROJECT = "dualsync"
"""Namespace of the config keys: the program's name in `Pulumi.yaml`."""
DEFAULT_PAIR = "dth-dual"
"""Name of the pair where none is configured."""
SAMPLE_ACCOUNTS = frozenset({"111122223333", "444455556666"})
"""Account numbers of AWS's documentation, which `Pulumi.yaml` has as an example."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredSide:
    """One side as the stacks' config declares it."""

    side: SideName
    """The side."""
    account_id: str
    """Account that the side is in."""
    region: str
    """Region of bucket and workers."""
    bucket: str
    """The bucket, which must exist."""
    prefix: str = ""
    """Only keys below it are synchronised."""
    profile: str = ""
    """AWS profile of the deployment; empty for the shell's credential."""
    role_arn: str = ""
    """Role that the deployment assumes."""
    external_id: str = ""
    """External id for that role."""
    endpoint: str = ""
    """Address instead of AWS's, for local emulators."""
    vpc_id: str = ""
    """VPC of workers and finder; empty for the default VPC."""
    subnet_ids: tuple[str, ...] = ()
    """Subnets of workers and finder; empty for all that lead out."""
    public_ip: bool | None = None
    """Whether machines get public addresses; None where the subnets' routes decide."""
    by_proxy: bool = False
    """Whether workers and finder reach AWS through a proxy."""
    image: str = ""
    """The finder's image; empty for the stock image."""
    instance_type: str = "t4g.micro"
    """Instance type of the workers."""
    architecture: str = "arm64"
    """Processor architecture of the instance type."""
    topic: str = ""
    """SNS topic through which the bucket's events come; empty for the bucket's own notifications."""
    user_name: str = ""
    """Name of the dedicated user, if config gives one."""
    issuer: str = ""
    """Address of the side's token issuer, if the sides are roles for each other."""
    keep_loser: bool | None = None
    """Whether a conflict's loser is kept, as the stack that provisions the side states it; None if it does not."""
    managed: bool = True
    """Whether one of the stacks that were read provisions it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """The pair as it is configured, deployed or not."""

    pair: str = DEFAULT_PAIR
    """Name of the pair."""
    sides: Mapping[SideName, DeclaredSide] = field(default_factory=dict)
    """What is declared of each side."""
    direction: Direction = Direction.BOTH
    """Directions in which changes are copied."""
    source: str = ""
    """The files that were read."""
    faults: Sequence[str] = ()
    """Contradictions between the files: what is wrong; what to do."""

    def is_guide(self, side: SideName) -> bool:
        """Return whether user and policy of a side have the deployment guide's names, which lack the side."""
        accounts = {declared.account_id for declared in self.sides.values()}
        return self.pair == DEFAULT_PAIR and len(accounts) == len(self.sides) == 2


def read_declaration(
    folder: Path, stacks: Mapping[SideName, str], profiles: Mapping[SideName, str] | None = None
) -> Declaration:
    """Read the program's folder. `profiles` replace the configured ones. Raises `FatalError`."""
    shared = project_values(folder)
    files, values = [], {}
    for side in SideName:
        name = stacks.get(side, str(side))
        path = folder / f"Pulumi.{name}.yaml"
        found = stack_values(path)
        if found is not None:
            files.append(path)
            values[name] = {**shared, **found}
    if not files:
        names = " and ".join(f"Pulumi.{stacks.get(side, side)}.yaml" for side in SideName)
        raise FatalError(f"{folder}: neither {names} is there; write them with `dualsync init`, or give --project DIR")
    sides: dict[SideName, DeclaredSide] = {}
    faults: list[str] = []
    for side in SideName:
        managing = [given for given in values.values() if str(side) in _list(given.get("manages"))]
        given = next(iter(managing), next(iter(values.values())))
        sides[side] = _side(side, given, bool(managing), (profiles or {}).get(side, ""))
        for name, other in values.items():
            wrong = _contradiction(side, given, other)
            if wrong:
                faults.append(
                    f"{side}.{wrong}: stack {name} has another value than the stack that manages {side}; correct either"
                )
    first = next(iter(values.values()))
    directions = {name: _direction(given, faults) for name, given in values.items()}
    if len(set(directions.values())) > 1:
        shown = ", ".join(f"{direction} in {name}" for name, direction in directions.items())
        faults.append(f"direction: the stacks differ ({shown}); give both the same, best in Pulumi.yaml")
    faults += sorted({fault for name, given in values.items() for fault in _useless_keys(given, directions[name])})
    return Declaration(
        pair=str(first.get("pair") or DEFAULT_PAIR),
        sides=sides,
        direction=next(iter(directions.values())),
        source=", ".join(str(path) for path in files),
        faults=faults,
    )


def declaration_of(pair: Pair) -> Declaration:
    """Return the declaration that a deployed pair's outputs show. It lacks network, image and instance type."""
    sides = {
        side: DeclaredSide(
            side=side,
            account_id=stack.fact("accountId"),
            region=stack.settings.local_region,
            bucket=stack.settings.local_bucket,
            prefix=stack.settings.local_prefix,
            profile=stack.profile,
            endpoint=stack.services.get("AWS_ENDPOINT_URL", ""),
            user_name=stack.fact("userName"),
            issuer=stack.settings.token_issuer,
            keep_loser=stack.settings.keep_loser,
            managed=False,
        )
        for side, stack in pair.stacks.items()
    }
    direction = next((stack.settings.direction for stack in pair.stacks.values()), Direction.BOTH)
    return Declaration(pair=pair.name, sides=sides, direction=direction, source="the stacks' outputs")


def project_values(folder: Path) -> dict[str, Any]:
    """Return the keys of `Pulumi.yaml` that have a value or a default, without namespace. Raises `FatalError`."""
    document = _document(folder / "Pulumi.yaml")
    if document is None:
        raise FatalError(f"{folder}: no Pulumi.yaml there; run this in the program's folder, or give --project DIR")
    found = {}
    for key, value in _mapping(document.get("config")).items():
        if isinstance(value, dict):
            value = value.get("value", value.get("default"))
        if value is not None:
            found[key.removeprefix(f"{PROJECT}:")] = value
    return found


def stack_values(path: Path) -> dict[str, Any] | None:
    """Return the keys of a stack's file without namespace; None if there is no such file. Raises `FatalError`."""
    document = _document(path)
    if document is None:
        return None
    given = _mapping(document.get("config"))
    start = f"{PROJECT}:"
    return {key[len(start) :]: value for key, value in given.items() if key.startswith(start)}


def _document(path: Path) -> dict[str, Any] | None:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as e:
        raise FatalError(f"{path}: can't be read: {' '.join(str(e).split())[:200]}; correct it") from None
    if found is not None and not isinstance(found, dict):
        raise FatalError(f"{path}: not a YAML mapping; correct it, or write it with `dualsync init --force`")
    return found or {}


def _side(side: SideName, given: Mapping[str, Any], managed: bool, profile: str) -> DeclaredSide:
    own = _mapping(given.get(str(side)))
    # A stack's keys at the top are options of the sides that it manages.
    merged = {**(given if managed else {}), **own}
    for name in ("accountId", "region", "bucket"):
        if not own.get(name):
            raise FatalError(
                f"dualsync:{side}.{name}: is missing; give it in the stack's file, or write the file with"
                " `dualsync init`"
            )

    def text(name: str, default: str = "") -> str:
        value = merged.get(name)
        return str(value) if value not in (None, "") else default

    public, keep = _value(merged.get("publicIp")), _value(given.get("keepLoser"))
    return DeclaredSide(
        side=side,
        account_id=text("accountId"),
        region=text("region"),
        bucket=text("bucket"),
        prefix=str(own.get("prefix") or ""),
        profile=profile or str(own.get("profile") or ""),
        role_arn=str(own.get("roleArn") or "") if not profile else "",
        external_id=str(own.get("externalId") or ""),
        endpoint=str(own.get("endpoint") or ""),
        vpc_id=text("vpcId"),
        subnet_ids=tuple(_list(merged.get("subnetIds"))),
        public_ip=public if isinstance(public, bool) else None,
        by_proxy=bool(text("httpsProxy")),
        image=text("finderImage"),
        instance_type=text("instanceType", "t4g.micro"),
        architecture=text("architecture", "arm64"),
        topic=str(own.get("eventsTopicArn") or ""),
        user_name=str(own.get("userName") or ""),
        issuer=str(own.get("issuer") or ""),
        keep_loser=keep if isinstance(keep, bool) else None,
        managed=managed,
    )


def _contradiction(side: SideName, given: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Return the fact of a side that two stacks state differently; empty for none."""
    mine, theirs = _mapping(given.get(str(side))), _mapping(other.get(str(side)))
    for name in ("accountId", "region", "bucket", "prefix", "issuer"):
        if str(mine.get(name) or "") != str(theirs.get(name) or ""):
            return name
    return ""


def _direction(given: Mapping[str, Any], faults: list[str]) -> Direction:
    """Return a stack's direction; what is none counts as both, and is a fault."""
    text = str(given.get("direction") or Direction.BOTH)
    if text in list(Direction):
        return Direction(text)
    faults.append(f"direction={text!r}: unknown choice; use one of {', '.join(Direction)}")
    return Direction.BOTH


def _useless_keys(given: Mapping[str, Any], direction: Direction) -> list[str]:
    """Return which keys of a stack the program refuses beside its one-way direction."""
    two_way = {"conflictPolicy": ConflictPolicy.NEWEST, "keepLoser": False, "peerIdentity": "user"}
    return [
        f"{key}={given[key]!r}: has no use with direction={str(direction)!r}; remove it, or set direction to both"
        for key, default in two_way.items()
        if direction.one_way and _value(given.get(key)) not in (None, "", default)
    ]


def _value(given: object) -> object:
    """Return a value as the program reads it: `pulumi config set` writes text, whatever the key's type is."""
    try:
        found = json.loads(given) if isinstance(given, str) else given
    except ValueError:
        return given
    return found if isinstance(found, bool | dict | list) else given


def _mapping(given: object) -> dict[str, Any]:
    value = _value(given)
    return {str(key): each for key, each in value.items()} if isinstance(value, dict) else {}


def _list(given: object) -> list[str]:
    value = _value(given)
    return [str(each) for each in value] if isinstance(value, list) else []
