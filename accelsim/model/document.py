"""The JSON of an evaluation, contract `accelsim/evaluation/1`: words are integers, bytes may be fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from accelsim.hardware.architecture import Memory, Unit, network_name
from accelsim.mapping.text import nest
from accelsim.model.chain import tile_words
from accelsim.model.counts import DIRECTIONS
from accelsim.model.limits import limits
from accelsim.model.plan import LEAF_RANKS

if TYPE_CHECKING:
    from accelsim.model.evaluation import Evaluation
    from accelsim.model.pricing import Prices

SCHEMA = "accelsim/evaluation/1"


def document(evaluation: Evaluation) -> dict[str, Any]:
    """Everything about an evaluation as plain values."""
    evaluator = evaluation.evaluator
    energy, static = evaluation.energy, evaluation.static
    clock, timing = evaluator.clock, evaluation.timing
    return {
        "schema": SCHEMA,
        "workload": evaluator.cascade.name,
        "architecture": evaluator.architecture.name,
        "technology": evaluator.architecture.technology,
        "mapping": evaluation.mapping.name,
        "nest": nest(evaluation.mapping, evaluator.cascade),
        "counting": evaluator.counting.to_json(),
        "latency": {
            "cycles": evaluation.cycles,
            "seconds": evaluation.seconds,
            "steady_cycles": number(evaluation.steady_cycles),
            "fill_cycles": number(clock.cycles(timing.fill)),
            "drain_cycles": number(clock.cycles(timing.drain)),
        },
        "limits": limits(evaluation),
        "energy_pj": energy.value,
        "energy_pj_low": energy.low,
        "energy_pj_high": energy.high,
        "static_energy_pj": static.value,
        "unpriced": list(evaluation.unpriced),
        "area_um2": evaluator.prices.area_um2,
        **_area(evaluator.prices),
        "edp_pj_s": evaluation.edp_pj_s,
        "traffic": _traffic(evaluation),
        **({"networks": _networks(evaluation)} if evaluator.architecture.networks else {}),
        "components": _components(evaluation),
        "einsums": _einsums(evaluation),
        "bounds": evaluation.bounds(),
        "search": evaluation.search,
        **({"without_effect": evaluator.architecture.without_effect} if evaluator.architecture.without_effect else {}),
    }


def _area(prices: Prices) -> dict[str, Any]:
    """The range of the area, where some node states one, and which memories inside and units state none."""
    if prices.area is None:
        return {}
    return {"area_um2_low": prices.area.low, "area_um2_high": prices.area.high, "without_area": prices.without_area}


def number(value: Fraction) -> int | float:
    """A fraction as JSON writes it: an integer where it is one."""
    return int(value) if value.denominator == 1 else float(value)


def _traffic(evaluation: Evaluation) -> dict[str, dict[str, int | float]]:
    rows = {}
    for memory in evaluation.evaluator.architecture.memories:
        read, written = evaluation.traffic_bits(memory)
        rows[memory] = {"read_bytes": number(read / 8), "write_bytes": number(written / 8)}
    return rows


def _networks(evaluation: Evaluation) -> dict[str, dict[str, int | float]]:
    rows = {}
    for network in evaluation.evaluator.architecture.networks:
        down, up = evaluation.network_bits(network)
        rows[network] = {"down_bytes": number(down / 8), "up_bytes": number(up / 8)}
    return rows


def _components(evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    evaluator = evaluation.evaluator
    architecture, clock, timing = evaluator.architecture, evaluator.clock, evaluation.timing
    latency = timing.steady + timing.fill + timing.drain
    held = evaluation.occupancy()
    rows: dict[str, dict[str, Any]] = {}
    for node in architecture.nodes():
        if isinstance(node, Unit):
            names = [name for name, load in evaluation.loads.items() if load.unit == node.name]
            places = architecture.copies(node.name) * node.lanes
            useful = sum(evaluation.counts.operations[name] * evaluator.issue_ticks(name, node.name) for name in names)
            rows[node.name] = {
                "energy_pj": evaluation.by_component.get(node.name, 0.0),
                "busy_cycles": number(clock.cycles(sum(evaluation.loads[name].busy for name in names))),
                "utilization": float(useful / (places * latency)) if latency else 0.0,
                "peak_occupancy_bits": None,
            }
        elif isinstance(node, Memory) or node.network is not None:
            name = node.name if isinstance(node, Memory) else network_name(node.name)
            ports = [load.ports[name] for load in evaluation.loads.values() if name in load.ports]
            busy = max(sum(read for read, _ in ports), sum(written for _, written in ports))
            limited = name in clock.ports
            rows[name] = {
                "energy_pj": evaluation.by_component.get(name, 0.0),
                "busy_cycles": number(clock.cycles(busy)) if limited else None,
                "utilization": float(busy / latency) if limited and latency else None,
                "peak_occupancy_bits": held.get(name, 0) if isinstance(node, Memory) else None,
            }
        if node.area_um2 is not None and node.name in rows:
            rows[node.name]["area_um2"] = architecture.copies(node.name) * node.area_um2.value
    return rows


def _einsums(evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    evaluator, counts = evaluation.evaluator, evaluation.counts
    rows: dict[str, dict[str, Any]] = {}
    for name, leaf in counts.lowered.leaves.items():
        cover = evaluator.program.cover(name, leaf.unit)
        rows[name] = {
            "unit": leaf.unit,
            "operations": {primitive: int(counts.operations[name] * times) for primitive, times in cover.items()},
            "points": counts.operations[name],
            "masked": counts.masked[name],
            "issues": counts.issues[name],
            "busy_cycles": number(evaluator.clock.cycles(evaluation.loads[name].busy)),
            "energy_pj": evaluation.by_einsum[name],
            "tensors": {},
        }
    plan = counts.lowered.plan
    loops = plan.loops.tolist()
    first_ranks = {name: int(plan.leaves[index, LEAF_RANKS]) for index, name in enumerate(evaluator.program.order)}
    ranks = plan.ranks.tolist()
    box = evaluator.counting.footprint == "box"
    for chain in counts.lowered.chains:
        start, depths = chain.nest
        facts = evaluator.program.facts[chain.einsum]
        tensors = rows[chain.einsum]["tensors"].setdefault(chain.tensor, {})
        for (memory, _, _), depth in zip(chain.keepers, depths, strict=True):
            words = counts.words[chain.einsum, chain.tensor, memory]
            size = tile_words(chain.stream, loops[start:depth], facts, box, ranks[first_ranks[chain.einsum] :])
            known = tensors.get(memory, {}).get("tile_words", 0)
            tensors[memory] = dict(zip(DIRECTIONS, words, strict=True)) | {"tile_words": max(size, known)}
    return rows
