"""One pair in ministack for all tests of the folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.integration.ministack.pair import Pair
from tests.support.ministack_server import Ministack, interpreter
from tests.unit.components.conftest import fake_bundles, tidied

ABSENT = "ministack is not installed; `make conformity` installs it and runs these tests"


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Yield a deployed pair whose workers run."""
    if interpreter() is None:
        pytest.skip(ABSENT)
    server = Ministack(tmp_path_factory.mktemp("ministack"), tls=True)
    try:
        with pytest.MonkeyPatch.context() as patch, tidied():
            patch.setenv("AWS_CA_BUNDLE", server.authority)
            with closing(Pair(server, fake_bundles(tmp_path_factory.mktemp("bundles")))) as made:
                yield made
    finally:
        server.stop()
