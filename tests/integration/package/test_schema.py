"""Test the package's schema: every input and output with type, default and description."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from dualsync.components.config.declared import all_keys, keys
from dualsync.components.config.model import SIDE_FACTS, SIDE_OPTIONS
from dualsync.components.plugin import schema
from dualsync.components.plugin.plugin import schema as package
from dualsync.runtime.settings import VERSION
from tests.unit.components.conftest import both, bundles, tidy_threads
from tests.unit.components.recorder import Deployment

__all__ = ["both", "bundles", "tidy_threads"]
ROOT = Path(__file__).resolve().parents[3]


def properties() -> Iterator[tuple[str, Mapping[str, Any]]]:
    found = package()
    for token, resource in found["resources"].items():
        for kind in ("inputProperties", "properties"):
            for name, described in resource[kind].items():
                yield f"{token}.{kind}.{name}", described
    for token, described in found["types"].items():
        for name, inner in described.get("properties", {}).items():
            yield f"{token}.{name}", inner
    for name, described in found["provider"]["inputProperties"].items():
        yield f"provider.{name}", described


def test_every_input_and_output_has_a_description() -> None:
    for name, described in properties():
        text = described.get("description", "")
        assert re.fullmatch(r"[A-Z\"].{10,}[.…]", text) or len(text) > 10, name


def test_every_reference_has_a_target() -> None:
    types = package()["types"]
    for name, described in properties():
        if "$ref" in described:
            assert described["$ref"].removeprefix("#/types/") in types, name


def test_the_inputs_are_the_configs_keys() -> None:
    assert set(schema.inputs()) == set(all_keys()) - {"peerStack"}
    assert set(schema.side()["properties"]) == {*SIDE_FACTS, *SIDE_OPTIONS}


def test_defaults_and_types_are_the_configs() -> None:
    declared, inputs = keys(), schema.inputs()
    for name, described in inputs.items():
        if "default" in described:
            assert described["default"] == declared[name].default
        if "type" in described:
            assert described["type"] == declared[name].type


def test_an_input_whose_absence_has_a_meaning_has_no_default() -> None:
    """Generated code would set a default, and the component could not recognise a missing value."""
    assert schema.inputs()["keepLoser"] == {
        "type": "boolean",
        "plain": True,
        "description": keys()["keepLoser"].declared.description,
    }


def test_a_sides_options_have_no_defaults_that_would_hide_the_pairs_options() -> None:
    assert not [n for n, p in schema.side()["properties"].items() if "default" in p]


def test_only_the_hand_over_may_be_unknown_and_is_secret() -> None:
    inputs = schema.inputs()
    assert [n for n, p in inputs.items() if not p.get("plain")] == ["peerCredential"]
    assert inputs["peerCredential"]["secret"] is True
    assert schema.outputs()["handOver"]["secret"] is True


def test_closed_choices_are_enumerations() -> None:
    found = package()["types"]
    assert [e["value"] for e in found["dualsync:index:ConflictPolicy"]["enum"]] == [
        "newest",
        "prefer-cn",
        "prefer-global",
    ]
    assert schema.inputs()["conflictPolicy"]["$ref"] == "#/types/dualsync:index:ConflictPolicy"


def test_a_sides_outputs_are_those_of_the_schema(both: Deployment) -> None:
    for side in ("cn", "global"):
        assert set(both.outputs[side]) == set(schema.FACT_OUTPUTS)


def test_all_version_numbers_are_equal() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{VERSION}"' in project
    assert package()["version"] == VERSION
    assert yaml.safe_load((ROOT / "policy/PulumiPolicy.yaml").read_text())["version"] == VERSION
    changes = (ROOT / "CHANGELOG.md").read_text()
    assert next(line for line in changes.splitlines() if line.startswith("## ")) == f"## {VERSION}"


def test_the_packages_requirements_are_those_of_the_project() -> None:
    lines = (ROOT / "components" / "requirements.txt").read_text().splitlines()
    wanted = {line for line in lines if line and not line.startswith("#")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert wanted == {*project["dependencies"], *project["optional-dependencies"]["component"]}


def test_the_commands_install_without_pulumi() -> None:
    """Neither the base nor the extra of the commands requires Pulumi, whose providers take 300 MB."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[<>=\[]", line)[0].lower() for line in project["dependencies"]}
    needed |= {re.split(r"[<>=\[]", line)[0].lower() for line in project["optional-dependencies"]["cli"]}
    assert needed == {"boto3", "pyyaml", "rich", "typer"}


@pytest.mark.parametrize("language", ["python", "typescript", "yaml"])
def test_the_examples_take_the_package_from_this_project(language: str) -> None:
    found = yaml.safe_load((ROOT / "examples" / language / "Pulumi.yaml").read_text())
    assert found["packages"] == {"dualsync": "../../components"}
    assert found["plugins"]["providers"] == [{"name": "dualsync", "path": "../../components"}]
