"""What nouns show of themselves in notebooks: a line, then a table or lines of text, as HTML with everything escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

MOST = 200  # rows of a table; a longer one says how many it leaves out
_CELL = "padding: 2px 10px 2px 0; border: none; vertical-align: top"


def table(head: str, columns: Sequence[str], rows: Iterable[Sequence[object]], words: int = 1, foot: str = "") -> str:
    """A table below a line; the first `words` columns hold words, the others numbers."""
    every = [tuple(row) for row in rows]
    titles = "".join(f'<th style="{_CELL}; text-align: {_side(at, words)}">{escape(name)}</th>' for at, name in enumerate(columns))
    body = "".join(
        "<tr>"
        + "".join(f'<td style="{_CELL}; text-align: {_side(at, words)}">{escape(str(cell))}</td>' for at, cell in enumerate(row))
        + "</tr>"
        for row in every[:MOST]
    )
    more = f"{len(every) - MOST:,} more rows are not shown" if len(every) > MOST else ""
    ends = "".join(f"<div>{escape(line)}</div>" for line in (more, foot) if line)
    return f"<div>{_head(head)}<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>{ends}</div>"


def lines(head: str, text: str) -> str:
    """Lines of text, as they are, below a line."""
    return f'<div>{_head(head)}<pre style="line-height: 1.25">{escape(text)}</pre></div>'


def _head(text: str) -> str:
    """A line whose words up to the first colon or comma are bold."""
    at = min((place for place in map(text.find, (":", ",")) if place >= 0), default=len(text))
    return f"<div><strong>{escape(text[:at])}</strong>{escape(text[at:])}</div>"


def _side(at: int, words: int) -> str:
    return "left" if at < words else "right"
