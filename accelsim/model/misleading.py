"""Counts that a uniform density of as many elements would have got wrong. Source: docs/sparse.md, "Statistics"."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from accelsim.errors import InputError
from accelsim.model.stored import StoredEvaluation
from accelsim.sparse.boxes import Boxes, UniformBoxes
from accelsim.sparse.expected import Expected
from accelsim.sparse.nest import nest_of
from accelsim.sparse.stated import boxes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from accelsim.sparse.pattern import IntArray
    from accelsim.workload.cascade import Tensor

FACTOR = 1.25  # a count is flagged if it is off by more than this,
DEVIATIONS = 5  # and by more than so many square roots of the larger of the two


@dataclass(frozen=True, slots=True)
class Misled:
    """A count of an Einsum, what a uniform density leads to expect of it, and what it is over the elements that are there."""

    einsum: str
    what: str
    expected: float
    counted: float

    @property
    def flagged(self) -> bool:
        """Whether the two are further apart than chance and rounding explain."""
        low, high = sorted((self.expected, self.counted))
        return high > FACTOR * low and high - low > DEVIATIONS * math.sqrt(high)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"einsum": self.einsum, "what": self.what, "expected": self.expected, "counted": self.counted}


def misled(found: StoredEvaluation, stored: Dict[str, IntArray], given: Collection[str]) -> list[Misled]:
    """Counts that are flagged: operations, words that memories send, and words of the result that they are sent.

    `given`: tensors whose elements were not drawn; the others have the density that is stated. What has no closed form is not compared:
    words of caches, of tiles that come whole or on demand, and of copies that take work as they are free, and Einsums that read stored
    results or have tiles that hold so many elements.
    """
    evaluation = found.evaluation
    cascade, machine = evaluation.evaluator.cascade, evaluation.evaluator.architecture
    made: list[Misled] = []
    stored = {name: each for name, each in stored.items() if (kept := cascade.tensors[name].storage) is None or not kept.all_elements}
    for path, leaf in evaluation.mapping.paths():
        reads = (cascade.tensors[access.tensor] for access in cascade.by_name[leaf.einsum].reads)
        if any(not each.is_input and each.storage is not None and not each.storage.all_elements for each in reads):
            continue
        nest = nest_of(cascade, machine, path, leaf, stored)
        if nest.uneven:
            continue
        uniform = {
            each.tensor: _as_uniform(cascade.tensors[each.tensor], stored[each.tensor].shape[1], each.tensor in given)
            for each in nest.operands
            if each.tensor in stored
        }
        expected, name, work = Expected(nest, uniform), nest.einsum.name, found.works[nest.einsum.name]
        pairs: list[tuple[str, Callable[[], float], float]] = [
            ("operations on stored elements", lambda e=expected: float(e.effectual.sum()), work.effectual),  # type: ignore[misc]
            ("operations issued", lambda e=expected: float(e.points.sum()), work.issued),  # type: ignore[misc]
        ]
        read = {each.tensor for each in nest.operands}
        words = evaluation.counts.words
        for number, crossing in enumerate(nest.crossings):
            tensor, memory = crossing.tensor, crossing.parent
            if machine.memories[memory].sparse.replacement or (crossing.child and machine.memories[crossing.child].sparse.replacement):
                continue
            if number == nest.whole or number in nest.demanded or 0 <= nest.dealt < crossing.above_child:
                continue
            if tensor in read:
                said, ask, column = "sent by", expected.words, 0
            else:
                said, ask, column = "sent to", expected.made, 2
            pairs.append((
                f"words of {tensor} {said} {memory}", lambda ask=ask, n=number: float(ask(n, shared=True).sum()),  # type: ignore[misc]
                words[name, tensor, memory][column],
            ))  # fmt: skip
        made += [Misled(name, what, *both) for what, both in _compared(pairs)]
    return [each for each in made if each.flagged]


def _as_uniform(tensor: Tensor, count: int, given: bool) -> Boxes:
    """A tensor as one whose places are alike, if its elements were given."""
    return UniformBoxes(tensor.shape, count) if given else boxes_of(tensor)


def _compared(pairs: list[tuple[str, Callable[[], float], float]]) -> Iterator[tuple[str, tuple[float, float]]]:
    for what, ask, counted in pairs:
        try:
            yield what, (ask(), float(counted))
        except InputError:
            continue
