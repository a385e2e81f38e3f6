"""Test the server that the environment names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.other_server import CLOCK, NAME, URL, other_name, other_server


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (URL, NAME, CLOCK):
        monkeypatch.delenv(variable, raising=False)


def test_there_is_none_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "another")
    assert other_name() == ""
    monkeypatch.setenv(URL, "http://127.0.0.1:9")
    assert other_name() == "another"
    monkeypatch.delenv(NAME)
    assert other_name() == "other"


@pytest.mark.parametrize("url", ["http://[::1]:9/", "http://127.0.0.1:9", "http://localhost:9"])
def test_a_server_of_this_machine(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv(URL, url)
    assert other_server().url == url.rstrip("/")


@pytest.mark.parametrize("url", ["https://s3.us-east-1.amazonaws.com", "http://192.0.2.1:9", "127.0.0.1:9"])
def test_a_server_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv(URL, url)
    with pytest.raises(ValueError, match="not on the loopback interface"):
        other_server()


def test_time_passes_only_where_the_server_reads_a_clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(URL, "http://127.0.0.1:9")
    with pytest.raises(pytest.skip.Exception):
        other_server().offset += 5
    clock = tmp_path / "clock"
    monkeypatch.setenv(CLOCK, str(clock))
    server = other_server()
    server.offset += 5
    server.offset += 6
    assert float(clock.read_text()) == 11
