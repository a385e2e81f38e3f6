"""Test metric filters against real log lines, alarms against existing metrics, and the dashboard's widgets."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from dualsync.components.config.side_options import FleetOptions, Security, Watch
from dualsync.components.context import SideContext
from dualsync.components.monitoring import metrics
from dualsync.components.monitoring.alarms import alarms
from dualsync.components.monitoring.log_fields import ECHO_LINE, Event, Outcome, State
from dualsync.components.monitoring.observability import Observability, ObservabilityArgs
from dualsync.runtime.log import COUNTED, JsonLog
from dualsync.runtime.settings import Events, SideName
from dualsync.runtime.sync.context import MAX_DELAY
from tests.unit.components.parts import World, deploy, pair

GUIDES = [
    "Network",
    "Transferred/Failed Objects",
    "Running/Waiting Jobs History",
    "Running/Waiting Jobs",
    "Network In/Out",
    "CPU Utilization",
    "Memory / Disk",
    "Desired / InService Instances",
]


def watched(security: Security | None = None, **watch: Any) -> World:
    def program(context: SideContext) -> None:
        Observability(
            context,
            ObservabilityArgs(
                queue_name="dth-dual-cn-queue",
                dead_letter_queue_name="dth-dual-cn-dead-letters",
                group_name="dth-dual-cn-workers",
                worker_log_group="dth-dual-cn-worker-log",
                finder_log_group="dth-dual-cn-finder-log",
            ),
        )

    return deploy(program, World(), pair(watch=Watch(**watch), security=security or Security()), SideName.CN)


@pytest.fixture(scope="module")
def world() -> World:
    return watched(email="ops@example.com")


def body(world: World) -> dict[str, Any]:
    value = json.loads(world.one("Dashboard").inputs["dashboardBody"])
    assert isinstance(value, dict)
    return value


def test_dashboard_shows_the_guides_widgets_before_the_others(world: World) -> None:
    titles = [w["properties"]["title"] for w in body(world)["widgets"]]
    assert titles[: len(GUIDES)] == GUIDES
    for ours in (
        "Lag of puts cn->global",
        "Lag of deletes cn->global",
        "Oldest message",
        "Conflicts and echoes suppressed",
    ):
        assert ours in titles


def test_the_dashboard_shows_every_state_that_stops_a_direction(world: World) -> None:
    lines = next(w["properties"]["metrics"] for w in body(world)["widgets"] if "states" in w["properties"]["title"])
    assert {"WaitingForPeer", "CircuitOpen", "Paused", "GuardRefused"} <= {line[1] for line in lines}


def test_the_dashboard_is_optional() -> None:
    assert watched(dashboard=False).of("Dashboard") == []


def test_widgets_fill_the_grid_without_overlap(world: World) -> None:
    cells: set[tuple[int, int]] = set()
    for w in body(world)["widgets"]:
        mine = {(x, y) for x in range(w["x"], w["x"] + w["width"]) for y in range(w["y"], w["y"] + w["height"])}
        assert not cells & mine
        assert w["x"] + w["width"] <= 24
        cells |= mine


def test_every_metric_of_a_widget_or_an_alarm_exists(world: World) -> None:
    made = {m.name for m in metrics.METRICS} | {"mem_used_percent", "disk_used_percent"}
    shown = {
        line[1]
        for w in body(world)["widgets"]
        for line in w["properties"].get("metrics", [])
        if line[0] == "dth-dual/cn"
    }
    alarmed = {a.inputs["metricName"] for a in world.of("MetricAlarm") if a.inputs.get("namespace") == "dth-dual/cn"}
    assert shown | alarmed <= made
    assert {"CompletedBytes", "TransferredObjects", "FailedObjects"} <= shown


def matching(pattern: str, line: dict[str, Any]) -> bool:
    """Evaluate a CloudWatch filter, as far as ours use the language: `&&`, `||`, `=`, `>`, `IS TRUE`, parentheses."""
    text = pattern.strip("{ }")
    text = re.sub(r"\(\$\.(\w+) IS TRUE\)", lambda m: f"(line.get('{m[1]}') is True)", text)
    text = re.sub(r"\$\.(\w+) > (\d+)", lambda m: f"line.get('{m[1]}', 0) > {m[2]}", text)
    text = re.sub(r'\$\.(\w+) = ("[^"]*")', lambda m: f"line.get('{m[1]}') == {m[2]}", text)
    return bool(eval(text.replace("&&", "and").replace("||", "or"), {"line": line}))


def counted(**fields: Any) -> set[str]:
    stream = io.StringIO()
    event = fields.pop("event")
    JsonLog(stream, "DEBUG", pair="p", side="cn").line("INFO", event, **fields)
    line = json.loads(stream.getvalue())
    return {m.name for m in metrics.METRICS if matching(m.pattern, line)}


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"outcome": Outcome.COPIED}, {"CompletedBytes", "TransferredObjects", "PutLag"}),
        ({"outcome": Outcome.PULLED}, {"CompletedBytes", "TransferredObjects"}),
        ({"outcome": Outcome.DELETED}, {"DeletedObjects", "DeleteLag"}),
        ({"outcome": Outcome.CANCELLED, "message": ECHO_LINE}, {"EchoesSuppressed"}),
        ({"outcome": Outcome.BURIED}, {"FailedObjects"}),
        ({"outcome": Outcome.FAILED}, {"FailedObjects"}),
        ({"outcome": Outcome.SKIPPED}, set()),
        ({"outcome": Outcome.AGREED, "conflict": True}, {"Conflicts"}),
        ({"outcome": Outcome.POSTPONED}, {"Postponed"}),
        ({"outcome": Outcome.POSTPONED, "denied_seconds": 930.4}, {"Postponed", "DeniedSeconds"}),
        ({"event": "state", "state": State.RUNNING}, {"HealthyReports"}),
        ({"event": "state", "state": State.RUNNING, "held": 12}, {"HealthyReports", "HeldDeletions"}),
        ({"event": "state", "state": State.WAITING_FOR_PEER}, {"HealthyReports", "WaitingForPeer"}),
        ({"event": "state", "state": State.CIRCUIT_OPEN}, {"HealthyReports", "CircuitOpen", "NotReceiving"}),
        ({"event": "state", "state": State.PAUSED}, {"HealthyReports", "Paused", "NotReceiving"}),
        ({"event": "state", "state": State.GUARD_REFUSED}, {"GuardRefused"}),
        (
            {"event": "finder", "state": "finished", "held": 2, "queued": 3},
            {"FinderRuns", "FinderQueued", "HeldDeletions"},
        ),
        ({"event": "finder", "state": "finished", "held": 0, "queued": 0}, {"FinderRuns"}),
        ({"event": "finder", "state": "failed"}, {"FinderFailed"}),
        ({"event": "finder", "state": "waiting"}, set()),
        ({"event": "fatal", "message": "boot"}, {"Fatal"}),
    ],
)
def test_each_log_line_is_counted_in_the_metrics_of_its_kind(fields: dict[str, Any], names: set[str]) -> None:
    assert counted(**{"event": "outcome", **fields}) == names


def test_lines_that_are_counted_are_written_at_every_level() -> None:
    assert {str(e) for e in Event} == COUNTED


def test_filters_read_the_right_log_group_and_only_scaling_has_a_default_value(world: World) -> None:
    filters = {f.inputs["metricTransformation"]["name"]: f.inputs for f in world.of("LogMetricFilter")}
    assert filters["FinderRuns"]["logGroupName"] == "dth-dual-cn-finder-log"
    assert filters["CompletedBytes"]["logGroupName"] == "dth-dual-cn-worker-log"
    assert filters["CompletedBytes"]["metricTransformation"]["value"] == "$.bytes"
    assert filters["FinderQueued"]["metricTransformation"]["value"] == "$.queued"
    assert {n for n, f in filters.items() if "defaultValue" in f["metricTransformation"]} == {"NotReceiving"}
    assert filters["DeniedSeconds"]["metricTransformation"]["value"] == "$.denied_seconds"


def test_alarms_notify_the_topic_and_describe_the_remedy(world: World) -> None:
    topic = f"arn:test:{world.one('Topic').type}:dth-dual-cn-alarms"
    made = {a.name: a.inputs for a in world.of("MetricAlarm")}
    assert {
        f"dth-dual-cn-{part}-alarm"
        for part in (
            "dead-letters",
            "oldest-message",
            "no-worker",
            "guard-refused",
            "finder-failed",
            "finder-late",
            "no-events",
            "fatal",
        )
    } <= set(made)
    for alarm in made.values():
        assert alarm["alarmActions"] == alarm["okActions"] == [topic]
        assert 40 < len(alarm["alarmDescription"]) < 1024
    assert made["dth-dual-cn-no-worker-alarm"]["treatMissingData"] == "breaching"
    assert made["dth-dual-cn-lag-alarm"]["extendedStatistic"] == "p99"
    assert "statistic" not in made["dth-dual-cn-lag-alarm"]


def test_an_alarm_fires_before_a_message_that_is_refused_repeatedly_is_a_dead_letter(world: World) -> None:
    alarm = world.one("MetricAlarm", "dth-dual-cn-access-denied-alarm").inputs
    assert (alarm["metricName"], alarm["statistic"], alarm["threshold"]) == ("DeniedSeconds", "Maximum", 900)
    assert (
        alarm["period"] * alarm["evaluationPeriods"] > MAX_DELAY
    )  # each period contains an attempt as long as the message is refused


def test_held_deletions_are_one_metric_of_both_logs(world: World) -> None:
    """A finder on an operator's laptop writes to no log group, so the workers log what it holds."""
    made = [
        f.inputs for f in world.of("LogMetricFilter") if f.inputs["metricTransformation"]["name"] == "HeldDeletions"
    ]
    assert len({f["name"] for f in made}) == 2
    assert {f["logGroupName"] for f in made} == {"dth-dual-cn-worker-log", "dth-dual-cn-finder-log"}
    assert {f["metricTransformation"]["namespace"] for f in made} == {"dth-dual/cn"}


def test_alarm_thresholds_are_configurable(world: World) -> None:
    def thresholds(world: World) -> dict[str, float]:
        return {a.name.removesuffix("-alarm"): a.inputs["threshold"] for a in world.of("MetricAlarm")}

    assert thresholds(world)["dth-dual-cn-many-deletions"] == 1000
    assert thresholds(world)["dth-dual-cn-many-conflicts"] == 100
    other = thresholds(watched(deletions=5, conflicts=0))
    assert other["dth-dual-cn-many-deletions"] == 5
    assert "dth-dual-cn-many-conflicts" not in other
    says = next(a.inputs["alarmDescription"] for a in world.of("MetricAlarm") if "many-deletions" in a.name)
    assert "dualsync pause cn --wait" in says


def test_a_side_that_copies_nothing_has_no_alarms_of_copying() -> None:
    def parts(**fleet: Any) -> set[str]:
        found: list[Any] = []
        model = pair(fleet=FleetOptions(**fleet))
        deploy(lambda context: found.extend(alarms(context, "q", "d", "g")), World(), model, SideName.CN)
        return {alarm.part for alarm in found}

    assert parts() - parts(enabled=False) == {"no-instance", "no-worker", "finder-late", "oldest-message"}


def test_without_events_there_is_no_alarm_about_their_absence() -> None:
    found: list[Any] = []
    model = replace(pair(), events=Events.NO)
    deploy(lambda context: found.extend(alarms(context, "q", "d", "g")), World(), model, SideName.CN)
    assert "no-events" not in {alarm.part for alarm in found}


@pytest.mark.parametrize("minutes", [1, 7, 60, 60 * 24, 60 * 24 * 2])
def test_alarm_periods_are_valid_for_cloudwatch(minutes: int) -> None:
    import dataclasses

    from dualsync.components.config.side_options import FinderOptions

    model = pair(finder=dataclasses.replace(FinderOptions(image="x"), interval_minutes=minutes))
    found: list[Any] = []
    deploy(lambda context: found.extend(alarms(context, "q", "d", "g")), World(), model, SideName.CN)
    for alarm in found:
        assert alarm.period % 60 == 0
        assert alarm.period * alarm.periods <= (86400 * 7 if alarm.period >= 3600 else 86400)
    late = next(a for a in found if a.part == "finder-late")
    assert late.period * late.periods >= 3 * minutes * 60, "a finder on schedule raises no alarm"


def test_the_topic_has_no_key_by_default(world: World) -> None:
    assert "kmsMasterKeyId" not in world.one("Topic").inputs
    assert world.of("Key") + world.of("Alias") == []


@pytest.mark.parametrize("made", [False, True])
def test_the_topic_has_the_given_key_before_one_of_its_own(made: bool) -> None:
    given = "arn:aws-cn:kms:cn-north-1:111111111111:key/12345678-1234-1234-1234-123456789012"
    found = watched(Security(kms_key_arn=given, alarm_topic_key=made))
    assert found.one("Topic").inputs["kmsMasterKeyId"] == given
    assert found.of("Key") + found.of("Alias") == []


def test_an_own_key_of_the_topic_may_be_used_by_cloudwatch() -> None:
    world = watched(Security(alarm_topic_key=True))
    assert world.one("Topic").inputs["kmsMasterKeyId"] == f"arn:test:{world.one('Key').type}:dth-dual-cn-alarms-key"
    statements = {s["Sid"]: s for s in json.loads(world.one("Key").inputs["policy"])["Statement"]}
    assert statements["Account"]["Principal"] == {"AWS": "arn:aws-cn:iam::111111111111:root"}
    assert statements["Alarms"]["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert set(statements["Alarms"]["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey*"}
    assert world.one("Key").inputs["enableKeyRotation"] is True
    assert statements["Alarms"]["Condition"] == {"StringEquals": {"aws:SourceAccount": "111111111111"}}


def test_email_is_subscribed_only_when_given(world: World) -> None:
    subscription = world.one("TopicSubscription").inputs
    assert (subscription["protocol"], subscription["endpoint"]) == ("email", "ops@example.com")
    assert watched().of("TopicSubscription") == []


def test_saved_queries_are_in_the_sides_folder(world: World) -> None:
    queries = {q.inputs["name"]: q.inputs for q in world.of("QueryDefinition")}
    assert "dth-dual-cn/History of a key" in queries
    assert queries["dth-dual-cn/Finder's runs"]["logGroupNames"] == ["dth-dual-cn-finder-log"]
    assert ECHO_LINE in queries["dth-dual-cn/Echoes suppressed"]["queryString"]
