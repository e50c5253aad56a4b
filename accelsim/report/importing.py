"""What an import made of a file, as a JSON document and as blocks on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from accelsim.report.figures import byte_size, si
from accelsim.report.terminal import table
from accelsim.workload.cascade import Cascade, Layer, Model

if TYPE_CHECKING:
    from rich.console import RenderableType


def import_document(file: str, found: Cascade | Model, counted: Sequence[str], text: str, written: str | None) -> dict[str, Any]:
    """Layers with their Einsums, points and compulsory traffic of each; `counted`: operators of which only the traffic is known."""
    layers = found.layers if isinstance(found, Model) else (Layer(found, 1),)
    rows = [
        {
            "layer": layer.cascade.name,
            "times": layer.times,
            "einsums": len(layer.cascade.work),
            "points": sum(layer.cascade.bounds.points.values()),
            "compulsory_bytes": float(layer.cascade.bounds.compulsory_bytes),
        }
        for layer in layers
    ]
    return {"schema": "accelsim/import/1", "file": file, "workload": found.name, "written": written, "layers": rows,
            "counted": list(counted), "text": text}  # fmt: skip


def import_blocks(document: dict[str, Any]) -> Iterator[RenderableType]:
    """Where the workload was written and what is in it."""
    yield f"{document['file']} is the workload {document['workload']} now, in {document['written']}."
    grid = table("layer", "times", "Einsums", "points", "compulsory", left=1)
    for row in document["layers"]:
        points, moved = row["points"], row["compulsory_bytes"]
        grid.add_row(row["layer"], str(row["times"]), str(row["einsums"]), si(points, ""), byte_size(moved))
    yield grid
    if document["counted"]:
        yield f"Only the traffic is counted of: {', '.join(document['counted'])}."
