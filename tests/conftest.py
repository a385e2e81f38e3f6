"""Options and summary of the whole suite: tests of the real engine are skipped without it, and skips are counted."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.e2e.pulumi_lifecycle.command import is_available

ABSENT = "needs `pulumi` and `pulumi-language-python` on PATH; `make engine` prints how to get them"
"""Reason for which every test of the engine is skipped."""

LONG = "takes minutes with the real engine; `make engine` runs it"
"""Reason for which `make test` skips the longest tests of the engine."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options with which `make engine` runs the longest tests, and `make examples` skips none."""
    parser.addoption("--long", action="store_true", help="run the longest tests of the real engine, too")
    parser.addoption("--no-skips", action="store_true", help="fail if a test is skipped")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the tests of the engine that can not run here, and the longest ones unless they are asked for."""
    available = is_available()
    for item in items:
        mark = item.get_closest_marker("engine")
        if mark is None:
            continue
        if not available:
            item.add_marker(pytest.mark.skip(reason=ABSENT))
        elif mark.kwargs.get("long") and not config.getoption("--long"):
            item.add_marker(pytest.mark.skip(reason=LONG))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that may skip no test and did."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--no-skips") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the number of skipped tests per reason."""
    reports = terminalreporter.stats.get("skipped", [])
    reasons = Counter(_reason(report) for report in reports)
    if reasons:
        terminalreporter.section(f"{sum(reasons.values())} tests skipped")
        for reason, count in reasons.most_common():
            terminalreporter.write_line(f"{count:>5}  {reason}")


def _reason(report: object) -> str:
    place = getattr(report, "longrepr", None)
    text = str(place[2]) if isinstance(place, tuple) else str(place)
    return text.removeprefix("Skipped: ")
