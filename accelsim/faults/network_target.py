"""Upsets while a network runs: in registers of the arrays that make its products, or in words of its tensors between layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from accelsim.errors import InputError
from accelsim.faults.array_target import ArrayTarget
from accelsim.faults.network import Network, Source
from accelsim.faults.outcomes import ABSORBED, CORRUPTED, DEAD, HANG, PROTOCOL, Effects
from accelsim.faults.target import Stratum, Target, element_name
from accelsim.jobs.store import digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from accelsim.faults.kernels_network import Room, Verdicts

    IntArray = NDArray[np.int64]

_CHUNKS, _WORK = (1 << 6, 1 << 13), 1 << 29  # faults of one, and words that may have to be followed in it


@dataclass(frozen=True)
class Decisions:
    """Which output along a rank is largest: `tensor`, its number; `groups`: int64[words], the group of each word, flat; `labels`:
    int64[groups], which ought to be largest in each (None: not known).
    """

    tensor: int
    groups: IntArray
    labels: IntArray | None = None

    @cached_property
    def members(self) -> IntArray:
        """int64[groups, size], words of each in their order."""
        import numpy as np

        many = int(self.groups.max()) + 1
        return np.argsort(self.groups, kind="stable").reshape(many, -1)


@dataclass(frozen=True)
class ArrayLayer:
    """An Einsum of a layer that runs on an array: the number of its result, and the upsets there."""

    tensor: int
    target: ArrayTarget


@dataclass(frozen=True, slots=True)
class _Struck:
    """What faults change of a tensor: `faults`, places among those that were asked for; cells from `starts` on and their values; outcomes
    of the layer alone.
    """

    tensor: int
    faults: IntArray
    starts: IntArray
    cells: IntArray
    values: IntArray
    outcome: IntArray


class NetworkTarget(Target):
    """A stratum is a kind of register in a layer, or, where there are no `arrays`, the words of a tensor: a bit of one flips before the
    first layer reads it. `together`: adjacent bits that flip at once.

    An upset is of one layer: arrays begin each one anew. One after which words never come, or too many, is not followed any further.
    """

    terms = ("registers", "bits", "AVF of all bits")

    def __init__(self, network: Network, arrays: Sequence[ArrayLayer], decisions: Decisions | None = None, together: int = 1) -> None:
        self.network, self.arrays, self.decisions, self.together = network, tuple(arrays), decisions, together
        for each in self.arrays:
            sums = network.sums(each.tensor)
            for product in each.target.products:
                assert (sums[product.elements] == product.run.product).all()
        self._of = [(each, stratum) for each in self.arrays for stratum in range(len(each.target.strata))]

    @property
    def layers(self) -> tuple[str, ...]:
        """Names, in their order."""
        return tuple(each.name for each in self.network.layers)

    @cached_property
    def strata(self) -> tuple[Stratum, ...]:
        """In the order of the layers."""
        if self.arrays:
            return tuple(each.target.strata[stratum] for each, stratum in self._of)
        found = []
        for held in self.network.held:
            layer, name = held.source
            many = held.size * self._ways(held.bits)
            found.append(Stratum(layer, name, "words", held.size * held.bits, many, many))
        return tuple(found)

    def _ways(self, bits: int) -> int:
        """In how many places of a word bits flip."""
        return max(1, bits - self.together + 1)

    @property
    def noun(self) -> str:
        """Bits that flip once."""
        return "upsets"

    @property
    def chunk(self) -> int:
        """Fewer in larger networks, where a fault may be followed to more words."""
        least, most = _CHUNKS
        return min(most, max(least, _WORK // max(1, self.network.wiring.to.size)))

    def effects(self, stratum: int, numbers: IntArray) -> Effects:
        """In closed form up to the outputs of the layer, and from there by what changes."""
        import numpy as np

        outcome, found = np.zeros(len(numbers), np.int64), np.zeros((len(numbers), 7), np.int64)
        for struck in self._struck(stratum, np.asarray(numbers, np.int64)):
            some = np.zeros((len(struck.faults), 7), np.int64)
            self._spread(struck, some, np.zeros((0, 2), np.int64))
            found[struck.faults] = some
            outcome[struck.faults] = struck.outcome
        if not self.arrays:
            outcome[(found[:, 2] < 0) & (found[:, 0] == 0)] = DEAD
        lost = (outcome == HANG) | (outcome == PROTOCOL)
        found[lost] = 0
        outcome[(outcome == CORRUPTED) & (found[:, 0] == 0)] = ABSORBED
        own = self.network.held[self._of[stratum][0].tensor].maker if self.arrays else -1  # where nothing reads what differs
        where = np.where(outcome == ABSORBED, np.maximum(found[:, 2], own), -1)
        return Effects(outcome, found[:, 0], found[:, 1], found[:, 3] > 0, where=where, decisions=found[:, 3:6])

    def changes(self, stratum: int, number: int) -> dict[Source, tuple[IntArray, IntArray]]:
        """What a fault changes: of each tensor that differs, words, flat, and their values."""
        import numpy as np

        told = np.zeros((self.network.golden.size, 2), np.int64)
        (struck,) = self._struck(stratum, np.array([number]))
        if struck.outcome[0] in (HANG, PROTOCOL):
            return {}
        changed = told[: self._spread(struck, np.zeros((1, 7), np.int64), told)]
        found = {}
        for held in self.network.held:
            mine = changed[(changed[:, 0] >= held.base) & (changed[:, 0] < held.base + held.size)]
            if mine.size:
                order = np.argsort(mine[:, 0])
                found[held.source] = mine[order, 0] - held.base, mine[order, 1]
        return found

    def _struck(self, stratum: int, numbers: IntArray) -> Iterator[_Struck]:
        """What faults change of the tensor that they are in, or that the product they are in makes."""
        import numpy as np

        if not self.arrays:
            word, mask = self._decoded(stratum, numbers)
            held = self.network.held[stratum]
            left = 64 - held.bits
            values = ((self.network.golden[held.base + word] ^ mask) << left) >> left
            many = len(numbers)
            yield _Struck(stratum, np.arange(many), np.arange(many + 1), held.base + word, values, np.full(many, CORRUPTED))
            return
        layer, own = self._of[stratum]
        scale, base = self.network.scales[layer.tensor], self.network.held[layer.tensor].base
        sums, left = self.network.sums(layer.tensor), 64 - layer.target.products[0].run.widths.sum
        for each in layer.target.changes(own, numbers):
            values = scale.outputs(((sums[each.elements] + each.deltas) << left) >> left)
            yield _Struck(layer.tensor, each.faults, each.starts, base + each.elements, values, each.outcome)

    def _spread(self, struck: _Struck, found: IntArray, told: IntArray) -> int:
        from accelsim.faults.kernels_network import spread

        cells, values = struck.cells, struck.values
        return int(spread(self.network.wiring, self._verdicts, self._room, struck.tensor, struck.starts, cells, values, found, told))

    @cached_property
    def _room(self) -> Room:
        import numpy as np

        from accelsim.faults.kernels_network import Room

        golden = self.network.golden
        return Room(golden.copy(), np.zeros_like(golden), np.zeros(golden.size, np.uint8), np.zeros_like(golden))

    @cached_property
    def _verdicts(self) -> Verdicts:
        import numpy as np

        from accelsim.faults.kernels_network import Verdicts

        ends, nothing = np.array(self.network.ends, np.int64), np.zeros(0, np.int64)
        if self.decisions is None:
            return Verdicts(ends, -1, nothing, np.zeros((0, 0), np.int64), nothing, nothing)
        asked = self.decisions
        labels = np.full(len(asked.members), -1, np.int64) if asked.labels is None else asked.labels
        return Verdicts(ends, asked.tensor, asked.groups, self.network.held[asked.tensor].base + asked.members, self.best, labels)

    @cached_property
    def best(self) -> IntArray:
        """Decisions without a fault: int64[groups], which of a group's outputs is largest, of equal ones the first."""
        import numpy as np

        assert self.decisions is not None
        held = self.network.held[self.decisions.tensor]
        return np.asarray(np.argmax(self.network.golden[held.base + self.decisions.members], axis=1), np.int64)

    def _decoded(self, stratum: int, numbers: IntArray) -> tuple[IntArray, IntArray]:
        """Word and mask of each fault in a tensor: bits turn inside words."""
        import numpy as np

        bits = self.network.held[stratum].bits
        word, bit = np.divmod(numbers, self._ways(bits))
        return word, np.int64((1 << min(self.together, bits)) - 1) << bit

    def key_parts(self) -> tuple[object, ...]:
        """The scales of the layers, which a file may state, and what is judged."""
        asked, scales = self.decisions, tuple(self.network.scales.values())
        return self.noun, self.strata, self.together, scales, None if asked is None else (asked.tensor, digest(asked.groups))

    def site(self, stratum: int, number: int) -> dict[str, Any]:
        """The layer and the register by its name in the RTL, or the word."""
        import numpy as np

        if self.arrays:
            layer, own = self._of[stratum]
            return {"layer": self.strata[stratum].block, **layer.target.site(own, number)}
        word, mask = self._decoded(stratum, np.array([number]))
        held = self.network.held[stratum]
        bits = [bit for bit in range(held.bits) if int(mask[0]) >> bit & 1]
        return {"layer": held.source[0], "word": element_name(held.source[1], held.shape, int(word[0])), "bits": bits}


def labelled(decisions: Decisions, labels: IntArray) -> Decisions:
    """Decisions with what ought to be largest in each group. InputError for labels of another number, or that no output has."""
    import numpy as np

    many, size = decisions.members.shape
    labels = np.asarray(labels).ravel()
    if labels.dtype.kind not in "iu" or labels.size != many:
        raise InputError(f"{labels.size} labels of {labels.dtype}, and there are {many} decisions", "give one whole number for each")
    if labels.size and not 0 <= labels.min() <= labels.max() < size:
        raise InputError(f"a label is {int(labels.max())} or {int(labels.min())}", f"decisions are among {size}, the first of which is 0")
    return Decisions(decisions.tensor, decisions.groups, labels.astype(np.int64))
