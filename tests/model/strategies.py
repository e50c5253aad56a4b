"""Random legal (cascade, machine, mapping, counting) triples of a size that a replay walks in milliseconds."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil

from hypothesis import strategies as st

from accelsim.hardware.architecture import Architecture, Array, Axis, Memory, Network, Node, Unit
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Loop, Mapping, Spatial, TreeNode
from accelsim.model.options import CHOICES, Counting
from accelsim.workload.cascade import Cascade, Einsum
from tests.model.problems import Choices, Group, Problem, problem, recurrence, running
from tests.model.published import unit

Triple = tuple[Cascade, Architecture, Mapping, Counting]
OPERATORS = ("add", "max", "min", "mul")


def triples() -> st.SearchStrategy[Triple]:
    """Random triples that hypothesis can shrink."""

    @st.composite
    def drawn(draw: st.DrawFn) -> Triple:
        return triple(Choices(lambda count: draw(st.integers(0, count - 1))))

    return drawn()


def seeded_triples(seed: int, number: int) -> Iterator[Triple]:
    """The same triples without hypothesis, several times as fast, the same ones for the same seed."""
    rng = random.Random(seed)
    for _ in range(number):
        yield triple(Choices(rng.randrange))


def recurrent_triples(seed: int, number: int) -> Iterator[Triple]:
    """The same of recurrences only, many of whose slices leave a memory and come back."""
    rng = random.Random(seed)
    for _ in range(number):
        c = Choices(rng.randrange)
        yield triple(c, c.pick([recurrence, recurrence, running])(c))


def triple(c: Choices, made: Problem | None = None) -> Triple:
    """One triple from a source of decisions."""
    made = made or problem(c)
    machine = architecture(c)
    counting = Counting(**{option: values[1] if c.chance(30) else values[0] for option, values in CHOICES.items()})
    return made.cascade, machine, mapping(c, made, machine), counting


def architecture(c: Choices) -> Architecture:
    """One to four memories in a chain, arrays of up to two axes anywhere between, a unit inside and perhaps one further out."""
    memories = c.number(1, 4)
    vector_at = c.below(memories) if c.chance(35) else None
    feeds: tuple[Node, ...] = (unit("PE", c.pick([1, 1, 2, 3])),)
    for level in reversed(range(memories)):
        for number in range(c.pick([0, 1, 1, 2]) if level else c.pick([0, 0, 1])):
            axes = tuple(
                Axis(f"x{level}{number}{place}", c.number(1, 4), c.chance(60), OPERATORS if c.chance(50) else ())
                for place in range(c.number(1, 2))
            )
            feeds = (Array(f"array{level}{number}", axes, feeds=feeds),)
        if vector_at == level:
            feeds = (unit("V", 2), *feeds)
        feeds = (Memory(f"L{level}", feeds=feeds),)
    assert isinstance(feeds[0], Memory)
    return Architecture("machine", feeds[0], Fraction(10**9))


def networked(machine: Architecture, network: Callable[[], Network | None]) -> Architecture:
    """The same machine where every array has a network that is made for it."""

    def linked(node: Node) -> Node:
        if isinstance(node, Unit):
            return node
        feeds = tuple(linked(child) for child in node.feeds)
        return replace(node, feeds=feeds, network=network()) if isinstance(node, Array) else replace(node, feeds=feeds)

    root = linked(machine.root)
    assert isinstance(root, Memory)
    return replace(machine, root=root)


@dataclass
class State:
    """Where a path through the loop tree stands.

    `place`: index in the machine's chain of the memory whose keeps may stand here. `left`: what the loops above leave of each rank.
    `used`: copies of each axis in use. `kept`: (memory, tensor) on this path. `budget`: how many more loops there may be.
    """

    chain: list[Memory | Array]
    place: int
    left: dict[str, int]
    used: dict[str, int] = field(default_factory=dict)
    kept: set[tuple[str, str]] = field(default_factory=set)
    budget: int = 6

    def branch(self) -> State:
        """A copy that a branch may change."""
        return replace(self, left=dict(self.left), used=dict(self.used), kept=set(self.kept))

    @property
    def memory(self) -> str:
        """The memory whose keeps may stand here."""
        return self.chain[self.place].name

    def holds(self, tensor: str) -> bool:
        """Whether a keep on this path holds the tensor."""
        return any(tensor == kept for _, kept in self.kept)


def mapping(c: Choices, made: Problem, machine: Architecture) -> Mapping:
    """A legal mapping of a problem on a machine made by `architecture`."""
    writer = Writer(c, made, machine)
    state = State([node for node in machine.paths["PE"] if isinstance(node, (Memory, Array))], 0, dict(made.cascade.extents))
    outer = [name for name, tensor in made.cascade.tensors.items() if tensor.is_input or tensor.is_output]
    spilled = [name for name in made.cascade.tensors if name not in outer and c.chance(25)]
    nodes: list[TreeNode] = [*writer.keep(state, c.shuffled([*outer, *spilled]))]
    body: Group | str = made.body if len(made.body.members) > 1 else made.body.members[0]
    nodes += writer.leaf(body, state) if isinstance(body, str) else writer.group(body, state)
    return Mapping(made.cascade.name, tuple(nodes))


@dataclass
class Writer:
    """Writes loop trees that are legal for one problem on one machine."""

    c: Choices
    made: Problem
    machine: Architecture

    def keep(self, state: State, tensors: list[str]) -> list[Loop]:
        """A keep of these tensors at the memory where the path stands; a part of a tile only where something outside holds the rest."""
        tensors = [tensor for tensor in tensors if (state.memory, tensor) not in state.kept]
        held = tuple(
            Held(tensor, fraction=self.c.pick([Fraction(1, 2), Fraction(1, 3), Fraction(3, 4), Fraction(1, 5)]))
            if state.holds(tensor) and self.c.chance(12)
            else Held(tensor)
            for tensor in tensors
        )
        keeps: list[Loop] = [Keep(state.memory, held)] if held else []
        state.kept |= {(state.memory, tensor) for tensor in tensors}
        return keeps

    def turn(self, state: State, rank: str, tile: int = 0) -> For:
        """A loop in time over a rank, with any tile that is legal."""
        tile = tile or self.c.number(1, state.left[rank])
        state.left[rank] = tile
        state.budget -= 1
        return For(rank, tile)

    def spread(self, state: State, axes: tuple[Axis, ...], ranks: list[str]) -> list[Loop]:
        """Loops over the copies of an array, perhaps several along one axis, never more copies than the axis has."""
        loops: list[Loop] = []
        for axis in self.c.shuffled(list(axes)):
            while ranks and state.budget > 0 and self.c.chance(65):
                rank, room = self.c.pick(ranks), axis.size // state.used.get(axis.name, 1)
                tile = self.c.number(ceil(state.left[rank] / room), state.left[rank])
                state.used[axis.name] = state.used.get(axis.name, 1) * ceil(state.left[rank] / tile)
                state.left[rank] = tile
                state.budget -= 1
                loops.append(Spatial(axis.name, rank, tile))
        return loops

    def leaf(self, name: str, state: State) -> list[TreeNode]:
        """The nodes of a branch that ends in an Einsum, from where the path stands inwards."""
        c, einsum = self.c, self.made.cascade.by_name[name]
        state.budget = max(state.budget, 2)
        units = [found for found in self.machine.units if len(self.machine.paths[found]) > state.place + 1]
        chosen = c.pick([*("PE" for found in units if found == "PE"), *units])
        end = len([node for node in self.machine.paths[chosen] if isinstance(node, (Memory, Array))])
        tensors = list(dict.fromkeys(access.tensor for access in (*einsum.reads, einsum.output)))
        spreadable = [rank for rank in einsum.ranks if rank not in self.made.serial]
        loops: list[Loop] = []
        first = True
        for place in range(state.place, end):
            node = state.chain[place]
            if isinstance(node, Array):
                loops += self.spread(state, node.axes, spreadable)
                continue
            state.place = place
            items = [("keep", tensor) for tensor in c.subset(tensors, 25 if first else 55)]
            items += [("for", c.pick(einsum.ranks)) for _ in range(c.pick([0, 1, 1, 2, 3])) if einsum.ranks and state.budget > 0]
            first = False
            for kind, what in c.shuffled(items):
                loops += self.keep(state, [what]) if kind == "keep" else [self.turn(state, what)]
        loops = merged(c, loops)
        cut = c.number(0, len(loops))
        return [*loops[:cut], Leaf(name, chosen, tuple(loops[cut:]))]

    def group(self, group: Group, state: State) -> list[TreeNode]:
        """Loops and keeps above a fuse, the keeps that are homes of what passes between its branches, and the branches."""
        c, cascade = self.c, self.made.cascade
        inside = [cascade.by_name[name] for name in group.leaves]
        local = [tensor for tensor in self.passed(group) if not state.holds(tensor)]
        trunk: list[tuple[Loop, int]] = []  # a node and the place of the memory whose keeps may stand above it, -1 for none
        depth = c.pick([place for place, node in enumerate(state.chain) if isinstance(node, Memory) and place >= state.place])
        turning = [rank for rank in cascade.extents if self.may_turn(rank, inside)]
        spreadable = [rank for rank in turning if self.may_spread(rank, inside)]
        if len(inside) > len(group.members):  # what passes inside a member stays in one iteration of the loops above this group
            turning = spreadable
        for first, second, percent in self.made.apart:
            left_out = first if c.chance(percent) else second
            turning = [rank for rank in turning if rank != left_out]
        shared = [tensor for tensor in cascade.tensors if state.holds(tensor)]
        for place in range(state.place, depth + 1):
            node = state.chain[place]
            if isinstance(node, Array):
                trunk += [(loop, -1) for loop in self.spread(state, node.axes, spreadable)]
                continue
            state.place = place
            items = [("keep", tensor) for tensor in shared if c.chance(20 if cascade.tensors[tensor].is_input else 45)]
            items += [("for", c.pick(turning)) for _ in range(c.pick([0, 1, 2, 2])) if turning]
            for kind, what in c.shuffled(items):
                if kind == "for":
                    trunk.append((self.turn(state, what), place))
                elif all(self.home_may_be_below(what, loop, inside, False) for loop, _ in trunk):
                    trunk += [(loop, place) for loop in self.keep(state, [what])]
        if group.forced and state.left[group.forced] > 1:
            trunk.append((self.turn(state, group.forced, 1), state.place))
        above: list[tuple[Loop | None, int]] = [*trunk, (None, state.place)]
        recompute: list[str] = []
        homes: dict[int, list[tuple[int, str]]] = {}
        in_branches: list[str] = []
        for tensor in local:
            again = c.chance(50)
            last = 0
            loops = [loop for loop, _ in trunk]
            while last < len(trunk) and self.home_may_be_below(tensor, loops[last], inside, again):
                last += 1
            slots = [slot for slot in range(last + 1) if above[slot][1] >= 0 and not self.between(tensor, loops[:slot], loops[slot:])]
            slot = slots[-1] if not slots or c.chance(60) else c.pick(slots)
            if any(self.reruns(tensor, loop) for loop in loops[:slot]):
                recompute.append(tensor)
            if slot == len(trunk) and c.chance(40):
                in_branches.append(tensor)
            else:
                homes.setdefault(slot, []).append((above[slot][1], tensor))
                state.kept.add((state.chain[above[slot][1]].name, tensor))
        nodes: list[TreeNode] = []
        for slot, (loop, _) in enumerate(above):
            for place, tensor in homes.get(slot, []):
                nodes.append(Keep(state.chain[place].name, (Held(tensor),)))
            nodes += [loop] if loop else []
        branches = tuple(tuple(self.member(member, state, in_branches)) for member in group.members)
        schedule = c.pick(["sequential", "pipelined", "sequential", "staged"])
        return [*self.overwritten(merged(c, nodes)), Fuse(schedule, branches, recompute=tuple(recompute))]

    def member(self, member: Group | str, state: State, in_branches: list[str]) -> list[TreeNode]:
        """One branch of a fuse, which begins with the keeps of what passes between branches and has its home in them."""
        branch = state.branch()
        names = member.leaves if isinstance(member, Group) else (member,)
        einsums = [self.made.cascade.by_name[name] for name in names]
        touched = {access.tensor for einsum in einsums for access in (*einsum.reads, einsum.output)}
        nodes: list[TreeNode] = list(self.keep(branch, [tensor for tensor in in_branches if tensor in touched]))
        branch.budget = min(branch.budget, 3)
        return nodes + (self.group(member, branch) if isinstance(member, Group) else self.leaf(member, branch))

    def passed(self, group: Group) -> list[str]:
        """Tensors that pass between the members of a group, and not only inside one of them."""
        cascade = self.made.cascade
        found = []
        for tensor, producers in cascade.producers.items():
            names = {einsum.name for einsum in (*producers, *cascade.consumers.get(tensor, ()))}
            within = [set(member.leaves) if isinstance(member, Group) else {member} for member in group.members]
            if names <= set(group.leaves) and not any(names <= part for part in within):
                found.append(tensor)
        return found

    def handed_on(self, inside: list[Einsum]) -> Iterator[tuple[Einsum, Einsum]]:
        """Producers and consumers that both stand in a group."""
        for producer in inside:
            for consumer in inside:
                if consumer is not producer and any(read.tensor == producer.output.tensor for read in consumer.reads):
                    yield producer, consumer

    def aligned(self, rank: str, producer: Einsum, consumer: Einsum) -> bool:
        """Whether a consumer reads, while a loop over a rank stands still, just what its producer then makes (or an earlier slice)."""
        cascade, tensor = self.made.cascade, producer.output.tensor
        written = cascade.index_maps(producer.output)
        iterative = cascade.tensors[tensor].iterative
        for read in consumer.reads:
            if read.tensor != tensor:
                continue
            for dimension, index in enumerate(cascade.index_maps(read)):
                made = written[dimension]
                assert index is not None and made is not None
                if rank in made.ranks and index != made and not (dimension == iterative and index.ranks == made.ranks):
                    return False
                if rank in index.ranks and rank not in made.ranks:
                    return False
        return True

    def may_turn(self, rank: str, inside: list[Einsum]) -> bool:
        """Whether a loop in time over a rank may stand above Einsums that feed each other."""
        if rank not in inside[-1].ranks and not (rank in self.made.serial and any(rank in einsum.ranks for einsum in inside)):
            return False
        return all(
            rank not in producer.reduced and (rank not in producer.ranks or self.aligned(rank, producer, consumer))
            for producer, consumer in self.handed_on(inside)
        )

    def may_spread(self, rank: str, inside: list[Einsum]) -> bool:
        """Whether a loop over copies may stand above Einsums that feed each other: each copy feeds itself."""
        if rank in self.made.serial or not all(rank in einsum.ranks for einsum in inside):
            return False
        return all(rank not in producer.reduced and self.aligned(rank, producer, consumer) for producer, consumer in self.handed_on(inside))

    def home_may_be_below(self, tensor: str, loop: Loop, inside: list[Einsum], again: bool) -> bool:
        """Whether a tensor may have its home below a loop: nothing of it passes to the next iteration, or it is computed again."""
        if isinstance(loop, Keep):
            return True
        if loop.rank in self.made.serial and self.made.cascade.tensors[tensor].iterative is not None:
            return False
        producer = next((einsum for einsum in inside if einsum.output.tensor == tensor), None)
        if producer is None:
            return True
        if loop.rank in producer.ranks:
            return all(self.aligned(loop.rank, producer, consumer) for consumer in inside if consumer is not producer)
        plain = producer.condition is None and self.made.cascade.tensors[tensor].iterative is None
        return again and plain and isinstance(loop, For)

    def reruns(self, tensor: str, loop: Loop) -> bool:
        """Whether a loop above the home of a tensor makes its producer run again."""
        (producer,) = self.made.cascade.producers[tensor]
        return not isinstance(loop, Keep) and loop.rank not in producer.ranks

    def between(self, tensor: str, outer: list[Loop], inner: list[Loop]) -> bool:
        """Whether a home between these loops would stand between two over a rank that its producer lacks."""
        ranks = {loop.rank for loop in outer if not isinstance(loop, Keep) and self.reruns(tensor, loop)}
        return any(not isinstance(loop, Keep) and loop.rank in ranks for loop in inner)

    def overwritten(self, nodes: list[TreeNode]) -> list[TreeNode]:
        """The nodes, with a result in the space of its operand where both are held by one keep and that is allowed."""
        if self.made.in_place is None:
            return nodes
        old, new = self.made.in_place
        out: list[TreeNode] = []
        for node in nodes:
            if isinstance(node, Keep) and {old, new} <= set(node.tensors):
                held = tuple(replace(one, in_place=(new,)) if one.tensor == old else one for one in node.held if one.tensor != new)
                node = Keep(node.memory, held)
            out.append(node)
        return out


def merged(c: Choices, nodes: list) -> list:  # type: ignore[type-arg]
    """The nodes with some neighbouring keeps of one memory written as one."""
    out: list[TreeNode] = []
    for node in nodes:
        before = out[-1] if out else None
        if isinstance(node, Keep) and isinstance(before, Keep) and before.memory == node.memory and c.chance(70):
            out[-1] = Keep(node.memory, (*before.held, *node.held))
        else:
            out.append(node)
    return out
