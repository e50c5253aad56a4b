"""Of what sums the counts of a nest are expected to consist: the mean of `kernels.walk` over what densities draw, whatever tiles' sizes.

Operands are independent, each of its own density. A turn is visited where every operand that its loop and the loops outside go
through has something in the tile that these leave; that is a chance for each operand, and a visit has their product.
Source: docs/sparse.md, "Statistics".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from collections.abc import Mapping as Dict
from functools import cached_property
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from accelsim.errors import InputError
from accelsim.sparse import kernels_even as k
from accelsim.sparse.axes import Axes
from accelsim.sparse.boxes import Boxes, UniformBoxes, volume
from accelsim.sparse.factors import alone, matched, mean, nothing, volumes
from accelsim.sparse.meeting import SKIP_AHEAD, TWO_FINGERS, Part
from accelsim.sparse.sums import MOST, Factor, Loops, Rule, Signed, Sizes, Sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.sparse.boxes import Bounds
    from accelsim.sparse.nest import Nest, Operand

    Shares = NDArray[np.float64]
    Box = tuple[Bounds, Bounds]


class Terms:
    """Of what `sums` a nest's counts consist, by copy where `kernels.Walked` has them by copy.

    `densities`: of the operands that are stored. What has no closed form is refused, by name, when it is asked for. Nests that differ in
    the sizes of tiles alone, and have the same loops of more than one turn, have the same if what was looked up comes to the same:
    `lacking`, which sums are above 0, and `staying`, whether what loops leave of a rank (its name, loops, and finer ones) is cut into
    several sets everywhere, and nowhere.
    """

    def __init__(self, nest: Nest, densities: Dict[str, Boxes], axes: Axes) -> None:
        self.nest, self.densities, self.axes = nest, densities, axes
        self.depth = len(nest.turns)
        self.sums: dict[Sum, int] = {}
        self.lacking: dict[int, bool] = {}
        self._asked: dict[tuple[str, Loops], Loops] = {}
        self.staying: dict[tuple[str, Loops, Loops], tuple[bool, bool]] = {}
        self.every = frozenset(range(self.depth))
        self.stored = [operand for operand in nest.operands if operand.tensor in densities]
        self._check()

    def _check(self) -> None:
        for turn in self.nest.turns:
            if turn.meets and sum(turn.rank in operand.ranks for operand in self.stored) > 2:
                what = f"{self.nest.einsum.name} intersects more than two tensors over {turn.rank}"
                raise InputError(what, "split it into several Einsums")

    def refuse(self, what: str, mend: str) -> NoReturn:
        """Refuse what has no closed form."""
        raise InputError(f"{self.nest.einsum.name}: {what}, which has no closed form", mend, self.nest.einsum.place)

    def total(self, counted: Loops, factors: Iterable[Factor], copies: Loops = frozenset(), met: int = 0) -> Signed:
        """The sum over all turns of the counted loops of the product of factors, by copy of the given loops that are over copies."""
        chosen = frozenset(loop for loop in copies if self.nest.turns[loop].axis)
        return Signed(((1, self._place(Sum(counted, tuple(factors), chosen, met))),))

    def _place(self, asked: Sum) -> int:
        return self.sums.setdefault(asked, len(self.sums))

    # Tiles and conditions

    def loops(self, ranks: Iterable[str], below: int | None = None) -> Loops:
        """Loops over some ranks, of the first ones."""
        found = frozenset[int]().union(*(self.axes.loops[rank] for rank in ranks))
        return found if below is None else frozenset(n for n in found if n < below)

    def factor(
        self, operand: Operand, cut: Loops, values: Callable[[Nest, Boxes, Box], Shares], what: Hashable, rest: bool = False,
        rule: Rule | None = None, one: Callable[[Sizes, tuple[int, ...]], float] | None = None,
    ) -> Factor:  # fmt: skip
        """Values of the boxes that some loops leave of a stored operand, or their rest; `what` they are, which tells them from others."""
        boxes = self.densities[operand.tensor]
        return Factor(
            (what, operand.tensor), self._cuts(operand, cut), lambda nest, box: values(nest, boxes, box),
            tuple(boxes.period(place) for place in range(len(operand.ranks))), boxes.exchangeable, operand.tensor, rest,
            rule, one,
        )  # fmt: skip

    def _cuts(self, operand: Operand, *cuts: Loops) -> tuple[tuple[str, tuple[Loops, ...]], ...]:
        return tuple((rank, tuple(cut.intersection(self.axes.loops[rank]) for cut in cuts)) for rank in operand.ranks)

    def something(self, operand: Operand, cut: Loops) -> Factor:
        """Chances that tiles hold something."""
        return self.factor(operand, cut, nothing, "nothing", True, self._emptiness(operand))

    def _emptiness(self, operand: Operand) -> Rule | None:
        listed = self.densities[operand.tensor].listed
        return Rule(k.EMPTY, listed=listed) if listed is not None else None

    def elements(self, operand: Operand, cut: Loops) -> Factor:
        """Elements of tiles."""
        if operand.tensor in self.densities:
            rule = Rule(k.MEAN, numbers=(self.densities[operand.tensor].share, 0.0))
            return self.factor(operand, cut, mean, "elements", rule=rule)
        return Factor(
            ("elements", operand.tensor), self._cuts(operand, cut), volumes, (1,) * len(operand.ranks), True, operand.tensor,
            rule=Rule(k.VOLUME),
        )  # fmt: skip

    def asked(self, operand: Operand, depth: int) -> Loops:
        """Loops that leave the tile of an operand that has to hold something where what is below the first loops is visited."""
        mine = [n for n in range(depth) if self.nest.turns[n].rank in operand.ranks]
        meets = [n for n in mine if self.nest.turns[n].meets and operand.tensor in self.densities]
        cut = frozenset(n for n in mine if meets and n <= meets[-1])
        if not cut:
            return cut
        if (operand.tensor, cut) not in self._asked:
            missing = Sum(cut, (self.factor(operand, cut, nothing, "nothing", rule=self._emptiness(operand)),), frozenset())
            lacks = self.lacking[self._place(missing)] = bool(self.axes.total(missing).sum() > 0)
            self._asked[operand.tensor, cut] = cut if lacks else frozenset()
        return self._asked[operand.tensor, cut]

    def conditions(self, depth: int, without: Loops = frozenset(), but: Operand | None = None) -> list[Factor]:
        """Chances of what visits below the first loops ask, of any turn of the loops `without`."""
        found = []
        touched: Loops = frozenset()
        for operand in self.stored:
            asked = self.asked(operand, depth)
            if operand is but or not asked:
                continue
            mine = asked & without
            if touched & mine:
                rank = self.nest.turns[min(touched & mine)].rank
                what = f"whether any turn of {rank} is visited depends on two operands at once"
                self.refuse(what, f"put the loop over {rank} outside, or let it not 'intersect'")
            touched |= mine
            found.append(self.something(operand, asked))
        return found

    def big(self, loops: Iterable[int]) -> Loops:
        """Loops of more than one turn."""
        return frozenset(n for n in loops if self.nest.turns[n].trips > 1)

    # Visits, points and steps

    def visits(self, level: int) -> Signed:
        """Turns of a loop that are visited, by copy above it."""
        above = frozenset(range(level + 1))
        return self.total(above, self.conditions(level + 1), frozenset(range(level)))

    @cached_property
    def points(self) -> Signed:
        """Operations that are issued."""
        return self.total(self.every, self.conditions(self.depth), self.every)

    @cached_property
    def effectual(self) -> Signed:
        """Operations on stored elements alone."""
        return self.total(self.every, [self.elements(operand, self.every) for operand in self.stored], self.every)

    @cached_property
    def issues(self) -> Signed:
        """Issues of a unit that does `lanes` operations at a time."""
        leaf, lanes = self.nest.leaf, self.nest.lanes
        if lanes == 1 or leaf == self.depth:
            return self.points
        if any(self.asked(operand, self.depth) != self.asked(operand, leaf) for operand in self.stored):
            what = f"{lanes} lanes take what is stored inside the unit's tile together"
            self.refuse(what, "write lanes: 1, or no 'intersect' at the unit")
        above = frozenset(range(leaf))
        cuts = tuple((rank, (above & self.loops([rank]),)) for rank in self.nest.extents)
        together = Factor(
            "together", cuts, lambda _, box: np.ceil(volume(*box) / lanes), (1,) * len(cuts), True, self.nest.einsum.name,
            rule=Rule(k.TOGETHER, numbers=(float(lanes), 0.0)),
        )  # fmt: skip
        return self.total(above, [*self.conditions(leaf), together], above)

    def steps(self, level: int) -> Signed:
        """Steps in which a loop over a rank of two stored operands finds its turns, by copy above it."""
        turn = self.nest.turns[level]
        met = [operand for operand in self.stored if turn.rank in operand.ranks]
        above, inner = frozenset(range(level)), frozenset(range(level + 1))
        others = [each for each in self.stored if each not in met]
        rest = [self.something(each, self.asked(each, level)) for each in others if self.asked(each, level)]
        if turn.meets == "leading":
            follower = self.asked(met[1], level)
            asked = [self.something(met[1], follower)] if follower else []
            return self.total(inner, [self.something(met[0], self.loops(met[0].ranks, level + 1)), *asked, *rest], above)
        parts = TWO_FINGERS if turn.meets == "two_finger" else SKIP_AHEAD
        found: Signed | None = None
        for one, other, paired, sign in parts:
            factors = [
                self.factor(operand, self.loops(operand.ranks, level), part, part, rule=part.rule(self.densities[operand.tensor]))
                for operand, part in (
                    (operand, Part(how, operand.ranks.index(turn.rank), level, paired)) for operand, how in ((met[0], one), (met[1], other))
                )
            ]
            part = self.total(above, [*factors, *rest], above, met=2)
            found = part if found is None else found + part if sign > 0 else found - part
        assert found is not None
        return found

    # Operands

    def arrivals(self, number: int, quantity: Callable[[Loops | None], list[Factor]], deeper: Loops, shared: bool = False) -> Signed:
        """The sum of a quantity of the tiles that come to a crossing's child, by its copy; `shared`: that leave its parent, by its copy.

        `quantity(None)`: factors of the operand's tile (cut by `deeper`, or more); `quantity(group)`: the same if nothing else is in
        the set that the loops `group` leave. A copy that has its tile already is sent nothing.
        """
        nest, crossing = self.nest, self.nest.crossings[number]
        operand = next(each for each in nest.operands if each.tensor == crossing.tensor)
        depth = crossing.above_child
        above = frozenset(range(depth))
        time = frozenset(n for n in self.big(above) if not nest.turns[n].axis)
        mine = self.loops(operand.ranks, depth)
        inner = mine & time
        last = max(inner, default=-1)
        closing = frozenset(n for n in time - mine if n > last) if crossing.child else frozenset()
        joined = frozenset(n for n in self.big(above) - mine if shared and nest.shared[number][n])
        self._same_time(depth, closing, joined, operand)
        copies = frozenset(range(crossing.above_parent if shared else depth))
        blocks: dict[int, set[int]] = {}
        for loop in sorted(n for n in time - mine if n < last) if crossing.child else ():
            blocks.setdefault(sum(each < loop for each in inner), set()).add(loop)
        found_closing = closing
        later: Loops = closing
        merges: list[Signed] = []
        for _, block in sorted(blocks.items(), reverse=True):
            loops = frozenset(block)
            inside = frozenset(n for n in inner if n > max(loops))
            kind = self._stays(operand, depth, inside, mine, loops, joined)
            if kind == "always" and later == found_closing:
                found_closing |= loops
            elif kind != "never":
                if kind == "always":
                    self.refuse(f"tiles of {operand.tensor} stay over loops in between", "use fewer loops")
                lone = quantity(mine - inside)
                before = self._arrived(depth, lone, deeper, joined, later, operand, copies)
                after = self._arrived(depth, lone, deeper, joined, later | loops, operand, copies)
                merges.append(before - after)
            later |= loops
        found = self._arrived(depth, quantity(None), deeper, joined, found_closing, operand, copies)
        for merged in merges:
            found = found - merged
        return found

    def _arrived(
        self, depth: int, factors: list[Factor], deeper: Loops, joined: Loops, closing: Loops, operand: Operand, copies: Loops
    ) -> Signed:
        counted = (frozenset(range(depth)) - closing - joined) | deeper
        return self.total(counted, [*factors, *self.conditions(depth, closing | joined, operand)], copies & counted)

    def _same_time(self, depth: int, closing: Loops, joined: Loops, but: Operand | None) -> None:
        """Refuse copies that may ask for one tile at different times."""
        asked = [self.asked(each, depth) for each in self.stored if each is not but]
        for one in asked:
            if any((one & closing) and (other & joined) for other in asked):
                axis = self.nest.turns[min(joined)].axis
                self.refuse(
                    f"copies along {axis} may ask for a tile at different times", "put copies further inside, or write multicast: false"
                )

    def _stays(self, operand: Operand, depth: int, inside: Loops, mine: Loops, loops: Loops, joined: Loops) -> str:
        """Whether a copy may have its tile still when loops go on outside others over the operand: "never", "always" or "alone"."""
        others = [self.asked(each, depth) for each in self.stored if each is not operand]
        asked = self.asked(operand, depth)
        if not any(each & inside for each in others) and not asked & inside:
            ways = [self._ways(rank, mine - inside, inside) for rank in operand.ranks]
            if any(everywhere for everywhere, _ in ways):
                return "never"
            if all(nowhere for _, nowhere in ways):
                return "always"
            self.refuse(f"tiles of {operand.tensor} stay at the edge", "choose tiles that divide")
        names = sorted({self.nest.turns[n].rank for n in loops})
        what = f"a tile of {operand.tensor} may stay from one turn of {', '.join(names)} to the next by chance"
        mend = f"put loops over {', '.join(names)} inside those over {', '.join(sorted({self.nest.turns[n].rank for n in inside}))}"
        if any(each & inside for each in others) or not inside <= asked or any(each & joined for each in others):
            self.refuse(what, mend)
        if not self.big(mine) <= asked:  # a tile of which nothing is stored comes too, and takes its place
            self.refuse(what, mend)
        if operand.tensor in self.densities and not isinstance(self.densities[operand.tensor], UniformBoxes):
            self.refuse(what, mend)
        return "alone"

    def _ways(self, rank: str, cut: Loops, finer: Loops) -> tuple[bool, bool]:
        """Whether finer loops cut what some loops leave of a rank into several sets everywhere, and nowhere."""
        asked = rank, cut, finer
        if asked not in self.staying:
            self.staying[asked] = self.axes.several(*asked)
        return self.staying[asked]

    def words(self, number: int, shared: bool = False) -> Signed:
        """Words of an operand that copies of a crossing's child are sent; `shared`: that copies of its parent send."""
        operand = self._operand(number)
        cut = self.loops(operand.ranks, self.nest.crossings[number].above_child)
        return self.arrivals(number, lambda group: [self.tile(operand, cut, group, "mean")], cut, shared)

    def tile(self, operand: Operand, cut: Loops, group: Loops | None, kind: str, own: Loops | None = None) -> Factor:
        """Elements of a tile ("mean"), or the chance that it holds something; of a group, if only the tile that `own` loops leave does."""
        if group is None:
            return self.elements(operand, cut) if kind == "mean" else self.something(operand, cut)
        boxes, inner = self.densities[operand.tensor], cut if own is None else own
        assert isinstance(boxes, UniformBoxes)
        cuts = self._cuts(operand, cut, inner, group)
        values, rule = alone(boxes, kind)
        return Factor(("alone", kind, operand.tensor), cuts, values, (1,) * len(cuts), True, operand.tensor, rule=rule)

    def _operand(self, number: int) -> Operand:
        tensor = self.nest.crossings[number].tensor
        return next(each for each in self.nest.operands if each.tensor == tensor)

    # Results

    def made(self, number: int, shared: bool = False) -> Signed:
        """Words of the result that copies of a crossing's child send; `shared`: that copies of its parent are sent."""
        nest, crossing = self.nest, self.nest.crossings[number]
        depth = crossing.above_child
        joined = frozenset(n for n in self.big(range(depth)) if shared and nest.shared[number][n] and nest.turns[n].rank not in nest.result)
        copies = frozenset(range(crossing.above_parent if shared else depth))
        if not crossing.child:
            return self.effectual_words(self.every - joined, copies) if joined else self._by_parent(copies)
        time = frozenset(n for n in self.big(range(depth)) if not nest.turns[n].axis)
        mine = self.loops(nest.result, depth) & time
        last = max(mine, default=-1)
        reduced = time - mine
        closing = frozenset(n for n in reduced if n > last)
        self._same_time(depth, closing, joined, None)
        for loop in sorted((n for n in reduced if n < last), reverse=True):
            inside = frozenset(n for n in mine if n > loop)
            if any(self.asked(each, depth) & inside for each in self.stored):
                rank = nest.turns[loop].rank
                what = f"a tile of {crossing.tensor} may stay from one turn of {rank} to the next by chance"
                self.refuse(what, f"put the loop over {rank} inside, or let the loops below it not 'intersect'")
            outside = self.loops(nest.result, depth) - inside
            ways = [self._ways(rank, outside, inside) for rank in nest.result]
            if all(nowhere for _, nowhere in ways):
                closing |= {loop}
            elif not any(everywhere for everywhere, _ in ways):
                self.refuse(f"tiles of {crossing.tensor} stay at the edge", "choose tiles that divide")
        kept = frozenset(n for n in range(depth) if nest.turns[n].rank not in nest.result) - closing - joined
        return self.effectual_words(kept | self.loops(nest.result), copies)

    def _by_parent(self, copies: Loops) -> Signed:
        return self.total(self.every, [self.elements(operand, self.every) for operand in self.stored], copies)

    def different(self, number: int) -> Signed:
        """Different words of the result that copies of a crossing's parent are sent."""
        nest, above = self.nest, self.nest.crossings[number].above_parent
        kept = frozenset(n for n in range(above) if nest.turns[n].axis and nest.turns[n].rank not in nest.result)
        return self.effectual_words(kept | self.loops(nest.result), frozenset(range(above)))

    def effectual_words(self, counted: Loops, copies: Loops) -> Signed:
        """Elements of the result and turns of the counted reduced loops at which any point below is effectual, by copy."""
        nest = self.nest
        reduced = frozenset(nest.extents) - frozenset(nest.result)
        with_reduced = [each for each in self.stored if reduced & set(each.ranks)]
        plain = [self.elements(each, self.every) for each in self.stored if each not in with_reduced]
        counted_by = [self.something(each, counted & self.loops(each.ranks)) for each in with_reduced]
        used = [reduced & set(each.ranks) for each in with_reduced]
        if all(not one & other for place, one in enumerate(used) for other in used[:place]):
            return self.total(counted, [*plain, *counted_by], copies & counted)
        if len(with_reduced) != 2 or used[0] != used[1]:
            self.refuse("elements of the result are made of operands that share some summed ranks", "split it into two Einsums")
        most = math.prod(self.nest.extents[rank] for rank in used[0])
        if most > MOST:
            what = f"fibers along {', '.join(sorted(used[0]))} have {most:,} places, and how many they have in common"
            self.refuse(what, "make them shorter")
        for one, other in (with_reduced, with_reduced[::-1]):
            blank = self.densities[other.tensor].blank(frozenset(other.ranks.index(rank) for rank in used[0]), most)
            if blank is not None:
                return self.total(counted, [*plain, self._matched(one, blank, counted, used[0])], copies & counted)
        self.refuse("which elements the result has", "state the density of one operand as a share")

    def _matched(self, one: Operand, blank: Shares, counted: Loops, reduced: frozenset[str]) -> Factor:
        """Chances that a fiber of one operand and one of another, of which `blank` says when places are empty, have one in common."""

        cut = counted & self.loops(one.ranks)
        for rank in set(one.ranks) - reduced:
            cut |= self.loops([rank])
        values, rule, single = matched(self.nest.einsum, one.tensor, self.densities[one.tensor], blank)
        return self.factor(one, cut, values, ("matched", reduced, cut), rule=rule, one=single)
