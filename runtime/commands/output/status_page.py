"""The status as a page: for a file, a wall screen or a ticket. It loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from dualsync.runtime.commands.output.formatting import local_time
from dualsync.runtime.commands.output.status_screen import merge_directions, mode, rows_of, verdict
from dualsync.runtime.operations.key_text.plain_text import html_text
from dualsync.runtime.operations.problems import BOTH, Problem, Severity
from dualsync.runtime.operations.status import Status
from dualsync.runtime.operations.verify.render import STYLE

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""The page's content security policy: no script, no request."""
_COLOURS = {Severity.STOPPED: "bad", Severity.WAITING: "wait", Severity.NOTE: "soft"}


def status_page(found: Status, wrong: Sequence[Problem], *, every: float | None = None, banner: str = "") -> str:
    """Return the page. With `every` a browser loads it again after that many seconds."""
    worst = next((p.weight for p in wrong if p.weight is not Severity.NOTE), None)
    colour = "good" if worst is None else _COLOURS[worst]
    line = _plain(verdict(found, wrong))
    refresh = f'<meta http-equiv="refresh" content="{every:.0f}">' if every else ""
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">{refresh}',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html_text(line)}</title><style>{STYLE}{_MORE}</style></head><body>",
            f'<h1>{html_text(found.pair)}</h1><p class="verdict {colour}">{html_text(line)}</p>',
            f'<p class="soft">{html_text(mode(found))}</p>' if found.one_way else "",
            f'<p class="bad">{html_text(banner)}</p>' if banner else "",
            *(_problem(problem) for problem in merge_directions(wrong)),
            _table(found),
            f'<p class="soft">Read {local_time(found.now)}. Read-only: the commands are for a terminal.</p>',
            "</body></html>\n",
        ]
    )


def _problem(problem: Problem) -> str:
    where = "both directions" if problem.direction == BOTH else problem.direction
    return (
        f'<div class="problem"><b class="{_COLOURS[problem.weight]}">{problem.weight}</b> {html_text(where)}:'
        f" {html_text(problem.what)}<br><span class='soft'>{html_text(problem.remedy)}</span></div>"
    )


def _table(found: Status) -> str:
    if not found.directions:
        return ""
    head = "".join(f"<th>{html_text(direction.name)}</th>" for direction in found.directions)
    rows = "".join(
        f"<tr><th>{name}</th>{''.join(f'<td>{html_text(_plain(value))}</td>' for value in values)}</tr>"
        for name, values in rows_of(found).items()
    )
    return f'<table class="rows"><tr><th></th>{head}</tr>{rows}</table>'


def _plain(markup: str) -> str:
    return Text.from_markup(markup, emoji=False).plain


_MORE = """
.wait{color:#b45309}.soft{color:var(--soft)}.problem{margin:.6rem 0}
@media(prefers-color-scheme:dark){.wait{color:#fbbf24}}
"""
