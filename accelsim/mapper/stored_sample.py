"""A sample of a large Einsum: windows of all its ranks and the elements inside. Source: docs/sparse.md, "Mapper"."""

from __future__ import annotations

import math
from collections.abc import Iterable
from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.mapper.stored_judge import Problem
from accelsim.workload.build import resized

if TYPE_CHECKING:
    from accelsim.sparse.pattern import IntArray

_DRAWS = 8


@dataclass(frozen=True)
class Sample:
    """A small problem cut out of a large one; `windows`: by rank where it begins and ends."""

    problem: Problem
    windows: dict[str, list[int]]

    @property
    def is_empty(self) -> bool:
        """Whether some operand has nothing in it."""
        return not all(each.shape[1] for each in self.problem.stored.values())

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"ranks": self.windows, "seed": self.problem.request.seed}


def may_sample(problem: Problem) -> bool:
    """Whether sizes of the problem may be changed."""
    cascade, request = problem.cascade, problem.request
    return cascade.declaration is not None and not cascade.splits and request.tiles != "dividing" and not request.constraints.tiles


def sample(problem: Problem, operations: int, wanted: int) -> Sample:
    """Windows of all ranks at one relative place, which are to have so many operations: of some draws that with the most elements of
    median many.
    """
    cascade, einsum = problem.cascade, problem.cascade.by_name[problem.einsum]
    ranks = {access.tensor: tuple(str(index.single_rank) for index in cascade.index_maps(access) if index is not None)
             for access in einsum.reads}  # fmt: skip
    share = (wanted / operations) ** (1 / len(einsum.ranks))
    sizes = {rank: max(1, math.ceil(cascade.extents[rank] * share)) for rank in einsum.ranks}
    rng = np.random.default_rng(problem.request.seed)
    draws = []
    for place in rng.random(_DRAWS).tolist():
        begins = {rank: int(place * (cascade.extents[rank] - size + 1)) for rank, size in sizes.items()}
        draws.append(({name: _window(each, ranks[name], begins, sizes) for name, each in problem.stored.items()}, begins))
    draws.sort(key=lambda draw: min(each.shape[1] for each in draw[0].values()))
    elements, begins = draws[_DRAWS // 2]
    windows = {rank: [begins[rank], begins[rank] + size] for rank, size in sizes.items()}
    return Sample(replace(problem, cascade=resized(cascade, sizes), stored=elements), windows)


def _window(elements: IntArray, ranks: Iterable[str], begins: Dict[str, int], sizes: Dict[str, int]) -> IntArray:
    """Elements whose coordinates lie in windows of the ranks, counted from where these begin."""
    begin = np.array([begins[rank] for rank in ranks], np.int64)[:, None]
    size = np.array([sizes[rank] for rank in ranks], np.int64)[:, None]
    moved = elements - begin
    kept = ((moved >= 0) & (moved < size)).all(axis=0)
    return np.asarray(moved[:, kept])
