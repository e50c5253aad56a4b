"""Evaluation from densities: what a mapping is expected to cost before there are elements. Source: docs/sparse.md, "Statistics".

Energy and traffic are linear in counts, and theirs are expectations. A time is that of expected counts: no expected time is below it.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.errors import InputError
from accelsim.mapping.holding import loops_by_elements, refused_by_size
from accelsim.mapping.legality import check
from accelsim.mapping.tree import Mapping
from accelsim.model.chain import LaterLowered
from accelsim.model.counts import Counts
from accelsim.model.evaluation import Evaluation, Evaluator
from accelsim.model.expected_traffic import ExpectedTraffic, Fit, upward
from accelsim.model.lowering import lower
from accelsim.model.options import Counting
from accelsim.model.outline import Figures, Outline
from accelsim.model.outlines import outlined
from accelsim.model.pricing import Range
from accelsim.model.schedule import Load, schedule
from accelsim.model.stored import StoredEvaluation
from accelsim.model.stored_work import Meeting, Work
from accelsim.sparse.boxes import Boxes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.hardware.architecture import Quantity

    Shares = NDArray[np.float64]


@dataclass(frozen=True)
class ExpectedWork:
    """What an Einsum is expected to do, operations and steps. `busiest`: the most issues expected of a copy.

    `meetings`: rank, node, how, steps and visits.
    """

    dense: int
    issued: float
    effectual: float
    busiest: float
    mean: float
    meetings: list[tuple[str, str, str, float, float]]
    fits: list[Fit]

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "dense": self.dense, "issued": self.issued, "effectual": self.effectual, "skipped": _less(self.dense, self.issued),
            "idle": _less(self.issued, self.effectual), "busiest": self.busiest, "mean": self.mean,
            "meetings": [dict(zip(("rank", "node", "by", "steps", "visits"), each, strict=True)) for each in self.meetings],
            "tiles": [
                {key: getattr(fit, key) for key in ("tensor", "memory", "visits", "mean_bits", "chance", "beyond")} for fit in self.fits
            ],
        }  # fmt: skip


def _less(all_of: float, some: float) -> float:
    """What is left, but for what arithmetic leaves behind."""
    return all_of - some if all_of - some > 1e-9 * all_of else 0.0


@dataclass(frozen=True)
class ExpectedEvaluation:
    """An evaluation of expected counts, rounded; what every Einsum is expected to do, and bits of all of each input and output."""

    evaluation: Evaluation
    works: dict[str, ExpectedWork]
    whole: dict[str, tuple[float, float]]

    def to_json(self) -> dict[str, Any]:
        """The evaluation as its contract says, with `expected` by Einsum; how full memories are is a chance, so no peak is given."""
        works = {
            name: Work(work.dense, round(work.issued), round(work.effectual), 0, 0, 0, [Meeting(*each[:3], 0, 0) for each in work.meetings])
            for name, work in self.works.items()
        }
        bounds = StoredEvaluation(self.evaluation, works, {name: (int(a), int(b)) for name, (a, b) in self.whole.items()})
        document = bounds.to_json()
        document.pop("stored")
        for row in document["components"].values():
            if row["peak_occupancy_bits"] is not None:
                row["peak_occupancy_bits"] = None
        return document | {"expected": {name: work.to_json() for name, work in self.works.items()}}


def evaluate_expected(evaluator: Evaluator, mapping: Mapping, densities: Dict[str, Boxes]) -> ExpectedEvaluation:
    """What a mapping is expected to cost over inputs of some densities, which are independent; nothing is drawn.

    Refuses what `sparse.nest` does, and what has no closed form.
    """
    cascade, machine = evaluator.cascade, evaluator.architecture
    if (loop := next(loops_by_elements(mapping.nodes), None)) is not None:
        raise refused_by_size(loop, "without elements nothing says where these end")
    check(cascade, machine, mapping, room=False)
    if machine.networks:
        raise InputError(f"{machine.name} has networks, which are not counted over stored elements", "remove 'network'")
    if evaluator.counting != Counting():
        raise InputError("counting conventions other than the defaults are not known over stored elements", "leave --counting out")
    for name, tensor in cascade.tensors.items():
        if tensor.storage is not None and not (tensor.is_input or tensor.is_output):
            place = cascade.declaration.place("format", name) if cascade.declaration is not None else None
            what = f"{name} is neither an input nor an output, and how it is stored is not counted yet"
            raise InputError(what, f"leave the format of {name} out", place)
    paths = list(mapping.paths())
    lowered = LaterLowered({leaf.einsum: leaf for _, leaf in paths}, {}, partial(lower, evaluator.program, mapping))
    counts, loads, works = Counts({}, {}, {}, {}, {}, {}, {}, lowered), dict[str, Load](), dict[str, ExpectedWork]()
    bits: dict[tuple[str, str, str], tuple[int, int, int]] = {}
    whole: dict[str, tuple[float, float]] = {}
    extra: list[tuple[str, str, Range]] = []
    missing: list[str] = []
    for path, leaf in paths:
        found, figures, nest = outlined(evaluator, path, leaf, densities, lowered)
        name, unit = leaf.einsum, machine.units[leaf.unit]
        traffic = ExpectedTraffic(evaluator, nest, found, figures)
        works[name] = work = _work(found, figures, traffic)
        whole = traffic.whole | whole
        for key, words, final, moved in zip(found.memories, traffic.words, traffic.final, traffic.bits, strict=True):
            counts.words[key] = [round(words[0]), round(words[1]), round(words[2]), round(words[3])]
            if any(final):
                counts.final[key] = [round(each) for each in final]
            bits[key] = round(moved[0]), round(moved[1]), round(moved[2])
        counts.operations[name], counts.masked[name] = round(work.effectual if unit.sparse.gates else work.issued), 0
        counts.issues[name] = upward(work.busiest)
        per_cycle = evaluator.clock.per_cycle
        latency = (unit.pipeline_depth + lowered.latencies[name]) * per_cycle
        loads[name] = load = Load(leaf.unit, counts.issues[name] * evaluator.issue_ticks(name, leaf.unit), traffic.ports(), latency)
        for node, cycles in _met(found, figures).items():
            if cycles:
                load.ports[f"{node} intersection"] = (cycles * per_cycle, 0)
        for _, node, _, steps, _ in work.meetings:
            price: Quantity | None = machine.sparsity(node).intersect_pj
            if steps and price is None:
                missing.append(f"{node} intersection")
            elif price is not None:
                extra.append((node, name, Range(price.value * steps, price.low * steps, price.high * steps)))
    timing = schedule(evaluator.program, mapping, loads, evaluator.launch_ticks)
    dynamic, by_component, by_einsum, unpriced = evaluator.prices.dynamic(evaluator.program, counts, bits, {})
    for component, einsum, amount in extra:
        dynamic, by_component[component] = dynamic + amount, by_component.get(component, 0.0) + amount.value
        by_einsum[einsum] += amount.value
    unpriced = tuple(dict.fromkeys((*unpriced, *missing)))
    evaluation = Evaluation(evaluator, mapping, counts, timing, loads, bits, dynamic, by_component, by_einsum, unpriced)
    return ExpectedEvaluation(evaluation, works, whole)


def _work(found: Outline, figures: Figures, traffic: ExpectedTraffic) -> ExpectedWork:
    totals, issues = figures.totals, found.issues
    meetings = [(each.rank, each.node, each.by, totals[each.steps], totals[each.visits]) for each in found.meetings]
    return ExpectedWork(
        found.dense, totals[found.points], totals[found.effectual], figures.most(issues), totals[issues] / figures.copies[issues],
        meetings, traffic.fits,
    )  # fmt: skip


def _met(found: Outline, figures: Figures) -> dict[str, int]:
    """Busy cycles expected of the busiest copy of every node that intersects."""
    by_node: dict[str, tuple[int, float | Shares]] = {}
    for met in found.meetings:
        size = int(figures.copies[met.steps])
        nodes = min(int(max([figures.counts[each] for each in met.copies])), size)
        cycles: float | Shares = figures.totals[met.steps] / nodes  # each has as many
        if met.steps in figures.differ:
            cycles = figures.differ[met.steps].reshape(nodes, -1).sum(axis=1)
        before = by_node.get(met.node)
        by_node[met.node] = nodes, cycles if before is None or before[0] != nodes else before[1] + cycles
    return {node: upward(cycles if isinstance(cycles, float) else float(cycles.max())) for node, (_, cycles) in by_node.items()}
