"""What `passes`, `bounds` and `run` found out about a cascade, as a JSON document and as blocks on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from accelsim.report.figures import byte_size, si, whole
from accelsim.report.terminal import table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from accelsim.workload.cascade import Cascade
    from accelsim.workload.interpreter import Run
    from accelsim.workload.passes import Crossing, Passes

Document = dict[str, Any]


def passes_document(cascade: Cascade, found: Iterable[Passes]) -> Document:
    """Passes per rank; tensors that cross from the pass that makes them to the last that reads them."""
    ranks = {
        each.rank: {
            "passes": each.count,
            "crossing": [_crossing(item) for item in each.crossing],
            "reread": list(each.reread),
            "summaries": [_crossing(item) for item in each.summaries],
        }
        for each in found
    }
    return {"schema": "accelsim/passes/1", "workload": cascade.name, "ranks": ranks}


def _crossing(item: Crossing) -> Document:
    return {"tensor": item.tensor, "made_in": item.made_in, "read_in": item.read_in}


def passes_blocks(document: Document) -> Iterator[RenderableType]:
    """Passes over every rank, and what they imply."""
    grid = table("rank", "passes", "cross from pass to pass", "inputs read again", "summaries waited for", left=5)
    for rank, found in document["ranks"].items():
        crossing, summaries = (_list(_crosses(item) for item in found[key]) for key in ("crossing", "summaries"))
        grid.add_row(rank, str(found["passes"]), crossing, _list(found["reread"]), summaries)
    yield f"{document['workload']}: how often a fiber of each rank must be traversed."
    yield grid
    if any(found["crossing"] or found["reread"] for found in document["ranks"].values()):
        yield "What crosses or is read again is kept on chip for the whole fiber, or moved again in every pass."


def _crosses(item: Document) -> str:
    return f"{item['tensor']} {item['made_in']}→{item['read_in']}"


def _list(parts: Iterable[str]) -> str:
    return ", ".join(parts) or "-"


def bounds_document(cascade: Cascade) -> Document:
    """Lower bounds of a cascade: words, bytes, points, operations and their ratio."""
    found = cascade.bounds
    tensors = cascade.tensors
    return {
        "schema": "accelsim/bounds/1",
        "workload": cascade.name,
        "compulsory_bytes": _number(found.compulsory_bytes),
        "operations": found.total_operations,
        "operations_per_byte": found.intensity if found.compulsory_bytes else None,
        "tensors": {name: {"words": words, "bytes": _number(words * tensors[name].final.bits / 8)} for name, words in found.words.items()},
        "einsums": {name: {"points": points, "operations": dict(found.operations[name])} for name, points in found.points.items()},
    }


def _number(value: Any) -> int | float:
    return int(value) if value == int(value) else float(value)


def bounds_blocks(document: Document) -> Iterator[RenderableType]:
    """The least that any machine must move and compute."""
    intensity = document["operations_per_byte"]
    ratio = "" if intensity is None else f", {intensity:,.0f} per byte" if intensity >= 100 else f", {intensity:.3g} per byte"
    total = f"at least {byte_size(document['compulsory_bytes'])} and {si(document['operations'], '')} operations{ratio}"
    yield f"{document['workload']}: any machine must move and compute {total}."
    moved = table("moved once", "words", "bytes")
    for name, row in document["tensors"].items():
        moved.add_row(name, whole(row["words"]), whole(row["bytes"]))
    yield moved
    yield _work(document["einsums"])


def _work(einsums: Document) -> RenderableType:
    work = table("Einsum", "points", "operations")
    for name, row in einsums.items():
        work.add_row(name, whole(row["points"]), _list(f"{whole(count)} {primitive}" for primitive, count in row["operations"].items()))
    return work


def run_document(cascade: Cascade, seed: int, done: Run) -> Document:
    """What a run computed: figures of every output, points of every Einsum."""
    import numpy as np

    outputs = {}
    for name, tensor in cascade.tensors.items():
        if tensor.is_output:
            values = np.asarray(done.values[name])
            flat = np.abs(values) if values.dtype.kind == "c" else values
            figures = {key: float(of(flat)) for key, of in (("least", np.min), ("mean", np.mean), ("greatest", np.max))}
            outputs[name] = {"shape": list(values.shape), **{key: value if np.isfinite(value) else None for key, value in figures.items()}}
    einsums = {name: {"points": points.executed, "masked": points.masked} for name, points in done.counts.items()}
    return {"schema": "accelsim/run/1", "workload": cascade.name, "seed": seed, "outputs": outputs, "einsums": einsums}


def run_blocks(document: Document) -> Iterator[RenderableType]:
    """Outputs and points of a run."""
    yield f"{document['workload']}: executed on random inputs, seed {document['seed']}."
    outputs = table("output", "shape", "least", "mean", "greatest", left=2)
    for name, row in document["outputs"].items():
        figures = ("not finite" if row[key] is None else f"{row[key]:.6g}" for key in ("least", "mean", "greatest"))
        outputs.add_row(name, " x ".join(map(str, row["shape"])), *figures)
    yield outputs
    work = table("Einsum", "points", "masked")
    for name, row in document["einsums"].items():
        work.add_row(name, whole(row["points"]), whole(row["masked"]))
    yield work
