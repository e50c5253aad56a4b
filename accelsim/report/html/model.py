"""The evaluation or simulation of a model as sections of a page: the whole, its phases and layers, and every different layer by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from accelsim.report.figures import in_cycles, si
from accelsim.report.html import evaluation, simulation
from accelsim.report.html.markup import Html, Section, anchor, el, join
from accelsim.report.html.page import note, tile
from accelsim.report.html.shown import data, joules, percent, seconds, times, whole
from accelsim.report.html.tables import Column, figure, table, words

Document = dict[str, Any]


def tiles(document: Document) -> Iterator[Html]:
    """The headline figures."""
    latency = document["latency"]
    count = sum(layer["times"] for layer in document["layers"])
    yield tile(
        "time",
        seconds(latency["seconds"]),
        [in_cycles(latency["cycles"]), f"{count} layers one after the other"],
        f"{latency['seconds']!r} s",
    )
    yield tile("energy", joules(document["energy_pj"]), _prices(document), f"{document['energy_pj']!r} pJ")
    for memory, row in list(document.get("traffic", {}).items())[:1]:
        total, compulsory = row["read_bytes"] + row["write_bytes"], document["bounds"]["compulsory_bytes"]
        yield tile(
            f"{memory} traffic", data(total), [f"{times(total / compulsory)} the compulsory {data(compulsory)}"] if compulsory else []
        )
    if "inference" in document:
        found = document["inference"]
        if found["seconds_to_first_token"] is not None:
            yield tile("first token", seconds(found["seconds_to_first_token"]))
        if found["tokens_per_s"] is not None:
            yield tile("tokens/s", whole(found["tokens_per_s"]), [f"{joules(found['energy_pj_per_token'])} a token"])


def limits(document: Document) -> Html | None:
    """What limits the layers, by how long, and the layer that takes longest."""
    spent: dict[str, float] = {}
    for layer in document["layers"]:
        resource = (layer["evaluation"].get("limits") or {}).get("resource")
        if resource is not None:
            spent[resource] = spent.get(resource, 0.0) + _cycles(layer)
    if not spent:
        return None
    cycles = document["latency"]["cycles"] or 1
    first, *others = sorted(spent, key=lambda name: -spent[name])
    rest = "".join(f", by {name} for {percent(spent[name] / cycles)}" for name in others)
    longest = max(document["layers"], key=_cycles)
    relief = (longest["evaluation"].get("limits") or {}).get("relief", "").rstrip(".")
    says = el("p", f"{longest['name']} takes {percent(_cycles(longest) / cycles)}" + (f": {relief}." if relief else "."))
    return el(
        "div",
        el("p", "Limited by ", el("strong", first), f" for {percent(spent[first] / cycles)} of the time{rest}."),
        says,
        class_="limits",
        role="note",
    )


def sections(document: Document, prefix: str = "") -> Iterator[Section]:
    """All of a model's evaluation."""
    if "serving" in document:
        yield Section(f"{prefix}serving", "Served", _serving(document["serving"]))
    if "phases" in document:
        yield Section(f"{prefix}phases", "Phases", phases(document))
    yield Section(f"{prefix}layers", "Layers", _layers(document))
    yield Section(f"{prefix}each", "Each layer", _each(document, "evaluation", evaluation.tiles, evaluation.sections, prefix))


def simulation_sections(document: Document, prefix: str = "") -> Iterator[Section]:
    """All of a model's simulation."""
    if "phases" in document:
        yield Section(f"{prefix}phases", "Phases", phases(document))
    cycles = document["latency"]["cycles"]
    rows = []
    for layer in document["layers"]:
        one = layer["simulation"]
        took, model = one["latency"]["cycles"], one["model"]["cycles"]
        rows.append(
            [
                words(layer["name"]),
                figure(layer["times"], whole),
                figure(took, whole),
                figure(layer["times"] * took / cycles if cycles else None, percent, 1.0),
                figure(took / model if model else None, times),
                figure(layer["times"] * one["energy_pj"], joules),
            ]
        )
    columns = [
        Column("layer", False),
        Column("times"),
        Column("cycles each"),
        Column("of the time"),
        Column("beside the model"),
        Column("energy"),
    ]
    yield Section(f"{prefix}layers", "Layers", table("Layers in their order", columns, rows))
    yield Section(f"{prefix}each", "Each layer", _each(document, "simulation", simulation.tiles, simulation.sections, prefix))


def phases(document: Document) -> Html:
    """What the phases of inference take."""
    rows = [
        [
            words(phase["name"]),
            words(", ".join(f"{name} {percent(share)}" for name, share in phase.get("limited_by", {}).items()) or "–"),
            figure(phase["steps"], whole),
            figure(phase["tokens"], whole),
            figure(phase["seconds_per_step"], seconds),
            figure(phase["seconds"], seconds),
            figure(phase["tokens_per_s"], whole),
            figure(phase["energy_pj_per_token"], joules),
        ]
        for phase in document["phases"]
    ]
    columns = [
        Column("phase", False),
        Column("limited by", False),
        Column("steps"),
        Column("tokens"),
        Column("time a step"),
        Column("time in all"),
        Column("tokens/s"),
        Column("energy a token"),
    ]
    return table("Phases of inference", columns, rows)


def _prices(document: Document) -> list[str]:
    low, high = document.get("energy_pj_low"), document.get("energy_pj_high")
    return [f"prices {joules(low)} to {joules(high)}"] if low is not None and high is not None and low < high else []


def _cycles(layer: Document) -> float:
    return float(layer["times"] * layer["evaluation"]["latency"]["cycles"])


def _serving(kept: Document) -> Html:
    rows = [
        [words(name), figure(kept[key], data)]
        for name, key in (
            ("weights", "weight_bytes"),
            ("cache", "cache_bytes"),
            ("cache of a token", "cache_bytes_per_token"),
            ("state", "state_bytes"),
            ("state of a sequence", "state_bytes_per_sequence"),
            ("all that stays", "resident_bytes"),
            (f"size of {kept['memory']}", "memory_bytes"),
        )
    ]
    fits = {True: "fits", False: "does not fit", None: "has no size to fit into"}[kept["fits"]]
    says = f"Batch {whole(kept['batch'])}, context {whole(kept['context'])}, {si(kept['parameters'], '')} parameters: {fits}."
    return join(
        [table("What lies in the outermost memory when the last token is made", [Column("what", False), Column("bytes")], rows), note(says)]
    )


def _layers(document: Document) -> Html:
    cycles, energy = document["latency"]["cycles"], document["energy_pj"]
    rows = []
    for layer in document["layers"]:
        one = layer["evaluation"]
        limiting = (one.get("limits") or {}).get("resource", "–")
        rows.append(
            [
                words(layer["name"]),
                figure(layer["times"], whole),
                figure(one["latency"]["cycles"], whole),
                figure(_cycles(layer) / cycles if cycles else None, percent, 1.0),
                words(limiting),
                figure(layer["times"] * one["energy_pj"], joules),
                figure(layer["times"] * one["energy_pj"] / energy if energy else None, percent, 1.0, "energy"),
            ]
        )
    columns = [
        Column("layer", False),
        Column("times"),
        Column("cycles each"),
        Column("of the time"),
        Column("limited by", False),
        Column("energy", about="of all its uses"),
        Column("of the energy"),
    ]
    return table("Layers in their order", columns, rows)


def _each(
    document: Document,
    key: str,
    tiles_of: Callable[[Document], Iterator[Html]],
    sections_of: Callable[[Document, str], Iterator[Section]],
    prefix: str,
) -> Html:
    """Every different layer, folded; alike ones once."""
    shown: list[tuple[str, Document]] = []
    parts = []
    for place, layer in enumerate(document["layers"]):
        one = layer[key]
        figures = {name: value for name, value in one.items() if name not in ("workload", "mapping", "nest", "search")}
        known = next((name for name, other in shown if other == figures), None)
        if known is not None:
            parts.append(note(f"{layer['name']}: the same as {known}."))
            continue
        shown.append((layer["name"], figures))
        inner = [el("section", el("h3", part.title), part.body, id=part.name) for part in sections_of(one, f"{prefix}layer-{place}-")]
        head = el(
            "summary", layer["name"], el("span", f"  {seconds(one['latency']['seconds'])}, {joules(one['energy_pj'])}", class_="quiet")
        )
        parts.append(
            el(
                "details",
                head,
                el("div", *tiles_of(one), class_="tiles"),
                *inner,
                class_="layer",
                id=f"{prefix}layer-{place}-{anchor(layer['name'])}",
            )
        )
    return join(parts)
