"""Flips of stored bits of an operand that is kept compressed: the decoder sees them, or wrong words enter the products of an array."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from accelsim.errors import InputError
from accelsim.faults.firings import Product
from accelsim.faults.outcomes import DEAD, DETECTED, HANG, Effects, gravest
from accelsim.faults.requantise import Requantise
from accelsim.faults.streams import Codec, Starved, Stream, Undecodable
from accelsim.faults.sums import Sums
from accelsim.faults.target import Grouped, Stratum

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]

_CHUNK = 1 << 9


class StreamTarget(Grouped):
    """One stratum: bits of the streams of a tensor, which has `block` words in each, in the order of its elements. A bit is wrong whenever
    its stream is decoded, so that all products take the wrong words.

    A stream that ends before its words have come is a hang, whatever else the decoder sees is detected. `values`: int64[elements], the
    tensor, flat; `decides`: as of an ArrayTarget. InputError for a tensor that no product reads, and for words that the codec does not
    give back.
    """

    terms = ("streams", "bits", "AVF of all bits")

    def __init__(
        self, tensor: str, values: IntArray, codec: Codec, block: int, products: list[Product], requantise: Requantise,
        decides: IntArray | None = None,
    ) -> None:  # fmt: skip
        if not any(tensor in product.sources for product in products):
            raise InputError(f"the array makes no product of {tensor}", "name one of its operands")
        self.tensor, self.products, self.block = tensor, products, min(block, values.size)
        self.sums = Sums(products, requantise, decides)
        self.streams = [Stream.of(codec, values[at : at + self.block]) for at in range(0, values.size, self.block)]

    @cached_property
    def _ends(self) -> IntArray:
        import numpy as np

        return np.cumsum([stream.bits for stream in self.streams])

    @cached_property
    def strata(self) -> tuple[Stratum, ...]:
        """All streams."""
        many = int(self._ends[-1])
        return (Stratum("streams", self.tensor, "streams", many, many, many),)

    @property
    def noun(self) -> str:
        """Bits that flip."""
        return "flips"

    @property
    def chunk(self) -> int:
        """Each is decoded."""
        return _CHUNK

    def groups(self, stratum: int) -> IntArray:
        """By stream."""
        import numpy as np

        return np.diff(self._ends, prepend=0)

    def members(self, stratum: int, group: IntArray, places: IntArray) -> IntArray:
        """In their order."""
        import numpy as np

        return np.asarray((self._ends - self.groups(stratum))[group] + places, np.int64)

    def _decoded(self, number: int) -> tuple[int, int]:
        """Stream and bit of a fault."""
        import numpy as np

        stream = int(np.searchsorted(self._ends, number, side="right"))
        return stream, number - int(self._ends[stream]) + self.streams[stream].bits

    def effects(self, stratum: int, numbers: IntArray) -> Effects:
        """Each of these flips alone."""
        import numpy as np

        found = np.zeros((len(self.products), len(numbers), 4), np.int64)
        for at, number in enumerate(np.asarray(numbers).tolist()):
            which, bit = self._decoded(number)
            stream = self.streams[which]
            try:
                after = stream.after(bit)
            except Undecodable as said:
                found[:, at, 0] = HANG if isinstance(said, Starved) else DETECTED
                continue
            change = after - stream.weights
            if not change.any():
                found[:, at, 0] = DEAD
                continue
            for place, product in enumerate(self.products):
                wrong = self._product(product, which * self.block, change)
                found[place, at] = self.sums.judged(place, wrong[None])[0]
        return gravest(found)

    def _product(self, product: Product, first: int, change: IntArray) -> IntArray:
        """What an array makes of operands of which some words differ by `change`, from an element of the tensor on."""
        import numpy as np

        operands = []
        for words, (name, places) in zip((product.run.a, product.run.b), product.sources.items(), strict=True):
            at = places - first
            mine = (name == self.tensor) & (places >= 0) & (at >= 0) & (at < change.size)
            operands.append(words + np.where(mine, change[np.where(mine, at, 0)], 0))
        left = 64 - product.run.widths.sum
        return np.asarray((operands[0] @ operands[1] << left) >> left, np.int64)

    def key_parts(self) -> tuple[object, ...]:
        """The streams too."""
        streams = tuple(stream.stored.hex() for stream in self.streams)
        return self.noun, self.strata, *self.sums.key_parts(), self.tensor, self.block, streams

    def site(self, stratum: int, number: int) -> dict[str, Any]:
        """The stream, by the first element that it holds, and the bit: 0 is the lowest of its first byte."""
        which, bit = self._decoded(int(number))
        return {"tensor": self.tensor, "first": which * self.block, "bits": [bit]}
