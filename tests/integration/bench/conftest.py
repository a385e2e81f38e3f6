"""Run coroutine tests."""

from __future__ import annotations

import pytest

from tests.support.coroutines import run_if_coroutine


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    return run_if_coroutine(pyfuncitem)
