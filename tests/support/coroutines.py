"""Run coroutine tests, each in an event loop of its own."""

from __future__ import annotations

import asyncio
import inspect

import pytest


def run_if_coroutine(function: pytest.Function) -> bool | None:
    """Run a coroutine test to its end, for a `pytest_pyfunc_call` hook."""
    if not inspect.iscoroutinefunction(function.obj):
        return None
    names = function._fixtureinfo.argnames
    asyncio.run(function.obj(**{name: function.funcargs[name] for name in names}))
    return True
