"""`python -m tools.iam_roles FOLDER`: documents of both accounts' roles, for the project's config as it stands."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dualsync.components.config import stack_config
from dualsync.components.config.model import PairModel
from dualsync.runtime.settings import SideName
from sandbox.environment.processes import ROOT
from tools.iam_roles.documents import roles, size
from tools.iam_roles.recording import record
from tools.iam_roles.trust import trust


def declared() -> PairModel:
    """The pair of `Pulumi.yaml`, both sides managed, with nothing of a stack's own."""
    keys = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    values = {k: v["default"] for k, v in keys.items() if ":" not in k and "default" in v}
    return stack_config.pair_of({**values, "manages": [str(s) for s in SideName]})


def generate() -> Mapping[str, dict[str, Any]]:
    """What a role may (`<role>-<side>.json`, numbered if more than one) and whose it is (`…-trust.json`), by name."""
    recorder, pair = record(), declared()
    found: dict[str, dict[str, Any]] = {}
    for side in SideName:
        for role, documents in roles(recorder, pair, side).items():
            for number, one in enumerate(documents, 1):
                found[f"{role}-{side}{f'-{number}' if len(documents) > 1 else ''}.json"] = one
            found[f"{role}-{side}-trust.json"] = trust(pair, side, role)
    return found


def text(document: Mapping[str, Any]) -> str:
    """As it stands in a file."""
    return json.dumps(document, indent=2) + "\n"


def main(arguments: list[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.iam_roles", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    for name, found in generate().items():
        (folder / name).write_text(text(found))
        print(f"{folder / name}: {size(found)} characters")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
