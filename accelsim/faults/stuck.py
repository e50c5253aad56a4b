"""What bits of a cell of a memory that are stuck change, in closed form: every word that ever lies there, and what is filled from it.

A *cell* holds one word at a time: a word lies where its coordinates modulo the `spans` of its keep say, as in a circular buffer along each
dimension, so that it stays where it is while tiles slide, and no two words of a tile share a cell. A stuck bit is the same whenever it is
read, so that time does not matter for complete words. A sum that is not complete is struck at each turn before which it lies in the cell.
Source: docs/faults-mapped.md; the twin is `reference_mapped`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from accelsim.errors import InputError
from accelsim.faults.cones import Changes, Mapped
from accelsim.faults.sites import Stuck
from accelsim.faults.spread import Spread
from accelsim.faults.stores import IntArray, Store
from accelsim.faults.wordbits import differs, forced, run_of


def cells_of(store: Store, shape: tuple[int, ...]) -> tuple[int, IntArray]:
    """How many cells each copy of a store has, and the cell of every word: int64[words]."""
    at = np.unravel_index(np.arange(store.words), shape or (1,))
    inside = tuple(each % span for each, span in zip(at, store.spans, strict=True))
    return int(np.prod(store.spans)), np.asarray(np.ravel_multi_index(inside, store.spans), np.int64)


def stick(mapped: Mapped, fault: Stuck) -> Changes:
    """What stuck bits change. Refuses places that the mapping does not have."""
    number, row = mapped.place(fault.tensor, fault.keep, fault.copy)
    tensor = mapped.cascade.tensors[fault.tensor]
    many, cells = cells_of(mapped.stores[number], tensor.shape)
    if not 0 <= fault.cell < many:
        raise InputError(f"a copy of a keep of {fault.tensor} has no cell {fault.cell}", f"take one of 0 to {many - 1}")
    number_type = tensor.partial if fault.partial else tensor.final
    mask = int(run_of(fault.bit, fault.bits, number_type))
    spread = _Forced(mapped, lambda values: forced(values, number_type, mask, fault.one))
    found: dict[str, list[tuple[IntArray, IntArray, Any]]] = {}
    if fault.partial:
        read = _strike_sums(mapped, spread, number, row, cells == fault.cell)
        spread.run()
    else:
        stays = mapped.stays
        own = np.flatnonzero((stays.store == number) & (stays.row == row))
        own = own[cells[stays.word[own]] == fault.cell]
        read = _strike_words(mapped, spread, fault.tensor, own)
        spread.run()
        if tensor.is_output and not mapped.stores[number].address:
            words = np.unique(stays.word[own[mapped.latest[fault.tensor][stays.word[own]] == stays.root[own]]])
            read = read or bool(words.size)
            _strike_home(mapped, spread, fault.tensor, words, found)
    return mapped.ended(spread, found, np.array([read]), np.array([number]), np.array([int(fault.partial)]))


class _Forced(Spread):
    """One fault on its way that changes whatever is read from some stays, or some sums before some of their turns."""

    def __init__(self, mapped: Mapped, change: Callable[[Any], Any]) -> None:
        super().__init__(mapped.tables, mapped.readers, 1)
        self.change = change
        self.reads: dict[tuple[int, int], IntArray] = {}  # by Einsum and read: slots that are struck, rising
        self.sums: dict[int, dict[int, set[int]]] = {}  # by Einsum and word: before which turns sums are

    def _work_out(self, table: int, rows: list[tuple[int, IntArray, Any]]) -> None:
        """As of upsets, but what is read from struck stays is what others make of it, and struck sums are made turn by turn."""
        terms = self.tables[table]
        slots = np.unique(np.concatenate([where for _, where, _ in rows]))
        self.ended[0] = table
        given = [values[slots] for values in terms.given]
        for place, where, values in rows:
            given[place] = given[place].astype(np.result_type(given[place], values))
            given[place][np.searchsorted(slots, where)] = values
        for place in range(len(given)):
            struck = np.isin(slots, self.reads.get((table, place), ()))
            if struck.any():
                given[place] = np.where(struck, self.change(given[place]), given[place])
        found = terms.computed(slots, given)
        moved = np.flatnonzero(differs(found, terms.terms[slots]))
        sums = self.sums.get(table)
        if sums:
            words = np.unique(terms.word[slots])
            self.note(table, np.zeros_like(words), words, terms.forced(words, slots[moved], found[moved], sums, self.change))
        elif moved.size:
            self.note(table, *terms.changed(np.zeros_like(moved), slots[moved], found[moved]))


def filled_from(mapped: Mapped, own: IntArray) -> tuple[IntArray, IntArray]:
    """Some stays and all that hold what was in them, and of which of them each does: not those that a unit wrote at the same time."""
    stays, of = mapped.stays, np.arange(len(own))
    found, owners, fresh = [own], [of], own
    while fresh.size:
        fresh, inner = stays.inside.of(fresh)
        kept = stays.written[fresh] == 0
        fresh, of = fresh[kept], of[inner[kept]]
        found.append(fresh)
        owners.append(of)
    return np.concatenate(found), np.concatenate(owners)


def _strike_words(mapped: Mapped, spread: _Forced, name: str, own: IntArray) -> bool:
    """Asks for what reads some stays, or what is filled from them; whether anything does."""
    hit, read = np.unique(filled_from(mapped, own)[0]), False
    for table, place in mapped.readers[name]:
        terms = mapped.tables[table]
        slots = np.unique(terms.readers[place].of(hit)[0])
        if slots.size:
            read = True
            spread.reads[table, place] = slots
            values = terms.given[place][slots]
            moved = np.flatnonzero(differs(spread.change(values), values))
            spread.ask(table, place, np.zeros_like(moved), slots[moved], values[moved])
    return read


def _strike_home(
    mapped: Mapped, spread: _Forced, name: str, words: IntArray, found: dict[str, list[tuple[IntArray, IntArray, Any]]]
) -> None:
    """Words of an output as their home gives them, in place of those that were made."""
    after, golden = mapped.golden[name].copy(), mapped.golden[name]
    for _, numbers, values in spread.changed.pop(name, []):
        last = mapped.latest[name][mapped.word[name][numbers]] == numbers
        after[mapped.word[name][numbers[last]]] = values[last]
    after[words] = spread.change(after[words])
    places = np.flatnonzero(differs(after, golden))
    found[name] = [(np.zeros_like(places), places, after[places])]


def _strike_sums(mapped: Mapped, spread: _Forced, number: int, row: int, there: IntArray) -> bool:
    """Notes before which turns sums lie in a cell, and asks for their words; whether any does."""
    sums = mapped.partials
    mine = np.flatnonzero((sums.store == number) & (sums.row == row))
    mine = mine[there[sums.word[mine]]]
    for table, each in enumerate(mapped.points):
        some = mine[sums.number[mine] == each.number]
        if some.size:
            turns = spread.sums.setdefault(table, {})
            for made, turn in zip(sums.made[some].tolist(), sums.turn[some].tolist(), strict=True):
                turns.setdefault(made, set()).add(turn)
            terms = mapped.tables[table]
            first = np.searchsorted(terms.word, np.array(sorted(turns), dtype=np.int64))
            spread.ask(table, 0, np.zeros_like(first), first, terms.given[0][first])
    return bool(mine.size)
