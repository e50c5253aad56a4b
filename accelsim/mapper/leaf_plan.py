"""One Einsum on one unit, lowered to the arrays of `kernels_levels`: its ranks, tensors, the memories on its way, and their prices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise, permutations, product
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.architecture import Array, Axis, Memory
from accelsim.mapper.constraints import Constraints
from accelsim.mapper.tiles import divisors
from accelsim.model.evaluation import Evaluator
from accelsim.model.options import Counting

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Int = int | np.int64  # an integer of a kernel

ALONE, COMPLETE = 1, 2  # of a result: no axis over a reduced rank since its keep; no partial sum since its keep
GAIN_COPIES, GAIN_REDUCED, GAIN_LATENCY, GAIN_SHARED = range(4)
PORT_READ, PORT_WRITE, PORT_SIZE, PORT_MANY = range(4)
OPTION_ONE, OPTION_CHARGED, OPTION_EVERY_VISIT, OPTION_CHILD = range(4)
PTR_INNER, PTR_TILE, PTR_KEPT, PTR_ORDER, PTR_CHOICE = range(5)


class LeafPlan(NamedTuple):
    """Columns of the tables are named in this module; memories are those on the way to the unit, the root first.

    sizes: int64[ranks, most], tile sizes of each rank (`size_count` of them, rising). Kernels write a tile as the places of its sizes; its
    number is the sum of place x `strides`. trips: float64[ranks, most, most], from an outer place to an inner one (0: does not divide);
    grown: int64 alike, the next place above the inner one; quotients: int64[ranks, most, k], the place inside the k-th number of copies,
    -1 if they do not divide.
    indexed: int64[tensors, ranks], the result last; words: their sizes; widths: int64[tensors, 2], partial and final (pieces of a bit).
    ways: int64[ways, ranks], copies along each rank (k of `quotients`) in every way to spread a tile over the axes before a level, most
    copies first; those before level k have the numbers `way_first[k]` to `way_first[k + 1] - 1`. gains: float64[ways, 3 + tensors], all
    copies, copies along ranks that the result lacks, ticks of latency, and how many copies share one word of each tensor. way_flags:
    which of ALONE and COMPLETE a result keeps. way_axes: int64[ways, axes, ranks], what each axis does. axis_step: the level that each
    axis leads to. growth: float64[levels], by how much axes further out than a level multiply what first touches save at most; apart:
    float64[levels], see `_apart`; worth: float64[levels, tensors], see `_worth`.
    ports: int64[memories, 4], resources of the two ports (-1: unlimited), size (-1), several copies; rates in ticks and prices in
    picojoules per piece. subsets: what each memory may keep, as sets of tensors; must: what it has to. orders: int64[orders, tensors],
    the tensors from the most favoured on. tile_ok: int64[memories, ranks, most], whether a memory's block may end at a size of a rank;
    ruled: int64[memories], the set of ranks of which some sizes are ruled out. inside: int64[memories, ranks], the set of ranks whose
    loops in a memory's block stand inside that of a rank; grows: int64[memories], whether no memory further in has such an order.
    Resource 0 is the unit; `traffic_at` counts pieces moved at the root, `latency_at` ticks from a visit's last issue to its result,
    `depth` those of the unit. energy: of all operations; issue: ticks; points: of the Einsum. relaxed: ticks below which the time of a
    port does not matter;
    0 for an exact search.
    """

    extents: IntArray
    sizes: IntArray
    size_count: IntArray
    strides: IntArray
    trips: FloatArray
    grown: IntArray
    quotients: IntArray
    indexed: IntArray
    words: IntArray
    widths: IntArray
    ways: IntArray
    way_first: IntArray
    way_flags: IntArray
    gains: FloatArray
    way_axes: IntArray
    axis_step: IntArray
    growth: FloatArray
    apart: FloatArray
    worth: FloatArray
    ports: IntArray
    rates: FloatArray
    prices: FloatArray
    subsets: IntArray
    must: IntArray
    subset_count: IntArray
    orders: IntArray
    tile_ok: IntArray
    ruled: IntArray
    inside: IntArray
    grows: IntArray
    options: IntArray
    times: int
    traffic_at: int
    latency_at: int
    depth: int
    energy: float
    issue: int
    lanes: int
    points: float
    relaxed: float


class Labels(NamedTuple):
    """Pools of labels by level, and where those of each tile are (first: -1 before they are worked out); scratch for one tile a level.

    within: energy, less what first touches save at most, up to which those of a tile were worked out.
    """

    values: FloatArray
    keys: IntArray
    pointers: IntArray
    used: IntArray
    first: IntArray
    counts: IntArray
    within: FloatArray
    scratch: FloatArray
    scratch_keys: IntArray
    scratch_pointers: IntArray


class Room(NamedTuple):
    """Arrays that a search works in: kernels that allocate none need not count references to the others.

    tile, inside, steps [ranks]; tiles [3, ranks]; pieces, shared [tensors]; chosen [orders]; pointer [5]; value [label];
    known [orders + 1, tensors]; sequences [orders + 1, ranks]; terms [tensors + 5, the most of 1 + times, ranks and tensors]; turns,
    credit [levels]: until keeps are looked at as a whole, and for how long they are.
    """

    tile: IntArray
    inside: IntArray
    steps: FloatArray
    tiles: IntArray
    pieces: IntArray
    shared: FloatArray
    chosen: IntArray
    pointer: IntArray
    value: FloatArray
    known: FloatArray
    sequences: IntArray
    terms: FloatArray
    turns: IntArray
    credit: IntArray

    @classmethod
    def of(cls, plan: LeafPlan) -> Room:
        """Room for the searches of a plan."""
        streams, ranks, orders, levels = plan.indexed.shape[0], plan.extents.shape[0], plan.orders.shape[0], plan.ports.shape[0] + 2
        whole = np.int64
        return cls(
            np.zeros(ranks, whole), np.zeros(ranks, whole), np.zeros(ranks), np.zeros((3, ranks), whole), np.zeros(streams, whole),
            np.zeros(streams), np.zeros(orders, whole), np.zeros(5, whole), np.zeros(label_width(plan)),
            np.zeros((orders + 1, streams)), np.zeros((orders + 1, ranks), whole),
            np.zeros((streams + 5, max(plan.times + 1, ranks, streams))), np.zeros(levels, whole), np.ones(levels, whole),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Names:
    """What the numbers of a plan stand for."""

    einsum: str
    unit: str
    ranks: tuple[str, ...]
    tensors: tuple[str, ...]
    memories: tuple[str, ...]
    axes: tuple[str, ...]


class Unsupported(Exception):
    """An Einsum or a machine that the exact search has no form for; the reason in words."""


MOST_TENSORS, MOST_LEVELS, MOST_TILES = 4, 6, 60_000
_ABSENT, _PLAIN = 0, 1


FEW_WAYS = 64  # ways to spread several ranks over one axis, up to which they are searched


def ways_to_spread(sizes: list[tuple[int, ...]], places: int) -> list[tuple[int, ...]]:
    """Copies along each rank in every way to spread over an axis: several ranks at once where that makes few ways, else one."""
    found = (
        [way for way in product(*([times for times in each if times <= places] for each in sizes)) if 1 < prod(way) <= places]
        if (prod(sum(1 for times in each if times <= places) for each in sizes) <= 4096)
        else []
    )
    if not found or len(found) > FEW_WAYS:
        one = [1] * len(sizes)
        found = [(*one[:rank], times, *one[rank + 1 :]) for rank, each in enumerate(sizes) for times in each if 1 < times <= places]
    return found


def way(evaluator: Evaluator, unit: str) -> tuple[list[Memory], list[tuple[Axis, int]]]:
    """Memories from the root to a unit, and axes with the level that they lead to."""
    memories: list[Memory] = []
    axes: list[tuple[Axis, int]] = []
    for node in evaluator.architecture.paths[unit]:
        if isinstance(node, Memory):
            memories.append(node)
        elif isinstance(node, Array):
            axes.extend((axis, len(memories)) for axis in node.axes)
    return memories, axes


def costly_networks(evaluator: Evaluator, unit: str) -> list[str]:
    """Networks on the way to a unit that have a limit or a price."""
    networks, ports, prices = evaluator.architecture.networks, evaluator.clock.ports, evaluator.prices.cross
    way_there = evaluator.architecture.paths[unit]
    return [name for name, (array, _) in networks.items() if array in way_there and (name in ports or prices[name] is not None)]


def resources(evaluator: Evaluator) -> dict[tuple[str, str], int]:
    """Numbers of what takes time: the unit, the ports of memories whose bandwidth is limited; then traffic at the root and latency."""
    found = {("", "unit"): 0}
    for name, port in evaluator.clock.ports.items():
        if port.read is not None:
            found[name, "read"] = len(found)
        if not port.shared and port.write is not None:
            found[name, "write"] = len(found)
    return found | {("", "traffic"): len(found), ("", "latency"): len(found) + 1}


def label_width(plan: LeafPlan) -> int:
    """Figures of a label: energy and times, what is credited for these, what each tensor asks for, and the mark of a begun result."""
    return int(2 * (plan.times + 1) + plan.indexed.shape[0] * (plan.times + 2) + 1)


def lower(
    evaluator: Evaluator, einsum: str, unit: str, numbers: dict[tuple[str, str], int], constraints: Constraints
) -> tuple[LeafPlan, Names]:
    """The plan of one Einsum on one unit. numbers: of `resources`. Raises Unsupported."""
    facts = evaluator.program.facts[einsum]
    cascade, machine = evaluator.cascade, evaluator.architecture
    if facts.einsum.condition is not None:
        raise Unsupported(f"{einsum} has a condition")
    if not facts.ranks:
        raise Unsupported(f"{einsum} has no ranks")
    if facts.at_unit:
        raise Unsupported(f"values choose what {einsum} reads")
    costly = costly_networks(evaluator, unit)
    if costly:
        raise Unsupported(f"words for {unit} cross the {costly[0]}, which takes time or energy")
    for stream in facts.streams:
        if stream.groups or stream.weight != 1 or any(role[0] not in (_ABSENT, _PLAIN) for role in stream.roles):
            raise Unsupported(f"{einsum} indexes {stream.tensor} by more than bare ranks")
        if cascade.tensors[stream.tensor].iterative is not None:
            raise Unsupported(f"{stream.tensor} is a recurrence")
    tensors = tuple(stream.tensor for stream in facts.streams)
    if len(set(tensors)) < len(tensors) or len(tensors) > MOST_TENSORS:
        raise Unsupported(f"{einsum} touches a tensor in two ways, or more than {MOST_TENSORS} tensors")
    memories, axes = way(evaluator, unit)
    if len(memories) > MOST_LEVELS:
        raise Unsupported(f"{unit} lies below {len(memories)} memories")
    extents = facts.extents
    sizes = [divisors(extent) for extent in extents]
    if prod(map(len, sizes)) > MOST_TILES:
        raise Unsupported(f"{einsum} has more than {MOST_TILES} dividing tiles")
    strides = [prod(map(len, sizes[:at])) for at in range(len(sizes))]
    indexed = np.array([[role[0] != _ABSENT for role in stream.roles] for stream in facts.streams], np.int64).reshape(len(tensors), -1)
    spreading = [_spreading(sizes, facts.ranks, axis, einsum, constraints) for axis, _ in axes]
    subsets = [_sets([constraints.may_keep(memory.name, tensor, einsum, above=False) for tensor in tensors]) for memory in memories]
    widths, per_cycle = evaluator.widths, evaluator.clock.per_cycle
    reduce = facts.einsum.reduce
    ways, first, flags, gains, by_axis, steps = _spreads(axes, spreading, indexed, reduce, per_cycle, len(memories))
    copies = [sorted({1, *ways[:, rank].tolist()}) for rank in range(len(extents))]
    ports, rates, prices = [], [], []
    for memory in memories:
        port = evaluator.clock.ports.get(memory.name)
        shared = port is not None and port.shared
        read = -1 if port is None or port.read is None else numbers[memory.name, "read"]
        write = -1 if port is None or (port.read if shared else port.write) is None else numbers[memory.name, "read" if shared else "write"]
        size = -1 if memory.size_bits is None else memory.size_bits * evaluator.clock.pieces
        ports.append((read, write, size, int(machine.copies(memory.name) > 1)))
        rates.append((0 if port is None else port.read or 0, 0 if port is None else (port.read if shared else port.write) or 0))
        tables = (evaluator.prices.read, evaluator.prices.write, evaluator.prices.update)
        prices.append([0.0 if (price := table[memory.name]) is None else price.value for table in tables])
    names = tuple(memory.name for memory in memories)
    tile_ok = _allowed_tiles(sizes, facts.ranks, names, einsum, constraints)
    inside = _nested(facts.ranks, tensors, indexed, names, einsum, constraints)
    points = prod(extents)
    energy = 0.0
    for primitive, times in evaluator.program.cover(einsum, unit).items():
        price = evaluator.prices.operation[unit, primitive]
        energy += 0.0 if price is None else points * float(times) * price.value
    most = max(map(len, subsets))
    counting = evaluator.counting
    growth = np.array([1.0, *_most(first, gains[:, GAIN_REDUCED]), 1.0], np.float64).cumprod(dtype=np.float64)
    widths_of = np.array(
        [
            (widths.partial[stream.tensor], widths.final[stream.tensor]) if stream.output else (widths.read[einsum, stream.tensor],) * 2
            for stream in facts.streams
        ],
        np.int64,
    )
    plan = LeafPlan(
        np.array(extents, np.int64),
        _table(sizes),
        np.array([len(each) for each in sizes], np.int64),
        np.array(strides, np.int64),
        *_divisions(sizes, copies),
        indexed,
        np.array([prod(extent for extent, has in zip(extents, row, strict=True) if has) for row in indexed], np.int64),
        widths_of,
        _coded(ways, copies),
        first,
        flags,
        gains,
        by_axis,
        steps,
        growth,
        _apart(growth, counting),
        _worth(first, gains, widths_of, np.array(prices, np.float64)),
        np.array(ports, np.int64),
        np.array(rates, np.float64),
        np.array(prices, np.float64),
        np.array([list(each) + [0] * (most - len(each)) for each in subsets], np.int64),
        np.array([_set(constraints.must_keep(memory.name, tensor, einsum) for tensor in tensors) for memory in memories], np.int64),
        np.array([len(each) for each in subsets], np.int64),
        np.array(list(permutations(range(len(tensors)))), np.int64),
        tile_ok,
        np.array([_set(not row.all() for row in rows) for rows in tile_ok.astype(bool)], np.int64),
        inside,
        np.array([not inside[at + 1 :].any() for at in range(len(memories))], np.int64),
        np.array(
            [
                counting.returned_partials == "one",
                counting.drains == "charged",
                counting.refill == "every_visit",
                counting.first_touch == "child",
            ],
            np.int64,
        ),
        max(numbers.values()) + 1,
        numbers["", "traffic"],
        numbers["", "latency"],
        machine.units[unit].pipeline_depth * evaluator.clock.per_cycle,
        energy,
        evaluator.issue_ticks(einsum, unit),
        machine.units[unit].lanes,
        float(points),
        0.0,
    )
    return plan, Names(einsum, unit, facts.ranks, tensors, names, tuple(axis.name for axis, _ in axes))


def _most(first: IntArray, column: FloatArray) -> list[float]:
    """The most that any way to spread before a level has in a column of its gains, for every level."""
    return [float(column[start:end].max(initial=1.0)) for start, end in pairwise(first.tolist())]


def _apart(growth: FloatArray, counting: Counting) -> FloatArray:
    """For each level the most copies around it, by axes further out, that hold parts of one word of the result.

    -1 where what begins a sum is not to be weighed against what is asked for: where each word begins one in any case, or loops around may
    share what is asked for.
    """
    weighed = counting.first_touch == "child" and counting.refill == "every_visit"
    return growth if weighed else np.full_like(growth, -1.0)


def _worth(first: IntArray, gains: FloatArray, widths: IntArray, prices: FloatArray) -> FloatArray:
    """Picojoules that a word which is asked for outside a level costs at least, for every level and tensor.

    Some memory further out than the next one pays for it; copies along the axes between may share it.
    """
    levels, streams = len(first), len(widths)
    shared = [_most(first, gains[:, GAIN_SHARED + stream]) for stream in range(streams)]
    found = np.zeros((levels + 1, streams))
    for level in range(2, levels):
        for stream in range(streams):
            sides = prices[:, 0] + prices[:, 2] if stream == streams - 1 else prices[:, 0]
            payers = range(level - 1)
            found[level, stream] = min(sides[payer] / prod(shared[stream][payer + 1 : level]) for payer in payers) * widths[stream, 0]
    return found


def _allowed_tiles(
    sizes: list[tuple[int, ...]], ranks: tuple[str, ...], memories: tuple[str, ...], einsum: str, constraints: Constraints
) -> IntArray:
    """int64[memories, ranks, most]: whether a memory's tile may have a size along a rank."""
    found = np.ones((len(memories), len(sizes), max(map(len, sizes), default=1)), np.int64)
    for at, memory in enumerate(memories):
        for row, (rank, each) in enumerate(zip(ranks, sizes, strict=True)):
            found[at, row, : len(each)] = [constraints.may_end(memory, rank, size, einsum) for size in each]
    return found


def _nested(
    ranks: tuple[str, ...], tensors: tuple[str, ...], indexed: IntArray, memories: tuple[str, ...], einsum: str, constraints: Constraints
) -> IntArray:
    """int64[memories, ranks]: the set of ranks whose loops have to stand inside that of a rank."""
    indexing = {tensor: {rank for rank, has in zip(ranks, row, strict=True) if has} for tensor, row in zip(tensors, indexed, strict=True)}
    pairs = [constraints.nested(memory, einsum, indexing, ranks, above=False) for memory in memories]
    found = [[_set((outer, inner) in each for inner in ranks) for outer in ranks] for each in pairs]
    return np.array(found, np.int64).reshape(len(memories), len(ranks))


def _coded(ways: IntArray, copies: list[list[int]]) -> IntArray:
    """Ways with the place of the copies along each rank instead of their number."""
    return np.array([np.searchsorted(each, ways[:, rank]) for rank, each in enumerate(copies)], np.int64).reshape(len(copies), -1).T.copy()


def _divisions(sizes: list[tuple[int, ...]], copies: list[list[int]]) -> tuple[FloatArray, IntArray, IntArray]:
    """Tables of trips, next larger tiles and quotients."""
    ranks, most = len(sizes), max(map(len, sizes), default=1)
    trips, grown = np.zeros((ranks, most, most)), np.zeros((ranks, most, most), np.int64)
    quotients = np.full((ranks, most, max(map(len, copies), default=1)), -1, np.int64)
    for rank, each in enumerate(sizes):
        for outer, whole in enumerate(each):
            inner = [at for at in range(outer + 1) if whole % each[at] == 0]
            for at in inner:
                trips[rank, outer, at] = whole // each[at]
                grown[rank, outer, at] = next((larger for larger in inner if larger > at and each[larger] % each[at] == 0), outer)
                if whole // each[at] in copies[rank]:
                    quotients[rank, outer, copies[rank].index(whole // each[at])] = at
    return trips, grown, quotients


def _spreading(
    sizes: list[tuple[int, ...]], ranks: tuple[str, ...], axis: Axis, einsum: str, constraints: Constraints
) -> list[tuple[int, ...]]:
    """Ways to spread an Einsum over an axis, or not to, as it may."""
    able = [
        tuple(times for times in each if constraints.may_spread(axis.name, rank, times, einsum))
        for each, rank in zip(sizes, ranks, strict=True)
    ]  # fmt: skip
    ways = [*ways_to_spread(able, axis.size), (1,) * len(ranks)]
    return [way for way in ways if all(times in each for times, each in zip(way, able, strict=True))]


def _set(chosen: Iterable[bool]) -> int:
    return sum(1 << at for at, one in enumerate(chosen) if one)


def _sets(able: list[bool]) -> list[int]:
    """All sets of what may be kept, the largest first."""
    found = [_set(bits) for bits in product((True, False), repeat=len(able))]
    return [each for each in found if all(able[at] for at in range(len(able)) if each >> at & 1)]


def _table(rows: list[tuple[int, ...]] | list[list[int]]) -> IntArray:
    most = max((len(row) for row in rows), default=0)
    return np.array([[*row, *[0] * (max(1, most) - len(row))] for row in rows], np.int64).reshape(len(rows), max(1, most))


def _spreads(
    axes: list[tuple[Axis, int]], spreading: list[list[tuple[int, ...]]], indexed: IntArray, reduce: str | None, per_cycle: int, units: int
) -> tuple[IntArray, IntArray, IntArray, FloatArray, IntArray, IntArray]:
    """Tables of the ways to spread before each level, without those that another one with the same copies equals or beats."""
    tensors, ranks = indexed.shape
    result = indexed[-1].astype(bool)
    ways, flags, gains, by_axis, first = [], [], [], [], [0]
    for level in range(units + 1):
        here = [at for at, (_, step) in enumerate(axes) if step == level]
        found: dict[tuple[int, ...], list[tuple[tuple[float, ...], int, IntArray]]] = {}
        for picks in product(*(spreading[at] for at in here)):
            chosen = np.ones((len(axes), ranks), np.int64)
            for at, pick in zip(here, picks, strict=True):
                chosen[at] = pick
            latency, kept, shared = 0.0, ALONE | COMPLETE, np.ones(tensors)
            for at in here:
                axis, reduced = axes[at][0], bool((chosen[at][~result] > 1).any())
                if reduced:
                    latency += axis.reduction_latency.get(reduce or "", 0) * per_cycle
                    kept &= COMPLETE if reduce in axis.reduces else 0
                for tensor in range(tensors):
                    if reduce in axis.reduces if tensor == tensors - 1 else axis.multicast:
                        shared[tensor] *= np.prod(chosen[at][indexed[tensor] == 0])
            row = ((-latency, *shared.tolist()), kept, chosen)
            known = found.setdefault(tuple(chosen.prod(axis=0).tolist()), [])
            if any(kept & ~other[1] == 0 and all(a >= b for a, b in zip(other[0], row[0], strict=True)) for other in known):
                continue
            known[:] = [other for other in known if other[1] & ~kept or any(a > b for a, b in zip(other[0], row[0], strict=True))]
            known.append(row)
        for copies in sorted(found, key=lambda each: (-prod(each), each)):
            for gain, kept, chosen in found[copies]:
                ways.append(copies)
                flags.append(kept)
                reduced_copies = prod(times for times, has in zip(copies, result, strict=True) if not has)
                gains.append((prod(copies), reduced_copies, -gain[0], *gain[1:]))
                by_axis.append(chosen)
        first.append(len(ways))
    return (
        np.array(ways, np.int64).reshape(-1, ranks), np.array(first, np.int64), np.array(flags, np.int64), np.array(gains, np.float64),
        np.array(by_axis, np.int64).reshape(len(ways), len(axes), ranks), np.array([step for _, step in axes], np.int64),
    )  # fmt: skip
