"""What every chart is drawn with: a frame, axes and labels as SVG. Every text is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from heldout.cli.screens.page import clean

WIDTH: Final = 900
LEFT: Final = 44


def text(value: object) -> str:
    """Return text as HTML, with whatever could steer a terminal made visible."""
    return escape(clean(str(value)), quote=True)


def label(x: float, y: float, words: str, *, anchor: str = "start", css: str = "") -> str:
    """Return a label.

    Args:
        x: where it stands, from the left.
        y: where it stands, from the top.
        words: what it says.
        anchor: which part of it stands at x: start, middle or end.
        css: its class.
    """
    at = "" if anchor == "start" else f' text-anchor="{anchor}"'
    kind = f' class="{css}"' if css else ""
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}"{at}>{text(words)}</text>'


def figure(title: str, marks: Sequence[str], *, height: int) -> str:
    """Return a drawing with its caption.

    Args:
        title: the caption, also for those who cannot see the drawing.
        marks: what is drawn, as SVG.
        height: of the drawing, where it is :data:`WIDTH` wide.
    """
    inside, said = "".join(marks), text(title)
    drawing = f'<svg viewBox="0 0 {WIDTH} {height}" role="img"><title>{said}</title>{inside}</svg>'
    return f"<figure><figcaption>{said}</figcaption>{drawing}</figure>"
