"""Words on their way between memories and to units, and what a flip in one changes, in closed form.

A *transfer* is a word that comes in one step from one copy of a keep; where an axis multicasts, and its loop is over a rank that does not
index the tensor, the copies along it share one transfer, and a flip before the way branches off reaches all of them. The word that stays
where it came from is right. Source: docs/faults-mapped.md; the twin is `reference_mapped`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from accelsim.faults.cones import Changes, Mapped
from accelsim.faults.flows import Groups, Points, grouped
from accelsim.faults.sites import FILL, READ, RESULT, Transit
from accelsim.faults.spread import Spread
from accelsim.faults.stores import IntArray, Store
from accelsim.faults.stuck import filled_from
from accelsim.faults.wordbits import differs, flipped, width
from accelsim.mapping.tree import Spatial
from accelsim.workload.expression import own_names


@dataclass(frozen=True)
class Way:
    """All transfers of a tensor on one way, by number: `members` are the stays that they fill, the points that they serve, or the stays of
    a result. `source`, `target`: memories or a unit; `bits` of a word.
    """

    kind: str
    source: str
    target: str
    tensor: str
    bits: int
    store: Store
    members: Groups
    points: Points | None = None
    read: int = 0

    @property
    def count(self) -> int:
        """How many transfers there are."""
        return len(self.members.starts) - 1


def ways(mapped: Mapped) -> list[Way]:
    """The ways of all words of a mapped cascade."""
    return [*_fills(mapped), *(way for each in mapped.points for way in (*_reads(mapped, each), *_results(mapped, each)))]


def transit(mapped: Mapped, way: Way, number: int, bit: int, bits: int = 1) -> Transit:
    """A flip in a transfer as a site of its own."""
    first = int(way.members.of(np.array([number]))[0][0])
    stays = mapped.stays
    if way.points is None:
        copy = way.store.copies[stays.row[first]]
        return Transit(FILL, way.tensor, way.store.address, copy, int(stays.word[first]), int(stays.start[first]), bit, bits)
    each, name = way.points, way.points.einsum.name
    if way.kind == READ:
        stay = int(each.stay[way.read][first])
        copy, point = way.store.copies[stays.row[stay]], tuple(int(each.at[rank][first]) for rank in each.einsum.ranks)
        where = (way.store.address, copy, int(stays.word[stay]), int(each.step[first]))
        return Transit(READ, way.tensor, *where, bit, bits, name, way.read, point)
    stay = next(stay for stay in way.members.of(np.array([number]))[0].tolist() if stays.store[stay] == way.store.number)
    copy = way.store.copies[stays.row[stay]]
    return Transit(RESULT, way.tensor, way.store.address, copy, int(stays.word[stay]), int(stays.start[stay]) - 1, bit, bits, name)


def carry(mapped: Mapped, way: Way, numbers: IntArray, bits: IntArray, together: int = 1) -> Changes:
    """What flips in some transfers of a way change, each alone; `bits`: the lowest that flips, int64[transfers]."""
    tensor = mapped.cascade.tensors[way.tensor]
    members, of = way.members.of(numbers)
    each = way.points if way.kind == READ else None
    roots = mapped.stays.root[members] if each is None else each.value[way.read][members]
    root = np.empty(len(numbers), dtype=np.int64)
    root[of] = roots
    values = flipped(mapped.values[way.tensor][root], tensor.final, bits, together)
    spread = Spread(mapped.tables, mapped.readers, len(numbers))
    reached, found = np.zeros(len(numbers), dtype=bool), dict[str, list[tuple[IntArray, IntArray, Any]]]()
    if each is not None:
        table = next(number for number, other in enumerate(mapped.points) if other is each)
        slot = np.empty(len(each.made), dtype=np.int64)
        slot[mapped.tables[table].order] = np.arange(mapped.tables[table].size)
        spread.ask(table, way.read, of, slot[members], values[of])
        reached[:] = True
    else:
        hit, owner = filled_from(mapped, members)
        for table, place in mapped.readers[way.tensor]:
            slots, readers = mapped.tables[table].readers[place].of(hit)
            faults = of[owner[readers]]
            spread.ask(table, place, faults, slots, values[faults])
            reached[faults] = True
        if way.kind == RESULT and tensor.is_output:
            word = mapped.word[way.tensor][root]
            kept = mapped.latest[way.tensor][word] == root
            reached |= kept
            kept &= differs(values, mapped.golden[way.tensor][word])
            found[way.tensor] = [(np.flatnonzero(kept), word[kept], values[kept])]
    spread.run()
    store = np.full(len(numbers), way.store.number)
    return mapped.ended(spread, found, reached, store, np.zeros_like(store))


def indexed(mapped: Mapped, tensor: str) -> set[str]:
    """Ranks by which any Einsum indexes a tensor."""
    accesses = [access for each in mapped.cascade.work for access in (*each.reads, each.output) if access.tensor == tensor]
    return {name for access in accesses for name in own_names(access)}


def _fills(mapped: Mapped) -> Iterator[Way]:
    stays = mapped.stays
    for store in mapped.stores:
        mine = np.flatnonzero((stays.store == store.number) & (stays.written == 0))
        if store.parent is None or not mine.size:
            continue
        ranks, copies = indexed(mapped, store.tensor), np.array(store.copies, dtype=np.int64).reshape(len(store.copies), -1)
        apart = [
            at for at, (axis, rank, _) in enumerate(store.keys) if rank in ranks or not mapped.architecture.axes[axis][1].multicast
        ]
        columns = np.stack([stays.row[stays.parent[mine]], stays.word[mine], stays.start[mine], *copies[stays.row[mine]][:, apart].T])
        bits = width(mapped.cascade.tensors[store.tensor].final)
        yield Way(FILL, store.parent.memory, store.memory, store.tensor, bits, store, _groups(columns, mine))


def _reads(mapped: Mapped, each: Points) -> Iterator[Way]:
    branch = mapped.branches[each.number]
    for place, access in enumerate(each.reads):
        level, store = mapped.chain[each.number, access.tensor][-1]
        mine = np.flatnonzero(each.stay[place] >= 0)
        if not mine.size:
            continue
        below = [node for _, node in branch.nodes[level:] if isinstance(node, Spatial)]
        own = {node.rank for node in below if not mapped.architecture.axes[node.axis][1].multicast} | indexed(mapped, access.tensor)
        columns = np.stack([each.stay[place][mine], each.step[mine], *(each.at[rank][mine] for rank in each.einsum.ranks if rank in own)])
        bits = width(mapped.cascade.tensors[access.tensor].final)
        yield Way(READ, store.memory, branch.leaf.unit, access.tensor, bits, store, _groups(columns, mine), each, place)


def _results(mapped: Mapped, each: Points) -> Iterator[Way]:
    """Of every word that is made, its way into each keep that it goes to at once."""
    name, stays = each.einsum.output.tensor, mapped.stays
    chain = [store for _, store in mapped.chain[each.number, name]]
    bits = width(mapped.cascade.tensors[name].final)
    mine = np.array([store.tensor == name for store in mapped.stores])
    made = np.flatnonzero((stays.written == 1) & mine[stays.store] & np.isin(stays.root, each.numbers))
    source = mapped.branches[each.number].leaf.unit
    for place in range(len(chain) - 1, -1, -1):
        further = [store.number for store in chain[: place + 1]]
        if not np.any(stays.store[made] == chain[place].number):
            continue
        there = made[np.isin(stays.store[made], further)]
        yield Way(RESULT, source, chain[place].memory, name, bits, chain[place], _groups(stays.root[there][None], there), each)
        source = chain[place].memory


def _groups(columns: IntArray, members: IntArray) -> Groups:
    """Members that are alike in all columns."""
    _, which = np.unique(columns, axis=1, return_inverse=True)
    found = grouped(which.reshape(-1), int(which.max()) + 1)
    return Groups(members[found.order], found.starts)
