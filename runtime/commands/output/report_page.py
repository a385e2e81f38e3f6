"""The report of a period as a page. It loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape as html_escape
from typing import Any

from dualsync.runtime.commands.output.formatting import local_time, number, size
from dualsync.runtime.operations.key_text.plain_text import display_key, html_text
from dualsync.runtime.operations.reports.report import COUNTED_METRICS, DirectionReport, PeriodReport
from dualsync.runtime.operations.verify.render import STYLE


def report_page(found: PeriodReport) -> str:
    """Return the page."""
    colour = "bad" if found.has_failures else "good"
    verdict = "Something failed." if found.has_failures else "Nothing failed."
    period = f"{local_time(found.since)} to {local_time(found.until)}"
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html_text(found.pair)}: {period}</title><style>{STYLE}</style></head><body>",
            f'<h1>{html_text(found.pair)}</h1><p class="verdict {colour}">{verdict}</p><p>{period}</p>',
            *_totals(found),
            *(part for d in found.directions for part in _lines(f"{d.name}: failed", d.failed)),
            *(part for d in found.directions for part in _lines(f"{d.name}: skipped", d.skipped)),
            *_acts(found.acts),
            "</body></html>\n",
        ]
    )


def _totals(found: PeriodReport) -> Iterator[str]:
    yield '<table class="rows"><tr><th></th>'
    yield "".join(f"<th>{html_text(d.name)}</th>" for d in found.directions)
    yield "</tr>"
    for name in COUNTED_METRICS:
        cells = "".join(f"<td>{total(d, name)}</td>" for d in found.directions)
        yield f"<tr><th>{name}</th>{cells}</tr>"
    yield "</table>"


def total(d: DirectionReport, name: str) -> str:
    """Return a count of a direction as it is shown; a dash if it is not visible."""
    if d.totals is None:
        return "–"
    return size(d.totals[name]) if name == "bytes" else number(d.totals[name])


def _lines(title: str, lines: Sequence[Mapping[str, Any]] | None) -> Iterator[str]:
    if lines is None:
        yield f"<h2>{html_text(title)}</h2><p>The log is not visible to the one who made this page.</p>"
        return
    if not lines:
        return
    yield f'<h2>{html_text(title)}</h2><table class="rows"><tr><th>Time</th><th>Key</th><th>Reason</th></tr>'
    for line in lines:
        key, reason = display_key(str(line.get("key") or "")), str(line.get("reason") or "")
        yield (
            f"<tr><td>{html_text(str(line.get('time') or ''))}</td><td><code>{html_escape(key)}</code></td>"
            f"<td>{html_text(reason)}</td></tr>"
        )
    yield "</table>"


def _acts(acts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not acts:
        return
    yield '<h2>Acts of operators</h2><table class="rows">'
    yield "<tr><th>Time</th><th>Who</th><th>Command</th><th>State</th></tr>"
    for act in acts:
        cells = (local_time(act["time"]), *(str(act.get(name, "")) for name in ("who", "command", "state")))
        yield f"<tr>{''.join(f'<td>{html_text(cell)}</td>' for cell in cells)}</tr>"
    yield "</table>"
