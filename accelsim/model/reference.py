"""Words, operations and issues by replay: the loop nest walked iteration by iteration with Python sets; the twin of `kernels.py`.

It starts from Cascade, Architecture and Mapping and is written to be believed at sight; use it on small shapes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from accelsim.errors import IllegalMapping, did_you_mean
from accelsim.hardware.architecture import Architecture, Array, Node, Unit
from accelsim.mapping.tree import Address, Fuse, Keep, Mapping
from accelsim.model.options import Counting
from accelsim.model.reference_nest import NOTHING, Box, Copy, Footprint, Nest, Stream, Tile, Time, Word, build_nests, share_held, streams
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.dependence import Step, dependences, order
from accelsim.workload.expression import Access, names
from accelsim.workload.operators import cover


def _stepped(einsum: Einsum, cascade: Cascade) -> tuple[str, ...]:
    """Ranks of the steps around an Einsum in the order in which the reference interpreter runs the cascade."""
    found: tuple[str, ...] = ()
    waiting: list[tuple[object, tuple[str, ...]]] = [
        (each, ()) for each in order(cascade.einsums, dependences(cascade.einsums, cascade.sizes, cascade.extents))
    ]
    while waiting:
        each, ranks = waiting.pop()
        if isinstance(each, Step):
            waiting += [(part, (*ranks, each.rank)) for part in each.body]
        elif isinstance(each, Einsum) and each.name == einsum.name:
            found = ranks
    return found


def _is_scanned(einsum: Einsum, unit: Unit, cascade: Cascade) -> bool:
    """Whether a unit has the primitive that takes many steps of this recurrence at once."""
    return cover(einsum, unit.accepting(cascade.operand_types(einsum))) == {"scan": 1}


def count(cascade: Cascade, architecture: Architecture, mapping: Mapping, counting: Counting | None = None) -> dict[str, Any]:
    """Operations of every Einsum and words of every (einsum, tensor, memory), by walking the mapping.

    Returns `einsums`: {einsum: {operations, masked, issues}}; `words`: {(einsum, tensor, memory): {reads, fills, updates, drains}} over
    all copies and the whole run, where the Einsum is the one whose leaf pays; `first_copy`: the same for copy 0 of each memory;
    `networks`: {(einsum, tensor, array): {down, up, first_down, first_up}} of arrays that state a network, over all copies and of copy 0.
    Refuses a tensor that no keep holds, an index that is not affine with `//` and `%`, a condition on data, and shapes of more than
    four million points. Source: docs/model.md, "Counting".
    """
    counting = counting or Counting()
    nests = build_nests(cascade, mapping)
    einsums: dict[str, dict[str, int]] = {}
    words: dict[tuple[str, str, str], Counter[str]] = {}
    first_copy: dict[tuple[str, str, str], Counter[str]] = {}
    networks: dict[tuple[str, str, str], Counter[str]] = {}
    paid: set[object] = set()
    for nest in nests.values():
        name, unit = nest.einsum.name, architecture.units.get(nest.leaf.unit)
        if unit is None:
            mend = did_you_mean(nest.leaf.unit, architecture.units)
            raise IllegalMapping(f"no unit '{nest.leaf.unit}' for {name}", mend, nest.leaf.place)
        flows = [
            flow
            for access, is_output in [*((read, False) for read in streams(cascade, nest.einsum)), (nest.einsum.output, True)]
            if (flow := _flow(access, is_output, nest, nests, architecture, counting, paid))
        ]
        waits = () if unit.lanes == 1 or _is_scanned(nest.einsum, unit, cascade) else _stepped(nest.einsum, cascade)
        operations = points = issues = 0
        for level, time, tiles in nest.visits():
            if level == nest.residual:
                operations += sum(nest.satisfied(point) for tile in tiles.values() for point in nest.points(tile))
                points += sum(nest.size(tile) for tile in tiles.values())
                tile = tiles[(0,) * nest.depth(level)]
                steps = math.prod(max(0, tile[rank][1] - tile[rank][0]) for rank in waits)
                issues += steps * -(-nest.size(tile) // max(1, steps) // unit.lanes)
            for flow in flows:
                for crossing in (*flow.crossings, *(link.crossing for link in flow.links)):
                    if crossing.child == level:
                        crossing.arrive(time, tiles, flow.footprint if level < len(nest.steps) else flow.at_point)
        einsums[name] = {"operations": operations, "masked": points - operations, "issues": issues}
        for flow in flows:
            for memory, total, first in flow.account():
                key = (name, flow.tensor, memory)
                words.setdefault(key, Counter()).update(total)
                first_copy.setdefault(key, Counter()).update(first)
            for link in flow.links:
                networks.setdefault((name, flow.tensor, link.array), Counter()).update(flow.linked(link))
    kinds = ("reads", "fills", "updates", "drains")
    return {
        "einsums": einsums,
        "words": {key: {kind: counts[kind] for kind in kinds} for key, counts in words.items()},
        "first_copy": {key: {kind: counts[kind] for kind in kinds} for key, counts in first_copy.items()},
        "networks": {key: {kind: row[kind] for kind in ("down", "up", "first_down", "first_up")} for key, row in networks.items()},
    }


@dataclass(slots=True)
class Crossing:
    """The boundary between a keeper (the parent) and the next keeper inwards, or the unit (the child), for one stream.

    `above`: spatial loops above the parent; `shares`: for every spatial loop between the two, whether its axis shares what is equal.
    `entry`: time loops that empty the child when they turn. `fresh`: time loops above a result's
    home, which start it afresh when they turn. `made`: for reads of earlier slices of a recurrence that is made below the child,
    what the same tile makes. `follows`: whether these slices are read next, word for word, so that they are there if nothing else came.
    """

    child: int
    above: int
    shares: tuple[bool, ...]
    entry: tuple[int, ...]
    fresh: tuple[int, ...]
    forgets: bool
    made: Footprint | None = None
    follows: bool = False
    last: dict[Copy, Box] = field(default_factory=dict)
    seen: dict[Copy, set[Word]] = field(default_factory=dict)
    epoch: tuple[Time, Time] = ((), ())
    entering: Counter[Copy] = field(default_factory=Counter)
    grouped: Counter[Copy] = field(default_factory=Counter)
    distinct: Counter[Copy] = field(default_factory=Counter)
    begun: Counter[Copy] = field(default_factory=Counter)
    known: dict[tuple[Copy, Copy], set[Word]] = field(default_factory=dict)
    returned_to_one: Counter[Copy] = field(default_factory=Counter)
    returned_to_group: Counter[Copy] = field(default_factory=Counter)
    returned_to_all: Counter[Copy] = field(default_factory=Counter)

    def arrive(self, time: Time, tiles: dict[Copy, Tile], footprint: Footprint) -> Box:
        """One visit of tiles; returns the words that come to some copy."""
        boxes = {copy: footprint.box(tile) for copy, tile in tiles.items()}
        if self.made is None:
            return self.move(time, boxes, boxes)
        slices, needed, left = self.made.cascade.tensors[self.made.access.tensor].iterative, {}, {}
        assert slices is not None
        for copy, tile in tiles.items():
            here = set(self.made.coordinates(slices, tile))  # slices that this visit makes itself, before it reads them
            needed[copy] = frozenset(word for word in boxes[copy] if word[slices] not in here)
            left[copy] = boxes[copy] | self.made.box(tile) if self.follows else boxes[copy]
        return self.move(time, needed, left)

    def move(self, time: Time, boxes: dict[Copy, Box], left: dict[Copy, Box]) -> Box:
        """One visit: every copy of the child that has a tile gets its box, and has in the end what is left."""
        brought: set[Word] = set()
        epoch = (tuple(time[place] for place in self.entry), tuple(time[place] for place in self.fresh))
        if epoch != self.epoch or self.forgets:
            self.last = {}
        if epoch[1] != self.epoch[1]:
            self.seen, self.known = {}, {}
        self.epoch = epoch
        groups: dict[tuple[Copy, Copy, Box], list[Copy]] = {}
        for copy in sorted(boxes):
            box, parent = boxes[copy], copy[: self.above]
            apart = tuple(place for place, shared in zip(copy[self.above :], self.shares, strict=True) if not shared)
            new = box - self.last.get(copy, NOTHING)
            brought |= new
            self.entering[copy] += len(new)
            self.returned_to_all[copy] += len(new & self.seen.get(parent, set()))
            if box:
                groups.setdefault((parent, apart, box), []).append(copy)
        for (parent, apart, box), members in groups.items():
            moved = box - frozenset.intersection(*(self.last.get(copy, NOTHING) for copy in members))
            seen = self.seen.setdefault(parent, set())
            self.grouped[parent] += len(moved)
            self.distinct[parent] += len(moved - seen)
            self.returned_to_one[members[0]] += len(moved & seen)
            known = self.known.setdefault((parent, apart), set())
            self.begun[parent] += len(moved - known)
            self.returned_to_group[members[0]] += len(moved & known)
            seen |= moved
            known |= moved
        self.last.update(left)
        return frozenset(brought)


def _inside(counts: Counter[Copy], depth: int) -> int:
    """The sum of counts over the copies that are copy 0 of the first `depth` spatial loops."""
    return sum(words for copy, words in counts.items() if not any(copy[:depth]))


@dataclass(slots=True)
class Link:
    """The network of an array between a keeper (its place among the keepers) and what is further in.

    `crossing`: what comes to each copy of the array as a whole; nothing does if its boundary is not crossed (`idle`).
    """

    array: str
    place: int
    crossing: Crossing
    idle: bool


@dataclass(slots=True)
class Flow:
    """One stream of a leaf: its keepers (level, memory, share held) from outside in, and the boundaries that it crosses."""

    nest: Nest
    tensor: str
    is_output: bool
    counting: Counting
    footprint: Footprint
    at_point: Footprint
    keepers: list[tuple[int, str, Fraction]]
    crossings: list[Crossing]
    links: list[Link] = field(default_factory=list)

    def linked(self, link: Link) -> Counter[str]:
        """Words that cross a network down and up, in all and in the first of its copies.

        Each crosses once for all copies below that are served together, or whose parts are combined; parts of a result come down again
        where parts of the same went up before. What a fraction further in has no room for crosses as well.
        """
        found = Counter[str]()
        for prefix, depth in (("", 0), ("first_", link.crossing.above)):
            if not link.idle:
                moved = _inside(link.crossing.grouped, depth)
                by_child = self.counting.first_touch == "child"
                again = moved - _inside(link.crossing.begun if by_child else link.crossing.distinct, depth)
                inner = link.place + 1
                ways = {"up": moved, "down": again} if self.is_output else {"down": moved}
                whole = link.crossing.child >= self.nest.residual
                found.update({prefix + way: words if whole else self.stays(inner, words) for way, words in ways.items()})
            if link.place + 1 < len(self.keepers):
                rest = self.passed(link.place + 1, depth)
                found.update({prefix + "down": rest["reads"], prefix + "up": rest["updates"]})
        return found

    def passed(self, place: int, depth: int) -> Counter[str]:
        """Accesses of a keeper that it has no room for, in copy 0 of the first `depth` spatial loops."""
        whole, own = self.asked(depth)[place], Counter[str]()
        for kind in ("reads", "updates"):
            own[kind] = whole[kind] - self.stays(place, whole[kind])
        return own

    def account(self) -> Iterator[tuple[str, Counter[str], Counter[str]]]:
        """For every keeper: its memory, its words over all copies, and those of its copy 0."""
        whole = self.within(0)
        for place, (level, memory, _) in enumerate(self.keepers):
            yield memory, whole[place], self.within(self.nest.depth(level))[place]

    def within(self, depth: int) -> list[Counter[str]]:
        """The words of every keeper, counted in copy 0 of the first `depth` spatial loops."""
        found = self.asked(depth)
        for place in range(len(self.keepers) - 1, 0, -1):
            for kind in ("reads", "updates"):
                found[place][kind] = self.stays(place, found[place][kind])
        return found

    def asked(self, depth: int) -> list[Counter[str]]:
        """The same before fractions send on what they have no room for, but with what those further in have sent to them."""
        found = [Counter[str]() for _ in self.keepers]
        levels = [level for level, _, _ in self.keepers]
        for crossing in self.crossings:
            parent = max(place for place, level in enumerate(levels) if level < crossing.child)
            child = parent + 1 if crossing.child < self.nest.residual else None
            by_child = self.counting.first_touch == "child"
            moved, begun = _inside(crossing.grouped, depth), _inside(crossing.begun if by_child else crossing.distinct, depth)
            kind = "updates" if self.is_output else "reads"
            outer = Counter({kind: moved})
            inner: Counter[str] = Counter()
            if self.is_output:
                outer["reads"] = moved - begun
                if self.counting.returned_partials == "one":
                    inner["fills"] = _inside(crossing.returned_to_group if by_child else crossing.returned_to_one, depth)
                else:
                    inner["fills"] = _inside(crossing.returned_to_all, depth)
                inner["drains"] = _inside(crossing.entering, depth) if self.counting.drains == "charged" else 0
            else:
                inner["fills"] = _inside(crossing.entering, depth)
            if child is not None:
                found[parent].update({name: self.stays(child, words) for name, words in outer.items()})
                found[child].update({name: self.stays(child, words) for name, words in inner.items()})
            else:
                found[parent].update(outer)
        for place in range(len(self.keepers) - 1, 0, -1):
            for kind in ("reads", "updates"):
                found[place - 1][kind] += found[place][kind] - self.stays(place, found[place][kind])
        return found

    def stays(self, place: int, words: int) -> int:
        """The part of a number of words that falls on the share of its tile that a keeper holds."""
        level, _, share = self.keepers[place]
        if share == 1:
            return words
        tile = len(self.footprint.box(self.nest.first_tile(level)))
        return words * int(tile * share) // max(tile, 1)


def _flow(
    access: Access, is_output: bool, nest: Nest, nests: dict[str, Nest], architecture: Architecture, counting: Counting, paid: set[object]
) -> Flow:
    """A stream of a leaf with the boundaries that it crosses and that no leaf before it has paid for."""
    cascade, tensor = nest.cascade, access.tensor
    stream = (tensor, cascade.index_maps(access))
    levels = nest.keepers(tensor)
    keepers: list[tuple[int, str, Fraction]] = []
    for level in levels:
        keep = nest.nodes[level][1]
        assert isinstance(keep, Keep)
        keepers.append((level, keep.memory, share_held(keep, tensor) or Fraction(0)))
    if keepers[0][2] != 1:
        what = f"{keepers[0][1]} holds a part of {tensor} and nothing outside holds the rest"
        raise IllegalMapping(what, "keep it further out", nest.leaf.place)
    crossings: list[Crossing] = []
    links: list[Link] = []
    for number, (parent, child) in enumerate(zip(levels, [*levels[1:], len(nest.steps)], strict=True)):
        fresh = tuple(place for place, (level, _) in enumerate(nest.times(child)) if is_output and level < levels[0])
        here = _links(nest, number, keepers, child, is_output, fresh, architecture, counting)
        links += here
        if child < nest.residual:
            address = nest.nodes[child][0]
            if is_output and _stays_inside(tensor, address, nest, nests, counting):
                continue
            if not is_output:
                bill = (address, stream, nest.einsum.condition, tuple(_signature(nest, place) for place in range(child)))
                if _produced_inside(stream, address, cascade, nests) or _reads_the_last(stream, address, cascade, nests) or bill in paid:
                    continue
                paid.add(bill)
        shares: list[bool] = []
        for step in nest.spatial(child)[nest.depth(parent) :]:
            if step.axis not in architecture.axes:
                raise IllegalMapping(f"no axis '{step.axis}'", did_you_mean(str(step.axis), architecture.axes), nest.leaf.place)
            axis = architecture.axes[step.axis][1]
            shares.append(nest.einsum.reduce in axis.reduces if is_output else axis.multicast)
        found = _crossing(nest, child, nest.depth(parent), tuple(shares), fresh, counting)
        crossings.append(found if is_output or child >= nest.residual else _carried(found, access, nest, nests, counting))
        for link in here:
            link.idle = False
            if not is_output and child < nest.residual:
                _carried(link.crossing, access, nest, nests, counting)
    footprints = [Footprint(cascade, access, counting.footprint == "box", at_point) for at_point in (False, True)]
    return Flow(nest, tensor, is_output, counting, footprints[0], footprints[1], keepers, crossings, links)


def _links(
    nest: Nest, number: int, keepers: list[tuple[int, str, Fraction]], child: int, is_output: bool, fresh: tuple[int, ...],
    architecture: Architecture, counting: Counting,
) -> list[Link]:  # fmt: skip
    """The networks between a keeper and the level of the next one inwards, or the unit: idle as long as nothing is known to cross."""
    parent, memory, _ = keepers[number]
    target = keepers[number + 1][1] if number + 1 < len(keepers) else nest.leaf.unit
    steps, depth, found = nest.spatial(child), nest.depth(parent), []
    between = [node for node in architecture.paths[target] if isinstance(node, Array) and memory in _names(architecture.paths[node.name])]
    for array in between:
        if array.network is None:
            continue
        outer = {axis.name for other in between for axis in other.axes if array.name not in _names(architecture.paths[other.name])}
        above = max((at + 1 for at, step in enumerate(steps) if at >= depth and step.axis in outer), default=depth)
        if any(step.axis not in outer for step in steps[depth:above]):
            raise IllegalMapping(f"copies of {array.name} are not spread first", "put the outer array's loops outside", nest.leaf.place)
        if above > depth and number + 1 < len(keepers) and keepers[number + 1][2] != 1:
            raise IllegalMapping(f"a fraction streams through {array.name}", "hold it whole", nest.leaf.place)
        axes = [architecture.axes[str(step.axis)][1] for step in steps[above:]]
        shares = tuple(nest.einsum.reduce in axis.reduces if is_output else axis.multicast for axis in axes)
        found.append(Link(array.name, number, _crossing(nest, child, above, shares, fresh, counting), True))
    return found


def _names(path: tuple[Node, ...]) -> set[str]:
    """The names of nodes."""
    return {node.name for node in path}


def _crossing(
    nest: Nest, child: int, above: int, shares: tuple[bool, ...], fresh: tuple[int, ...], counting: Counting
) -> Crossing:
    fuses = [place for place, (_, node) in enumerate(nest.nodes[:child]) if isinstance(node, Fuse) and node.schedule == "sequential"]
    emptied = fuses[-1] if fuses else 0
    entry = tuple(number for number, (place, _) in enumerate(nest.times(child)) if place < emptied)
    forgets = counting.refill == "every_visit" or child == len(nest.steps)
    return Crossing(child, above, shares, entry, fresh, forgets)


def _carried(crossing: Crossing, access: Access, nest: Nest, nests: dict[str, Nest], counting: Counting) -> Crossing:
    """The same crossing, told what is made inside if the access reads earlier slices of a recurrence that is."""
    cascade, along = nest.cascade, nest.cascade.tensors[access.tensor].iterative
    producers = cascade.producers.get(access.tensor, ())
    if along is None or len(producers) != 1 or not _below(nests[producers[0].name], nest.nodes[crossing.child][0]):
        return crossing
    output = producers[0].output
    read, new = cascade.index_maps(access), cascade.index_maps(output)
    mine, theirs = read[along], new[along]
    if mine is None or theirs is None or mine.single_rank is None or mine.single_rank != theirs.single_rank or mine.offset >= theirs.offset:
        return crossing
    if nest.einsum.condition is not None and mine.single_rank in names(nest.einsum.condition):
        return crossing
    crossing.made = Footprint(cascade, output, counting.footprint == "box")
    others = [place for place in range(len(read)) if place != along]
    crossing.follows = mine.offset + 1 == theirs.offset and all(read[place] == new[place] for place in others)
    return crossing


def _reads_the_last(stream: Stream, address: Address, cascade: Cascade, nests: dict[str, Nest]) -> bool:
    """Whether a read is of one slice of a recurrence, once that has been made below the keep at an address."""
    tensor = cascade.tensors[stream[0]]
    index = stream[1][tensor.iterative] if tensor.iterative is not None else None
    producers = cascade.producers.get(stream[0], ())
    inside = bool(producers) and all(producer.name in nests and _below(nests[producer.name], address) for producer in producers)
    return inside and index is not None and not index.terms and index.offset >= tensor.constant_slices


def _signature(nest: Nest, level: int) -> object:
    """What makes a loop the same loop to two Einsums; a loop that restricts ranks is each Einsum's own."""
    step = nest.steps[level]
    return None if step is None else (level, step.how, nest.einsum.name if step.demand else "")


def _below(nest: Nest, address: Address) -> bool:
    return any(address == here for here, _ in nest.nodes)


def _produced_inside(stream: Stream, address: Address, cascade: Cascade, nests: dict[str, Nest]) -> bool:
    """Whether the words of a read are produced, at the same indices, below the keep at an address."""
    producers = cascade.producers.get(stream[0], ())
    same = any(cascade.index_maps(producer.output) == stream[1] for producer in producers)
    return same and all(producer.name in nests and _below(nests[producer.name], address) for producer in producers)


def _stays_inside(tensor: str, address: Address, nest: Nest, nests: dict[str, Nest], counting: Counting) -> bool:
    """Whether a result need not leave the keep at an address: an intermediate that is only read inside, and never brought back."""
    cascade = nest.cascade
    if cascade.tensors[tensor].is_output:
        return False
    consumers = [nests.get(consumer.name) for consumer in cascade.consumers.get(tensor, ())]
    return all(
        consumer is not None
        and _below(consumer, address)
        and all(
            not _comes_back(read, address, consumer, nests, counting)
            for read in consumer.einsum.reads
            if read.tensor == tensor
        )
        for consumer in consumers
    )


def _comes_back(read: Access, address: Address, nest: Nest, nests: dict[str, Nest], counting: Counting) -> bool:
    """Whether a read brings words that are made below the keep at an address back into it, seen by walking the nest."""
    cascade, stream = nest.cascade, (read.tensor, nest.cascade.index_maps(read))
    if _produced_inside(stream, address, cascade, nests) or _reads_the_last(stream, address, cascade, nests):
        return False
    child = next(level for level, (here, _) in enumerate(nest.nodes) if here == address)
    crossing = _carried(_crossing(nest, child, 0, (False,) * nest.depth(child), (), counting), read, nest, nests, counting)
    if crossing.made is None:
        return True
    footprint, along = Footprint(cascade, read, counting.footprint == "box"), cascade.tensors[read.tensor].iterative
    whole = nest.whole()
    made = {word[along] for word in crossing.made.box(whole)}  # type: ignore[index]
    brought = [crossing.arrive(time, tiles, footprint) for level, time, tiles in nest.visits() if level == child]
    return any(word[along] in made for box in brought for word in box)  # type: ignore[index]
