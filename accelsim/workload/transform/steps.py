"""Steps by name: as words that a person writes, applied one after the other, and those that a cascade allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from accelsim.errors import InputError, did_you_mean
from accelsim.workload.cascade import Cascade
from accelsim.workload.grammar import parse_expression
from accelsim.workload.transform import (
    contractions,
    parallel,
    recurrences,
    reductions,
    running,
    sequences,
    splitting,
    statements,
    unrolling,
)

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A verb with its arguments."""

    verb: str
    arguments: Words = ()

    def __str__(self) -> str:
        return " ".join((self.verb, *self.arguments))


@dataclass(frozen=True, slots=True)
class Verb:
    """What a step does: `apply(cascade, *arguments)`, of which there are `least` to `most`. `usage`: these arguments in words.

    `sequence`: it stands for other steps, and `expand` lists them. `explored`: a search over cascades
    tries it. `places`: arguments that may be worth trying, legal or not.
    """

    usage: str
    about: str
    apply: Callable[..., Cascade] | None
    places: Callable[[Cascade], Iterable[Words]]
    least: int
    most: int
    expand: Callable[..., list[Words]] | None = None
    explored: bool = False


def _size(text: str) -> int | None:
    if text in ("", "~"):
        return None
    if not (text.isascii() and text.isdigit() and int(text[:18]) > 0 and len(text) < 18):
        raise InputError(f"size '{text}' is not a whole number from 1", "write digits, or ~ to leave it open")
    return int(text)


def _split(cascade: Cascade, rank: str, outer: str = "", inner: str = "", size: str = "") -> Cascade:
    return splitting.split(cascade, rank, outer, inner, _size(size))


def _chunk(cascade: Cascade, tensor: str, outer: str = "", inner: str = "", size: str = "") -> Cascade:
    return recurrences.chunk(cascade, tensor, outer, inner, _size(size))


def _inline(cascade: Cascade, tensor: str, into: str = "") -> Cascade:
    return statements.inline(cascade, tensor, into)


def _name(cascade: Cascade, statement: str, part: str, tensor: str = "") -> Cascade:
    return statements.name(cascade, statement, parse_expression(part), tensor)


def _ranks(cascade: Cascade) -> Iterator[Words]:
    parts = {part for split in cascade.splits for part in split.parts}
    walked = {rank for einsum in cascade.work for rank in einsum.ranks}
    yield from ((rank,) for rank in cascade.extents if rank in walked and rank not in parts and cascade.extents[rank] > 1)


def _walked(cascade: Cascade) -> Iterator[Words]:
    parts = {part for split in cascade.splits for part in split.parts}
    yield from ((split.rank,) for split in cascade.splits)
    yield from ((rank,) for rank in dict.fromkeys(rank for einsum in cascade.work for rank in einsum.reduced) if rank not in parts)


def _reduced(cascade: Cascade) -> Iterator[Words]:
    yield from ((einsum.name, rank) for einsum in cascade.work if len(einsum.reduced) > 1 for rank in einsum.reduced)


def _single(cascade: Cascade) -> Iterator[Words]:
    yield from ((einsum.name, einsum.reduced[0]) for einsum in cascade.work if len(einsum.reduced) == 1)


def _recurrences(cascade: Cascade) -> Iterator[Words]:
    yield from ((name,) for name, tensor in cascade.tensors.items() if tensor.iterative is not None)


def _plain(cascade: Cascade) -> Iterator[Words]:
    yield from ((einsum.name,) for einsum in cascade.work if not einsum.reduced and einsum.name == einsum.output.tensor)


def _factors(cascade: Cascade) -> Iterator[Words]:
    reduced = {einsum.output.tensor for einsum in cascade.work if einsum.reduced}
    for einsum in cascade.work:
        yield from ((access.tensor, einsum.name) for access in einsum.reads if einsum.reduced and access.tensor in reduced)


def _products(cascade: Cascade) -> Iterator[Words]:
    """Sums in products of three, but for those over parts of one split: these are levels of one sum."""
    for tensor, reader in _factors(cascade):
        inner, outer = cascade.producers[tensor][-1], cascade.by_name[reader]
        parts = {part: split.rank for split in cascade.splits for part in split.parts}
        same = {parts.get(rank, rank) for rank in inner.reduced} & {parts.get(rank, rank) for rank in outer.reduced}
        if not same and len(inner.reads) + len(outer.reads) > 3:
            yield tensor, reader


def _named(cascade: Cascade) -> Iterator[Words]:
    from accelsim.workload.expression import Call, walk
    from accelsim.workload.transform.text import expression_text

    for einsum in cascade.work:
        for part in dict.fromkeys(walk(einsum.expression)):
            if isinstance(part, Call) and part != einsum.expression:
                yield einsum.name, expression_text(part).replace(" ", "")


def _rebased(cascade: Cascade) -> Iterator[Words]:
    from accelsim.workload.transform.algebra import difference

    for einsum in cascade.work:
        if difference(einsum.expression) is None or einsum.reduced:
            continue
        for name, tensor in cascade.tensors.items():
            if not tensor.is_input and name != einsum.output.tensor and not tensor.is_output:
                yield einsum.name, name


VERBS: Mapping[str, Verb] = {
    "defer": Verb(
        "STATEMENT",
        "apply factors that are constant along a reduction once, after it",
        reductions.defer,
        lambda cascade: ((name,) for name in reductions.deferrable(cascade)),
        1,
        1,
        explored=True,
    ),
    "split": Verb("RANK [OUTER INNER [SIZE]]", "cut a rank into parts; without a size it is left open", _split, _ranks, 1, 4),
    "levels": Verb("STATEMENT RANK…", "reduce over these ranks first, then over the others", reductions.levels, _reduced, 2, 16),
    "run": Verb("STATEMENT RANK", "turn a reduction into a recurrence along its rank", reductions.run, _single, 2, 2),
    "rebase": Verb(
        "STATEMENT TENSOR [READER…]",
        "measure exp(a - c) from another reference b: exp(a - b) * exp(b - c)",
        running.rebase,
        _rebased,
        2,
        16,
    ),
    "accumulate": Verb(
        "STATEMENT RANK",
        "turn a sum measured from a last slice into a recurrence that is corrected",
        running.accumulate,
        _single,
        2,
        2,
    ),
    "chunk": Verb(
        "TENSOR [OUTER INNER [SIZE]]", "scan a linear recurrence in chunks with a carry", _chunk, _recurrences, 1, 4, explored=True
    ),
    "scan": Verb(
        "TENSOR [kogge-stone|blelloch]",
        "compute a linear recurrence by a parallel scan",
        parallel.scan,
        lambda cascade: ((*each, manner) for each in _recurrences(cascade) for manner in ("kogge-stone", "blelloch")),
        1,
        2,
    ),
    "unroll": Verb("RANK", "write every statement along a rank once for each coordinate", unrolling.unroll, unrolling.unrollable, 1, 1),
    "inline": Verb("TENSOR [READER]", "write a tensor's definition where it is read", _inline, _plain, 1, 2),
    "expand": Verb(
        "STATEMENT",
        "multiply a sum out, and apply what is constant along it once",
        contractions.expand,
        lambda cascade: ((einsum.name,) for einsum in cascade.work if einsum.reduced),
        1,
        1,
    ),
    "merge": Verb("TENSOR READER", "write a sum into a sum of which it is a factor", contractions.merge, _factors, 2, 2),
    "name": Verb("STATEMENT PART [TENSOR]", "make a part of an expression, without spaces, a tensor of its own", _name, _named, 2, 3),
    "share": Verb("", "compute once what is computed alike", statements.shared, lambda cascade: ((),), 0, 0),
    "reassociate": Verb(
        "TENSOR READER",
        "sum what the reader reduces first: (Q K) V as Q (K V)",
        None,
        _products,
        2,
        2,
        contractions.reassociated,
        True,
    ),
    "stream": Verb(
        "RANK [OUTER INNER [SIZE]]",
        "measure values along a rank from a running reference: one pass",
        None,
        _walked,
        1,
        4,
        sequences.streamed,
        True,
    ),
    "local": Verb(
        "RANK [OUTER INNER [SIZE]]",
        "measure values along a rank from the reference of their tile",
        None,
        _walked,
        1,
        4,
        sequences.local,
        True,
    ),
}


def parse(text: str) -> tuple[Step, ...]:
    """Steps as text, with ';' between them: 'defer AV; stream m'. An InputError names the nearest verb."""
    found = []
    for part in text.split(";"):
        words = part.split()
        if not words:
            continue
        verb, *arguments = words
        if verb not in VERBS:
            raise InputError(f"there is no step '{verb}'", did_you_mean(verb, VERBS))
        known = VERBS[verb]
        if not known.least <= len(arguments) <= known.most:
            raise InputError(f"step '{part.strip()}' has {len(arguments)} arguments", f"write {verb} {known.usage}".strip())
        found.append(Step(verb, tuple(arguments)))
    return tuple(found)


def apply(cascade: Cascade, step: Step) -> Cascade:
    """A cascade after one step; an InputError says why the step does not apply."""
    verb = VERBS[step.verb]
    if verb.apply is not None:
        return verb.apply(cascade, *step.arguments)
    return derive(cascade, expand(cascade, step))


def expand(cascade: Cascade, step: Step) -> tuple[Step, ...]:
    """The elementary steps of one step."""
    verb = VERBS[step.verb]
    if verb.expand is None:
        return (step,)
    return tuple(Step(name, tuple(rest)) for name, *rest in verb.expand(cascade, *step.arguments))


def derive(cascade: Cascade, steps: Iterable[Step]) -> Cascade:
    """A cascade after some steps, one after the other."""
    for step in steps:
        cascade = apply(cascade, step)
    return cascade


def applicable(cascade: Cascade, verbs: Iterable[str] = VERBS) -> list[Step]:
    """The steps of these verbs that a cascade allows, at each place where one does."""
    return [step for step, _ in reached(cascade, verbs)]


def reached(cascade: Cascade, verbs: Iterable[str] = VERBS) -> Iterator[tuple[Step, Cascade]]:
    """The same, each with what it makes."""
    for verb in verbs:
        for arguments in VERBS[verb].places(cascade):
            step = Step(verb, tuple(arguments))
            try:
                made = apply(cascade, step)
            except InputError:
                continue
            yield step, made
