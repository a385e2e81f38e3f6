"""Two kinds of plot as inline SVG, in the page's own colours, readable without colour and by a screen reader."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from dualsync.runtime.operations.key_text.plain_text import display_key

WIDTH = 820
ROW, LABEL, BAR = 26, 420, 320
HEIGHT, LEFT, BOTTOM = 220, 70, 34


def bar_chart(title: str, rows: Sequence[tuple[str, int]]) -> str:
    """Horizontal bars with their numbers; nothing for no rows."""
    if not rows:
        return ""
    most = max(count for _, count in rows) or 1
    height = ROW * len(rows) + 8
    parts = [_open(title, height)]
    for number, (name, count) in enumerate(rows):
        y = number * ROW + 4
        width = max(2, round(BAR * count / most)) if count else 0
        parts.append(f'<text x="{LABEL - 8}" y="{y + 15}" text-anchor="end">{escape(_short(display_key(name)))}</text>')
        parts.append(f'<rect x="{LABEL}" y="{y + 2}" width="{width}" height="18" rx="2" class="bar"/>')
        parts.append(f'<text x="{LABEL + width + 6}" y="{y + 15}">{count:,}</text>')
    return "".join([*parts, "</svg>"])


def line_chart(title: str, points: Sequence[tuple[float, int]], across: str, up: str) -> str:
    """Return a line through points that grow in both axes; nothing for fewer than two."""
    if len(points) < 2:
        return ""
    right, top = points[-1][0] or 1.0, max(y for _, y in points) or 1
    inner, tall = WIDTH - LEFT - 20, HEIGHT - BOTTOM - 10

    def at(point: tuple[float, int]) -> str:
        return f"{LEFT + inner * point[0] / right:.1f},{10 + tall * (1 - point[1] / top):.1f}"

    parts = [_open(title, HEIGHT)]
    for share in (0.0, 0.5, 1.0):
        y = 10 + tall * (1 - share)
        parts.append(f'<line x1="{LEFT}" y1="{y:.0f}" x2="{WIDTH - 20}" y2="{y:.0f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{top * share:,.0f}</text>')
        x = LEFT + inner * share
        parts.append(f'<text x="{x:.0f}" y="{HEIGHT - 16}" text-anchor="middle">{right * share:,.1f}</text>')
    parts.append(f'<polyline points="{" ".join(map(at, points))}" class="line"/>')
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 2}">{escape(across)}; {escape(up)}</text>')
    return "".join([*parts, "</svg>"])


def _open(title: str, height: int) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img"'
        f' aria-label="{escape(title)}"><title>{escape(title)}</title>'
    )


def _short(name: str) -> str:
    return name if len(name) <= 66 else name[:65] + "…"
