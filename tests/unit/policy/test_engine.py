"""Test the pack under the real engine: over both stacks, and over the program with seeded violations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from policy.rules import RULES
from sandbox.environment.checkout import Checkout
from sandbox.environment.environment import Stage
from sandbox.provider.attached import Attached
from tests.e2e.pulumi_lifecycle.command import Command, Done
from tests.unit.policy.seeding import CONFIG, Seed, batches
from tests.unit.policy.seeds import SEEDS

pytestmark = pytest.mark.engine

ENGINE_SEEDS = [s for s in SEEDS if s.engine]
_VIOLATION = re.compile(r"- \[(\w+)\]\s+(\S+)\s+\((\S+?): (.+)\)")


@pytest.fixture(scope="module")
def engine() -> Iterator[Command]:
    """Yield an engine with its own emulator, with the project's two stacks and one that manages both sides."""
    with Stage.open("policy") as stage:
        stage.make_buckets()
        stage.build_bundles()
        bundles = stage.workspace.folder / "bundles"
        with Attached.start(stage.workspace) as attached:
            checkout = Checkout.make(stage.workspace)
            command = Command(stage.workspace, checkout, attached.variables)
            for stack, changes in (
                ("cn", {}),
                ("global", {}),
                ("both", {"manages": ["cn", "global"], "peerStack": "", **CONFIG}),
            ):
                checkout.configure(
                    stack, stage.cloud.endpoint, bundles, changes, like="cn" if stack == "both" else None
                )
                command.init(stack)
            yield command


def violations(done: Done) -> set[tuple[str, str]]:
    """Return (rule, resource's name) of every violation that the engine printed."""
    return {(rule, name) for _, rule, _, name in _VIOLATION.findall(done.text)}


@pytest.mark.parametrize("stack", ["cn", "global"])
def test_both_stacks_pass_at_the_first_preview_and_at_deployment(engine: Command, stack: str) -> None:
    preview = engine.preview(stack, "--policy-pack", "policy")
    assert "✅ dualsync@v" in preview.text, preview.text
    assert violations(preview) == set()
    deployed = engine.up(stack, "--policy-pack", "policy")
    assert violations(deployed) == set()
    again = engine.preview(stack, "--policy-pack", "policy", "--expect-no-changes")
    assert violations(again) == set()
    # The next deployment uses the same names.
    engine.destroy(stack)


@pytest.mark.engine(long=True)
@pytest.mark.parametrize("seeds", batches(s for s in ENGINE_SEEDS if not s.known_later), ids=lambda seeds: seeds[0].id)
def test_a_preview_reports_each_seeded_violation_and_nothing_else(
    engine: Command, seeds: list[Seed], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seed_program(engine, seeds, monkeypatch)
    # A mandatory rule ends the preview at the first resource that it refuses, so all rules are advisory here.
    config = tmp_path / "levels.json"
    config.write_text('{"all": "advisory"}')
    done = engine.preview("both", "--policy-pack", "policy", "--policy-pack-config", str(config))
    assert violations(done) == {found for s in seeds for found in s.found}
    for rule in RULES:
        if rule.name in {s.rule for s in seeds}:
            assert f"Remedy: {rule.remedy}" in done.text


def test_a_violation_known_only_at_deployment_is_refused_before_creation(
    engine: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (seed,) = (s for s in SEEDS if s.id == "worker-deletes-buckets")
    seed_program(engine, [seed], monkeypatch)
    done = engine.up("both", "--policy-pack", "policy", wanted=(1, 255))
    assert violations(done) == {seed.caught}
    assert seed.name not in {r["urn"].rpartition("::")[2] for r in engine.resources("both")}


def test_a_level_is_changed_by_configuration(engine: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (seed,) = (s for s in SEEDS if s.id == "open-port")
    seed_program(engine, [seed], monkeypatch)
    config = tmp_path / "levels.json"
    config.write_text('{"no-inbound-rule": "advisory"}')
    done = engine.preview("both", "--policy-pack", "policy", "--policy-pack-config", str(config))
    assert violations(done) == {seed.caught}
    assert "[advisory]  no-inbound-rule" in done.text


def seed_program(engine: Command, seeds: list[Seed], monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the program by the seeded program; only stack `both` is run with it."""
    main = engine.checkout.folder / "__main__.py"
    main.unlink()
    main.symlink_to(Path(__file__).with_name("seeded_main.py"))
    monkeypatch.setenv("SEEDS", ",".join(s.id for s in seeds))
