"""How changed words of a mapped cascade change others, of many faults side by side: from words to the points that read them, and on.

A read that changes is a row: fault times the slots of the Einsum plus the slot. Rows wait in the order in which one word is made out of the
other, and those of all faults are worked out together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from accelsim.faults.stores import IntArray
from accelsim.faults.terms import Terms
from accelsim.faults.wordbits import differs


class Spread:
    """Faults on their way. `changed`: chunks of fault, number and value of words that differ, by tensor; `ended`: the place of the Einsum
    that was last worked out again, by fault (-1: none).
    """

    def __init__(self, tables: Sequence[Terms], readers: dict[str, list[tuple[int, int]]], count: int) -> None:
        self.tables, self.readers = tables, readers
        self.changed: dict[str, list[tuple[IntArray, IntArray, Any]]] = {}
        self.ended = np.full(count, -1, dtype=np.int64)
        self.pending: dict[int, dict[int, list[tuple[int, IntArray, Any]]]] = {}

    def ask(self, table: int, place: int, fault: IntArray, slots: IntArray, values: Any) -> None:
        """A read of some slots gets other values: their words have to be worked out again."""
        terms = self.tables[table]
        depth, where = terms.depth[slots], fault * terms.size + slots
        low, high = (int(depth.min()), int(depth.max())) if len(depth) else (1, 0)
        for level in range(low, high + 1):
            rows = where, values
            if low < high:
                mine = np.flatnonzero(depth == level)
                rows = where[mine], values[mine]
            if len(rows[0]):
                self.pending.setdefault(level, {}).setdefault(table, []).append((place, *rows))

    def run(self) -> None:
        """Until nothing waits."""
        while self.pending:
            level = min(self.pending)
            for table, rows in self.pending.pop(level).items():
                self._work_out(table, rows)

    def _work_out(self, table: int, rows: list[tuple[int, IntArray, Any]]) -> None:
        """The words of an Einsum for which reads have changed. What came first is a copy that was struck, and counts most."""
        terms = self.tables[table]
        where, places = _merged([each for _, each, _ in rows])
        fault, slots = np.divmod(where, terms.size)
        self.ended[fault] = table
        given: list[Any] = [None] * len(terms.reads)
        for (place, _, values), at in zip(reversed(rows), reversed(places), strict=True):
            if given[place] is None:
                given[place] = terms.given[place][slots]
            if given[place].dtype != values.dtype:
                given[place] = given[place].astype(np.result_type(given[place], values))
            given[place][at] = values
        given = [terms.given[place][slots] if each is None else each for place, each in enumerate(given)]
        found = terms.computed(slots, given)
        moved = np.flatnonzero(differs(found, terms.terms[slots]))
        if moved.size:
            self.note(table, *terms.changed(fault[moved], slots[moved], found[moved]))

    def note(self, table: int, fault: IntArray, made: IntArray, values: Any) -> None:
        """New values of words: those that differ go on to what reads them."""
        terms = self.tables[table]
        moved = np.flatnonzero(differs(values, terms.golden[made]))
        if not moved.size:
            return
        name = terms.output.name
        fault, numbers, values = fault[moved], terms.points.numbers[made[moved]], values[moved]
        self.changed.setdefault(name, []).append((fault, numbers, values))
        for other, place in self.readers[name]:
            users = self.tables[other].users[place]
            slots, of = users.of(numbers)
            self.ask(other, place, fault[of], slots, values[of])


def _merged(chunks: list[IntArray]) -> tuple[IntArray, list[IntArray]]:
    """All numbers of some chunks, rising and each once, and where those of each chunk are among them."""
    every = chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
    order = np.argsort(every, kind="stable")
    ordered = every[order]
    fresh = np.append(True, ordered[1:] != ordered[:-1])
    place = np.empty(len(every), dtype=np.int64)
    place[order] = np.cumsum(fresh) - 1
    return ordered[fresh], np.split(place, np.cumsum([len(chunk) for chunk in chunks])[:-1])
