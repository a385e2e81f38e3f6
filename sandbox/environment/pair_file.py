"""The pair file (`--pair`) of the operator's commands, in the form that `dualsync stacks --save` writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS


def pair_of(outputs: Mapping[SideName, Mapping[str, Any]], changes: Mapping[str, str]) -> dict[str, Any]:
    """Join both stacks' outputs, the operator's profiles, and the settings that the sandbox changes."""
    return {
        str(side): {
            **facts,
            "profile": ACCOUNTS[side].profile,
            "environment": {**facts["environment"], **changes},
        }
        for side, facts in outputs.items()
    }


def write(file: Path, outputs: Mapping[SideName, Mapping[str, Any]], changes: Mapping[str, str]) -> Path:
    """Write the file, which contains no secret, and return its path."""
    file.write_text(json.dumps(pair_of(outputs, changes), indent=2) + "\n")
    return file
