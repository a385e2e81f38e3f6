"""Test that the engine loads the provider from the program's folder or PATH, and never downloads one of its name."""

from __future__ import annotations

import builtins
import re
import tomllib
from typing import Any
from urllib.parse import urlsplit

import pytest

from dualsync.components.plugin import console
from dualsync.components.plugin.plugin import schema
from dualsync.components.plugin.schema import DOWNLOAD_URL
from tests.unit.components.recorder import ROOT, Deployment


def test_the_plugins_download_address_can_not_exist(cn: Deployment) -> None:
    """The address is in the state, which `destroy` and `refresh` read, and in the packages of other languages."""
    address = urlsplit(DOWNLOAD_URL)
    # The engine's schemes for archives; it can't look up a latest version at such an address.
    assert address.scheme == "https"
    assert str(address.hostname).endswith(".invalid")
    assert {p.plugin_download_url for p in cn.of("pulumi:providers:dualsync")} == {DOWNLOAD_URL}
    assert schema()["pluginDownloadURL"] == DOWNLOAD_URL


def test_the_aws_provider_has_its_standard_download_address(cn: Deployment) -> None:
    assert {p.plugin_download_url for p in cn.of("pulumi:providers:aws")} == {""}


def test_every_resource_of_the_provider_has_an_explicit_provider(cn: Deployment) -> None:
    """A default provider would have no address."""
    assert all(r.provider for r in cn.resources if r.type.startswith("dualsync:") and r.custom)


def test_requirements_for_pulumi_install_have_what_the_program_imports() -> None:
    """`pulumi install` and Pulumi Deployments read this file of the program's folder, else nothing is installed."""
    (included,) = re.findall(r"^-r (\S+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    locked = set(re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / included).read_text(), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["component"]
    assert {re.split(r"[<>=]", one)[0] for one in wanted} <= locked


def test_a_missing_package_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operators' commands install without Pulumi, and with the same scripts."""
    real = builtins.__import__

    def without(name: str, *more: Any, **kept: Any) -> Any:
        if name == "dualsync.components.plugin.plugin":
            raise ModuleNotFoundError("No module named 'pulumi'")
        return real(name, *more, **kept)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        SystemExit, match=r"^error: No module named 'pulumi'; install .* `pip install 'dualsync\[component\]'`"
    ):
        console.main()
