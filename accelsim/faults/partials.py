"""Where incomplete sums of a mapped cascade lie, from one turn to the next: in the innermost keep whose tile has the word, else at home."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from accelsim.faults.flows import Places, Points
from accelsim.faults.lineage import Lineage
from accelsim.faults.stores import IntArray, Store

Slots = Dict[tuple[int, int, int], list[tuple[int, int]]]
"""When tiles of results had a word, by store, row and word."""


@dataclass(frozen=True)
class Partials:
    """Incomplete sums, arrays by number: store, row and word, the first step and the one after the last, of which Einsum (`number`) it is
    which word made, and before which of its turns.
    """

    store: IntArray
    row: IntArray
    word: IntArray
    start: IntArray
    stop: IntArray
    number: IntArray
    made: IntArray
    turn: IntArray

    @cached_property
    def places(self) -> Places:
        """Where they lie when."""
        return Places.of(self.store, self.row, self.word, self.start, self.stop)


def slots_of(lineage: Lineage) -> Slots:
    """Of a walk."""
    found: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
    for store, row, words, since, until in lineage.stays.slots:
        for word, start in zip(words.tolist(), since.tolist(), strict=True):
            found.setdefault((store, row, word), []).append((start, until))
    return found


def partials_of(points: list[Points], chains: Dict[tuple[int, str], list[tuple[int, Store]]], slots: Slots) -> Partials:
    """All incomplete sums that lie in one place at a time."""
    rows: list[tuple[int, ...]] = []
    for each in points:
        if not each.einsum.reduced or not each.movable:
            continue
        chain = [store for _, store in chains[each.number, each.einsum.output.tensor]]
        for made in range(len(each.numbers)):
            word, turns = int(each.word[made]), each.steps[made, : each.turns[made]]
            lasting = sorted({step + 1 for step in turns.tolist()})
            if len(lasting) < 2:
                continue
            spans = [
                (store.number, int(row[made]), slots.get((store.number, int(row[made]), word), ()))
                for store, row in zip(chain[1:], each.rows[1:], strict=True)
            ]
            edges = {*lasting} | {edge for _, _, had in spans for pair in had for edge in pair if lasting[0] < edge < lasting[-1]}
            for start, stop in pairwise(sorted(edges)):
                holder = chain[0].number, int(each.rows[0][made])
                for number, row, had in spans:
                    if any(since <= start < until for since, until in had):
                        holder = number, row
                rows.append((*holder, word, start, stop, each.number, made, int(np.searchsorted(turns, start))))
    table = np.array(rows, dtype=np.int64).reshape(-1, 8)
    return Partials(*(table[:, column] for column in range(8)))
