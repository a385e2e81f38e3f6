"""The file that the operator's commands take with `--pair`, as `dualsync stacks --save` writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS


def pair_of(outputs: Mapping[SideName, Mapping[str, Any]], changes: Mapping[str, str]) -> dict[str, Any]:
    """Both stacks' outputs with the operator's profiles; `changes` are the settings that a sandbox changes."""
    return {
        str(side): {
            **facts,
            "profile": ACCOUNTS[side].profile,
            "environment": {**facts["environment"], **changes},
        }
        for side, facts in outputs.items()
    }


def write(file: Path, outputs: Mapping[SideName, Mapping[str, Any]], changes: Mapping[str, str]) -> Path:
    """Write the file; its path. Nothing secret is in it."""
    file.write_text(json.dumps(pair_of(outputs, changes), indent=2) + "\n")
    return file
