"""A report as text and as one self-contained page: no script, nothing fetched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape

from dualsync.runtime.operations.key_text.plain_text import display_key
from dualsync.runtime.operations.verify.report import AGES, SIZES, Report
from dualsync.runtime.operations.verify.svg import bar_chart, line_chart

SHOWN = 500
"""Differences in the page's table."""


def date(seconds: float) -> str:
    """Return a time in UTC as text."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def report_text(report: Report, shown: int = 50) -> str:
    """Return the report for a terminal, a mail or a ticket: the differences, the counts, and the verdict last."""
    seen = report.seen
    lines = []
    if report.named:
        lines.append("differences")
        for explained in report.named[:shown]:
            detail = f" ({explained.difference.detail})" if explained.difference.detail else ""
            lines.append(f"  {display_key(explained.difference.pair.key)}")
            lines.append(f"      {explained.difference.kind}{detail}: {explained.cause}")
        if report.differences > shown:
            lines.append(f"  … and {report.differences - min(shown, len(report.named)):,} more")
        lines.append("")
    lines += [
        f"pair      {report.pair}: {report.buckets[0]} and {report.buckets[1]}"
        + (f", prefix {display_key(report.prefix)}" if report.prefix else ""),
        f"compared  {date(report.started)} to {date(report.finished)}, {_coverage_text(report)}",
        f"cn        {seen.cn:,} keys, {_size(seen.cn_bytes)}",
        f"global    {seen.global_:,} keys, {_size(seen.global_bytes)}",
        f"equal     {seen.equal:,} keys",
    ]
    for title, counts in (("how they differ", report.kinds), ("why, probably", report.causes)):
        if counts:
            lines += ["", title, *(f"  {count:>9,}  {name}" for name, count in counts.most_common())]
    # The verdict goes last, where a terminal still shows it.
    lines += ["", report.verdict, *(f"next: {step}" for step in report.next_steps)]
    return "\n".join(lines) + "\n"


def report_html(report: Report) -> str:
    """Return the report as one HTML page."""
    seen = report.seen
    colour = "good" if report.is_consistent else "bad"
    facts = [
        ("Pair", report.pair),
        ("Buckets", f"{report.buckets[0]} (cn) and {report.buckets[1]} (global)"),
        ("Prefix", display_key(report.prefix) or "none"),
        ("Compared", f"{date(report.started)} to {date(report.finished)}"),
        ("Checked", _coverage_text(report)),
        ("Keys", f"{seen.cn:,} at cn, {seen.global_:,} at global, {seen.equal:,} equal"),
        ("Bytes", f"{_size(seen.cn_bytes)} at cn, {_size(seen.global_bytes)} at global"),
        ("Differences", f"{report.differences:,}, of which {report.faults:,} count as wrong"),
    ]
    plots = [
        ("How they differ", bar_chart("Differences by kind", report.kinds.most_common())),
        ("Why, probably", bar_chart("Differences by likely cause", report.causes.most_common())),
        ("How long ago they were written", bar_chart("Differences by age", _ordered_counts(report.ages, AGES))),
        ("How large they are", bar_chart("Differences by size", _ordered_counts(report.sizes, SIZES))),
        ("Where they are", bar_chart("Differences by first folder", report.folders.most_common(15))),
        (
            "The comparison",
            line_chart("Keys compared over time", [(0.0, 0), *report.progress], "seconds", "keys compared"),
        ),
    ]
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(report.pair)}: comparison of {date(report.started)}</title>",
            f"<style>{STYLE}</style></head><body><h1>{escape(report.pair)}</h1>",
            f'<p class="verdict {colour}">{escape(report.verdict)}</p><table class="facts">',
            *(f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in facts),
            "</table>",
            *(f"<h2>{title}</h2>{plot}" for title, plot in plots if plot),
            *_table(report),
            "</body></html>\n",
        ]
    )


def _table(report: Report) -> Iterable[str]:
    if not report.named:
        return
    yield f"<h2>Differences</h2><p>The first {min(SHOWN, len(report.named)):,} of {report.differences:,}.</p>"
    yield '<table class="rows"><tr><th>Key</th><th>How</th><th>Why, probably</th><th>cn</th><th>global</th></tr>'
    for explained in report.named[:SHOWN]:
        d = explained.difference
        cells = [
            f"<code>{escape(display_key(d.pair.key))}</code>",
            escape(f"{d.kind}{f' ({d.detail})' if d.detail else ''}"),
            escape(str(explained.cause)),
            *(
                "–" if item is None else f"{_size(item.size)}<br>{date(item.modified)}"
                for item in (d.pair.cn, d.pair.global_)
            ),
        ]
        mark = ' class="fault"' if explained.cause.is_fault else ""
        yield f"<tr{mark}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    yield "</table>"


def _coverage_text(report: Report) -> str:
    depth = report.depth
    parts = ["keys, sizes, ETags"]
    parts.append({"never": "no content", "unsure": "content where these can't tell", "all": "content"}[depth.content])
    parts += ["metadata"] * depth.metadata + ["tags"] * depth.tags
    sample = f" ({depth.sample:g} % of the keys)" if depth.exceeds_listing and depth.sample < 100 else ""
    return ", ".join(parts) + sample


def _ordered_counts(counts: Counter[str], classes: Iterable[tuple[float, str]]) -> list[tuple[str, int]]:
    return [(name, counts[name]) for _, name in classes] if counts else []


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} PiB"


STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#667085;--paper:#fff;--rule:#d8dee6;--bar:#3b6ea8;--good:#146c43;
--bad:#b42318}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa4b2;--paper:#14181f;--rule:#313a46;--bar:#6ea3dd;
--good:#63c493;--bad:#ff8a7a}}
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:var(--ink);
background:var(--paper)}
h1{font-size:1.4rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .5rem}
.verdict{font-size:1.2rem;font-weight:600}.good{color:var(--good)}.bad{color:var(--bad)}
table{border-collapse:collapse}th{text-align:left;font-weight:600}
td,th{padding:.25rem .9rem .25rem 0;vertical-align:top}
.facts th{color:var(--soft);font-weight:400}.rows{width:100%;font-size:.85rem}.rows td,.rows th{border-top:1px solid
var(--rule)}.rows td:first-child{min-width:14rem}.rows code{word-break:break-all}
.fault td:first-child{border-left:3px solid var(--bad);padding-left:.5rem}
svg{max-width:100%;height:auto}svg text{font:12px system-ui,sans-serif;fill:var(--ink)}
.bar{fill:var(--bar)}.line{fill:none;stroke:var(--bar);stroke-width:2}.grid{stroke:var(--rule)}
"""
