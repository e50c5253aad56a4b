"""Where tensors are kept, given the loops: as far inside as their use allows, then lifted outwards where that saves traffic and fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from accelsim.mapper.leaves import PlannedLeaf, trips
from accelsim.mapper.reuse import drawn, innermost
from accelsim.mapper.scope import Scope
from accelsim.mapper.space import Design, TrunkLoop
from accelsim.mapping.tree import For, Held, Keep, Spatial, TreeNode


@dataclass(slots=True)
class Placed:
    """Keeps by position: `trunk` (memory, tensor) -> loops above it; `leaves`: the same for each leaf's own loops."""

    trunk: dict[tuple[str, str], int] = field(default_factory=dict)
    leaves: list[dict[tuple[str, str], int]] = field(default_factory=list)


class Placer:
    """Places the keeps of one group of Einsums."""

    def __init__(self, scope: Scope, names: Sequence[str], design: Design, leaves: Sequence[PlannedLeaf]) -> None:
        self.scope, self.names, self.design, self.leaves = scope, tuple(names), design, leaves
        self.users = frozenset(names)
        self.trunk = design.trunk
        self.copies = dict(design.copies)
        self.left = [dict(scope.cascade.extents)]
        for loop in self.trunk:
            self.left.append({**self.left[-1], loop.rank: min(self.left[-1][loop.rank], loop.tile)})
        self.lefts = scope.lefts(self.names, self.trunk)
        self.steps = [trips(before[loop.rank], loop.tile) for before, loop in zip(self.left, self.trunk, strict=False)]
        self.room = {memory: scope.capacity(memory) for memory in scope.architecture.memories}
        self.tensors = tuple(dict.fromkeys(t for name in names for t in (*scope.reads[name], scope.writes[name])))
        self.chain = [step.memory.name for step in scope.above(design.home) if step.memory is not None] if design.home else []
        self.placed = Placed()

    def place(self) -> Placed:
        """Positions of all keeps but those at the root."""
        for tensor in sorted((t for t in self.tensors if self.internal(t)), key=lambda t: (self._bits(t, len(self.trunk)), t)):
            self._place_internal(tensor)
        inner = {tensor: len(self.trunk) for tensor in self.tensors}
        for memory in reversed(self.chain):
            self._place_external(memory, inner)
        self._place_in_leaves()
        return self.placed

    def internal(self, tensor: str) -> bool:
        """Whether a tensor is made and used up inside the group."""
        noun, cascade = self.scope.cascade.tensors[tensor], self.scope.cascade
        if noun.is_input or noun.is_output:
            return False
        makers = cascade.producers.get(tensor, ())
        return all(einsum.name in self.users for einsum in (*makers, *cascade.consumers.get(tensor, ())))

    def limit(self, tensor: str) -> int:
        """The innermost legal position: above every loop that its producers lack, and above the loops that carry its slices."""
        facts = self.scope.facts
        if tensor in self.design.recompute:
            return max((at + 1 for at in range(len(self.trunk)) if self._touches(at, tensor)), default=0)
        makers = [einsum.name for einsum in self.scope.cascade.producers.get(tensor, ()) if einsum.name in self.users]
        if not makers:
            return len(self.trunk)
        carried = facts.recurrence(self.scope.cascade.tensors[tensor])
        for position, loop in enumerate(self.trunk):
            if loop.rank == carried or any(loop.rank not in facts.ranks[maker] for maker in makers):
                return position
            if any(loop.rank in facts.ranks[edge.producer] and self._behind(edge.write, edge.read, loop.rank) for edge in facts.edges
                   if edge.tensor == tensor and edge.consumer in self.users):  # fmt: skip
                return position
        return len(self.trunk)

    @staticmethod
    def _behind(write: Sequence[object], read: Sequence[object], rank: str) -> bool:
        return any(mine != theirs and rank in getattr(mine, "ranks", ()) for mine, theirs in zip(write, read, strict=True))

    def window(self, memory: str) -> tuple[int, int]:
        """Positions in the trunk at which a memory may keep: below the axes that lead to it, above those inside it."""
        outer = {step.axis.name for step in self.scope.above(memory) if step.axis is not None}
        low, high = 0, len(self.trunk)
        for position, loop in enumerate(self.trunk):
            if isinstance(loop, Spatial):
                if loop.axis in outer:
                    low = position + 1
                else:
                    high = min(high, position)
        return low, high

    def estimate(self) -> tuple[float, float]:
        """Bits held, and brought from outside over the run, where each tensor is kept below all loops that change its tile."""
        places = {tensor: self._settled(tensor, self.limit(tensor), 0) for tensor in self.tensors}
        held = sum(self._bits(tensor, place) for tensor, place in places.items())
        return held, sum(self.fills(tensor, place) for tensor, place in places.items() if not self.internal(tensor))

    def _bits(self, tensor: str, position: int) -> float:
        return self._words(tensor, position) * self.scope.bits[tensor] * self.copies.get(tensor, 1)

    def _words(self, tensor: str, position: int) -> int:
        """Words of a tensor's tile at a position of the trunk."""
        if not self.scope.facts.renames:
            return self.scope.words(tensor, self.left[position], self.users, self.left[-1])
        lefts = self.lefts[position]
        users = [name for name in self.names if tensor in self.scope.facts.touched[name]]
        return max(self.scope.words(tensor, lefts[name], self.scope.alone[name], self.left[-1], self.users) for name in users)

    def _touches(self, at: int, tensor: str) -> bool:
        """Whether a loop of the trunk changes which tile of a tensor is touched."""
        loop = self.trunk[at]
        if loop.rank in self.scope.facts.indexing[tensor]:
            return True
        if not self.scope.facts.renames:
            return False
        users = [name for name in self.names if tensor in self.scope.facts.touched[name] and loop.rank not in self.scope.facts.ranks[name]]
        return any(self.scope.restricts(loop, name, self.users) for name in users)

    def _place_internal(self, tensor: str) -> None:
        limit = self.limit(tensor)
        for memory in (*reversed(self.chain), self.scope.root):
            low, high = self.window(memory)
            position = min(limit, high)
            if position < low or ((tensor, memory) in self.design.bypass and memory != self.scope.root):
                continue
            bits = self._bits(tensor, position)
            if bits <= self.room[memory] or memory == self.scope.root:
                self.room[memory] -= bits
                self.placed.trunk[memory, tensor] = position
                return

    def _place_external(self, memory: str, inner: dict[str, int]) -> None:
        low, high = self.window(memory)
        mine: dict[str, int] = {}
        for tensor in self.tensors:
            if self.internal(tensor) or (tensor, memory) in self.design.bypass:
                continue
            highest = min(high, inner[tensor], self.limit(tensor))
            if highest < low:
                continue
            position = self._settled(tensor, highest, low)
            bits = self._bits(tensor, position)
            if bits <= self.room[memory]:
                self.room[memory] -= bits
                mine[tensor] = position
        while True:
            best: tuple[float, float, str, int] | None = None
            for tensor, position in mine.items():
                now, held = self.fills(tensor, position), self._bits(tensor, position)
                for other in range(low, position):
                    if self._settled(tensor, other, low) != other:
                        continue
                    saved, extra = now - self.fills(tensor, other), self._bits(tensor, other) - held
                    if saved <= 0 or extra > self.room[memory]:
                        continue
                    rank = (saved / max(extra, 1.0), saved, tensor, other)
                    if best is None or rank > best:
                        best = rank
            if best is None:
                break
            _, _, tensor, other = best
            self.room[memory] -= self._bits(tensor, other) - self._bits(tensor, mine[tensor])
            mine[tensor] = other
        for tensor, position in mine.items():
            inner[tensor] = position
            self.placed.trunk[memory, tensor] = position

    def _settled(self, tensor: str, position: int, low: int) -> int:
        """The outermost position with the same footprint: above loops that do not touch the tensor."""
        while position > low and (not self._touches(position - 1, tensor) or self.steps[position - 1] == 1):
            if isinstance(self.trunk[position - 1], Spatial):
                break
            position -= 1
        return position

    def fills(self, tensor: str, position: int) -> float:
        """Bits that enter one copy of a keep at a position over the run, reuse along loops that do not touch the tensor included."""
        last = max((at for at in range(position) if self.steps[at] > 1 and self._touches(at, tensor)), default=-1)
        count = 1.0
        for at in range(last + 1):
            if isinstance(self.trunk[at], For):
                count *= self.steps[at]
        return count * self._words(tensor, position) * self.scope.bits[tensor]

    def _place_in_leaves(self) -> None:
        self.placed.leaves = [{} for _ in self.leaves]
        demand: dict[tuple[int, str], float] = {}
        levels: dict[str, list[int]] = {}
        for number, leaf in enumerate(self.leaves):
            for step in self.scope.below(self.design.home, leaf.unit) or ():
                if step.memory is not None:
                    levels.setdefault(step.memory.name, []).append(number)
        shared = self.design.schedule != "sequential"
        for memory in sorted(levels, key=lambda name: -self.scope.depth[name]):
            offers: list[tuple[float, int, str, int, float, float]] = []
            for number in levels[memory]:
                leaf = self.leaves[number]
                for tensor in dict.fromkeys((*self.scope.reads[leaf.einsum], self.scope.writes[leaf.einsum])):
                    if (tensor, memory) in self.design.bypass or (memory, tensor) in self.placed.trunk:
                        continue
                    wanted = demand.get((number, tensor)) or self._drawn(leaf, tensor, None)
                    position, bits = self._leaf_position(leaf, memory, tensor)
                    needed = self._drawn(leaf, tensor, position)
                    outer = self._parent(tensor)
                    gain = wanted * outer - needed * (outer + self.scope.weight[memory]) - wanted * self.scope.weight[memory]
                    if gain > 0:
                        offers.append((gain / bits, number, tensor, position, bits, needed))
            room = {number: self.room[memory] for number in levels[memory]}
            for _, number, tensor, position, bits, needed in sorted(offers, key=lambda offer: (-offer[0], offer[1:3])):
                if bits <= room[number]:
                    for other in room if shared else (number,):
                        room[other] -= bits
                    self.placed.leaves[number][memory, tensor] = position
                    demand[number, tensor] = needed

    def _parent(self, tensor: str) -> float:
        """Weight of the innermost memory that keeps a tensor above the leaves."""
        holders = [memory for memory, held in self.placed.trunk if held == tensor]
        return self.scope.weight[max(holders, key=lambda name: self.scope.depth[name])] if holders else self.scope.weight[self.scope.root]

    def _leaf_position(self, leaf: PlannedLeaf, memory: str, tensor: str) -> tuple[int, float]:
        """Where a memory inside a leaf keeps a tensor (own loops above it), and the bits of its tile."""
        position = innermost(self.scope, memory, leaf.loops)
        left = dict(self.lefts[-1][leaf.einsum])
        for loop in leaf.loops[:position]:
            left[loop.rank] = min(left[loop.rank], loop.tile)
        words = self.scope.words(tensor, left, self.scope.alone[leaf.einsum], left)
        return position, words * self.scope.bits[tensor] * self.copies.get(tensor, 1)

    def _drawn(self, leaf: PlannedLeaf, tensor: str, position: int | None) -> float:
        """Bits that a keep at a position (None: the unit itself) draws from the memories outside the leaf over the run."""
        end = None if position is None else len(self.trunk) + position
        return drawn(self.scope, leaf.einsum, tensor, (*self.trunk, *leaf.loops), self.left[0], end)


def needed_again(scope: Scope, names: Sequence[str], trunk: Sequence[TrunkLoop]) -> list[str]:
    """Tensors made and used up below a trunk of which some loop needs parts in several iterations."""
    if len(names) < 2 or not scope.facts.renames:
        return []
    placer = Placer(scope, names, Design("", tuple(trunk)), ())
    return [tensor for tensor in placer.tensors if placer.internal(tensor) and placer.limit(tensor) < len(trunk)]


def nodes(scope: Scope, design: Design, placed: Placed) -> list[TreeNode]:
    """The trunk with its keeps in place, outermost first."""
    return list(_interleaved(scope, design.trunk, placed.trunk, dict(design.copies)))


def _interleaved(
    scope: Scope, loops: Sequence[TrunkLoop], keeps: dict[tuple[str, str], int], copies: dict[str, int]
) -> list[For | Spatial | Keep]:
    found: list[For | Spatial | Keep] = []
    by_position: dict[int, dict[str, list[str]]] = {}
    for (memory, tensor), position in keeps.items():
        by_position.setdefault(position, {}).setdefault(memory, []).append(tensor)
    for position in range(len(loops) + 1):
        held = by_position.get(position, {})
        for memory in sorted(held, key=lambda name: scope.depth[name]):
            found.append(Keep(memory, tuple(Held(tensor, copies.get(tensor, 1)) for tensor in sorted(held[memory]))))
        if position < len(loops):
            found.append(loops[position])
    return found


def interleaved(scope: Scope, design: Design, leaf: PlannedLeaf, keeps: dict[tuple[str, str], int]) -> tuple[For | Spatial | Keep, ...]:
    """A leaf's own loops with its keeps in place."""
    return tuple(_interleaved(scope, leaf.loops, keeps, dict(design.copies)))
