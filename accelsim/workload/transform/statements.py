"""Steps on single statements: write a tensor's definition where it is read, name a part of an expression, drop what nothing reads."""

from __future__ import annotations

from dataclasses import replace

from accelsim.errors import InputError
from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import Access, Call, Expression, Name, accesses, walk
from accelsim.workload.grammar import Parsed
from accelsim.workload.ranges import conjuncts
from accelsim.workload.transform.draft import Draft, in_line, index_names, ranks_of, rewritten, substituted


def inline(cascade: Cascade, tensor: str, into: str = "") -> Cascade:
    """The definition of a tensor in the place of its reads (of those in the statement `into`, if that is named).

    Refuses inputs, reductions, recurrences, tensors written in parts or read in indices and conditions, and conditions that readers lack.
    """
    draft = Draft.of(cascade)
    at = draft.only(tensor)
    places = [draft.at(into)] if into else list(range(len(draft.lines)))
    made = inlined(draft, at, [place for place in places if _reads(draft.lines[place], tensor)])
    return cleaned(made).built()


def _reads(line: Parsed, tensor: str) -> bool:
    parts = (line.expression, *((line.condition,) if line.condition is not None else ()))
    return any(access.tensor == tensor for part in parts for access in accesses(part))


def inlined(draft: Draft, at: int, places: list[int]) -> Draft:
    """The definition at a place written into the statements at others."""
    line, tensor = draft.lines[at], draft.lines[at].output.tensor
    names = index_names(line.output)
    extents = draft.cascade.extents
    if names is None or set(ranks_of((line.expression,), extents)) - set(names):
        raise draft.refusal(f"{tensor} is not a function of one point", "inline a tensor whose statement reduces nothing", at)
    if not places:
        raise draft.refusal(f"nothing reads '{tensor}' there", "name a statement that does", at)
    if any(access.tensor == tensor for access in accesses(line.expression)):
        raise draft.refusal(f"{tensor} reads itself", "inline a tensor that does not", at)
    lines = list(draft.lines)
    for place in places:
        reader = lines[place]
        _check_condition(draft, line, names, reader, place)

        def meant(part: Expression) -> Expression | None:
            if isinstance(part, Access) and part.tensor == tensor:
                return substituted(line.expression, dict(zip(names, part.indices, strict=True)))
            return None

        lines[place] = replace(reader, expression=rewritten(reader.expression, meant))
    return draft.with_lines(lines)


def _check_condition(draft: Draft, line: Parsed, names: tuple[str, ...], reader: Parsed, place: int) -> None:
    tensor = line.output.tensor
    inside = [part for access in accesses(reader.expression) for part in access.indices]
    if any(access.tensor == tensor for part in (*inside, reader.condition) if part is not None for access in accesses(part)):
        raise draft.refusal(f"an index or a condition reads {tensor}", "inline it into expressions only", place)
    for condition in conjuncts(line.condition):
        held = conjuncts(reader.condition)
        for access in accesses(reader.expression):
            if access.tensor == tensor and substituted(condition, dict(zip(names, access.indices, strict=True))) not in held:
                raise draft.refusal(f"{tensor} has a condition that its reader lacks", "repeat the condition on the reader", place)


def cleaned(draft: Draft) -> Draft:
    """The same without statements whose tensors nothing reads and that were no outputs."""
    outputs = {name for name, tensor in draft.cascade.tensors.items() if tensor.is_output}
    while True:
        read = set(outputs)
        for line in draft.lines:
            parts = (line.expression, *((line.condition,) if line.condition is not None else ()))
            read |= {access.tensor for part in parts for access in accesses(part) if access.tensor != line.output.tensor}
        kept = tuple(line for line in draft.lines if line.output.tensor in read)
        if len(kept) == len(draft.lines):
            return draft
        draft = draft.with_lines(kept)


def name(cascade: Cascade, statement: str, part: Expression, tensor: str = "") -> Cascade:
    """A part of an expression as a tensor of its own, read where the part stood."""
    draft = Draft.of(cascade)
    at = draft.at(statement)
    line = draft.lines[at]
    if part == line.expression or part not in tuple(walk(line.expression)) or not isinstance(part, Call) or not accesses(part):
        raise draft.refusal("the statement has no such part to name", "write a part of its right-hand side", at)
    ranks = ranks_of((line.output, line.expression), cascade.extents)
    inside = ranks_of((part,), cascade.extents)
    indices = [rank for rank in ranks if rank in inside]
    covered = line.condition is not None and set(ranks_of((line.condition,), cascade.extents)) <= set(inside)
    condition = line.condition if covered else None
    if tensor and draft.fresh(tensor) != tensor:
        raise draft.refusal(f"the name '{tensor}' is taken", "give the part another", at)
    access = Access(tensor or draft.fresh(f"{line.output.tensor}P"), tuple(Name(rank) for rank in indices))
    read = replace(line, expression=rewritten(line.expression, lambda each: access if each == part else None))
    return draft.replaced(at, Parsed(access, part, condition=condition), read).typed_as({access.tensor: line.output.tensor}).built()


def shared(cascade: Cascade) -> Cascade:
    """Tensors that are computed alike computed once; refuses a cascade that has none such."""
    made = _shared(Draft.of(cascade))
    if made is None:
        raise InputError(f"{cascade.name}: no two tensors are computed alike", "")
    return made.built()


def _shared(draft: Draft) -> Draft | None:
    merged: Draft | None = None
    while (found := _alike(draft)) is not None:
        first, second = found
        draft = merged = _renamed(draft, draft.lines[second].output.tensor, draft.lines[first].output.tensor, second)
    return merged


def _renamed(draft: Draft, tensor: str, kept: str, dropped: int) -> Draft:
    """The draft without one statement, whose tensor is read under another name."""

    def read(part: Expression) -> Expression | None:
        if isinstance(part, Access) and part.tensor == tensor:
            return Access(kept, tuple(rewritten(index, read) for index in part.indices))
        return None

    return draft.with_lines(in_line(line, read) for at, line in enumerate(draft.lines) if at != dropped)


def _alike(draft: Draft) -> tuple[int, int] | None:
    outputs = {name for name, tensor in draft.cascade.tensors.items() if tensor.is_output}
    written = [line.output.tensor for line in draft.lines]
    for second, line in enumerate(draft.lines):
        names = index_names(line.output)
        if names is None or line.output.tensor in outputs or written.count(line.output.tensor) > 1:
            continue
        for first, other in enumerate(draft.lines[:second]):
            same = (other.output.indices, other.expression, other.reduce, other.condition) == (
                line.output.indices, line.expression, line.reduce, line.condition,
            )  # fmt: skip
            if (
                same
                and written.count(other.output.tensor) == 1
                and other.output.tensor not in {a.tensor for a in accesses(line.expression)}
            ):
                return first, second
    return None
