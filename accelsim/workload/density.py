"""How the elements of a tensor that are not zero lie, as a workload states it. Source: docs/sparse.md, "Densities"."""

from __future__ import annotations

import math
from dataclasses import dataclass

from accelsim.errors import InputError

# By model what it is stated with, and what may be left out.
PARAMETERS = {
    "uniform": ("share",),
    "structured": ("kept", "of"),
    "banded": ("below", "above"),
    "blocks": ("side", "share"),
    "fibers": ("lengths",),
    "power_law": ("edges", "chances"),
}
OPTIONAL = ("chances",)
MATRICES = ("banded", "blocks", "power_law")
RMAT = (0.45, 0.15, 0.15, 0.25)  # near many real graphs: D. Chakrabarti, Y. Zhan, C. Faloutsos, R-MAT, SDM 2004


@dataclass(frozen=True, slots=True)
class Stated:
    """A model of PARAMETERS by name, with its parameters; those of other models stay as they are here.

    `share`: of elements, or of blocks that are full. `kept` of every `of` elements along the last dimension. `below`, `above`: the
    first and last diagonal, column - row. `side`: of blocks. `lengths`: shares of rows by how many elements they hold. `edges`,
    `chances`: of R-MAT, the mean number and the chances of quadrants: upper left, upper right, lower left, lower right.
    """

    model: str
    share: float = 1.0
    kept: int = 1
    of: int = 1
    below: int = 0
    above: int = 0
    side: int = 1
    lengths: tuple[tuple[int, float], ...] = ()
    edges: float = 0.0
    chances: tuple[float, float, float, float] = RMAT

    def share_of(self, shape: tuple[int, ...]) -> float:
        """Share of the elements of a tensor that are expected not to be zero. Refuses tensors that the model does not suit."""
        width = shape[-1] if shape else 1
        if self.model in MATRICES and len(shape) != 2:
            what = f"'{self.model}' is a density of matrices, and this tensor has {len(shape)} dimensions"
            raise InputError(what, "state a share, or 'structured' or 'fibers'")
        if self.model == "structured":
            if width % self.of:
                raise InputError(f"rows of {width} do not consist of blocks of {self.of}", f"make them a multiple of {self.of}")
            return self.kept / self.of
        if self.model == "banded":
            return (_up_to(self.above, shape) - _up_to(self.below - 1, shape)) / math.prod(shape)
        if self.model == "blocks":
            blocks = self.blocks(shape)
            return round(self.share * blocks) / blocks
        if self.model == "fibers":
            longest = max(length for length, _ in self.lengths)
            if longest > width:
                raise InputError(f"rows of {width} do not hold {longest} elements", "shorten the lengths")
            return sum(length * share for length, share in self.lengths) / width
        if self.model == "power_law":
            levels = self.levels(shape)
            return sum(cells * -math.expm1(-self.edges * chance) for cells, chance in _quadrants(levels, self.chances)) / math.prod(shape)
        return self.share

    def blocks(self, shape: tuple[int, ...]) -> int:
        """Blocks of a matrix."""
        if any(size % self.side for size in shape):
            what = f"a matrix of {' x '.join(map(str, shape))} does not consist of blocks of {self.side} x {self.side}"
            raise InputError(what, f"make both a multiple of {self.side}")
        return math.prod(shape) // self.side**2

    def levels(self, shape: tuple[int, ...]) -> int:
        """How often a matrix is cut into quadrants."""
        levels = shape[0].bit_length() - 1
        if shape != (1 << levels, 1 << levels):
            what = f"quadrants of quadrants make no matrix of {' x '.join(map(str, shape))}"
            raise InputError(what, "make both sizes the same power of two")
        return levels


def _up_to(diagonal: int, shape: tuple[int, ...]) -> int:
    """Elements of a matrix on a diagonal, column - row, and those below."""
    first, last = max(0, -diagonal), min(shape[0], shape[1] - diagonal)  # rows that the diagonal crosses
    crossed = max(0, last - first)
    return crossed * (first + last + 2 * diagonal + 1) // 2 + max(0, shape[0] - max(first, last)) * shape[1]


def _quadrants(levels: int, chances: tuple[float, float, float, float]) -> list[tuple[int, float]]:
    """Cells that are alike: how many, and the chance of each; level by level."""
    found = {(0, 0, 0, 0): 1}
    for _ in range(levels):
        longer: dict[tuple[int, int, int, int], int] = {}
        for taken, cells in found.items():
            for place in range(4):
                now = list(taken)
                now[place] += 1
                key = (now[0], now[1], now[2], now[3])
                longer[key] = longer.get(key, 0) + cells
        found = longer
    return [(cells, math.prod(chance**each for chance, each in zip(chances, taken, strict=True))) for taken, cells in found.items()]
