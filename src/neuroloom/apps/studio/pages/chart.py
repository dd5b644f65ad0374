"""Learning curves as SVG, drawn on the server: no library to load, colours follow the theme."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 240, 84, 28, 14
COLOURS = 6
Points = Sequence[tuple[float, float]]


def lines(curves: Mapping[str, Points], name: str, across: str = "epoch") -> str:
    """Return a chart of curves with a legend, as HTML; every name is escaped.

    Examples
    --------
    >>> "<polyline" in lines({"fit 1": [(1, 0.7), (2, 0.5)]}, "loss")
    True
    """
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return ""
    x0, x1 = _ends([x for x, _ in points])
    y0, y1 = _ends([y for _, y in points])
    y0 = (
        0.0 if 0 < y0 < 0.2 * y1 else y0
    )  # a curve that falls towards nought is shown to fall there
    body = _grid(x0, x1, y0, y1, across)
    for k, curve in enumerate(curves.values()):
        at = " ".join(
            f"{LEFT + (x - x0) / (x1 - x0) * (WIDTH - LEFT - 8):.1f},"
            f"{HEIGHT - BOTTOM - (y - y0) / (y1 - y0) * (HEIGHT - BOTTOM - TOP):.1f}"
            for x, y in curve
        )
        body += f'<polyline class="line" stroke="var(--c{k % COLOURS + 1})" points="{at}"/>'
    said = html.escape(f"{name}: {_in_words(curves)}", quote=True)
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}"'
    picture = f'<svg class="chart" {size} role="img" aria-label="{said}">{body}</svg>'
    return picture + _legend(list(curves))


def _ends(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if low == high:
        return low - 0.5, high + 0.5
    return low, high


def _grid(x0: float, x1: float, y0: float, y1: float, across: str) -> str:
    drawn = ""
    for k in range(5):
        y = TOP + k / 4 * (HEIGHT - BOTTOM - TOP)
        value = y1 - k / 4 * (y1 - y0)
        drawn += f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}"/>'
        drawn += f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>'
    drawn += f'<text x="{LEFT}" y="{HEIGHT - 8}">{x0:g}</text>'
    drawn += f'<text x="{WIDTH - 8}" y="{HEIGHT - 8}" text-anchor="end">{x1:g}</text>'
    middle = (LEFT + WIDTH) / 2
    word = html.escape(across)
    return f'{drawn}<text x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{word}</text>'


def _legend(names: Sequence[str]) -> str:
    items = "".join(
        f'<span><i style="background:var(--c{k % COLOURS + 1})"></i>{html.escape(name)}</span>'
        for k, name in enumerate(names[:12])
    )
    more = f"<span>and {len(names) - 12} more</span>" if len(names) > 12 else ""
    return f'<div class="legend">{items}{more}</div>'


def _in_words(curves: Mapping[str, Points]) -> str:
    said = [f"{name} from {c[0][1]:.3g} to {c[-1][1]:.3g}" for name, c in curves.items() if c]
    return "; ".join(said[:6])
