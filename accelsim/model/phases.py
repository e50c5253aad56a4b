"""What the phases of inference take: time to the first token, time of a step, tokens per second and energy per token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accelsim.workload.cascade import Model, Phase


def inference(model: Model, seconds: Sequence[float], energy: Sequence[float], limits: Sequence[str] = ()) -> dict[str, Any]:
    """The phases of a model as plain data, of what every layer takes in all its uses: seconds, and energy in picojoules.

    A token is there when its step ends. The first one ends the first step of the first phase that gives any; all steps of
    a phase that grows count as its average one. `limits`: what limits every layer; phases then say for which share of their time what
    does. Of a model without phases: nothing.
    """
    if not model.phases:
        return {}
    phases: list[dict[str, Any]] = []
    first, begun = None, 0.0
    for phase in model.phases:
        spent, pj = (sum(each[phase.start : phase.stop]) for each in (seconds, energy))
        tokens = phase.steps * phase.tokens
        if first is None and tokens:
            first = begun + spent / phase.steps
        begun += spent
        phases.append({
            "name": phase.name, "steps": phase.steps, "tokens": tokens, "seconds": spent, "seconds_per_step": spent / phase.steps,
            "energy_pj": pj, **_rates(tokens, spent, pj), **_limited(phase, seconds, limits),
        })  # fmt: skip
    given = sum(phase.steps * phase.tokens for phase in model.phases)
    whole = {"seconds_to_first_token": first, "tokens": given, **_rates(given, begun, sum(energy))}
    return {"inference": whole, "phases": phases}


def _rates(tokens: int, seconds: float, pj: float) -> dict[str, float | None]:
    return {
        "tokens_per_s": tokens / seconds if seconds else None,
        "energy_pj_per_token": pj / tokens if tokens else None,
        "average_power_w": pj * 1e-12 / seconds if seconds else None,
    }


def _limited(phase: Phase, seconds: Sequence[float], limits: Sequence[str]) -> dict[str, Any]:
    """Shares of the time of a phase by what limits it, the largest first."""
    if not limits:
        return {}
    found: dict[str, float] = {}
    for at in range(phase.start, phase.stop):
        found[limits[at]] = found.get(limits[at], 0.0) + seconds[at]
    spent = sum(found.values())
    return {"limited_by": {name: found[name] / spent for name in sorted(found, key=lambda name: -found[name])} if spent else {}}
