"""Sequences of steps that belong together: values measured from a running reference, in one pass, or from the reference of their own tile.

Both are found from the cascade alone: a *pivot* is a reduction over the whole of a rank from which values along that rank are measured.
"""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.errors import InputError
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.expression import Access
from accelsim.workload.transform.algebra import difference, joined, passing
from accelsim.workload.transform.draft import Draft, index_names

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pivot:
    """`reference`: the Einsum that makes what `values` are measured from, each with the Einsums that sum it along the rank."""

    reference: str
    values: tuple[tuple[str, tuple[str, ...]], ...]


def pivots(cascade: Cascade, ranks: tuple[str, ...]) -> list[Pivot]:
    """Reductions over exactly these ranks (the rank, or the parts of its split) from which values along them are measured."""
    draft = Draft.of(cascade)
    found = []
    for einsum in cascade.work:
        tensor = einsum.output.tensor
        if set(einsum.reduced) != set(ranks) or len(cascade.producers[tensor]) > 1 or cascade.tensors[tensor].is_input:
            continue
        values = []
        for other in cascade.consumers.get(tensor, ()):
            gap = difference(other.expression)
            if gap is None or gap.reference.tensor != tensor or other.reduced or not set(ranks) <= set(other.ranks):
                continue
            if index_names(other.output) is not None and other.output.tensor == other.name:
                values.append((other.name, _sums(draft, other, ranks)))
        if any(sums for _, sums in values):
            found.append(Pivot(einsum.name, tuple(values)))
    return found


def _sums(draft: Draft, value: Einsum, ranks: tuple[str, ...]) -> tuple[str, ...]:
    """The Einsums that reduce exactly these ranks and of which the value is a factor."""
    found = []
    for each in draft.cascade.consumers.get(value.output.tensor, ()):
        if set(each.reduced) != set(ranks) or draft.cascade.tensors[each.output.tensor].iterative is not None:
            continue
        if any(_is_factor(each, value, operator) for operator in passing(each.reduce)):
            found.append(each.name)
    return tuple(found)


def _is_factor(each: Einsum, value: Einsum, operator: str) -> bool:
    whole = joined(each.expression, operator)
    reads = [part for part in whole.parts if isinstance(part, Access) and part.tensor == value.output.tensor]
    return len(reads) == 1 and reads[0] in whole.plain and sum(access.tensor == value.output.tensor for access in each.reads) == 1


def _parts(cascade: Cascade, rank: str, outer: str, inner: str, size: str) -> tuple[list[Words], str, str]:
    """The step that splits a rank, if it is not split, and the names of its two parts."""
    cut = next((split for split in cascade.splits if split.rank == rank), None)
    if cut is None:
        outer, inner = outer or f"{rank}1", inner or f"{rank}0"
        return [("split", rank, outer, inner, *((size,) if size else ()))], outer, inner
    if len(cut.parts) != 2:
        raise InputError(f"{cascade.name}: '{rank}' is split into {len(cut.parts)} parts", "split it into two")
    return [], *cut.parts


def _pivots(cascade: Cascade, rank: str) -> list[Pivot]:
    cut = next((split for split in cascade.splits if split.rank == rank), None)
    if cut is None and rank not in cascade.extents:
        raise InputError(f"{cascade.name} has no rank '{rank}'", f"it has {', '.join(filter(str.isidentifier, cascade.extents))}")
    found = pivots(cascade, (rank,) if cut is None else cut.parts)
    if not found:
        what = f"{cascade.name}: no reduction over '{rank}' is one from which summed values are measured"
        raise InputError(what, "stream a rank as in GM = max[m](QK[m]); SN[m] = exp(QK[m] - GM); SD = SN[m]")
    return found


def streamed(cascade: Cascade, rank: str, outer: str = "", inner: str = "", size: str = "") -> list[Words]:
    """The steps that make values along a rank measured from a running reference, and their sums recurrences that are corrected."""
    steps, outer, inner = _parts(cascade, rank, outer, inner, size)
    for pivot in _pivots(cascade, rank):
        running = f"R{pivot.reference}"
        steps += [("levels", pivot.reference, inner), ("run", pivot.reference, outer)]
        for value, sums in pivot.values:
            if sums:
                steps.append(("rebase", value, running, *sums))
            for each in sums:
                steps += [("levels", each, inner), ("accumulate", each, outer)]
    return steps


def local(cascade: Cascade, rank: str, outer: str = "", inner: str = "", size: str = "") -> list[Words]:
    """The steps that make values along a rank measured from the reference of their own tile, and corrected once all tiles are known."""
    steps, outer, inner = _parts(cascade, rank, outer, inner, size)
    for pivot in _pivots(cascade, rank):
        steps.append(("levels", pivot.reference, inner))
        for value, sums in pivot.values:
            steps.append(("rebase", value, f"L{pivot.reference}"))
            for each in sums:
                steps += [("inline", value, each), ("levels", each, inner)]
    return steps
