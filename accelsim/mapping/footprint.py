"""How many bits a keep holds: the words of a tensor's largest tile, slices of iterative tensors, widths of partial results."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from fractions import Fraction
from math import prod

from accelsim.hardware.architecture import Architecture
from accelsim.mapping.dependence import Homes
from accelsim.mapping.extent import hull, spanned, touched
from accelsim.mapping.facts import Facts, Use
from accelsim.mapping.tree import Held, Keep, Spatial
from accelsim.mapping.walk import Row
from accelsim.workload.cascade import Tensor
from accelsim.workload.expression import IndexMap


def held_bits(homes: Homes, architecture: Architecture, row: Row, held: Held) -> int | Fraction:
    """Bits that a keep holds for a tensor (and those in its place), all copies of its tile."""
    most: int | Fraction = 0
    for tensor in (held.tensor, *held.in_place):
        words = tile_words(homes, row, tensor)
        kept = words if held.fraction == 1 else words * held.fraction.numerator // held.fraction.denominator
        most = max(most, kept * width(homes, architecture, row, tensor))
    return most * held.copies


def tile_words(homes: Homes, row: Row, tensor: str) -> int:
    """Words of the largest tile of a tensor that the Einsums below a keep touch."""
    uses = [use for use in homes.walked.facts.uses[tensor] if row.first <= homes.numbers[use.einsum] < row.last]
    noun = homes.walked.facts.cascade.tensors[tensor]
    if noun.iterative is not None:
        return _iterative_words(homes, row, noun, uses)
    return _words(homes, row, noun, uses)


def tile_shape(homes: Homes, row: Row, tensor: str) -> tuple[int, ...]:
    """Extents of that tile, dimension by dimension (of an iterative tensor: as if it kept all its slices)."""
    known = homes.walked.facts
    uses = [use for use in known.uses[tensor] if row.first <= homes.numbers[use.einsum] < row.last]
    return tuple(_extent(homes, row, known.cascade.tensors[tensor], uses, at) for at in range(len(known.cascade.tensors[tensor].shape)))


def laid_shape(homes: Homes, row: Row, tensor: str) -> tuple[int, ...]:
    """Extents of the array in which that tile lies: from the least to the greatest coordinate in each dimension, of slices of an iterative
    tensor as many as have room.
    """
    known, walked = homes.walked.facts, homes.walked
    noun, found = known.cascade.tensors[tensor], []
    uses = [use for use in known.uses[tensor] if row.first <= homes.numbers[use.einsum] < row.last]
    for at, length in enumerate(noun.shape):
        most, low, high = 1, length, 0
        for use in uses:
            index, sizes = use.maps[at], walked.sizes(row, use.einsum)
            if index is None:
                most = length
                continue
            mine = tuple(sizes[rank] for rank in index.ranks)
            most = max(most, spanned(index, mine, tuple(known.cascade.extents[rank] for rank in index.ranks), length))
            first, end = hull(index, {rank: (0, sizes[rank]) for rank in index.ranks})
            low, high = min(low, first), max(high, end)
        found.append(most if row.derived or len({use.maps[at] for use in uses}) == 1 else min(length, max(most, high - low)))
    if noun.iterative is not None:
        found[noun.iterative] = -(-_iterative_words(homes, row, noun, uses) // _words(homes, row, noun, uses, noun.iterative))
    return tuple(found)


def _words(homes: Homes, row: Row, noun: Tensor, uses: list[Use], but: int | None = None) -> int:
    return prod(_extent(homes, row, noun, uses, at) for at in range(len(noun.shape)) if at != but)


def _extent(homes: Homes, row: Row, noun: Tensor, uses: list[Use], at: int) -> int:
    """Coordinates touched along a dimension by all uses together."""
    walked, length = homes.walked, noun.shape[at]
    known = walked.facts
    if not row.derived:
        plain = known.plain[noun.name][at]
        if plain is not None:
            return min(row.left[plain], length)
        index = known.shared[noun.name][at]
        if index is not None:
            return _touched(known, row.left, index, length)
    most, low, high = 0, 0, -1
    for use in uses:
        index, sizes = use.maps[at], walked.sizes(row, use.einsum)
        if index is None:
            return length
        most = max(most, _touched(known, sizes, index, length))
        first, end = hull(index, {rank: (0, sizes[rank]) for rank in index.ranks})
        low, high = (min(low, first), max(high, end)) if high >= 0 else (first, end)
    if row.derived or len({use.maps[at] for use in uses}) == 1:
        return most
    return min(length, max(most, high - low))


def _touched(known: Facts, sizes: Dict[str, int], index: IndexMap, length: int) -> int:
    extents = known.cascade.extents
    return touched(index, tuple(sizes[rank] for rank, _ in index.terms), tuple(extents[rank] for rank, _ in index.terms), length)


def _iterative_words(homes: Homes, row: Row, noun: Tensor, uses: list[Use]) -> int:
    """Words of an iterative tensor: one slice, and further ones for the tile in flight only.

    Einsums that pass slices to each other hold as many as pass between them at once, and one more if an old slice is read after its
    successor is written. Readers of the last slice need one.
    """
    dimension, rank = noun.iterative, homes.walked.facts.recurrence(noun)
    assert dimension is not None
    moving = [use for use in uses if (index := use.maps[dimension]) is None or index.terms]
    if any((index := use.maps[dimension]) is None or index.single_rank != rank for use in moving):
        return _words(homes, row, noun, uses)
    slice_words = _words(homes, row, noun, uses, dimension)
    if not moving:
        return slice_words * len({use.maps[dimension] for use in uses})
    numbers = sorted({homes.numbers[use.einsum] for use in moving})
    writers = [use for use in moving if use.writes]
    if len(numbers) == 1:
        if not writers:
            return slice_words * _extent(homes, row, noun, moving, dimension)
        if _read_outside(homes, noun, dimension, numbers[0]):
            return slice_words * row.left.get(str(rank), 1)
        return slice_words * (1 + max((_old_slices(use, writers, dimension, True) for use in moving if not use.writes), default=0))
    common = min(homes.walked.common(numbers[0], number) for number in numbers[1:])
    fuse = homes.walked.paths[numbers[0]][common - 1]
    last_writer = max((homes.numbers[use.einsum] for use in writers), default=-1)
    further = fuse.left.get(str(rank), 1) - 1
    old = [_old_slices(use, writers, dimension, homes.numbers[use.einsum] <= last_writer) for use in moving if not use.writes]
    further += max(old, default=0)
    return slice_words + (further * _words(homes, fuse, noun, uses, dimension) if further else 0)


def _old_slices(read: Use, writers: list[Use], dimension: int, in_time: bool) -> int:
    """Old slices that a read keeps alive beside the newest: none if it reads each element before, or as, its successor is written."""
    most = 0
    for write in writers:
        new, old = write.maps[dimension], read.maps[dimension]
        assert new is not None and old is not None
        back = new.offset - old.offset
        if back <= 0:
            continue
        same = all(mine == theirs for at, (mine, theirs) in enumerate(zip(write.maps, read.maps, strict=True)) if at != dimension)
        ready = in_time and (same or read.einsum != write.einsum)
        most = max(most, back - 1 if ready else back)
    return most


def _read_outside(homes: Homes, noun: Tensor, dimension: int, writer: int) -> bool:
    """Whether another Einsum, or one outside this part of a cascade, reads slices that pass by (not only the last)."""
    if noun.passing:
        return True
    for use in homes.walked.facts.uses[noun.name]:
        index = use.maps[dimension]
        if homes.numbers[use.einsum] != writer and (index is None or index.terms):
            return True
    return False


def width(homes: Homes, architecture: Architecture, row: Row, tensor: str) -> int | Fraction:
    """Bits per word in a keep: those of the partial type if it ever receives results whose reduction is not complete."""
    known = homes.walked.facts
    noun = known.cascade.tensors[tensor]
    final, partial = known.bits[tensor]
    if partial == final:
        return final
    for use in known.uses[tensor]:
        number = homes.numbers[use.einsum]
        if not row.first <= number < row.last:
            continue
        if noun.iterative is not None and (index := use.maps[noun.iterative]) is not None and index.terms:
            return partial
        if use.writes and _receives_partial(homes, architecture, row, use, number):
            return partial
    return final


def _receives_partial(homes: Homes, architecture: Architecture, row: Row, write: Use, number: int) -> bool:
    """Whether loops over reduced ranks, or a residual of them, stand between the whole reduction and what arrives in this keep."""
    walked, path = homes.walked, homes.walked.paths[number]
    einsum = walked.facts.einsums[write.einsum]
    if not einsum.reduced:
        return False
    tensor = einsum.output.tensor
    here = path.index(row)
    inner = next((at for at in homes.keepers[number][tensor] if at > here), len(path))
    left = {rank: walked.facts.cascade.extents[rank] for rank in einsum.reduced}
    for position in range(inner):
        node = path[position].node
        if isinstance(node, Keep) or getattr(node, "rank", None) not in left or path[position].trips == 1:
            continue
        combined = isinstance(node, Spatial) and position > here and einsum.reduce in architecture.axes[node.axis][1].reduces
        if not combined:
            return True
    if inner < len(path):
        return False
    if path:
        end = path[-1]
        after = {**end.left}
        if not isinstance(end.node, Keep) and getattr(end.node, "rank", None) in after:
            after[end.node.rank] = min(after[end.node.rank], end.node.tile)  # type: ignore[union-attr]
        left = {rank: after[rank] for rank in left}
    return any(size > 1 for size in left.values())
