"""Test the `pulumi new` template: it asks for the required inputs, and passes only inputs that the component has."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from dualsync.components.config.declared import all_keys
from dualsync.components.config.model import SIDE_FACTS, SIDE_OPTIONS

TEMPLATE = Path(__file__).resolve().parents[4] / "examples" / "template" / "Pulumi.yaml"


def test_the_template_asks_for_exactly_the_keys_that_its_program_reads() -> None:
    text = TEMPLATE.read_text()
    found = yaml.safe_load(text)
    asked, declared = set(found["template"]["config"]), set(found["config"])
    assert asked == declared
    properties = found["resources"]["pair"]["properties"]
    used = set(re.findall(r"\$\{([A-Za-z]+)\}", yaml.safe_dump(properties)))
    assert used == declared
    assert all(value["description"] for value in found["template"]["config"].values())
    # `pulumi new` fills these in; without them the copy would keep the template's name.
    assert (found["name"], found["description"]) == ("${PROJECT}", "${DESCRIPTION}")


def test_the_templates_inputs_exist_in_the_component() -> None:
    properties = yaml.safe_load(TEMPLATE.read_text())["resources"]["pair"]["properties"]
    assert set(properties) <= set(all_keys())
    for side in ("cn", "global"):
        assert set(properties[side]) <= {*SIDE_FACTS, *SIDE_OPTIONS}
        assert {"accountId", "region", "bucket"} <= set(properties[side])
