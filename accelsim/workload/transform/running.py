"""Steps on values that depend on a running value: measure them from another one, and correct what was summed each time it moves on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from accelsim.errors import did_you_mean
from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import Access, Expression, Name, Number, accesses
from accelsim.workload.grammar import Parsed
from accelsim.workload.operators import OPERATORS
from accelsim.workload.ranges import conjuncts
from accelsim.workload.transform.algebra import Difference, between, difference, joined
from accelsim.workload.transform.draft import Draft, index_names, ranks_of, rewritten, substituted
from accelsim.workload.transform.reductions import check_runs, reduced_of, running
from accelsim.workload.transform.statements import cleaned
from accelsim.workload.transform.text import access_text, call


def rebase(cascade: Cascade, statement: str, reference: str, *into: str) -> Cascade:
    """A difference from one reference as one from another and what lies between: exp(a - c) = exp(a - b) * exp(b - c).

    `SN = exp(QK - GM)` becomes `L = exp(QK - b)`, `P = exp(b - GM)` and `SN = L * P`, or SN is left alone and the statements `into` read
    L * P for it. `reference`: a tensor b without ranks that SN lacks, of which a recurrence gives the slice that the step itself makes.
    """
    draft = Draft.of(cascade)
    at = draft.at(statement)
    line, found = draft.lines[at], difference(draft.lines[at].expression)
    if found is None or reduced_of(draft, at) or index_names(line.output) is None:
        known = ", ".join(f"{name}(a {OPERATORS[row.turns[0]].inverse} B[...])" for name, row in OPERATORS.items() if row.turns)
        raise draft.refusal(f"{statement} is no difference", f"a difference is {known}", at)
    base = _reference(draft, at, found, reference)
    near = Access(draft.fresh(f"L{line.output.tensor}"), line.output.indices)
    inside = ranks_of((base, found.reference), cascade.extents)
    apart = Access(
        draft.fresh(f"P{line.output.tensor}"), tuple(index for index in line.output.indices if index in [Name(rank) for rank in inside])
    )
    whole = call(found.of[1], near, apart)
    first = replace(line, output=near, expression=found.to(base))
    second = Parsed(apart, between(found.function, base, found.reference), condition=_condition(draft, at, (base, found.reference), apart))
    last = max(at, max(place for place, each in enumerate(draft.lines) if each.output.tensor == base.tensor))
    lines = list(draft.lines)
    if into:
        for name in into:
            place = draft.at(name)
            last = min(last, place - 1)
            lines[place] = replace(lines[place], expression=rewritten(lines[place].expression, _reading(line, whole)))
        added = [first, second]
    else:
        lines[at] = replace(line, expression=whole)
        added, last = [first, second], at - 1
    return (
        cleaned(draft.with_lines((*lines[: last + 1], *added, *lines[last + 1 :])))
        .typed_as({near.tensor: line.output.tensor, apart.tensor: line.output.tensor})
        .built()
    )


def _condition(draft: Draft, at: int, reads: tuple[Access, Access], apart: Access) -> Expression | None:
    """The condition under which what lies between two references may be computed: that of the value, where a reference has one."""
    line = draft.lines[at]
    partly = [each for each in draft.lines if each.condition is not None and each.output.tensor in {read.tensor for read in reads}]
    partly = [
        each
        for each in partly
        if not set(ranks_of((each.expression,), draft.cascade.extents)) - set(ranks_of((each.output,), draft.cascade.extents))
    ]
    for each in partly:
        own = set(ranks_of((line.condition,), draft.cascade.extents)) if line.condition is not None else set()
        if not set(conjuncts(each.condition)) <= set(conjuncts(line.condition)) or not own <= set(
            ranks_of((apart,), draft.cascade.extents)
        ):
            what = f"{each.output.tensor} is not there at every point that {line.output.tensor} would be measured at"
            raise draft.refusal(what, "name a reference without a condition", at)
    return line.condition if partly else None


def _reading(line: Parsed, whole: Expression) -> Callable[[Expression], Expression | None]:
    names = index_names(line.output)
    assert names is not None

    def read(part: Expression) -> Expression | None:
        if isinstance(part, Access) and part.tensor == line.output.tensor:
            return substituted(whole, dict(zip(names, part.indices, strict=True)))
        return None

    return read


def _reference(draft: Draft, at: int, found: Difference, tensor: str) -> Access:
    """The element of a tensor that a statement's value may be measured from: this step's, where it is a recurrence."""
    cascade, line = draft.cascade, draft.lines[at]
    if tensor not in cascade.tensors or cascade.tensors[tensor].is_input:
        computed = [name for name, each in cascade.tensors.items() if not each.is_input]
        raise draft.refusal(f"no statement computes '{tensor}'", did_you_mean(tensor, computed), at)
    writes = [each for each in draft.lines if each.output.tensor == tensor and ranks_of((each.output,), cascade.extents)]
    if not writes:
        raise draft.refusal(f"{tensor} is one number, along which nothing runs", "name another reference", at)
    base = writes[-1].output
    ranks = set(ranks_of((line.output,), cascade.extents))
    if not set(ranks_of((base,), cascade.extents)) <= ranks:
        missing = sorted(set(ranks_of((base,), cascade.extents)) - ranks)
        raise draft.refusal(f"{tensor} has the rank '{missing[0]}', which {line.output.tensor} lacks", "name another reference", at)
    if base == found.reference:
        raise draft.refusal(f"{line.output.tensor} is measured from {access_text(base)} already", "name another reference", at)
    return base


def accumulate(cascade: Cascade, statement: str, rank: str) -> Cascade:
    """A sum over steps of a running value, measured from its last slice, as a recurrence that corrects the sum when the value moves on.

    `SD = sum[m1] X[m1] * exp(R[m1+1] - R[M1])` becomes `C[m1] = exp(R[m1] - R[m1+1])`, `S[0] = 0; S[m1+1] = S[m1] * C[m1] + X[m1]`,
    and `S[M1]` is read for SD: by induction S[j] is the sum over the steps before j, measured from R[j].
    """
    draft = Draft.of(cascade)
    at = draft.at(statement)
    if reduced_of(draft, at) != (rank,):
        what = f"{statement} reduces {', '.join(reduced_of(draft, at)) or 'nothing'}, and would run along '{rank}'"
        raise draft.refusal(what, f"cut it into levels, so that it reduces {rank} alone", at)
    check_runs(draft, at)
    line = draft.lines[at]
    found = _correction(draft, at, rank)
    if found is None:
        what = f"{statement} is no sum of values that are measured from the last slice of a running value along '{rank}'"
        raise draft.refusal(what, "rebase them first", at)
    gap, old, new, operator, rest = found
    factor = between(gap.function, old, new)
    existing = next((each.output for each in draft.lines if each.expression == factor and index_names(each.output)), None)
    correction, added = existing, []
    if correction is None:
        inside = ranks_of((factor,), cascade.extents)
        names = [name for name in ranks_of((new,), cascade.extents) if name in inside]
        correction = Access(draft.fresh(f"C{new.tensor}"), tuple(Name(name) for name in names))
        added = [Parsed(correction, factor)]
    row = OPERATORS[line.reduce]
    assert row.identity is not None
    moved = correction
    made = running(draft, at, rank, row.identity, lambda before: call(line.reduce, call(operator, before, moved), rest))
    lines = list(made.lines)
    lines[at:at] = added
    like = {correction.tensor: new.tensor} if added else {}
    return cleaned(made.with_lines(lines)).typed_as(like).built()


def _correction(draft: Draft, at: int, rank: str) -> tuple[Difference, Access, Access, str, Expression] | None:
    """Of a sum: the factor that lies between this step's slice and the last, both slices around the step, and what is left of each term."""
    line = draft.lines[at]
    for operator, row in OPERATORS.items():
        if line.reduce not in row.over:
            continue
        whole = joined(line.expression, operator)
        for place, part in enumerate(whole.plain):
            gap = difference(_definition(draft, part))
            if gap is None or gap.of[1] != operator or not isinstance(gap.value, Access):
                continue
            found = _slices(draft, gap.value, gap.reference, rank)
            if found is None:
                continue
            rest = replace(whole, plain=whole.plain[:place] + whole.plain[place + 1 :])
            if any(access.tensor == gap.reference.tensor for each in rest.parts for access in accesses(each)):
                continue
            return gap, *found, operator, rest.expression()
    return None


def _definition(draft: Draft, part: Expression) -> Expression:
    """What an access reads, if one plain statement says it; else the part itself."""
    if not isinstance(part, Access):
        return part
    writes = [line for line in draft.lines if line.output.tensor == part.tensor]
    names = index_names(writes[0].output) if len(writes) == 1 else None
    if names is None or writes[0].condition is not None or set(ranks_of((writes[0].expression,), draft.cascade.extents)) - set(names):
        return part
    return substituted(writes[0].expression, dict(zip(names, part.indices, strict=True)))


def _slices(draft: Draft, value: Access, reference: Access, rank: str) -> tuple[Access, Access] | None:
    """The slices of a running value before and after a step along a rank, if `value` is the latter and `reference` its last slice."""
    tensor = draft.cascade.tensors[value.tensor]
    if value.tensor != reference.tensor or tensor.iterative is None:
        return None
    where, size = tensor.iterative, Name(rank.upper())
    after = call("add", Name(rank), Number(1.0))
    same = [at for at, pair in enumerate(zip(value.indices, reference.indices, strict=True)) if pair[0] != pair[1]]
    if value.indices[where] != after or reference.indices[where] != size or same != [where]:
        return None
    before = (*value.indices[:where], Name(rank), *value.indices[where + 1 :])
    return Access(value.tensor, before), value
