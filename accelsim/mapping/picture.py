"""A drawing of a loop tree: nested boxes for loops, strips coloured by memory for keeps, branches side by side."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from accelsim.errors import InputError, did_you_mean
from accelsim.mapping.names import chain
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping, Spatial, TreeNode

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from accelsim.workload.cascade import Cascade

# inches
_LINE, _PAD, _GAP, _CHARACTER = 0.21, 0.09, 0.07, 0.079
_LEAST = 1.15
_BOLD = 1.3  # how much wider bold capitals are
_ENDINGS = ("png", "svg", "pdf")
_METADATA: dict[str, dict[str, None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
_INK, _FAINT, _PAPER = "#22262b", "#8b929b", "#ffffff"
# fill and edge, in the order in which memories appear: colours that stay apart for colour-blind readers
_MEMORIES = (
    ("#dbe4ee", "#4a6785"),
    ("#fde3c4", "#c46f12"),
    ("#d5ecd4", "#3a8544"),
    ("#f6d5dc", "#b4405c"),
    ("#e3daf1", "#6f4fa3"),
    ("#d2edf0", "#26808c"),
    ("#f5efc3", "#94820f"),
)
_MEANING = {"sequential": "one branch after the other", "staged": "a barrier after each stage", "pipelined": "branches overlap"}


@dataclass
class _Block:
    """A measured piece of the drawing: `kind` loop, spatial, keep, leaf, fuse; children stand inside, below its text."""

    kind: str
    lines: list[str]
    colour: tuple[str, str] = (_PAPER, _FAINT)
    children: list[list[_Block]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0


def picture(mapping: Mapping, path: Path | str, cascade: Cascade | None = None) -> None:
    """Draw a mapping to a file; the ending says how (.png, .svg, .pdf). With a cascade, loops state their trips and copies.

    Refuses endings that matplotlib does not know; raises OSError if the file cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    colours: dict[str, tuple[str, str]] = {}
    target = Path(path)
    kind = target.suffix.lstrip(".").lower() or "png"
    if kind not in _ENDINGS:
        raise InputError(f"{target}: cannot draw a '.{kind}' file", did_you_mean(kind, _ENDINGS))
    column = _column(mapping.nodes, colours, dict(cascade.extents) if cascade is not None else {})
    width = max(_least(column), _text(mapping.name, 1.4), 3.2)
    height = _measure(column, width)
    margin, title, legend = 0.25, 0.5, 0.42
    size = (width + 2 * margin, height + title + legend + 2 * margin)
    with rc_context({"font.family": "DejaVu Sans", "svg.fonttype": "none", "svg.hashsalt": "accelsim"}):
        figure = Figure(figsize=size, facecolor=_PAPER)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, size[0])
        axes.set_ylim(size[1], 0)
        axes.axis("off")
        axes.text(margin, margin + 0.12, mapping.name, fontsize=13, fontweight="bold", color=_INK, va="center")
        _draw(axes, column, margin, margin + title)
        _legend(axes, colours, margin, size[1] - margin - 0.08)
        # a very wide nest is drawn at fewer dots, so that no side exceeds what viewers open
        with target.open("wb") as stream:
            dots = min(160, int(12000 / max(size)))
            figure.savefig(stream, format=kind, dpi=dots, metadata=_METADATA.get(kind))


def _column(nodes: tuple[TreeNode, ...], colours: dict[str, tuple[str, str]], left: dict[str, int]) -> list[_Block]:
    """Blocks from top to bottom; what follows a loop stands inside it."""
    blocks: list[_Block] = []
    for place, node in enumerate(nodes):
        if isinstance(node, Keep):
            colour = colours.setdefault(node.memory, _MEMORIES[len(colours) % len(_MEMORIES)])
            blocks.append(_Block("keep", [node.memory], colour, notes=[_held(held) for held in node.held]))
        elif isinstance(node, (For, Spatial)):
            kind = "spatial" if isinstance(node, Spatial) else "loop"
            label = f"{node.axis} ∥ {node.rank} by {node.tile}" if isinstance(node, Spatial) else f"for {node.rank} by {node.tile}"
            if isinstance(node, For) and node.of:
                inner = _column(nodes[place + 1 :], colours, left)
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


def _fuse(node: Fuse, colours: dict[str, tuple[str, str]], left: dict[str, int]) -> _Block:
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
        _rectangle(axes, x, y, block.width, block.height, *block.colour, 1.1)
        axes.text(x + _PAD, middle, block.lines[0], fontsize=8.5, fontweight="bold", color=block.colour[1], va="center")
        for number, line in enumerate(block.lines[1:]):
            axes.text(x + _text(block.lines[0], _BOLD), middle + number * _LINE, line, fontsize=8.5, color=_INK, va="center")
        return
    if block.kind == "fuse":
        for number, line in enumerate(block.lines):
            schedule, dot, meaning = line.partition(" · ") if number == 0 else ("", "", line)
            axes.text(x + _PAD / 2, middle + number * _LINE, schedule, fontsize=9, fontweight="bold", color=_INK, va="center")
            after = x + _PAD / 2 + (_text(schedule, 1.08) - _PAD if schedule else 0)
            axes.text(after, middle + number * _LINE, f"{'· ' if dot else ''}{meaning}", fontsize=8, color=_FAINT, va="center")
        left, top = x, y + _LINE * len(block.lines) + _PAD
        for child in block.children:
            _draw(axes, child, left, top)
            left += (child[0].width if child else _LEAST) + _GAP
        return
    fill, edge, thick, dash = {
        "loop": ("#fafbfc", "#b3bac2", 0.9, "solid"),
        "spatial": ("#f1f4f8", "#5d6b7a", 1.3, (0, (4, 2))),
        "leaf": (_PAPER, _INK, 1.4, "solid"),
    }[block.kind]
    _rectangle(axes, x, y, block.width, block.height, fill, edge, thick, dash)
    if block.kind == "leaf":
        axes.text(x + _PAD, middle, block.lines[0], fontsize=10, fontweight="bold", color=_INK, va="center")
        axes.text(x + block.width - _PAD, middle, block.lines[1], fontsize=8, color=_FAINT, va="center", ha="right")
    else:
        axes.text(x + _PAD, middle, block.lines[0], fontsize=8.5, color=_INK, va="center")
        if len(block.lines) > 1:
            axes.text(x + block.width - _PAD, middle, block.lines[1], fontsize=8.5, color=_FAINT, va="center", ha="right")
    for child in block.children:
        _draw(axes, child, x + _PAD, y + _LINE + _PAD)


def _rectangle(
    axes: Axes, x: float, y: float, width: float, height: float, fill: str, edge: str, thick: float, dash: object = "solid"
) -> None:
    from matplotlib.patches import FancyBboxPatch

    style = "round,pad=0,rounding_size=0.06"
    axes.add_patch(FancyBboxPatch((x, y), width, height, style, facecolor=fill, edgecolor=edge, linewidth=thick, linestyle=dash))


def _legend(axes: Axes, colours: dict[str, tuple[str, str]], x: float, y: float) -> None:
    entries = [("time", "#fafbfc", "#b3bac2", "solid"), ("copies", "#f1f4f8", "#5d6b7a", (0, (4, 2)))]
    for label, fill, edge, dash in entries:
        _rectangle(axes, x, y - 0.075, 0.26, 0.15, fill, edge, 1.1, dash)
        axes.text(x + 0.33, y, label, fontsize=8, color=_FAINT, va="center")
        x += 0.33 + _text(label)
    for memory, (fill, edge) in colours.items():
        _rectangle(axes, x, y - 0.075, 0.26, 0.15, fill, edge, 1.1)
        axes.text(x + 0.33, y, memory, fontsize=8, color=_FAINT, va="center")
        x += 0.33 + _text(memory)
