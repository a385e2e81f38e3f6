"""Settings of unit tests: Hypothesis draws the same examples in each run; coroutine tests have their own loop."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.support.coroutines import run_if_coroutine

settings.register_profile("core", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("core")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    return run_if_coroutine(pyfuncitem)
