"""How often a cascade must traverse the fibers of a rank: a lower bound that loop order, tiling and fusion cannot change.

A further pass is needed when every element of a fiber must have been visited before some element can be visited again: a path
from a value streamed along the rank, through a reduction or a last slice over the whole of it, to an Einsum that walks it again.
Source of the idea: FuseMax, arXiv 2406.10491; the algorithm is described in docs/cascades.md.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from accelsim.errors import InputError, did_you_mean
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.expression import Access, names, own_names
from accelsim.workload.ranges import known_inequalities, least_step


@dataclass(frozen=True, slots=True)
class Crossing:
    """A tensor made in one pass and needed in a later one."""

    tensor: str
    made_in: int
    read_in: int


@dataclass(frozen=True, slots=True)
class Passes:
    """The result for one rank.

    `crossing`: tensors with an element per element of the fiber that live from pass to pass; kept on chip or moved again.
    `reread`: inputs that a later pass reads again. `summaries`: tensors without the rank that a later pass waits for.
    `placed`: the pass in which each Einsum walks the fiber, or, if it does not, after which it has what it reads (0: before any).
    """

    rank: str
    count: int
    crossing: tuple[Crossing, ...]
    reread: tuple[str, ...]
    summaries: tuple[Crossing, ...]
    placed: tuple[tuple[str, int], ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        passes = "1 pass" if self.count == 1 else f"{self.count} passes"
        crossing = ", ".join(f"{item.tensor} ({item.made_in} to {item.read_in})" for item in self.crossing)
        text = f"{passes} over {self.rank}"
        if crossing:
            text += f"; crossing: {crossing}"
        if self.reread:
            text += f"; read again: {', '.join(self.reread)}"
        return text


@dataclass(frozen=True, slots=True)
class _Fiber:
    """Which ranks walk the fiber: `streams` its outer variable under any name, `walks` the sets of ranks that together walk all of it."""

    streams: frozenset[str]
    walks: tuple[frozenset[str], ...]

    def walked_by(self, ranks: Collection[str]) -> bool:
        return any(walk <= set(ranks) for walk in self.walks)


@dataclass(frozen=True, slots=True)
class _Availability:
    """`along`: the pass in which a tensor becomes available element by element (0: it does not); `whole`: passes until it is known."""

    along: int = 0
    whole: int = 0


def passes(cascade: Cascade, rank: str, also: Collection[str] = ()) -> Passes:
    """The passes over a rank (or over a split rank, by its own name) and what crosses from one to the next.

    `also`: further ranks that walk the same fiber. Ranks that stand beside the outer part of a split where an inner part
    does are found by themselves. An InputError if the cascade has no such rank.
    """
    fiber = _fiber(cascade, rank, also)
    known = {name: _Availability(1, 0) for name, tensor in cascade.tensors.items() if tensor.is_input}
    count = 1
    crossing: dict[Crossing, None] = {}
    summaries: dict[Crossing, None] = {}
    touched: dict[str, set[int]] = {}
    placed: list[tuple[str, int]] = []
    for einsum in cascade.work:
        walked = fiber.walked_by(einsum.ranks)
        reads = (*einsum.reads, *einsum.condition_reads)
        streamed = [
            access
            for access in reads
            if known.get(access.tensor, _Availability()).along > 0 and (_streams(access, fiber) or _behind(cascade, einsum, access, fiber))
        ]
        produced = [access for access in reads if not cascade.tensors[access.tensor].is_input]
        current = max((known[access.tensor].along for access in streamed), default=0)
        late = max((known.get(access.tensor, _Availability()).whole for access in produced if access not in streamed), default=0)
        if walked:
            current = max(current, 1, late + 1)
            count = max(count, current)
            _note(cascade, einsum, current, fiber, known, crossing, summaries, touched)
        placed.append((einsum.name, current if walked else max(current, late)))
        available = current if walked or current > late else 0
        made = _Availability(available if _streams(einsum.output, fiber) else 0, current if walked else max(current, late))
        before = known.get(einsum.output.tensor, _Availability())
        known[einsum.output.tensor] = _Availability(max(made.along, before.along), max(made.whole, before.whole))
    reread = tuple(name for name, found in touched.items() if len(found) > 1)
    return Passes(rank, count, tuple(crossing), reread, tuple(summaries), tuple(placed))


def all_passes(cascade: Cascade) -> dict[str, Passes]:
    """The passes over every rank that a person named: split ranks by their own name, others that some Einsum reduces or steps along."""
    parts = {part for split in cascade.splits for part in split.parts}
    stepped = {rank for einsum in cascade.work for rank in _stepping(cascade, einsum)}
    reduced = {rank for einsum in cascade.work for rank in einsum.reduced} | stepped
    ranks = [split.rank for split in cascade.splits]
    ranks += [rank for rank in cascade.extents if rank not in parts and rank not in ranks and rank in reduced]
    return {rank: passes(cascade, rank) for rank in ranks}


def _stepping(cascade: Cascade, einsum: Einsum) -> tuple[str, ...]:
    dimension = cascade.tensors[einsum.output.tensor].iterative
    return () if dimension is None else names(einsum.output.indices[dimension])


def _note(
    cascade: Cascade,
    einsum: Einsum,
    current: int,
    fiber: _Fiber,
    known: dict[str, _Availability],
    crossing: dict[Crossing, None],
    summaries: dict[Crossing, None],
    touched: dict[str, set[int]],
) -> None:
    """Record what an Einsum that walks the fiber in pass `current` takes from earlier passes."""
    for access in (*einsum.reads, *einsum.condition_reads):
        state = known.get(access.tensor, _Availability())
        over = fiber.walked_by(_ranks(access))
        if cascade.tensors[access.tensor].is_input:
            if over and _streams(access, fiber):
                touched.setdefault(access.tensor, set()).add(current)
        elif over and 0 < state.along < current:
            crossing.setdefault(Crossing(access.tensor, state.along, current))
        elif not over and 0 < state.whole < current and not (_streams(access, fiber) and state.along):
            summaries.setdefault(Crossing(access.tensor, state.whole, current))


def _fiber(cascade: Cascade, rank: str, also: Collection[str]) -> _Fiber:
    split = next((split for split in cascade.splits if split.rank == rank), None)
    used = {name for einsum in cascade.work for name in einsum.ranks}
    known = [*used, *(split.rank for split in cascade.splits)]
    for name in (rank, *also):
        if name not in known:
            raise InputError(f"'{cascade.name}' has no rank '{name}'", did_you_mean(name, known))
    if split is None or rank in used:
        streams = frozenset({rank, *also})
        return _Fiber(streams, tuple(frozenset({name}) for name in sorted(streams)))
    outer, inner = split.parts[0], split.parts[1:]
    choices: list[set[str]] = [{part} for part in inner]
    for einsum in cascade.work:
        for access in (*einsum.reads, einsum.output):
            for form in cascade.index_maps(access):
                if form is None or outer not in form.ranks or len(form.terms) != len(split.parts):
                    continue
                others = [(name, factor) for name, factor in form.terms if name != outer]
                by_size = sorted(others, key=lambda term: -term[1])
                for place, (name, _) in enumerate(by_size):
                    choices[place].add(name)
    choices[-1] |= set(also)
    walks: list[frozenset[str]] = [frozenset({outer})]
    for options in choices:
        walks = [frozenset({*walk, option}) for walk in walks for option in sorted(options)]
    return _Fiber(frozenset({outer}), tuple(walks))


def _streams(access: Access, fiber: _Fiber) -> bool:
    return any(rank in fiber.streams for rank in _ranks(access))


def _behind(cascade: Cascade, einsum: Einsum, access: Access, fiber: _Fiber) -> bool:
    """Whether a condition lets an Einsum that walks the fiber read only what is made up to where it stands, as in `CS[u]` where u <= t."""
    if not fiber.walked_by(einsum.ranks):
        return False
    inequalities = known_inequalities(einsum.condition, cascade.sizes)
    makers = cascade.producers.get(access.tensor, ())
    return bool(makers and inequalities) and all(
        any(
            write is not None and read is not None and write.single_rank in fiber.streams and write.single_rank in einsum.ranks
            and (step := least_step(write, read, cascade.extents, inequalities)) is not None and step >= 0
            for write, read in zip(cascade.index_maps(maker.output), cascade.index_maps(access), strict=True)
        )
        for maker in makers
    )  # fmt: skip


def _ranks(access: Access) -> tuple[str, ...]:
    return own_names(access)  # where values choose, any element of the whole may be read
