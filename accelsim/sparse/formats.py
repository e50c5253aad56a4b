"""What storing a matrix takes, in bits, by format. Sources: docs/sparse.md, "Formats"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from accelsim.sparse.pattern import IntArray, Pattern


@dataclass(frozen=True, slots=True)
class Widths:
    """Bits of a value, of a coordinate and of a pointer."""

    value: int
    coordinate: int
    pointer: int


def dense(pattern: Pattern, widths: Widths) -> int:
    """Every element."""
    return pattern.rows * pattern.width * widths.value


def csr(pattern: Pattern, widths: Widths) -> int:
    """A pointer for the start of every row and the end, and of every non-zero its column and value. Transposed: CSC."""
    return (pattern.rows + 1) * widths.pointer + pattern.nonzeros * (widths.coordinate + widths.value)


def dcsr(pattern: Pattern, widths: Widths) -> int:
    """CSR of the rows that hold something, with their coordinates: compressed fibers of order two (CSF)."""
    held = int(np.count_nonzero(pattern.lengths))
    return held * widths.coordinate + (held + 1) * widths.pointer + pattern.nonzeros * (widths.coordinate + widths.value)


def coordinate(pattern: Pattern, widths: Widths) -> int:
    """Row, column and value of every non-zero (COO)."""
    return pattern.nonzeros * (2 * widths.coordinate + widths.value)


def bitmask(pattern: Pattern, widths: Widths) -> int:
    """A bit for every element, and the values of the non-zeros."""
    return pattern.rows * pattern.width + pattern.nonzeros * widths.value


def bitmask_by_bytes(pattern: Pattern, widths: Widths) -> int:
    """A bitmask whose rows are padded to whole bytes."""
    return 8 * pattern.rows * -(-pattern.width // 8) + pattern.nonzeros * widths.value


def bitmask_by_rows(pattern: Pattern, widths: Widths) -> int:
    """A bitmask with a pointer to the values of every row, and the end."""
    return bitmask(pattern, widths) + (pattern.rows + 1) * widths.pointer


def ell(pattern: Pattern, widths: Widths) -> int:
    """As many columns and values for every row as the longest one has (ELLPACK)."""
    longest = int(pattern.lengths.max(initial=0))
    return pattern.rows * longest * (widths.coordinate + widths.value)


def run_length_by_rows(pattern: Pattern, widths: Widths, bits: int) -> int:
    """Of every non-zero the zeros before it in its row, in `bits` bits, and its value; a pointer to every row, and the end.

    A gap that is too long takes entries of 2^bits zeros, each with a value too. Zeros at the end of a row are not coded.
    """
    before = np.empty_like(pattern.columns)
    before[1:] = pattern.columns[:-1]
    before[pattern.starts[:-1][pattern.lengths > 0]] = -1
    return _runs(pattern.columns - before - 1, widths, bits) + (pattern.rows + 1) * widths.pointer


def run_length(pattern: Pattern, widths: Widths, bits: int) -> int:
    """The same over all rows one after the other, without pointers."""
    places = pattern.row_of * pattern.width + pattern.columns
    return _runs(np.diff(places, prepend=-1) - 1, widths, bits)


def _runs(gaps: IntArray, widths: Widths, bits: int) -> int:
    entries = gaps.size + int((gaps >> bits).sum())
    return entries * (bits + widths.value)


def blocks(pattern: Pattern, widths: Widths, side: int) -> int:
    """Whole blocks of side x side elements that hold something, with their columns, and a pointer to every row of them (BCSR)."""
    held, _ = pattern.tiles(side, side)
    return (held.rows + 1) * widths.pointer + held.nonzeros * (widths.coordinate + side * side * widths.value)


def tiled(pattern: Pattern, widths: Widths, height: int, width: int) -> int:
    """Tile after tile, the place in it and the value of every non-zero; a pointer to every tile, empty or not (tiled CSL)."""
    across, down = -(-pattern.width // width), -(-pattern.rows // height)
    return pattern.nonzeros * (widths.coordinate + widths.value) + (across * down + 1) * widths.pointer


def structured(pattern: Pattern, widths: Widths, kept: int, of: int) -> int:
    """N:M: of every `of` elements of a row room for `kept` values, each with its place among them. Refuses a block that holds more."""
    _check_structured(pattern, kept, of)
    return pattern.rows * -(-pattern.width // of) * kept * (widths.value + (of - 1).bit_length())


def structured_bitmask(pattern: Pattern, widths: Widths, kept: int, of: int) -> int:
    """N:M with a bit for every element instead of places."""
    _check_structured(pattern, kept, of)
    return pattern.rows * -(-pattern.width // of) * (kept * widths.value + of)


def structured_twice(pattern: Pattern, widths: Widths, outer: tuple[int, int], inner: tuple[int, int]) -> int:
    """Hierarchical N:M: of every M1 blocks of M0 elements room for N1 with their places, each with N0 values and theirs."""
    (kept, of), (kept_inside, of_inside) = outer, inner
    _check_structured(pattern, kept_inside, of_inside)
    _check_structured(pattern.tiles(1, of_inside)[0], kept, of)
    each = (of - 1).bit_length() + kept_inside * ((of_inside - 1).bit_length() + widths.value)
    return pattern.rows * -(-pattern.width // (of * of_inside)) * kept * each


def fullest(pattern: Pattern, of: int) -> int:
    """The least N for which every block of `of` elements of a row holds at most N: the N:M that covers a pattern."""
    return int(pattern.tiles(1, of)[1].max(initial=0))


def _check_structured(pattern: Pattern, kept: int, of: int) -> None:
    if not 0 < kept <= of:
        raise InputError(f"{kept} of {of} is no structure", "keep at least 1 and at most all of a block")
    found = fullest(pattern, of)
    if found > kept:
        raise InputError(f"a block of {of} elements holds {found}, more than {kept}", f"take {found}:{of}, or prune the matrix")


def compressed_fibers(coordinates: IntArray, widths: Widths) -> int:
    """Compressed sparse fibers of any order (CSF): int64[order, non-zeros], the outermost rank first.

    Σ over levels but the last of (fibers + 1) pointers, over all levels of the distinct prefixes' coordinates, and the values.
    """
    order, count = int(coordinates.shape[0]), int(coordinates.shape[1])
    bits = count * widths.value
    for level in range(order):
        elements = int(np.unique(coordinates[: level + 1], axis=1).shape[1]) if count else 0
        bits += elements * widths.coordinate
        if level + 1 < order:
            bits += (elements + 1) * widths.pointer
    return bits


FORMATS: dict[str, Callable[[Pattern, Widths], int]] = {
    "dense": dense,
    "csr": csr,
    "dcsr": dcsr,
    "coo": coordinate,
    "bitmask": bitmask,
    "bitmask by bytes": bitmask_by_bytes,
    "bitmask by rows": bitmask_by_rows,
    "ell": ell,
}


def size(pattern: Pattern, name: str, widths: Widths) -> int:
    """Bits of a matrix in a format by name; refuses an unknown one."""
    if name not in FORMATS:
        raise InputError(f"there is no format '{name}'", did_you_mean(name, FORMATS))
    return FORMATS[name](pattern, widths)
