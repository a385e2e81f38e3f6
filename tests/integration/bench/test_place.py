"""Test where the servers of a benchmark keep their data."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.harness import place
from bench.harness.servers import tools


def test_data_is_on_disk_where_memory_is_short_although_nothing_was_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "in_memory", lambda: False)
    monkeypatch.setattr(tools, "HOME", tmp_path / "absent")
    with place.data() as folder:
        assert folder.parent == tmp_path / "absent"
    assert not folder.exists()
