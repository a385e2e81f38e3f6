"""Small bar charts side by side: one bar per program, ours in colour, the target as a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, GAP, COLUMNS = 430, 24, 2
_LABELS, _ROW, _HEAD = 176, 25, 52
_STYLE = (
    "text{font:12.5px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#3d4750}"
    ".t{font-size:14px;font-weight:600;fill:#1d252c}.h{font-size:11.5px;fill:#77828c}.w{text-anchor:end}"
    ".o{font-weight:600;fill:#17538c}.ours{fill:#2a6fb0}.peer{fill:#bcc6cf}"
    ".halo{stroke:#fff;stroke-width:5px;stroke-linejoin:round}"
    ".line{stroke:#c4552d;stroke-width:1.5;stroke-dasharray:4 3}"
    ".l{font-size:11px;fill:#c4552d}.panel{fill:#fff;stroke:#e1e6ea}"
)


@dataclass(frozen=True, slots=True)
class Chart:
    """One figure of all programs as bars."""

    title: str
    """Title of the chart."""
    bars: Sequence[tuple[str, float]]
    """Names with values; a name that begins with `dualsync` is this program's."""
    less: bool = False
    """Whether less is better."""
    target: float | None = None
    """Value that is drawn as a line."""
    note: str = ""
    """Text below the title."""

    @property
    def height(self) -> int:
        return _HEAD + _ROW * len(self.bars) + (18 if self.target is not None else 8)


def text(value: float) -> str:
    """Format a number with its significant digits."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) < 10 else f"{value:.1f}"


def svg(charts: Sequence[Chart]) -> str:
    """Draw all charts in rows of two."""
    y, items = GAP, []
    for at in range(0, len(charts), COLUMNS):
        row = charts[at : at + COLUMNS]
        height = max(chart.height for chart in row)
        for column, chart in enumerate(row):
            x = GAP + column * (WIDTH + GAP)
            items.append(f'<g transform="translate({x} {y})">{_panel(chart, height)}</g>')
        y += height + GAP
    width = GAP + COLUMNS * (WIDTH + GAP)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" viewBox="0 0 {width} {y}"'
        f' role="img"><title>Figures beside those of the peers</title><style>{_STYLE}</style>'
        '<rect width="100%" height="100%" fill="#f7f9fa"/>' + "".join(items) + "</svg>\n"
    )


def _panel(chart: Chart, height: int) -> str:
    room = WIDTH - _LABELS - 72
    most = max([*(value for _, value in chart.bars), chart.target or 0.0]) or 1.0
    hint = ("less" if chart.less else "more") + " is better" + ("; " if chart.note else "")
    items = [
        f'<rect width="{WIDTH}" height="{height}" rx="6" class="panel"/>',
        f'<text x="14" y="24" class="t">{escape(chart.title[:1].upper() + chart.title[1:])}</text>',
        f'<text x="14" y="40" class="h">{hint + escape(chart.note)}</text>',
    ]
    if chart.target is not None:
        x, bottom = _LABELS + room * chart.target / most, _HEAD + _ROW * len(chart.bars)
        items.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_HEAD - 4}" y2="{bottom}" class="line"/>')
        label = f"target {text(chart.target)}"
        items.append(f'<text x="{x:.1f}" y="{bottom + 11}" text-anchor="middle" class="l">{label}</text>')
    for number, (who, value) in enumerate(chart.bars):
        y = _HEAD + _ROW * number
        long = max(1.5, room * value / most)
        mine = who.startswith("dualsync")
        bar, font = ("ours", " o") if mine else ("peer", "")
        items.append(f'<text x="{_LABELS - 8}" y="{y + 15}" class="w{font}">{escape(who)}</text>')
        items.append(f'<rect x="{_LABELS}" y="{y + 2}" width="{long:.1f}" height="18" rx="2" class="{bar}"/>')
        # Twice: the first, in white, keeps the second free of the target's line.
        for kind in ("halo", "v"):
            items.append(f'<text x="{_LABELS + long + 6:.1f}" y="{y + 15}" class="{kind}{font}">{text(value)}</text>')
    return "".join(items)
