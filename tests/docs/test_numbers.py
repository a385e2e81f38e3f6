"""Test that numbers in the documentation equal their counterparts in the code.

A claim is a page, a piece of its text with `{}` for each number, and the numbers as the code has them.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from dualsync.components import queue
from dualsync.components.config import images, model
from dualsync.components.config.model import PairModel
from dualsync.components.config.side_options import FleetOptions, Watch
from dualsync.components.monitoring import alarms
from dualsync.components.workers import fleet, userdata
from dualsync.runtime.aws.s3 import metadata
from dualsync.runtime.commands.smoke import smoke
from dualsync.runtime.finder import checkpoint, deletion_guard, key_ranges
from dualsync.runtime.model import records
from dualsync.runtime.operations import problems
from dualsync.runtime.operations import status as operator_status
from dualsync.runtime.operations.setup import machine
from dualsync.runtime.service import circuit_breaker, operator_controls, prefix_list
from dualsync.runtime.settings import MAX_RANGES, Settings
from dualsync.runtime.sync import conflict_copy, fleet_upload
from dualsync.runtime.transfer import copier, digest_reader, multipart, stale_uploads
from sandbox.demo import demo
from tests.docs.pages import FOLDER, ROOT
from tests.e2e.drill.case import Sizes
from tests.simulation.histories.mutants import MUTANTS
from tools import environment
from tools.docs import cost

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", *[""] * 9, "twenty"]
NUMBER = r"(\d[\d,]*(?:\.\d+)?|" + "|".join(filter(None, WORDS)) + ")"
DEFAULTS: dict[str, Any] = {field: f.default for field, f in Settings.__dataclass_fields__.items()}
MINUTE, HOUR, DAY = 60, 3600, 86400
MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40


def value(text: str) -> float:
    """Return the number that a text spells in digits or as a word."""
    return float(WORDS.index(text.lower())) if text.isalpha() else float(text.replace(",", ""))


def alarm_default(field: str) -> Any:
    """Return the default of a field of `Alarm`."""
    return alarms.Alarm.__dataclass_fields__[field].default


def written(file: str, argument: str) -> Any:
    """Return the constant that a call in a component's module gives an argument."""
    tree = ast.parse((ROOT / "components" / file).read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == argument]
    (found,) = [node.value.value for node in calls if isinstance(node.value, ast.Constant)]
    return found


def default_alarms() -> int:
    """Return the number of a side's alarms by default: all but `wake`, which is for `minCapacity: 0`."""
    made = -1
    for file, name in (("monitoring/alarms.py", "Alarm"), ("workers/scaling.py", "_alarm")):
        calls = [
            node for node in ast.walk(ast.parse((ROOT / "components" / file).read_text())) if isinstance(node, ast.Call)
        ]
        made += sum(isinstance(call.func, ast.Name) and call.func.id == name for call in calls)
    return made


def parameter_default(command: Callable[..., None], name: str) -> Any:
    """Return the default of a command's option."""
    return inspect.signature(command).parameters[name].default


def idle_price() -> float:
    """Return the monthly price of an idle pair with 100,000 keys on each side, to five dollars."""
    total = cost.estimate(cost.Usage(keys=100_000, changes=0), cost.prices("us-west-2")).total()
    return round(total / 5) * 5


def locked_packages(name: str) -> int:
    """Return the number of packages in a lock file, to ten."""
    lock = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
    return round(environment.package_count(lock), -1)


def set_up() -> tuple[float, ...]:
    """Return what `make demo` installs: packages, megabytes, and seconds with uv."""
    megabytes, with_uv, with_pip = environment.NEEDS["demo"]
    assert with_pip == "one minute", "the pages say so"
    return locked_packages("demo"), megabytes, float(with_uv.split()[0])


def measured_far_away() -> float:
    """Return the keys per second of one range with a distant peer in the recorded benchmark, to 100."""
    text = (FOLDER / "benchmarks.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"^\| 250 ms away, keys a second in one range \| ([\d,]+) /s", text, re.MULTILINE)
    return round(float(found.replace(",", "")), -2)


CLAIMS: list[tuple[str, str, Callable[[], tuple[float, ...]]]] = [
    ("README.md", "download-install/) {} or later", lambda: (float(".".join(map(str, machine.PULUMI))),)),
    ("docs/getting-started.md", "download-install/) {} or later", lambda: (float(".".join(map(str, machine.PULUMI))),)),
    ("README.md", "costs about {} USD per month", lambda: (idle_price(),)),
    ("README.md", "syncs {} files both ways", lambda: (1000,)),
    ("README.md", "about {} packages, {} MB, into `.venv` once. This takes about {} seconds with uv", set_up),
    ("README.md", "about {} seconds on two free cores", lambda: (demo.TYPICAL_SECONDS,)),
    ("docs/how-it-works.md", "one range yields about {} keys per second", lambda: (measured_far_away(),)),
    ("docs/how-it-works.md", "[Cost](cost.md) assumes {}", lambda: (cost.KEYS_A_SECOND,)),
    ("docs/cost.md", "a finder compares {} keys a second", lambda: (cost.KEYS_A_SECOND,)),
    ("docs/cost.md", "the benchmark's {} with a round trip of", lambda: (measured_far_away(),)),
    ("docs/getting-started.md", "about {} packages, {} MB, into `.venv`. This takes about {} seconds with uv", set_up),
    ("docs/getting-started.md", "about {} seconds on two free cores", lambda: (demo.TYPICAL_SECONDS,)),
    (
        "docs/getting-started.md",
        "waits {} minutes for each step",
        lambda: (parameter_default(smoke, "timeout") / MINUTE,),
    ),
    (
        "docs/getting-started.md",
        "about {} packages and {} MB in all",
        lambda: (locked_packages("dev"), environment.NEEDS["dev"][0]),
    ),
    ("docs/index.md", "about {} packages, {} MB, once: in about {} seconds with uv", set_up),
    ("docs/index.md", "about {} seconds on two free cores", lambda: (demo.TYPICAL_SECONDS,)),
    ("docs/index.md", "costs about {} USD per month", lambda: (idle_price(),)),
    ("docs/index.md", "syncs {} files both ways", lambda: (1000,)),
    ("docs/how-it-works.md", "{} changes in a row without an answer", lambda: (circuit_breaker.CIRCUIT_THRESHOLD,)),
    ("docs/how-it-works.md", "Every {} seconds a run records", lambda: (checkpoint.CHECKPOINT_INTERVAL_SECONDS,)),
    ("docs/how-it-works.md", "Runs with at most {} deletions", lambda: (deletion_guard.FREE_SHARE,)),
    ("docs/how-it-works.md", "a run leaves {} evenly spaced keys", lambda: (key_ranges.POINTS,)),
    ("docs/how-it-works.md", "Objects of {} MiB or more", lambda: (DEFAULTS["multipart_threshold"] / MIB,)),
    ("docs/how-it-works.md", "`giantThreshold` ({} GiB by default)", lambda: (DEFAULTS["giant_threshold"] / GIB,)),
    (
        "docs/how-it-works.md",
        "messages of about {} MiB",
        lambda: (int(str(copier.Copier.__dataclass_fields__["part_request_bytes"].default)) / MIB,),
    ),
    ("docs/how-it-works.md", "returns every {} minutes as well", lambda: (fleet_upload.WATCH_SECONDS / MINUTE,)),
    ("docs/how-it-works.md", "nothing has moved for {} minutes", lambda: (fleet_upload.STALL_SECONDS / MINUTE,)),
    ("docs/how-it-works.md", "up to {} hours from its first refusal", lambda: (DEFAULTS["denied_seconds"] / HOUR,)),
    ("docs/how-it-works.md", "an alarm fires after {} minutes", lambda: (Watch().lag_seconds / MINUTE,)),
    ("docs/runbook.md", "`queueRetentionDays` ({} days by default)", lambda: (pair_default("queue_days"),)),
    ("docs/runbook.md", "Dead letters expire {} days", lambda: (model.DEAD_LETTER_DAYS,)),
    ("docs/runbook.md", "`lagAlarmSeconds` ({} by default)", lambda: (Watch().lag_seconds,)),
    ("docs/runbook.md", "no instance in service for {} minutes", lambda: (3 * alarm_default("period") / MINUTE,)),
    ("docs/runbook.md", "written a heartbeat for {} minutes", lambda: (3 * alarm_default("period") / MINUTE,)),
    ("docs/runbook.md", "Within {} minutes this side's workers", lambda: (alarm_default("period") / MINUTE,)),
    ("docs/runbook.md", "Within {} minutes more than", lambda: (alarm_default("period") / MINUTE,)),
    ("docs/runbook.md", "becomes a dead letter after {} hours", lambda: (DEFAULTS["denied_seconds"] / HOUR,)),
    ("docs/runbook.md", "retried for {} hours from the first refusal", lambda: (DEFAULTS["denied_seconds"] / HOUR,)),
    ("docs/runbook.md", "Workers check for it every {} seconds", lambda: (prefix_list.MISSING_LIST_POLL_SECONDS,)),
    ("docs/runbook.md", "{} changes in a row met no answer", lambda: (circuit_breaker.CIRCUIT_THRESHOLD,)),
    ("docs/runbook.md", "written to the ledger for {} minutes", lambda: (records.WORKER_STALE_SECONDS / MINUTE,)),
    ("docs/runbook.md", "{} or more workers ended with an error", lambda: (problems.MANY_CRASHES,)),
    ("docs/runbook.md", "after {} receives, and the crashes end", lambda: (queue.MAX_RECEIVES,)),
    ("docs/runbook.md", "{} times in total", lambda: (multipart.CORRUPT_ATTEMPTS,)),
    ("docs/runbook.md", "the key changed during {} attempts", lambda: (DEFAULTS["contention_attempts"],)),
    ("docs/runbook.md", "checksum in {} attempts", lambda: (multipart.CORRUPT_ATTEMPTS,)),
    ("docs/runbook.md", "aborts the upload after {} days", lambda: (stale_uploads.ABANDONED_SECONDS / DAY,)),
    ("docs/runbook.md", "user metadata above {} KB", lambda: (metadata.LIMIT_BYTES / 1024,)),
    ("docs/runbook.md", "longer than {} bytes", lambda: (conflict_copy.MAX_KEY_BYTES,)),
    ("docs/runbook.md", "use {} or more", lambda: (model.DEAD_LETTER_DAYS + 1,)),
    ("docs/operations.md", "workers read it every {} seconds", lambda: (operator_controls.CONTROL_POLL_SECONDS,)),
    ("docs/operations.md", "takes effect within {} seconds", lambda: (operator_controls.CONTROL_POLL_SECONDS,)),
    ("docs/operations.md", "A worker has {} seconds to finish", lambda: (userdata.DRAIN_SECONDS,)),
    ("docs/operations.md", "or after {} receives without success", lambda: (queue.MAX_RECEIVES,)),
    ("docs/operations.md", "Dead letters expire {} days", lambda: (model.DEAD_LETTER_DAYS,)),
    ("docs/operations.md", "`deletions-lost`: {} deletions", lambda: (Sizes().deletions,)),
    ("docs/operations.md", "`deletions-live`: {} deletions", lambda: (Sizes().deletions,)),
    ("docs/operations.md", "`conflicts`: {} keys", lambda: (Sizes().conflicts,)),
    (
        "docs/limits.md",
        "The maximum is {} TiB",
        lambda: (round(copier.MAX_PARTS * copier.MAX_PART_BYTES / TIB - 0.05, 1),),
    ),
    ("docs/limits.md", "{} parts of up to {} GiB", lambda: (copier.MAX_PARTS, copier.MAX_PART_BYTES / GIB)),
    ("docs/limits.md", "parts longer than {} MiB are read twice", lambda: (multipart.MAX_BUFFERED_PART_BYTES / MIB,)),
    ("docs/limits.md", "returns every {} minutes, so the queue", lambda: (fleet_upload.WATCH_SECONDS / MINUTE,)),
    ("docs/limits.md", "any upload after {} days without", lambda: (stale_uploads.ABANDONED_SECONDS / DAY,)),
    ("docs/limits.md", "{} hour after their source has gone", lambda: (stale_uploads.RECENTLY_MOVED_SECONDS / HOUR,)),
    ("docs/limits.md", "takes effect within {} minutes", lambda: (prefix_list.PREFIX_LIST_POLL_SECONDS / MINUTE,)),
    ("docs/limits.md", "If the {} KB of user metadata", lambda: (metadata.LIMIT_BYTES / 1024,)),
    (
        "docs/configuration.md",
        "check for a change every {} minutes",
        lambda: (prefix_list.PREFIX_LIST_POLL_SECONDS / MINUTE,),
    ),
    ("docs/consistency.md", "So {} mutants", lambda: (len(MUTANTS),)),
    ("docs/migration.md", "at a time, not processes; {} by default", lambda: (DEFAULTS["worker_concurrency"],)),
    ("docs/migration.md", "{} as in the plugin, {} at most", lambda: (DEFAULTS["finder_number"], MAX_RANGES)),
    (
        "docs/cost.md",
        "({} × {} by default)",
        lambda: (FleetOptions().max_capacity, FleetOptions().concurrency),
    ),
    ("docs/cost.md", "An object of {} MiB or more is copied in parts of {} MiB", lambda: part_sizes()),
    (
        "docs/cost.md",
        "more than {} MiB without a stored checksum is read twice, in ranges of {} MiB",
        lambda: (copier.MD5_BYTES / MIB, digest_reader.PIECE_BYTES / MIB),
    ),
    ("docs/cost.md", "{} per side by default", lambda: (default_alarms(),)),
    ("docs/security.md", "a key is older than {} days", lambda: (problems.MAX_KEY_AGE_DAYS,)),
    (
        "docs/uninstall.md",
        "AWS deletes them {} days",
        lambda: (written("federation/issuer.py", "deletion_window_in_days"),),
    ),
    ("docs/cost.md", "40 at `maxCapacity` {}", lambda: (FleetOptions().max_capacity,)),
    ("docs/uninstall.md", "recovery window is {} days", lambda: (written("handover.py", "recovery_window_in_days"),)),
    (
        "docs/uninstall.md",
        "AWS deletes it {} days",
        lambda: (written("monitoring/observability.py", "deletion_window_in_days"),),
    ),
    ("docs/troubleshooting.md", "`queueRetentionDays` ({} days by default)", lambda: (pair_default("queue_days"),)),
    ("docs/troubleshooting.md", "`queueRetentionDays`, {} days by default", lambda: (pair_default("queue_days"),)),
    ("docs/troubleshooting.md", "`tombstoneDays`, {} days by default", lambda: (DEFAULTS["tombstone_days"],)),
    ("docs/troubleshooting.md", "{} days after the change", lambda: (model.DEAD_LETTER_DAYS,)),
    ("docs/troubleshooting.md", "{} hours from the first refusal", lambda: (DEFAULTS["denied_seconds"] / HOUR,)),
]


def pair_default(field: str) -> Any:
    """Return the default of a field of the pair."""
    return PairModel.__dataclass_fields__[field].default


def part_sizes() -> tuple[float, ...]:
    """Return the multipart threshold and the smallest part, in MiB."""
    return DEFAULTS["multipart_threshold"] / MIB, DEFAULTS["part_size"] / MIB


@pytest.mark.parametrize(("page", "claim", "numbers"), CLAIMS, ids=[f"{c[0]}: {c[1]}" for c in CLAIMS])
def test_a_number_in_the_documentation_equals_the_codes(
    page: str, claim: str, numbers: Callable[[], tuple[float, ...]]
) -> None:
    text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
    pattern = re.escape(claim).replace(r"\{\}", NUMBER)
    found = [tuple(value(n) for n in match.groups()) for match in re.finditer(pattern, text, re.IGNORECASE)]
    assert found, f"{page} no longer says: {claim}"
    assert set(found) == {tuple(float(n) for n in numbers())}


def test_numbers_are_read_in_digits_and_words() -> None:
    assert [value(text) for text in ("1,024", "48.8", "eight", "Twenty")] == [1024, 48.8, 8, 20]
    assert re.findall(NUMBER, "10,000 parts of eight") == ["10,000", "eight"]


def test_the_lifecycle_hook_is_longer_than_the_drain() -> None:
    text = (FOLDER / "decisions" / "2026-11-23-instance-lifecycle.md").read_text(encoding="utf-8")
    assert f"({userdata.DRAIN_SECONDS} s to finish)" in text
    assert f"({fleet.HEARTBEAT_SECONDS} s, then" in text


def test_every_alarm_has_a_severity() -> None:
    """The table of docs/notifications.md names each alarm once."""
    text = (FOLDER / "notifications.md").read_text(encoding="utf-8")
    table = text[text.index("## Which alarms") :]
    named = re.findall(r"`([a-z-]+)`", "\n".join(re.findall(r"^\|.*\|$", table, re.MULTILINE)))
    runbook = (FOLDER / "runbook.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### (.+)$", runbook[: runbook.index("## States")], re.MULTILINE)
    assert sorted(named) == sorted(name for heading in headings for name in heading.split(", "))


def test_defaults_in_the_prose_are_those_of_the_config() -> None:
    """`key` (N by default) and `key`, N by default: also where no claim above names it."""
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))["config"]
    for page in (ROOT / "README.md", *sorted(FOLDER.glob("*.md"))):
        text = " ".join(page.read_text(encoding="utf-8").split())
        for key, number in re.findall(r"`(\w+)`(?:,| is| \()\s*(\d+)[a-z ]{0,12} by default", text):
            assert key in declared, (page.name, key)
            default = declared[key]["default"]
            assert float(number) in (default, default / GIB), (page.name, key)


def test_the_commands_for_the_finders_image_copy_the_stock_image() -> None:
    text = (FOLDER / "getting-started.md").read_text(encoding="utf-8")
    commands = text[text.index("### The finder's image in China") : text.index("## Deploy")]
    assert f" {images.STOCK}\n" in commands
    assert f'"$REGISTRY/{images.COPY_NAME}:{images.STOCK_TAG}"' in commands
    assert f"--image-ids imageTag={images.STOCK_TAG} " in commands


def test_crashes_are_counted_over_an_hour() -> None:
    """`workers crash repeatedly` counts the last hour."""
    assert operator_status.HOUR_SECONDS == HOUR
    assert "within the last hour" in (FOLDER / "runbook.md").read_text(encoding="utf-8")
