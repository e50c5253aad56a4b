"""What every memory holds at its fullest moment, and whether that fits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from accelsim.errors import IllegalMapping
from accelsim.hardware.architecture import Architecture
from accelsim.mapping.dependence import Homes
from accelsim.mapping.facts import facts
from accelsim.mapping.footprint import held_bits, tile_shape
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping
from accelsim.mapping.walk import Row, walk
from accelsim.units import show_size
from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import chooser


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A tensor in a memory: its bits, the leaves that first and last touch it, and whether its space is free outside that span."""

    row: Row
    held: Held
    memory: str
    bits: int | Fraction
    first: int
    last: int
    passing: bool


Peak = dict[str, tuple[int | Fraction, tuple[Kept, ...]]]
"""For every memory, the bits at its fullest moment and what they are."""


def occupancy(cascade: Cascade, architecture: Architecture, mapping: Mapping) -> dict[str, int]:
    """Bits that one copy of every memory holds at its fullest moment (rounded up), for a mapping whose names and homes are legal.

    A sequential fuse holds one branch's keeps at a time, and an intermediate kept directly above it from the branch that first
    touches it to the branch that last does; the branches of staged and pipelined fuses are all resident.
    """
    walked = walk(facts(cascade), mapping)
    keepers: list[dict[str, list[int]]] = []
    for leaf, path in zip(walked.leaves, walked.paths, strict=True):
        kept: dict[str, list[int]] = {tensor: [] for tensor in walked.facts.touched[leaf.einsum]}
        for position, row in enumerate(path):
            for tensor in row.kept:
                if tensor in kept:
                    kept[tensor].append(position)
        keepers.append(kept)
    return peak_bits(Homes(walked, keepers), architecture)


def peak_bits(homes: Homes, architecture: Architecture) -> dict[str, int]:
    """The same from a walk that legality has already made."""
    found = dict.fromkeys(architecture.memories, 0)
    for memory, (bits, _) in _Occupancy(homes, architecture).peak.items():
        found[memory] = -(-bits.numerator // bits.denominator)
    return found


def misfits(homes: Homes, architecture: Architecture) -> Iterator[IllegalMapping]:
    """One problem for every memory whose fullest moment exceeds its size."""
    for memory, (bits, parts) in _Occupancy(homes, architecture).peak.items():
        size = architecture.memories[memory].size_bits
        if size is not None and bits > size:
            yield _misfit(homes, memory, size, bits, parts)


def _misfit(homes: Homes, memory: str, size: int, bits: int | Fraction, parts: tuple[Kept, ...]) -> IllegalMapping:
    largest = sorted(parts, key=lambda part: -part.bits)
    single = largest[0].bits > size or len(parts) == 1
    shown = largest[:1] if single else largest[:4]
    tiles = ", ".join(_tile(homes, part) for part in shown)
    others = "" if single or len(largest) <= 4 else f" and {len(largest) - 4} more"
    verb, together = ("needs", "") if single else ("need", " together")
    needed = largest[0].bits if single else bits
    what = f"tile{'s' * (not single)} {tiles}{others} {verb} {show_size(needed)}{together}, {memory} holds {show_size(size)}"
    return IllegalMapping(what, f"shrink {_ranks_to_shrink(homes, largest[0])}", largest[0].row.node.place)


def _tile(homes: Homes, part: Kept) -> str:
    copies = f"{part.held.copies} x " if part.held.copies > 1 else ""
    return f"{copies}{part.held.tensor}[{','.join(map(str, tile_shape(homes, part.row, part.held.tensor)))}]"


def _ranks_to_shrink(homes: Homes, part: Kept) -> str:
    known = homes.walked.facts
    ranks: dict[str, None] = {}
    for use in known.uses[part.held.tensor]:
        if part.row.first <= homes.numbers[use.einsum] < part.row.last:
            for index in use.maps:
                for rank in index.ranks if index is not None else ():
                    if homes.walked.sizes(part.row, use.einsum)[rank] > 1:
                        ranks[rank if rank.isidentifier() else f"'below' of {chooser(rank)}"] = None
    return " or ".join(ranks) or f"what else {part.memory} keeps"


class _Occupancy:
    """The peak of one walk; `handed` are the homes at the top of branches, which belong to the fuse above them."""

    def __init__(self, homes: Homes, architecture: Architecture) -> None:
        self.homes, self.architecture = homes, architecture
        self.handed: dict[int, list[Kept]] = {}
        self.skipped: set[tuple[int, str]] = set()
        self._hand_over()
        self.peak = self._of(homes.walked.top, [])

    def _kept(self, row: Row, held: Held, span: tuple[int, int] | None = None) -> Kept:
        known, numbers = self.homes.walked.facts, self.homes.numbers
        tensors = (held.tensor, *held.in_place)
        if span is None:
            touching = [numbers[use.einsum] for tensor in tensors for use in known.uses[tensor]]
            inside = [number for number in touching if row.first <= number < row.last]
            span = (min(inside), max(inside))
        passing = known.passing.issuperset(tensors)
        assert isinstance(row.node, Keep)
        bits = held_bits(self.homes, self.architecture, row, held)
        return Kept(row, held, row.node.memory, bits, *span, passing)

    def _hand_over(self) -> None:
        """Intermediates whose homes are keeps of one memory at the top of branches: one space from first writer to last reader."""
        homes, known = self.homes, self.homes.walked.facts
        for tensor, uses in known.uses.items():
            if not any(use.writes for use in uses):
                continue
            numbers = sorted({homes.numbers[use.einsum] for use in uses})
            rows = [homes.home(number, tensor) for number in numbers]
            if all(row is rows[0] for row in rows):
                continue
            common = min(homes.walked.common(numbers[0], number) for number in numbers[1:])
            fuse = homes.walked.paths[numbers[0]][common - 1]
            parts = []
            for row in dict.fromkeys(rows):
                assert isinstance(row.node, Keep)
                held = next(held for held in row.node.held if tensor == held.tensor or tensor in held.in_place)
                parts.append(self._kept(row, held, (numbers[0], numbers[-1])))
                self.skipped.add((id(row), held.tensor))
            self.handed.setdefault(id(fuse), []).append(max(parts, key=lambda part: part.bits))

    def _counts(self, row: Row, held: Held) -> bool:
        """Whether a keep takes space where it stands, and not as part of a fuse above."""
        return not self.skipped or (id(row), held.tensor) not in self.skipped

    def _of(self, rows: tuple[Row, ...], above: list[Kept]) -> Peak:
        entries = list(above)
        for row in rows:
            node = row.node
            if isinstance(node, Keep):
                entries += [self._kept(row, held) for held in node.held if self._counts(row, held)]
            elif isinstance(node, Leaf):
                keeps = [(inner, inner.node) for inner in row.branches[0] if isinstance(inner.node, Keep)]
                return _sum(entries + [self._kept(inner, held) for inner, keep in keeps for held in keep.held if self._counts(inner, held)])
            elif isinstance(node, Fuse):
                return self._fused(row, node, [*entries, *self.handed.get(id(row), ())])
            elif isinstance(node, For) and row.trips > 1:
                entries = [replace(entry, passing=False) if entry.passing else entry for entry in entries]
        return _sum(entries)

    def _fused(self, row: Row, node: Fuse, entries: list[Kept]) -> Peak:
        if node.schedule != "sequential":
            total = _sum(entries)
            for branch in row.branches:
                for memory, (bits, parts) in self._of(branch, []).items():
                    before = total.get(memory, (0, ()))
                    total[memory] = (before[0] + bits, before[1] + parts)
            return total
        peak: Peak = {}
        for branch in row.branches:
            first, last = branch[0].first, branch[0].last
            live = [entry for entry in entries if not entry.passing or (entry.first < last and entry.last >= first)]
            for memory, (bits, parts) in self._of(branch, live).items():
                if memory not in peak or bits > peak[memory][0]:
                    peak[memory] = (bits, parts)
        return peak


def _sum(entries: list[Kept]) -> Peak:
    total: Peak = {}
    for entry in entries:
        bits, parts = total.get(entry.memory, (0, ()))
        total[entry.memory] = (bits + entry.bits, (*parts, entry))
    return total
