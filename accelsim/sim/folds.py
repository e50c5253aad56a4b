"""Tiles of an Einsum on a systolic array: what stays in the elements, and how many of them a firing uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from accelsim.errors import IllegalMapping
from accelsim.hardware.architecture import Architecture, Array, Memory
from accelsim.mapping.tree import Keep, Spatial
from accelsim.sim.systolic import OPERAND, RESULT, Grid
from accelsim.sim.tasks import Slot

if TYPE_CHECKING:
    from accelsim.sim.paths import Path


@dataclass(frozen=True, slots=True)
class Fold:
    """What a firing of an Einsum does on a systolic array.

    `stays`: what the elements hold, the result or an operand. `down`, `across`: the tile of each rank that the copies along the rows and
    along the columns share out, and how much of it one copy takes.
    """

    grid: Grid
    stays: str
    down: tuple[tuple[Slot, int], ...]
    across: tuple[tuple[Slot, int], ...]


def array_of(machine: Architecture, unit: str) -> Array | None:
    """The systolic array that a unit is an element of."""
    above = [node for node in machine.paths[unit] if isinstance(node, Array)]
    return above[-1] if above and above[-1].systolic else None


def grid_of(array: Array) -> Grid:
    """Its size and registers."""
    assert array.systolic is not None
    rows, columns = (axis.size for axis in array.axes)
    return Grid(rows, columns, array.systolic.shadow, array.systolic.exit, array.systolic.folds)


def held_place(machine: Architecture, path: Path) -> int:
    """The place of the keep in the elements of a systolic array; -1: the unit is in none, or its elements keep nothing."""
    array = array_of(machine, path.leaf.unit)
    if array is None:
        return -1
    nodes = machine.paths[path.leaf.unit]
    inside = {node.name for node in nodes[nodes.index(array) :] if isinstance(node, Memory)}
    places = [place for place, row in enumerate(path.rows) if isinstance(row.node, Keep) and row.node.memory in inside and row.kept]
    return places[-1] if places else -1


def stays_of(machine: Architecture, path: Path) -> str:
    """What stays in the elements where an Einsum runs; refuses what no systolic array does."""
    place, einsum = held_place(machine, path), path.einsum
    array = array_of(machine, path.leaf.unit)
    assert array is not None
    kept = set(path.rows[place].kept) if place >= 0 else set()
    operands = {read.tensor for read in einsum.reads}
    stays = kept & ({einsum.output.tensor} | operands)
    if len(stays) != 1:
        what = f"{path.name} keeps {', '.join(sorted(stays)) or 'nothing'} in the elements of systolic array {array.name}"
        raise IllegalMapping(what, "keep one operand there, or the result", path.leaf.place)
    down, across = (
        {row.node.rank for row in path.rows if isinstance(row.node, Spatial) and row.node.axis == axis.name} & set(einsum.ranks)
        for axis in array.axes
    )
    result = stays == {einsum.output.tensor}
    reduced = set(einsum.reduced)
    if (reduced & (down | across)) if result else (across & reduced or not down <= reduced):
        wanted = "ranks of the result on both axes" if result else f"reduced ranks on axis {array.axes[0].name} and no others on it"
        what = f"with {stays.pop()} in its elements, systolic array {array.name} wants {wanted}"
        raise IllegalMapping(what, "map the ranks so, or keep another tensor there", path.leaf.place)
    return RESULT if result else OPERAND


def planned(fold: Fold, steps: float, per_cycle: int) -> tuple[float, int]:
    """Ticks from a full tile to the next, and those until its last result has left after its last step."""
    grid, operand = fold.grid, fold.stays == OPERAND
    late = per_cycle * (grid.rows + grid.columns - 2 + (grid.rows if not operand and grid.exit == "edge" else 0))
    loads = per_cycle * grid.rows if operand else 0
    return (max(steps, float(loads)), late) if grid.shadow else (loads + steps + late, late)
