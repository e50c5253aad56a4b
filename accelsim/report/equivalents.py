"""Derived cascades, and the search over equivalent ones: as documents and on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from accelsim.report.figures import byte_size, in_cycles, joules, times, whole
from accelsim.report.terminal import table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from accelsim.explore.cascades import Candidate, Candidates
    from accelsim.hardware.architecture import Architecture
    from accelsim.workload.cascade import Cascade
    from accelsim.workload.transform.steps import Step

DERIVATION, EXPLORATION = "accelsim/derive/1", "accelsim/explore-cascades/1"
Document = dict[str, Any]


def derivation_document(
    before: Cascade, after: Cascade, steps: Sequence[Step], elementary: Sequence[Step], text: str, allowed: Sequence[Step]
) -> Document:
    """A derived cascade as JSON: its workload file as text, and figures of it beside those of what it was derived from."""
    return {
        "schema": DERIVATION,
        "workload": before.name,
        "steps": [str(step) for step in steps],
        "elementary_steps": [str(step) for step in elementary],
        "before": _figures(before),
        "after": _figures(after),
        "einsums": {
            name: {"points": points, "operations": dict(after.bounds.operations[name])} for name, points in after.bounds.points.items()
        },
        "cascade": text,
        "open": [part for cut in after.splits for part in cut.free],
        "applicable": [str(step) for step in allowed],
    }


def _figures(cascade: Cascade) -> Document:
    found = cascade.bounds
    return {
        "einsums": len(cascade.work),
        "passes": passes_of(cascade),
        "operations": found.total_operations,
        "compulsory_bytes": float(found.compulsory_bytes),
    }


def passes_of(cascade: Cascade) -> dict[str, int]:
    """Passes over every rank that is reduced or stepped along."""
    from accelsim.workload.passes import all_passes

    return {rank: each.count for rank, each in all_passes(cascade).items()}


def derivation_blocks(document: Document) -> Iterator[RenderableType]:
    """The statements, what the steps changed, and the steps that go on from there."""
    if document["steps"]:
        yield f"{document['workload']} after: {'; '.join(document['steps'])}"
        if document["elementary_steps"] != document["steps"]:
            yield f"step by step: {'; '.join(document['elementary_steps'])}"
    else:
        yield f"{document['workload']} as given"
    yield document["cascade"][document["cascade"].index("\nshape:") + 1 :].rstrip("\n")
    rows = table("", "Einsums", "operations", "compulsory", "passes", left=1)
    for name in ("before", "after") if document["steps"] else ("after",):
        found = document[name]
        passes = ", ".join(f"{count} over {rank}" for rank, count in found["passes"].items())
        rows.add_row(
            name if document["steps"] else "",
            whole(found["einsums"]),
            whole(found["operations"]),
            byte_size(found["compulsory_bytes"]),
            passes,
        )
    yield rows
    if document["open"]:
        yield f"{', '.join(f'{part} is open' for part in document['open'])}: operations are counted as if it were 1."
    allowed = document["applicable"]
    yield "Steps from here:\n" + "\n".join(f"  {step}" for step in allowed) if allowed else "No step goes on from here."


def exploration_document(cascade: Cascade, architecture: Architecture, found: Candidates, texts: Sequence[str], mapping: str) -> Document:
    """The search as JSON: every cascade with its steps, bound and result; `best`: its place, its workload file and its mapping as text."""
    objective = found.request.objective
    best = found.best
    evaluation = best.found.evaluation if best.found is not None else None
    assert evaluation is not None, "the best was mapped"
    return {
        "schema": EXPLORATION,
        "workload": cascade.name,
        "architecture": architecture.name,
        "objective": objective.name,
        "unit": objective.unit,
        "complete": found.complete,
        "most_steps": found.deepest,
        "seconds": found.seconds,
        "cascades": [_candidate(each, found, text) for each, text in zip(found.candidates, texts, strict=True)],
        "best": found.candidates.index(best),
        "gain": gain(found),
        "mapping": mapping,
        "evaluation": evaluation.to_json(),
    }


def gain(found: Candidates) -> float | None:
    """How many times the objective of the original the best one's is; None where the original has no mapping."""
    first, best = found.original.found, found.best.found
    if first is None or best is None:
        return None
    value = found.request.objective.value
    return value(first.evaluation) / value(best.evaluation) if value(best.evaluation) else None


def _candidate(each: Candidate, found: Candidates, text: str) -> Document:
    result: Document | None = None
    if each.found is not None:
        evaluation, first = each.found.evaluation, found.original.found
        value = found.request.objective.value(evaluation)
        result = {
            "value": value,
            "cycles": evaluation.cycles,
            "energy_pj": float(evaluation.energy_pj),
            "sizes": dict(each.found.mapping.sizes),
            "gain": None if first is None or not value else found.request.objective.value(first.evaluation) / value,
        }
    return {
        "steps": [str(step) for step in each.equivalent.steps],
        "elementary_steps": [str(step) for step in each.equivalent.elementary],
        "passes": passes_of(each.equivalent.cascade),
        "least_cycles": None if each.cycles == float("inf") else each.cycles,
        "outcome": each.outcome,
        "why": each.why,
        "result": result,
        "cascade": text,
    }


def exploration_blocks(document: Document) -> Iterator[RenderableType]:
    """Every cascade with its passes and figures, and how much better the best is."""
    from rich.text import Text

    yield Text.assemble(
        (document["workload"], "bold"), " on ", (document["architecture"], "bold"), f": {document['objective']} of equivalent cascades"
    )
    changing = _changing([each["passes"] for each in document["cascades"]])
    rows = table("steps", "passes", "at least", "latency", "energy", "gain", left=2)
    for number, each in enumerate(document["cascades"]):
        name = "; ".join(each["steps"]) or "as given"
        sizes = each["result"] and each["result"]["sizes"]
        if sizes:
            name += f" ({', '.join(f'{part} = {size}' for part, size in sizes.items())})"
        passes = ", ".join(f"{each['passes'][rank]} over {rank}" for rank in changing if rank in each["passes"]) or "-"
        least = "-" if each["least_cycles"] is None else in_cycles(each["least_cycles"])
        result = each["result"]
        cells = (
            [each["outcome"], "", ""]
            if result is None
            else [in_cycles(result["cycles"]), joules(result["energy_pj"]), times(result["gain"]) if result["gain"] else "-"]
        )
        rows.add_row(name, passes, least, *cells, style="bold" if number == document["best"] else None)
    yield rows
    yield _verdict(document)


def _changing(passes: Sequence[dict[str, int]]) -> list[str]:
    """Ranks over which not all cascades make the same number of passes; all ranks if there is none."""
    ranks = list(dict.fromkeys(rank for each in passes for rank in each))
    differing = [rank for rank in ranks if len({each.get(rank) for each in passes}) > 1]
    return differing or ranks


def _verdict(document: Document) -> str:
    best = document["cascades"][document["best"]]
    if not best["steps"]:
        said = "The cascade as given is the best of them."
    elif document["gain"] is None:
        said = f"Best: {'; '.join(best['steps'])}. The cascade as given has no mapping."
    else:
        said = f"Best: {'; '.join(best['steps'])}, {times(document['gain'])} better than as given."
    outcomes = [each["outcome"] for each in document["cascades"]]
    counts = ", ".join(f"{outcomes.count(kind)} {kind}" for kind in dict.fromkeys(outcomes))
    reach = f"all that at most {document['most_steps']} steps reach" if document["complete"] else "more can be reached"
    return f"{said} {len(outcomes)} cascades ({reach}): {counts}; in {document['seconds']:.1f} s."
