"""Words and bits that an Einsum is expected to move, from the expectations of its nest. Source: docs/sparse.md, "Statistics"."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import InputError
from accelsim.model.counts import DRAINS, FILLS, READS, UPDATES
from accelsim.model.evaluation import Evaluator
from accelsim.model.narrow import refuse_narrow_operand, refuse_narrow_result
from accelsim.model.outline import Dense, Fitting, Outline, Result, Stored, Weighed
from accelsim.model.stored_traffic import FILLED, READ, UPDATED, value_bits, with_words
from accelsim.sparse.even import Amounts
from accelsim.sparse.sums import Amount

if TYPE_CHECKING:
    from accelsim.sparse.nest import Crossing, Nest, Operand

Key = tuple[str, str]

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
    """Words and bits of one Einsum's crossings as those of `stored_traffic.Traffic`, float64 until they are asked for."""

    def __init__(self, evaluator: Evaluator, nest: Nest, found: Outline, amounts: Amounts) -> None:
        self.nest, self.name, self.amounts = nest, nest.einsum.name, amounts
        self.cascade, self.machine, self.widths, self.clock = evaluator.cascade, evaluator.architecture, evaluator.widths, evaluator.clock
        self.words: dict[Key, list[float]] = {}
        self.final: dict[Key, list[float]] = {}
        self.bits: dict[Key, list[float]] = {}
        self.whole: dict[str, tuple[float, float]] = {}
        self.fits: list[Fit] = []
        self._read: dict[str, list[tuple[float, Amount]]] = defaultdict(list)
        self._written: dict[str, list[tuple[float, Amount]]] = defaultdict(list)
        for operand, places, reached in found.places:
            self._check_places(operand, amounts.total(places), amounts.total(reached))
        for operand, bits, needed in found.whole:
            refuse_narrow_operand(self.cascade, nest, operand)
            self.whole[operand.tensor] = self._weighed(bits), amounts.total(needed) * value_bits(self.cascade.tensors[operand.tensor])
        for row in found.rows:
            if isinstance(row, Stored):
                self._stored(row)
            elif isinstance(row, Dense):
                self._dense(row, bool(found.whole))
            else:
                self._result(row)

    def ports(self) -> dict[str, tuple[int, int]]:
        """Ticks of the ports of every memory's copy that is expected to move most."""
        made = {}
        for memory in dict.fromkeys((*self._read, *self._written)):
            port = self.clock.ports.get(memory)
            if port is not None:
                made[memory] = port.ticks(upward(_most(self._read[memory])), upward(_most(self._written[memory])))
        return made

    def _move(self, tensor: str, memory: str, column: int, words: float, final: float = 0) -> None:
        self.words.setdefault((tensor, memory), [0.0] * 4)[column] += words
        if final:
            self.final.setdefault((tensor, memory), [0.0] * 4)[column] += final

    def _carry(self, tensor: str, memory: str, column: int, bits: float, by_copy: Amount) -> None:
        self.bits.setdefault((tensor, memory), [0.0] * 3)[column] += bits
        (self._read if column == READ else self._written)[memory].append((bits, by_copy))

    def _weighed(self, parts: Weighed) -> float:
        return sum(bits.of(self.nest) * self.amounts.total(each) for bits, each in parts)

    def _check_places(self, operand: Operand, places: float, reached: float) -> None:
        """Refuse places without a pointer that may hold nothing, whose masks are not expected."""
        if places - reached > _ROUNDING * places:
            what = f"{self.name}: {operand.tensor} has masks and no pointers, and places that may be empty, which has no closed form"
            raise InputError(what, "state a pointer", self.nest.einsum.place)

    # Operands

    def _dense(self, row: Dense, some_stored: bool) -> None:
        """Words of an operand that has all its elements."""
        crossing, name = self.nest.crossings[row.number], row.operand.tensor
        tensor, width = self.cascade.tensors[name], self.widths.read[self.name, name]
        if tensor.is_input:
            whole = ceil(prod(tensor.shape) * tensor.final.bits)
            self.whole[name] = whole, 0 if some_stored else whole
        grouped, entering = self.amounts.of(row.grouped), self.amounts.of(row.entering)
        self._move(name, crossing.parent, READS, grouped.total)
        self._carry(name, crossing.parent, READ, grouped.total * width, grouped)
        if not crossing.child:
            return
        self._move(name, crossing.child, FILLS, entering.total)
        self._carry(name, crossing.child, FILLED, entering.total * width, entering)
        size = self.machine.memories[crossing.child].size_bits
        if size is None or row.visits is None:
            return
        left = self.nest.left(crossing.above_child)
        bits = -(-prod(left[rank] for rank in row.operand.ranks) * width // self.clock.pieces)
        visits = self.amounts.total(row.visits)
        mean = entering.total * width / self.clock.pieces / visits if visits else 0.0
        self.fits.append(Fit(name, crossing.child, visits, mean, float(bits > size), visits if bits > size else 0.0))

    def _stored(self, row: Stored) -> None:
        """Words of an operand of which some elements are stored, with the coordinates and pointers that go with them."""
        crossing, name = self.nest.crossings[row.number], row.operand.tensor
        grouped, entering = self.amounts.of(row.grouped), self.amounts.of(row.entering)
        if crossing.child:
            filled = self._weighed(row.filled)
            self._move(name, crossing.child, FILLS, entering.total)
            self._carry(name, crossing.child, FILLED, filled * self.clock.pieces, entering)
            if row.fitting is not None:
                self.fits.append(self._fit(row.fitting, crossing, filled))
        self._move(name, crossing.parent, READS, grouped.total)
        self._carry(name, crossing.parent, READ, self._weighed(row.read) * self.clock.pieces, grouped)

    def _fit(self, fitting: Fitting, crossing: Crossing, filled: float) -> Fit:
        """How tiles fit."""
        size, visits = self.machine.memories[crossing.child].size_bits, self.amounts.total(fitting.visits)
        mean = filled / visits if visits else 0.0
        if fitting.tile_bits is not None:
            beyond = size is not None and fitting.tile_bits > size
            return Fit(crossing.tensor, crossing.child, visits, mean, float(beyond), visits * beyond)
        if fitting.late is None:
            return Fit(crossing.tensor, crossing.child, visits, mean, None, None)
        late = min(max(0.0, self.amounts.total(fitting.late)), visits)
        return Fit(crossing.tensor, crossing.child, visits, mean, late / visits if visits else 0.0, late)

    # The result

    def _result(self, row: Result) -> None:
        """Words of the result, and those that come back."""
        crossing = self.nest.crossings[row.number]
        name, parent, child, pieces = crossing.tensor, crossing.parent, crossing.child, self.clock.pieces
        tensor = self.cascade.tensors[name]
        refuse_narrow_result(self.cascade, self.nest)
        grouped, entering, different = (self.amounts.of(each) for each in (row.grouped, row.entering, row.different))
        moved, drained, new = grouped.total, entering.total, different.total
        back = max(0.0, moved - new)
        outermost = next(each for each in self.nest.crossings if each.tensor == name)
        extra, once = with_words(tensor, crossing is outermost)
        if crossing.above_parent == 0 and tensor.is_output:
            self.whole.setdefault(name, (new * float(tensor.final.bits + extra) + once, new * float(tensor.final.bits)))
        partial, final = self.widths.partial[name], self.widths.final[name]
        self._move(name, parent, UPDATES, moved, new)
        self._move(name, parent, READS, back)
        updated = moved * partial - new * (partial - final)
        self._carry(name, parent, UPDATED, updated + (moved * extra + once) * pieces, grouped)
        again = grouped.plus(-1, different) if grouped.copies == different.copies else grouped
        self._carry(name, parent, READ, back * (partial + extra * pieces), again)
        if not child:
            return
        alone = abs(drained - moved) <= _ROUNDING * (10 + moved)  # a word that several copies send is a part
        complete = min(new, drained) if alone else 0.0
        self._move(name, child, FILLS, back)
        self._move(name, child, DRAINS, drained, complete)
        self._carry(name, child, FILLED, back * (partial + extra * pieces), entering)
        self._carry(name, child, READ, drained * (partial + extra * pieces) - complete * (partial - final), entering)
        size = self.machine.memories[child].size_bits
        if size is not None:
            left = self.nest.left(crossing.above_child)
            most = prod(left[rank] for rank in self.nest.result) * (ceil(tensor.partial.bits) + extra)
            none = 0.0 if most <= size else None
            self.fits.append(Fit(name, child, 0.0, 0.0, none, none))


def upward(amount: float) -> int:
    """The next whole number, but for what arithmetic leaves behind."""
    return ceil(amount - 1e-9 * max(1.0, amount))


def _most(parts: list[tuple[float, Amount]]) -> float:
    """Of amounts and the words by copy that share each out, what is expected of the copy with most."""
    if all(words.differ is None for _, words in parts):
        return sum(bits / words.copies if words.total else bits for bits, words in parts)
    total = np.zeros(max(words.copies for _, words in parts))
    for bits, words in parts:
        total[: words.copies if words.total else 1] += bits * (words.by_copy / words.total) if words.total else bits
    return float(total.max())
