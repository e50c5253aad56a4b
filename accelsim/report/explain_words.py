"""The reasons of a run in plain sentences: what binds a stretch and why, what the bound asks for, where the energy goes."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from accelsim.explore.provenance import POWERS, Line
from accelsim.explore.reasons import MOVING, deciding, energy_causes, moved_on
from accelsim.hardware.architecture import network_name
from accelsim.model.schedule import DEPENDENCE
from accelsim.report.figures import byte_size, in_cycles, joules, times, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accelsim.model.evaluation import Evaluation
    from accelsim.model.floor import Floors
    from accelsim.model.schedule import Stretch

_FULL = 0.995  # of all lanes, from which on a unit counts as full
_FEW = 4  # names that a sentence lists


def share(part: float) -> str:
    """A share in whole percent, of which less than one is said as such."""
    return "less than 1 %" if 0 < part < 0.005 else f"{100 * part:.0f} %"


def named(shares: dict[str, float], most: int = _FEW) -> str:
    """Names with their shares of the whole, the largest first."""
    total = sum(shares.values())
    ranked = sorted((name for name in shares if shares[name]), key=lambda name: -shares[name])
    if len(ranked) == 1:
        return ranked[0]
    said = [f"{name} {share(shares[name] / total)}" for name in ranked[:most]]
    return ", ".join(said) + (f" and {len(ranked) - most} more" if len(ranked) > most else "")


def why(evaluation: Evaluation, stretch: Stretch) -> str:
    """Why a stretch takes as long as its deciding resource does."""
    name, kind = deciding(stretch)
    if kind == DEPENDENCE and name in stretch.inner:
        inner = max(stretch.inner[name], key=lambda each: each.timing.steady)
        begin = f"{name} run one after the other inside each step and set its pace"
        return f"{begin}; of them {' + '.join(inner.einsums)} takes longest: {why(evaluation, inner)}"
    if kind == "compute":
        return _work(evaluation, stretch, name)
    if kind in MOVING:
        return _moves(evaluation, stretch, name, kind)
    return _waits(evaluation, stretch, name)


def _work(evaluation: Evaluation, stretch: Stretch, unit: str) -> str:
    evaluator = evaluation.evaluator
    node, loads = evaluator.architecture.units[unit], evaluation.loads
    mine = {einsum: float(loads[einsum].busy) for einsum in stretch.einsums if loads[einsum].unit == unit}
    places = evaluator.architecture.copies(unit) * node.lanes
    done = sum(evaluation.counts.operations[einsum] * evaluator.issue_ticks(einsum, unit) for einsum in mine)
    busy = sum(mine.values())
    used = done / (places * busy) if busy else 0.0
    said = f"{unit} is busy with {named(mine)}"
    if places > 1:
        full = used >= _FULL
        said += (
            f", all of its {whole(places)} lanes at work" if full else f", on average {share(used)} of its {whole(places)} lanes at work"
        )
    slow = max(mine, key=lambda einsum: mine[einsum])
    cycles = evaluator.clock.cycles(evaluator.issue_ticks(slow, unit))
    if cycles > 1:
        said += f"; a point of {slow} takes it {in_cycles(float(cycles))}"
    return said


def _moves(evaluation: Evaluation, stretch: Stretch, name: str, kind: str) -> str:
    evaluator = evaluation.evaluator
    if kind == "sparse":
        return f"{name} is busy in every cycle"
    by_tensor: dict[str, float] = {}
    for (_, tensor), ticks in moved_on(evaluation, stretch, name).items():
        by_tensor[tensor] = by_tensor.get(tensor, 0.0) + float(ticks)
    rows = {**evaluation.bits, **evaluation.crossed}
    pieces = sum(sum(row) for key, row in rows.items() if key[0] in stretch.einsums and key[2] == name)
    copies = evaluator.architecture.copies(_node(evaluation, name))
    port = evaluator.clock.ports[name]
    rates = [Fraction(evaluator.clock.per_cycle, ticks * evaluator.clock.pieces * 8) for ticks in (port.read, port.write) if ticks]
    pace = f"{float(max(rates)):.4g} B a cycle" if rates else "no limit"
    each = f" over {whole(copies)} copies, each" if copies > 1 else ""
    ways = "" if port.shared else " each way"
    return f"{name} moves {byte_size(pieces / evaluator.clock.pieces / 8)}{each} at {pace}{ways}: {named(by_tensor)}"


def _node(evaluation: Evaluation, name: str) -> str:
    """The node that a port is of."""
    machine = evaluation.evaluator.architecture
    return next((array.name for array, _ in machine.networks.values() if network_name(array.name) == name), name)


def _waits(evaluation: Evaluation, stretch: Stretch, name: str) -> str:
    clock = evaluation.evaluator.clock
    ticks = stretch.timing.limits[name, DEPENDENCE]
    per = float(clock.cycles(Fraction(ticks) / max(1, stretch.iterations)))
    busiest = max((value for (_, kind), value in stretch.timing.limits.items() if kind != DEPENDENCE), default=0)
    idle = share(1 - float(Fraction(busiest) / Fraction(ticks))) if ticks else "0 %"
    steps = f"{whole(stretch.iterations)} steps of {in_cycles(round(per, 2))} each"
    if stretch.runs == "staged":
        return f"its stages wait for one another in each of {steps}; the busiest resource stands still for {idle} of the time"
    if name.startswith("recurrence"):
        return f"each step of the {name} needs the result of the last: {steps}; the busiest resource stands still for {idle} of the time"
    begin = f"{name} are all that there are, so a step waits until one is free"
    return f"{begin}: {steps}; the busiest resource stands still for {idle} of the time"


def bound_by(found: Floors, root: str) -> str:
    """What asks for the bound of a cascade."""
    most = max(found.traffic, found.alone, found.shared)
    if most == found.traffic:
        return f"the compulsory {byte_size(float(found.compulsory_bytes))} have to cross {root}"
    if most == found.alone:
        return f"{found.longest} takes that long on the unit that does it fastest"
    return "all work takes that long, shared out over the units as well as can be"


def energy_reason(evaluation: Evaluation, found: Sequence[Line]) -> str:
    """Where the energy goes, by cause."""
    causes = {name: value for name, value in energy_causes(evaluation, tuple(found)).items() if value}
    total = sum(causes.values())
    root = evaluation.evaluator.architecture.root.name
    words = {
        "work": "operations",
        "compulsory traffic": f"compulsory traffic of {root}",
        "repeated traffic": f"other traffic of {root}",
    }
    words["power"] = f"power that passes with time ({', '.join(POWERS)})"
    ranked = sorted(causes, key=lambda name: -causes[name])
    said = [f"{words.get(name, f'traffic of {name}')} {joules(causes[name])} ({share(causes[name] / total)})" for name in ranked]
    return ", ".join(said)


def faster(ratio: float) -> str:
    """How much faster."""
    return f"{times(ratio)} faster" if ratio >= 1.005 else "no faster" if ratio > 0.995 else f"{times(1 / ratio)} slower"
