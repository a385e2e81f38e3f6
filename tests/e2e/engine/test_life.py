"""Test the sections of `make engine-demo`, each of which checks its own results."""

from __future__ import annotations

import re
from datetime import date

import pytest

from sandbox.provider.hold import Moment
from tests.e2e.pulumi_lifecycle import incidents
from tests.e2e.pulumi_lifecycle.life import SETTINGS, Lifecycle
from tests.e2e.pulumi_lifecycle.sections import SECTIONS, Section, merged
from tests.e2e.pulumi_lifecycle.stage import EngineStage
from tests.e2e.pulumi_lifecycle.transcript import Transcript

OTHERS = [section for section in SECTIONS if section.name not in ("life", "interrupted")]


@pytest.mark.engine
def test_the_lifecycle_of_a_pair() -> None:
    def play(engine: EngineStage, page: Transcript) -> None:
        Lifecycle(engine, page, files=12).play()

    text = Section("life-test", "A lifecycle", play, SETTINGS).run().text()
    assert text.count("### ") == 10
    assert "/.sandbox/" not in text
    assert not re.search(r"127\.0\.0\.1:\d", text)
    assert not re.search(r'File "|/home/|/root/', text)


@pytest.mark.engine(long=True)
@pytest.mark.parametrize("section", OTHERS, ids=lambda section: section.name)
def test_an_incident_is_repaired_by_the_documented_steps(section: Section) -> None:
    text = section.run().text()
    assert "/.sandbox/" not in text
    assert not re.search(r"127\.0\.0\.1:\d", text)


@pytest.mark.engine(long=True)
@pytest.mark.parametrize("moment", Moment)
def test_an_up_killed_at_any_creation_is_repaired(moment: Moment) -> None:
    def play(engine: EngineStage, page: Transcript) -> None:
        incidents.interrupted(engine, page, moment)

    text = Section("interrupted", "Kills", play).run().text()
    assert text.count("# SIGKILL during") >= 5


def test_a_section_is_written_again_without_the_others() -> None:
    first, second = Transcript(), Transcript()
    first.remark("one")
    second.chapter("Chapter")
    second.remark("two")
    page = merged("", {"life": first, "second-state": second}, date(2026, 11, 27))
    again = Transcript()
    again.remark("three")
    later = merged(page, {"life": again}, date(2026, 11, 28))
    assert later == page.replace("- one", "- three").replace("2026-11-27", "2026-11-28", 1)
    assert "### Chapter\n\n- two\n" in later
    assert merged(page, {}, date(2026, 11, 28)) == page
