"""Fixtures of the HTTP client's tests."""

from __future__ import annotations

import pytest


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let retries follow without a delay."""
    monkeypatch.setattr("random.uniform", lambda low, high: 0)
