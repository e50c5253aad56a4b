"""Cut a rank into an outer and an inner part."""

from __future__ import annotations

from dataclasses import replace

from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import Access, Expression, Name, names
from accelsim.workload.grammar import Parsed
from accelsim.workload.transform.draft import Draft, rewritten
from accelsim.workload.transform.text import call


def split(cascade: Cascade, rank: str, outer: str = "", inner: str = "", size: int | None = None) -> Cascade:
    """A rank `m` as parts `m1` and `m0`: computed tensors have both as dimensions, inputs are read at `m1*M0+m0`; no operation changes.

    `size`: of the inner part, None: left open. Refuses a rank that is cut already, one along which a recurrence steps, and tensors
    that are computed or read along it other than by the bare rank.
    """
    outer, inner = outer or f"{rank}1", inner or f"{rank}0"
    draft = Draft.of(cascade)
    check(draft, rank, outer, inner)
    dimensions = cut_dimensions(draft, rank)
    lines = tuple(cut_line(line, rank, outer, inner, dimensions) for line in draft.lines)
    return declared(replace(draft, lines=lines), rank, outer, inner, size).built()


def check(draft: Draft, rank: str, outer: str, inner: str) -> None:
    """Refuse a rank that cannot be cut, or parts whose names are taken."""
    cascade = draft.cascade
    if rank not in cascade.extents or not any(rank in einsum.ranks for einsum in cascade.work):
        from accelsim.errors import did_you_mean

        used = [name for name in cascade.extents if any(name in einsum.ranks for einsum in cascade.work)]
        raise draft.refusal(f"no statement uses rank '{rank}'", did_you_mean(rank, used))
    if any(rank in cut.parts for cut in cascade.splits):
        raise draft.refusal(f"rank '{rank}' is a part of a split", "split another")
    for part in (outer, inner):
        if part in cascade.extents or part.upper() in cascade.sizes or part in cascade.tensors:
            raise draft.refusal(f"the name '{part}' is taken", "name the parts: split m into x and y")


def cut_dimensions(draft: Draft, rank: str, but: frozenset[str] = frozenset()) -> dict[str, int]:
    """Of every computed tensor with the rank, its dimension; refuses those that are not indexed by the bare rank everywhere.

    `but`: tensors that are not looked at.
    """
    computed = {name for name, tensor in draft.cascade.tensors.items() if not tensor.is_input} - but
    found: dict[str, int] = {}
    for at, line in enumerate(draft.lines):
        if line.output.tensor in but:
            continue
        for dimension, index in enumerate(line.output.indices):
            if rank in names(index) and (index != Name(rank) or found.setdefault(line.output.tensor, dimension) != dimension):
                raise draft.refusal(f"{line.output.tensor} is not written along '{rank}' by that rank alone", "split another rank", at)
    uses = [
        (at, access)
        for at, einsum in enumerate(draft.cascade.einsums)
        for access in (einsum.output, *einsum.reads, *einsum.condition_reads)
    ]
    for at, access in uses:
        if access.tensor in computed:
            at_cut = access.indices[found[access.tensor]] if access.tensor in found else None
            others = [index for dimension, index in enumerate(access.indices) if dimension != found.get(access.tensor)]
            if at_cut not in (None, Name(rank)) or any(rank in names(index) for index in others):
                what = f"{draft.cascade.einsums[at].name} indexes {access.tensor} along '{rank}' by more than that rank"
                raise draft.refusal(what, "split another rank", at)
    return found


def cut_line(line: Parsed, rank: str, outer: str, inner: str, dimensions: dict[str, int]) -> Parsed:
    """A statement with a rank cut."""
    whole = call("add", call("mul", Name(outer), Name(inner.upper())), Name(inner))

    def change(part: Expression) -> Expression | None:
        if isinstance(part, Access) and part.tensor in dimensions:
            at = dimensions[part.tensor]
            rest = [rewritten(index, change) for index in part.indices]
            return Access(part.tensor, (*rest[:at], Name(outer), Name(inner), *rest[at + 1 :]))
        return whole if part == Name(rank) else None

    output = change(line.output) or rewritten(line.output, change)
    assert isinstance(output, Access)
    reduced = line.reduced
    if reduced is not None and rank in reduced:
        at = reduced.index(rank)
        reduced = (*reduced[:at], outer, inner, *reduced[at + 1 :])
    condition = None if line.condition is None else rewritten(line.condition, change)
    return Parsed(output, rewritten(line.expression, change), line.reduce, reduced, condition)


def declared(draft: Draft, rank: str, outer: str, inner: str, size: int | None) -> Draft:
    """A draft whose declaration has the split."""
    stated = draft.declaration
    shape = dict(stated.shape)
    return replace(draft, declaration=replace(stated, shape=shape, split={**stated.split, rank: {outer: None, inner: size}}))
