"""Write the config of a pair's two stacks: `Pulumi.<stack>.yaml`, as `pulumi config` reads and changes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dualsync.runtime.errors import FatalError
from dualsync.runtime.operations.setup.declared import PROJECT
from dualsync.runtime.settings import Direction, SideName

MAX_PAIR_CHARACTERS = 63 - len("-global-artifacts-") - 12
"""Characters of a pair's name: its artifacts bucket has at most 63 with side and account (CreateBucket)."""
PULUMI_KEYS = ("secretsprovider", "encryptedkey", "encryptionsalt")
"""Keys of a stack's file that belong to Pulumi: without them the stack's secrets can't be read any more."""
PartitionOf = Callable[[str], str]

_PAIR = re.compile(r"[a-z](?:[a-z0-9-]*[a-z0-9])?")
_STACK = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_ISSUER = re.compile(r"https://[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+(/[A-Za-z0-9._~-]+)*")
_ISSUER_LENGTH = 255
_IN_FILTERS = re.compile(r"[A-Za-z0-9/!_.*'() -]")
_FILTER_LENGTH = 1024
_IMAGE = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SideAnswers:
    """What an operator gives for one side."""

    account: str
    """Account number."""
    region: str
    """Region of the bucket."""
    bucket: str
    """The bucket."""
    prefix: str = ""
    """Only keys below it are synchronised."""
    profile: str = ""
    """AWS profile of the deployment."""
    image: str = ""
    """The finder's image, by digest; China regions need one."""
    stack: str
    """Name of the stack that provisions the side."""
    issuer: str = ""
    """Address of the side's key issuer. With one for each side, the sides are roles for each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What an operator gives for a pair."""

    pair: str
    """Name of the pair."""
    sides: Mapping[SideName, SideAnswers]
    """Both sides."""
    email: str = ""
    """Address that receives the alarms."""
    keep_loser: bool = True
    """Whether a conflict's loser is kept under a conflict name. A one-way pair has no conflicts."""
    direction: Direction = Direction.BOTH
    """Directions in which changes are copied."""


def check_answer(name: str, value: str, partition_of: PartitionOf) -> str:
    """Return what is wrong with one value, and what to do; empty for nothing. `name` is the key in config."""
    if name == "pair" and not (_PAIR.fullmatch(value) and len(value) <= MAX_PAIR_CHARACTERS):
        return f"use at most {MAX_PAIR_CHARACTERS} lower-case letters, digits and hyphens, a letter first"
    if name == "direction" and value not in list(Direction):
        return f"use one of {', '.join(Direction)}"
    if name == "accountId" and not re.fullmatch(r"[0-9]{12}", value, re.ASCII):
        return "use the account's 12 digits"
    if name == "region":
        try:
            partition_of(value)
        except FatalError:
            return "is not a region of AWS; use, for example, cn-north-1 or us-west-2"
    if name == "bucket" and (not _BUCKET.fullmatch(value) or ".." in value):
        return "is not a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens"
    if name == "prefix":
        return _prefix_problem(value)
    if name == "alarmEmail" and value and not _EMAIL.fullmatch(value):
        return "use one address, or nothing"
    if name == "finderImage" and value and not _IMAGE.fullmatch(value):
        return "name the image by digest: REPOSITORY@sha256:<64 hexadecimal digits>, or give nothing"
    if name == "issuer" and value and not (_ISSUER.fullmatch(value) and len(value) <= _ISSUER_LENGTH):
        return f"use https://HOST/PATH of at most {_ISSUER_LENGTH} characters, without port, query and final slash"
    if name == "stack" and not _STACK.fullmatch(value):
        return "use a stack's name without organization and project, for example cn"
    return ""


def _prefix_problem(value: str) -> str:
    """Return what a deployment would refuse of a prefix, or what is no prefix of any key; empty for nothing."""
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        return "holds a character that no key has"
    if value.startswith("/") or size > 512:
        return "use at most 512 bytes without a leading slash, for example archive/"
    if re.search(r"[\x00-\x1f\x7f]", value):
        return "holds a control character, which policies do not take; use none"
    if "*" in value:
        return "holds a wildcard, which S3's notification filters do not take; use a prefix without it"
    if sum(1 if _IN_FILTERS.match(c) else 3 * len(c.encode()) for c in value) > _FILTER_LENGTH:
        return f"is too long for a notification filter: use at most {_FILTER_LENGTH} characters, URL-encoded"
    return ""


def check_answers(answers: Answers, partition_of: PartitionOf) -> None:
    """Raise `FatalError` for the first value that a deployment would refuse."""
    given = [("pair", "--name", answers.pair), ("alarmEmail", "--alarm-email", answers.email)]
    for side, one in answers.sides.items():
        given += [
            ("accountId", f"--account-{side}", one.account),
            ("region", f"--region-{side}", one.region),
            ("bucket", f"--bucket-{side}", one.bucket),
            ("prefix", f"--prefix-{side}", one.prefix),
            ("finderImage", f"--finder-image-{side}", one.image),
            ("issuer", f"--issuer-{side}", one.issuer),
            ("stack", f"--stack-{side}", one.stack),
        ]
    for name, option, value in given:
        wrong = check_answer(name, value, partition_of)
        if wrong:
            raise FatalError(f"{option}={value!r}: {wrong}")
    cn, global_ = answers.sides[SideName.CN], answers.sides[SideName.GLOBAL]
    overlap = cn.prefix.startswith(global_.prefix) or global_.prefix.startswith(cn.prefix)
    if cn.bucket == global_.bucket and partition_of(cn.region) == partition_of(global_.region) and overlap:
        raise FatalError(f"--bucket-global={cn.bucket!r}: is the same as --bucket-cn; give two buckets")
    for side, one in answers.sides.items():
        if one.issuer and not answers.sides[side.peer].issuer:
            raise FatalError(
                f"--issuer-{side}={one.issuer!r}: is the only issuer; give --issuer-{side.peer} too, or none"
            )
        if one.issuer and answers.direction.one_way:
            raise FatalError(
                f"--issuer-{side}={one.issuer!r}: roles are not offered with --direction {answers.direction};"
                " leave it out"
            )
    if cn.issuer and cn.issuer == global_.issuer:
        raise FatalError(
            f"--issuer-global={cn.issuer!r}: is the same as --issuer-cn, so that each side could sign for the other;"
            " give each side a path of its own"
        )
    if cn.stack == global_.stack:
        raise FatalError(f"--stack-global={cn.stack!r}: is the same as --stack-cn; give two stacks")


def stack_files(folder: Path, answers: Answers, partition_of: PartitionOf) -> dict[Path, str]:
    """Return the files and their contents. Keys with which Pulumi encrypts secrets stay as they are."""
    files = {}
    for side, one in answers.sides.items():
        peer = answers.sides[side.peer]
        config: dict[str, Any] = {
            "manages": [str(side)],
            "peerStack": peer.stack,
            "pair": answers.pair,
            **{str(name): _facts(answers.sides[name], partition_of) for name in SideName},
        }
        if answers.direction.one_way:
            config["direction"] = str(answers.direction)
        else:
            config["keepLoser"] = answers.keep_loser
        if one.issuer:
            config["peerIdentity"] = "role"
        if one.image:
            config["finderImage"] = one.image
        if answers.email:
            config["alarmEmail"] = answers.email
        path = folder / f"Pulumi.{one.stack}.yaml"
        document = {**_pulumi_keys(path), "config": {f"{PROJECT}:{key}": value for key, value in config.items()}}
        head = (
            f"# Stack {one.stack}: side {side} of pair {answers.pair}, written by `dualsync init`."
            " Pulumi.yaml lists all keys.\n"
        )
        files[path] = head + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)
    return files


def write_files(files: Mapping[Path, str], *, force: bool) -> None:
    """Write all files or none. Raises `FatalError` for one that exists, unless `force`."""
    existing = [path for path in files if path.exists()]
    if existing and not force:
        raise FatalError(
            f"{', '.join(map(str, existing))}: exists already; give other stacks with --stack-cn and --stack-global, or"
            " --force to overwrite"
        )
    for path, text in files.items():
        try:
            part = path.with_name(path.name + ".part")
            part.write_text(text, encoding="utf-8")
            part.replace(path)
        except OSError as e:
            raise FatalError(f"{path}: can't be written: {e.strerror}; give --project DIR") from None


def next_steps(answers: Answers) -> Sequence[str]:
    """Return what comes next: commands, and with roles the publication of the issuers' documents."""
    stacks = [one.stack for one in answers.sides.values()]
    named = [
        f"export DUALSYNC_STACK_{side.upper()}={one.stack}" for side, one in answers.sides.items() if one.stack != side
    ]
    return [
        *named,
        *(f"pulumi stack init {stack}" for stack in stacks),
        "dualsync doctor",
        *(f"pulumi up --stack {stack}" for stack in stacks),
        *(
            f"publish the documents of {side}: pulumi stack output {side} --stack {one.stack} --json | jq .issuer"
            for side, one in answers.sides.items()
            if one.issuer
        ),
    ]


def _facts(one: SideAnswers, partition_of: PartitionOf) -> dict[str, str]:
    facts = {
        "accountId": one.account,
        "partition": partition_of(one.region),
        "region": one.region,
        "bucket": one.bucket,
        "prefix": one.prefix,
    }
    optional = {"profile": one.profile, "issuer": one.issuer}
    return {**facts, **{key: value for key, value in optional.items() if value}}


def _pulumi_keys(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as e:
        raise FatalError(
            f"{path}: can't be read, so Pulumi's keys in it would be lost: {' '.join(str(e).split())[:200]}; correct"
            " it, or move it away"
        ) from None
    return {key: document[key] for key in PULUMI_KEYS if key in document} if isinstance(document, dict) else {}
