"""Write the documents of both accounts' roles, for the project's config: `python -m tools.iam_roles FOLDER`."""

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
from tools.iam_roles.documents import roles
from tools.iam_roles.recording import Recorder, record
from tools.iam_roles.statements import size
from tools.iam_roles.trust import WITHOUT_DOCUMENTS, trust


def declared() -> PairModel:
    """Return the pair of `Pulumi.yaml`, with both sides managed and no stack's own options."""
    keys = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    values = {k: v["default"] for k, v in keys.items() if ":" not in k and "default" in v}
    return stack_config.pair_of({**values, "manages": [str(s) for s in SideName]})


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
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    for name, found in generate(record(declared())).items():
        (folder / name).write_text(text(found))
        print(f"{folder / name}: {size(found)} characters")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
