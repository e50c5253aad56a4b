"""Numbers for what an outline asks for, and the tables of their kernel. Source: docs/sparse.md, "Statistics"."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from accelsim.model import kernels_outline as k
from accelsim.sparse.even import flags

if TYPE_CHECKING:
    from accelsim.model.outline import Weighed
    from accelsim.sparse.nest import Nest
    from accelsim.sparse.sums import Loops, Signed


class Numbers:
    """Amounts, weighed amounts, turns of loops and places of tiles, each numbered from 0 as it is asked for."""

    def __init__(self, nest: Nest) -> None:
        self._nest = nest
        self.signed: dict[Signed, int] = {}
        self._weighed: dict[Weighed, int] = {}
        self._turns: dict[Loops, int] = {}
        self._tiles: dict[tuple[tuple[str, ...], int], int] = {}

    def amount(self, signed: Signed) -> int:
        """Of signed sums."""
        return self.signed.setdefault(signed, len(self.signed))

    def weighed(self, parts: Weighed) -> int:
        """Of amounts with bits of one of each."""
        return self._weighed.setdefault(parts, len(self._weighed))

    def turns(self, loops: Iterable[int]) -> int:
        """Of the turns of some loops, multiplied."""
        return self._turns.setdefault(frozenset(loops), len(self._turns))

    def tile(self, ranks: tuple[str, ...], above: int) -> int:
        """Of the places that the first loops leave of some ranks, at most."""
        return self._tiles.setdefault((ranks, above), len(self._tiles))

    def asked(self) -> tuple[k.Asked, tuple[int, int, int, int]]:
        """All so far, and where amounts, their copies, weighed amounts and turns end in what `kernels_outline.figures` returns."""
        terms = [(number, bits, self.amount(each)) for parts, number in self._weighed.items() for bits, each in parts]
        nest, loops, ranks, many = self._nest, len(self._nest.turns), list(self._nest.extents), len(self.signed)
        asked = k.Asked(
            np.array([many, len(self._weighed)]),
            np.array([(number, sign, place) for signed, number in self.signed.items() for sign, place in signed.parts], np.int64),
            np.array([(number, bits.fixed, amount) for number, bits, amount in terms], np.int64).reshape(-1, 3),
            flags([bits.loops for _, bits, _ in terms], loops), flags(list(self._turns), loops),
            flags([[ranks.index(rank) for rank in mine] for mine, _ in self._tiles], len(ranks)),
            flags([range(above) for _, above in self._tiles], loops),
            np.array([ranks.index(turn.rank) for turn in nest.turns], np.int64), np.array(list(nest.extents.values()), np.int64),
        )  # fmt: skip
        weighed = 2 * many + len(self._weighed)
        return asked, (many, 2 * many, weighed, weighed + len(self._turns))
