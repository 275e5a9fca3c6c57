"""A bar plot as SVG, by hand: one panel a quantity, one bar a server.

Colours are those of a light page, on a background of its own, so that it reads on dark pages too.
"""
import textwrap
from html import escape

WIDTH, MARGIN, GAP, COLUMNS = 960, 24, 32, 2
BAR, BAR_STEP, PANEL_HEAD = 18, 26, 34
NAME_WIDTH, TEXT_WIDTH = 120, 60
LINE = 18
COLOURS = ("#1f77b4", "#8a8f98", "#b9bec6", "#d7dade")


def bars(title, subtitle, panels, notes):
    """`panels`: [(title, hint, [(name, value, text)])], bars from 0 with the longest as wide as its panel; `notes`: lines below."""
    panel_width = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) / COLUMNS
    panel_height = PANEL_HEAD + max(len(rows) for _, _, rows in panels) * BAR_STEP + GAP / 2
    parts, top = [], MARGIN + 16
    parts.append(text(MARGIN, top, title, size=20, weight="bold"))
    for line in textwrap.wrap(subtitle, 130):
        top += LINE
        parts.append(text(MARGIN, top, line, fill="#555"))
    top += LINE
    for at, (name, hint, rows) in enumerate(panels):
        left = MARGIN + at % COLUMNS * (panel_width + GAP)
        parts += panel(left, top + at // COLUMNS * panel_height, panel_width, name, hint, rows)
    top += -(-len(panels) // COLUMNS) * panel_height + GAP / 2
    parts.append(text(MARGIN, top, "What an acknowledgement means", weight="bold"))
    for note in notes:
        top += LINE
        parts.append(text(MARGIN, top, note, fill="#555"))
    height = round(top + MARGIN)
    opening = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
               f'font-family="sans-serif" font-size="13" role="img">')
    background = f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
    return "\n".join([opening, f"<title>{escape(title)}</title>", background, *parts, "</svg>", ""])


def panel(left, top, width, title, hint, rows):
    yield text(left, top + LINE, title, weight="bold")
    yield text(left + width, top + LINE, hint, fill="#888", anchor="end", size=11)
    longest = max((value for _, value, _ in rows), default=0) or 1
    for at, (name, value, shown) in enumerate(rows):
        y, bar = top + PANEL_HEAD + at * BAR_STEP, value / longest * (width - NAME_WIDTH - TEXT_WIDTH)
        yield text(left + NAME_WIDTH - 8, y + BAR - 5, name, anchor="end")
        yield f'<rect x="{left + NAME_WIDTH:.1f}" y="{y:.1f}" width="{max(bar, 1):.1f}" height="{BAR}" fill="{COLOURS[at % len(COLOURS)]}"/>'
        yield text(left + NAME_WIDTH + max(bar, 1) + 6, y + BAR - 5, shown)


def text(x, y, words, fill="#222", anchor="start", size=13, weight="normal"):
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}">{escape(words)}</text>'
