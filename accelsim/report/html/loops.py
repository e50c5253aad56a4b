"""The mapping as a loop tree: the printed nest, each line by what it is, parts that can be folded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from accelsim.report.html.markup import Html, el, join

_HEADER = ("mapping", "about", "source", "sizes")


class Line(NamedTuple):
    """A line of the nest: how deep it stands, what it says and its comment."""

    depth: int
    says: str
    comment: str


def loop_tree(nest: str) -> Html:
    """A nest, as `accelsim.mapping.text.nest` prints it, as lists in lists."""
    lines = [_line(raw) for raw in nest.splitlines() if raw.strip()]
    start = 0
    while start < len(lines) and lines[start].says.partition(" ")[0] in _HEADER:
        start += 1
    head = [el("p", line.says, class_="quiet") for line in lines[1:start]]
    return join([*head, el("div", _nodes(lines[start:]), class_="loops scroll", tabindex=0, role="region", aria_label="loop tree")])


def _line(raw: str) -> Line:
    says, _, comment = raw.partition("  # ")
    return Line((len(raw) - len(raw.lstrip())) // 2, says.strip(), comment.strip())


def _nodes(lines: Sequence[Line]) -> Html:
    """Lines and, inside them, those that stand deeper."""
    items, at = [], 0
    while at < len(lines):
        end = at + 1
        while end < len(lines) and lines[end].depth > lines[at].depth:
            end += 1
        shown = _shown(lines[at])
        inner = _nodes(lines[at + 1 : end]) if end > at + 1 else None
        items.append(el("li", el("details", el("summary", *shown), inner, open=True) if inner else el("div", *shown)))
        at = end
    return el("ul", *items)


def _shown(line: Line) -> list[Html]:
    word, _, rest = line.says.partition(" ")
    kind = word if word in ("for", "spatial", "keep", "fuse") else "leaf"
    parts = [el("b", word, class_=kind), Html(" "), join([rest])]
    return [*parts, el("span", f"  # {line.comment}", class_="comment")] if line.comment else parts
