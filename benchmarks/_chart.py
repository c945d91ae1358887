"""What the charts share: SVG that can be read on light and on dark pages."""

from __future__ import annotations

from html import escape

_STYLE = """
  .paper { fill: #ffffff; }
  text { font: 13px system-ui, sans-serif; fill: #1c2430; stroke: #ffffff; stroke-width: 4px;
    paint-order: stroke; }
  text.title { font-weight: 600; font-size: 15px; }
  text.ours { font-weight: 600; fill: #17693a; }
  .grid { stroke: #d5dae1; }
  .fixed { stroke: #556070; stroke-width: 1.5; fill: none; }
  circle, rect.bar { fill: #556070; }
  circle.ours, rect.ours { fill: #17693a; }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #161b22; }
    text { fill: #e6e9ee; stroke: #161b22; }
    text.ours { fill: #6fd39a; }
    .grid { stroke: #343c47; }
    .fixed { stroke: #9aa5b4; }
    circle, rect.bar { fill: #9aa5b4; }
    circle.ours, rect.ours { fill: #6fd39a; }
  }
"""
_BAR, _NAMES, _LONGEST, _TOP = 24, 210, 480, 52


def document(width: int, height: int, title: str, description: str, parts: list[str]) -> str:
    """Return an SVG of *parts*, with what a screen reader says of it."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'aria-labelledby="title desc">'
    )
    return "\n".join(
        [
            head,
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="desc">{escape(description)}</desc>',
            f"<style>{_STYLE}</style>",
            f'<rect class="paper" width="{width}" height="{height}" rx="8"/>',
            *parts,
            "</svg>\n",
        ]
    )


def bars(title: str, values: dict[str, float], *, ours: set[str], base: str) -> str:
    """
    Return an SVG of a bar for each of *values*, shortest first, those of *ours* in green, with a
    line where *base* ends.
    """
    scale = _LONGEST / max(values.values())
    ordered = sorted(values.items(), key=lambda item: item[1])
    height = _TOP + len(ordered) * _BAR + 12
    end = _NAMES + values[base] * scale
    parts = [
        f'<text class="title" x="16" y="30">{escape(title)}</text>',
        f'<path class="fixed" d="M{end:.0f} {_TOP - 6} V{height - 8}" stroke-dasharray="4 4"/>',
    ]
    for number, (name, value) in enumerate(ordered):
        y, kind = _TOP + number * _BAR, "ours" if name in ours else "bar"
        length = value * scale
        parts += [
            (
                f'<text class="{kind}" x="{_NAMES - 8}" y="{y + 14}" text-anchor="end">'
                f"{escape(name)}</text>"
            ),
            (
                f'<rect class="{kind}" x="{_NAMES}" y="{y + 2}" width="{length:.0f}" '
                f'height="{_BAR - 8}" rx="2"/>'
            ),
            f'<text class="{kind}" x="{_NAMES + length + 8:.0f}" y="{y + 14}">{value:.2f}</text>',
        ]
    description = ", ".join(f"{name} {value:.2f}" for name, value in ordered)
    return document(_NAMES + _LONGEST + 60, height, title, description, parts)
