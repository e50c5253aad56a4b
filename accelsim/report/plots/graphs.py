"""A cascade as a graph: Einsums in columns by the pass over a rank that each belongs to, tensors as arrows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import networkx
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from accelsim.errors import InputError
from accelsim.report.plots import style
from accelsim.workload.passes import Passes, all_passes, passes

if TYPE_CHECKING:
    from accelsim.workload.cascade import Cascade

_WIDE, _HIGH, _BOX = 2.3, 0.62, 0.32  # inches from column to column, from row to row, and of a box
_CHARACTER, _TITLE = 0.075, 0.09  # of names in boxes, and of the title
_NORMAL, _LATER, _EARLIER = style.FAINT, style.VERMILION, style.BLUE


def cascade_graph(cascade: Cascade, rank: str | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw which Einsum reads what another makes. Columns are passes over a rank: by default the one with the most.

    Orange arrows go from a pass to a later one: what they carry is kept, or moved again, or waited for. Dashed blue arrows carry earlier
    slices. Inputs stand above the first Einsum that reads them.
    """
    found = passes(cascade, rank) if rank is not None else _most(cascade)
    column = columns(cascade, found)
    place = _placed(cascade, column)
    many = max(column.values(), default=1)
    left, right = -_WIDE / 2, _WIDE * (many - 0.5)
    title = f"{cascade.name}: {found}" if found is not None else cascade.name
    right = max(right, left + 0.4 + len(title) * _TITLE)
    bottom, top = min((y for _, y in place.values()), default=0.0) - _HIGH / 2, _HIGH * 2
    if ax is None:
        ax = Figure(figsize=(right - left, top - bottom), facecolor=style.PAPER).add_axes((0, 0, 1, 1), axes_class=style.Plot)
    else:
        ax.set_aspect("equal")
    ax.set_xlim(left, right)
    ax.set_ylim(bottom, top)
    ax.axis("off")
    for number in range(1, many + 1):
        if number % 2 == 0:
            ax.axvspan(
                _WIDE * (number - 1.5),
                _WIDE * (number - 0.5),
                0,
                1 - 0.75 * _HIGH / (top - bottom),
                color=style.GRID,
                alpha=0.5,
                zorder=0,
                linewidth=0,
            )
        label = f"pass {number}" if found is not None else ""
        ax.text(_WIDE * (number - 1), _HIGH * 0.95, label, ha="center", va="center", **style.text(color=style.FAINT))
    _arrows(ax, cascade, column, place)
    outputs = {name for name, tensor in cascade.tensors.items() if tensor.is_output}
    for einsum in cascade.work:
        x, y = place[einsum.name]
        last = einsum.output.tensor in outputs
        box = {"boxstyle": "round,pad=0.35", "facecolor": style.PAPER, "edgecolor": style.INK, "linewidth": 1.8 if last else 0.9}
        ax.text(
            x, y, einsum.name, ha="center", va="center", bbox=box, zorder=4, gid=f"einsum {einsum.name}", **style.text(fontweight="bold")
        )
        reads = [name for name in dict.fromkeys(access.tensor for access in einsum.reads) if cascade.tensors[name].is_input]
        if reads:
            label = f"{', '.join(reads)} →"
            ax.text(x - _half(einsum.name), y, label, ha="right", va="center", zorder=4, **style.text(color=style.FAINT, fontsize=7))
    ax.text(left + 0.2, _HIGH * 1.6, title, va="center", **style.text(fontsize=style.TITLE))
    return ax


def columns(cascade: Cascade, found: Passes | None) -> dict[str, int]:
    """The pass that each Einsum belongs to, from 1: its own if it walks the rank, else that of the last one whose result it reads."""
    placed = dict(found.placed) if found is not None else {}
    return {einsum.name: max(placed.get(einsum.name, 1), 1) for einsum in cascade.work}


def _most(cascade: Cascade) -> Passes | None:
    every = all_passes(cascade)
    return max(every.values(), key=lambda each: each.count) if every else None


def _half(name: str) -> float:
    """Half the width of an Einsum's box."""
    return len(name) * _CHARACTER / 2 + 0.14


def _placed(cascade: Cascade, column: Mapping[str, int]) -> dict[str, tuple[float, float]]:
    """Places of Einsums: columns by pass, and rows so that every arrow inside a pass goes down."""
    graph = networkx.DiGraph()
    graph.add_nodes_from(einsum.name for einsum in cascade.work)
    graph.add_edges_from((one, other) for one, other, distance in cascade.graph.edges(data="distance") if not distance and one != other)
    if not networkx.is_directed_acyclic_graph(graph):
        raise InputError(f"{cascade.name}: its Einsums wait for each other in a circle", "see `accelsim check`")
    taken: dict[tuple[int, int], str] = {}
    rows: dict[str, int] = {}
    for name in networkx.lexicographical_topological_sort(graph, key=[einsum.name for einsum in cascade.work].index):
        before = [rows[other] + 1 for other in graph.predecessors(name) if column[other] == column[name]]
        row = max(before, default=0)
        while (column[name], row) in taken:
            row += 1
        taken[column[name], row] = name
        rows[name] = row
    return {name: (_WIDE * (column[name] - 1) + (0.16 if row % 2 else -0.16), -_HIGH * row) for name, row in rows.items()}


def _arrows(ax: Axes, cascade: Cascade, column: Mapping[str, int], place: Mapping[str, tuple[float, float]]) -> None:
    """An arrow for each tensor that an Einsum reads of another; several rows down, it bends around what stands between."""
    for one, other, data in cascade.graph.edges(data=True):
        later, earlier = column[other] > column[one], bool(data.get("distance"))
        (x, y), (to_x, to_y) = place[one], place[other]
        colour, dashes = (_EARLIER, (0, (4, 2))) if earlier else (_LATER, "solid") if later else (_NORMAL, "solid")
        far = column[one] == column[other] and y - to_y > 1.5 * _HIGH
        bend = 0.45 if earlier else -0.35 if far else 0.0
        if one == other:  # around the right end of its box
            x = to_x = x + _half(one)
            y, to_y, bend = y + 0.11, y - 0.11, -1.6
        look = {"arrowstyle": "-|>", "color": colour, "linestyle": dashes, "linewidth": 1.6 if later else 1.0, "shrinkA": 0, "shrinkB": 0}
        look |= {"connectionstyle": f"arc3,rad={bend}", "mutation_scale": 9}
        if one != other:
            look |= {"shrinkA": 11, "shrinkB": 11}
        label = f"{one} to {other}"
        ax.annotate("", (to_x, to_y), (x, y), arrowprops=look, zorder=2 if not later else 3, gid=label)
