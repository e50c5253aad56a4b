"""Many tilings of one Einsum at once: candidates share loops, keeps and unit, and differ in tile sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from accelsim.errors import InputError
from accelsim.mapper.batch_plan import FITS, LEGAL, STEADY, BatchPlan, FloatArray, IntArray, lower
from accelsim.mapping.tree import Mapping
from accelsim.model.evaluation import Evaluator


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Per candidate: int64 `steady` ticks, bool `fits` and `legal`, float64 `energy_pj` (dynamic), int64 `traffic`[memory, read or
    written] in pieces of a bit. Time and energy of an illegal candidate are 0. `per_cycle`: ticks of a cycle."""

    steady: IntArray
    fits: np.ndarray
    legal: np.ndarray
    energy_pj: FloatArray
    traffic: IntArray
    per_cycle: int


class Batch:
    """Evaluates tilings of one structure; lowered once, used for many candidates. Refuses what `batch_plan.lower` refuses."""

    def __init__(self, evaluator: Evaluator, structure: Mapping) -> None:
        self.evaluator = evaluator
        self.plan: BatchPlan = lower(evaluator, structure)
        self._bounded()
        self.operations_pj = self._operations(structure)

    def evaluate(self, candidates: IntArray) -> BatchResult:
        """Evaluate int64[candidates, loops], tiles of the structure's loops outermost first, in one kernel call."""
        from accelsim.mapper.kernels import evaluate_batch

        if candidates.ndim != 2 or candidates.shape[1] != self.plan.loops.shape[0]:
            raise InputError(f"candidates need {self.plan.loops.shape[0]} tiles each", "give one per loop, outermost first")
        count, memories = candidates.shape[0], self.plan.ports.shape[0]
        times = np.empty((count, 3), np.int64)
        energy = np.empty(count, np.float64)
        traffic = np.empty((count, memories, 2), np.int64)
        evaluate_batch(self.plan, np.ascontiguousarray(candidates, np.int64), times, energy, traffic)
        legal = times[:, LEGAL].astype(np.bool_)
        energy[legal] += self.operations_pj
        return BatchResult(times[:, STEADY], times[:, FITS].astype(np.bool_), legal, energy, traffic, self.evaluator.clock.per_cycle)

    def _operations(self, structure: Mapping) -> float:
        """Energy of the operations, the same for every tiling."""
        (path,) = structure.paths()
        leaf = path[1]
        points = float(np.prod(self.plan.extents.astype(np.float64)))
        total = 0.0
        for primitive, times in self.evaluator.program.cover(leaf.einsum, leaf.unit).items():
            price = self.evaluator.prices.operation[leaf.unit, primitive]
            total += 0.0 if price is None else points * float(times) * price.value
        return total

    def _bounded(self) -> None:
        """Refuses shapes whose counts or times could pass 64 bits."""
        points = float(np.prod(self.plan.extents.astype(np.float64)))
        copies = float(np.prod(self.plan.axis_sizes.astype(np.float64)))
        slowest = max(1, int(self.plan.ports[:, :2].max()) * int(self.plan.widths.max()) * 4, int(self.plan.fixed[0]))
        if points * copies * slowest >= 2.0**62:
            raise InputError(f"a batch over {points:.3g} points passes 64-bit counters", "make the shape smaller, or evaluate one by one")
