"""Faults in compressed weights: a bit of the stored stream flips, and weights change, or the decoder sees that it cannot go on.

A decoder is anything with `encode` and `decode`. `Rice` is one of our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError

IntArray = NDArray[np.int64]


class Undecodable(Exception):
    """A decoder that sees that a stream is wrong: a failure that tells, not a corruption."""


class Starved(Undecodable):
    """A stream that ends before all words have come: who waits for them waits forever."""


class Codec(Protocol):
    """Weights to a stream and back."""

    def encode(self, weights: IntArray) -> bytes:
        """The stream of int64[weights]."""
        ...

    def decode(self, stream: bytes, count: int) -> IntArray:
        """So many weights; Undecodable if the stream shows that it is wrong."""
        ...


@dataclass(frozen=True, slots=True)
class Rice:
    """Golomb-Rice code of signed words: magnitudes with their sign in the lowest bit, `low` bits as they are, the rest in unary before.

    A stream is wrong if it ends too early or is longer than its last word by a byte, or if a word does not fit `bits`.
    Source: Rice, Plaunt, IEEE Trans. Commun. 19, 1971, doi:10.1109/TCOM.1971.1090789.
    """

    low: int = 3
    bits: int = 8

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.bits or not 1 <= self.bits <= 32:
            raise InputError(f"no Rice code has {self.low} low bits of {self.bits}", "words have 1 to 32 bits, low ones among them")

    @classmethod
    def fitted(cls, weights: IntArray, bits: int = 8) -> Rice:
        """The one with the shortest stream."""
        return min((cls(low, bits) for low in range(bits + 1)), key=lambda each: len(each.encode(weights)))

    def encode(self, weights: IntArray) -> bytes:
        """Bits from the lowest of each byte on; zeros fill the last byte."""
        half = 1 << self.bits - 1
        parts = []
        for weight in weights.tolist():
            if not -half <= weight < half:
                raise InputError(f"weight {weight} does not fit {self.bits} bits", "choose wider words, or other weights")
            word = 2 * weight if weight >= 0 else -2 * weight - 1
            low = f"{word & (1 << self.low) - 1:0{self.low}b}" if self.low else ""
            parts.append("1" * (word >> self.low) + "0" + low)
        line = np.frombuffer("".join(parts).encode("ascii"), np.uint8) - ord("0")
        return np.packbits(line, bitorder="little").tobytes()

    def decode(self, stream: bytes, count: int) -> IntArray:
        """int64[count]."""
        line = (np.unpackbits(np.frombuffer(stream, np.uint8), bitorder="little") + ord("0")).tobytes().decode("ascii")
        found, at, low, most = [], 0, self.low, (1 << self.bits) - 1
        for _ in range(count):
            stop = line.find("0", at)
            end = stop + 1 + low
            if stop < 0 or end > len(line):
                raise Starved("the stream ends inside a word")
            word = (stop - at) << low | (int(line[stop + 1 : end], 2) if low else 0)
            if word > most:
                raise Undecodable(f"a word does not fit {self.bits} bits")
            found.append(-(word + 1 >> 1) if word & 1 else word >> 1)
            at = end
        if len(line) - at >= 8:
            raise Undecodable("the stream goes on after its last word")
        return np.array(found, np.int64)


@dataclass(frozen=True, slots=True)
class Bitmap:
    """A bit for each word, 1 where it is not 0, and then the words that are not, of `bits` each, all from the lowest bit on.

    A stream is wrong if it ends too early or is longer than its last word by a byte.
    """

    bits: int = 8

    def encode(self, weights: IntArray) -> bytes:
        """Zeros fill the last byte."""
        half = 1 << self.bits - 1
        if weights.size and not (-half <= weights.min() and weights.max() < half):
            raise InputError(f"a weight does not fit {self.bits} bits", "choose wider words, or other weights")
        values = weights[weights != 0]
        line = np.concatenate([weights != 0, (values[:, None] >> np.arange(self.bits) & 1).ravel()]).astype(np.uint8)
        return np.packbits(line, bitorder="little").tobytes()

    def decode(self, stream: bytes, count: int) -> IntArray:
        """int64[count]."""
        line = np.unpackbits(np.frombuffer(stream, np.uint8), bitorder="little").astype(np.int64)
        places = np.flatnonzero(line[:count])
        left = line[count:]
        if line.size < count or left.size < places.size * self.bits:
            raise Starved("the stream ends inside a word")
        if left.size - places.size * self.bits >= 8:
            raise Undecodable("the stream goes on after its last word")
        words = left[: places.size * self.bits].reshape(-1, self.bits) @ (1 << np.arange(self.bits))
        found = np.zeros(count, np.int64)
        found[places] = words - (words >> self.bits - 1 << self.bits)
        return found


@dataclass(frozen=True, slots=True)
class Stream:
    """Weights, int64[weights], as a codec stores them. InputError for weights that it does not give back."""

    codec: Codec
    weights: IntArray
    stored: bytes

    @classmethod
    def of(cls, codec: Codec, weights: IntArray) -> Stream:
        """Weights encoded, and checked."""
        flat = np.asarray(weights, np.int64).ravel()
        stored = codec.encode(flat)
        try:
            whole = np.array_equal(codec.decode(stored, flat.size), flat)
        except Undecodable:
            whole = False
        if not whole:
            raise InputError("the codec does not give back the weights that it encodes", "choose another one, or weights that it can hold")
        return cls(codec, flat, stored)

    @property
    def bits(self) -> int:
        """Sites of faults."""
        return 8 * len(self.stored)

    def changes(self, bit: int) -> tuple[IntArray, IntArray] | None:
        """Weights that change where a bit of the stream flips (bit 0 is the lowest of the first byte), and by how much; None if the decoder
        sees it.
        """
        if not 0 <= bit < self.bits:
            raise InputError(f"a stream of {self.bits} bits has no bit {bit}", f"write 0 to {self.bits - 1}")
        try:
            after = self.after(bit)
        except Undecodable:
            return None
        places = np.flatnonzero(after != self.weights)
        return places, after[places] - self.weights[places]


    def after(self, bit: int) -> IntArray:
        """Weights that come where a bit flips; Undecodable if the decoder sees it, Starved if it waits for more."""
        flipped = bytearray(self.stored)
        flipped[bit // 8] ^= 1 << bit % 8
        after = self.codec.decode(bytes(flipped), self.weights.size)
        if after.size != self.weights.size:  # who waits for the weights sees that there are more or fewer
            raise (Starved if after.size < self.weights.size else Undecodable)("not as many weights come as there are")
        return after


@dataclass(frozen=True, slots=True)
class StreamEffects:
    """Of some flips, each of the same length: whether the decoder sees it; weights that change; the largest change of one."""

    detected: NDArray[np.bool_]
    wrong: IntArray
    worst: IntArray


def effects(stream: Stream, bits: IntArray) -> StreamEffects:
    """Of flips of single bits, each of them alone."""
    found = [stream.changes(int(bit)) for bit in bits]
    return StreamEffects(
        np.array([each is None for each in found], bool),
        np.array([0 if each is None else each[0].size for each in found], np.int64),
        np.array([0 if each is None else int(abs(each[1]).max(initial=0)) for each in found], np.int64),
    )
