"""Steps on reductions: move a factor past one, cut one into two levels, run one along a rank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import Access, Expression, Name, Number, accesses
from accelsim.workload.grammar import Parsed
from accelsim.workload.operators import OPERATORS
from accelsim.workload.transform.algebra import joined, passing, with_constants
from accelsim.workload.transform.draft import Draft, ranks_of, rewritten
from accelsim.workload.transform.statements import cleaned, inlined
from accelsim.workload.transform.text import call


def reduced_of(draft: Draft, at: int) -> tuple[str, ...]:
    """The ranks that a statement of a draft reduces."""
    line = draft.lines[at]
    inside = ranks_of((line.expression,), draft.cascade.extents)
    return tuple(rank for rank in inside if rank not in ranks_of((line.output,), draft.cascade.extents))


def defer(cascade: Cascade, statement: str) -> Cascade:
    """Factors that are constant along what a statement reduces, those of tensors that it reads too, applied once after the reduction.

    `AV = sum (SN / SD) * V` becomes `N = sum SN * V; AV = N / SD`. Refuses a statement that has none, or whose operators do not
    distribute over its reduction. Where a condition leaves no point, a divisor that is 0 shows, and did not before.
    """
    draft = Draft.of(cascade)
    at = draft.at(statement)
    if not reduced_of(draft, at):
        raise draft.refusal(f"{statement} reduces nothing", "name a statement with a reduction", at)
    for tensor in _with_factors(draft, at):
        draft = inlined(draft, draft.only(tensor), [at])
    return cleaned(pulled(draft, at)).built()


def deferrable(cascade: Cascade) -> list[str]:
    """The statements of which `defer` finds a factor that is no number."""
    draft = Draft.of(cascade)
    found = []
    for at, einsum in enumerate(cascade.einsums):
        if not einsum.initial and reduced_of(draft, at) and (_with_factors(draft, at) or _constants(draft, at)):
            found.append(einsum.name)
    return found


def pulled(draft: Draft, at: int) -> Draft:
    """Constant factors of a statement moved out of its reduction."""
    line = draft.lines[at]
    found = _constants(draft, at)
    if not found:
        what = f"nothing that {draft.cascade.einsums[at].name} reduces is constant along {', '.join(reduced_of(draft, at))}"
        raise draft.refusal(what, "name another statement", at)
    operator, marks = found
    varying, constant = joined(line.expression, operator).parted(marks)
    tensor = draft.fresh(f"N{line.output.tensor}")
    inner = replace(line, output=Access(tensor, line.output.indices), expression=varying.expression())
    whole = Parsed(line.output, with_constants(inner.output, constant))
    return draft.replaced(at, inner, whole).typed_as({tensor: line.output.tensor})


def _constants(draft: Draft, at: int) -> tuple[str, list[bool]] | None:
    """The operator that passes a statement's reduction, and which of what it joins is constant along it; None if nothing is, or all is."""
    line, reduced = draft.lines[at], set(reduced_of(draft, at))
    for operator in passing(line.reduce):
        parts = joined(line.expression, operator).parts
        marks = [not set(ranks_of((part,), draft.cascade.extents)) & reduced for part in parts]
        if any(mark and accesses(part) for mark, part in zip(marks, parts, strict=True)) and not all(marks):
            return operator, marks
    return None


def _with_factors(draft: Draft, at: int) -> list[str]:
    """Tensors that a statement reads as factors, and that are written as something with a factor that is constant along its reduction."""
    line, reduced = draft.lines[at], set(reduced_of(draft, at))
    found = []
    for operator in passing(line.reduce):
        for part in joined(line.expression, operator).parts:
            if not isinstance(part, Access) or not _inlinable(draft, part.tensor, line.condition):
                continue
            definition = draft.lines[draft.only(part.tensor)]
            names = [index.name for index in definition.output.indices if isinstance(index, Name)]
            along = {
                name for name, index in zip(names, part.indices, strict=True) if set(ranks_of((index,), draft.cascade.extents)) & reduced
            }
            inside = joined(definition.expression, operator).parts
            marks = [not set(ranks_of((each,), draft.cascade.extents)) & along for each in inside]
            if any(mark and accesses(each) for mark, each in zip(marks, inside, strict=True)) and not all(marks):
                found.append(part.tensor)
    return list(dict.fromkeys(found))


def _inlinable(draft: Draft, tensor: str, condition: Expression | None) -> bool:
    places = [at for at, line in enumerate(draft.lines) if line.output.tensor == tensor]
    if len(places) != 1:
        return False
    line = draft.lines[places[0]]
    bare = [index.name for index in line.output.indices if isinstance(index, Name)]
    return (
        len(set(bare)) == len(line.output.indices)
        and set(ranks_of((line.expression,), draft.cascade.extents)) <= set(bare)
        and line.condition in (None, condition)
        and not any(access.tensor == tensor for access in accesses(line.expression))
    )


def placed(line: Parsed, rank: str, ranks: tuple[str, ...], index: Expression) -> tuple[Expression, ...]:
    """The indices of an output and one more for a rank, where the expression names it among the others (`ranks`: in order)."""
    after = ranks[ranks.index(rank) + 1 :]
    indices = line.output.indices
    at = next((at for at, each in enumerate(indices) if isinstance(each, Name) and each.name in after), len(indices))
    return (*indices[:at], index, *indices[at:])


def levels(cascade: Cascade, statement: str, *inner: str) -> Cascade:
    """A reduction in two levels: over the ranks `inner` for each point of the others first, then over those.

    `SD = sum[m1,m0] SN` becomes `L[m1] = sum[m0] SN; SD = sum[m1] L`, factors that are constant along `inner` applied after it.
    Refuses ranks that the statement does not reduce, and all of them.
    """
    draft = Draft.of(cascade)
    at = draft.at(statement)
    return levelled(draft, at, inner).built()


def levelled(draft: Draft, at: int, inner: tuple[str, ...]) -> Draft:
    """The same for a statement of a draft."""
    line, reduced, name = draft.lines[at], reduced_of(draft, at), draft.cascade.einsums[at].name if at < len(draft.cascade.einsums) else ""
    for rank in inner:
        if rank not in reduced:
            raise draft.refusal(f"{name} does not reduce '{rank}'", f"it reduces {', '.join(reduced) or 'nothing'}", at)
    outer = tuple(rank for rank in reduced if rank not in inner)
    if not outer or not inner:
        raise draft.refusal(f"{name} has no two levels: it reduces {', '.join(reduced)}", "leave a rank for each level", at)
    tensor = draft.fresh(f"L{line.output.tensor}")
    ranks = ranks_of((line.expression,), draft.cascade.extents)
    indices, first = line.output.indices, line
    for rank in outer:
        indices = placed(first, rank, ranks, Name(rank))
        first = replace(first, output=Access(tensor, indices))
    whole: Expression = first.output
    for operator in passing(line.reduce):
        parts = joined(line.expression, operator)
        marks = [not set(ranks_of((part,), draft.cascade.extents)) & set(inner) for part in parts.parts]
        if any(mark and accesses(part) for mark, part in zip(marks, parts.parts, strict=True)) and not all(marks):
            varying, constant = parts.parted(marks)
            first = replace(first, expression=varying.expression())
            whole = with_constants(first.output, constant)
            break
    kept = ranks_of((first.expression, *((first.condition,) if first.condition is not None else ())), draft.cascade.extents)
    used = tuple(
        index for index in first.output.indices if not ranks_of((index,), draft.cascade.extents) or index in [Name(rank) for rank in kept]
    )
    whole = rewritten(whole, lambda part: Access(tensor, used) if isinstance(part, Access) and part.tensor == tensor else None)
    first = replace(first, output=Access(tensor, used), reduced=None if line.reduced is None else inner)
    second = Parsed(line.output, whole, line.reduce, None if line.reduced is None else outer)
    return draft.replaced(at, first, second).typed_as({tensor: line.output.tensor})


def run(cascade: Cascade, statement: str, rank: str) -> Cascade:
    """A reduction over one rank as a recurrence along it, whose last slice is the result.

    `GM = max[m1] LM[m1]` becomes `R[0] = -inf; R[m1+1] = max(R[m1], LM[m1])`, and `R[M1]` is read for GM. Refuses a statement with a
    condition, one that reduces other ranks too, and operators that are not associative.
    """
    draft = Draft.of(cascade)
    at = draft.at(statement)
    line = draft.lines[at]
    if reduced_of(draft, at) != (rank,):
        what = f"{statement} reduces {', '.join(reduced_of(draft, at)) or 'nothing'}, and would run along '{rank}'"
        raise draft.refusal(what, f"cut it into levels, so that it reduces {rank} alone", at)
    check_runs(draft, at)
    row = OPERATORS[line.reduce]
    assert row.identity is not None
    return running(draft, at, rank, row.identity, lambda old: call(line.reduce, old, line.expression)).built()


def check_runs(draft: Draft, at: int) -> None:
    """Refuse a statement that cannot run: one of several for its tensor, with a condition, or whose operator is not associative."""
    line = draft.lines[at]
    draft.only(line.output.tensor)
    if line.condition is not None:
        raise draft.refusal(f"{line.output.tensor} has a condition", "cut it into levels: the inner one keeps the condition", at)
    row = OPERATORS[line.reduce]
    if not row.associative or row.identity is None:
        raise draft.refusal(f"{line.reduce} is not associative", "", at)
    if draft.cascade.tensors[line.output.tensor].iterative is not None:
        raise draft.refusal(f"{line.output.tensor} is a recurrence already", "", at)


def running(draft: Draft, at: int, rank: str, first: float, step: Callable[[Access], Expression]) -> Draft:
    """A statement as a recurrence along a rank: `step(old slice)` is the new one; reads of its tensor become reads of the last slice."""
    line = draft.lines[at]
    tensor = line.output.tensor
    ranks = ranks_of((line.expression,), draft.cascade.extents)
    where = next(
        at
        for at, (one, two) in enumerate(zip((*line.output.indices, None), placed(line, rank, ranks, Name(rank)), strict=True))
        if one != two
    )
    new = draft.fresh(f"R{tensor}")

    def slice_at(indices: tuple[Expression, ...], index: Expression) -> Access:
        return Access(new, (*indices[:where], index, *indices[where:]))

    old, last = line.output.indices, Name(rank.upper())
    start = Parsed(slice_at(old, Number(0.0)), Number(first))
    going = Parsed(slice_at(old, call("add", Name(rank), Number(1.0))), step(slice_at(old, Name(rank))))

    def read(part: Expression) -> Expression | None:
        if isinstance(part, Access) and part.tensor == tensor:
            return slice_at(tuple(rewritten(index, read) for index in part.indices), last)
        return None

    lines = []
    for place, each in enumerate(draft.lines):
        if place == at:
            lines += [start, going]
            if draft.cascade.tensors[tensor].is_output:
                lines.append(Parsed(line.output, slice_at(old, last)))
        else:
            condition = None if each.condition is None else rewritten(each.condition, read)
            lines.append(replace(each, expression=rewritten(each.expression, read), condition=condition))
    return draft.with_lines(lines).typed_as({new: tensor})
