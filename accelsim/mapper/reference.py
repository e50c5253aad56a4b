"""The batch kernel's twin: one mapping at a time with the ordinary model and the ordinary rules of legality."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from accelsim.errors import AccelsimError
from accelsim.mapping.legality import check
from accelsim.mapping.tree import For, Keep, Leaf, Mapping, Spatial, TreeNode
from accelsim.model.evaluation import Evaluator


@dataclass(frozen=True, slots=True)
class Row:
    """Steady ticks, energy of memories (pJ), pieces of bits read and written by memory; and whether everything fits."""

    steady: int | Fraction
    energy: float
    traffic: dict[str, tuple[int, int]]
    fits: bool


def evaluate_batch(evaluator: Evaluator, mapping: Mapping, tiles: tuple[int, ...]) -> Row | None:
    """A structure with other tiles (one per loop, outermost first), evaluated; None if a tile or a number of copies is not legal."""
    candidate = with_tiles(mapping, tiles)
    fits = True
    try:
        check(evaluator.cascade, evaluator.architecture, candidate)
    except AccelsimError as error:
        if " holds " not in str(error):
            return None
        fits = False
    evaluation = evaluator.evaluate(candidate, checked=True)
    traffic = {}
    for memory in evaluator.architecture.memories:
        rows = [row for key, row in evaluation.bits.items() if key[2] == memory]
        traffic[memory] = (sum(row[0] for row in rows), sum(row[1] + row[2] for row in rows))
    energy = sum(evaluation.by_component.get(memory, 0.0) for memory in evaluator.architecture.memories)
    return Row(evaluation.timing.steady, energy, traffic, fits)


def with_tiles(mapping: Mapping, tiles: tuple[int, ...]) -> Mapping:
    """A mapping of one Einsum with the tiles of its loops replaced, outermost first."""
    left = list(tiles)
    nodes: list[TreeNode] = []
    for node in mapping.nodes:
        if isinstance(node, (For, Spatial)):
            nodes.append(replace(node, tile=left.pop(0)))
        elif isinstance(node, Leaf):
            loops = tuple(loop if isinstance(loop, Keep) else replace(loop, tile=left.pop(0)) for loop in node.loops)
            nodes.append(replace(node, loops=loops))
        else:
            nodes.append(node)
    return replace(mapping, nodes=tuple(nodes))
