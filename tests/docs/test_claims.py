"""Test the migration page's claims about the first run with the real worker and finder over the fakes."""

from __future__ import annotations

import textwrap

import pytest

from tests.simulation.scenarios.stage import Stage


def play(story: str) -> None:
    stage = Stage()
    for line in textwrap.dedent(story).strip().splitlines():
        stage.perform(line)


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(
            """
            cn put a one
            cn lose e1
            finders
            expect a one
            expect writes 1
            """,
            id="only on one side: copied",
        ),
        pytest.param(
            """
            cn seed a one
            finders
            expect writes 0
            expect records conflict 0
            wait 1000
            cn delete a
            settle
            expect a nothing
            """,
            id="equal on both: agreed, and a deletion has its proof",
        ),
        pytest.param(
            """
            cn put a one
            wait 10
            global put a copied like one
            cn lose e1
            global lose e1
            finders
            expect writes 1
            expect a copied
            # the same one in both ledgers
            expect records conflict 2
            """,
            id="equal content with other metadata: the newer one wins",
        ),
        pytest.param(
            """
            given parts True
            cn seed a one
            finders
            expect writes 0
            expect records conflict 0
            wait 1000
            global delete a
            settle
            expect a nothing
            """,
            id="the same content in other parts: agreed, and a deletion has its proof",
        ),
        pytest.param(
            """
            cn put a one
            wait 10
            global put a two
            cn lose e1
            global lose e1
            finders
            expect writes 1
            expect a two
            # the same one in both ledgers
            expect records conflict 2
            """,
            id="other content: a conflict",
        ),
        pytest.param(
            """
            cn put a one
            wait 10
            global put a copied like one
            cn lose e1
            global lose e1
            cn delete a
            cn lose e2
            finders
            expect a copied
            """,
            id="deleted before the pair existed: comes back",
        ),
    ],
)
def test_the_first_run_after_the_plugin(story: str) -> None:
    play(story)
