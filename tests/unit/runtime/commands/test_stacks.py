"""Test `dualsync stacks`: what is shown of each side."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from dualsync.runtime.commands.app import app
from dualsync.runtime.settings import SideName
from tests.support.operator_harness import settings


def shown(folder: Path, users: bool = True) -> str:
    """Return the text for a pair file."""
    document = {
        str(side): {
            "accountId": "111122223333",
            "userName": f"user-{side}" if users else "",
            "environment": settings(side).to_environment(),
        }
        for side in SideName
    }
    file = folder / "pair.json"
    file.write_text(json.dumps(document))
    answer = CliRunner().invoke(app, ["--pair", str(file), "stacks"])
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def row(text: str, name: str) -> list[str]:
    """Return the cells of a row."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return line.removeprefix(name).split()


def test_the_names_that_an_incident_needs_are_shown(tmp_path: Path) -> None:
    text = shown(tmp_path)
    assert row(text, "bucket") == ["bucket-cn", "bucket-global"]
    assert row(text, "account") == ["111122223333", "111122223333"]
    assert row(text, "user") == ["user-cn", "user-global"]


def test_a_side_with_a_role_instead_of_a_user_has_a_dash(tmp_path: Path) -> None:
    assert row(shown(tmp_path, users=False), "user") == ["–", "–"]
