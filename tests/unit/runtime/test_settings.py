"""Test the settings, the contract between components and runtime: all variables are written, read and validated."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualsync.runtime.settings import (
    PREFIX,
    ConflictPolicy,
    Direction,
    Events,
    FirstContact,
    OnLifecycleExpiry,
    SettingError,
    Settings,
    SideName,
    describe,
    render,
    variable,
)
from tests.support.builders import REQUIRED, settings

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
SPECIAL: dict[str, st.SearchStrategy[Any]] = {
    "pair": st.from_regex(r"[a-z0-9][a-z0-9-]{0,39}", fullmatch=True),
    "own_user_ids": st.lists(st.from_regex(r"AIDA[A-Z0-9]{16}", fullmatch=True), min_size=1, max_size=3).map(tuple),
    "remote_encryption": st.just("aws:kms"),
    "log_level": st.sampled_from(["DEBUG", "INFO", "WARNING", "ERROR"]),
    "side": st.sampled_from(SideName),
    "direction": st.sampled_from(Direction),
    "events": st.sampled_from(Events),
    "conflict_policy": st.sampled_from(ConflictPolicy),
    "first_contact": st.sampled_from(FirstContact),
    "on_lifecycle_expiry": st.sampled_from(OnLifecycleExpiry),
}


def any_value(field: dataclasses.Field[Any]) -> st.SearchStrategy[Any]:
    """Return a strategy for valid values of a setting."""
    if field.name in SPECIAL:
        return SPECIAL[field.name]
    if field.default is dataclasses.MISSING:
        return TEXT.filter(bool)
    if isinstance(field.default, bool):
        return st.booleans()
    if isinstance(field.default, int):
        return st.integers(min_value=int(field.metadata["low"] or 0), max_value=int(field.metadata["high"] or 2**40))
    return TEXT


def consistent(values: dict[str, Any]) -> dict[str, Any]:
    """Return values that settings accept: of the three that replace an access key, all or none."""
    names = ("token_issuer", "token_key", "message_key")
    return values if all(values[n] for n in names) else values | dict.fromkeys(names, "")


@given(st.fixed_dictionaries({f.name: any_value(f) for f in dataclasses.fields(Settings)}).map(consistent))
def test_settings_round_trip_through_the_environment(values: dict[str, Any]) -> None:
    written = Settings(**values)
    assert Settings.from_environment(written.to_environment()) == written


def test_settings_with_a_default_are_optional() -> None:
    environment = {variable(name): render(value) for name, value in REQUIRED.items()}
    assert Settings.from_environment(environment | {"PATH": "/bin"}) == settings()


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_settings_without_a_default_are_required(name: str) -> None:
    environment = {variable(n): render(v) for n, v in REQUIRED.items() if n != name}
    with pytest.raises(SettingError, match=f"^{variable(name)} is not set: give ."):
        Settings.from_environment(environment)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("side", "china", "DUALSYNC_SIDE='china': use one of cn, global"),
        ("events", "all", "DUALSYNC_EVENTS='all': use one of CreateAndDelete, Create, No"),
        ("conflict_policy", "", "DUALSYNC_CONFLICT_POLICY='': use one of newest, prefer-cn, prefer-global"),
        ("on_lifecycle_expiry", "x", "DUALSYNC_ON_LIFECYCLE_EXPIRY='x': use one of ignore, propagate"),
        ("keep_loser", "True", "DUALSYNC_KEEP_LOSER='True': use true or false"),
        ("worker_concurrency", "many", "DUALSYNC_WORKER_CONCURRENCY='many': use a whole number"),
        ("worker_concurrency", "1.5", "DUALSYNC_WORKER_CONCURRENCY='1.5': use a whole number"),
        ("worker_concurrency", "0", "DUALSYNC_WORKER_CONCURRENCY=0: must be at least 1"),
        ("finder_number", "33", "DUALSYNC_FINDER_NUMBER=33: must be at most 32"),
        ("visibility_seconds", "9", "DUALSYNC_VISIBILITY_SECONDS=9: must be at least 10"),
        ("retry_delay_seconds", "-1", "DUALSYNC_RETRY_DELAY_SECONDS=-1: must be at least 0"),
        ("part_size", "5242879", "DUALSYNC_PART_SIZE=5242879: must be at least 5242880"),
        ("multipart_threshold", "1", "DUALSYNC_MULTIPART_THRESHOLD=1: must be at least 5242880"),
        ("deletion_limit", "-5", "DUALSYNC_DELETION_LIMIT=-5: must be at least 0"),
        ("pair", "My Pair", "DUALSYNC_PAIR='My Pair': use 1 to 40 lower-case letters, digits and hyphens"),
        ("pair", "p" * 41, f"DUALSYNC_PAIR='{'p' * 41}': use 1 to 40 lower-case letters, digits and hyphens"),
        ("pair", "", "DUALSYNC_PAIR is empty: give Name of the pair"),
        ("local_bucket", "", "DUALSYNC_LOCAL_BUCKET is empty: give Bucket of this side"),
        ("remote_bucket", "", "DUALSYNC_REMOTE_BUCKET is empty: give "),
        ("local_region", "", "DUALSYNC_LOCAL_REGION is empty: give "),
        ("remote_region", "", "DUALSYNC_REMOTE_REGION is empty: give "),
        ("queue_url", "", "DUALSYNC_QUEUE_URL is empty: give "),
        ("dead_letter_queue_url", "", "DUALSYNC_DEAD_LETTER_QUEUE_URL is empty: give "),
        ("ledger_table", "", "DUALSYNC_LEDGER_TABLE is empty: give "),
        ("peer_secret", "", "DUALSYNC_PEER_SECRET is empty: give "),
        ("own_user_ids", " , ", "DUALSYNC_OWN_USER_IDS is empty: without the dedicated user's id echoes"),
        ("remote_encryption", "none", "DUALSYNC_REMOTE_ENCRYPTION='none': use AES256, aws:kms or aws:kms:dsse"),
        ("remote_kms_key", "arn:k", "DUALSYNC_REMOTE_KMS_KEY='arn:k': set DUALSYNC_REMOTE_ENCRYPTION=aws:kms"),
        ("log_level", "TRACE", "DUALSYNC_LOG_LEVEL='TRACE': use DEBUG, INFO, WARNING or ERROR"),
    ],
)
def test_wrong_value_is_refused_with_name_value_and_remedy(name: str, text: str, message: str) -> None:
    environment = settings().to_environment() | {variable(name): text}
    with pytest.raises(SettingError, match=f"^{re.escape(message)}"):
        Settings.from_environment(environment)


@pytest.mark.parametrize("field", [f for f in dataclasses.fields(Settings) if f.metadata["low"]], ids=lambda f: f.name)
def test_minimum_value_is_allowed_and_one_less_is_not(field: dataclasses.Field[Any]) -> None:
    low = int(field.metadata["low"])
    assert getattr(settings(**{field.name: low}), field.name) == low
    with pytest.raises(SettingError, match=f"must be at least {low}$"):
        settings(**{field.name: low - 1})


def test_misspelt_variable_is_refused() -> None:
    with pytest.raises(SettingError, match=r"^DUALSYNC_LOCAL_BUCKETS is not a setting of this version: remove it"):
        Settings.from_environment(settings().to_environment() | {"DUALSYNC_LOCAL_BUCKETS": "x"})


def test_user_ids_may_be_separated_with_spaces() -> None:
    environment = settings().to_environment() | {"DUALSYNC_OWN_USER_IDS": "AIDANEW, AIDAOLD ,"}
    assert Settings.from_environment(environment).own_user_ids == ("AIDANEW", "AIDAOLD")


def test_describe_lists_every_variable_with_default_and_help() -> None:
    rows = {name: (default, text) for name, default, text in describe()}
    assert set(rows) == set(settings().to_environment())
    assert all(name.startswith(PREFIX) and text for name, (_, text) in rows.items())
    assert {name for name, (default, _) in rows.items() if default == "required"} == {variable(n) for n in REQUIRED}
    assert rows["DUALSYNC_KEEP_LOSER"][0] == "false"
    assert rows["DUALSYNC_EVENTS"][0] == "CreateAndDelete"


def test_each_side_has_the_other_as_peer() -> None:
    assert [side.peer.peer for side in SideName] == list(SideName)
    assert SideName.CN.peer is SideName.GLOBAL


@pytest.mark.parametrize("empty", ["token_issuer", "token_key", "message_key"])
def test_settings_that_replace_a_key_are_required_together(empty: str) -> None:
    given = {"token_issuer": "https://id.example.com", "token_key": "arn:1", "message_key": "arn:2"}
    assert settings(**given).token_key == "arn:1"
    with pytest.raises(SettingError, match=f"{variable(empty)} is empty: give .* Or empty the other two."):
        settings(**{**given, empty: ""})
