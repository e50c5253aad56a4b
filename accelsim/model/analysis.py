"""What counting needs to know of a cascade before any mapping: how every access couples the ranks of its Einsum."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from accelsim.errors import InputError
from accelsim.model import plan as p
from accelsim.workload.cascade import Cascade, Einsum, Tensor
from accelsim.workload.expression import Access, Call, Expression, IndexMap, inner_accesses, names
from accelsim.workload.ranges import index_range

FAR = 1 << 62


@dataclass(frozen=True, slots=True)
class Dim:
    """One dimension of an access: terms (rank position, coefficient), and the coordinates low <= x < high that move words."""

    terms: tuple[tuple[int, int], ...]
    offset: int
    divisor: int
    modulus: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Group:
    """Ranks that share a dimension or a condition, with the dimensions they index."""

    ranks: frozenset[int]
    dims: tuple[Dim, ...]
    masked: bool


@dataclass(frozen=True, slots=True)
class Stream:
    """One access of an Einsum. `roles`: (kind, low, high) per rank; `weight` 0 if no word of it ever moves, and more than 1 where values
    choose among so many words, all of which move.
    """

    tensor: str
    maps: tuple[IndexMap, ...]
    output: bool
    weight: int
    roles: tuple[tuple[int, int, int], ...]
    groups: tuple[Group, ...]
    dims: tuple[Dim, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """An Einsum ready for lowering; ranks are known by position. `coupled`: ranks that its condition couples. `at_unit`: by place in
    `streams`, those that values choose, as the unit sees them: a word at every point, its own for all ranks that choose it.
    """

    einsum: Einsum
    ranks: tuple[str, ...]
    extents: tuple[int, ...]
    streams: tuple[Stream, ...]
    coupled: frozenset[int]
    at_unit: dict[int, Stream]


def analyse(cascade: Cascade, einsum: Einsum, box: bool) -> Facts:
    """The facts of one Einsum; refuses index expressions and results that the counting kernel has no form for."""
    ranks = einsum.ranks
    if _is_complex(einsum.expression):
        what = f"{einsum.name}: '{einsum.text}' computes complex numbers, which have no type and no unit"
        raise InputError(what, "write them as a rank of two, and each part as re(cis(...))", einsum.place)
    position = {rank: k for k, rank in enumerate(ranks)}
    extents = tuple(cascade.extents[rank] for rank in ranks)
    coupled: frozenset[int] = frozenset()
    if einsum.condition is not None:
        if einsum.condition_reads:
            raise InputError(
                f"{einsum.name}: its condition reads {einsum.condition_reads[0].tensor}, so what it leaves depends on data",
                "`accelsim run` executes it; a mapping needs a condition on ranks only",
                einsum.place,
            )
        coupled = frozenset(position[name] for name in names(einsum.condition) if name in position)
    reads = _distinct(cascade, einsum)
    streams = [
        _chosen_stream(cascade, einsum, access, position, extents, coupled, box)
        if inner_accesses(access)
        else _stream(cascade, einsum, access, False, position, extents, coupled, box)
        for access in reads
    ]
    streams.append(_stream(cascade, einsum, einsum.output, True, position, extents, coupled, box))
    at_unit = {at: _at_unit(streams[at], access, position) for at, access in enumerate(reads) if inner_accesses(access)}
    return Facts(einsum, ranks, extents, tuple(streams), coupled, at_unit)


def _is_complex(expression: Expression) -> bool:
    """Whether an expression has an imaginary part of its own: a `cis` of which `re` does not take the real part."""
    if not isinstance(expression, Call) or expression.function == "re":
        return False
    return expression.function == "cis" or any(_is_complex(argument) for argument in expression.arguments)


def _chosen_stream(
    cascade: Cascade,
    einsum: Einsum,
    access: Access,
    position: dict[str, int],
    extents: tuple[int, ...],
    coupled: frozenset[int],
    box: bool,
) -> Stream:
    """An access of which values choose, as memories see it: whole windows, which have to lie apart, each as a word of as many words."""
    tensor, chosen, weight, dims = cascade.tensors[access.tensor], einsum.chosen, 1, []
    if sum(read.tensor == access.tensor for read in einsum.reads) > 1:
        what = f"{einsum.name} chooses from {access.tensor} and reads it in another way, which is not counted"
        raise InputError(what, "split it into two Einsums", einsum.place)
    if coupled & {position[name] for name in names(access) if name in position}:
        what = f"{einsum.name} has a condition on ranks by which values choose from {access.tensor}, which is not counted"
        raise InputError(what, "drop the condition", einsum.place)
    maps = []
    for number, index in enumerate(_maps(cascade, einsum, access)):
        inner = [(factor, cascade.extents[rank]) for rank, factor in index.terms if rank in chosen]
        outer = tuple((rank, factor) for rank, factor in index.terms if rank not in chosen)
        maps.append(index)
        if not inner:
            dims.append(_dim(tensor, number, index, position, extents, False))
            continue
        reach = sum(abs(factor) * (extent - 1) for factor, extent in inner)
        low, high = index_range(index, cascade.extents)
        steps = [abs(factor) for rank, factor in outer if cascade.extents[rank] > 1]
        apart = all(step > reach for step in steps) and len(inner) == 1 and len(steps) <= 1 and index.divisor == 1 and not index.modulus
        if not apart or low < 0 or high >= tensor.shape[number] or (box and any(step != reach + 1 for step in steps)):
            what = f"{einsum.name} chooses from {access.tensor} in windows that overlap or reach outside, which is not counted"
            mend = "index it by FACTOR*rank + A[...], with values of A below FACTOR"
            if len(inner) > 1:
                what = f"{einsum.name} chooses from {access.tensor} by {len(inner)} values in one index, which is not counted"
                mend = f"give {access.tensor} a dimension for each, as in {access.tensor}[g, O[...], I[...]]"
            raise InputError(what, mend, einsum.place)
        weight *= reach + 1 if box else inner[0][1]
        terms = tuple((position[rank], 1) for rank, _ in outer if cascade.extents[rank] > 1)
        dims.append(Dim(terms, 0, 1, 0, 0, max([1, *(extents[rank] for rank, _ in terms)])))
    made = classify(access.tensor, tuple(maps), False, tuple(dims), extents, coupled, box)
    if any(_reaches_outside(dim, extents) for group in made.groups for dim in group.dims):
        what = f"{einsum.name} chooses from {access.tensor}, and an index of several ranks reaches outside, which is not counted"
        raise InputError(what, "index it by single ranks, or pad it", einsum.place)
    return replace(made, weight=made.weight * weight)


def _reaches_outside(dim: Dim, extents: tuple[int, ...]) -> bool:
    """Whether a dimension has coordinates that are no words."""
    low = dim.offset + sum(min(0, factor * (extents[rank] - 1)) for rank, factor in dim.terms)
    high = dim.offset + sum(max(0, factor * (extents[rank] - 1)) for rank, factor in dim.terms)
    low, high = (0, dim.modulus - 1) if dim.modulus else (low // dim.divisor, high // dim.divisor)
    return low < dim.low or high >= dim.high


def _at_unit(stream: Stream, access: Access, position: dict[str, int]) -> Stream:
    """The same access as the unit sees it; where a rank leads to constants or outside, it reads no word."""
    own = {position[name] for name in names(access) if name in position}
    roles = tuple(
        role if role[0] == p.CLIPPED else (p.PLAIN, -FAR, FAR) if rank in own else (p.ABSENT, -FAR, FAR)
        for rank, role in enumerate(stream.roles)
    )
    return replace(stream, weight=min(1, stream.weight), roles=roles, groups=())


def _distinct(cascade: Cascade, einsum: Einsum) -> list[Access]:
    seen: dict[tuple[object, ...], Access] = {}
    for access in einsum.reads:
        seen.setdefault((access.tensor, cascade.index_maps(access)), access)
    return list(seen.values())


def _stream(
    cascade: Cascade,
    einsum: Einsum,
    access: Access,
    output: bool,
    position: dict[str, int],
    extents: tuple[int, ...],
    coupled: frozenset[int],
    box: bool,
) -> Stream:
    tensor, maps = cascade.tensors[access.tensor], _maps(cascade, einsum, access)
    dims = tuple(_dim(tensor, number, index, position, extents, output) for number, index in enumerate(maps))
    return classify(access.tensor, maps, output, dims, extents, coupled, box)


def _maps(cascade: Cascade, einsum: Einsum, access: Access) -> tuple[IndexMap, ...]:
    """How an access indexes its tensor; refused where an index has no normal form."""
    maps = []
    for index in cascade.index_maps(access):
        if index is None:
            what = f"{einsum.name}: the model cannot count an index of {access.tensor} in '{einsum.text}'"
            raise InputError(what, _mended(cascade, access), einsum.place)
        maps.append(index)
    return tuple(maps)


def _mended(cascade: Cascade, access: Access) -> str:
    """How to mend an index without a normal form: one along a rank that can be written out has one at each of its coordinates."""
    from accelsim.workload.transform.unrolling import odd_ranks, unroll, unrollable

    mend = "write an affine index, // or %"
    for (rank,) in unrollable(cascade) if cascade.declaration is not None else ():
        if rank in odd_ranks(cascade, access):
            with suppress(InputError):
                unroll(cascade, rank)
                return f"{mend}, or write '{rank}' out: `accelsim derive WORKLOAD --steps \"unroll {rank}\" -o FILE.yaml`"
    return mend


def _dim(tensor: Tensor, number: int, index: IndexMap, position: dict[str, int], extents: tuple[int, ...], output: bool) -> Dim:
    low = tensor.constant_slices if tensor.iterative == number and not output else 0
    terms = tuple((position[rank], factor) for rank, factor in index.terms if extents[position[rank]] > 1)
    return Dim(terms, index.offset, index.divisor, index.modulus, low, tensor.shape[number])


def classify(
    tensor: str,
    maps: tuple[IndexMap, ...],
    output: bool,
    dims: tuple[Dim, ...],
    extents: tuple[int, ...],
    coupled: frozenset[int],
    box: bool,
    listed: frozenset[int] = frozenset(),
) -> Stream:
    """Give every rank its role. Ranks in `listed` (derived by a trunk loop) are never PLAIN."""
    uses: dict[int, int] = {}
    for dim in dims:
        for rank, _ in dim.terms:
            uses[rank] = uses.get(rank, 0) + 1
    weight = 1
    roles: dict[int, tuple[int, int, int]] = {}
    joint: list[tuple[set[int], list[Dim]]] = []
    for dim in dims:
        if not dim.terms:
            coordinate = dim.offset // dim.divisor
            coordinate = coordinate % dim.modulus if dim.modulus else coordinate
            if not dim.low <= coordinate < dim.high:
                weight = 0
            continue
        role = _separable(dim, extents, uses, box)
        if role is None:
            joint.append(({rank for rank, _ in dim.terms}, [dim]))
        else:
            for rank, _ in dim.terms:
                roles[rank] = role
    for rank in coupled:
        own = [dim for dim in dims if any(rank == other for other, _ in dim.terms)]
        if rank not in roles:
            continue  # absent, or in a joint dimension that is there already
        if len(own[0].terms) > 1:  # mixed radix: words are counted per rank
            own = [Dim(((rank, 1),), 0, 1, 0, 0, extents[rank])]
        joint.append(({rank}, own))
    merged: list[tuple[set[int], list[Dim]]] = [(set(coupled), [])] if coupled else []
    for group_ranks, group_dims in joint:
        ranks_now, dims_now = set(group_ranks), list(group_dims)
        rest = []
        for other_ranks, other_dims in merged:
            if other_ranks & ranks_now:
                ranks_now |= other_ranks
                dims_now = other_dims + dims_now
            else:
                rest.append((other_ranks, other_dims))
        merged = [*rest, (ranks_now, dims_now)]
    grouped = {rank for group_ranks, _ in merged for rank in group_ranks}
    groups = tuple(
        Group(frozenset(group_ranks), tuple(group_dims), bool(coupled & group_ranks)) for group_ranks, group_dims in merged
    )
    all_roles = tuple(
        (p.GROUPED, 0, 0)
        if rank in grouped
        else _listed(roles[rank])
        if rank in listed and rank in roles
        else roles.get(rank, (p.ABSENT, -FAR, FAR))
        for rank in range(len(extents))
    )
    return Stream(tensor, maps, output, weight, all_roles, groups, dims)


def _listed(role: tuple[int, int, int]) -> tuple[int, int, int]:
    return (p.CLIPPED, *role[1:]) if role[0] == p.PLAIN else role


def _separable(dim: Dim, extents: tuple[int, ...], uses: dict[int, int], box: bool) -> tuple[int, int, int] | None:
    """The role of the ranks of a dimension whose coordinates never meet (mixed radix, or one rank); None if they must be listed."""
    if dim.divisor != 1 or dim.modulus or any(uses[rank] > 1 for rank, _ in dim.terms):
        return None
    smallest = dim.offset + sum(min(0, factor * (extents[rank] - 1)) for rank, factor in dim.terms)
    largest = dim.offset + sum(max(0, factor * (extents[rank] - 1)) for rank, factor in dim.terms)
    inside = dim.low <= smallest and largest < dim.high
    if len(dim.terms) == 1:
        (_, factor), *_ = dim.terms
        if box and abs(factor) > 1:
            return None
        if inside:
            return (p.PLAIN, -FAR, FAR)
        if factor > 0:
            return (p.CLIPPED, -((dim.offset - dim.low) // factor), -((dim.offset - dim.high) // factor))
        return (p.CLIPPED, (dim.offset - dim.high) // -factor + 1, (dim.offset - dim.low) // -factor + 1)
    if box or not inside:
        return None
    reach = 0
    for factor, extent in sorted((abs(factor), extents[rank]) for rank, factor in dim.terms):
        if factor <= reach:
            return None
        reach += factor * (extent - 1)
    return (p.PLAIN, -FAR, FAR)
