"""Steps on linear recurrences: H[t+1] = a[t] * H[t] + b[t] in chunks, and by parallel scans."""

from __future__ import annotations

from dataclasses import dataclass, replace

from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import Access, Expression, Name, Number, accesses
from accelsim.workload.grammar import Parsed
from accelsim.workload.operators import OPERATORS
from accelsim.workload.transform.algebra import joined
from accelsim.workload.transform.draft import Draft, index_names, ranks_of, rewritten
from accelsim.workload.transform.splitting import check, cut_dimensions, cut_line, declared
from accelsim.workload.transform.statements import cleaned
from accelsim.workload.transform.text import call

_ONE = Number(1.0)


@dataclass(frozen=True, slots=True)
class Linear:
    """`state[t+1] = add(mul(factor, state[t]), addend)` from the number `start`; `mul` distributes over `add`.

    `rank`: t, dimension `where` of `indices`, those of the state (t itself there). `lines`: the places of both statements.
    """

    tensor: str
    rank: str
    where: int
    indices: tuple[Expression, ...]
    add: str
    mul: str
    factor: Expression
    addend: Expression
    start: float
    lines: tuple[int, int]

    def moved(self, factor: Expression, state: Expression, addend: Expression) -> Expression:
        """A step with a factor, from a state, with an addend."""
        return call(self.add, call(self.mul, factor, state), addend)

    def identity(self, operator: str) -> float:
        """What changes nothing under one of its two operators."""
        found = OPERATORS[operator].identity
        assert found is not None
        return found


def linear(draft: Draft, tensor: str) -> Linear:
    """A tensor as a linear recurrence; an InputError that says why it is none."""
    cascade = draft.cascade
    places = [at for at, line in enumerate(draft.lines) if line.output.tensor == tensor]
    if not places:
        draft.at(tensor)
    starts = [at for at in places if cascade.einsums[at].initial]
    steps = [at for at in places if not cascade.einsums[at].initial]
    where = cascade.tensors[tensor].iterative
    if where is None or len(starts) != 1 or len(steps) != 1:
        raise draft.refusal(f"'{tensor}' is no recurrence of a constant first slice and one step", "name one such", places[0])
    first, line, at = draft.lines[starts[0]], draft.lines[steps[0]], steps[0]
    rank = ranks_of((line.output.indices[where],), cascade.extents)[0]
    indices = (*line.output.indices[:where], Name(rank), *line.output.indices[where + 1 :])
    old = Access(tensor, indices)
    names = index_names(old)
    start = first.expression
    if names is None or line.output.indices[where] != call("add", Name(rank), _ONE) or first.output.indices[where] != Number(0.0):
        raise draft.refusal(f"'{tensor}' does not step from one slice to the next", "write T[t+1,i] from T[t,i]", at)
    if set(ranks_of((line.expression,), cascade.extents)) - set(names) or line.condition is not None or not isinstance(start, Number):
        raise draft.refusal(f"'{tensor}' reduces, has a condition or starts from no number", "name a plain recurrence", at)
    for mul, row in OPERATORS.items():
        for add in row.over:
            made = _parted(line.expression, old, add, mul)
            if made is not None:
                return Linear(tensor, rank, where, indices, add, mul, *made, start.value, (starts[0], at))
    raise draft.refusal(f"'{tensor}' is not linear in its last slice", "a step is T[t+1] = A[t] * T[t] + B[t]", at)


def _parted(expression: Expression, old: Access, add: str, mul: str) -> tuple[Expression, Expression] | None:
    terms = joined(expression, add)
    having = [term for term in terms.parts if _reads(term, old.tensor)]
    if len(having) != 1 or having[0] not in terms.plain or len(terms.parts) < 2:
        return None
    factors = joined(having[0], mul)
    if factors.plain.count(old) != 1 or sum(_reads(factor, old.tensor) for factor in factors.parts) != 1:
        return None
    at = factors.plain.index(old)
    factor = replace(factors, plain=factors.plain[:at] + factors.plain[at + 1 :])
    at = terms.plain.index(having[0])
    rest = replace(terms, plain=terms.plain[:at] + terms.plain[at + 1 :])
    return factor.expression(), rest.expression()


def _reads(part: Expression, tensor: str) -> bool:
    return any(access.tensor == tensor for access in accesses(part))


def chunk(cascade: Cascade, tensor: str, outer: str = "", inner: str = "", size: int | None = None) -> Cascade:
    """A linear recurrence in chunks: each is scanned from nothing, a carry runs from chunk to chunk, and a fix-up adds it to every step.

    The rank is split as by `split`; what read the next slice `H[t+1]` reads `H[t1,t0]`, what read the old one another tensor, and the last
    slice is the last carry. Three steps' work for one, and chunks that do not wait for each other but for the carry.
    """
    draft = Draft.of(cascade)
    found = linear(draft, tensor)
    rank = found.rank
    outer, inner = outer or f"{rank}1", inner or f"{rank}0"
    check(draft, rank, outer, inner)
    if cascade.tensors[tensor].is_output:
        raise draft.refusal(f"'{tensor}' is an output", "chunk a recurrence that only other statements read", found.lines[1])
    dimensions = cut_dimensions(draft, rank, frozenset({tensor}))
    reads = uses(draft, found)
    local, decay, carry = (draft.fresh(f"{letter}{tensor}") for letter in "LGS")
    ranks = tuple(index.name for index in found.indices if isinstance(index, Name))
    decaying = set(ranks_of((found.factor,), cascade.extents)) | {rank}

    def at(name: str, *, c: Expression, q: Expression | None, only: set[str] | None = None) -> Access:
        parts: list[Expression] = []
        for each in ranks:
            if each == rank:
                parts += [c] if q is None else [c, q]
            elif only is None or each in only:
                parts.append(Name(each))
        return Access(name, tuple(parts))

    c, q = Name(outer), Name(inner)
    ends = at(decay, c=c, q=Name(inner.upper()), only=decaying), at(carry, c=c, q=None), at(local, c=c, q=Name(inner.upper()))
    after_q, after_c = call("add", q, _ONE), call("add", c, _ONE)
    factor, addend = (
        cut_line(Parsed(Access("", ()), part), rank, outer, inner, dimensions).expression for part in (found.factor, found.addend)
    )
    zero, one = Number(found.identity(found.add)), Number(found.identity(found.mul))

    def fixed(q: Expression) -> Expression:
        return found.moved(at(decay, c=c, q=q, only=decaying), at(carry, c=c, q=None), at(local, c=c, q=q))

    made = [
        Parsed(at(local, c=c, q=Number(0.0)), zero),
        Parsed(at(decay, c=c, q=Number(0.0), only=decaying), one),
        Parsed(at(carry, c=Number(0.0), q=None), Number(found.start)),
        Parsed(at(local, c=c, q=after_q), found.moved(factor, at(local, c=c, q=q), addend)),
        Parsed(at(decay, c=c, q=after_q, only=decaying), call(found.mul, factor, at(decay, c=c, q=q, only=decaying))),
        Parsed(at(carry, c=after_c, q=None), found.moved(*ends)),
    ]  # fmt: skip
    before = draft.fresh(f"B{tensor}")
    if "next" in reads:
        made.append(Parsed(at(tensor, c=c, q=q), fixed(after_q)))
    if "old" in reads:
        made.append(Parsed(at(before, c=c, q=q), fixed(q)))

    def read(part: Expression) -> Expression | None:
        if not isinstance(part, Access) or part.tensor != tensor:
            return None
        which = kind(part, found)
        rest = [index for place, index in enumerate(part.indices) if place != found.where]
        new = {"next": tensor, "old": before, "last": carry}[which]
        own = [Name(outer.upper())] if which == "last" else [c, q]
        return Access(new, (*rest[: found.where], *own, *rest[found.where :]))

    lines = []
    for place, line in enumerate(draft.lines):
        if place in found.lines:
            lines += made if place == found.lines[1] else []
            continue
        lines.append(cut_line(replace(line, expression=rewritten(line.expression, read)), rank, outer, inner, dimensions))
    like = {local: tensor, decay: tensor, carry: tensor, before: tensor}
    return cleaned(declared(draft.with_lines(lines).typed_as(like), rank, outer, inner, size)).built()


def kind(access: Access, found: Linear) -> str:
    """Which slice an access reads: `next`, `old`, `last`, or something else."""
    index = access.indices[found.where]
    if index == call("add", Name(found.rank), _ONE):
        return "next"
    return "old" if index == Name(found.rank) else "last" if index == Name(found.rank.upper()) else ""


def uses(draft: Draft, found: Linear) -> set[str]:
    """Which slices of a recurrence other statements read; refuses any but the next, the old and the last."""
    kinds = set()
    for place, einsum in enumerate(draft.cascade.einsums):
        if place in found.lines:
            continue
        for access in einsum.condition_reads:
            if access.tensor == found.tensor:
                raise draft.refusal(f"the condition of {einsum.name} reads '{found.tensor}'", "compute it in a statement of its own", place)
        for access in einsum.reads:
            if access.tensor == found.tensor:
                which = kind(access, found)
                if not which:
                    what = (
                        f"{einsum.name} reads slices of '{found.tensor}' other than {found.rank}, {found.rank}+1 and {found.rank.upper()}"
                    )
                    raise draft.refusal(what, "copy them first", place)
                kinds.add(which)
    return kinds
