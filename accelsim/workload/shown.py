"""A cascade and a model in one line, and as HTML for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accelsim import markup

if TYPE_CHECKING:
    from accelsim.workload.cascade import Cascade, Model


def cascade_line(cascade: Cascade) -> str:
    """What a cascade is made of."""
    many = len(cascade.work)
    inputs = ", ".join(name for name, tensor in cascade.tensors.items() if tensor.is_input)
    outputs = ", ".join(name for name, tensor in cascade.tensors.items() if tensor.is_output)
    sizes = ", ".join(f"{rank} {extent}" for rank, extent in cascade.extents.items() if rank.isidentifier())
    return f"{cascade.name}: {many} Einsum{'s' * (many != 1)} from {inputs} to {outputs}; {sizes}"


def cascade_html(cascade: Cascade) -> str:
    """Its statements, with the ranks and points of each."""
    rows = []
    for einsum in cascade.einsums:
        ranks = ", ".join(f"{rank} {cascade.extents[rank]:,}" for rank in einsum.ranks)
        over = f"{einsum.reduce} over {', '.join(einsum.reduced)}" if einsum.reduced else ""
        rows.append((einsum.name, einsum.text or str(einsum.output), ranks, "sets constants" if einsum.initial else over))
    return markup.table(cascade_line(cascade), ("Einsum", "statement", "ranks", "reduces"), rows, words=4)


def model_line(model: Model) -> str:
    """How many layers a model has, and how many cascades run in all."""
    many, runs = len(model.layers), sum(layer.times for layer in model.layers)
    return f"{model.name}: a model of {many} layer{'s' * (many != 1)}, {runs:,} with repetitions"


def model_html(model: Model) -> str:
    """Its layers, in order."""
    rows = [(layer.cascade.name, layer.times, len(layer.cascade.work)) for layer in model.layers]
    return markup.table(model_line(model), ("layer", "times", "Einsums"), rows)
