"""The machine computes: a mapping run with real values, in the machine's own order; the twin of `workload.interpreter`.

Leaves run in the order of the loop tree: loops in time turn one after the other, the copies of spatial loops side by side, and a fuse
runs its branches in order in every iteration (whether they overlap in time changes no value). An Einsum that a loop above a fuse is
nothing to runs once, in the first iteration in which all that it reads is there. Words of an intermediate live in the tile of its home,
copy by copy: what is read before it is made and complete, after its tile has moved on, or in a copy that did not make it, is a
`BrokenSchedule`. Keepers inside the home hold the same values and are not modelled apart, except where
copies hold parts of a sum (`sums`). Source: docs/simulator.md, "Values".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from accelsim.errors import InputError, did_you_mean
from accelsim.hardware.architecture import Architecture
from accelsim.mapping.holding import refuse_by_elements
from accelsim.mapping.legality import check
from accelsim.mapping.tree import Address, For, Fuse, Leaf, Spatial, TreeNode
from accelsim.mapping.tree import Mapping as LoopTree
from accelsim.sim.formats import OVERFLOWS, SATURATE
from accelsim.sim.tiles import Tile, turned, whole_span
from accelsim.sim.turns import Demands, accesses_of, ranks_of, touched_at
from accelsim.sim.work import Work
from accelsim.workload.cascade import Cascade

DECLARED, EXACT = "declared", "exact"
TYPINGS = (DECLARED, EXACT)


@dataclass(frozen=True, slots=True)
class Executed:
    """What a mapping computed: tensors by name, and with `bounds` how far each word can lie from the result of real arithmetic."""

    values: dict[str, Any]
    bounds: dict[str, Any] | None = None
    types: str = DECLARED


def execute(
    cascade: Cascade,
    architecture: Architecture,
    mapping: LoopTree,
    inputs: Mapping[str, Any],
    types: str = DECLARED,
    overflow: str = SATURATE,
    also: Collection[str] = (),
    checked: bool = False,
) -> dict[str, Any]:
    """Every output of a cascade, and the intermediates named in `also`, as the mapped machine computes them.

    `types`: `declared` rounds to the types of the cascade (int64 or float64 arrays of such values come back), `exact` computes in double
    precision, or in 64-bit integers where inputs are integers. `overflow`: `saturate` or `wrap`, see `formats`. `checked`: the caller
    knows that the mapping is legal. Refuses mappings that are not (IllegalMapping), missing, unknown and misshapen inputs and statements
    that write a word twice; a mapping that reads what is not there all the same is a BrokenSchedule.
    """
    return run(cascade, architecture, mapping, inputs, types, overflow, also, bounds=False, checked=checked).values


def run(
    cascade: Cascade,
    architecture: Architecture,
    mapping: LoopTree,
    inputs: Mapping[str, Any],
    types: str = DECLARED,
    overflow: str = SATURATE,
    also: Collection[str] = (),
    bounds: bool = True,
    checked: bool = False,
) -> Executed:
    """As `execute`, with bounds of the errors of all values."""
    for what, value, known in (("types", types, TYPINGS), ("overflow", overflow, OVERFLOWS)):
        if value not in known:
            raise InputError(f"there is no {what} '{value}'", did_you_mean(value, known))
    for name in also:
        if name not in cascade.tensors:
            raise InputError(f"'{cascade.name}' has no tensor '{name}'", did_you_mean(name, cascade.tensors))
    if not checked:
        check(cascade, architecture, mapping)
    refuse_by_elements(mapping)
    work = Work(cascade, architecture, mapping, types == DECLARED, overflow, bounds)
    work.load(inputs)
    _Walk(work, mapping).turn()
    work.finish()
    wanted = [name for name, tensor in cascade.tensors.items() if tensor.is_output or name in also]
    values = {name: work.words.finished(name) for name in wanted}
    if not bounds:
        return Executed(values, None, types)
    errors = work.words.errors
    return Executed(
        values, {name: errors[name].reshape(value.shape) if name in errors else value * 0.0 for name, value in values.items()}, types
    )


class _Walk:
    """A mapping walked turn by turn, for all Einsums at once."""

    def __init__(self, work: Work, mapping: LoopTree) -> None:
        self.work, self.mapping, self.cascade, self.branches, self.words = work, mapping, work.cascade, work.branches, work.words
        self.demands = Demands(self.cascade, self.branches)
        self.homes = self._homes()
        self.seen: set[Address] = set()

    def _homes(self) -> dict[Address, list[str]]:
        """Intermediates by the node at which their tiles come: the home, or the fuse that joins the branches with homes of their own."""
        found: dict[Address, list[str]] = {}
        for name, tensor in self.cascade.tensors.items():
            users = [branch for branch in self.branches if any(access.tensor == name for access in accesses_of(branch.einsum))]
            if tensor.is_input or tensor.is_output or not users:
                continue
            nodes = {branch.nodes[branch.home(name)][0] for branch in users}
            if len(nodes) > 1:
                shared = [node for node in users[0].nodes if all(branch.passes(node[0]) for branch in users)]
                nodes = {[address for address, node in shared if isinstance(node, Fuse)][-1]}
            found.setdefault(nodes.pop(), []).append(name)
        return found

    def turn(self) -> None:
        """Everything."""
        whole = {rank: whole_span(extent) for rank, extent in self.cascade.extents.items()}
        self._nodes(self.mapping.nodes, 0, 0, (), [Tile(branch, dict(whole)) for branch in self.branches])

    def _nodes(self, nodes: tuple[TreeNode, ...], at: int, level: int, above: Address, tiles: list[Tile]) -> None:
        """The nodes from one on, which stands at a level of the tree, for the branches that have a tile."""
        if not tiles:
            return
        node, address = nodes[at], (*above, at)
        if isinstance(node, Leaf):
            self.work.leaf(tiles[0])
            return
        self._arrive(address, tiles)
        if isinstance(node, Fuse):
            for number, inner in enumerate(node.branches):
                into = (*address, number)
                self._nodes(inner, 0, level + 1, into, [tile for tile in tiles if tile.branch.address[: len(into)] == into])
        elif isinstance(node, Spatial):
            spread = [replace(tile, spans={**tile.spans, node.rank: tile.spans[node.rank].spread(level, node.tile)}) for tile in tiles]
            self._nodes(nodes, at + 1, level + 1, above, spread)
        elif isinstance(node, For):
            made: dict[tuple[int, str], int] = {}
            for turn in range(max(tile.spans[node.rank].turns(node.tile) for tile in tiles)):
                inside = [found for tile in tiles if (found := turned(tile, level, node, turn, made, self.demands)) is not None]
                self._nodes(nodes, at + 1, level + 1, above, inside)
        else:
            self._nodes(nodes, at + 1, level + 1, above, tiles)

    def _arrive(self, address: Address, tiles: list[Tile]) -> None:
        """A keep gets its next tile: what the new one does not touch of the intermediates at home there is gone."""
        import numpy as np

        held = self.homes.get(address)
        if held is None:
            return
        if address not in self.seen:
            self.seen.add(address)
            return
        for name in held:
            tensor = self.cascade.tensors[name]
            kept = np.zeros(tensor.shape, dtype=bool)
            for tile in tiles:
                for access in accesses_of(tile.branch.einsum):
                    if access.tensor == name:
                        kept[
                            np.ix_(*(self._touched(index, size, tile) for index, size in zip(access.indices, tensor.shape, strict=True)))
                        ] = True
            if tensor.iterative is not None and tensor.constant_slices:
                kept[(slice(None),) * tensor.iterative + (slice(0, tensor.constant_slices),)] = True
            self.words.drop(name, kept)

    def _touched(self, index: Any, size: int, tile: Tile) -> Any:
        import numpy as np

        at = touched_at(self.cascade, index, {rank: tile.spans[rank].at for rank in ranks_of(self.cascade, index)})
        found = np.zeros(size, dtype=bool)
        found[at[(at >= 0) & (at < size)].astype(np.int64)] = True
        return found
