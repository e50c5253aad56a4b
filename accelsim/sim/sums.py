"""Partial results: the order in which an Einsum's terms reach each word of its result, over time, over copies and through its keepers.

A word's terms come turn by turn. In each turn the copies between the unit and the innermost keeper of the result add up what they made,
and that is added to what the keeper holds. Where copies have keepers of their own, each of them holds a part: the first copy goes on from
what the keeper outside has so far, the others begin afresh, and when the tile leaves the parts are added up again and replace it. Copies
are added up along an axis that reduces: where it `forwards`, from the first copy to the last, else as a balanced tree over neighbours;
over the innermost loop first. Along an axis that does not reduce, the memory outside adds one copy after the other. A tile leaves a keeper
when a loop over a reduced rank turns outside it with a loop of several turns over a rank of the result between the two, when another
tile of the result comes, and when a sequential fuse is entered again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from accelsim.hardware.architecture import Architecture
from accelsim.mapping.tree import For, Fuse, Spatial
from accelsim.sim.arithmetic import Arithmetic
from accelsim.sim.doubt import Doubt
from accelsim.sim.turns import Branch, Span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]

ALWAYS = -1


@dataclass(frozen=True, slots=True)
class Crossing:
    """A boundary below which copies hold parts of a sum: that of the keeper at `level` (the unit: None), and the spatial loops just above.

    `ways`: for each of these, outermost first, how its copies are added up: `forward`, `tree` or `memory`.
    """

    level: int | None
    loops: tuple[int, ...]
    ways: tuple[str, ...]


def crossings(branch: Branch, architecture: Architecture) -> tuple[Crossing, ...]:
    """The boundaries of an Einsum's result that copies with parts of a sum stand above, outermost first; the unit's comes last."""
    einsum = branch.einsum
    keepers = branch.keepers(einsum.output.tensor)
    loops = [level for level, step in branch.steps.items() if isinstance(step.loop, Spatial) and step.loop.rank in einsum.reduced]
    found = []
    for parent, child in zip(keepers, [*keepers[1:], None], strict=True):
        between = tuple(level for level in loops if level > parent and (child is None or level < child))
        if between or child is None:
            ways = tuple(_way(branch, level, architecture) for level in between)
            found.append(Crossing(child, between, ways))
    above = [level for level in loops if keepers and level < keepers[0]]
    if above:  # a home below its own copies: each copy keeps a part that nothing adds up
        found.insert(0, Crossing(keepers[0], tuple(above), tuple(_way(branch, level, architecture) for level in above)))
    return tuple(found)


def _way(branch: Branch, level: int, architecture: Architecture) -> str:
    loop = branch.steps[level].loop
    assert isinstance(loop, Spatial)
    _, axis = architecture.axes[loop.axis]
    if branch.einsum.reduce not in axis.reduces:
        return "memory"
    return "forward" if axis.forwards else "tree"


@dataclass(frozen=True)
class Turns:
    """The points of a tile's reduced ranks in order: `take[turn, copy, …]` is the point of a copy in a turn (-1: none), int64.

    Copies are those of the spatial loops at `levels`, outermost first. `turned`: level of the outermost loop that turns before each turn.
    """

    take: IntArray
    levels: tuple[int, ...]
    turned: tuple[int, ...]


def turns_of(ranks: tuple[str, ...], spans: Mapping[str, Span], digits: Mapping[str, list[tuple[int, IntArray]]]) -> Turns:
    """The turns of a tile; `digits` says for every reduced rank and loop in time at which of its turns each coordinate comes."""
    import numpy as np

    shape = [len(spans[rank]) for rank in ranks]
    times: list[tuple[int, Any]] = []
    copies: list[tuple[int, Any]] = []
    for axis, rank in enumerate(ranks):
        frame = [-1 if at == axis else 1 for at in range(len(ranks))]
        times += [(level, digit.reshape(frame)) for level, digit in digits[rank] if digit.size and digit.max() > 0]
        copies += [(level, copy.reshape(frame)) for level, copy in spans[rank].copies]
    times.sort(key=lambda each: each[0])
    copies.sort(key=lambda each: each[0])
    key: Any = np.zeros(shape, dtype=np.int64)
    for _, digit in times:
        key = key * (int(digit.max()) + 1) + digit
    unique, first, turn = np.unique(key.reshape(-1), return_index=True, return_inverse=True)
    sizes = [int(copy.max()) + 1 if copy.size else 1 for _, copy in copies]
    take = np.full([len(unique), *sizes], -1, dtype=np.int64)
    take[(turn.reshape(-1), *(np.broadcast_to(copy, shape).reshape(-1) for _, copy in copies))] = np.arange(key.size)
    turned = np.full(len(unique), ALWAYS, dtype=np.int64)
    for level, digit in reversed(times):
        at = np.broadcast_to(digit, shape).reshape(-1)[first]
        turned[1:][at[1:] != at[:-1]] = level
    return Turns(take, tuple(level for level, _ in copies), tuple(int(level) for level in turned))


@dataclass
class Sums:
    """The partial results of one Einsum, flat over its result: `total` at home, and for each crossing but the unit's what copies hold.

    `left`: points that a word still lacks, of the `expected` ones. `doubt`: what bounds of their errors need.
    """

    branch: Branch
    crossings: tuple[Crossing, ...]
    arithmetic: Arithmetic
    expected: IntArray
    left: IntArray
    doubt: Doubt
    total: Any = None
    parts: list[Any] = field(default_factory=list)
    held: list[Any] = field(default_factory=list)
    visit: tuple[dict[int, int], tuple[bytes, ...]] | None = None
    region: Any = None

    @property
    def reduce(self) -> str:
        """The operator."""
        return self.branch.einsum.reduce

    def begin(self, flat: Any, whole: bool) -> None:
        """Words that were complete are made again; storage is made when the first values come."""
        import numpy as np

        identity = self.arithmetic.identity(self.reduce, whole)
        if self.total is None:
            self.total = np.full(self.expected.size, identity, dtype=np.int64 if whole else np.float64)
        elif not whole and self.total.dtype.kind == "i":
            self.total = self.total.astype(np.float64)
            self.parts = [part.astype(np.float64) for part in self.parts]
        again = flat[self.left[flat] == 0]
        if again.size:
            self.left[again] = self.expected[again]
            self.total[again] = identity
            for held in self.held:
                held[again] = False
            self.doubt.forget(again)

    def enter(self, turns: dict[int, int], output: tuple[bytes, ...]) -> int | None:
        """A visit of a tile; the words of others leave. Returns the level of the outermost reduced loop that has turned since."""
        last, self.visit = self.visit, (turns, output)
        if last is None:
            return None
        changed = [level for level in turns if turns[level] != last[0].get(level)]
        if len(self.crossings) > 1 and self.region is not None:
            fuses = [level for level, (_, node) in enumerate(self.branch.nodes) if isinstance(node, Fuse) and node.schedule == "sequential"]
            for place, crossing in enumerate(self.crossings[:-1]):
                assert crossing.level is not None
                emptied = max((level for level in fuses if level < crossing.level), default=-1)
                if output != last[1] or any(level < emptied for level in changed):
                    for inner in range(len(self.crossings) - 2, place - 1, -1):
                        self.leave(inner, self.region)
                    break
        reduced = [level for level in changed if self.branch.steps[level].loop.rank in self.branch.einsum.reduced]
        return min(reduced, default=None)

    def add(self, flat: Any, terms: Any, turns: Turns, since: int | None, trips: Mapping[int, int]) -> None:
        """All terms of a tile in their turns: `terms` is (points of the reduced ranks, words), `flat` the words."""
        import numpy as np

        whole = terms.dtype.kind in "iub"
        self.begin(flat, whole)
        identity = self.arithmetic.identity(self.reduce, whole)
        take = turns.take
        if take.min(initial=0) < 0:
            terms = np.concatenate([terms, np.full((1, terms.shape[1]), identity, dtype=terms.dtype)])
        made = terms[take]  # (turns, copies..., words)
        unit = self.crossings[-1]
        made = self._over(made, unit, turns.levels, 1 + len(turns.levels))
        inner = self.crossings[:-1]
        if not inner:
            total = self.total[flat]
            for turn in made:
                for group in turn:
                    total = self.arithmetic.combine(self.reduce, total, group)
            self.total[flat] = total
        else:
            self._through(flat, made, turns, since, trips, identity)
        self.region = flat

    def _through(self, flat: Any, made: Any, turns: Turns, since: int | None, trips: Mapping[int, int], identity: Any) -> None:
        """Terms into the keepers of copies; `made` is (turns, copies..., groups, words)."""
        import numpy as np

        inner = self.crossings[:-1]
        counts = dict(zip(turns.levels, turns.take.shape[1:], strict=True))
        for place in range(len(inner)):
            extent = [counts.get(level, 1) for crossing in inner[: place + 1] for level in crossing.loops]
            if len(self.parts) <= place:
                self.parts.append(np.full([*extent, self.expected.size], identity, dtype=self.total.dtype))
                self.held.append(np.zeros(self.expected.size, dtype=bool))
            grown = [max(old, new) for old, new in zip(self.parts[place].shape[:-1], extent, strict=True)]
            if grown != list(self.parts[place].shape[:-1]):
                wider = np.full([*grown, self.expected.size], identity, dtype=self.total.dtype)
                wider[tuple(slice(size) for size in self.parts[place].shape[:-1])] = self.parts[place]
                self.parts[place] = wider
        for number, terms in enumerate(made):
            turned = since if number == 0 else turns.turned[number]
            if turned is not None:
                for place in range(len(inner) - 1, -1, -1):
                    if self._leaves(inner[place], turned, trips):
                        self.leave(place, flat)
            for place in range(len(inner)):
                fresh = flat[~self.held[place][flat]]
                if fresh.size:
                    outside = self.total[fresh] if place == 0 else self.parts[place - 1][..., fresh]
                    part = self.parts[place]
                    part[..., fresh] = identity
                    loops = len(inner[place].loops)
                    part[(..., *([0] * loops), fresh)] = outside
                    self.held[place][fresh] = True
            part = self.parts[-1]
            where = (*(slice(size) for size in terms.shape[:-2]), flat)
            now = part[where]
            for group in range(terms.shape[-2]):
                now = self.arithmetic.combine(self.reduce, now, terms[..., group, :])
            part[where] = now

    def _leaves(self, crossing: Crossing, turned: int, trips: Mapping[int, int]) -> bool:
        """Whether the turn of a reduced loop takes a tile out of a keeper."""
        assert crossing.level is not None
        between = range(turned + 1, crossing.level)
        return turned < crossing.level and any(trips.get(level, 1) > 1 for level in between)

    def leave(self, place: int, flat: Any) -> None:
        """Words leave the keepers of copies: the parts are added up and replace what is outside."""
        import numpy as np

        if place >= len(self.parts):
            return
        words = flat[self.held[place][flat]]
        if not words.size:
            return
        crossing = self.crossings[place]
        parts = self.parts[place][..., words]
        levels = tuple(level for each in self.crossings[: place + 1] for level in each.loops)
        groups = self._over(parts, crossing, levels, parts.ndim - 1)
        found = groups[..., 0, :]
        for group in range(1, groups.shape[-2]):
            found = self.arithmetic.combine(self.reduce, found, groups[..., group, :])
        if place == 0:
            self.total[words] = found
        else:
            self.parts[place - 1][..., words] = found
        self.held[place][words] = np.False_

    def _over(self, made: Any, crossing: Crossing, levels: tuple[int, ...], end: int) -> Any:
        """Copies of a crossing's loops added up along axes that reduce; axes before `end` are (…, copies at `levels`), then words.

        The copies of the other axes become one axis of groups before the words.
        """
        import numpy as np

        present = [level for level in crossing.loops if level in levels]
        start = end - len(present)
        ways = dict(zip(crossing.loops, crossing.ways, strict=True))
        kept = len(present)
        for offset in range(len(present) - 1, -1, -1):
            way = ways[present[offset]]
            if way == "memory":
                continue
            axis = start + offset
            parts = np.moveaxis(made, axis, 0)
            made = self._forward(parts) if way == "forward" else self._tree(parts)
            kept -= 1
        shape = made.shape
        return made.reshape(*shape[:start], int(np.prod(shape[start : start + kept], dtype=np.int64)), *shape[start + kept :])

    def _forward(self, parts: Any) -> Any:
        found = parts[0]
        for part in parts[1:]:
            found = self.arithmetic.combine(self.reduce, found, part)
        return found

    def _tree(self, parts: Any) -> Any:
        import numpy as np

        while len(parts) > 1:
            pairs = self.arithmetic.combine(self.reduce, parts[0:-1:2], parts[1::2])
            parts = np.concatenate([pairs, parts[-1:]]) if len(parts) % 2 else pairs
        return parts[0]

    def complete(self, flat: Any) -> Any:
        """The words among some that lack nothing, all parts of them added up."""
        done = flat[self.left[flat] == 0]
        for place in range(len(self.parts) - 1, -1, -1):
            self.leave(place, done)
        return done


def digits_of(
    branch: Branch, spans: dict[str, Span], wanted: tuple[str, ...]
) -> tuple[dict[str, list[tuple[int, IntArray]]], dict[int, int]]:
    """A leaf's own loops taken all at once: `spans` are changed to tiles of one, with the copies of spatial loops.

    Returns for every wanted rank the turn of each loop in time at which each coordinate comes, and for the others' loops how many turns.
    """
    digits: dict[str, list[tuple[int, IntArray]]] = {rank: [] for rank in wanted}
    trips: dict[int, int] = {}
    for level in range(branch.own, len(branch.nodes)):
        step = branch.steps.get(level)
        if step is None:
            continue
        loop, span = step.loop, spans[step.loop.rank]
        if not isinstance(loop, For):
            spans[loop.rank] = span.spread(level, loop.tile)
            continue
        if loop.rank in digits:
            digits[loop.rank].append((level, span.place // loop.tile))
        else:
            trips[level] = span.turns(loop.tile)
        spans[loop.rank] = span.folded(loop.tile)
    for number, rank in enumerate(branch.einsum.ranks):
        if rank in digits:
            digits[rank].append((len(branch.nodes) + number, spans[rank].place))
    return digits, trips
