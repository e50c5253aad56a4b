"""Words and bits that an Einsum is expected to move, from the figures of its outline. Source: docs/sparse.md, "Statistics"."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import InputError
from accelsim.model.counts import DRAINS, FILLS, READS, UPDATES
from accelsim.model.evaluation import Evaluator
from accelsim.model.narrow import refuse_narrow_operand
from accelsim.model.outline import Dense, Figures, Fitting, Outline, Result, Stored
from accelsim.model.stored_traffic import FILLED, READ, UPDATED
from accelsim.sparse.storage import apart

if TYPE_CHECKING:
    from accelsim.sparse.nest import Nest, Operand

_ROUNDING = 1e-9  # of expected places


@dataclass(frozen=True, slots=True)
class Fit:
    """How tiles of a tensor fit a memory: how many are expected to come, bits of one of them on average, the chance that one that comes
    does not fit, and visits expected to bring such a one (None: not known).
    """

    tensor: str
    memory: str
    visits: float
    mean_bits: float
    chance: float | None
    beyond: float | None


class ExpectedTraffic:
    """Words and bits of one Einsum's crossings as those of `stored_traffic.Traffic`, float64 until they are asked for.

    `words`, `final`, `bits`: by place among the outline's memories.
    """

    def __init__(self, evaluator: Evaluator, nest: Callable[[], Nest], found: Outline, figures: Figures) -> None:
        self.nest, self.outline, self.figures, self.clock = nest, found, figures, evaluator.clock
        many, totals, weighed = len(found.memories), figures.totals, figures.weighed
        self.words = [[0.0, 0.0, 0.0, 0.0] for _ in range(many)]
        self.final = [[0.0, 0.0, 0.0, 0.0] for _ in range(many)]
        self.bits = [[0.0, 0.0, 0.0] for _ in range(many)]
        self.whole: dict[str, tuple[float, float]] = {}
        self.fits: list[Fit] = []
        self._read: dict[str, list[tuple[float, int]]] = defaultdict(list)
        self._written: dict[str, list[tuple[float, int]]] = defaultdict(list)
        for operand, places, reached in found.places:
            self._check_places(operand, totals[places], totals[reached])
        for each in found.whole:
            if each.stated and any(apart(int(figures.counts[turns])) > each.stated for turns in each.apart):
                refuse_narrow_operand(evaluator.cascade, nest(), each.operand)
            self.whole[each.operand.tensor] = weighed[each.bits], totals[each.needed] * each.value
        for row in found.rows:
            if isinstance(row, Stored):
                self._stored(row)
            elif isinstance(row, Dense):
                self._dense(row)
            else:
                self._result(row)

    def ports(self) -> dict[str, tuple[int, int]]:
        """Ticks of the ports of every memory's copy that is expected to move most."""
        made = {}
        for memory in dict.fromkeys((*self._read, *self._written)):
            port = self.clock.ports.get(memory)
            if port is not None:
                made[memory] = port.ticks(upward(self._most(self._read.get(memory, []))), upward(self._most(self._written.get(memory, []))))
        return made

    def _most(self, parts: list[tuple[float, int]]) -> float:
        """Of bits and the words that share each out by copy, what is expected of the copy with most."""
        totals, copies, differ = self.figures.totals, self.figures.copies, self.figures.differ
        if not differ or not any(words in differ for _, words in parts):
            return sum([bits / copies[words] if totals[words] else bits for bits, words in parts])
        total = np.zeros(max(int(copies[words]) for _, words in parts))
        for bits, words in parts:
            mine = self.figures.by_copy(words)
            total[: mine.size if totals[words] else 1] += bits * (mine / totals[words]) if totals[words] else bits
        return float(total.max())

    def _move(self, place: int, column: int, words: float, final: float = 0) -> None:
        self.words[place][column] += words
        self.final[place][column] += final

    def _carry(self, place: int, column: int, bits: float, words: int) -> None:
        self.bits[place][column] += bits
        (self._read if column == READ else self._written)[self.outline.memories[place][2]].append((bits, words))

    def _check_places(self, operand: Operand, places: float, reached: float) -> None:
        """Refuse places without a pointer that may hold nothing, whose masks are not expected."""
        if places - reached > _ROUNDING * places:
            lacking = f"{operand.tensor} has masks and no pointers, and places that may be empty"
            what = f"{self.outline.einsum}: {lacking}, which has no closed form"
            raise InputError(what, "state a pointer", self.nest().einsum.place)

    # Operands

    def _dense(self, row: Dense) -> None:
        """Words of an operand that has all its elements."""
        if row.whole is not None:
            self.whole[row.tensor] = row.whole
        totals = self.figures.totals
        grouped, entering = totals[row.grouped], totals[row.entering]
        self._move(row.parent, READS, grouped)
        self._carry(row.parent, READ, grouped * row.width, row.grouped)
        if row.child < 0:
            return
        self._move(row.child, FILLS, entering)
        self._carry(row.child, FILLED, entering * row.width, row.entering)
        if row.size_bits is None or row.visits is None:
            return
        bits = -(-int(self.figures.tiles[row.tile]) * row.width // self.clock.pieces)
        visits = totals[row.visits]
        mean = entering * row.width / self.clock.pieces / visits if visits else 0.0
        beyond = bits > row.size_bits
        self.fits.append(Fit(row.tensor, row.memory, visits, mean, float(beyond), visits if beyond else 0.0))

    def _stored(self, row: Stored) -> None:
        """Words of an operand of which some elements are stored, with the coordinates and pointers that go with them."""
        totals, weighed, pieces = self.figures.totals, self.figures.weighed, self.clock.pieces
        if row.child >= 0:
            filled = weighed[row.filled]
            self._move(row.child, FILLS, totals[row.entering])
            self._carry(row.child, FILLED, filled * pieces, row.entering)
            if row.fitting is not None:
                self.fits.append(self._fit(row.fitting, row, filled))
        self._move(row.parent, READS, totals[row.grouped])
        self._carry(row.parent, READ, weighed[row.read] * pieces, row.grouped)

    def _fit(self, fitting: Fitting, row: Stored, filled: float) -> Fit:
        """How tiles fit."""
        visits = self.figures.totals[fitting.visits]
        mean = filled / visits if visits else 0.0
        if fitting.tile_bits is not None:
            beyond = row.size_bits is not None and fitting.tile_bits > row.size_bits
            return Fit(row.tensor, row.memory, visits, mean, float(beyond), visits * beyond)
        if fitting.late is None:
            return Fit(row.tensor, row.memory, visits, mean, None, None)
        late = min(max(0.0, self.figures.totals[fitting.late]), visits)
        return Fit(row.tensor, row.memory, visits, mean, late / visits if visits else 0.0, late)

    # The result

    def _result(self, row: Result) -> None:
        """Words of the result, and those that come back."""
        totals, copies, pieces = self.figures.totals, self.figures.copies, self.clock.pieces
        moved, drained, new = totals[row.grouped], totals[row.entering], totals[row.different]
        back = max(0.0, moved - new)
        if row.home is not None:
            stored, values = row.home
            self.whole.setdefault(row.tensor, (new * stored + row.once, new * values))
        narrower, word = row.partial - row.final, row.partial + row.extra * pieces
        self._move(row.parent, UPDATES, moved, new)
        self._move(row.parent, READS, back)
        updated = moved * row.partial - new * narrower
        self._carry(row.parent, UPDATED, updated + (moved * row.extra + row.once) * pieces, row.grouped)
        again = row.again if copies[row.grouped] == copies[row.different] else row.grouped
        self._carry(row.parent, READ, back * word, again)
        if row.child < 0:
            return
        alone = abs(drained - moved) <= _ROUNDING * (10 + moved)  # a word that several copies send is a part
        complete = min(new, drained) if alone else 0.0
        self._move(row.child, FILLS, back)
        self._move(row.child, DRAINS, drained, complete)
        self._carry(row.child, FILLED, back * word, row.entering)
        self._carry(row.child, READ, drained * word - complete * narrower, row.entering)
        if row.size_bits is not None:
            none = 0.0 if int(self.figures.tiles[row.tile]) * row.tile_bits <= row.size_bits else None
            self.fits.append(Fit(row.tensor, row.memory, 0.0, 0.0, none, none))


def upward(amount: float) -> int:
    """The next whole number, but for what arithmetic leaves behind."""
    return ceil(amount - 1e-9 * max(1.0, amount))
