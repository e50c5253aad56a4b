"""The orders in which a cascade's Einsums may run, and where these orders may be cut into parts.

A cut is a set of Einsums that are done, each after those that make what it reads. A passage leads from one cut to a later one, through
the Einsums of one part in their order. Orders that differ only in what lies before a cut meet in it: there are far fewer cuts than orders.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from accelsim.mapper.pieces import Tensors

LONGEST = 12  # Einsums in one part
FEW = 6  # Einsums of a cascade up to which every order inside parts counts, and variants of parts are in the space
_MOST_CUTS = 512
_MOST_PASSAGES = 4096

Passage = tuple[int, tuple[str, ...]]
"""The Einsums of a part, in order, and the cut that they lead to."""


class Cuts:
    """Cuts of a cascade, as sets of bits: at first those of one order, which is the cascade's unless `sequences` rule it out.

    `passages`: for each cut the parts that may follow it; cuts stand after those that lead to them, the empty one (0) first and the full
    one, `last`, at the end. `in_order`: those of the one order. `sequences`: Einsums that have to run in the order given; nothing leads to
    the full cut where these contradict each other or the cascade.
    """

    def __init__(self, tensors: Tensors, sequences: Sequence[tuple[str, ...]] = (), free: bool = False) -> None:
        """free: see `loosen`."""
        self._order, self._tensors = tensors.order, tensors
        self._bit = {name: 1 << at for at, name in enumerate(self._order)}
        self._inside = [tensor for tensor, noun in tensors.cascade.tensors.items() if not noun.is_input and not noun.is_output]
        self.last = (1 << len(self._order)) - 1
        self.passages: dict[int, list[Passage]] = {}
        self._needs = self._needed(sequences)
        self._fill(_in_order(self._needs), len(self._order) + 1, LONGEST * len(self._order))
        self.in_order = self.passages
        self._is_loose = False
        if free:
            self.loosen()

    def loosen(self) -> bool:
        """Adds what every other order makes, unless that is more than 512 cuts or 4096 passages; whether anything came."""
        if self._is_loose:
            return False
        self._is_loose = True
        if not self._fill(self._needs, _MOST_CUTS, _MOST_PASSAGES):
            return False
        for cut, passages in self.in_order.items():
            if cut in self.passages:
                self.passages[cut] = list(dict.fromkeys((*passages, *self.passages[cut])))
        return self.passages != self.in_order

    def _needed(self, sequences: Sequence[tuple[str, ...]]) -> list[int]:
        """For each Einsum, those that must be done before it (bits). What touches a tensor of several makers keeps its order."""
        needs, tensors = [0] * len(self._order), self._tensors
        for tensor, makers in tensors.makers.items():
            readers = tensors.readers.get(tensor, [])
            if len(makers) > 1 or tensors.cascade.tensors[tensor].iterative is not None:
                for before, after in pairwise(sorted({*makers, *readers})):
                    needs[after] |= 1 << before
            else:
                for reader in readers:
                    needs[reader] |= 1 << makers[0]
        for names in sequences:
            for first, second in pairwise(names):
                needs[self._order.index(second)] |= self._bit[first]
        return needs

    def _fill(self, needs: list[int], most_cuts: int, most: int) -> bool:
        """Finds all cuts and passages; whether they are no more than that."""
        found, newest = [0], {0}
        while newest and len(found) <= most_cuts:
            newest = {done | 1 << at for done in newest for at in _next(done, needs)}
            found.extend(sorted(newest))
        if len(found) > most_cuts:
            return False
        passages, total = dict[int, list[Passage]](), 0
        for cut in found:
            passages[cut] = self._passages(cut, needs)
            total += len(passages[cut])
            if total > most:
                return False
        self.passages = passages if self.last in passages else passages | {self.last: []}  # where no order is left
        return True

    def _passages(self, cut: int, needs: list[int]) -> list[Passage]:
        """The parts that may follow a cut. In cascades of more than a few Einsums, of the orders of a part only those are kept whose
        Einsums do not all run with at least the tensors alive that are alive in another one.
        """
        found: list[Passage] = []
        newest: dict[int, list[tuple[int, ...]]] = {cut: [()]}
        every = len(needs) <= FEW
        for count in range(1, LONGEST + 1):
            further: dict[int, list[tuple[int, ...]]] = {}
            for done, orders in newest.items():
                for at in _next(done, needs):
                    further.setdefault(done | 1 << at, []).extend((*order, at) for order in orders)
            newest = further if every else {done: self._best(orders) for done, orders in further.items()}
            for done, orders in newest.items():
                for order in orders if every and count > 2 else self._best(orders, whole=True):  # parts of two have no variants
                    found.append((done, tuple(self._order[at] for at in order)))
        return found

    def _best(self, orders: list[tuple[int, ...]], whole: bool = False) -> list[tuple[int, ...]]:
        """Orders of the same Einsums, less those that keep as much as another one alive at all times, and bring all tensors that it brings
        for the same Einsums. `whole`: no Einsum follows.
        """
        if len(orders) == 1:
            return orders
        found: dict[tuple[int, ...], list[tuple[tuple[int, ...], list[int]]]] = {}
        for order in sorted(orders):
            alive, others = self._alive(order, whole), found.setdefault(self._bringing(order), [])
            if not any(_covers(alive, other) for _, other in others):
                others[:] = [each for each in others if not _covers(each[1], alive)]
                others.append((order, alive))
        return [order for others in found.values() for order, _ in others]

    def _bringing(self, order: tuple[int, ...]) -> tuple[int, ...]:
        """For every tensor that an Einsum reads, the first Einsum that does."""
        first: dict[str, int] = {}
        for at in order:
            for tensor in self._tensors.touched[self._order[at]]:
                first.setdefault(tensor, at)
        return tuple(first[tensor] for tensor in sorted(first))

    def _alive(self, order: tuple[int, ...], whole: bool) -> list[int]:
        """For each Einsum, by its place in the cascade, the tensors (bits) that are between their first and last use. If more Einsums may
        follow, those that are used elsewhere count once more as if they were used then.
        """
        alive = dict.fromkeys(sorted(order), 0)
        inside = set(order)
        for number, tensor in enumerate(self._inside):
            users = {*self._tensors.makers.get(tensor, ()), *self._tensors.readers.get(tensor, ())}
            if not users & inside:
                continue
            places = [place for place, at in enumerate(order) if at in users]
            ends = (places[-1], places[-1] if whole or users <= inside else len(order) - 1)
            for which, end in enumerate(ends):
                for at in order[places[0] : end + 1]:
                    alive[at] |= 1 << 2 * number + which
        return list(alive.values())

    def after(self, cut: int, names: Sequence[str]) -> int:
        """The cut that some Einsums lead to that follow a cut."""
        return cut | sum(self._bit[name] for name in names)


def are_done(cut: int, places: Sequence[int]) -> bool:
    """Whether Einsums, by their places in the cascade, are done at a cut."""
    return all(cut >> at & 1 for at in places)


def _covers(alive: list[int], other: list[int]) -> bool:
    return all(mine & theirs == theirs for mine, theirs in zip(alive, other, strict=True))


def _next(done: int, needs: list[int]) -> list[int]:
    """The Einsums that may follow those that are done."""
    return [at for at, need in enumerate(needs) if not done >> at & 1 and need & done == need]


def _in_order(needs: list[int]) -> list[int]:
    """What each Einsum needs where they run in one order only: the cascade's, as far as their needs allow."""
    found, done = list(needs), 0
    while following := _next(done, needs):
        found[following[0]] = done
        done |= 1 << following[0]
    return found
