"""Why a run takes the time and the energy that it does: what every cycle is spent on, and what lies between the run and its bound.

Times are in ticks of the evaluation's clock and exact. Source: docs/explain.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from accelsim.explore.provenance import POWERS, Line
from accelsim.mapping.tree import parts
from accelsim.model.evaluation import Evaluation
from accelsim.model.floor import Floors, floors
from accelsim.model.schedule import DEPENDENCE, Load, Stretch, Ticks, schedule, stretches

MOVING = ("memory", "network", "sparse")
LATENCY, LAUNCH = "latency", "launch"


@dataclass(frozen=True, slots=True)
class Charge:
    """Ticks of the run that pass because of one thing.

    `kind`: compute, memory, network, sparse, dependence, latency (fill or drain of the pipelines) or launch. `resource`: what decides, or
    `fill`, `drain`, `launch`. `einsum`: several with ` + ` between them where no one alone is to blame. `tensor`: of what moves.
    """

    einsum: str
    tensor: str
    resource: str
    kind: str
    ticks: Fraction


@dataclass(frozen=True, slots=True)
class Cost:
    """Ticks that a run takes beyond its bound for one cause, and the cause."""

    cause: str
    ticks: Fraction


CAUSES = {
    "launches": "launches of later parts",
    "latencies": "filling, draining and results on their way",
    "waiting": "parts, stages and steps that wait for one another",
    "inner traffic": "traffic of memories inside and of networks",
    "repeated traffic": "traffic of the outermost memory beyond the compulsory",
    "idle lanes": "copies and lanes without useful work",
    "placement": "work on slower units, or done again",
}


def deciding(stretch: Stretch) -> tuple[str, str]:
    """The resource that a stretch is bound by, and its kind."""
    return min(stretch.timing.limits, key=lambda key: (-stretch.timing.limits[key], key))


def run_of(evaluation: Evaluation) -> tuple[Stretch, ...]:
    """The stretches of a run, one after the other."""
    return stretches(evaluation.evaluator.program, evaluation.mapping, evaluation.loads)


def charges(evaluation: Evaluation) -> tuple[Charge, ...]:
    """What every tick of a run is spent on; they add up to its latency."""
    evaluator = evaluation.evaluator
    found = [charge for stretch in run_of(evaluation) for charge in _charged(evaluation, stretch)]
    launches = evaluator.launch_ticks * parts(evaluation.mapping)
    return (*found, *([Charge("", "", LAUNCH, LAUNCH, Fraction(launches))] if launches else []))


def binding(evaluation: Evaluation) -> tuple[str, str, float]:
    """What most of the time of a run is spent on: resource, kind, and the share of the time."""
    spent: dict[tuple[str, str], Fraction] = {}
    for charge in charges(evaluation):
        key = charge.resource, charge.kind
        spent[key] = spent.get(key, Fraction(0)) + charge.ticks
    if not spent:
        return "nothing", "", 0.0
    resource, kind = min(spent, key=lambda key: (-spent[key], key))
    return resource, kind, float(spent[resource, kind] / evaluation.timing.latency)


def _charged(evaluation: Evaluation, stretch: Stretch) -> Iterator[Charge]:
    timing = stretch.timing
    name, kind = deciding(stretch)
    together = " + ".join(stretch.einsums)
    if kind == DEPENDENCE and name in stretch.inner:
        for inside in stretch.inner[name]:
            yield from _steady(evaluation, inside)
    else:
        yield from _steady(evaluation, stretch)
    for what, ticks in (("fill", timing.fill), ("drain", timing.drain)):
        if ticks:
            yield Charge(together, "", what, LATENCY, Fraction(ticks))


def _steady(evaluation: Evaluation, stretch: Stretch) -> Iterator[Charge]:
    """The steady ticks of a stretch, shared out over what its deciding resource does in them."""
    name, kind = deciding(stretch)
    total = Fraction(stretch.timing.steady)
    if kind == DEPENDENCE and name in stretch.inner:
        for inside in stretch.inner[name]:
            yield from _steady(evaluation, inside)
        return
    shares: dict[tuple[str, str], Fraction] = {}
    if kind == "compute":
        loads = {einsum: evaluation.loads[einsum] for einsum in stretch.einsums}
        shares = {(einsum, ""): Fraction(load.busy) for einsum, load in loads.items() if load.unit == name}
    elif kind in MOVING:
        shares = moved_on(evaluation, stretch, name)
    whole = sum(shares.values())
    if not whole:
        if total:
            yield Charge(" + ".join(stretch.einsums), "", name, kind, total)
        return
    for (einsum, tensor), share in shares.items():
        if share:
            yield Charge(einsum, tensor, name, kind, total * share / whole)


def moved_on(evaluation: Evaluation, stretch: Stretch, name: str) -> dict[tuple[str, str], Fraction]:
    """Ticks on the busier port of a memory or network, by Einsum and tensor: those of an Einsum by its tensors' bits over all copies."""
    loads = {einsum: evaluation.loads[einsum].ports[name] for einsum in stretch.einsums if name in evaluation.loads[einsum].ports}
    port = max((0, 1), key=lambda port: (sum(ticks[port] for ticks in loads.values()), -port))
    found: dict[tuple[str, str], Fraction] = {}
    for einsum, ticks in loads.items():
        bits = _bits(evaluation, einsum, name, port)
        whole = sum(bits.values())
        if not whole:
            found[einsum, ""] = Fraction(ticks[port])
        for tensor, share in bits.items():
            found[einsum, tensor] = Fraction(ticks[port] * share, whole) if whole else Fraction(0)
    return found


def _bits(evaluation: Evaluation, einsum: str, name: str, port: int) -> dict[str, int]:
    """Pieces of bits of each tensor on one port of a memory or network; a port that both directions share is the first."""
    limit = evaluation.evaluator.clock.ports.get(name)
    if limit is None:
        return {}
    found: dict[str, int] = {}
    rows = {**evaluation.bits, **evaluation.crossed}
    for (by, tensor, link), row in rows.items():
        if (by, link) == (einsum, name):
            found[tensor] = sum(row) if limit.shared else (row[0], sum(row[1:]))[port]
    return found


def costs(evaluation: Evaluation) -> tuple[Floors, tuple[Cost, ...]]:
    """The bound of the cascade on the machine in cycles, and what the run takes beyond it by cause, largest causes as CAUSES has them.

    Each cause is what the run would be shorter by without it, those before it gone already. They add up to the difference.
    """
    evaluator = evaluation.evaluator
    clock, machine = evaluator.clock, evaluator.architecture
    found = floors(evaluator.cascade, machine)
    launch, program, mapping = evaluator.launch_ticks, evaluator.program, evaluation.mapping
    units, ports = _totals(evaluation.loads)
    root = machine.root.name
    least = found.traffic * clock.per_cycle
    work = max(units.values(), default=0)
    inner = max((ticks for name, ticks in ports.items() if name != root), default=0)
    atonce = {name: replace(load, latency=0) for name, load in evaluation.loads.items()}
    ladder: list[Ticks] = [
        evaluation.timing.latency,
        schedule(program, mapping, evaluation.loads).latency + launch,
        schedule(program, mapping, atonce).latency + launch,
        max(work, ports.get(root, 0), inner) + launch,
        max(work, ports.get(root, 0)) + launch,
        max(Fraction(work), min(Fraction(ports.get(root, 0)), least)) + launch,
        max(max(useful(evaluation).values(), default=Fraction(0)), min(Fraction(ports.get(root, 0)), least)) + launch,
        found.cycles * clock.per_cycle,
    ]
    bound = min(Fraction(ladder[-1]), Fraction(ladder[0]))
    for step in range(1, len(ladder)):  # a cause that does not bind costs nothing, and none brings a run below its bound
        ladder[step] = max(bound, min(Fraction(ladder[step]), Fraction(ladder[step - 1])))
    steps = (Fraction(before - after) for before, after in pairwise(ladder))
    return found, tuple(Cost(cause, ticks) for cause, ticks in zip(CAUSES, steps, strict=True))


def useful(evaluation: Evaluation) -> dict[str, Fraction]:
    """Ticks that each unit would take for its operations if all its copies and lanes always had one."""
    evaluator = evaluation.evaluator
    found: dict[str, Fraction] = {}
    for einsum, leaf in evaluation.counts.lowered.leaves.items():
        places = evaluator.architecture.copies(leaf.unit) * evaluator.architecture.units[leaf.unit].lanes
        ticks = Fraction(evaluation.counts.operations[einsum] * evaluator.issue_ticks(einsum, leaf.unit), places)
        found[leaf.unit] = found.get(leaf.unit, Fraction(0)) + ticks
    return found


def _totals(loads: dict[str, Load]) -> tuple[dict[str, int], dict[str, int]]:
    """Ticks of every unit, and of the busier port of every memory and network, over the whole run."""
    units: dict[str, int] = {}
    ports: dict[str, list[int]] = {}
    for load in loads.values():
        units[load.unit] = units.get(load.unit, 0) + load.busy
        for name, (read, written) in load.ports.items():
            known = ports.setdefault(name, [0, 0])
            known[0] += read
            known[1] += written
    return units, {name: max(both) for name, both in ports.items()}


def energy_causes(evaluation: Evaluation, found: tuple[Line, ...]) -> dict[str, float]:
    """Picojoules by cause; they add up to those of the lines.

    `work`: operations. `compulsory` and `repeated`: of the outermost memory, as its bits are. Then each memory inside and each network,
    by name, and `power`: what passes with time.
    """
    machine = evaluation.evaluator.architecture
    root = machine.root.name
    moved = sum(evaluation.traffic_bits(root), Fraction(0))
    least = Fraction(evaluation.bounds()["compulsory_bytes"]) * 8
    share = float(min(Fraction(1), least / moved)) if moved else 0.0
    causes = {"work": 0.0, "compulsory traffic": 0.0, "repeated traffic": 0.0}
    inner: dict[str, float] = {}
    power = 0.0
    for line in found:
        energy = line.energy.value
        if line.action in POWERS:
            power += energy
        elif line.component in machine.units:
            causes["work"] += energy
        elif line.component == root:
            causes["compulsory traffic"] += energy * share
            causes["repeated traffic"] += energy * (1 - share)
        else:
            inner[line.component] = inner.get(line.component, 0.0) + energy
    return {**causes, **inner, "power": power}
