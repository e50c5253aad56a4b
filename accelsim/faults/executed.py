"""What is noted while a mapping is walked: turns of innermost tiles, and the points of each Einsum in order of execution."""

from __future__ import annotations

from dataclasses import dataclass, field

from accelsim.faults.stores import IntArray, Key
from accelsim.mapping.tree import Spatial
from accelsim.sim.turns import Branch
from accelsim.workload.cascade import Cascade


@dataclass(frozen=True, slots=True)
class Visit:
    """An innermost tile's turn: its branch, the turns of the loops in time by level, its first step and how many it takes."""

    branch: Branch
    turns: dict[int, int]
    step: int
    steps: int


@dataclass
class Flow:
    """What an Einsum executed, in order of execution: chunks of arrays along its points.

    `points`: coordinates by rank, then the step, the number of the word that the point goes into, the copy along each spatial loop over a
    reduced rank; then for each read the stay that it reads and, where that is -1, the number of a word that is not kept (-1: the fill).
    """

    branch: Branch
    levels: tuple[int, ...]
    chunks: list[tuple[IntArray, ...]] = field(default_factory=list)
    made: list[tuple[IntArray, ...]] = field(default_factory=list)
    done: list[tuple[IntArray, IntArray]] = field(default_factory=list)
    left: dict[int, IntArray] = field(default_factory=dict)
    open: dict[int, IntArray] = field(default_factory=dict)

    @property
    def serial(self) -> bool:
        """Whether it reads its own results."""
        return any(read.tensor == self.branch.einsum.output.tensor for read in self.branch.einsum.reads)


def reduced_levels(cascade: Cascade, branch: Branch) -> tuple[int, ...]:
    """The loops of which several copies each have a part of a sum."""
    left, found = dict(cascade.extents), []
    for at, step in branch.steps.items():
        rank, tile = step.loop.rank, step.loop.tile
        if isinstance(step.loop, Spatial) and rank in branch.einsum.reduced and left[rank] > tile:
            found.append(at)
        left[rank] = min(left[rank], tile)
    return tuple(found)


def keys_of(branch: Branch) -> dict[int, Key]:
    """The spatial loops on the way to a leaf by level."""
    found: dict[int, Key] = {}
    seen: dict[tuple[str, str], int] = {}
    for level, (_, node) in enumerate(branch.nodes):
        if isinstance(node, Spatial):
            place = seen[node.axis, node.rank] = seen.get((node.axis, node.rank), -1) + 1
            found[level] = (node.axis, node.rank, place)
    return found
