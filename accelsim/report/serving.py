"""What a served model keeps between passes, and parameter totals: as JSON documents and as blocks on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from accelsim.model.document import number
from accelsim.report.figures import byte_size, joules, si, whole
from accelsim.report.terminal import table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from accelsim.hardware.architecture import Architecture
    from accelsim.workload.serving import Kept, Residency, Served

Document = dict[str, Any]


def serving_document(served: Served, machine: Architecture) -> Document:
    """What lies in the outermost memory when the last token is made, in bytes; `fits` is None where that memory has no size."""
    asked, kept = served.asked, served.kept
    steps = 0 if asked.phase == "prefill" else asked.tokens or 0
    parts = (kept.weights, kept.cache, kept.state)
    weights, cache, state = (sum((each.bits * each.words for each in part), Fraction(0)) / 8 for part in parts)
    caches, states = asked.batch * (served.context + steps) * cache, asked.batch * state
    resident, size = weights + caches + states, machine.root.size_bits
    found = {
        "weight_bytes": weights, "cache_bytes_per_token": cache, "state_bytes_per_sequence": state, "cache_bytes": caches,
        "state_bytes": states, "resident_bytes": resident,
    }  # fmt: skip
    return {
        "phase": asked.phase, "batch": asked.batch, "context": served.context, "tokens": steps, "parameters": kept.parameters,
        **{key: number(value) for key, value in found.items()},
        "memory": machine.root.name, "memory_bytes": number(Fraction(size, 8)) if size is not None else None,
        "fits": bool(resident * 8 <= size) if size is not None else None,
    }  # fmt: skip


def serving_blocks(document: Document) -> Iterator[RenderableType]:
    """What a user of a served model asks first; nothing if the document is of no served model."""
    from rich.text import Text

    if "serving" not in document:
        return
    kept, found = document["serving"], document["inference"]
    phases = {phase["name"]: phase for phase in document["phases"]}
    line = Text.assemble(("serving  ", "bold"), f"batch {whole(kept['batch'])}, context {whole(kept['context'])}")
    if "prefill" in phases:
        line.append(f"; time to first token {si(found['seconds_to_first_token'], 's')}")
    if "decode" in phases:
        step = phases["decode"]
        line.append(f"; time per token {si(step['seconds_per_step'], 's')}, {whole(step['tokens_per_s'])} tokens/s")
        line.append(f", {joules(step['energy_pj_per_token'])} a token")
    line.append(f"; {si(found['average_power_w'], 'W')} on average")
    parts = [f"weights {byte_size(kept['weight_bytes'])} ({si(kept['parameters'], '')} parameters)"]
    if kept["cache_bytes"]:
        parts.append(f"cache {byte_size(kept['cache_bytes'])} ({byte_size(kept['cache_bytes_per_token'])} a token)")
    if kept["state_bytes"]:
        parts.append(f"state {byte_size(kept['state_bytes'])}")
    line.append(f"\n{kept['memory']} holds {', '.join(parts)}")
    if kept["memory_bytes"] is not None:
        line.append(f": {byte_size(kept['resident_bytes'])} of {byte_size(kept['memory_bytes'])}")
    if kept["fits"] is False:
        over = byte_size(kept["resident_bytes"] - kept["memory_bytes"])
        line.append(f"\nDoes not fit: {over} more than {kept['memory']} has; times are as if it did.", "bold red")
    yield line


def parameters_document(name: str, kept: Residency) -> Document:
    """Weights, cache per token and state per sequence, tensor by tensor."""

    def part(tensors: Iterable[Kept]) -> Document:
        kept = list(tensors)
        sizes = [number(each.bits * each.words / 8) for each in kept]
        rows = [{"layer": k.layer, "tensor": k.name, "words": k.words, "bytes": size} for k, size in zip(kept, sizes, strict=True)]
        return {"words": sum(each.words for each in kept), "bytes": sum(sizes), "tensors": rows}

    parts = {"weights": part(kept.weights), "cache_per_token": part(kept.cache), "state_per_sequence": part(kept.state)}
    return {"schema": "accelsim/params/1", "model": name, "parameters": kept.parameters, **parts}


def parameters_blocks(document: Document) -> Iterator[RenderableType]:
    """The total, and a row for every tensor."""
    cache, state, weights = (document[key] for key in ("cache_per_token", "state_per_sequence", "weights"))
    line = f"{document['model']}: {whole(document['parameters'])} parameters, {byte_size(weights['bytes'])}"
    if cache["words"]:
        line += f"; a cache of {whole(cache['words'])} words a token, {byte_size(cache['bytes'])}"
    if state["words"]:
        line += f"; a state of {whole(state['words'])} words a sequence, {byte_size(state['bytes'])}"
    yield line + "."
    rows = table("tensor", "layer", "kept", "words", "bytes", left=3)
    for what, part in (("once", weights), ("per token", cache), ("per sequence", state)):
        for row in part["tensors"]:
            rows.add_row(row["tensor"], row["layer"] or "-", what, whole(row["words"]), byte_size(row["bytes"]))
    yield rows
