"""What constraints allow of a part: what memory 1 may hold, what a trunk may leave, in which order its loops may stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from accelsim.mapper.leaf_plan import IntArray
from accelsim.mapper.tiles import divisors

if TYPE_CHECKING:
    from accelsim.mapper.exact import Exact


class Permits:
    """Constraints as an exact search asks for them; answers that are asked for often are remembered."""

    def __init__(self, exact: Exact) -> None:
        self.exact, self.rules = exact, exact.constraints
        self.home, self.root = exact.home or "", exact.machine.root.name
        self._staying: dict[tuple[str, str], bool] = {}
        self._passing: dict[tuple[str, bool], bool] = {}

    def may_stay(self, tensor: str, names: tuple[str, ...]) -> bool:
        """Whether memory 1 may hold a tensor for all of these Einsums that touch it, above their blocks."""
        return all(self._may_stay(tensor, name) for name in self._touching(tensor, names))

    def _may_stay(self, tensor: str, name: str) -> bool:
        if (tensor, name) not in self._staying:
            self._staying[tensor, name] = self.rules.may_keep(self.home, tensor, name, above=True)
        return self._staying[tensor, name]

    def may_be_held(self, tensor: str, names: tuple[str, ...], ranks: tuple[str, ...], tiles: IntArray) -> NDArray[np.bool_]:
        """Whether memory 1 may hold a tensor's tiles for all of these Einsums; tiles: int64[n, ranks], other ranks are whole."""
        good = np.ones(len(tiles), bool)
        for name in self._touching(tensor, names) if self.rules.tiles else ():
            _, each = self.exact.ways[name][0]
            for rank in self._indexing(name)[tensor]:
                allowed = [self.rules.may_hold(each.memories[1], tensor, rank, size, name) for size in self._sizes(rank)]
                good &= self._looked_up(rank, allowed, ranks, tiles)
        return good

    def may_leave(self, names: tuple[str, ...], ranks: tuple[str, ...], tiles: IntArray) -> NDArray[np.bool_]:
        """Whether a trunk above these Einsums may leave tiles, as above."""
        good = np.ones(len(tiles), bool)
        for name in names if self.rules.tiles else ():
            _, each = self.exact.ways[name][0]
            for rank in each.ranks:
                allowed = [self.rules.may_leave(each.memories[1], rank, size, name) for size in self._sizes(rank)]
                good &= self._looked_up(rank, allowed, ranks, tiles)
        return good

    def may_turn(self, names: tuple[str, ...], loops: tuple[str, ...]) -> bool:
        """Whether loops above these Einsums may stand in this order, the outermost first."""
        for name in names if self.rules else ():
            pairs = self.rules.nested(self.home, name, self._indexing(name), self.exact.ways[name][0][1].ranks, above=True)
            if any((inner, outer) in pairs for at, inner in enumerate(loops) for outer in loops[: at + 1]):
                return False
        return True

    def _touching(self, tensor: str, names: tuple[str, ...]) -> list[str]:
        return [name for name in names if tensor in self.exact.tensors.touched[name]]

    def _indexing(self, name: str) -> dict[str, list[str]]:
        """The ranks that index each tensor of an Einsum."""
        search, each = self.exact.ways[name][0]
        rows = zip(each.tensors, search.plan.indexed.tolist(), strict=True)
        return {tensor: [rank for rank, has in zip(each.ranks, row, strict=True) if has] for tensor, row in rows}

    def _sizes(self, rank: str) -> tuple[int, ...]:
        return divisors(self.exact.cascade.extents[rank])

    def _looked_up(self, rank: str, allowed: list[bool], ranks: tuple[str, ...], tiles: IntArray) -> NDArray[np.bool_]:
        """What is allowed of the sizes of a rank, for tiles."""
        if rank not in ranks:
            return np.full(len(tiles), allowed[-1])
        return np.array(allowed)[np.searchsorted(self._sizes(rank), tiles[:, ranks.index(rank)])]

    def may_pass(self, tensor: str, root: bool) -> bool:
        """Whether a tensor may be kept at the root, or anywhere else, for all Einsums that touch it."""
        if (tensor, root) not in self._passing:
            names = self._touching(tensor, self.exact.order) if self.rules.keeps else []
            self._passing[tensor, root] = all(
                self.rules.may_keep(self.root, tensor, name, True) if root else not self.rules.must_keep(self.root, tensor, name)
                for name in names
            )
        return self._passing[tensor, root]
