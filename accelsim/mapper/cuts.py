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
_MOST_CUTS = 128
_MOST_PASSAGES = 1024
_MOST_ORDERS = 8  # of the same Einsums, in cascades of more than a few

Passage = tuple[int, tuple[str, ...]]
"""The cut that a part leads to, and the part's Einsums in order."""


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
        self._users = [  # of each tensor that is neither given nor asked for
            sum(1 << at for at in {*tensors.makers.get(tensor, ()), *tensors.readers.get(tensor, ())})
            for tensor, noun in tensors.cascade.tensors.items()
            if not noun.is_input and not noun.is_output
        ]
        self.last = (1 << len(self._order)) - 1
        self.passages: dict[int, list[Passage]] = {}
        self._linked = self._links()
        self._needs = self._needed(sequences)
        self._fill(_in_order(self._needs))
        self.in_order = self.passages
        self._is_loose = False
        if free:
            self.loosen()

    def loosen(self) -> bool:
        """Adds what every other order makes, unless more than six Einsums make more than 128 cuts or 1024 passages; whether any came."""
        if self._is_loose:
            return False
        self._is_loose = True
        if not self._fill(self._needs):
            return False
        for cut, passages in self.in_order.items():
            self.passages[cut] = list(dict.fromkeys((*passages, *self.passages[cut])))
        return self.passages != self.in_order

    def _links(self) -> list[int]:
        """For each Einsum, those (bits) that make what it reads or read what it makes."""
        linked = [0] * len(self._order)
        for tensor, makers in self._tensors.makers.items():
            for maker in makers:
                for reader in self._tensors.readers.get(tensor, []):
                    linked[maker] |= 1 << reader
                    linked[reader] |= 1 << maker
        return linked

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

    def _fill(self, needs: list[int]) -> bool:
        """Finds all cuts and passages, if they are not too many where there is more than one order; whether they are not."""
        single = all(len(_next(done, needs)) == 1 for done in _prefixes(needs))
        every = single or len(needs) <= FEW
        found, newest = [0], {0}
        while newest:
            newest = {done | 1 << at for done in newest for at in _next(done, needs)}
            found.extend(sorted(newest))
            if len(found) > _MOST_CUTS and not every:
                return False
        passages, known, total = dict[int, list[Passage]](), dict[int, list[tuple[str, ...]]](), 0
        for at, cut in enumerate(found):
            passages[cut] = []
            for done in found[at + 1 : at + 1 + LONGEST] if single else found[at + 1 :]:
                part = done & ~cut
                if cut & ~done or part.bit_count() > LONGEST:
                    continue
                if part not in known:
                    known[part] = self._orders(part, needs) if every or self._is_linked(part) else []
                passages[cut] += [(done, names) for names in known[part]]
                total += len(known[part])
            if total > _MOST_PASSAGES and not every:
                return False
        self.passages = passages if self.last in passages else passages | {self.last: []}  # where no order is left
        return True

    def _orders(self, part: int, needs: list[int]) -> list[tuple[str, ...]]:
        """Orders of a part that no other one beats, up to eight; in cascades of a few Einsums all, unless the part has two."""
        inside = [need & part for need in needs]
        newest: dict[int, list[tuple[int, ...]]] = {0: [()]}
        every, count = len(needs) <= FEW, part.bit_count()
        for _ in range(count):
            further: dict[int, list[tuple[int, ...]]] = {}
            for done, orders in newest.items():
                for at in _next(done | ~part, inside):
                    further.setdefault(done | 1 << at, []).extend((*order, at) for order in orders)
            newest = further if every else {done: self._best(orders, part)[:_MOST_ORDERS] for done, orders in further.items()}
        found = newest[part] if every and count > 2 else self._best(newest[part], part)  # parts of two have no variants
        return [tuple(self._order[at] for at in order) for order in found]

    def _is_linked(self, part: int) -> bool:
        """Whether each Einsum of a part is linked to all others by tensors that one makes and the other reads."""
        left, reached = part, part & -part
        while reached:
            left &= ~reached
            reached = left & sum({1 << at for at in range(part.bit_length()) if left >> at & 1 and self._linked[at] & part & ~left})
        return not left

    def _best(self, orders: list[tuple[int, ...]], part: int) -> list[tuple[int, ...]]:
        """Orders of the same Einsums of a part, its first ones, less those that keep as much as another one alive at all times and bring
        all tensors for the same Einsums.
        """
        if len(orders) == 1:
            return orders
        found: dict[tuple[int, ...], list[tuple[tuple[int, ...], list[int]]]] = {}
        for order in sorted(orders):
            alive, others = self._alive(order, part), found.setdefault(self._bringing(order), [])
            if not any(_covers(alive, other) for _, other in others):
                others[:] = [each for each in others if not _covers(each[1], alive)]
                others.append((order, alive))
        return [order for others in found.values() for order, _ in others]

    def _bringing(self, order: tuple[int, ...]) -> tuple[int, ...]:
        """For every tensor that is touched, the first Einsum that does."""
        first: dict[str, int] = {}
        for at in order:
            for tensor in self._tensors.touched[self._order[at]]:
                first.setdefault(tensor, at)
        return tuple(first[tensor] for tensor in sorted(first))

    def _alive(self, order: tuple[int, ...], part: int) -> list[int]:
        """For each Einsum, by its place in the cascade, the tensors (bits) that are between their first and last use in the part, of which
        these are the first Einsums.
        """
        alive = dict.fromkeys(sorted(order), 0)
        for number, users in enumerate(self._users):
            places = [place for place, at in enumerate(order) if users >> at & 1]
            if places:
                following = users & part & ~sum(1 << at for at in order)
                for at in order[places[0] : len(order) if following else places[-1] + 1]:
                    alive[at] |= 1 << number
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


def _prefixes(needs: list[int]) -> list[int]:
    """What is done before each Einsum of one order, the first that may follow always next."""
    found, done = list[int](), 0
    while following := _next(done, needs):
        found.append(done)
        done |= 1 << following[0]
    return found


def _in_order(needs: list[int]) -> list[int]:
    """What each Einsum needs where they run in one order only: the cascade's, as far as their needs allow."""
    found, done = list(needs), 0
    while following := _next(done, needs):
        found[following[0]] = done
        done |= 1 << following[0]
    return found
