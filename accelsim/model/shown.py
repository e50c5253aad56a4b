"""Evaluations in one line, and as HTML for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accelsim import markup
from accelsim.units import show_scaled, show_size

if TYPE_CHECKING:
    from accelsim.model.evaluation import Evaluation
    from accelsim.model.layers import ModelEvaluation
    from accelsim.model.pricing import Range


def _joules(picojoules: float) -> str:
    return f"{_rounded(picojoules * 1e-12)}J"


def _rounded(number: float) -> str:
    return show_scaled(float(f"{number:.3g}"))


def energy_text(energy: Range) -> str:
    """An energy, with its low and high where they differ."""
    span = f" (prices {_joules(energy.low)} to {_joules(energy.high)})" if energy.low < energy.high else ""
    return f"{_joules(energy.value)}{span}"


def evaluation_line(evaluation: Evaluation) -> str:
    """What was evaluated, how long it takes, its energy and what limits it."""
    from accelsim.model.limits import limits

    evaluator, limit = evaluation.evaluator, limits(evaluation)
    names = f"{evaluator.cascade.name} on {evaluator.architecture.name}"
    bound = f"limited by {limit['resource']}, {limit['share']:.1%} of the time"
    return f"{names}: {evaluation.cycles:,} cycles, {_rounded(evaluation.seconds)}s, {_joules(evaluation.energy_pj)}; {bound}"


def evaluation_html(evaluation: Evaluation) -> str:
    """Every component with its busy time, what it holds at most and its energy."""
    from accelsim.model.document import document

    whole, rows = document(evaluation), []
    cycles = whole["latency"]["cycles"]
    for name, row in whole["components"].items():
        busy, held = row["busy_cycles"], row["peak_occupancy_bits"]
        rows.append((
            name,
            "-" if busy is None else f"{busy:,.0f}",
            "-" if busy is None or not cycles else f"{busy / cycles:.1%}",
            "-" if held is None else show_size(held),
            _joules(row["energy_pj"]),
        ))  # fmt: skip
    without = f"; not priced: {', '.join(evaluation.unpriced)}" if evaluation.unpriced else ""
    foot = f"energy {energy_text(evaluation.energy)}, of it static {_joules(evaluation.static.value)}{without}"
    return markup.table(evaluation_line(evaluation), ("component", "busy cycles", "of the time", "held at most", "energy"), rows, foot=foot)


def model_line(found: ModelEvaluation) -> str:
    """What all layers take together."""
    names = f"{found.model.name} on {found.architecture.name}"
    return f"{names}: {found.cycles:,} cycles, {_rounded(found.seconds)}s, {_joules(found.energy.value)}"


def model_html(found: ModelEvaluation) -> str:
    """Every layer with its time and energy, of all its uses together."""
    rows = [
        (layer.cascade.name, f"{layer.times:,}", f"{layer.times * each.cycles:,}", _joules(layer.times * each.energy_pj))
        for layer, each in zip(found.model.layers, found.evaluations, strict=True)
    ]
    return markup.table(model_line(found), ("layer", "times", "cycles in all", "energy in all"), rows)
