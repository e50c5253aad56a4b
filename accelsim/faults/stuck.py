"""What bits of a cell of a memory that are stuck change, in closed form: every word that ever lies there, and what is filled from it.

A *cell* holds one word at a time: a word lies where its coordinates modulo the `spans` of its keep say, as in a circular buffer along each
dimension, so that it stays where it is while tiles slide, and no two words of a tile share a cell. A stuck bit is the same whenever it is
read, so that time does not matter for complete words. A sum that is not complete is struck at each turn before which it lies in the cell.
Source: docs/faults-mapped.md; the twin is `reference_mapped`.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from accelsim.errors import InputError
from accelsim.faults.cones import UNREAD, Effect, Mapped, Spread
from accelsim.faults.flows import Points, of_any
from accelsim.faults.sites import Stuck
from accelsim.faults.stores import IntArray, Store
from accelsim.faults.wordbits import differs, forced, run_of


def cells_of(store: Store, shape: tuple[int, ...]) -> tuple[int, IntArray]:
    """How many cells each copy of a store has, and the cell of every word: int64[words]."""
    at = np.unravel_index(np.arange(store.words), shape or (1,))
    inside = tuple(each % span for each, span in zip(at, store.spans, strict=True))
    return int(np.prod(store.spans)), np.asarray(np.ravel_multi_index(inside, store.spans), np.int64)


def stick(mapped: Mapped, fault: Stuck) -> Effect:
    """What stuck bits change. Refuses places that the mapping does not have."""
    tensor = mapped.cascade.tensors.get(fault.tensor)
    number, row = mapped.place(fault.tensor, fault.keep, fault.copy)
    assert tensor is not None
    many, cells = cells_of(mapped.stores[number], tensor.shape)
    if not 0 <= fault.cell < many:
        raise InputError(f"a copy of a keep of {fault.tensor} has no cell {fault.cell}", f"take one of 0 to {many - 1}")
    number_type = tensor.partial if fault.partial else tensor.final
    mask = run_of(fault.bit, fault.bits, number_type)
    spread = Spread(change=lambda values: forced(values, number_type, mask, fault.one), ended=fault.tensor)
    if fault.partial:
        for each in mapped.points:
            if each.einsum.output.tensor == fault.tensor and each.movable and each.einsum.reduced:
                _strike_sums(mapped, spread, each, number, row, cells == fault.cell)
        if not spread.pending:
            return Effect({}, UNREAD)
        mapped.run(spread)
        return mapped.effect(mapped.changes(spread), spread)
    stays = mapped.stays
    own = np.flatnonzero((stays.store == number) & (stays.row == row))
    return strike(mapped, spread, fault.tensor, own[cells[stays.word[own]] == fault.cell])


def strike(mapped: Mapped, spread: Spread, name: str, own: IntArray) -> Effect:
    """What it changes that complete words are others in some stays, and in all that are filled from these."""
    stays = mapped.stays
    fresh, found = own, [own]
    while fresh.size:
        fresh = stays.inside.of(fresh)
        fresh = fresh[stays.written[fresh] == 0]
        found.append(fresh)
    hit, read = np.unique(np.concatenate(found)), False
    for each, place in mapped.readers[name]:
        points = of_any(each.readers[place], hit)
        if points.size:
            read = True
            spread.struck[each.number, place] = np.unique(points)
            values = mapped.values[name][each.value[place][points]]
            moved = points[differs(spread.change(values), values)]
            if moved.size:
                mapped.ask(spread, each, each.made[moved])
    at_home = own[:0]
    if mapped.cascade.tensors[name].is_output:
        home = np.array([not store.address for store in mapped.stores])
        at_home = own[home[stays.store[own]] & (mapped.latest[name][stays.word[own]] == stays.root[own])]
    if not read and not at_home.size:
        return Effect({}, UNREAD)
    mapped.run(spread)
    changed = mapped.changes(spread)
    if at_home.size:
        words = np.unique(stays.word[at_home])
        after = mapped.golden[name].copy()
        if name in changed:
            after[changed[name][0]] = changed[name][1]
        after[words] = spread.change(after[words])
        places = np.flatnonzero(differs(after, mapped.golden[name]))
        changed[name] = (places, after[places])
        if not places.size:
            del changed[name]
    return mapped.effect(changed, spread)


def _strike_sums(mapped: Mapped, spread: Spread, each: Points, number: int, row: int, there: IntArray) -> None:
    """Notes after which turns sums lie in a cell, and asks for their words."""
    chain = [store for _, store in mapped.chain[each.number, each.einsum.output.tensor]]
    if number not in {store.number for store in chain}:
        return
    mine = np.flatnonzero(there[each.word] & (each.rows[mapped.level(each, number)] == row))
    for made in mine.tolist():
        word, steps = int(each.word[made]), each.steps[made, : each.turns[made]].tolist()
        edges = {
            edge
            for store, rows in zip(chain[1:], each.rows[1:], strict=True)
            for pair in mapped.slots.get((store.number, int(rows[made]), word), ())
            for edge in pair
        }
        for turn, (before, after) in enumerate(pairwise(steps), start=1):
            moments = {before + 1, *(edge for edge in edges if before < edge <= after)}
            if any(mapped.holder(each, made, moment) == number for moment in moments):
                spread.sums.setdefault(each.number, {}).setdefault(made, set()).add(turn)
    struck = spread.sums.get(each.number)
    if struck:
        mapped.ask(spread, each, np.array(sorted(struck), dtype=np.int64))
