"""Converts properties between the engine's protocol and plain dictionaries: secrets, unknowns, assets, numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from google.protobuf import struct_pb2
from pulumi.runtime import rpc

from sandbox.provider.base import Properties

UNKNOWN: str = rpc.UNKNOWN
"""The engine's placeholder of a value that is known only after the deployment."""

_SIGNATURE: str = rpc._special_sig_key
_SECRET: str = rpc._special_secret_sig
_ASSET: str = rpc._special_asset_sig


class File(pulumi.FileAsset):
    """A file as the engine sends it. Files are equal when their hashes are; the state keeps the hash, not the path."""

    def __init__(self, path: str, hash: str) -> None:
        super().__init__(path)
        self.hash = hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, File) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)


@dataclass(frozen=True)
class Message:
    """Properties of one request."""

    plain: Properties = field(repr=False)
    """Values without wrappers, unknown ones as `UNKNOWN`."""

    secret: frozenset[str]
    """Names of those that are wrapped as secrets."""

    raw: Mapping[str, struct_pb2.Value] = field(repr=False)
    """Values as they were received."""


def decode(struct: struct_pb2.Struct) -> Message:
    """Read a request's properties; those of the engine itself (`__…`) are left out."""
    raw = {k: v for k, v in struct.fields.items() if not k.startswith("__")}
    plain = {k: _plain(v) for k, v in raw.items()}
    return Message(
        {k: v for k, v in plain.items() if v is not None}, frozenset(k for k, v in raw.items() if _has_secret(v)), raw
    )


def encode(properties: Properties, secret: Collection[str] = (), *givens: Message) -> struct_pb2.Struct:
    """Encode an answer. Values that equal a request's are returned as they were received; `secret` ones are wrapped."""
    struct = struct_pb2.Struct()
    for name, value in properties.items():
        if value is None:
            continue
        same = next((g for g in givens if name in g.plain and g.plain[name] == value), None)
        written = same.raw[name] if same else _value(value)
        hidden = name in secret or any(name in g.secret for g in givens)
        struct.fields[name].CopyFrom(_wrapped(written) if hidden and not _has_secret(written) else written)
    return struct


def contains_unknown(value: Any) -> bool:
    """Return whether a plain value, or anything in it, is unknown."""
    if isinstance(value, dict):
        return any(map(contains_unknown, value.values()))
    if isinstance(value, list):
        return any(map(contains_unknown, value))
    return isinstance(value, str) and value == UNKNOWN


def _plain(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        fields = value.struct_value.fields
        signature = _text(fields, _SIGNATURE)
        if signature == _SECRET:
            return _plain(fields["value"])
        if signature == _ASSET:
            text = _text(fields, "text")
            return pulumi.StringAsset(text) if text else File(_text(fields, "path"), _text(fields, "hash"))
        return {k: _plain(v) for k, v in fields.items()}
    if kind == "list_value":
        return [_plain(v) for v in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        # The protocol has only doubles, so whole numbers become integers.
        return int(number) if number.is_integer() else number
    return None if kind in ("null_value", None) else getattr(value, kind)


def _text(fields: Any, name: str) -> str:
    """Return a text member. Reading an absent name from a message's map would add it."""
    return str(fields[name].string_value) if name in fields else ""


def _value(value: Any) -> struct_pb2.Value:
    if isinstance(value, Mapping):
        struct = struct_pb2.Struct()
        for name, item in value.items():
            struct.fields[name].CopyFrom(_value(item))
        return struct_pb2.Value(struct_value=struct)
    if isinstance(value, (list, tuple)):
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_value(v) for v in value]))
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, (int, float)):
        return struct_pb2.Value(number_value=value)
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if not isinstance(value, str):
        raise TypeError(f"a {type(value).__name__} can't be sent to the engine")
    return struct_pb2.Value(string_value=value)


def _wrapped(value: struct_pb2.Value) -> struct_pb2.Value:
    struct = struct_pb2.Struct()
    struct.fields[_SIGNATURE].string_value = _SECRET
    struct.fields["value"].CopyFrom(value)
    return struct_pb2.Value(struct_value=struct)


def _has_secret(value: struct_pb2.Value) -> bool:
    if value.WhichOneof("kind") == "list_value":
        return any(map(_has_secret, value.list_value.values))
    if value.WhichOneof("kind") != "struct_value":
        return False
    fields = value.struct_value.fields
    if _text(fields, _SIGNATURE) == _SECRET:
        return True
    return any(_has_secret(v) for v in fields.values())
