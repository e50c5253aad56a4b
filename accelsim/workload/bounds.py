"""What no execution of a cascade can go below: compulsory traffic and operations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from accelsim.workload.cascade import Cascade, Einsum, Tensor
from accelsim.workload.conditions import affine, surviving_points
from accelsim.workload.expression import Access, IndexMap, chosen_rank, inner_accesses, own_names
from accelsim.workload.operators import needed_primitives
from accelsim.workload.points import check_magnitude, count_points
from accelsim.workload.ranges import Inequality, index_range

MOST_PROJECTED = 2**22
MOST_ENUMERATED = 2**16
MOST_ELEMENTS = 2**62


@dataclass(frozen=True, slots=True)
class Bounds:
    """Lower bounds of a cascade.

    `words`: elements of every input that are read at all and of every output that are written. `compulsory_bytes`: these once
    each, at their final type. `points`: computed points of every Einsum; `operations`: primitives of every Einsum with the
    preferred coverings. `intensity`: operations per compulsory byte.
    """

    words: Mapping[str, int]
    compulsory_bytes: Fraction
    points: Mapping[str, int]
    operations: Mapping[str, Mapping[str, int]]

    @property
    def total_operations(self) -> int:
        """All primitives of all Einsums."""
        return sum(count for counts in self.operations.values() for count in counts.values())

    @property
    def intensity(self) -> float:
        """Operations per byte of compulsory traffic."""
        return float(self.total_operations / self.compulsory_bytes) if self.compulsory_bytes else math.inf


def bounds(cascade: Cascade) -> Bounds:
    """Compulsory traffic in bytes and the least number of operations per Einsum and primitive; `Cascade.bounds` remembers it.

    A condition on data thins nothing out unless the mask declares a density: the points then are that share, rounded down.
    """
    words: dict[str, int] = {}
    for name, tensor in cascade.tensors.items():
        if tensor.is_input:
            words[name] = _touched(cascade, tensor, [(einsum, access) for einsum in cascade.work for access in _reads(einsum, name)])
        elif tensor.is_output:
            words[name] = _touched(cascade, tensor, [(einsum, einsum.output) for einsum in cascade.producers.get(name, ())])
    total = sum((count * cascade.tensors[name].final.bits for name, count in words.items()), Fraction(0)) / 8
    points = {einsum.name: least_points(cascade, einsum) for einsum in cascade.work}
    operations = {
        einsum.name: {primitive: count * points[einsum.name] for primitive, count in needed_primitives(einsum).items()}
        for einsum in cascade.work
    }
    return Bounds(words, total, points, operations)


def least_points(cascade: Cascade, einsum: Einsum) -> int:
    """Points at which an Einsum computes; with a condition on data, the declared density of the masks decides (1 if none is declared)."""
    found = surviving_points(cascade, einsum)
    if found is not None:
        return found
    share = Fraction(1)
    for access in einsum.condition_reads:
        share *= Fraction(cascade.tensors[access.tensor].density)
    return math.floor(share * math.prod(cascade.extents[rank] for rank in einsum.ranks))


def _reads(einsum: Einsum, tensor: str) -> list[Access]:
    return [access for access in (*einsum.reads, *einsum.condition_reads) if access.tensor == tensor]


def _touched(cascade: Cascade, tensor: Tensor, uses: list[tuple[Einsum, Access]]) -> int:
    """Elements that at least one access touches: exact for one access of affine indices, the most that one access touches otherwise.

    Statements that write different parts of a tensor (`T[0]`, `T[i+1]`) add up.
    """
    counts: dict[Access, int] = {}
    for einsum, access in uses:
        counts[access] = max(counts.get(access, 0), _touched_by(cascade, tensor, einsum, access))
    if not counts:
        return 0
    if not tensor.is_input and _disjoint(cascade, tuple(counts)):
        return sum(counts.values())
    return max(counts.values())


def _disjoint(cascade: Cascade, accesses: tuple[Access, ...]) -> bool:
    """Whether accesses are told apart by a constant index in some dimension (and are few)."""
    for at, left in enumerate(accesses):
        for right in accesses[at + 1 :]:
            pairs = zip(cascade.index_maps(left), cascade.index_maps(right), strict=True)
            if not any(a is not None and b is not None and _apart(a, b) for a, b in pairs):
                return False
    return True


def _apart(left: IndexMap, right: IndexMap) -> bool:
    constant, other = (left, right) if not left.terms else (right, left)
    return not constant.terms and constant.offset != other.offset and (not other.terms or other.offset > constant.offset >= 0)


def _touched_by(cascade: Cascade, tensor: Tensor, einsum: Einsum, access: Access) -> int:
    forms = [form for form in cascade.index_maps(access) if form is not None]
    if len(forms) < len(tensor.shape):
        return 1
    ranks = [rank for rank in einsum.ranks if rank in own_names(access)]
    box = math.prod(cascade.extents[rank] for rank in ranks)
    if inner_accesses(access):
        return min(box, _touched_at_least(cascade, tensor, einsum, access, forms))
    dense = distinct_places(forms, cascade.extents, tensor.shape)
    if einsum.condition is None:
        return min(dense, box)
    if einsum.condition_reads:
        return min(dense, box) if access in einsum.condition_reads or not tensor.is_input else 0
    if distinct_places(forms, cascade.extents, [MOST_ELEMENTS] * len(forms)) < box:
        return 1  # different points may share an element, and the condition may leave one of them
    outside = max(0, box - dense) if tensor.fill is not None else 0  # without a fill, only masked points lie outside
    return max(0, _surviving_values(cascade, einsum, ranks) - outside)


def _touched_at_least(cascade: Cascade, tensor: Tensor, einsum: Einsum, access: Access, forms: Sequence[IndexMap]) -> int:
    """A lower bound where values choose: one element of every window that they choose in, along dimensions where none overlap."""
    chosen = {chosen_rank(inner) for inner in inner_accesses(access)}
    if einsum.condition_reads or tensor.fill is not None:
        return 0  # all may lie outside
    if einsum.condition is not None:
        return min(1, least_points(cascade, einsum))
    apart: list[tuple[IndexMap, int]] = []
    for form, size in zip(forms, tensor.shape, strict=True):
        reach = sum(abs(factor) * (cascade.extents[rank] - 1) for rank, factor in form.terms if rank in chosen)
        steps = [abs(factor) for rank, factor in form.terms if rank not in chosen]
        if not reach or not (form.divisor != 1 or form.modulus or (bool(steps) and math.gcd(*steps) <= reach)):
            apart.append((form, size))
    return distinct_places([form for form, _ in apart], {**cascade.extents, **dict.fromkeys(chosen, 1)}, [size for _, size in apart])


def _surviving_values(cascade: Cascade, einsum: Einsum, ranks: list[str]) -> int:
    """A lower bound of the number of values of `ranks` at which some point of an Einsum survives its condition."""
    found = affine(cascade, einsum.condition)
    if found is None:
        return 0
    constrained = [rank for rank in einsum.ranks if any(rank == name for part in found for name, _ in part.terms)]
    box = {rank: cascade.extents[rank] for rank in ranks if rank in constrained}
    others = {rank: cascade.extents[rank] for rank in constrained if rank not in box}
    free = math.prod(cascade.extents[rank] for rank in ranks if rank not in constrained)
    if not box:
        return free if count_points(others, found) else 0
    return _projected(box, others, found) * free if math.prod(box.values()) <= MOST_PROJECTED else 0


def _projected(box: Mapping[str, int], others: Mapping[str, int], known: tuple[Inequality, ...]) -> int:
    """Points of `box` for which some point of `others` satisfies all inequalities; a lower bound beyond 2**22 combinations."""
    import numpy as np

    check_magnitude({**box, **others}, known)
    inner = max(others, key=lambda rank: others[rank], default=None)
    sampled = {rank: np.arange(extent, dtype=np.int64) for rank, extent in others.items() if rank != inner}
    room = max(1, 2**22 // math.prod(box.values()))
    while math.prod(len(values) for values in sampled.values()) > room:
        longest = max(sampled, key=lambda rank: len(sampled[rank]))
        values = sampled[longest]
        sampled[longest] = np.unique(np.append(values[:: max(2, len(values) // 64)], values[-1])) if len(values) > 2 else values[:1]
    axes = [*box, *sampled]
    grid = {}
    for axis, rank in enumerate(axes):
        values = np.arange(box[rank], dtype=np.int64) if rank in box else sampled[rank]
        grid[rank] = values.reshape([-1 if at == axis else 1 for at in range(len(axes))])
    shape = [grid[rank].size for rank in axes]
    low = np.zeros(shape, dtype=np.int64)
    high = np.full(shape, others[inner] - 1 if inner is not None else 0, dtype=np.int64)
    for part in known:
        left = np.full(shape, part.bound, dtype=np.int64)
        factor = 0
        for rank, value in part.terms:
            if rank == inner:
                factor = value
            else:
                left = left - value * grid[rank]
        if factor > 0:
            high = np.minimum(high, left // factor)
        elif factor < 0:
            low = np.maximum(low, -(left // -factor))
        else:
            high = np.where(left >= 0, high, -1)
    return int(np.any(low <= high, axis=tuple(range(len(box), len(axes)))).sum())


def distinct_places(forms: Sequence[IndexMap], extents: Mapping[str, int], shape: Sequence[int]) -> int:
    """How many different places in a shape indices take over the box of their ranks; a lower bound where indices share ranks and more than
    2**16 points.
    """
    count, left = 1, list(range(len(forms)))
    while left:
        together, ranks = [left.pop(0)], set[str]()
        while ranks != (ranks := {rank for at in together for rank in forms[at].ranks}):
            together += [at for at in left if ranks & set(forms[at].ranks)]
            left = [at for at in left if at not in together]
        if len(together) == 1:
            count *= distinct_values(forms[together[0]], extents, shape[together[0]])
        else:
            box = {rank: extents[rank] for rank in sorted(ranks)}
            count *= _distinct_together([forms[at] for at in together], box, [shape[at] for at in together])
    return count


def _distinct_together(forms: Sequence[IndexMap], box: Mapping[str, int], shape: Sequence[int]) -> int:
    """The same of indices that share ranks."""
    import numpy as np

    points = math.prod(box.values())
    if points > MOST_ENUMERATED:
        inside = all(index_range(form, box)[0] >= 0 and index_range(form, box)[1] < size for form, size in zip(forms, shape, strict=True))
        if inside and {form.single_rank for form in forms} >= set(box):
            return points
        return max(distinct_values(form, box, size) for form, size in zip(forms, shape, strict=True)) if inside else 0
    at = dict(zip(box, np.indices(tuple(box.values())).reshape(len(box), -1), strict=True))
    found = np.zeros((len(forms), points), np.int64)
    for row, form in zip(found, forms, strict=True):
        row += form.offset
        for rank, factor in form.terms:
            row += factor * at[rank]
        row //= form.divisor
        if form.modulus:
            row %= form.modulus
    within = np.all((found >= 0) & (found < np.array(shape).reshape(-1, 1)), axis=0)
    return int(np.unique(found[:, within], axis=1).shape[1])


def distinct_values(form: IndexMap, extents: Mapping[str, int], size: int) -> int:
    """How many different values in 0..size-1 an index takes over the box of its ranks; a lower bound beyond 2**22 values."""
    positive = [(factor, extents[rank]) for rank, factor in form.terms]
    offset = form.offset + sum(factor * (extent - 1) for factor, extent in positive if factor < 0)
    steps = sorted((abs(factor), extent) for factor, extent in positive)
    reach = 1
    dense = True
    for factor, extent in steps:
        dense = dense and (factor <= reach or extent == 1)
        reach += factor * (extent - 1)
    if dense:
        first, last = offset // form.divisor, (offset + reach - 1) // form.divisor
        if form.modulus:
            return min(form.modulus, last - first + 1)
        return max(0, min(last, size - 1) - max(first, 0) + 1)
    if reach > MOST_ENUMERATED:
        return max(extent for _, extent in steps) if not form.modulus and form.divisor == 1 and offset >= 0 else 1
    reached = 1
    for factor, extent in steps:
        grown = 0
        for at in range(extent):
            grown |= reached << (factor * at)
        reached = grown
    if form.divisor == 1 and not form.modulus:
        window = reached << offset if offset >= 0 else reached >> -offset
        return (window & ((1 << size) - 1)).bit_count()
    values = {(offset + at) // form.divisor for at in range(reach) if reached >> at & 1}
    if form.modulus:
        values = {value % form.modulus for value in values}
    return sum(1 for value in values if 0 <= value < size)
