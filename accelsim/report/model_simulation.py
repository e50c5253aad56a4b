"""The simulation of a model as JSON and on a terminal: the whole first, then its phases and layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from accelsim.report.figures import in_cycles, joules, percent, si, whole
from accelsim.report.model import phase_blocks
from accelsim.report.simulation import document as layer_document
from accelsim.sim.layers import ModelSimulation

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = dict[str, Any]
SCHEMA = "accelsim/model-simulation/1"


def document(found: ModelSimulation, seed: int) -> Document:
    """The simulation as plain data; a simulation in `layers` is of a single use. `seed`: of the inputs, where values were computed."""
    layers: list[Document] = []
    for number, (layer, simulation) in enumerate(zip(found.model.layers, found.layers, strict=True)):
        one = layer_document(simulation) | ({"values": found.values[number].to_json() | {"seed": seed}} if found.values else {})
        layers.append({"name": layer.cascade.name, "times": layer.times, "simulation": one})
    return {
        "schema": SCHEMA,
        "model": found.model.name,
        "architecture": layers[0]["simulation"]["architecture"],
        "latency": {"cycles": found.cycles, "seconds": found.seconds},
        "energy_pj": found.energy.value,
        **found.inference(),
        "layers": layers,
    }


def model_simulation_blocks(found: Document) -> Iterator[RenderableType]:
    """The report: how long it takes, what the phases take, and every layer beside what the model says of it."""
    from rich.text import Text

    from accelsim.report.terminal import table

    cycles = found["latency"]["cycles"]
    head = Text.assemble((found["model"], "bold"), " on ", (found["architecture"], "bold"))
    head.append("\n\ntime  ", "bold").append(in_cycles(cycles), "bold red").append(f"  {si(found['latency']['seconds'], 's')}")
    model = sum(layer["times"] * layer["simulation"]["model"]["cycles"] for layer in found["layers"])
    if cycles != model:
        head.append(f"; {percent(abs(cycles / model - 1))} {'more' if cycles > model else 'less'} than the model's {whole(model)}")
    head.append("\nenergy  ", "bold").append(joules(found["energy_pj"]))
    yield head
    yield from phase_blocks(found)
    rows = table("layer", "times", "cycles each", "of the time", "beside the model", "busiest")
    for layer in found["layers"]:
        one = layer["simulation"]
        took, model = one["latency"]["cycles"], one["model"]["cycles"]
        busy = {name: sum(unit["busy_cycles"].values()) for name, unit in one["units"].items()}
        busy |= {name: port["busy_cycles"] for name, port in one["ports"].items()}
        most = max(busy, key=lambda name: busy[name])
        beside = "the same" if took == model else f"{percent(abs(took / model - 1))} {'more' if took > model else 'less'}"
        cells = percent(layer["times"] * took / cycles), beside, f"{most} {percent(busy[most] / took)}"
        rows.add_row(layer["name"], whole(layer["times"]), whole(took), *cells)
    yield rows
    if any("values" in layer["simulation"] for layer in found["layers"]):
        values = table("layer", "values", left=2)
        for layer in found["layers"]:
            values.add_row(layer["name"], layer["simulation"]["values"]["says"])
        yield values
    yield Text("Layers run one after the other; --layer NAME shows what the units of one wait for.", "dim")
