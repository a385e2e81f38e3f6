"""Test one-way pairs over HTTP: the source's changes are copied, and changes at the destination stay or are replaced.

Each test is one row of the table in `docs/configuration.md`, "Copy in one direction".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from dualsync.runtime.settings import SideName
from tests.integration.http.cloud import EmulatorClock
from tests.integration.http.side import AccountClients, HttpSide
from tests.integration.http.stage import HttpStage

Play = Callable[..., None]


class Log:
    """A log that keeps the lines of a worker for the test."""

    def __init__(self) -> None:
        self.outcomes: list[dict[str, Any]] = []

    def line(self, level: str, event: str, **fields: Any) -> None:
        if event == "outcome":
            self.outcomes.append(fields)


@pytest.fixture(params=list(SideName))
def source(request: pytest.FixtureRequest) -> SideName:
    """Return the source's name; the other side is the destination."""
    side: SideName = request.param
    return side


@pytest.fixture
def http(stage: tuple[Mapping[SideName, AccountClients], EmulatorClock], source: SideName) -> Iterator[HttpStage]:
    http = HttpStage(*stage)
    http.perform(f"given settings direction {source}-to-{source.peer}")
    yield http
    http.close()


@pytest.fixture
def play(http: HttpStage, source: SideName) -> Play:
    """Perform lines in which `source` and `destination` are the sides."""

    def play(*lines: str) -> None:
        for line in lines:
            http.perform(line.replace("source", str(source)).replace("destination", str(source.peer)))

    return play


def written(side: HttpSide) -> dict[str, tuple[str, str]]:
    """Return ETag and time of every object, which a write changes."""
    rows = side.s3.list_objects_v2(Bucket=side.bucket).get("Contents", ())
    return {row["Key"]: (row["ETag"], str(row["LastModified"])) for row in rows}


def test_only_the_source_has_a_queue_a_ledger_and_events(http: HttpStage, play: Play, source: SideName) -> None:
    play("settle")
    there = http.sides[source.peer]
    assert list(http.contexts) == [source]
    assert http.contexts[source].settings.own_user_ids == ()
    configured = there.s3.get_bucket_notification_configuration(Bucket=there.bucket)
    assert not [name for name in configured if name.endswith("Configurations")]


def test_puts_overwrites_and_deletions_are_copied_in_one_direction(
    http: HttpStage, play: Play, source: SideName
) -> None:
    play("source put a one", "source put b one", "source multipart big large", "source complete large", "settle")
    play("expect a one", "expect b one", "expect big large", "wait 10")
    play("source put a two", "source retouch b other", "source copy b c", "settle")
    play("expect a two", "expect b other", "expect c other", "wait 10")
    before = written(http.sides[source])
    play("source delete a", "source delete big", "settle", "expect keys b c")
    del before["a"], before["big"]
    assert written(http.sides[source]) == before, "no worker writes at the source"
    play("source put a three", "settle", "expect a three", "expect right", "expect records conflict 0")


def test_lost_events_are_found_by_the_sources_finder(play: Play) -> None:
    play("source put a one", "source put b one", "settle", "wait 100")
    play("source put a two", "source delete b", "source put c one", "source lose e1", "settle")
    play("expect destination a one", "expect destination b one", "expect destination c nothing")
    play("finders", "expect a two", "expect b nothing", "expect c one", "expect right")


def test_what_is_written_at_the_destination_is_not_sent_back_and_stays(
    http: HttpStage, play: Play, source: SideName
) -> None:
    play("source put a one", "settle", "wait 100", "destination put theirs two", "settle", "finders", "finders")
    play("expect source theirs nothing", "expect destination theirs two", "expect right", "expect deletions 0")
    assert http.counts["writes"] == 1


def test_a_change_at_the_destination_is_replaced_which_the_log_names_and_versioning_keeps(
    http: HttpStage, play: Play, source: SideName
) -> None:
    play(f"given versioning {source.peer}=Enabled", "source put a one", "settle", "wait 100")
    before = written(http.sides[source])
    log = Log()
    http.contexts[source] = replace(http.contexts[source], log=log)
    play("destination put a theirs", "settle", "expect source a one", "expect destination a theirs")
    play("finders", "expect a one")
    assert written(http.sides[source]) == before
    (outcome,) = log.outcomes
    assert (outcome["outcome"], outcome["key"]) == ("copied", "a")
    assert outcome["reason"] == "the destination holds another version: the source's applies"
    there = http.sides[source.peer]
    versions = there.s3.list_object_versions(Bucket=there.bucket, Prefix="a")["Versions"]
    names = [
        there.s3.head_object(Bucket=there.bucket, Key="a", VersionId=version["VersionId"])["Metadata"]["w"]
        for version in versions
    ]
    assert names == ["one", "theirs", "one"]


def test_the_sources_next_event_replaces_a_change_at_the_destination(play: Play) -> None:
    play("source put a one", "settle", "wait 100", "destination put a theirs", "wait 100", "source put a two", "settle")
    play("expect a two", "expect right", "expect records conflict 0")


def test_metadata_alone_that_was_changed_at_the_destination_is_replaced(play: Play) -> None:
    play("source put a one", "settle", "wait 200", "destination retouch a theirs", "expect destination a theirs")
    play("finders", "expect a one", "expect right")


def test_a_deletion_at_the_destination_is_not_sent_back_and_the_object_is_restored(
    http: HttpStage, play: Play, source: SideName
) -> None:
    play("source put a one", "settle", "wait 100")
    before = written(http.sides[source])
    play("destination delete a", "settle", "expect source a one", "expect destination a nothing")
    play("finders", "expect a one", "expect deletions 0")
    assert written(http.sides[source]) == before


def test_an_absence_at_the_destination_stays_where_a_rule_may_have_expired_it(play: Play) -> None:
    play("given settings remote_expires true", "source put a one", "settle", "wait 100", "destination delete a")
    play("finders", "finders", "expect source a one", "expect destination a nothing", "expect writes 1")
    play("source put a two", "settle", "expect a two")


def test_an_object_changed_at_the_destination_is_not_deleted_with_the_source(play: Play) -> None:
    play("source put a one", "settle", "wait 100", "destination put a theirs", "wait 100", "source delete a", "settle")
    play("finders", "finders", "expect source a nothing", "expect destination a theirs", "expect deletions 0")


def test_without_events_of_deletions_the_destination_keeps_what_the_source_deleted(play: Play) -> None:
    play("given settings events Create", "source put a one", "settle", "wait 100", "source delete a", "settle")
    play("finders", "expect source a nothing", "expect destination a one", "expect deletions 0")


def test_equal_objects_of_both_buckets_are_recorded_without_a_write_and_a_deletion_is_copied(play: Play) -> None:
    play("source seed a one", "finders", "expect writes 0", "wait 100", "source delete a", "settle")
    play("expect a nothing", "expect right", "expect records conflict 0")


def test_other_objects_that_the_destination_held_before_are_replaced(play: Play) -> None:
    play("source put a one", "source lose e1", "wait 10", "destination put a newer", "finders", "expect a one")
    play("expect records conflict 0")
