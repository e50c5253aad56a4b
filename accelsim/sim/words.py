"""The words of a run: every tensor's values, and for each word whether it is there, who made it and how far it may be off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from accelsim.errors import IllegalMapping, InputError
from accelsim.mapping.tree import Spatial
from accelsim.sim.arithmetic import LARGEST, Noted, plain
from accelsim.sim.turns import OWN, REPEATED, Branch, Span
from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import Access, inner_accesses
from accelsim.workload.store import chosen_values

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]

MISSING, PARTIAL, COMPLETE, DROPPED, ABSENT = range(5)
"""What a word is: not made yet, an incomplete sum, there, gone from its keeper, never made (no statement or condition gives it a value)."""
WHY = {
    MISSING: "which {makers} has not made",
    PARTIAL: "which {makers} has not completed",
    DROPPED: "which its keeper no longer holds",
    ABSENT: "which nothing gives a value",
}


MEND = "`accelsim check` says which rule the mapping breaks"


class BrokenSchedule(IllegalMapping):
    """A mapping that runs an Einsum before what it reads is there, or after it has gone."""


class Words:
    """All tensors of a cascade while it runs. Arrays are flat, in the order of the ranks.

    `state`: uint8, one of the above. `maker`: number of the copy that made a word, among the copies that have keepers of their own.
    """

    def __init__(self, cascade: Cascade, found: list[Branch]) -> None:
        import numpy as np

        self.cascade = cascade
        self.values: dict[str, Any] = {}
        self.errors: dict[str, Any] = {}
        self.state: dict[str, Any] = {}
        self.maker: dict[str, Any] = {}
        self.weights: dict[tuple[int, str], list[tuple[int, int, bool]]] = {}
        for name, tensor in cascade.tensors.items():
            size = int(np.prod(tensor.shape, dtype=np.int64))
            self.state[name] = np.full(size, ABSENT, dtype=np.uint8)
            if not tensor.is_input:
                self._number(name, [branch for branch in found if _touches(branch, name)])
                if any(self.weights[branch.number, name] for branch in found if (branch.number, name) in self.weights):
                    self.maker[name] = np.zeros(size, dtype=np.int64)

    def _number(self, name: str, users: list[Branch]) -> None:
        """Weights that number the copies of a tensor's home: for each user and spatial loop above its home, (level, weight, everywhere)."""
        radix: dict[tuple[str, str, int], int] = {}
        everywhere: set[tuple[str, str, int]] = set()
        loops: dict[int, list[tuple[int, tuple[str, str, int], str]]] = {}
        for branch in users:
            count: dict[tuple[str, str], int] = {}
            loops[branch.number] = []
            for level in range(branch.home(name)):
                node = branch.nodes[level][1]
                if isinstance(node, Spatial):
                    place = count[node.axis, node.rank] = count.get((node.axis, node.rank), -1) + 1
                    key, how = (node.axis, node.rank, place), branch.steps[level].how
                    radix[key] = self.cascade.extents[node.rank] + 1
                    loops[branch.number].append((level, key, how))
                    if branch.einsum.output.tensor == name and how == REPEATED:
                        everywhere.add(key)
        weights, weight = {}, 1
        for key, size in radix.items():
            weights[key] = weight
            weight *= size
        for number, passed in loops.items():
            self.weights[number, name] = [
                (level, weights[key], how == REPEATED) for level, key, how in passed if key not in everywhere and how in {OWN, REPEATED}
            ]

    def define(self, name: str, values: Any, error: Any) -> None:
        """A tensor that is there from the beginning."""
        import numpy as np

        self.values[name] = np.ravel(values)
        self.state[name][:] = COMPLETE
        if error is not None:
            self.errors[name] = np.ravel(np.broadcast_to(error, self.cascade.tensors[name].shape)).astype(np.float64)

    def frame(self, spans: Mapping[str, Span], ranks: tuple[str, ...]) -> dict[str, Any]:
        """Ranks as arrays along axes of their own, sizes and constants as numbers."""
        known: dict[str, Any] = dict(self.cascade.sizes)
        for axis, rank in enumerate(ranks):
            known[rank] = framed(spans[rank].at, axis, len(ranks))
        return known

    def copies(self, branch: Branch, name: str, spans: Mapping[str, Span], ranks: tuple[str, ...]) -> Any:
        """Which copy of the home of a tensor each point belongs to; -1 where it belongs to all of several. None if there is one home."""
        weights = self.weights.get((branch.number, name))
        if name not in self.maker or weights is None:
            return None
        number: Any = 0
        for level, weight, everywhere in weights:
            rank = branch.steps[level].loop.rank
            if everywhere:
                if self.cascade.extents[rank] > branch.steps[level].loop.tile:
                    return -1
                continue
            for passed, copy in spans[rank].copies:
                if passed == level:
                    number = number + weight * framed(copy, ranks.index(rank), len(ranks))
        return number

    def places(self, access: Access, known: Mapping[str, Any], choose: Callable[[Access], Any] | None = None) -> tuple[Any, Any]:
        """Flat places of an access, and which lie inside the tensor (None: all). choose: values of accesses in its indices."""
        import numpy as np

        flat: Any = 0
        inside: Any = None
        for index, size in zip(access.indices, self.cascade.tensors[access.tensor].shape, strict=True):
            at = np.asarray(plain(index, known, read=choose))
            if at.dtype.kind == "f":
                if not np.all(at == np.floor(at)):
                    raise InputError(f"an index of {access.tensor} is not a whole number", "use // for division")
                at = at.astype(np.int64)
            if at.size and (int(at.min()) < 0 or int(at.max()) >= size):
                within = (at >= 0) & (at < size)
                inside = within if inside is None else inside & within
                at = np.clip(at, 0, max(size - 1, 0))
            flat = flat * size + at
        return np.asarray(flat), inside

    def read(
        self, branch: Branch, access: Access, spans: Mapping[str, Span], known: Mapping[str, Any], mask: Any, bounds: bool, lowest: float
    ) -> Noted:
        """What an Einsum reads at all points of its tile; a BrokenSchedule where a word that counts is not there."""
        import numpy as np

        name, ranks = access.tensor, branch.einsum.ranks
        tensor = self.cascade.tensors[name]
        def choose(inner: Access) -> Any:
            values = self.read(branch, inner, spans, known, mask, False, lowest).values
            return chosen_values(values, self.cascade.tensors[inner.tensor], branch.einsum, mask)

        flat, inside = self.places(access, known, choose)
        state = self.state[name][flat] if self.state[name].size else np.full(flat.shape, ABSENT, dtype=np.uint8)
        there = state == COMPLETE
        filled = state == ABSENT
        if inside is not None:
            there, filled = there & inside, filled | ~inside
        copy = self.copies(branch, name, spans, ranks)
        if copy is not None and not tensor.is_input:
            there = there & ((self.maker[name][flat] == copy) | (self.maker[name][flat] == -2))
        if name not in self.values:
            self.values[name] = np.zeros(self.state[name].size)
        values = self.values[name][flat] if self.values[name].size else np.zeros(flat.shape)
        error: Any = self.errors[name][flat] if bounds and name in self.errors else (0.0 if bounds else None)
        if there.all():
            return Noted(values, error)
        wrong = ~(there | filled) if tensor.fill is not None else ~there
        if mask is not None:
            wrong = wrong & mask
        if wrong.any():
            self._complain(branch, access, flat, inside, wrong)
        fill = 0 if tensor.fill is None else lowest if tensor.fill == float("-inf") else tensor.fill
        values = np.where(there, values, int(fill) if float(fill).is_integer() and abs(fill) < 2**53 else fill)
        return Noted(values, np.where(there, error, 0.0) if bounds else None)

    def ready(self, branch: Branch, access: Access, known: Mapping[str, Any], mask: Any) -> bool:
        """Whether all words of an access that count are there, or never will be; of what values choose from, all of it."""
        import numpy as np

        if inner_accesses(access):
            state = self.state[access.tensor]
            return not np.any((state != COMPLETE) & (state != ABSENT))
        flat, inside = self.places(access, known)
        if not self.state[access.tensor].size:
            return True
        state = self.state[access.tensor][flat]
        waits = (state != COMPLETE) & (state != ABSENT)
        if inside is not None:
            waits = waits & inside
        return not np.any(waits if mask is None else waits & mask)

    def _complain(self, branch: Branch, access: Access, flat: Any, inside: Any, wrong: Any) -> None:
        import numpy as np

        name, einsum = access.tensor, branch.einsum
        at = tuple(int(each[0]) for each in np.nonzero(wrong))
        if inside is not None and not np.broadcast_to(inside, wrong.shape)[at]:
            raise InputError(f"{einsum.name} reads outside {name}", f"declare tensors: {{{name}: {{fill: 0}}}}", einsum.place)
        place = int(np.broadcast_to(flat, wrong.shape)[at])
        state = int(self.state[name][place])
        makers = " or ".join(maker.name for maker in self.cascade.producers.get(name, ())) or "nothing"
        why = WHY.get(state, "which another copy has made and keeps").format(makers=makers)
        word = ",".join(str(int(each)) for each in np.unravel_index(place, self.cascade.tensors[name].shape))
        what = f"{einsum.name} reads {name}[{word}], {why}"
        if state == ABSENT:
            raise InputError(what, f"add a condition, or declare tensors: {{{name}: {{fill: 0}}}}", einsum.place)
        raise BrokenSchedule(what, MEND, branch.leaf.place)

    def store(self, name: str, flat: Any, values: Any, error: Any, copy: Any) -> None:
        """Complete words."""
        import numpy as np

        size = self.state[name].size
        if name not in self.values:
            self.values[name] = np.zeros(size, dtype=values.dtype)
        elif np.result_type(self.values[name].dtype, values.dtype) != self.values[name].dtype:
            self.values[name] = self.values[name].astype(np.result_type(self.values[name].dtype, values.dtype))
        self.values[name][flat] = values
        self.state[name][flat] = COMPLETE
        if error is not None:
            if name not in self.errors:
                self.errors[name] = np.zeros(size)
            self.errors[name][flat] = error
        if copy is not None:
            self.maker[name][flat] = copy

    def drop(self, name: str, kept: Any) -> None:
        """What a keeper held of a tensor and does not `kept` hold any longer (bool over the tensor) is gone."""
        gone = ~kept.reshape(-1) & ((self.state[name] == COMPLETE) | (self.state[name] == PARTIAL))
        self.state[name][gone] = DROPPED

    def finished(self, name: str) -> Any:
        """A tensor; words that nothing gives a value hold the fill, or 0."""
        import numpy as np

        tensor = self.cascade.tensors[name]
        values = self.values.get(name, np.zeros(self.state[name].size))
        if tensor.fill is not None:
            fill = -LARGEST if tensor.fill == float("-inf") else tensor.fill
            values = np.where(self.state[name] == ABSENT, np.asarray(fill).astype(values.dtype), values)
        return values.reshape(tensor.shape)


def framed(values: Any, axis: int, dimensions: int) -> Any:
    """A vector along one of several axes."""
    return values.reshape([-1 if at == axis else 1 for at in range(dimensions)])


def _touches(branch: Branch, name: str) -> bool:
    einsum = branch.einsum
    return any(access.tensor == name for access in (*einsum.reads, *einsum.condition_reads, einsum.output))
