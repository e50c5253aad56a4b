"""Waterfalls: how the joules and the cycles of a run add up, step by step, to the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from accelsim.errors import InputError, did_you_mean
from accelsim.report.figures import joules, percent, whole
from accelsim.report.plots import style
from accelsim.sim.simulation import CAUSES, FILL, Simulation

if TYPE_CHECKING:
    from accelsim.model.evaluation import Evaluation

_LABELLED = 0.05  # parts of at least this share of the whole are named inside
_CHARACTERS = 100  # that fit across the axes
_BUSY, _WAITING, _ENDS = style.BLUE, style.VERMILION, style.GREY
_KINDS = {"memory": style.BLUE, "network": style.SKY, "unit": style.ORANGE, "static": style.GREY}


@dataclass(frozen=True, slots=True)
class Step:
    """One bar of a waterfall: its name, its parts by name, and its colour."""

    name: str
    parts: dict[str, float]
    colour: str

    @property
    def height(self) -> float:
        """How much it adds."""
        return sum(self.parts.values())


def energy_parts(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    """Dynamic energy in picojoules: of memories and networks by tensor, of units by Einsum. What has no price is left out, as elsewhere."""
    evaluator, found = evaluation.evaluator, dict[str, dict[str, float]]()
    prices = evaluator.prices

    def add(component: str, part: str, amount: float) -> None:
        parts = found.setdefault(component, {})
        parts[part] = parts.get(part, 0.0) + amount

    for (_, tensor, memory), row in evaluation.bits.items():
        for amount, price in zip(row, (prices.read[memory], prices.write[memory], prices.update[memory]), strict=True):
            add(memory, tensor, amount * price.value if price else 0.0)
    for (_, tensor, network), ways in evaluation.crossed.items():
        price = prices.cross[network]
        add(network, tensor, sum(ways) * price.value if price else 0.0)
    for einsum, load in evaluation.loads.items():
        for primitive, times in evaluator.program.cover(einsum, load.unit).items():
            price = prices.operation[load.unit, primitive]
            add(load.unit, einsum, evaluation.counts.operations[einsum] * float(times) * price.value if price else 0.0)
    return found


def energy_waterfall(evaluation: Evaluation, *, by: str = "component", ax: Axes | None = None) -> Axes:
    """Draw how the energy adds up: by component, each in parts by tensor or Einsum, or by Einsum; then static energy, and the whole.

    `by`: `component` or `einsum`. The line at the end of the whole goes from the low to the high of all prices.
    """
    machine = evaluation.evaluator.architecture
    if by == "component":
        kinds = {name: "memory" for name in machine.memories} | {name: "unit" for name in machine.units}
        steps = [
            Step(name, dict(sorted(parts.items(), key=lambda part: -part[1])), _KINDS[kinds.get(name, "network")])
            for name, parts in energy_parts(evaluation).items()
        ]
    elif by == "einsum":
        steps = [Step(name, {"": energy}, _KINDS["unit"]) for name, energy in evaluation.by_einsum.items()]
    else:
        raise InputError(f"energy is not drawn by '{by}'", did_you_mean(by, ("component", "einsum")))
    steps = [step for step in sorted(steps, key=lambda step: -step.height) if step.height > 0] if by == "component" else steps
    if evaluation.static.value:
        steps.append(Step("static", {"": evaluation.static.value}, _KINDS["static"]))
    energy, joule = evaluation.energy, 1e-12
    ends = f"  ({joules(energy.low)} to {joules(energy.high)})" if energy.low < energy.high else ""
    ax = _waterfall(steps, ax, joule, joules, "energy", f"{joules(energy.value)}{ends}", (energy.low, energy.high))
    title = f"{evaluation.evaluator.cascade.name} on {machine.name}"
    without = f", without {', '.join(evaluation.unpriced)}" if evaluation.unpriced else ""
    style.dress(ax, title, f"energy (J){without}", grid="x")
    ax.xaxis.set_major_formatter(EngFormatter())
    return ax


def latency_waterfall(found: Evaluation | Simulation, *, resource: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw how the cycles of a run add up at one resource: by default the one that is busiest.

    Of an evaluation: fill, the time that each Einsum keeps the resource busy, what else decides, and drain; the resource is a unit, a
    memory or a network. Of a simulation: the same of a unit, with what it waits for by cause.
    """
    steps = simulated_steps(found, resource) if isinstance(found, Simulation) else modelled_steps(found, resource)
    at, steps = steps[0].name, steps[1:]
    ax = _waterfall(steps, ax, 1.0, lambda value: whole(round(value)), "cycles", whole(found.cycles))
    evaluator = (found.evaluation if isinstance(found, Simulation) else found).evaluator
    how = "simulated" if isinstance(found, Simulation) else "modelled"
    style.dress(ax, f"{evaluator.cascade.name} on {evaluator.architecture.name}: {how} time of {at}", "cycles", grid="x")
    ax.xaxis.set_major_formatter(EngFormatter())
    return ax


def modelled_steps(evaluation: Evaluation, resource: str | None = None) -> list[Step]:
    """A step without parts that names the resource, then those whose heights sum to the latency in cycles."""
    clock, timing = evaluation.evaluator.clock, evaluation.timing
    busy: dict[str, dict[str, tuple[int, int]]] = {}
    for name, load in evaluation.loads.items():
        busy.setdefault(load.unit, {})[name] = (load.busy, 0)
        for port, ticks in load.ports.items():
            busy.setdefault(port, {})[name] = ticks
    totals = {name: [sum(ticks[way] for ticks in rows.values()) for way in (0, 1)] for name, rows in busy.items()}
    chosen = _chosen(resource, {name: float(max(ways)) for name, ways in totals.items()})
    way = totals[chosen].index(max(totals[chosen]))
    cycles = {name: float(clock.cycles(ticks[way])) for name, ticks in busy[chosen].items()}
    rest = float(clock.cycles(timing.steady)) - sum(cycles.values())
    steps = [Step("fill", {"": float(clock.cycles(timing.fill))}, _ENDS)]
    steps += [Step(name, {"": value}, _BUSY) for name, value in cycles.items() if value]
    steps += [Step("other resources", {"": rest}, _WAITING), Step("drain", {"": float(clock.cycles(timing.drain))}, _ENDS)]
    return [Step(chosen, {}, _BUSY), *(step for step in steps if step.height > 0)]


def simulated_steps(simulation: Simulation, resource: str | None = None) -> list[Step]:
    """The same of a unit of a simulation: its heights sum to the simulated cycles."""
    chosen = _chosen(resource, {name: float(sum(unit.busy.values())) for name, unit in simulation.units.items()})
    unit = simulation.units[chosen]
    waits: dict[str, dict[str, float]] = {cause: {} for cause in CAUSES}
    for wait in unit.waits:
        parts = waits[wait.cause]
        parts[wait.what or wait.einsum] = parts.get(wait.what or wait.einsum, 0.0) + float(wait.cycles)
    steps = [Step(FILL, waits.pop(FILL), _ENDS)]
    steps += [Step(name, {"": float(cycles)}, _BUSY) for name, cycles in unit.busy.items()]
    steps += [Step(f"waits: {cause}", dict(sorted(parts.items(), key=lambda part: -part[1])), _WAITING) for cause, parts in waits.items()]
    steps.append(Step("drain", {"": float(unit.drain)}, _ENDS))
    return [Step(chosen, {}, _BUSY), *(step for step in steps if step.height > 0)]


def _chosen(resource: str | None, busy: dict[str, float]) -> str:
    if resource is None:
        return max(busy, key=lambda name: busy[name])
    if resource not in busy:
        raise InputError(f"no resource '{resource}' works here", did_you_mean(resource, busy))
    return resource


def _waterfall(
    steps: Sequence[Step],
    ax: Axes | None,
    scale: float,
    written: Callable[[float], str],
    total: str,
    in_all: str,
    span: tuple[float, float] | None = None,
) -> Axes:
    """Bars from top to bottom, each where the one above ends, and the whole below, `in_all` in words; `scale`: from values to the axis."""
    ax = style.axes(ax, 8.4, 0.9 + 0.3 * (len(steps) + 1))
    everything = sum(step.height for step in steps)
    reached = 0.0
    for row, step in enumerate(steps):
        for number, (name, value) in enumerate(step.parts.items()):
            face = step.colour if len(step.parts) == 1 else style.tint(step.colour, 0.85 if number % 2 == 0 else 0.55)
            ax.barh(row, value * scale, 0.68, left=reached * scale, color=face, edgecolor=style.PAPER, linewidth=0.5, label=step.name)
            if name and value > max(_LABELLED, len(name) / _CHARACTERS) * everything:
                ax.text((reached + value / 2) * scale, row, name, ha="center", va="center", **style.text(fontsize=7))
            reached += value
        share = f"{written(step.height)}  {percent(step.height / everything)}" if everything else written(step.height)
        ax.text(1.02, row, share, transform=ax.get_yaxis_transform(), va="center", **style.text(fontsize=7))
        ax.plot([reached * scale] * 2, [row - 0.34, row + 1.34], color=style.FAINT, linewidth=0.6, zorder=1)
    ax.barh(len(steps), everything * scale, 0.68, color=style.INK, label=total)
    bold = style.text(fontsize=7, fontweight="bold")
    ax.text(1.02, len(steps), in_all, transform=ax.get_yaxis_transform(), va="center", **bold)
    if span is not None and span[0] < span[1]:
        ax.plot(
            [end * scale for end in span],
            [len(steps)] * 2,
            color=style.VERMILION,
            linewidth=1.4,
            marker="|",
            markersize=7,
            zorder=5,
            label="low to high price",
        )
    ax.set_yticks(range(len(steps) + 1), [*(step.name for step in steps), total])
    ax.set_ylim(len(steps) + 0.6, -0.6)
    ax.set_xlim(0, 1.02 * max(everything, *(span or (0.0,))) * scale or 1.0)
    return ax
