"""An Einsum that a mapping runs on a grid array, as products of matrices in the order of its tiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from accelsim.errors import InputError, did_you_mean
from accelsim.faults.grid import GridRun, Order
from accelsim.faults.registers import Widths
from accelsim.hardware.architecture import Architecture
from accelsim.mapping.tree import For, Spatial
from accelsim.mapping.tree import Mapping as LoopTree
from accelsim.model.evaluation import Evaluator
from accelsim.sim.folds import array_of, grid_of, held_place, stays_of
from accelsim.sim.paths import Path, Paths
from accelsim.sim.systolic import RESULT
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.evaluate import evaluate
from accelsim.workload.expression import Access, Call, names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]

Spans = dict[str, range]


_MOST = 1 << 22  # rows, columns and steps of all tiles


@dataclass(frozen=True)
class Product:
    """One product that an array makes. `elements`: int64[shape of the run], which element of the result, flat, a place is; `sources`: the
    tensors of the left and the right operand, and which element of it a place is, -1 for its fill.
    """

    run: GridRun
    elements: IntArray
    sources: Mapping[str, IntArray] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Firing:
    """A tile: coordinates of its rows, columns and steps, and of what is the same in all of it."""

    batch: tuple[int, ...]
    rows: list[tuple[int, ...]]
    columns: list[tuple[int, ...]]
    steps: list[tuple[int, ...]]


def einsum_on_array(cascade: Cascade, machine: Architecture, mapping: LoopTree, name: str | None) -> Einsum:
    """The Einsum of that name, or the only one that the mapping runs on a grid array. InputError if there is none."""
    found = [leaf.einsum for _, leaf in mapping.paths() if array_of(machine, leaf.unit) is not None]
    if name is not None and name not in cascade.by_name:
        raise InputError(f"'{cascade.name}' has no Einsum '{name}'", did_you_mean(name, cascade.by_name))
    if name is not None and name not in found:
        raise InputError(f"{mapping.name} runs {name} on no systolic array of {machine.name}", "name another Einsum, mapping or machine")
    if name is None and len(found) != 1:
        what = f"{mapping.name} runs {', '.join(found) or 'nothing'} on systolic arrays of {machine.name}"
        raise InputError(what, "say which with 'einsum'" if found else "take a machine and a mapping with an Einsum on one")
    return cascade.by_name[name or found[0]]


def products(evaluator: Evaluator, mapping: LoopTree, einsum: Einsum, values: Mapping[str, Any]) -> list[Product]:
    """The products of an Einsum of two operands, one for each value of ranks that both operands and the result have.

    values: integers of what it reads, by tensor. Refuses other map expressions, conditions, and elements that hold more than a word.
    """
    cascade, machine = evaluator.cascade, evaluator.architecture
    reads = _factors(einsum)
    path = Paths(evaluator, mapping).of(einsum.name)
    stays = stays_of(machine, path)
    array = array_of(machine, path.leaf.unit)
    assert array is not None
    held = held_place(machine, path)
    kept = set(path.rows[held].kept)
    left, right = reads if stays == RESULT or reads[1].tensor in kept else reads[::-1]
    if stays == RESULT and not _spread(path, array.axes[0].name) <= set(_ranks(einsum, left)):
        left, right = right, left
    sides = _Sides(einsum, left, right, stays)
    _widths(cascade, einsum, sides)  # refuses types before tiles are looked at one by one
    firings = list(_firings(cascade, path, held, [axis.name for axis in array.axes], sides))
    found = []
    for batch in dict.fromkeys(firing.batch for firing in firings):
        found.append(_product(evaluator, einsum, sides, [each for each in firings if each.batch == batch], values, grid_of(array)))
    return found


class _Sides:
    """Ranks of the matrices left [m, k] and right [k, n], in the Einsum's order, and which of them turn where."""

    def __init__(self, einsum: Einsum, left: Access, right: Access, stays: str) -> None:
        mine, other = set(_ranks(einsum, left)), set(_ranks(einsum, right))
        result = set(einsum.ranks) - set(einsum.reduced)
        self.left, self.right, self.stays = left, right, stays
        self.m = tuple(rank for rank in einsum.ranks if rank in result and rank not in other)
        self.n = tuple(rank for rank in einsum.ranks if rank in result and rank not in mine)
        self.k = tuple(rank for rank in einsum.ranks if rank in einsum.reduced)
        self.batch = tuple(rank for rank in einsum.ranks if rank in result & mine & other)
        self.rows, self.columns, self.steps = (self.m, self.n, self.k) if stays == RESULT else (self.k, self.n, self.m)


def _factors(einsum: Einsum) -> tuple[Access, Access]:
    expression = einsum.expression
    if isinstance(expression, Call) and expression.function == "mul" and len(expression.arguments) == 2 and einsum.reduce == "add":
        one, other = expression.arguments
        if isinstance(one, Access) and isinstance(other, Access) and einsum.condition is None and not einsum.chosen:
            return one, other
    what = f"{einsum.name} is no sum of products of two operands without a condition"
    raise InputError(what, "name another Einsum with 'einsum'", einsum.place)


def _ranks(einsum: Einsum, access: Access) -> tuple[str, ...]:
    return tuple(rank for rank in einsum.ranks if rank in names(access))


def _spread(path: Path, axis: str) -> set[str]:
    nodes = (row.node for row in path.rows)
    return {node.rank for node in nodes if isinstance(node, Spatial) and node.axis == axis and node.rank in path.einsum.ranks}


def _firings(cascade: Cascade, path: Path, held: int, axes: list[str], sides: _Sides) -> Iterator[Firing]:
    """Tiles in the order of the loops outside what stays."""
    einsum, loops = path.einsum, [(place, row.node) for place, row in enumerate(path.rows) if isinstance(row.node, For | Spatial)]
    loops = [(place, node) for place, node in loops if node.rank in einsum.ranks]
    outer = [node for place, node in loops if isinstance(node, For) and place < held]
    spatial = [node for _, node in loops if isinstance(node, Spatial)]
    inner = [node for place, node in loops if isinstance(node, For) and place > held]
    for node in spatial:
        if node.axis not in axes:
            what = f"{einsum.name} is spread over {node.axis}, and faults are known in one array"
            raise InputError(what, f"leave {node.axis} out of the mapping", node.place)
    groups = {axis: tuple(node for node in spatial if node.axis == axis) for axis in axes}
    for at, ranks, which in ((0, sides.rows, "rows"), (1, sides.columns, "columns")):
        for node in groups[axes[at]]:
            if node.rank not in ranks:
                what = f"{einsum.name} spreads {node.rank} over the array's {which}, which share no operand there"
                raise InputError(what, "let it turn in time", node.place)
    whole = {rank: range(cascade.extents[rank]) for rank in einsum.ranks}
    _refuse_many(whole, outer, [*spatial, *inner], einsum)
    for spans in _turns(whole, outer):
        lists = []
        for ranks, mine in ((sides.rows, groups[axes[0]]), (sides.columns, groups[axes[1]]), (sides.steps, tuple(inner))):
            turns = _turns({rank: spans[rank] for rank in ranks}, [each for each in mine if each.rank in ranks])
            lists.append([_only(found, ranks, einsum) for found in turns])
        fixed = _only({rank: spans[rank] for rank in sides.batch}, sides.batch, einsum)
        yield Firing(fixed, *lists)


def _refuse_many(whole: Spans, outer: list[For], inner: list[For | Spatial], einsum: Einsum) -> None:
    """An InputError for more tiles, each with its rows, columns and steps, than are looked at one by one in a reasonable time."""
    left, tiles, turns = {rank: len(span) for rank, span in whole.items()}, 1, dict.fromkeys(whole, 1)
    for place, node in enumerate((*outer, *inner)):
        many, left[node.rank] = -(-left[node.rank] // node.tile), min(node.tile, left[node.rank])
        if place < len(outer):
            tiles *= many
        else:
            turns[node.rank] *= many
    if tiles * sum(turns.values()) > _MOST:
        what = f"{einsum.name} goes over the array in {tiles:,} tiles, which are too many to look at one by one"
        raise InputError(what, "make the shape smaller, or the tiles larger", einsum.place)


def _turns(spans: Spans, loops: Sequence[For | Spatial]) -> Iterator[Spans]:
    """What loops leave of some ranks, turn by turn."""
    if not loops:
        yield spans
        return
    first, *rest = loops
    span = spans[first.rank]
    for start in range(span.start, span.stop, first.tile):
        yield from _turns({**spans, first.rank: range(start, min(start + first.tile, span.stop))}, rest)


def _only(spans: Spans, ranks: tuple[str, ...], einsum: Einsum) -> tuple[int, ...]:
    for rank in ranks:
        if len(spans[rank]) != 1:
            what = f"an element of the array takes {len(spans[rank])} turns of {rank} at once in {einsum.name}"
            raise InputError(what, f"spread {rank}, or write a loop over it: {rank}: 1", einsum.place)
    return tuple(spans[rank].start for rank in ranks)


def _product(
    evaluator: Evaluator, einsum: Einsum, sides: _Sides, firings: list[Firing], values: Mapping[str, Any], grid: Any
) -> Product:
    import numpy as np

    cascade = evaluator.cascade
    at = dict(zip(sides.batch, firings[0].batch, strict=True))
    lists = {}
    order = []
    for name in ("rows", "columns", "steps"):
        place: dict[tuple[int, ...], int] = {}
        spans = []
        for firing in firings:
            mine: list[tuple[int, ...]] = getattr(firing, name)
            for each in mine:
                place.setdefault(each, len(place))
            first = place[mine[0]]
            if [place[each] for each in mine] != list(range(first, first + len(mine))):
                raise InputError(f"tiles of {einsum.name} overlap in part on the array", "let its loops turn in one order", einsum.place)
            spans.append((first, len(mine)))
        lists[name] = list(place)
        order.append(np.array(spans, np.int64).reshape(-1, 2))
    m, n, k = (lists[each] for each in (("rows", "columns", "steps") if sides.stays == RESULT else ("steps", "columns", "rows")))
    sources = (
        _sources(cascade, sides.left, at, (sides.m, m), (sides.k, k)), _sources(cascade, sides.right, at, (sides.k, k), (sides.n, n))
    )  # fmt: skip
    names = sides.left.tensor, sides.right.tensor
    left, right = (_matrix(values[name], places, cascade.tensors[name].fill) for name, places in zip(names, sources, strict=True))
    elements = _places(cascade, einsum, at, (sides.m, m), (sides.n, n))
    run = GridRun(left, right, grid, sides.stays, _widths(cascade, einsum, sides), Order(*order))
    return Product(run, elements, dict(zip(names, sources, strict=True)) if names[0] != names[1] else {})


def _widths(cascade: Cascade, einsum: Einsum, sides: _Sides) -> Widths:
    types = [cascade.tensors[each.tensor].final for each in (sides.left, sides.right)]
    total = cascade.tensors[einsum.output.tensor].partial
    for each in (*types, total):
        if not each.name.startswith("int"):
            what = f"{einsum.name} has words of {each.name}, and the array of hw/rtl adds integers"
            raise InputError(what, "give its tensors integer types, as in 'type: {default: int8}'", einsum.place)
    return Widths(int(types[0].bits), int(types[1].bits), int(total.bits))


Side = tuple[tuple[str, ...], list[tuple[int, ...]]]


def _known(cascade: Cascade, at: Mapping[str, int], one: Side, other: Side) -> dict[str, Any]:
    """Coordinates of every rank, one side along the first axis and the other along the second."""
    import numpy as np

    known: dict[str, Any] = dict(cascade.sizes)
    known |= {rank: np.int64(value) for rank, value in at.items()}
    for (ranks, values), shape in ((one, (-1, 1)), (other, (1, -1))):
        for place, rank in enumerate(ranks):
            known[rank] = np.array([each[place] for each in values], np.int64).reshape(shape)
    return known


def _matrix(words: Any, places: IntArray, fill: float | None) -> IntArray:
    """An operand as a matrix; what lies outside of a tensor is its fill."""
    import numpy as np

    found = np.asarray(words).ravel()[np.where(places < 0, 0, places)]
    return np.where(places < 0, 0 if fill is None else fill, found).astype(np.int64)


def _sources(cascade: Cascade, access: Access, at: Mapping[str, int], one: Side, other: Side) -> IntArray:
    """Which element of its tensor each place of an operand is, -1 outside of it."""
    import numpy as np

    known, shape = _known(cascade, at, one, other), cascade.tensors[access.tensor].shape
    places = [np.broadcast_to(np.asarray(evaluate(index, known), np.int64), (len(one[1]), len(other[1]))) for index in access.indices]
    inside = np.ones((len(one[1]), len(other[1])), bool)
    for place, size in zip(places, shape, strict=True):
        inside &= (place >= 0) & (place < size)
    flat = np.ravel_multi_index(tuple(np.where(inside, place, 0) for place in places), shape)
    return np.where(inside, flat, -1).astype(np.int64)


def _places(cascade: Cascade, einsum: Einsum, at: Mapping[str, int], one: Side, other: Side) -> IntArray:
    import numpy as np

    known, shape = _known(cascade, at, one, other), (len(one[1]), len(other[1]))
    places = [np.broadcast_to(np.asarray(evaluate(index, known), np.int64), shape) for index in einsum.output.indices]
    return np.asarray(np.ravel_multi_index(tuple(places), cascade.tensors[einsum.output.tensor].shape), np.int64)


