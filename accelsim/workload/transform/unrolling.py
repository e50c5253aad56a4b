"""Write a rank out: every statement along it once for each coordinate, so that indices such as `t-2**s` become `t-1`, `t-2`, `t-4`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from accelsim.errors import did_you_mean
from accelsim.workload.cascade import Cascade
from accelsim.workload.declaration import TensorDeclaration
from accelsim.workload.evaluate import evaluate
from accelsim.workload.expression import Access, Call, Expression, Name, Number, accesses, names
from accelsim.workload.grammar import Parsed
from accelsim.workload.transform.draft import Draft, rewritten
from accelsim.workload.transform.statements import cleaned

MOST = 64  # coordinates of a rank that is written out

Slices = dict[tuple[str, int], str]


def unroll(cascade: Cascade, rank: str) -> Cascade:
    """A rank `s` of few coordinates as no rank: `P[s+1,t] = f(P[s,t-2**s])` becomes `P1[t] = f(P0[t-1]); P2[t] = f(P1[t-2])` and so on.

    Computed tensors with a dimension along the rank become one tensor for each of its coordinates, and those that nothing reads are left
    out; inputs keep theirs. Sizes in what depends on the rank are fixed from then on. Statements stand in an order in which all that they
    read is written. Refuses ranks that a statement reduces over, parts of splits, more than 64 coordinates, and outputs along the rank.
    """
    draft = Draft.of(cascade)
    _check(draft, rank)
    along = _dimensions(draft, rank)
    slices: Slices = {}
    made = [line for each in draft.lines for line in _written_out(draft, each, rank, along, slices)]
    _check_slices(draft, made, slices)
    stated = draft.declaration
    tensors = dict(stated.tensors)
    for (tensor, _), name in slices.items():
        if tensor in tensors:
            tensors[name] = _without(tensors[tensor], along[tensor])
    fixed = {other for other, formula in stated.derived.items() if rank.upper() in re.findall(r"\w+", formula)}
    derived = {other: formula for other, formula in stated.derived.items() if other not in fixed}
    shape = {**stated.shape, **{other: cascade.extents[other] for other in fixed}}
    draft = replace(draft, declaration=replace(stated, shape=shape, tensors=tensors, derived=derived))
    return cleaned(draft.with_lines(_ordered(made)).typed_as({name: tensor for (tensor, _), name in slices.items()})).built()


def unrollable(cascade: Cascade) -> Iterator[tuple[str]]:
    """Ranks of few coordinates along which a recurrence steps, or that stand in an index without a normal form."""
    accessed = [access for einsum in cascade.work for access in (einsum.output, *einsum.reads)]
    odd = {rank for access in accessed for rank in odd_ranks(cascade, access)}
    iterated = {
        name
        for einsum in cascade.work
        if (dimension := cascade.tensors[einsum.output.tensor].iterative) is not None
        for name in names(einsum.output.indices[dimension])
    }
    yield from ((rank,) for rank, extent in cascade.extents.items() if rank in odd | iterated and extent <= MOST)


def odd_ranks(cascade: Cascade, access: Access) -> set[str]:
    """Ranks without which indices of an access that have no normal form would have one: the `s` of `t-2**s`."""
    found = set()
    for index, form in zip(access.indices, cascade.index_maps(access), strict=True):
        for rank in (rank for rank in cascade.extents if form is None and rank in names(index)):
            fixed = rewritten(index, partial(_value, ranks={rank}, known={**cascade.sizes, rank: 0}))
            if cascade.index_maps(Access(access.tensor, (fixed,)))[0] is not None:
                found.add(rank)
    return found


def _value(part: Expression, ranks: set[str], known: dict[str, Any]) -> Number | None:
    """An expression of known names of which one is among some ranks, as a number."""
    inside = set(names(part)) if isinstance(part, (Name, Call)) and not accesses(part) else set()
    return Number(float(evaluate(part, known))) if inside & ranks and inside <= set(known) else None


def _check(draft: Draft, rank: str) -> None:
    cascade = draft.cascade
    used = [name for name in cascade.extents if any(name in einsum.ranks for einsum in cascade.work)]
    if rank not in used:
        raise draft.refusal(f"no statement uses rank '{rank}'", did_you_mean(rank, used))
    if any(rank in cut.parts for cut in cascade.splits):
        raise draft.refusal(f"rank '{rank}' is a part of a split", "write another out")
    if cascade.extents[rank] > MOST:
        raise draft.refusal(f"'{rank}' has {cascade.extents[rank]:,} coordinates", f"write out a rank of at most {MOST}")
    for at, einsum in enumerate(cascade.einsums):
        if rank in einsum.reduced:
            raise draft.refusal(f"{einsum.name} reduces over '{rank}'", "write another out", at)


def _dimensions(draft: Draft, rank: str) -> dict[str, int]:
    """Of every computed tensor with a dimension along the rank, its place: there, all accesses depend on the rank alone, or on none."""
    cascade, found = draft.cascade, dict[str, int]()
    accessed = [(at, access) for at, line in enumerate(draft.lines) for access in _accesses(line)]
    for at, access in accessed:
        for dimension, index in enumerate(access.indices):
            involved = [name for name in names(index) if name in cascade.extents]
            if cascade.tensors[access.tensor].is_input or rank not in involved or access.tensor in found:
                continue
            if involved == [rank] and not accesses(index):
                found[access.tensor] = dimension
            elif access == draft.lines[at].output:
                raise draft.refusal(f"{access.tensor} is written along '{rank}' and other ranks at once", "write another out", at)
    for at, access in accessed:
        if access.tensor in found:
            if cascade.tensors[access.tensor].is_output:
                raise draft.refusal(f"'{access.tensor}' is an output along '{rank}'", "write another out", at)
            index = access.indices[found[access.tensor]]
            if accesses(index) or any(name in cascade.extents and name != rank for name in names(index)):
                raise draft.refusal(f"{access.tensor} is read along '{rank}' at other ranks", "write another out", at)
    return found


def _accesses(line: Parsed) -> list[Access]:
    parts = [line.expression] if line.condition is None else [line.expression, line.condition]
    return [line.output, *(access for part in parts for access in accesses(part))]


def _written_out(draft: Draft, line: Parsed, rank: str, along: dict[str, int], slices: Slices) -> Iterator[Parsed]:
    """A statement once for each coordinate of the rank, or once if it has none; slices become tensors of their own."""
    parts = [line.output, line.expression, *([line.condition] if line.condition is not None else [])]
    walks = any(rank in names(part) for part in parts)
    for value in range(draft.cascade.extents[rank] if walks else 1):
        known = {**draft.cascade.sizes, **({rank: value} if walks else {})}

        def change(part: Expression, known: dict[str, Any] = known) -> Expression | None:
            if isinstance(part, Access) and part.tensor in along:
                where = along[part.tensor]
                at = int(evaluate(part.indices[where], known))
                rest = [rewritten(index, change) for index in (*part.indices[:where], *part.indices[where + 1 :])]
                return Access(_slice(draft, slices, part.tensor, at), tuple(rest))
            return _value(part, {rank, rank.upper()}, known)

        output = rewritten(line.output, change)
        assert isinstance(output, Access)
        condition = None if line.condition is None else _simpler(rewritten(line.condition, change))
        if condition == Number(0.0):
            continue
        kept = None if isinstance(condition, Number) else condition
        yield replace(line, output=output, expression=rewritten(line.expression, change), condition=kept)


def _simpler(condition: Expression) -> Expression:
    """A condition in which parts that hold, or never do, are gone."""
    if not isinstance(condition, Call) or condition.function not in ("and", "or", "not"):
        return condition
    parts = [_simpler(part) for part in condition.arguments]
    if condition.function == "not":
        return Number(float(not parts[0].value)) if isinstance(parts[0], Number) else Call("not", tuple(parts))
    decisive = condition.function == "or"  # the value that settles it
    if any(isinstance(part, Number) and bool(part.value) == decisive for part in parts):
        return Number(float(decisive))
    open_ = [part for part in parts if not isinstance(part, Number)]
    return Number(float(not decisive)) if not open_ else open_[0] if len(open_) == 1 else Call(condition.function, tuple(open_))


def _slice(draft: Draft, slices: Slices, tensor: str, at: int) -> str:
    """The tensor that stands for one coordinate of another."""
    if (tensor, at) not in slices:
        name = draft.fresh(f"{tensor}{at}" if at >= 0 else f"{tensor}_{-at}")
        while name in slices.values():
            name = draft.fresh(f"{name}_")
        slices[tensor, at] = name
    return slices[tensor, at]


def _check_slices(draft: Draft, lines: list[Parsed], slices: Slices) -> None:
    written = {line.output.tensor for line in lines}
    for (tensor, at), name in slices.items():
        if name not in written:
            raise draft.refusal(f"{tensor} is read at {at}, where no statement writes it", "add a condition that leaves it out")


def _without(stated: TensorDeclaration, dimension: int) -> TensorDeclaration:
    if stated.shape is None:
        return stated
    return replace(stated, shape=(*stated.shape[:dimension], *stated.shape[dimension + 1 :]))


def _ordered(lines: list[Parsed]) -> list[Parsed]:
    """Statements in the first order in which every tensor is written by all that write it before another statement reads it."""
    waiting, found = list(lines), list[Parsed]()
    while waiting:
        unwritten = {line.output.tensor for line in waiting}
        ready = next((line for line in waiting if not unwritten & _read(line)), waiting[0])
        waiting.remove(ready)
        found.append(ready)
    return found


def _read(line: Parsed) -> set[str]:
    """Tensors that a statement reads, but for its own."""
    return {access.tensor for access in _accesses(line)[1:]} - {line.output.tensor}
