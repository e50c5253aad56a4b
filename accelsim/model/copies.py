"""How busy each copy of a unit is: the points of every Einsum by the copy that the spatial loops of a mapping give them to."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import InputError, did_you_mean
from accelsim.hardware.architecture import Array, Axis
from accelsim.mapping.tree import Fuse, Keep, Leaf, Loop, Spatial
from accelsim.model.evaluation import Evaluation
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.conditions import condition_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Shares = NDArray[np.float64]
    Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Copies:
    """How busy the copies of a unit are. `busy`: float64[copies along each of `axes`, outermost first], of the peak of a copy."""

    unit: str
    axes: tuple[Axis, ...]
    busy: Shares

    @property
    def used(self) -> tuple[int, ...]:
        """How many copies along each axis have any work."""
        return tuple(int(self.busy.any(axis=tuple({*range(self.busy.ndim)} - {at})).sum()) for at in range(self.busy.ndim))


def copies(evaluation: Evaluation, unit: str = "", ticks: int = 0) -> Copies:
    """How busy each copy of a unit is, by operations that are needed, over the whole run; their mean is the unit's utilization.

    `unit`: the one with most copies, unless named. `ticks`: how long the run takes, 0: as the evaluation says. What is computed again
    counts where the first is. InputError for a unit that is not in an array, and for masks that only data can tell.
    """
    evaluator = evaluation.evaluator
    machine, cascade = evaluator.architecture, evaluator.cascade
    used = list(dict.fromkeys(load.unit for load in evaluation.loads.values()))
    unit = unit or max(used, key=machine.copies)
    if unit not in used:
        raise InputError(f"{evaluation.mapping.name} runs nothing on '{unit}'", did_you_mean(unit, used))
    axes = tuple(axis for node in machine.paths[unit] if isinstance(node, Array) for axis in node.axes)
    if not axes:
        raise InputError(f"{unit} of {machine.name} is in no array", "name a unit that is")
    lasts = ticks or float(evaluation.timing.latency)
    busy = np.zeros([axis.size for axis in axes])
    einsums = {einsum.name: einsum for einsum in cascade.work}
    for nodes, leaf in evaluation.mapping.paths():
        if leaf.unit != unit or leaf.einsum not in einsums or not lasts:
            continue
        found = points(cascade, einsums[leaf.einsum], nodes, axes)
        work = float(evaluation.counts.operations[leaf.einsum]) * evaluator.issue_ticks(leaf.einsum, unit)
        busy += found * (work / (max(1, found.sum()) * machine.units[unit].lanes * lasts))
    return Copies(unit, axes, busy)


def points(cascade: Cascade, einsum: Einsum, nodes: Sequence[Loop | Fuse | Leaf], axes: Sequence[Axis]) -> Numbers:
    """How many points of an Einsum each copy has, int64[copies along each axis].

    A loop over copies gives the i-th tile of what is left of its rank to copy i; of several along one axis the outer one counts slower.
    """
    sizes = {rank: cascade.extents[rank] for rank in einsum.ranks}
    left = {rank: np.arange(size) for rank, size in sizes.items()}  # of every coordinate, its place in the tile that is left
    spread: list[tuple[str, str, int, Numbers]] = []  # of every loop over copies: axis, rank, copies, the copy of each coordinate
    for node in nodes:
        if isinstance(node, Keep | Fuse | Leaf) or node.rank not in sizes:
            continue
        if isinstance(node, Spatial):
            spread.append((node.axis, node.rank, -(-sizes[node.rank] // node.tile), left[node.rank] // node.tile))
        left[node.rank] = left[node.rank] % node.tile
        sizes[node.rank] = min(sizes[node.rank], node.tile)
    shape = tuple(trips for _, _, trips, _ in spread)
    counted = _masked(cascade, einsum, spread, shape) if einsum.condition is not None else _whole(cascade, einsum, spread, shape)
    order = [at for axis in axes for at, loop in enumerate(spread) if loop[0] == axis.name]
    taken = [int(np.prod([trips for name, _, trips, _ in spread if name == axis.name], dtype=np.int64)) for axis in axes]
    found = np.zeros([axis.size for axis in axes], dtype=np.int64)
    found[tuple(slice(many) for many in taken)] = counted.transpose(order).reshape(taken)
    return found


def _whole(cascade: Cascade, einsum: Einsum, spread: Sequence[tuple[str, str, int, Numbers]], shape: tuple[int, ...]) -> Numbers:
    """Points by copy where all are there: of each rank by itself, multiplied."""
    found = np.ones(shape, dtype=np.int64)
    for rank in einsum.ranks:
        mine = [at for at, loop in enumerate(spread) if loop[1] == rank]
        counted = _counted([spread[at][3] for at in mine], tuple(shape[at] for at in mine), cascade.extents[rank])
        found = found * counted.reshape([shape[at] if at in mine else 1 for at in range(len(shape))])
    return found


def _masked(cascade: Cascade, einsum: Einsum, spread: Sequence[tuple[str, str, int, Numbers]], shape: tuple[int, ...]) -> Numbers:
    """Points by copy where a condition leaves some out."""
    there = condition_mask(cascade, einsum)
    at: Dict[str, Numbers] = dict(zip(einsum.ranks, np.nonzero(there), strict=True))
    return _counted([copy[at[rank]] for _, rank, _, copy in spread], shape, int(there.sum()))


def _counted(places: Sequence[Numbers], shape: tuple[int, ...], many: int) -> Numbers:
    """How many of `many` points stand at each place."""
    if not shape:
        return np.array(many, dtype=np.int64)
    flat = np.ravel_multi_index(tuple(places), shape)
    return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape).astype(np.int64)
