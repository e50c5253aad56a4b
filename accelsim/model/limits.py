"""What limits a run: the resource that decides its time, by how much, and what would relieve it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from accelsim.hardware.architecture import Architecture, network_name
from accelsim.model.schedule import schedule

if TYPE_CHECKING:
    from accelsim.model.evaluation import Evaluation


_MOVING = ("memory", "network", "sparse")


def limits(evaluation: Evaluation) -> dict[str, Any]:
    """The deciding resource, its share of the latency, the next one, and a sentence on relief."""
    latency = evaluation.timing.latency
    (name, kind), ticks = (found := ranked(evaluation))[0]
    following = found[1] if len(found) > 1 else None
    return {
        "resource": name,
        "kind": kind,
        "share": float(ticks / latency) if latency else 0.0,
        "next": {"resource": following[0][0], "share": float(following[1] / latency) if latency else 0.0} if following else None,
        "relief": _relief(evaluation, name, kind),
    }


def ranked(evaluation: Evaluation) -> list[tuple[tuple[str, str], int | Fraction]]:
    """Name and kind of every resource with the ticks that it takes, the deciding one first."""
    timing = evaluation.timing
    found = sorted(timing.limits.items(), key=lambda item: (-item[1], item[0]))
    waiting = timing.fill + timing.drain
    if waiting > (found[0][1] if found else 0):
        found.insert(0, (("fill and drain", "latency"), waiting))
    return found


def _gain(evaluation: Evaluation, name: str, kind: str) -> str:
    """How much faster this mapping would run at best if the resource cost no time: the schedule worked out again without it."""
    free = {
        einsum: replace(
            load,
            busy=0 if (load.unit, kind) == (name, "compute") else load.busy,
            ports={port: (0, 0) if kind in _MOVING and port == name else ticks for port, ticks in load.ports.items()},
        )
        for einsum, load in evaluation.loads.items()
    }
    at_best = schedule(evaluation.evaluator.program, evaluation.mapping, free, evaluation.evaluator.launch_ticks).latency
    return f"; {float(evaluation.timing.latency / at_best):.2f}x faster at most" if at_best else ""


def _relief(evaluation: Evaluation, name: str, kind: str) -> str:
    loads = evaluation.loads
    gain = _gain(evaluation, name, kind) if kind in ("compute", *_MOVING) else ""
    if kind == "compute":
        busiest = max((load.busy, einsum) for einsum, load in loads.items() if load.unit == name)
        total = sum(load.busy for load in loads.values() if load.unit == name)
        share = busiest[0] / total if total else 0.0
        mend = f"a faster {name}, or part of its work on another unit, would relieve it"
        return f"{busiest[1]} is {share:.0%} of what {name} does: {mend}{gain}"
    if kind in _MOVING:
        bits: dict[str, int] = {}
        for (_, tensor, link), row in (*evaluation.bits.items(), *evaluation.crossed.items()):
            if link == name:
                bits[tensor] = bits.get(tensor, 0) + sum(row)
        if kind == "sparse":
            return f"a faster {name}, or more copies of it, would relieve it{gain}"
        tensor = max(bits, key=lambda key: (bits[key], key))
        share = bits[tensor] / max(1, sum(bits.values()))
        evaluator = evaluation.evaluator
        least = evaluation.bounds()["compulsory_bytes"] if name == evaluator.architecture.root.name else 0
        if sum(bits.values()) <= 8 * least:
            return f"No mapping moves less across {name}: only more bandwidth would relieve it{gain}"
        mend = f"more bandwidth, or {_closer(evaluator.architecture, name, tensor)}, would relieve it"
        return f"{tensor} is {share:.0%} of what crosses {name}: {mend}{gain}"
    if kind == "dependence":
        return f"each step waits for another: more independent work inside the loop, or more copies, would hide {name}"
    return "the run is too short for its pipeline: a larger problem, or fewer and larger steps, would hide the start and the end"


def _closer(architecture: Architecture, name: str, tensor: str) -> str:
    """What would make more use of each word that crosses a memory or a network."""
    above = {node.name for memory in architecture.memories for node in architecture.paths[memory][:-1]}
    inside = name in above or any(network_name(node) == name for node in above)
    return f"larger tiles of {tensor} inside it" if inside else "a memory between it and its units"
