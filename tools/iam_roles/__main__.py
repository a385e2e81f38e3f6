"""Write the documents of both accounts' roles, for the project's config: `python -m tools.iam_roles FOLDER`.

The config is that of `Pulumi.yaml` and of the stacks cn and global, which `dualsync init` writes.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dualsync.components.config import stack_config
from dualsync.components.config.errors import ConfigError
from dualsync.components.config.model import PairModel
from dualsync.runtime.errors import FatalError
from dualsync.runtime.operations.setup.declared import project_values, stack_values
from dualsync.runtime.settings import SideName
from sandbox.environment.processes import ROOT
from tools.iam_roles.documents import roles
from tools.iam_roles.recording import Recorder, record
from tools.iam_roles.statements import size
from tools.iam_roles.trust import WITHOUT_DOCUMENTS, trust


@dataclass(frozen=True, slots=True)
class _Texts:
    """A stack's config without its secrets, as the engine passes it: every value as text, lists and objects as JSON."""

    values: Mapping[str, Any]
    """The values by key."""

    def get(self, key: str) -> str | None:
        value = self.values.get(key)
        secret = isinstance(value, dict) and "secure" in value
        return value if value is None or isinstance(value, str) else None if secret else json.dumps(value)


def declared(folder: Path = ROOT) -> PairModel:
    """Return the pair with both sides managed, each side as the stack that manages it has it.

    A side that no stack's file manages is as the other stack's file, or `Pulumi.yaml`, states it. Raises `ConfigError`
    and `FatalError`.
    """
    shared = {**project_values(folder), "manages": list(map(str, SideName))}
    files = (stack_values(folder / f"Pulumi.{side}.yaml") for side in SideName)
    stacks = [{**shared, **given} for given in files if given is not None] or [shared]
    pairs = [stack_config.pair_of(stack_config.read(_Texts(values))) for values in stacks]
    cn, global_ = (next((pair for pair in pairs if side in pair.manages), pairs[0]).side(side) for side in SideName)
    return replace(pairs[0], cn=cn, global_=global_, manages=tuple(SideName))


def generate(recorder: Recorder) -> Mapping[str, dict[str, Any]]:
    """Return the documents by file name: the rights of a role (`<role>-<side>.json`), and its trust (`…-trust.json`).

    Documents of one role are numbered if there are several.
    """
    pair = declared()
    found: dict[str, dict[str, Any]] = {}
    for side in SideName:
        for role, documents in roles(recorder, pair, side).items():
            for number, one in enumerate(documents, 1):
                found[f"{role}-{side}{f'-{number}' if len(documents) > 1 else ''}.json"] = one
            if role != "boundary":
                found[f"{role}-{side}-trust.json"] = trust(pair, side, role)
        for role in WITHOUT_DOCUMENTS:
            found[f"{role}-{side}-trust.json"] = trust(pair, side, role)
    return found


def text(document: Mapping[str, Any]) -> str:
    """Return a document as it is written to a file."""
    return json.dumps(document, indent=2) + "\n"


def main(arguments: list[str]) -> int:
    """Write the documents and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.iam_roles", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    try:
        documents = generate(record(declared()))
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.json"):
            if old.name not in documents and _role(old.name) in map(_role, documents):
                old.unlink()
        for name, found in documents.items():
            (folder / name).write_text(text(found))
            print(f"{folder / name}: {size(found)} characters")
    except (ConfigError, FatalError) as e:
        sys.stderr.write(f"{e}\n")
        return 1
    except OSError as e:
        print(f"{folder}: {e.strerror}; give a folder that can be written", file=sys.stderr)
        return 1
    return 0


def _role(name: str) -> str:
    """Return the role that a document's file name begins with; empty for another file."""
    found = re.fullmatch(rf"(.+)-(?:{'|'.join(SideName)})(?:-[0-9]+|-trust)?\.json", name)
    return found[1] if found else ""


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
