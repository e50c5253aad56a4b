"""A drawing of a loop tree: nested boxes for loops, strips coloured by memory for keeps, branches side by side."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from accelsim.mapping.names import chain
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping, Spatial, TreeNode
from accelsim.report.plots import style

if TYPE_CHECKING:
    from accelsim.workload.cascade import Cascade

# inches
_LINE, _PAD, _GAP, _CHARACTER = 0.21, 0.09, 0.07, 0.079
_LEAST = 1.15
_MARGIN, _TITLE, _LEGEND = 0.25, 0.5, 0.42
_BOLD = 1.3  # how much wider bold capitals are
_MEANING = {"sequential": "one branch after the other", "staged": "a barrier after each stage", "pipelined": "branches overlap"}
_TIME, _COPIES = ("#fafbfc", "#b3bac2"), ("#f1f4f8", "#5d6b7a")  # fill and edge of loops


@dataclass
class _Block:
    """A measured piece of the drawing: `kind` loop, spatial, keep, leaf, fuse; children stand inside, below its text."""

    kind: str
    lines: list[str]
    colour: str = style.FAINT
    children: list[list[_Block]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0


def loop_tree(mapping: Mapping, cascade: Cascade | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw a mapping: loops as boxes, what memories keep as strips in their colours. With a cascade, loops state their trips and copies.

    One unit of the axes is one inch of the figure that it makes for itself; on given axes all of it is drawn as large as it fits, and
    words keep their size.
    """
    colours: dict[str, str] = {}
    column = _column(mapping.nodes, colours, dict(cascade.extents) if cascade is not None else {})
    width = max(_least(column), _text(mapping.name, 1.4), 3.2)
    height = _measure(column, width)
    size = (width + 2 * _MARGIN, height + _TITLE + _LEGEND + 2 * _MARGIN)
    if ax is None:
        ax = Figure(figsize=size, facecolor=style.PAPER).add_axes((0, 0, 1, 1), axes_class=style.Plot)
    else:
        ax.set_aspect("equal")
    ax.set_xlim(0, size[0])
    ax.set_ylim(size[1], 0)
    ax.axis("off")
    _words(ax, _MARGIN, _MARGIN + 0.12, mapping.name, fontsize=13, fontweight="bold")
    _draw(ax, column, _MARGIN, _MARGIN + _TITLE)
    _legend(ax, colours, _MARGIN, size[1] - _MARGIN - 0.08)
    return ax


def _words(axes: Axes, x: float, y: float, words: str, **look: object) -> None:
    axes.text(x, y, words, va="center", **style.text(**look))


def _column(nodes: tuple[TreeNode, ...], colours: dict[str, str], left: dict[str, int]) -> list[_Block]:
    """Blocks from top to bottom; what follows a loop stands inside it."""
    blocks: list[_Block] = []
    for place, node in enumerate(nodes):
        if isinstance(node, Keep):
            colour = colours.setdefault(node.memory, style.colour(len(colours)))
            blocks.append(_Block("keep", [node.memory], colour, notes=[_held(held) for held in node.held]))
        elif isinstance(node, (For, Spatial)):
            kind = "spatial" if isinstance(node, Spatial) else "loop"
            label = f"{node.axis} ∥ {node.rank} by {node.tile}" if isinstance(node, Spatial) else f"for {node.rank} by {node.tile}"
            if isinstance(node, For) and node.of:
                inner = _column(nodes[place + 1 :], colours, {rank: size for rank, size in left.items() if rank != node.rank})
                return [*blocks, _Block(kind, [f"for {node.rank} holding {node.tile} of {node.of}"], children=[inner] if inner else [])]
            size = left.get(node.rank)
            lines = [label, f"×{-(-size // node.tile)}"] if size is not None else [label]
            inner = _column(nodes[place + 1 :], colours, {**left, node.rank: min(size, node.tile)} if size is not None else left)
            return [*blocks, _Block(kind, lines, children=[inner] if inner else [])]
        elif isinstance(node, Leaf):
            inside = _column(node.loops, colours, left)
            blocks.append(_Block("leaf", [node.einsum, f"on {node.unit}"], children=[inside] if inside else []))
        else:
            blocks.append(_fuse(node, colours, left))
    return blocks


def _fuse(node: Fuse, colours: dict[str, str], left: dict[str, int]) -> _Block:
    lines = [f"{node.schedule} · {_MEANING.get(node.schedule, '')}"]
    for number, stage in enumerate(node.stages, 1):
        lines.append(f"stage {number}: " + ", ".join([*stage.einsums, *(f"{name} of the iteration before" for name in stage.previous)]))
    if node.recompute:
        lines.append(f"recomputes {', '.join(node.recompute)}")
    return _Block("fuse", lines, children=[_column(branch, colours, left) for branch in node.branches])


def _held(held: Held) -> str:
    share = [f"{held.fraction} of"] if held.fraction != 1 else []
    marks = [f"×{held.copies}"] if held.copies > 1 else []
    marks += [f"({' '.join(held.layout)})"] if held.layout else []
    return " ".join([*share, chain(held), *marks])


def _text(text: str, scale: float = 1.0) -> float:
    return len(text) * _CHARACTER * scale + 2 * _PAD


def _least(column: list[_Block]) -> float:
    """The least width of a column."""
    return max((_least_block(block) for block in column), default=_LEAST)


def _least_block(block: _Block) -> float:
    if block.kind == "keep":
        longest = max(map(_text, block.notes), default=0.0)
        return max(_LEAST, _text(block.lines[0], _BOLD) + longest)
    inside = sum(map(_least, block.children)) + _GAP * max(0, len(block.children) - 1)
    frame = 0.0 if block.kind == "fuse" else 2 * _PAD
    own = max(map(_text, block.lines[:1])) if block.kind == "fuse" else _text(" ".join(block.lines))
    return max(_LEAST, own + 0.1, inside + frame)


def _measure(column: list[_Block], width: float) -> float:
    """Give every block its width and height; returns the height of the column."""
    for block in column:
        block.width = width
        if block.kind == "keep":
            block.lines = [block.lines[0], *_wrapped(block, width)]
            block.height = _LINE * max(1, len(block.lines) - 1) + _PAD
        elif block.kind == "fuse":
            block.lines = [line for text in block.lines for line in _folded(text, width)]
            spare = (width - sum(map(_least, block.children)) - _GAP * (len(block.children) - 1)) / max(1, len(block.children))
            heights = [_measure(child, _least(child) + spare) for child in block.children]
            block.height = _LINE * len(block.lines) + _PAD + max(heights, default=0.0)
        else:
            inside = sum(_measure(child, width - 2 * _PAD) for child in block.children)
            block.height = _LINE + _PAD + inside + (_PAD if block.children else 0)
    return sum(block.height for block in column) + _GAP * max(0, len(column) - 1)


def _wrapped(block: _Block, width: float) -> list[str]:
    """The tensors of a keep in as many lines as they need; the first stands beside the memory's name."""
    lines = [""]
    for note in block.notes:
        indent = _text(block.lines[0], _BOLD)
        if lines[-1] and indent + _text(f"{lines[-1]}, {note}") > width:
            lines[-1] += ","
            lines.append("")
        lines[-1] = f"{lines[-1]}, {note}" if lines[-1] else note
    return lines


def _folded(text: str, width: float) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and _text(f"{lines[-1]} {word}") > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _draw(axes: Axes, column: list[_Block], x: float, y: float) -> None:
    for block in column:
        _draw_block(axes, block, x, y)
        y += block.height + _GAP


def _draw_block(axes: Axes, block: _Block, x: float, y: float) -> None:
    middle = y + (_LINE + _PAD) / 2
    if block.kind == "keep":
        _rectangle(axes, x, y, block.width, block.height, style.tint(block.colour), block.colour, 1.1)
        _words(axes, x + _PAD, middle, block.lines[0], fontsize=8.5, fontweight="bold", color=style.shade(block.colour))
        for number, line in enumerate(block.lines[1:]):
            _words(axes, x + _text(block.lines[0], _BOLD), middle + number * _LINE, line, fontsize=8.5)
        return
    if block.kind == "fuse":
        for number, line in enumerate(block.lines):
            schedule, dot, meaning = line.partition(" · ") if number == 0 else ("", "", line)
            _words(axes, x + _PAD / 2, middle + number * _LINE, schedule, fontsize=9, fontweight="bold")
            after = x + _PAD / 2 + (_text(schedule, 1.08) - _PAD if schedule else 0)
            _words(axes, after, middle + number * _LINE, f"{'· ' if dot else ''}{meaning}", color=style.FAINT)
        left, top = x, y + _LINE * len(block.lines) + _PAD
        for child in block.children:
            _draw(axes, child, left, top)
            left += (child[0].width if child else _LEAST) + _GAP
        return
    fill, edge, thick, dash = {
        "loop": (*_TIME, 0.9, "solid"),
        "spatial": (*_COPIES, 1.3, (0, (4, 2))),
        "leaf": (style.PAPER, style.INK, 1.4, "solid"),
    }[block.kind]
    _rectangle(axes, x, y, block.width, block.height, fill, edge, thick, dash)
    right = x + block.width - _PAD
    if block.kind == "leaf":
        _words(axes, x + _PAD, middle, block.lines[0], fontsize=10, fontweight="bold")
        _words(axes, right, middle, block.lines[1], color=style.FAINT, ha="right")
    else:
        _words(axes, x + _PAD, middle, block.lines[0], fontsize=8.5)
        if len(block.lines) > 1:
            _words(axes, right, middle, block.lines[1], fontsize=8.5, color=style.FAINT, ha="right")
    for child in block.children:
        _draw(axes, child, x + _PAD, y + _LINE + _PAD)


def _rectangle(
    axes: Axes, x: float, y: float, width: float, height: float, fill: str, edge: str, thick: float, dash: object = "solid"
) -> None:
    corners = "round,pad=0,rounding_size=0.06"
    axes.add_patch(FancyBboxPatch((x, y), width, height, corners, facecolor=fill, edgecolor=edge, linewidth=thick, linestyle=dash))


def _legend(axes: Axes, colours: dict[str, str], x: float, y: float) -> None:
    entries: list[tuple[str, str, str, object]] = [("time", *_TIME, "solid"), ("copies", *_COPIES, (0, (4, 2)))]
    entries += [(memory, style.tint(colour), colour, "solid") for memory, colour in colours.items()]
    for label, fill, edge, dash in entries:
        _rectangle(axes, x, y - 0.075, 0.26, 0.15, fill, edge, 1.1, dash)
        _words(axes, x + 0.33, y, label, color=style.FAINT)
        x += 0.33 + _text(label)
