"""Whether values are there when they are read: homes of intermediates, order, reductions, recomputation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from accelsim.errors import IllegalMapping
from accelsim.mapping.facts import Edge, Facts
from accelsim.mapping.tree import For, Fuse, Keep, Spatial
from accelsim.mapping.walk import Row, Walk
from accelsim.workload.cascade import Einsum
from accelsim.workload.expression import IndexMap


@dataclass(slots=True)
class Homes:
    """A walk whose names are known, with the position of every keep of every tensor on every leaf's path, outermost first."""

    walked: Walk
    keepers: list[dict[str, list[int]]]
    numbers: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.numbers = self.walked.place_of()

    def home(self, number: int, tensor: str) -> Row:
        """The outermost keep of a tensor above a leaf."""
        return self.walked.paths[number][self.keepers[number][tensor][0]]


def broken_dependences(homes: Homes) -> Iterator[IllegalMapping]:
    """One problem for every value that is not where, or not ready when, it is needed."""
    yield from _homes(homes)
    order = list(_order(homes))
    yield from order
    if order:
        return
    for edge in homes.walked.facts.edges:
        yield from _loops_above_both(homes, edge)
    yield from _made_elsewhere(homes)


def _homes(homes: Homes) -> Iterator[IllegalMapping]:
    """A computed tensor has one home for its producers and consumers."""
    walked, numbers = homes.walked, homes.numbers
    for tensor, uses in walked.facts.uses.items():
        if not any(use.writes for use in uses):
            continue
        leaves = sorted({numbers[use.einsum] for use in uses})
        rows = [homes.home(number, tensor) for number in leaves]
        if all(row is rows[0] for row in rows):
            continue
        common = min(walked.common(leaves[0], number) for number in leaves[1:])
        other, spread = walked.leaves[leaves[0]].einsum, None
        for number, row in zip(leaves, rows, strict=True):
            keep, first = row.node, rows[0].node
            assert isinstance(keep, Keep) and isinstance(first, Keep)
            einsum = walked.leaves[number].einsum
            if keep.memory != first.memory:
                what = f"{tensor} has no common home: {first.memory} keeps it for {other}, {keep.memory} for {einsum}"
                yield IllegalMapping(what, f"keep {tensor} above the fuse that joins them", keep.place)
                break
            between = walked.paths[number][common : homes.keepers[number][tensor][0]]
            writes = any(use.writes and use.einsum == einsum for use in uses)
            turning = [inner.node for inner in between if isinstance(inner.node, For) and inner.trips > 1]
            moving = [loop for loop in turning if writes or loop.rank in walked.facts.indexing[tensor]]
            if moving:
                what = f"{tensor} passes between branches, but its keep {keep.memory} above {einsum} stands below for {moving[0].rank}"
                yield IllegalMapping(what, "keep it above that loop, or above the fuse", keep.place)
                break
            copies = [(loop.axis, loop.rank, loop.tile) for inner in between if inner.trips > 1 and isinstance(loop := inner.node, Spatial)]
            if spread is not None and copies != spread:
                what = f"{tensor} passes between branches, but {keep.memory} keeps it below other spatial loops for {einsum} than {other}"
                yield IllegalMapping(what, "use the same spatial loops above both keeps, or keep it above the fuse", keep.place)
                break
            spread = copies


def _order(homes: Homes) -> Iterator[IllegalMapping]:
    """A producer's branch comes before its consumers'; what reads an earlier slice may come first if one slice is in flight."""
    walked, numbers = homes.walked, homes.numbers
    seen: set[tuple[str, str]] = set()
    for edge in walked.facts.edges:
        producer, consumer = numbers[edge.producer], numbers[edge.consumer]
        if producer <= consumer or (edge.producer, edge.consumer) in seen:
            continue
        place = walked.leaves[consumer].place
        if edge.distance == 0:
            seen.add((edge.producer, edge.consumer))
            yield IllegalMapping(f"{edge.consumer} reads {edge.tensor} before {edge.producer} makes it", f"move {edge.producer} up", place)
            continue
        rank = edge.rank
        size = size_at_fuse(walked, producer, consumer, rank)
        if size > edge.distance:
            seen.add((edge.producer, edge.consumer))
            what = f"{edge.consumer} reads earlier slices of {edge.tensor} before {edge.producer} makes them, {size} at a time"
            yield IllegalMapping(what, f"loop 'for {rank}: {edge.distance}' above both, or move {edge.producer} up", place)


def size_at_fuse(walked: Walk, one: int, other: int, rank: str) -> int:
    """The size of a rank's tile at the lowest fuse above two leaves."""
    fuse = walked.paths[one][walked.common(one, other) - 1]
    return fuse.left.get(rank, 1)


def _loops_above_both(homes: Homes, edge: Edge) -> Iterator[IllegalMapping]:
    """Every loop above a producer and a consumer must leave the consumer only whole and present values."""
    walked, known, tensor = homes.walked, homes.walked.facts, edge.tensor
    producer, consumer = homes.numbers[edge.producer], homes.numbers[edge.consumer]
    path = walked.paths[producer]
    count = len(path) if producer == consumer else walked.common(producer, consumer)
    home = homes.keepers[producer].get(tensor, [0])[0]
    for position in range(count):
        row = path[position]
        if row.trips == 1:
            continue
        loop = row.node
        assert isinstance(loop, (For, Spatial))
        if loop.rank not in known.ranks[edge.producer]:
            yield from _foreign_loop(homes, edge, row, position, home < position)
            continue
        relation = _relation(known, edge, loop.rank)
        word = "for" if isinstance(loop, For) else f"spatial {loop.axis}"
        if relation == "reduced" and isinstance(loop, Spatial):
            if home > position:
                what = f"copies along {loop.axis} hold partial results of {tensor}, but {tensor} is kept inside {word} {loop.rank}"
                yield IllegalMapping(what, f"keep {tensor} above the loop, where the copies' results are combined", loop.place)
        elif relation == "reduced":
            what = f"{word} {loop.rank} stands above {edge.producer} and {edge.consumer}, but {edge.producer} reduces {loop.rank}"
            yield IllegalMapping(what, f"move the loop into the branch of {edge.producer}: no consumer may see partial results", loop.place)
        elif relation == "ahead" and (isinstance(loop, For) or home > position):
            what = f"{word} {loop.rank} stands above {edge.producer} and {edge.consumer}, which reads {tensor} beyond the tile just made"
            yield IllegalMapping(what, f"move the loop into the branches, or loop over a rank of {edge.consumer}", loop.place)
        elif relation in ("across", "summed") and isinstance(loop, For) and row.left.get(_slices(known, tensor), 1) > edge.distance:
            slices = _slices(known, tensor)
            state = "before they are whole" if relation == "summed" else "beyond the tile just made"
            what = f"{edge.consumer} reads earlier slices of {tensor} {state}: {slices} turns inside {word} {loop.rank}"
            yield IllegalMapping(what, f"write 'for {slices}: {edge.distance}' above it", loop.place)
        elif relation in ("behind", "across") and home > position:
            what = f"{edge.consumer} reads {tensor} of earlier iterations of {word} {loop.rank}, but {tensor} is kept inside that loop"
            yield IllegalMapping(what, f"keep {tensor} above the loop", loop.place)


def _slices(known: Facts, tensor: str) -> str:
    """The rank along which an iterative tensor advances."""
    return known.recurrence(known.cascade.tensors[tensor]) or ""


def _made_elsewhere(homes: Homes) -> Iterator[IllegalMapping]:
    """A keep inside the home that serves producer and consumers holds, at every visit, what is made in that visit: all of it."""
    walked, known = homes.walked, homes.walked.facts
    for number, leaf in enumerate(walked.leaves):
        einsum = known.einsums[leaf.einsum]
        tensor, path = einsum.output.tensor, walked.paths[number]
        positions = homes.keepers[number].get(tensor, [])
        if len(positions) < 2:
            continue
        made = {rank for index in known.cascade.index_maps(einsum.output) if index is not None for rank in index.ranks}
        for inner in positions[1:]:
            keep = path[inner]
            readers = [
                other for other in range(keep.first, keep.last) if other != number and tensor in homes.keepers[other]
            ]
            if not readers:
                continue
            assert isinstance(keep.node, Keep)
            for row in path[positions[0] + 1 : inner]:
                loop = row.node
                if not isinstance(loop, (For, Spatial)) or row.trips == 1 or loop.rank in made:
                    continue
                word = "for" if isinstance(loop, For) else f"spatial {loop.axis}"
                why = "are partial" if loop.rank in einsum.reduced else f"come from one of its iterations over {loop.rank}"
                what = f"{keep.node.memory} keeps {tensor} below '{word} {loop.rank}: {loop.tile}', where its values {why}"
                mend = f"keep {tensor} at {keep.node.memory} above that loop, or in the branches of its readers only"
                yield IllegalMapping(what, mend, keep.node.place)
                return


def _foreign_loop(homes: Homes, edge: Edge, row: Row, position: int, home_above: bool) -> Iterator[IllegalMapping]:
    """A loop over a rank that the producer does not have: is its result there in every iteration of the consumer?"""
    walked, known, loop = homes.walked, homes.walked.facts, row.node
    assert isinstance(loop, (For, Spatial))
    if loop.rank in known.late[edge.producer] and loop.rank in known.ranks[edge.consumer]:
        what = f"{edge.producer} waits for the last slice over {loop.rank}, but {edge.consumer} reads it inside the loop over {loop.rank}"
        yield IllegalMapping(what, f"give {edge.consumer} a branch below the end of that loop", loop.place)
        return
    below = [leaf.einsum for leaf in walked.leaves[row.first : row.last]]
    demand = {}
    if isinstance(loop, For):
        demand = known.demand(edge.producer, loop.rank, (0, loop.tile), frozenset(below))
    if home_above:
        if len(demand) > 1:
            what = f"for {loop.rank} restricts {' and '.join(demand)} of {edge.producer} at once, and {edge.tensor} is kept above it"
            yield IllegalMapping(what, f"keep {edge.tensor} below the loop with 'recompute: [{edge.tensor}]'", loop.place)
        return
    if loop.rank not in known.ranks[edge.consumer] and not _derived(known, edge.consumer, loop, below):
        return
    if demand:
        following = known.demand(edge.producer, loop.rank, (loop.tile, min(2 * loop.tile, row.left[loop.rank])), frozenset(below))
        if all(demand[rank][1] <= following[rank][0] for rank in demand):
            return
    path = walked.paths[homes.numbers[edge.producer]]
    if any(isinstance(inner.node, Fuse) and edge.tensor in inner.node.recompute for inner in path[position:]):
        return
    what = f"every iteration over {loop.rank} needs {edge.tensor} again, but it is kept inside that loop"
    mend = f"keep {edge.tensor} above the loop, or write 'recompute: [{edge.tensor}]' in the fuse"
    yield IllegalMapping(what, mend, loop.place)


def _derived(known: Facts, einsum: str, loop: For | Spatial, below: list[str]) -> bool:
    return isinstance(loop, For) and bool(known.demand(einsum, loop.rank, (0, loop.tile), frozenset(below)))


def _relation(known: Facts, edge: Edge, rank: str) -> str:
    """How a consumer's reads lie to what its producer makes in one iteration over `rank` (a rank of the producer).

    `reduced`: not yet whole; `summed`: so are earlier slices; `ahead`: beyond it; `across`: beyond it, in an earlier slice;
    `behind`: before it; `same`: within it.
    """
    key = (id(edge), rank)
    found = known.relations.get(key)
    if found is None:
        found = known.relations[key] = _worked_out(known, edge, rank)
    return found


def _worked_out(known: Facts, edge: Edge, rank: str) -> str:
    """The relation, before it is remembered."""
    if rank in known.reduced[edge.producer]:
        return "reduced" if edge.producer != edge.consumer else "summed" if edge.distance > 0 else "same"
    worst = "same"
    consumer = known.einsums[edge.consumer]
    for dimension, (write, read) in enumerate(zip(edge.write, edge.read, strict=True)):
        if write is None or read is None or rank not in write.ranks or write == read:
            continue
        lies = _lies(known, edge, rank, write, read, consumer, dimension)
        if lies == "ahead":
            return "ahead"
        worst = max(worst, lies, key=("same", "behind", "across").index)
    return worst


def _lies(known: Facts, edge: Edge, rank: str, write: IndexMap, read: IndexMap, consumer: Einsum, dimension: int) -> str:
    if not read.terms:
        tensor = known.cascade.tensors[edge.tensor]
        if dimension == tensor.iterative and read.offset < tensor.constant_slices:
            return "same"
        return "ahead" if rank in known.ranks[edge.consumer] else "same"
    beyond = "across" if edge.distance > 0 and dimension != known.cascade.tensors[edge.tensor].iterative else "ahead"
    if edge.distance > 0 and (rank not in read.ranks or consumer.condition is not None):
        return "across" if beyond == "across" else "behind"
    coefficient = dict(read.terms).get(rank, 0)
    if write.single_rank is None or coefficient != 1:
        return "ahead"
    low = high = read.offset
    for other, factor in read.terms:
        if other != rank:
            reach = factor * (known.cascade.extents[other] - 1)
            low, high = low + min(0, reach), high + max(0, reach)
    if read.divisor > 1 or read.modulus:
        return beyond if high // read.divisor > write.offset or (read.modulus and low < 0) else "behind"
    low, high = low - write.offset, high - write.offset
    if high > 0 and (edge.distance == 0 or beyond == "across"):
        return beyond
    return "behind" if low < 0 or high > 0 else "same"
