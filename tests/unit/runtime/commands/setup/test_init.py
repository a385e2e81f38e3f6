"""Test `dualsync init`: it writes files that the program accepts, and replaces no others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from dualsync.components.config import stack_config
from dualsync.components.config.errors import ConfigError
from dualsync.components.config.model import PeerIdentity
from dualsync.components.config.names import DEFAULT_PAIR
from dualsync.runtime.commands.app import app
from dualsync.runtime.commands.session import Session
from dualsync.runtime.operations.aws.account import partition_of
from dualsync.runtime.operations.setup.declared import read_declaration
from dualsync.runtime.operations.setup.stack_files import MAX_PAIR_CHARACTERS, check_answer
from dualsync.runtime.settings import Direction, SideName
from tests.support.operator_harness import Answer
from tests.support.prefixes import PREFIXES, REFUSED

ROOT = Path(__file__).resolve().parents[5]
FLAGS = (
    *("--account-cn", "123456789012", "--account-global", "210987654321"),
    *("--region-cn", "cn-north-1", "--region-global", "eu-central-1"),
    *("--bucket-cn", "our-cn", "--bucket-global", "our-global"),
    *("--prefix-cn", "data/", "--prefix-global", "data/"),
    *("--profile-cn", "china", "--profile-global", "world"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    return tmp_path


def call(folder: Path, *arguments: str, input: str | None = None) -> Answer:
    result = CliRunner().invoke(
        app, ["--project", str(folder), *arguments], input=input, obj=Session(), prog_name="dualsync"
    )
    return Answer(result)


def config(folder: Path, stack: str) -> dict[str, Any]:
    """Return a stack's configuration as the program reads it: the project's defaults, then the stack's values."""
    shared = {
        key: value["default"] if "default" in value else value.get("value")
        for key, value in yaml.safe_load((folder / "Pulumi.yaml").read_text())["config"].items()
    }
    own = yaml.safe_load((folder / f"Pulumi.{stack}.yaml").read_text())["config"]
    values = {**shared, **{key.removeprefix("dualsync:"): value for key, value in own.items()}}
    del values["pulumi:disable-default-providers"]
    return {key: value for key, value in values.items() if value not in (None, "")}


def test_program_accepts_the_written_files(folder: Path) -> None:
    answer = call(folder, "init", "--name", "prod", *FLAGS, "--alarm-email", "ann@example.com")
    assert answer.code == 0
    for side in SideName:
        model = stack_config.pair_of(config(folder, str(side)))
        assert (model.name, model.manages, model.keep_loser) == ("prod", (side,), True)
        assert (model.cn.bucket, model.global_.bucket) == ("our-cn", "our-global")
        assert (model.cn.prefix, model.cn.access.profile) == ("data/", "china")
        assert model.side(side).watch.email == "ann@example.com"
    assert "finderImage is not given" in answer.out
    assert "pulumi up --stack global" in answer.out


ISSUERS = ("--issuer-cn", "https://keys.example.com/prod/cn", "--issuer-global", "https://keys.example.com/prod/global")


def test_two_issuers_give_each_side_a_role(folder: Path) -> None:
    answer = call(folder, "init", "--name", "prod", *FLAGS, *ISSUERS)
    assert answer.code == 0
    assert "publish the documents of cn: pulumi stack output cn --stack cn --json | jq .issuer" in answer.out
    for side in SideName:
        model = stack_config.pair_of(config(folder, str(side)))
        assert model.peer_identity is PeerIdentity.ROLE
        assert (model.cn.issuer, model.global_.issuer) == (ISSUERS[1], ISSUERS[3])


@pytest.mark.parametrize(
    ("issuer", "fine"),
    [
        ("https://keys.example.com", True),
        ("https://keys.example.com/a/b_c~d.e-f", True),
        ("http://keys.example.com", False),
        ("https://keys.example.com/", False),
        ("https://keys.example.com:8443/a", False),
        ("https://keys", False),
        ("https://keys.example.com/a?b", False),
        ("https://Keys.example.com", False),
        ("https://keys.example.com/" + "a" * 231, False),
    ],
)
def test_issuer_is_validated_as_in_the_component(folder: Path, issuer: str, fine: bool) -> None:
    answer = call(folder, "init", "--name", "prod", *FLAGS, "--issuer-cn", issuer, "--issuer-global", ISSUERS[3])
    assert (answer.code == 0) is fine
    cn = {"accountId": "123456789012", "region": "cn-north-1", "bucket": "our-cn", "issuer": issuer}
    world = {"accountId": "210987654321", "region": "eu-central-1", "bucket": "our-global", "issuer": ISSUERS[3]}
    given = {"pair": "prod", "manages": ["cn"], "peerStack": "global", "peerIdentity": "role"}
    try:
        stack_config.pair_of({**given, "cn": cn, "global": world})
    except ConfigError:
        assert not fine
    else:
        assert fine


@pytest.mark.parametrize("prefix", [p for p in PREFIXES if not p.startswith("/")])
def test_prefix_that_a_deployment_accepts_is_accepted_and_read_back(folder: Path, prefix: str) -> None:
    assert check_answer("prefix", prefix, partition_of) == ""
    assert call(folder, "init", *FLAGS, f"--prefix-cn={prefix}").code == 0
    assert stack_config.pair_of(config(folder, "cn")).cn.prefix == prefix
    assert read_declaration(folder, {}).sides[SideName.CN].prefix == prefix


@pytest.mark.parametrize("prefix", [*REFUSED, "~" * 400], ids=repr)
def test_prefix_that_a_deployment_refuses_is_refused(prefix: str) -> None:
    side = {"accountId": "111122223333", "region": "cn-north-1", "bucket": "bucket-cn", "prefix": prefix}
    with pytest.raises(ConfigError):
        stack_config.pair_of({"manages": ["cn"], "cn": side, "global": {**side, "region": "us-west-2"}})
    assert check_answer("prefix", prefix, partition_of)


def test_doctor_reads_the_written_files(folder: Path) -> None:
    call(folder, "init", "--name", "prod", *FLAGS, "--no-keep-loser")
    found = read_declaration(folder, {})
    assert (found.pair, found.faults) == ("prod", [])
    assert [side.keep_loser for side in found.sides.values()] == [False, False]
    assert found.sides[SideName.GLOBAL].region == "eu-central-1"
    assert all(side.managed for side in found.sides.values())


def test_contradictions_between_the_stacks_are_reported(folder: Path) -> None:
    call(folder, "init", *FLAGS)
    path = folder / "Pulumi.global.yaml"
    path.write_text(path.read_text().replace("our-cn", "other-cn"))
    (fault,) = read_declaration(folder, {}).faults
    assert fault.startswith("cn.bucket: stack global has another value")


@pytest.mark.parametrize(
    "text", ["encryptionsalt: v1:abc\n\tconfig: {}\n", "encryptionsalt: v1:abc\nday: 2026-13-45\n"]
)
def test_file_that_cannot_be_read_keeps_its_keys(folder: Path, text: str) -> None:
    """Without Pulumi's keys in it, the stack's secrets can't be read any more."""
    (folder / "Pulumi.cn.yaml").write_text(text)
    answer = call(folder, "init", *FLAGS, "--force")
    assert answer.code == 2
    assert "Pulumi.cn.yaml: can't be read, so Pulumi's keys in it would be lost" in answer.err
    assert (folder / "Pulumi.cn.yaml").read_text() == text
    assert "Pulumi.cn.yaml: can't be read" in call(folder, "doctor", "--no-machine").err


def test_nothing_is_overwritten_without_force(folder: Path) -> None:
    (folder / "Pulumi.cn.yaml").write_text("encryptionsalt: v1:abc\nconfig:\n  dualsync:manages: [cn]\n")
    answer = call(folder, "init", *FLAGS)
    assert answer.code == 2
    assert "exists already" in answer.err
    assert not (folder / "Pulumi.global.yaml").exists(), "all files or none"
    assert call(folder, "init", *FLAGS, "--force").code == 0
    assert yaml.safe_load((folder / "Pulumi.cn.yaml").read_text())["encryptionsalt"] == "v1:abc"


def test_other_stack_names_leave_the_default_files_unchanged(folder: Path) -> None:
    before = "config: {}\n"
    (folder / "Pulumi.cn.yaml").write_text(before)
    answer = call(folder, "init", *FLAGS, "--stack-cn", "prod-cn", "--stack-global", "prod-global", "--json")
    assert answer.code == 0
    assert (folder / "Pulumi.cn.yaml").read_text() == before
    assert "export DUALSYNC_STACK_CN=prod-cn" in answer.data["next"]
    own = yaml.safe_load((folder / "Pulumi.prod-cn.yaml").read_text())
    assert own["config"]["dualsync:peerStack"] == "prod-global"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("--account-cn", "12"), "--account-cn='12': use the account's 12 digits"),
        (("--region-global", "us-west-9x"), "is not a region"),
        (("--bucket-cn", "No_Bucket"), "is not a bucket's name"),
        (("--name", "Prod"), "lower-case"),
        (("--finder-image-cn", "x:1"), "by digest"),
        (("--alarm-email", "nobody"), "one address"),
        (("--stack-cn", "s", "--stack-global", "s"), "give two stacks"),
        (ISSUERS[:2], "--issuer-cn='https://keys.example.com/prod/cn': is the only issuer; give --issuer-global too"),
        ((*ISSUERS[:2], "--issuer-global", ISSUERS[1]), "give each side a path of its own"),
        ((*ISSUERS, "--direction", "cn-to-global"), "roles are not offered with --direction cn-to-global"),
    ],
)
def test_wrong_value_names_its_option(folder: Path, change: tuple[str, ...], words: str) -> None:
    answer = call(folder, "init", *FLAGS, *change)
    assert answer.code == 2
    assert words in answer.err
    assert list(folder.glob("Pulumi.*.yaml")) == []


def test_missing_options_are_listed_without_a_terminal(folder: Path) -> None:
    answer = call(folder, "init", "--account-cn", "123456789012")
    assert answer.code == 2
    assert "--region-cn, --bucket-cn, --account-global" in answer.err


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command find a terminal, so that it prompts."""
    import dualsync.runtime.commands.setup.init as command

    class Terminal:
        class stdin:
            @staticmethod
            def isatty() -> bool:
                return True

    monkeypatch.setattr(command, "sys", Terminal)


@pytest.mark.usefixtures("terminal")
def test_missing_values_are_prompted_and_wrong_ones_prompted_again(folder: Path) -> None:
    (folder / "Pulumi.cn.yaml").write_text("config: {}\n")
    lines = [
        *("prod", "", ""),  # the pair; both directions; the stack of cn: as suggested, since Pulumi.cn.yaml exists
        *("12", "123456789012", "", "our-cn", "", "china", ""),  # account twice, region, bucket, prefix, profile, image
        *("", "210987654321", "", "our-global", "", ""),  # stack, account, region, bucket, prefix, profile
        "",
    ]
    answer = call(folder, "init", input="\n".join(lines) + "\n")
    assert answer.code == 0, answer.err
    assert "use the account's 12 digits" in answer.err
    found = read_declaration(folder, {SideName.CN: "prod-cn"})
    assert found.sides[SideName.CN].profile == "china"
    assert found.sides[SideName.GLOBAL].profile == "dualsync-global"
    assert found.direction is Direction.BOTH


@pytest.mark.usefixtures("terminal")
def test_prompts_offer_the_directions_and_no_image_for_a_destination_in_china(folder: Path) -> None:
    lines = [
        *("prod", "cn->global", "global-to-cn"),
        *("", "123456789012", "", "our-cn", "", ""),  # stack, account, region, bucket, prefix, profile: no image
        *("", "210987654321", "", "our-global", "", ""),
        "",
    ]
    answer = call(folder, "init", input="\n".join(lines) + "\n")
    assert answer.code == 0, answer.err
    assert "Direction (both, cn-to-global, global-to-cn) [both]" in answer.err
    assert "'cn->global': use one of both, cn-to-global, global-to-cn" in answer.err
    assert "image" not in (answer.err + answer.out).lower()
    assert read_declaration(folder, {}).direction is Direction.GLOBAL_TO_CN


@pytest.mark.parametrize("direction", [Direction.CN_TO_GLOBAL, Direction.GLOBAL_TO_CN])
def test_program_and_doctor_accept_a_one_way_pair(folder: Path, direction: Direction) -> None:
    answer = call(folder, "init", "--name", "prod", *FLAGS, "--direction", str(direction))
    assert answer.code == 0
    for side in SideName:
        model = stack_config.pair_of(config(folder, str(side)))
        assert (model.direction, model.keep_loser, model.manages) == (direction, None, (side,))
    found = read_declaration(folder, {})
    assert (found.direction, found.faults) == (direction, [])
    assert ("finderImage is not given" in answer.out) is direction.carries(SideName.CN)


def test_unknown_direction_names_the_choices(folder: Path) -> None:
    answer = call(folder, "init", *FLAGS, "--direction", "cn->global")
    assert answer.code == 2
    assert all(str(direction) in answer.err for direction in Direction)
    assert list(folder.glob("Pulumi.*.yaml")) == []


def test_longest_pair_name_is_that_of_the_component(folder: Path) -> None:
    names = config(folder, "x") if (folder / "Pulumi.x.yaml").exists() else {}
    assert not names
    call(folder, "init", "--name", "p" * MAX_PAIR_CHARACTERS, *FLAGS)
    stack_config.pair_of(config(folder, "cn"))
    assert check_answer("pair", "p" * (MAX_PAIR_CHARACTERS + 1), partition_of)
    assert check_answer("pair", DEFAULT_PAIR, partition_of) == ""


def test_init_needs_the_programs_folder(tmp_path: Path) -> None:
    answer = call(tmp_path, "init", *FLAGS)
    assert answer.code == 2
    assert "no Pulumi.yaml" in answer.err


def test_doctor_command_reports_the_sample_accounts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are reported without a call to AWS, and `--no-machine` leaves out the machine's checks."""
    monkeypatch.setenv("PATH", "")
    for side in SideName:
        shutil.copy(ROOT / f"Pulumi.{side}.yaml", folder)
    answer = call(folder, "doctor", "--json")
    assert answer.code == 3
    verdicts = {(f["side"], f["check"]): f["verdict"] for f in answer.data["findings"]}
    assert verdicts["cn", "config"] == verdicts["global", "config"] == verdicts["here", "pulumi"] == "wrong"
    text = call(folder, "doctor", "--no-machine")
    assert "example of Pulumi.yaml" in text.out
    assert text.out.splitlines()[-1] == "2 wrong, 0 warnings, 1 ok"
    assert json.loads(call(folder, "doctor", "--no-machine", "--json").out)["fine"] is False
