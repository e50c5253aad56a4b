"""What `accelsim explain` finds out, as JSON documents with stable keys. Schemas: `accelsim/explanation/1`, `accelsim/model-explanation/1`.

Cycles are exact fractions written as numbers; energy is in picojoules; shares are of the whole run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from accelsim.explore.provenance import Line, lines
from accelsim.explore.reasons import CAUSES, LATENCY, LAUNCH, binding, charges, costs, deciding, energy_causes, run_of
from accelsim.model.document import number
from accelsim.report.explain_words import bound_by, energy_reason, faster, share, why
from accelsim.report.figures import in_cycles, joules, percent, si, times

if TYPE_CHECKING:
    from accelsim.errors import Place
    from accelsim.explore.whatif import Run, WhatIf
    from accelsim.hardware.origin import Figure, Part
    from accelsim.model.evaluation import Evaluation
    from accelsim.model.layers import ModelEvaluation
    from accelsim.model.schedule import Stretch

EXPLANATION = "accelsim/explanation/1"
MODEL_EXPLANATION = "accelsim/model-explanation/1"
Document = dict[str, Any]
Where = Callable[[str], str]
_SMALL = 0.0005  # of a run, below which a cause is left out of a sentence


@dataclass(frozen=True, slots=True)
class Helps:
    """What changes of the machine do, compared with the run `base`: that of the best mapping, if a search found it (`searched`)."""

    found: Sequence[WhatIf] = ()
    base: Run | None = None
    searched: bool = False

    def to_json(self, seconds: float) -> Document:
        """As part of an explanation of a run that takes so many seconds."""
        if self.base is None:
            return {"what_if": []}
        rows = {"what_if": [what_if_row(each, self.base) for each in self.found]}
        if not self.searched:
            return rows
        return rows | {"best_mapping": {"speedup": seconds / self.base.seconds if self.base.seconds else 1.0, **run_row(self.base)}}


NOTHING_HELPS = Helps()


def explanation(evaluation: Evaluation, where: Where = str, helps: Helps = NOTHING_HELPS) -> Document:
    """All reasons of one evaluation. where: what a file is called."""
    evaluator, clock = evaluation.evaluator, evaluation.evaluator.clock
    energy = lines(evaluation)
    time = _time(evaluation)
    document = {
        "schema": EXPLANATION,
        "workload": evaluator.cascade.name,
        "architecture": evaluator.architecture.name,
        "technology": evaluator.architecture.technology,
        "mapping": evaluation.mapping.name,
        "counting": evaluator.counting.to_json(),
        "latency": {
            "cycles": evaluation.cycles,
            "seconds": evaluation.seconds,
            "steady_cycles": number(evaluation.steady_cycles),
            "fill_cycles": number(clock.cycles(evaluation.timing.fill)),
            "drain_cycles": number(clock.cycles(evaluation.timing.drain)),
        },
        "energy": {
            "pj": evaluation.energy.value,
            "low": evaluation.energy.low,
            "high": evaluation.energy.high,
            "static_pj": evaluation.static.value,
        },
        "time": time,
        "joules": {
            "causes": energy_causes(evaluation, energy),
            "lines": joule_rows([(1, energy)], where),
            "unpriced": list(evaluation.unpriced),
        },
        **helps.to_json(evaluation.seconds),
    }
    return document | {"reasons": [*_time_reasons(evaluation, time), _energy_sentence(evaluation, energy), *what_if_reason(document)]}


def _time(evaluation: Evaluation) -> Document:
    clock, latency = evaluation.evaluator.clock, evaluation.timing.latency
    resource, kind, part = binding(evaluation)
    floor, beyond = costs(evaluation)

    def spent(ticks: Fraction) -> Document:
        return {"cycles": number(clock.cycles(ticks)), "share": float(ticks / latency) if latency else 0.0}

    return {
        "binding": {"resource": resource, "kind": kind, "share": part},
        "stretches": [_stretch(evaluation, stretch) for stretch in run_of(evaluation)],
        "charges": [
            {"einsum": each.einsum, "tensor": each.tensor, "resource": each.resource, "kind": each.kind, **spent(each.ticks)}
            for each in charges(evaluation)
        ],
        "bound": {
            "cycles": number(floor.cycles),
            "by": bound_by(floor, evaluation.evaluator.architecture.root.name),
            "traffic_cycles": number(floor.traffic),
            "alone_cycles": number(floor.alone),
            "shared_cycles": number(floor.shared),
            "launch_cycles": number(floor.launch),
        },
        "beyond": [{"cause": each.cause, "says": CAUSES[each.cause], **spent(each.ticks)} for each in beyond],
    }


def _stretch(evaluation: Evaluation, stretch: Stretch) -> Document:
    clock, timing, latency = evaluation.evaluator.clock, stretch.timing, evaluation.timing.latency
    name, kind = deciding(stretch)
    ranked = sorted(timing.limits.items(), key=lambda item: (-item[1], item[0]))
    return {
        "einsums": list(stretch.einsums),
        "runs": stretch.runs,
        "iterations": stretch.iterations,
        "cycles": number(clock.cycles(Fraction(timing.latency))),
        "fill_cycles": number(clock.cycles(timing.fill)),
        "drain_cycles": number(clock.cycles(timing.drain)),
        "share": float(Fraction(timing.latency) / latency) if latency else 0.0,
        "binding": {"resource": name, "kind": kind},
        "resources": [
            {
                "resource": resource,
                "kind": sort,
                "cycles": number(clock.cycles(Fraction(ticks))),
                "share": float(Fraction(ticks) / timing.latency) if timing.latency else 0.0,
            }
            for (resource, sort), ticks in ranked
        ],
        "why": why(evaluation, stretch),
    }


def joule_rows(used: Iterable[tuple[int, Sequence[Line]]], where: Where) -> list[Document]:
    """Energy by component and action, the largest first, each with its price, the rows behind that, and its parts by Einsum and tensor.

    used: how many times, and the lines.
    """
    rows: dict[tuple[str, str, str], Document] = {}
    for times_used, found in used:
        for line in found:
            energy = line.energy.scaled(times_used)
            key = line.component, line.action, line.unit
            row = rows.setdefault(key, {
                "component": line.component, "action": line.action, "unit": line.unit, "count": 0.0,
                "price_pj": line.price.value, "price_pj_low": line.price.low, "price_pj_high": line.price.high,
                "energy_pj": 0.0, "energy_pj_low": 0.0, "energy_pj_high": 0.0, "share": 0.0,
                "terms": [_term(part, where) for part in line.parts], "by": [],
            })  # fmt: skip
            count = float(line.count) * times_used
            row["count"] += count
            row["energy_pj"] += energy.value
            row["energy_pj_low"] += energy.low
            row["energy_pj_high"] += energy.high
            if line.einsum:
                row["by"].append({"einsum": line.einsum, "tensor": line.tensor, "count": count, "energy_pj": energy.value})
    total = sum(row["energy_pj"] for row in rows.values())
    for row in rows.values():
        row["share"] = row["energy_pj"] / total if total else 0.0
        row["by"].sort(key=lambda each: -each["energy_pj"])
    return sorted(rows.values(), key=lambda row: -row["energy_pj"])


def _term(part: Part, where: Where) -> Document:
    return {"factor": part.factor, "figures": [figure_row(figure, where) for figure in part.figures]}


def figure_row(figure: Figure, where: Where) -> Document:
    """A figure of a file, and where it stands."""
    return {
        "table": figure.table, "component": figure.component, "action": figure.action,
        "size_bits": None if figure.size_bits is None else number(figure.size_bits),
        "value": figure.value, "low": figure.low, "high": figure.high, "kind": figure.kind, "source": figure.source,
        **_place(figure.place, where), "between": [figure_row(each, where) for each in figure.between],
    }  # fmt: skip


def _place(place: Place | None, where: Where) -> Document:
    if place is None:
        return {"file": None, "line": None, "column": None, "place": ""}
    shown = replace(place, file=where(place.file))
    return {"file": shown.file, "line": shown.line, "column": shown.column, "place": str(shown)}


def run_row(run: Run) -> Document:
    """What a run takes."""
    return {
        "cycles": run.cycles, "seconds": run.seconds, "energy_pj": run.energy_pj,
        "binding": {"resource": run.resource, "kind": run.kind, "share": run.share},
    }  # fmt: skip


def what_if_row(each: WhatIf, base: Run) -> Document:
    """What a change does; `why` in place of figures where the run is not possible."""
    row: Document = {"change": each.change.says, "component": each.change.component, "field": each.change.field}
    if each.run is None:
        return row | {"why": each.why}
    speedup = base.seconds / each.run.seconds if each.run.seconds else 1.0
    return row | {"speedup": speedup, "energy_ratio": each.run.energy_pj / base.energy_pj if base.energy_pj else None, **run_row(each.run)}


def _time_reasons(evaluation: Evaluation, time: Document) -> list[str]:
    cascade, machine = evaluation.evaluator.cascade.name, evaluation.evaluator.architecture.name
    bound, latency = time["bound"]["cycles"], float(evaluation.evaluator.clock.cycles(evaluation.timing.latency))
    begin = f"{cascade} on {machine} takes {in_cycles(evaluation.cycles)}, {si(evaluation.seconds, 's')}"
    if bound and latency / bound < 1 + _SMALL:
        said = [f"{begin}; no mapping takes less: {time['bound']['by']}."]
    elif bound:
        said = [f"{begin}; {times(latency / bound)} the {in_cycles(round(bound))} that no mapping goes below: {time['bound']['by']}."]
    else:
        said = [f"{begin}."]
    stretches = time["stretches"]
    if len(stretches) == 1:
        said.append(_binds(stretches[0]))
    else:
        first = max(stretches, key=lambda each: each["share"])
        said.append(
            f"Its {len(stretches)} parts run one after the other, {' + '.join(first['einsums'])} for {share(first['share'])} of the time."
        )
        said.append(_binds(first, " + ".join(first["einsums"])))
    waiting = sum(each["share"] for each in time["charges"] if each["kind"] in (LATENCY, LAUNCH))
    if waiting > 0.005:
        said.append(f"Filling and draining pipelines and launches take {percent(waiting)} of the time.")
    beyond = sorted((each for each in time["beyond"] if each["share"] > 0.005), key=lambda each: -each["share"])
    if beyond:
        parts = "; ".join(f"{each['says']}: {in_cycles(round(each['cycles']))} ({share(each['share'])})" for each in beyond)
        said.append(f"Beyond the bound it pays for {parts}.")
    return said


def _binds(stretch: Document, named: str = "It") -> str:
    resource, following = stretch["resources"][0], stretch["resources"][1:2]
    name = resource["resource"]
    said = f"{named} is bound by {name}, {percent(resource['share'])} of its time: {stretch['why']}."
    if following and following[0]["share"] > 0:
        said += f" Next is {following[0]['resource']}, {percent(following[0]['share'])}."
    return said


def _energy_sentence(evaluation: Evaluation, found: Sequence[Line]) -> str:
    energy = evaluation.energy
    span = f" (prices {joules(energy.low)} to {joules(energy.high)})" if energy.low < energy.high else ""
    begin = f"It takes {joules(energy.value)}{span}"
    parts = energy_reason(evaluation, found)
    missing = f" Not priced, and not in it: {', '.join(evaluation.unpriced)}." if evaluation.unpriced else ""
    return f"{begin}: {parts}.{missing}" if parts else f"No energy is known.{missing}"


def what_if_reason(document: Document) -> list[str]:
    """The change of one resource that helps most, in a sentence; the clock is none."""
    known = document.get("best_mapping")
    said = [f"The best mapping that a search finds on the machine as it is: {faster(known['speedup'])}."] if known is not None else []
    best = next((each for each in document["what_if"] if "speedup" in each and each["component"]), None)
    if best is None:
        return said
    if best["speedup"] < 1.005:
        return [*said, "Twice as much of any one resource makes it no faster."]
    change, then = best["change"], best["binding"]
    return [*said, f"Of one resource, {change} helps most: {faster(best['speedup'])}, then bound by {then['resource']}."]


def model_explanation(whole: ModelEvaluation, where: Where = str, helps: Helps = NOTHING_HELPS) -> Document:
    """All reasons of a model's layers, and sums over them."""
    used = [(layer.times, each) for layer, each in zip(whole.model.layers, whole.evaluations, strict=True)]
    spent: dict[tuple[str, str], float] = {}
    for count, each in used:
        for charge in charges(each):
            key = charge.resource, charge.kind
            spent[key] = spent.get(key, 0.0) + count * float(each.evaluator.clock.cycles(charge.ticks))
    total = sum(spent.values())
    energy = whole.energy
    ranked = sorted(spent, key=lambda key: (-spent[key], key))
    document: Document = {
        "schema": MODEL_EXPLANATION,
        "model": whole.model.name,
        "architecture": whole.architecture.name,
        "technology": whole.architecture.technology,
        "latency": {"cycles": whole.cycles, "seconds": whole.seconds, "steady_cycles": number(whole.steady_cycles)},
        "energy": {"pj": energy.value, "low": energy.low, "high": energy.high, "static_pj": whole.static.value},
        "time": {
            "charges": [
                {"resource": key[0], "kind": key[1], "cycles": spent[key], "share": spent[key] / total if total else 0.0} for key in ranked
            ]
        },
        "joules": {
            "lines": joule_rows([(count, lines(each)) for count, each in used], where),
            "unpriced": list(dict.fromkeys(name for _, each in used for name in each.unpriced)),
        },
        **helps.to_json(whole.seconds),
        "layers": [
            {"name": layer.cascade.name, "times": layer.times, "explanation": explanation(each, where)}
            for layer, each in zip(whole.model.layers, whole.evaluations, strict=True)
        ],
    }
    return document | {"reasons": _model_reasons(document)}


def _model_reasons(document: Document) -> list[str]:
    spent, energy = document["latency"], document["energy"]
    span = f" (prices {joules(energy['low'])} to {joules(energy['high'])})" if energy["low"] < energy["high"] else ""
    begin = f"{document['model']} on {document['architecture']} takes {in_cycles(spent['cycles'])}, {si(spent['seconds'], 's')}"
    said = [f"{begin}, and {joules(energy['pj'])}{span}."]
    charged = ", ".join(f"{each['resource']} {percent(each['share'])}" for each in document["time"]["charges"][:4] if each["share"] > 0.005)
    said.append(f"What binds it, by time: {charged}.")
    longest = max(document["layers"], key=lambda each: each["times"] * each["explanation"]["latency"]["cycles"])
    part = longest["times"] * longest["explanation"]["latency"]["cycles"] / spent["cycles"] if spent["cycles"] else 0.0
    why_first = next(text for text in longest["explanation"]["reasons"][1:])
    said.append(f"{longest['name']} takes {share(part)} of the time. {why_first}")
    largest = sorted(document["joules"]["lines"], key=lambda each: -each["share"])[:4]
    said.append(
        "Most energy goes to " + ", ".join(f"{each['component']} {each['action']} ({share(each['share'])})" for each in largest) + "."
    )
    if document["joules"]["unpriced"]:
        said.append(f"Not priced, and not in it: {', '.join(document['joules']['unpriced'])}.")
    return [*said, *what_if_reason(document)]
