"""Sums of picks: ways to run several Einsums below one trunk, joined one Einsum after another, and offered to their part."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from accelsim.mapper.figures import SLACK, Cost
from accelsim.mapper.leaf import LeafSearch
from accelsim.mapper.leaf_bounds import BEYOND
from accelsim.mapper.leaf_plan import FloatArray
from accelsim.mapper.options import Bounds, Chosen, Option
from accelsim.mapper.picks import Least, Passing, Picks

if TYPE_CHECKING:
    from accelsim.mapper.below import Below

_QUANTA = 1 << 10, 1 << 14, 1 << 18, 0  # of the room of memory 1, to which pieces held are rounded at first; 0: not at all
_BLOCK = 100_000  # sums of picks that are worked out at once
_MANY = 30_000  # sums of picks that are compared with each other
_PROMISING = 200  # of those, how many are looked at first, where there may be more: what they find shortens the rest


class Sums:
    """All ways to join the picks of the Einsums below one trunk."""

    def __init__(self, below: Below) -> None:
        self.below, self.part = below, below.part

    def join(self, every: list[Picks], base: FloatArray) -> None:
        """Add up the picks of all Einsums, and offer the part what is of use.

        At first pieces held are rounded down, so that trifles of room make no more sums. If all that is of use then fits as it is, there
        is nothing better; else the rounding gets finer.
        """
        part = self.part
        if self.below.side_by_side and prod(map(len, every)) > _PROMISING:
            self._offer(self._summed(every, base, _PROMISING)[0])
        for quanta in _QUANTA if part.room < float("inf") and not part.aim.uses[3] else (0,):
            sums, left_out = self._summed([picks.rounded(part.room / quanta if quanta else 0.0) for picks in every], base, _MANY)
            if self._offer(sums):
                break
        part.solved.rest.extend(left_out)

    def _offer(self, sums: Picks) -> bool:
        """Offer the part what is of use, the best first. Says whether there is room for all of that to be as good as its figures."""
        part, bounds, roomy = self.part, self.below.bounds(sums.figures), True
        for row in np.argsort(part.values(bounds), kind="stable").tolist():
            if part.worth(bounds.cost(row, part.held)):
                roomy = self._conclude(sums, row, bounds) and roomy
        return roomy

    def _summed(self, every: list[Picks], base: FloatArray, many: int) -> tuple[Picks, list[Cost]]:
        """Sums of picks of all Einsums that no other beats, and bounds of what was left out because there were more than so many."""
        part, left_out = self.part, list[Cost]()
        most = np.array([picks.figures.max(axis=0) for picks in every])
        passing = self._passing(every, base)
        every = [
            self.below.sifted(
                picks, self._least_of(every, base, most.sum(axis=0) - most[at]), None if passing is None else passing.alone(at, picks.own)
            )
            for at, picks in enumerate(every)
        ]
        sums = every[0]
        for at in range(1, len(every)):
            mine, left = every[at], base[at + 1 :].sum(axis=0)
            part.solved.evaluated += len(sums) * len(mine)
            step = max(1, _BLOCK // max(1, len(mine)))
            grown = Picks.joined([self._added(sums.some(np.arange(first, min(first + step, len(sums)))), mine, left)
                                   for first in range(0, max(1, len(sums)), step)])  # fmt: skip
            if len(grown) > many:
                bounds = self.below.bounds(grown.figures + left)
                order = np.argsort(part.values(bounds), kind="stable")
                left_out.append(bounds.some(order[many:]).least(part.held))
                grown = grown.some(order[:many])
            late = None if passing is None else passing.ends(grown.own)
            sums = self.below.sifted(grown, self._least_of(every, base, most[at + 1 :].sum(axis=0)), late)
        return sums, left_out

    def _passing(self, every: list[Picks], base: FloatArray) -> Passing | None:
        """What counts of a pass where one copy of everything is enough whatever is picked; None: all of it, since more may be needed."""
        if not self.below.side_by_side:
            return None
        longest = [float(picks.own.max()) for picks in every]
        pace = float(base.sum(axis=0)[:-3].max())
        number = {name: at for at, name in enumerate(self.part.stretch.names)}
        edges = [(number[a], number[b]) for a, b, _ in self.below.floors.forward if number[a] < number[b]]
        one_copy = max(self._spans(longest)[0].values(), default=0.0) <= pace
        one_copy = one_copy or (not self.below.forked and all(self._takes_turns(every, one, other) for one, other in edges))
        return Passing(pace, longest, edges) if one_copy else None

    def _takes_turns(self, every: list[Picks], one: int, other: int) -> bool:
        """Whether two Einsums share a unit that the rest keeps busy for longer than their results are on their way, whatever is picked."""
        units = len(self.part.units)
        busy = [every[at].figures[:, :units] for at in (one, other)]
        used = np.flatnonzero(np.concatenate(busy).any(axis=0))
        if len(used) != 1:
            return False
        late = sum(float((every[at].own[:, 0] - mine.sum(axis=1)).max()) for at, mine in zip((one, other), busy, strict=True))
        rest = sum(float(picks.figures[:, used[0]].min()) for at, picks in enumerate(every) if at not in (one, other))
        return late <= rest

    def _added(self, sums: Picks, mine: Picks, left: FloatArray) -> Picks:
        """Every sum with every pick of the next Einsum, as far as it fits and is of use if the rest adds what is left at least."""
        rows, others = (each.ravel() for each in np.indices((len(sums), len(mine))))
        figures, peak = sums.figures[rows] + mine.figures[others], np.maximum(sums.peak[rows], mine.peak[others])
        good = np.flatnonzero(figures[:, -1] + peak + left[-1] <= self.part.room)
        good = good[self.part.useful(self.below.bounds(figures[good] + left))]
        rows, others = rows[good], others[good]
        return Picks(
            figures[good], peak[good], sums.bits[rows] + mine.bits[others],
            np.concatenate([sums.own[rows], mine.own[others]], axis=1), np.concatenate([sums.path[rows], mine.path[others]], axis=1),
        )  # fmt: skip

    def _copied(self, every: list[Picks], base: FloatArray) -> float:
        """How many pieces all copies that could be of use hold beside the first ones at most."""
        if not self.below.side_by_side:
            return 0.0
        longest, pace = sum(float(picks.own.max()) for picks in every), float(base.sum(axis=0)[:-3].max())
        return float(np.ceil(longest / max(pace, 1.0))) * sum(self._copy_bits(tensor) for tensor in self.below.internal)

    def _least_of(self, every: list[Picks], base: FloatArray, more: FloatArray) -> Least | None:
        """Figures below which sums do not matter, if the rest adds so much at most (`more`): nothing is busy for less than all of `base`.

        Room has to be left for as many copies as could be of use.
        """
        figures = np.zeros(base.shape[1])
        if self.part.aim.uses[3]:
            return None
        room = min(self.part.room, BEYOND) - self._copied(every, base)
        if self.below.side_by_side:
            figures[:-3] = float(base.sum(axis=0)[:-3].max()) - more[:-3]
        figures[-1] = room - more[-1] - max(picks.peak.max() for picks in every)
        return Least(figures, room - float(np.sum([picks.figures[:, -1].max() for picks in every])))

    def _conclude(self, sums: Picks, row: int, bounds: Bounds) -> bool:
        """Offer the part a sum of picks of all Einsums, if it fits. Says whether there is room for it to be as good as its figures."""
        part, path = self.part, sums.path[row].tolist()
        kept: dict[int, list[str]] = {}
        choices = self.below.choices
        places = {number: place for at, (_, _, choice) in enumerate(path) for number, place in choices[at].places[choice].items()}
        for number, place in sorted(places.items()):
            if place.depth >= 0:
                kept.setdefault(place.depth, []).append(part.placeable[number])
        kept.setdefault(len(self.below.loops), []).extend(self.below.internal)
        loops = self.below.trunk.loops
        keeps = tuple(sorted((depth, tuple(names)) for depth, names in kept.items()))
        groups = [self.below.groups[group] for group, _, _ in path]
        leaves = tuple(
            Chosen(group.search, group.names, group.number, group.front.pointers[at])
            if isinstance(group.search, LeafSearch) else group.search.option(group.front.pointers[at])
            for group, (_, at, _) in zip(groups, path, strict=True)
        )  # fmt: skip
        held = float(sums.bits[row] + sums.peak[row])
        if held > part.room:
            return False
        if not self.below.side_by_side:
            part.offer(Option(bounds.cost(row, held + part.held), "sequential", loops, keeps, (), leaves))
            return True
        rows = [group.front.rows[at] for group, (_, at, _) in zip(groups, path, strict=True)]
        extra = [self.below.choices[at].extra[choice] for at, (_, _, choice) in enumerate(path)]
        busy = [float(values[1] + more[1]) for values, more in zip(rows, extra, strict=True)]
        latency = 1 + self.part.exact.latency
        late = [float(values[latency] + more[latency]) for values, more in zip(rows, extra, strict=True)]
        pace = float(bounds.ticks[row])
        spans, last = self._spans([mine + later * self.below.iterations for mine, later in zip(busy, late, strict=True)])
        fast = False
        for copies in self._copies(spans, pace, held):
            steady = max([pace, *(spans[tensor] / many for tensor, many in copies.items())])
            ticks = steady + max(0.0, last - steady) / self.below.iterations
            total = held + sum((many - 1) * self._copy_bits(tensor) for tensor, many in copies.items())
            cost = Cost(float(bounds.energy[row]), ticks, float(bounds.traffic[row]), total + part.held)
            fast = fast or steady <= pace * SLACK
            part.offer(Option(cost, "pipelined", loops, keeps, tuple(sorted((t, c) for t, c in copies.items() if c > 1)), leaves))
        return fast

    def _spans(self, own: list[float]) -> tuple[dict[str, float], float]:
        """How long each tensor that passes between Einsums is in use in one pass, and when that ends; in ticks of all iterations.

        own: how long each Einsum takes in one pass.
        """
        names = self.part.stretch.names
        start: dict[str, float] = {}
        end: dict[str, float] = {}
        for name, mine in zip(names, own, strict=True):
            start[name] = max((end[a] for a, b, _ in self.below.floors.forward if b == name and a in end), default=0.0)
            end[name] = start[name] + mine
        spans = {}
        for tensor in self.below.internal:
            producer = next(name for name in names if self.part.exact.cascade.by_name[name].output.tensor == tensor)
            spans[tensor] = max(end[b] for a, b, t in self.below.floors.forward if t == tensor and a == producer) - start[producer]
        return spans, max(end.values())

    def _copy_bits(self, tensor: str) -> int:
        return self.below.tile_words(tensor) * self.part.evaluator.widths.partial[tensor]

    def _copies(self, spans: dict[str, float], pace: float, held: float) -> Iterator[dict[str, int]]:
        """Numbers of copies worth trying: for every pace that a number of copies sets, the fewest that keep it; those that fit."""
        paces = {pace} | {
            span / many for span in spans.values() for many in range(1, 1 + int(np.ceil(span / max(pace, 1.0)))) if span / many > pace
        }
        for each in sorted(paces):
            copies = {tensor: max(1, int(np.ceil(span / each * (1 - 1e-12)))) for tensor, span in spans.items()}
            total = held + sum((many - 1) * self._copy_bits(tensor) for tensor, many in copies.items())
            if total <= self.part.room:
                yield copies
                if not self.part.aim.uses[3]:
                    return
