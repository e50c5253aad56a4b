"""A simulation as JSON, on a terminal and as a trace for Perfetto."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from accelsim.mapping.text import nest
from accelsim.report.figures import byte_size, in_cycles, joules, percent, si, whole
from accelsim.sim.simulation import CAUSES, CONFLICT, Simulation

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = dict[str, Any]
SCHEMA = "accelsim/simulation/1"
_SHOWN = 3  # reasons that a unit's row names
_MEANING = {
    "fill": "before its first work", "memory": "for a load", "dependence": "for what another makes", "room": "for a place for its result",
    "port": "at a busy port", "conflict": "for words on few banks", "array": "while the array loads or empties",
}  # fmt: skip


def document(simulation: Simulation) -> Document:
    """The simulation as plain data: cycles (fractions of one as floats), seconds, and where the cycles of every unit went."""
    evaluation, units = simulation.evaluation, {}
    machine = evaluation.evaluator.architecture
    for name, unit in simulation.units.items():
        waits = [{"einsum": wait.einsum, "cause": wait.cause, "for": wait.what, "cycles": float(wait.cycles)} for wait in unit.waits]
        busy = {einsum: float(cycles) for einsum, cycles in unit.busy.items()}
        units[name] = {"busy_cycles": busy, "waits": waits, "drain_cycles": float(unit.drain)}
    return {
        "schema": SCHEMA,
        "workload": evaluation.evaluator.cascade.name,
        "architecture": machine.name,
        "mapping": evaluation.mapping.name,
        "nest": nest(evaluation.mapping, evaluation.evaluator.cascade),
        "counting": evaluation.evaluator.counting.to_json(),
        "latency": {"cycles": simulation.cycles, "seconds": simulation.seconds},
        "energy_pj": simulation.energy.value,
        "model": {"cycles": evaluation.cycles, "steady_cycles": float(evaluation.steady_cycles)},
        "units": units,
        "ports": {name: _port(simulation, name) for name in simulation.ports},
        "firings": simulation.firings,
        **({"without_effect": machine.without_effect} if machine.without_effect and not simulation.stored else {}),
        **({"occupancy": _occupancy(simulation)} if simulation.held else {}),
        **({"dram": _dram(simulation)} if simulation.offchip else {}),
    }


def _port(simulation: Simulation, name: str) -> Document:
    """Busy cycles of a port, and if its memory has banks, how many of them are due to words that fall on few."""
    found = {"busy_cycles": float(simulation.ports[name])}
    return found | ({"conflict_cycles": float(simulation.conflicts[name])} if name in simulation.conflicts else {})


def _occupancy(simulation: Simulation) -> Document:
    """The most and the average that one copy of each memory holds, in bytes, over the events that were asked for."""
    machine, found = simulation.evaluation.evaluator.architecture, {}
    for memory, steps in simulation.held.items():
        size, end = machine.memories[memory].size_bits, steps[-1][0]
        held = sum((later - time) * bits for (time, bits), (later, _) in pairwise(steps))
        found[memory] = {
            "size_bytes": size / 8 if size is not None else None,
            "peak_bytes": max(bits for _, bits in steps) / 8,
            "mean_bytes": float(held / end) / 8 if end else 0.0,
            "until_cycle": float(end),
        }
    return found


def _dram(simulation: Simulation) -> Document:
    """What the DRAM did, with its counters by name."""
    did, machine = simulation.offchip, simulation.evaluation.evaluator.architecture
    assert did is not None and machine.root.dram is not None
    counters = {name: getattr(did.counters, name) for name in did.counters.__dataclass_fields__}
    return {
        "table": machine.root.dram.table.name,
        "wanted_bytes": did.wanted_bytes,
        "fetched_bytes": did.fetched_bytes,
        "counters": counters,
        "rounds": did.rounds,
        "settled": did.settled,
        "unsettled_seconds": did.unsettled_seconds,
    }


def blocks(found: Document, loops: str) -> Iterator[RenderableType]:
    """The report: how long it takes beside what the model says, then what every unit does in that time."""
    from rich.text import Text

    from accelsim.report.terminal import table, without_effect

    cycles, model = found["latency"]["cycles"], found["model"]["cycles"]
    head = Text.assemble((found["workload"], "bold"), " on ", (found["architecture"], "bold"), f", mapping '{found['mapping']}'")
    head.append("\n\ntime  ", "bold").append(in_cycles(cycles), "bold red").append(f"  {si(found['latency']['seconds'], 's')}")
    if cycles == model:
        head.append("; as the model says: nothing contends")
    else:
        share = percent(abs(cycles / model - 1))
        head.append(f"; {share} {'more' if cycles > model else 'less'} than the model's {whole(model)}")
    head.append("\nenergy  ", "bold").append(joules(found["energy_pj"]))
    yield head
    banked = any("conflict_cycles" in port for port in found["ports"].values())
    causes = [cause for cause in CAUSES if banked or cause != CONFLICT]
    rows = table("unit or port", "busy", *causes, "drain")
    for name, unit in found["units"].items():
        waits = {cause: sum(wait["cycles"] for wait in unit["waits"] if wait["cause"] == cause) for cause in causes}
        shares = [sum(unit["busy_cycles"].values()), *waits.values(), unit["drain_cycles"]]
        rows.add_row(name, *(percent(each / cycles) if each else "" for each in shares))
    for name, port in found["ports"].items():
        uneven = port.get("conflict_cycles", 0)
        shares = [port["busy_cycles"] - uneven, *(uneven if cause == CONFLICT else 0 for cause in causes)]
        rows.add_row(name, *(percent(each / cycles) if each or not place else "" for place, each in enumerate(shares)))
    yield rows
    reasons = table("waits", "for", "cycles", "share", left=2)
    every = [(wait["cycles"], name, wait) for name, unit in found["units"].items() for wait in unit["waits"]]
    for lost, name, wait in sorted(every, key=lambda each: -each[0])[: _SHOWN * len(found["units"])]:
        if lost / cycles >= 0.005:
            what = f"{_MEANING[wait['cause']]}: {wait['for']}" if wait["for"] else _MEANING[wait["cause"]]
            reasons.add_row(f"{name}, {wait['einsum']}", what, whole(lost), percent(lost / cycles))
    if reasons.row_count:
        yield reasons
    if "dram" in found:
        yield from _dram_blocks(found["dram"])
    if "values" in found:
        values = found["values"]
        yield Text.assemble(("values", "bold"), f"  {values['says']} ({whole(values['words'])} words, inputs of seed {values['seed']})")
    yield Text(loops.rstrip())
    yield from without_effect(found)
    yield Text("Each row of the first table sums to the whole run; ports: bits moved at their bandwidth.", "dim")


def _dram_blocks(did: Document) -> Iterator[RenderableType]:
    """How well the DRAM was used, and what its data buses waited for between the first request and the last."""
    from rich.text import Text

    counters = did["counters"]
    spent = {name.removesuffix("_cycles"): counters[name] for name in counters if name.endswith("_cycles")}
    asked, total = sum(counters[name] for name in ("hits", "misses", "conflicts")), sum(spent.values())
    moved = f"{byte_size(did['wanted_bytes'])} wanted, {byte_size(did['fetched_bytes'])} fetched"
    line = Text.assemble(("DRAM", "bold"), f"  {did['table']}: {moved}")
    if asked and total:
        line.append(f"; {percent(counters['hits'] / asked)} of {whole(asked)} bursts find their row open")
        shares = ", ".join(f"{name} {percent(cycles / total)}" for name, cycles in spent.items() if cycles / total >= 0.001)
        line.append(f"\n      its data buses: {shares}")
    if not did["settled"]:
        line.append(f"\n      run and DRAM agree within {si(did['unsettled_seconds'], 's')} after {did['rounds']} rounds", "yellow")
    yield line


def trace(simulation: Simulation) -> Document:
    """Events for Perfetto (ui.perfetto.dev) and chrome://tracing: one track per unit and port, one microsecond per cycle."""
    drawn = simulation.spans or simulation.events
    tracks = list(dict.fromkeys(event.resource for event in drawn))
    events: list[Document] = [
        {"ph": "M", "name": "thread_name", "pid": 0, "tid": number, "args": {"name": name}} for number, name in enumerate(tracks)
    ]
    for event in drawn:
        events.append({
            "ph": "X", "name": event.task, "cat": event.kind, "pid": 0, "tid": tracks.index(event.resource),
            "ts": float(event.start), "dur": float(event.end - event.start), "args": {"firing": event.number},
        })  # fmt: skip
    for memory, steps in simulation.held.items():
        counts = ({"ph": "C", "name": f"{memory} holds", "pid": 0, "ts": float(time), "args": {"bytes": bits / 8}} for time, bits in steps)
        events += counts
    return {"traceEvents": events, "otherData": {"unit": "1 us is one cycle", "cycles": simulation.cycles}}
