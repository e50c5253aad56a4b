"""What a machine computes: inputs in their types, each Einsum's terms on a tile, their sums, and words that are complete."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from accelsim.errors import InputError, did_you_mean
from accelsim.hardware.architecture import Architecture
from accelsim.hardware.types import NumberType
from accelsim.mapping.tree import Keep, TreeNode
from accelsim.mapping.tree import Mapping as LoopTree
from accelsim.sim.arithmetic import Arithmetic, Noted, compute, plain, stored_error, working
from accelsim.sim.doubt import Doubt
from accelsim.sim.formats import FORMATS, round_to
from accelsim.sim.sums import Sums, crossings, digits_of, turns_of
from accelsim.sim.tiles import Tile, whole_span
from accelsim.sim.turns import RECOMPUTED, REPEATED, Branch, Span, branches
from accelsim.sim.words import ABSENT, COMPLETE, DROPPED, MEND, MISSING, PARTIAL, BrokenSchedule, Words
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.expression import Access

POINTS = 2**19
"""Points whose terms are worked out at once."""


class Work:
    """The values of one run of a mapping: words of all tensors, sums of all Einsums."""

    def __init__(
        self, cascade: Cascade, architecture: Architecture, mapping: LoopTree, declared: bool, overflow: str, bounds: bool
    ) -> None:
        self.cascade, self.branches = cascade, branches(cascade, mapping)
        self.declared, self.overflow, self.bounds = declared, overflow, bounds
        self.words = Words(cascade, self.branches)
        self.sums = {branch.number: self._sums(branch, architecture) for branch in self.branches}
        self.done: set[tuple[int, tuple[tuple[int, int], ...]]] = set()
        self.over = self._overwritten()
        self.parted = self._parted()
        self.whole = True  # whether all inputs are integers

    def _sums(self, branch: Branch, architecture: Architecture) -> Sums:
        import numpy as np

        einsum = branch.einsum
        name = einsum.output.tensor
        kept = [rank for rank in einsum.ranks if rank not in einsum.reduced]
        whole = {rank: whole_span(self.cascade.extents[rank]) for rank in kept}
        flat, inside = self.words.places(einsum.output, self.words.frame(whole, tuple(kept)))
        flat = np.broadcast_to(flat, [len(whole[rank]) for rank in kept]).reshape(-1)
        if inside is not None:
            flat = flat[np.broadcast_to(inside, [len(whole[rank]) for rank in kept]).reshape(-1)]
        expected = np.bincount(flat, minlength=self.words.state[name].size)
        if expected.max(initial=0) > 1:
            raise InputError(f"{einsum.name} writes words of {name} more than once", "index it by all ranks, or reduce them", einsum.place)
        self.words.state[name][flat] = MISSING
        expected *= math.prod(self.cascade.extents[rank] for rank in einsum.reduced)
        arithmetic = working(self.cascade.tensors[name].partial if self.declared else None, self.overflow)
        doubt = Doubt(einsum.reduce, arithmetic, expected)
        return Sums(branch, crossings(branch, architecture), arithmetic, expected, expected.copy(), doubt)

    def _overwritten(self) -> dict[str, str]:
        """Tensors that take the place of another at its home, and that other."""
        found = {}
        for branch in self.branches:
            for _, node in branch.nodes:
                for held in node.held if isinstance(node, Keep) else ():
                    chain = (held.tensor, *held.in_place)
                    for over, under in zip(chain[1:], chain, strict=False):
                        if all(under not in _kept(other) or other is node for _, other in branch.nodes):
                            found[over] = under
        return found

    def _parted(self) -> dict[tuple[int, str], tuple[str, list[int]]]:
        """For readers of a result from a keeper whose copies hold parts of sums: the memory, and the spatial loops of the copies."""
        found = {}
        for branch in self.branches:
            name = branch.einsum.output.tensor
            loops: list[int] = []
            for crossing in self.sums[branch.number].crossings[:-1]:
                assert crossing.level is not None
                loops = [*loops, *crossing.loops]
                address, keep = branch.nodes[crossing.level]
                assert isinstance(keep, Keep)
                for reader in self.branches:
                    if reader is not branch and reader.passes(address) and any(read.tensor == name for read in reader.einsum.reads):
                        found[reader.number, name] = (keep.memory, loops)
        return found

    def load(self, inputs: Mapping[str, Any]) -> None:
        """Inputs in their types, and the slices that are constant."""
        import numpy as np

        wanted = {name: tensor for name, tensor in self.cascade.tensors.items() if tensor.is_input}
        for name in inputs:
            if name not in wanted:
                raise InputError(f"'{self.cascade.name}' has no input '{name}'", did_you_mean(name, wanted))
        for name, tensor in wanted.items():
            if name not in inputs:
                raise InputError(f"input '{name}' of '{self.cascade.name}' is missing", f"give an array of shape {list(tensor.shape)}")
            array = np.asarray(inputs[name])
            if array.shape != tensor.shape:
                what = f"input '{name}' has shape {list(array.shape)}, '{self.cascade.name}' reads {list(tensor.shape)}"
                raise InputError(what, "make them agree")
            array = array.astype(np.int64 if array.dtype.kind in "iub" else np.float64)
            array = (
                np.where(np.isneginf(array), Arithmetic(tensor.final if self.declared else None).lowest, array)
                if array.dtype.kind == "f"
                else array
            )
            self.whole = self.whole and array.dtype.kind == "i"
            self.words.define(name, *self._stored(array, 0.0, tensor.final))
        for einsum in self.cascade.einsums:
            if einsum.initial:
                self._initial(einsum)

    def _stored(self, values: Any, error: Any, number_type: NumberType) -> tuple[Any, Any]:
        """Complete values in their final type; MX blocks lie along the last axis."""
        import numpy as np

        if not self.declared:
            return values, error if self.bounds else None
        found = round_to(values, number_type, overflow=self.overflow)
        if not self.bounds:
            return found, None
        return found, np.where(found == values, error, error + stored_error(values, found, number_type))

    def _initial(self, einsum: Einsum) -> None:
        import numpy as np

        name = einsum.output.tensor
        spans = {rank: whole_span(self.cascade.extents[rank]) for rank in einsum.ranks}
        known = self.words.frame(spans, einsum.ranks)
        shape = [len(spans[rank]) for rank in einsum.ranks]
        flat, inside = self.words.places(einsum.output, known)
        here = np.ones(shape, dtype=bool) if einsum.condition is None else np.broadcast_to(plain(einsum.condition, known), shape)
        here = here if inside is None else here & inside
        tensor = self.cascade.tensors[name]
        lowest = Arithmetic(tensor.final if self.declared else None).lowest
        value = np.broadcast_to(np.asarray(plain(einsum.expression, known, lowest)), shape)[here]
        made, error = self._stored(value, np.zeros(value.shape), tensor.final)
        self.words.store(name, np.broadcast_to(flat, shape)[here], made, error, None)
        if name in self.words.maker:
            self.words.maker[name][np.broadcast_to(flat, shape)[here]] = -2

    def finish(self) -> None:
        """A BrokenSchedule if words of an output are left out."""
        import numpy as np

        for branch in self.branches:
            name = branch.einsum.output.tensor
            left = self.sums[branch.number].left
            if self.cascade.tensors[name].is_output and left.any():
                word = ",".join(str(int(at)) for at in np.unravel_index(int(np.nonzero(left)[0][0]), self.cascade.tensors[name].shape))
                what = f"{branch.einsum.name} never completes {name}[{word}]"
                raise BrokenSchedule(what, MEND, branch.leaf.place)

    def leaf(self, tile: Tile) -> None:
        """An Einsum on the tile that the loops above leave it: slice by slice if it reads its own."""
        branch, einsum = tile.branch, tile.branch.einsum
        name = einsum.output.tensor
        key = (branch.number, tuple(sorted(tile.turns.items())))
        if tile.idle and (key in self.done or not (tile.last or self._ready(tile))):
            return
        if tile.idle:
            self.done.add(key)
        spans = {rank: tile.spans[rank] for rank in einsum.ranks}
        for read in einsum.reads:
            memory, loops = self.parted.get((branch.number, read.tensor), ("", []))
            if any(level in loops and copy.max(initial=0) > 0 for span in tile.spans.values() for level, copy in span.copies):
                what = f"{einsum.name} reads {read.tensor} from {memory}, whose copies each hold a part of its sums"
                raise BrokenSchedule(what, MEND, branch.leaf.place)
        serial = self._serial(einsum)
        digits, trips = digits_of(branch, spans, (*einsum.reduced, *serial))
        if any(not len(span) for span in spans.values()):
            return
        for slices in _slices(spans, serial, digits):
            own = {rank: digits[rank] for rank in einsum.reduced}
            result = tuple(slices[rank].at.tobytes() for rank in einsum.ranks if rank not in einsum.reduced)
            since = self.sums[branch.number].enter(tile.turns, result)
            complete = []
            for part in _parts(slices, einsum):
                complete += self._compute(branch, part, own, since, {**tile.trips, **trips})
            for flat, values, error, copy in complete:
                self._finish(name, flat, values, error, copy)

    def _serial(self, einsum: Einsum) -> tuple[str, ...]:
        """The rank along which an Einsum reads its own earlier results."""
        name = einsum.output.tensor
        if not any(access.tensor == name for access in (*einsum.reads, *einsum.condition_reads)):
            return ()
        along = self.cascade.tensors[name].iterative
        index = None if along is None else self.cascade.index_maps(einsum.output)[along]
        if index is None or index.single_rank is None:
            return tuple(rank for rank in einsum.ranks if rank not in einsum.reduced)
        return (index.single_rank,)

    def _ready(self, tile: Tile) -> bool:
        einsum = tile.branch.einsum
        known = self.words.frame(tile.spans, einsum.ranks)
        if einsum.condition_reads and not all(self.words.ready(tile.branch, access, known, None) for access in einsum.condition_reads):
            return False
        mask = None if einsum.condition is None else self._mask(tile.branch, tile.spans, known)
        return all(self.words.ready(tile.branch, access, known, mask) for access in einsum.reads)

    def _mask(self, branch: Branch, spans: Mapping[str, Span], known: Mapping[str, Any]) -> Any:
        import numpy as np

        def read(access: Access) -> Any:
            return self.words.read(branch, access, spans, known, None, False, 0.0).values

        assert branch.einsum.condition is not None
        return np.asarray(plain(branch.einsum.condition, known, read=read), dtype=bool)

    def _compute(
        self, branch: Branch, spans: dict[str, Span], digits: dict[str, Any], since: int | None, trips: Mapping[int, int]
    ) -> list[tuple[Any, Any, Any, Any]]:
        """The terms of a part of a tile and their sums; returns the words that are complete: places, values, errors, copies."""
        import numpy as np

        einsum, sums = branch.einsum, self.sums[branch.number]
        name, ranks = einsum.output.tensor, einsum.ranks
        kept = tuple(rank for rank in ranks if rank not in einsum.reduced)
        known = self.words.frame(spans, ranks)
        mask = None if einsum.condition is None else self._mask(branch, spans, known)
        arithmetic = sums.arithmetic

        def read(access: Access) -> Noted:
            return self.words.read(branch, access, spans, known, mask, self.bounds, arithmetic.lowest)

        if mask is not None and not mask.any():
            noted = Noted(0 if self.whole else 0.0, 0.0 if self.bounds else None)
        else:
            noted = compute(einsum.expression, known, read, arithmetic, self.bounds)
        values = np.asarray(noted.values)
        if self.declared:
            values = arithmetic.rounded(values)
        elif values.dtype.kind == "b":
            values = values.astype(np.int64)
        if values.dtype.kind == "c":
            raise InputError(f"{einsum.name} is complex, and machines compute in real types", "split it into two tensors", einsum.place)
        shape = [len(spans[rank]) for rank in ranks]
        inner = [axis for axis, rank in enumerate(ranks) if rank in einsum.reduced]
        outer = [axis for axis, rank in enumerate(ranks) if rank not in einsum.reduced]

        def table(array: Any) -> Any:
            full = np.broadcast_to(array, shape).transpose(inner + outer)
            return full.reshape(math.prod(shape[axis] for axis in inner), -1)

        frame = self.words.frame(spans, kept)
        sizes = [len(spans[rank]) for rank in kept]
        flat, inside = self.words.places(einsum.output, frame)
        flat = np.broadcast_to(flat, sizes).reshape(-1)
        copy = self.words.copies(branch, name, spans, kept)
        copy = None if copy is None else np.broadcast_to(copy, sizes).reshape(-1)
        terms, here = table(values), None if mask is None else table(mask)
        error = table(np.asarray(noted.error, dtype=np.float64)) if self.bounds else None
        if inside is not None:
            within = np.broadcast_to(inside, sizes).reshape(-1)
            flat, terms = flat[within], terms[:, within]
            copy = None if copy is None else copy[within]
            here = None if here is None else here[:, within]
            error = None if error is None else error[:, within]
        if not flat.size:
            return []
        self._check_again(branch, flat)
        if not einsum.reduced:
            return self._elements(sums, flat, terms[0], here, error, copy)
        if here is not None:
            terms = np.where(here, terms, np.asarray(arithmetic.identity(einsum.reduce, terms.dtype.kind in "iu")).astype(terms.dtype))
            error = None if error is None else np.where(here, error, 0.0)
        sums.add(flat, terms, turns_of(einsum.reduced, spans, digits), since, trips)
        if error is not None:
            sums.doubt.note(flat, terms, error)
        sums.left[flat] -= len(terms)
        self.words.state[name][flat] = PARTIAL
        done = sums.complete(flat)
        if done.size < flat.size:
            copy = None if copy is None else copy[np.isin(flat, done)]
        bound = None
        if self.bounds:
            bound = sums.doubt.bound(done, sums.total.dtype.kind == "i")
        return [(done, sums.total[done], bound, copy)] if done.size else []

    def _check_again(self, branch: Branch, flat: Any) -> None:
        """A sum goes on only where it has been kept; words are made again only where the mapping says so."""
        import numpy as np

        name = branch.einsum.output.tensor
        state, left = self.words.state[name][flat], self.sums[branch.number].left[flat]
        again = any(step.how in {RECOMPUTED, REPEATED} for step in branch.steps.values())
        assert again or not ((state == COMPLETE) & (left == 0)).any(), f"{branch.einsum.name} makes a word twice"
        lost = (state == DROPPED) & (left > 0) & (left < self.sums[branch.number].expected[flat])
        if lost.any():
            place = int(flat[np.nonzero(lost)[0][0]])
            word = ",".join(str(int(at)) for at in np.unravel_index(place, self.cascade.tensors[name].shape))
            what = f"{branch.einsum.name} goes on with {name}[{word}], whose sum its keeper no longer holds"
            raise BrokenSchedule(what, MEND, branch.leaf.place)

    def _elements(self, sums: Sums, flat: Any, values: Any, here: Any, error: Any, copy: Any) -> list[tuple[Any, Any, Any, Any]]:
        """An Einsum that reduces nothing: words are complete at once, and those that its condition removes get no value."""
        name = sums.branch.einsum.output.tensor
        sums.left[flat] = 0
        bound = None if error is None else error[0]
        if here is not None:
            self.words.state[name][flat[~here[0]]] = ABSENT
            flat, values = flat[here[0]], values[here[0]]
            copy = None if copy is None else copy[here[0]]
            bound = None if bound is None else bound[here[0]]
        return [(flat, values, bound, copy)] if flat.size else []

    def _finish(self, name: str, flat: Any, values: Any, error: Any, copy: Any) -> None:
        """Words complete: they take their final type and may be read."""
        import numpy as np

        tensor = self.cascade.tensors[name]
        if self.declared and FORMATS[tensor.final.name].exponent is not None:
            shape = tensor.shape or (1,)
            table, bound = np.zeros(self.words.state[name].size), np.zeros(self.words.state[name].size)
            table[flat] = values
            bound[flat] = 0.0 if error is None else error
            made, off = self._stored(table.reshape(shape), bound.reshape(shape), tensor.final)
            values, error = made.reshape(-1)[flat], None if off is None else off.reshape(-1)[flat]
        else:
            values, error = self._stored(values, error, tensor.final)
        self.words.store(name, flat, values, error, copy)
        under = self.over.get(name)
        if under is not None:
            self.words.state[under][flat] = DROPPED


def _kept(node: TreeNode) -> tuple[str, ...]:
    return tuple(name for held in node.held for name in (held.tensor, *held.in_place)) if isinstance(node, Keep) else ()


def _slices(spans: dict[str, Span], serial: tuple[str, ...], digits: dict[str, Any]) -> Iterator[dict[str, Span]]:
    """A tile cut into what runs at once along the ranks of a recurrence, in the order of its loops."""
    import numpy as np

    if not serial:
        yield spans
        return
    turns = turns_of(serial, spans, {rank: digits[rank] for rank in serial}).take
    shape = [len(spans[rank]) for rank in serial]
    for each in turns.reshape(len(turns), -1):
        points = np.unravel_index(each[each >= 0], shape)
        yield {**spans, **{rank: spans[rank].chosen(np.unique(point)) for rank, point in zip(serial, points, strict=True)}}


def _parts(spans: dict[str, Span], einsum: Einsum) -> Iterator[dict[str, Span]]:
    """A tile in parts of the result of a bounded number of points."""
    import numpy as np

    points = math.prod(len(span) for span in spans.values())
    kept = [rank for rank in einsum.ranks if rank not in einsum.reduced and len(spans[rank]) > 1]
    if points <= POINTS or not kept:
        yield spans
        return
    rank = max(kept, key=lambda name: len(spans[name]))
    length = max(1, len(spans[rank]) * POINTS // points)
    for start in range(0, len(spans[rank]), length):
        part = spans[rank].chosen(np.arange(start, min(start + length, len(spans[rank]))))
        yield from _parts({**spans, rank: part}, einsum)
