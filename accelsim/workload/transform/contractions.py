"""Steps on sums of products: multiply sums out, write one sum inside another, and choose which rank is summed first."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import Access, Call, Expression, Name, accesses
from accelsim.workload.grammar import Parsed
from accelsim.workload.operators import OPERATORS
from accelsim.workload.transform.algebra import joined
from accelsim.workload.transform.draft import Draft, index_names, ranks_of, rewritten, substituted
from accelsim.workload.transform.polynomial import MOST_TERMS, Monomial, Polynomial, added, expression_of, monomial_of, polynomial, times
from accelsim.workload.transform.reductions import reduced_of
from accelsim.workload.transform.statements import cleaned

Words = tuple[str, ...]


def expand(cascade: Cascade, statement: str) -> Cascade:
    """A sum of a sum of products as sums of single products, with what is constant along the sum applied once, and like terms joined.

    `VR = sum[d] (X[d] - SM / D) * (X[d] - SM / D)` becomes `N = sum[d] X * X; VR = N - SM * SM / D`, as SM is known to be the sum of X.
    Refuses statements with a condition, other reductions than sums, and those of one product without constant factors.
    """
    draft = Draft.of(cascade)
    at = draft.at(statement)
    line, reduced = draft.lines[at], reduced_of(draft, at)
    if not reduced or line.reduce != "add":
        raise draft.refusal(f"{statement} is no sum over a rank", "name a statement that is", at)
    if line.condition is not None:
        raise draft.refusal(f"{statement} has a condition", "a constant would be counted where it does not hold", at)
    terms = polynomial(line.expression)
    if len(terms) > MOST_TERMS:
        raise draft.refusal(f"{statement} has {len(terms)} terms when multiplied out", f"at most {MOST_TERMS} are", at)
    extents = cascade.extents
    sums: dict[Monomial, Expression] = {}
    added_lines: list[Parsed] = []
    whole = []
    for monomial, coefficient in terms.items():
        varying = monomial_of({atom: power for atom, power in monomial if set(ranks_of((atom,), extents)) & set(reduced)})
        constant = monomial_of({atom: power for atom, power in monomial if not set(ranks_of((atom,), extents)) & set(reduced)})
        inside = set(ranks_of(tuple(atom for atom, _ in varying), extents))
        idle = [rank for rank in reduced if rank not in inside]
        if varying and varying not in sums:
            sums[varying] = _sum(draft, at, varying, added_lines)
        total: Polynomial = {((sums[varying], 1),): Fraction(1)} if varying else {(): Fraction(1)}
        times_idle = {monomial_of({Name(size): 1 for size in _sizes(draft, at, idle)}): Fraction(1)}
        whole.append((times(times({constant: coefficient}, total), times_idle), 1))
    if len(terms) == 1 and all(set(ranks_of((atom,), extents)) & set(reduced) for atom, _ in next(iter(terms))):
        raise draft.refusal(f"{statement} is a sum of one product", "inline what it reads first, or name another", at)
    result = Parsed(line.output, expression_of(added(whole)))
    return (
        cleaned(draft.replaced(at, *added_lines, result)).typed_as({each.output.tensor: line.output.tensor for each in added_lines}).built()
    )


def _sizes(draft: Draft, at: int, idle: list[str]) -> list[str]:
    """The sizes whose product says how many points some ranks have: of all parts of a split its own, as the last tile may be short."""
    sizes = list[str]()
    for split in draft.cascade.splits:
        mine = [part for part in split.parts if part in idle]
        if len(mine) == len(split.parts):
            sizes.append(split.rank.upper())
        elif mine and (split.free or math.prod(draft.cascade.extents[part] for part in split.parts) != split.extent):
            what = f"{draft.cascade.einsums[at].name} has a term without '{mine[0]}', of which the last tile may be short"
            raise draft.refusal(what, f"expand it before '{split.rank}' is split", at)
        else:
            sizes += [part.upper() for part in mine]
    parts = {part for split in draft.cascade.splits for part in split.parts}
    return [*sizes, *(rank.upper() for rank in idle if rank not in parts)]


def _sum(draft: Draft, at: int, varying: Monomial, lines: list[Parsed]) -> Access:
    """The tensor that is the sum of one product: one that the cascade has before this statement, else a new one."""
    line, extents = draft.lines[at], draft.cascade.extents
    body = expression_of({varying: Fraction(1)})
    inside = ranks_of((body,), extents)
    names = tuple(rank for rank in ranks_of((line.output,), extents) if rank in inside)
    for place, other in enumerate(draft.lines[:at]):
        own = index_names(other.output)
        if own is None or other.condition is not None or other.reduce != "add" or set(own) != set(names):
            continue
        if polynomial(other.expression) == {varying: Fraction(1)} and reduced_of(draft, place) and draft.lines[place] is other:
            return Access(other.output.tensor, tuple(Name(name) for name in own))
    taken = {each.output.tensor for each in lines}
    stem = f"N{line.output.tensor}"
    free = (stem, *(f"{stem}{number}" for number in range(1, 100)))
    name = next(each for each in free if draft.fresh(each) == each and each not in taken)
    access = Access(name, tuple(Name(rank) for rank in names))
    lines.append(Parsed(access, body))
    return access


def merge(cascade: Cascade, tensor: str, into: str) -> Cascade:
    """A sum written into a sum of which it is a factor: `O = sum[m] (sum[e] Q * K) * V` as `O = sum[m,e] Q * K * V`, in no order yet.

    Refuses factors whose reduction is another or whose ranks the reader has already, and what is no single factor.
    """
    draft = Draft.of(cascade)
    at, place = draft.only(tensor), draft.at(into)
    line, reader = draft.lines[at], draft.lines[place]
    names, reduced = index_names(line.output), reduced_of(draft, at)
    extents = cascade.extents
    if names is None or not reduced or any(access.tensor == tensor for access in accesses(line.expression)):
        raise draft.refusal(f"{tensor} is no reduction", "inline it instead", at)
    if not reduced_of(draft, place) or line.reduce != reader.reduce:
        raise draft.refusal(f"{into} does not reduce as {tensor} does", "name two sums", place)
    operator = next((name for name, row in OPERATORS.items() if line.reduce in row.over and _factor(reader, tensor, name)), None)
    if operator is None:
        raise draft.refusal(f"{tensor} is no single factor of {into}", "name a product that reads it", place)
    clash = set(reduced) & set(ranks_of((reader.output, reader.expression), extents))
    if clash:
        raise draft.refusal(f"{into} has rank '{min(clash)}' already, which {tensor} reduces", "use another rank in one of them", place)
    condition = reader.condition

    def read(part: Expression) -> Expression | None:
        if isinstance(part, Access) and part.tensor == tensor:
            return substituted(line.expression, dict(zip(names, part.indices, strict=True)))
        return None

    access = next(each for each in accesses(reader.expression) if each.tensor == tensor)
    if line.condition is not None:
        own = substituted(line.condition, dict(zip(names, access.indices, strict=True)))
        condition = own if condition is None else condition if condition == own else Call("and", (condition, own))
    inner = None if reader.reduced is None else (*reader.reduced, *reduced)
    return cleaned(
        draft.replaced(place, replace(reader, expression=rewritten(reader.expression, read), reduced=inner, condition=condition))
    ).built()


def _factor(reader: Parsed, tensor: str, operator: str) -> bool:
    plain = joined(reader.expression, operator).plain
    reads = [part for part in plain if isinstance(part, Access) and part.tensor == tensor]
    return len(reads) == 1 and len([each for each in accesses(reader.expression) if each.tensor == tensor]) == 1 and len(plain) > 1


def reassociated(cascade: Cascade, tensor: str, into: str) -> list[Words]:
    """The steps that sum what the reader of a sum reduces first: (Q K) V as Q (K V)."""
    draft = Draft.of(cascade)
    return [("merge", tensor, into), ("levels", into, *reduced_of(draft, draft.at(into)))]
