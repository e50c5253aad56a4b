"""Where tensors lie for hw/rtl/npu_top.sv: whole in the outer memory, one behind the other, and their tiles in the buffer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from accelsim.errors import IllegalMapping
from accelsim.model.evaluation import Evaluator
from accelsim.rtl.processor import WORD, Shape
from accelsim.rtl.steps import constant
from accelsim.sim.holds import turned
from accelsim.sim.paths import Path, Paths
from accelsim.sim.reference_events import Firing, interval
from accelsim.sim.slots import slots_of
from accelsim.sim.tasks import BARRIER, COMPUTE
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.expression import Access, IndexMap


def refuse(what: str, mend: str) -> IllegalMapping:
    """What the processor cannot do, and how to mend it."""
    return IllegalMapping(f"{what}, which hw/rtl/npu_top.sv cannot do", mend)


def plain_maps(cascade: Cascade, einsum: Einsum, access: Access) -> tuple[IndexMap, ...]:
    """How an Einsum indexes a tensor. IllegalMapping where that is by more than sums of ranks."""
    found = []
    for index in cascade.index_maps(access):
        if index is None or index.divisor != 1 or index.modulus:
            raise refuse(f"{einsum.name} indexes {access.tensor} by more than sums of ranks", "index it by sums of ranks")
        found.append(index)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile in the buffer: address of its first word, coordinates of that, and how far on a coordinate more is in each dimension."""

    base: int
    origin: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Room:
    """Where tiles of a tensor lie: the base of the first, words of one, strides of its dimensions, and how many there are."""

    base: int
    words: int
    strides: tuple[int, ...]
    copies: int


class Layout:
    """For the firings of a mapping. `places`: tensors in the outer memory, in words; `outer`, `buffer`: words that are there before the
    run, by address. IllegalMapping where something has no room, or lies where the processor does not find it.
    """

    def __init__(self, evaluator: Evaluator, paths: Paths, shape: Shape, log: Sequence[Firing]) -> None:
        self.evaluator, self.cascade, self.paths, self.shape = evaluator, evaluator.cascade, paths, shape
        self.places: dict[str, int] = {}
        self.outer: dict[int, int] = {}
        self.buffer: dict[int, int] = {}
        self._lay_out()
        self._rooms: dict[tuple[int, str], _Room] = {}
        self._boxes: dict[tuple[int, str, tuple[int, ...]], tuple[tuple[int, int], ...]] = {}
        self._place(self._spans(log))

    def keep(self, path: Path, tensor: str) -> int:
        """The place of the buffer's keep of a tensor above an Einsum."""
        places = self.paths.keepers(path, tensor)
        row = path.rows[places[-1]]
        if row.node.memory != self.shape.buffer:  # type: ignore[union-attr]
            mend = f"keep it in {self.shape.buffer}, as with the constraint 'keep: {{memory: {self.shape.buffer}, tensors: [{tensor}]}}'"
            raise refuse(f"{path.name} takes {tensor} from {self.shape.outer}", mend)
        return places[-1]

    def tile(self, path: Path, tensor: str, digits: Sequence[int]) -> Tile:
        """That which a keep has of a tensor. digits: turns of the outermost loops."""
        place = self.keep(path, tensor)
        room = self._rooms[id(path.rows[place]), tensor]
        origin = tuple(low for low, _ in self._box(path, tensor, place, digits))
        base = room.base + self._number(path, tensor, digits, place) % room.copies * room.words
        return Tile(base, origin, room.strides)

    def _lay_out(self) -> None:
        """Tensors in the outer memory, row by row."""
        at = 0
        for name, tensor in self.cascade.tensors.items():
            widths = {self.evaluator.widths.final[name], self.evaluator.widths.partial[name]}
            if widths != {WORD}:
                raise refuse(f"{name} has words of {', '.join(map(str, sorted(widths)))} bits", f"its words have {WORD}: declare it int32")
            self.places[name] = at
            self.outer |= self._constants(name, at, tensor.shape, 1)
            at += math.prod(tensor.shape)
        if at > self.shape.outer_words:
            raise refuse(f"all tensors have {at:,} words, {self.shape.outer} {self.shape.outer_words:,}", "make the shape smaller")

    def _maps(self, path: Path, tensor: str) -> tuple[IndexMap, ...]:
        access = next((read for read in path.einsum.reads if read.tensor == tensor), path.einsum.output)
        return plain_maps(self.cascade, path.einsum, access)

    def _own(self, path: Path, tensor: str) -> set[str]:
        """Ranks that index a tensor, but for the one that it recurs along."""
        iterative = self.cascade.tensors[tensor].iterative
        return {rank for dimension, index in enumerate(self._maps(path, tensor)) for rank in index.ranks if dimension != iterative}

    def _number(self, path: Path, tensor: str, digits: Sequence[int], place: int) -> int:
        """The number of the tile that a keep has of a tensor; slices that follow each other in place are one tile."""
        number, count = 0, turned(path, self._own(path, tensor), place, tensor == path.einsum.output.tensor)
        for digit, row in zip(digits[:count], path.loops[:count], strict=False):
            number = number * row.trips + digit
        return number

    def _spans(self, log: Sequence[Firing]) -> dict[tuple[int, str], list[int]]:
        """How large the tiles of every keep are."""
        spans: dict[tuple[int, str], list[int]] = {}
        for firing in log:
            if firing.is_idle or firing.task.kind == BARRIER:
                continue
            path = self.paths.of(firing.task.einsum)
            if path.windows:
                what = f"{path.name} works on windows that loops of its consumers demand"
                raise refuse(what, f"run {path.name} outside of those loops in a mapping of your own, --mapping FILE")
            if firing.task.kind == COMPUTE:
                for tensor in dict.fromkeys((*(read.tensor for read in path.einsum.reads), path.einsum.output.tensor)):
                    self._note(spans, path, tensor, firing.digits)
        return spans

    def _note(self, spans: dict[tuple[int, str], list[int]], path: Path, tensor: str, digits: Sequence[int]) -> None:
        place = self.keep(path, tensor)
        self._refuse_apart(path, tensor, place)
        sizes = spans.setdefault((id(path.rows[place]), tensor), [0] * len(self.cascade.tensors[tensor].shape))
        for dimension, (low, high) in enumerate(self._box(path, tensor, place, digits)):
            sizes[dimension] = max(sizes[dimension], high - low)

    def _box(self, path: Path, tensor: str, place: int, digits: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """The least and, less one, the greatest coordinates that all Einsums below a keep touch of a tensor, in each dimension."""
        row, above = path.rows[place], sum(path.rows.index(loop) < place for loop in path.loops)
        turns = tuple(digits[:above])
        key = id(row), tensor, turns
        if key not in self._boxes:
            below = [other for other in self.paths.all if any(each is row for each in other.rows)]
            boxes = [box for other in below for box in self._touched(other, tensor, other.rows.index(row), turns)]
            self._boxes[key] = tuple(
                (min(low for low, _ in column), max(high for _, high in column)) for column in zip(*boxes, strict=True)
            )  # fmt: skip
        return self._boxes[key]

    def _touched(self, path: Path, tensor: str, place: int, turns: Sequence[int]) -> list[list[tuple[int, int]]]:
        """The same for every access of an Einsum. A recurrence lies there whole along its rank."""
        shape, iterative = self.cascade.tensors[tensor].shape, self.cascade.tensors[tensor].iterative
        slots, found = slots_of(self.cascade, path, path.loops[: len(turns)], place), []
        for access in (*path.einsum.reads, path.einsum.output):
            if access.tensor != tensor:
                continue
            box = []
            for dimension, index in enumerate(plain_maps(self.cascade, path.einsum, access)):
                parts = [(factor, interval(slots[rank], list(turns))) for rank, factor in index.terms]
                low = index.offset + sum(factor * (part.start if factor > 0 else part.stop - 1) for factor, part in parts)
                high = index.offset + sum(factor * (part.stop - 1 if factor > 0 else part.start) for factor, part in parts)
                box.append((0, shape[dimension]) if dimension == iterative else (low, high + 1))
            found.append(box)
        return found

    def _refuse_apart(self, path: Path, tensor: str, place: int) -> None:
        """Tiles of several reads of a tensor lie in one box, so that all of them have to be fetched when one is."""
        iterative = self.cascade.tensors[tensor].iterative
        above = dict.fromkeys(path.rank(row) for row in path.loops if path.rows.index(row) < place)
        turning = []
        for read in (read for read in path.einsum.reads if read.tensor == tensor):
            maps = plain_maps(self.cascade, path.einsum, read)
            turning.append({rank for dimension, index in enumerate(maps) if dimension != iterative for rank in index.ranks} & set(above))
        if any(each != turning[0] for each in turning):
            moving = ", ".join(rank for rank in above if any(rank in each for each in turning))
            mend = f"keep {tensor} outside of loops over {moving} in a mapping of your own, --mapping FILE"
            raise refuse(f"{path.name} reads several tiles of {tensor}, fetched at different times", mend)

    def _place(self, spans: dict[tuple[int, str], list[int]]) -> None:
        """Tiles in the buffer, one behind the other."""
        at = 0
        rows = {id(row): row for path in self.paths.all for row in path.rows}
        for (row, tensor), sizes in spans.items():
            strides = tuple(math.prod(sizes[dimension + 1 :]) for dimension in range(len(sizes)))
            copies = self.paths.held(rows[row], tensor).copies
            self.buffer |= self._constants(tensor, at, sizes, copies)
            self._rooms[row, tensor] = _Room(at, math.prod(sizes), strides, copies)
            at += copies * math.prod(sizes)
        if at > self.shape.buffer_words:
            what = f"tiles side by side take {at:,} words, {self.shape.buffer} has {self.shape.buffer_words:,}"
            mend = f"map it with smaller tiles, as with the constraint 'tile: {{memory: {self.shape.buffer}, rank: RANK, at_most: 8}}'"
            raise refuse(what, mend)

    def _constants(self, tensor: str, base: int, sizes: Sequence[int], copies: int) -> dict[int, int]:
        """Constant slices of a recurrence, by address: nothing is ever written where they are."""
        dimension, slices = self.cascade.tensors[tensor].iterative, self.cascade.tensors[tensor].constant_slices
        if dimension is None or not slices:
            return {}
        initial = [each for each in self.cascade.einsums if each.initial and each.output.tensor == tensor]
        words: list[int] = []
        for at in range(slices):
            words.append(next(constant(self.cascade, each, each.expression) for each in initial if self._sets(each, dimension, at)))
        found = {}
        for place in product(range(copies), *(range(slices if at == dimension else size) for at, size in enumerate(sizes))):
            address = 0
            for size, part in zip((copies, *sizes), place, strict=True):
                address = address * size + part
            found[base + address] = words[place[1 + dimension]]
        return found

    def _sets(self, einsum: Einsum, dimension: int, at: int) -> bool:
        """Whether a statement sets a slice."""
        index = self.cascade.index_maps(einsum.output)[dimension]
        return index is not None and (bool(index.terms) or index.offset == at)
