"""The evaluation of a model: its cascades one after the other, each with its own mapping."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from accelsim.report.figures import joules, percent, si, whole
from accelsim.report.terminal import report, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from accelsim.workload.cascade import Model

MODEL = "accelsim/model-evaluation/1"
Document = dict[str, Any]


def model_document(model: Model, evaluations: Sequence[Document]) -> Document:
    """Evaluations of every layer (contract `accelsim/evaluation/1`), and their sums with every layer as often as it is used."""
    pairs = zip(model.layers, evaluations, strict=True)
    layers: list[Document] = [{"times": layer.times, "evaluation": found} for layer, found in pairs]

    def total(figure: str) -> float:
        return float(sum(row["times"] * row["evaluation"][figure] for row in layers))

    return {
        "schema": MODEL,
        "workload": model.name,
        "architecture": evaluations[0]["architecture"],
        "cycles": sum(row["times"] * row["evaluation"]["latency"]["cycles"] for row in layers),
        "seconds": sum(row["times"] * row["evaluation"]["latency"]["seconds"] for row in layers),
        "energy_pj": total("energy_pj"),
        "energy_pj_low": total("energy_pj_low"),
        "energy_pj_high": total("energy_pj_high"),
        "layers": layers,
    }


def model_blocks(document: Document, nests: Sequence[str]) -> Iterator[RenderableType]:
    """The whole first, then every layer as an evaluation of its own."""
    span = f"{joules(document['energy_pj_low'])} to {joules(document['energy_pj_high'])}"
    whole_run = f"{whole(document['cycles'])} cycles, {si(document['seconds'], 's')}, {joules(document['energy_pj'])} ({span})"
    yield f"{document['workload']} on {document['architecture']}: {whole_run}."
    rows = table("layer", "limited by", "times", "cycles each", "of the time", "energy each", left=2)
    for layer in document["layers"]:
        found = layer["evaluation"]
        share = layer["times"] * found["latency"]["cycles"] / document["cycles"] if document["cycles"] else None
        limit = (found.get("limits") or {}).get("resource", "-")
        cycles, energy = whole(found["latency"]["cycles"]), joules(found["energy_pj"])
        rows.add_row(found["workload"], limit, str(layer["times"]), cycles, percent(share), energy)
    yield rows
    for layer, nest in zip(document["layers"], nests, strict=True):
        yield "─" * 100
        yield from report(layer["evaluation"], nest)
