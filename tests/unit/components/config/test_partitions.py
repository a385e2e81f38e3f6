"""Test regions and partitions: DNS suffixes, service principals, no literal ARNs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dualsync.components.config.partitions import nearest, partition_of
from tests.unit.components.recorder import ROOT

SUFFIX = "amazonaws" + ".com"


@pytest.mark.parametrize(
    ("region", "partition", "suffix"),
    [
        ("cn-north-1", "aws-cn", SUFFIX + ".cn"),
        ("cn-northwest-1", "aws-cn", SUFFIX + ".cn"),
        ("us-west-2", "aws", SUFFIX),
        ("eu-central-1", "aws", SUFFIX),
        ("us-gov-west-1", "aws-us-gov", SUFFIX),
    ],
)
def test_partition_and_suffix(region: str, partition: str, suffix: str) -> None:
    found = partition_of(region)
    assert found is not None
    assert (found.id, found.dns_suffix) == (partition, suffix)


@pytest.mark.parametrize("region", ["", "us-wast-2", "aws-global", "cn-north-2", "us-west-2a"])
def test_unknown_regions(region: str) -> None:
    assert partition_of(region) is None


def test_nearest_suggests_the_region_that_was_meant() -> None:
    assert "cn-north-1" in nearest("cn-nort-1")
    assert nearest("?")


@pytest.mark.parametrize(
    ("service", "china", "elsewhere"),
    [
        # Universal: AWS CDK's region-info and Terraform's aws_service_principal agree.
        ("s3", f"s3.{SUFFIX}", f"s3.{SUFFIX}"),
        ("sns", f"sns.{SUFFIX}", f"sns.{SUFFIX}"),
        ("ecs-tasks", f"ecs-tasks.{SUFFIX}", f"ecs-tasks.{SUFFIX}"),
        ("scheduler", f"scheduler.{SUFFIX}", f"scheduler.{SUFFIX}"),
        ("cloudwatch", f"cloudwatch.{SUFFIX}", f"cloudwatch.{SUFFIX}"),
        # The partition's own.
        ("logs", f"logs.cn-north-1.{SUFFIX}.cn", f"logs.us-west-2.{SUFFIX}"),
    ],
)
def test_service_principals(service: str, china: str, elsewhere: str) -> None:
    for region, expected in (("cn-north-1", china), ("us-west-2", elsewhere)):
        partition = partition_of(region)
        assert partition is not None
        assert partition.principal(service, region) == expected


@pytest.mark.parametrize(
    ("service", "china"),
    [
        ("ec2", (f"ec2.{SUFFIX}", f"ec2.{SUFFIX}.cn")),
        ("ecs-tasks", (f"ecs-tasks.{SUFFIX}",)),
        ("scheduler", (f"scheduler.{SUFFIX}",)),
    ],
)
def test_trusted_service_principals_of_a_role(service: str, china: tuple[str, ...]) -> None:
    for region, expected in (("cn-north-1", china), ("us-west-2", china[:1])):
        partition = partition_of(region)
        assert partition is not None
        assert partition.trusted(service) == expected


def test_no_partition_is_hard_coded() -> None:
    """Literal ARNs and hosts of one partition are fatal in the other."""
    files = [ROOT / "__main__.py", *(ROOT / "components").rglob("*.py"), *(ROOT / "runtime").rglob("*.py")]
    assert len(files) > 20
    for file in files:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            assert "arn:aws" + ":" not in line, f"{file.name}:{number}"
            assert SUFFIX not in line or line.lstrip().startswith(('"""', "#")) or "`" in line, f"{file.name}:{number}"


def test_the_main_program_is_short() -> None:
    assert len((ROOT / "__main__.py").read_text().splitlines()) < 80


def test_no_file_is_over_400_lines() -> None:
    long = [f.name for f in (ROOT / "components").rglob("*.py") if len(f.read_text().splitlines()) > 400]
    assert not long


def test_components_import_only_settings_and_log_fields_of_the_runtime() -> None:
    found = subprocess.run(
        [
            "grep",
            "-rhoE",
            r"^\s*(from|import) (dualsync\.)?runtime[a-z_.]*",
            str(ROOT / "components"),
            "--include=*.py",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    # Settings, and the words of the log, which metric filters and queries look for.
    assert {line.strip() for line in found if line} == {"from dualsync.runtime.settings", "from dualsync.runtime.log"}
    assert not [f for f in (ROOT / "runtime").rglob("*.py") if "import pulumi" in Path(f).read_text()]
