"""The page of a result, or of several side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from accelsim.report.html import beside, campaign, evaluation, explanation, model, searches, simulation, sweep
from accelsim.report.html.markup import Html, Section, el, join
from accelsim.report.html.page import heading, page
from accelsim.report.html.timeline import columns, timeline

Document = dict[str, Any]


class Kind(NamedTuple):
    """How results of a schema are shown: their headline figures, what limits them, and their sections."""

    noun: str
    tiles: Callable[[Document], Iterable[Html]]
    limits: Callable[[Document], Html | None]
    sections: Callable[[Document, str], Iterator[Section]]


def _nothing(document: Document) -> None:
    return None


KINDS = {
    "accelsim/evaluation/1": Kind("evaluation", evaluation.tiles, evaluation.limits, evaluation.sections),
    "accelsim/model-evaluation/1": Kind("evaluation of a model", model.tiles, model.limits, model.sections),
    "accelsim/simulation/1": Kind("simulation", simulation.tiles, _nothing, simulation.sections),
    "accelsim/model-simulation/1": Kind("simulation of a model", model.tiles, _nothing, model.simulation_sections),
    "accelsim/explanation/1": Kind("explanation", explanation.tiles, _nothing, explanation.sections),
    "accelsim/front/1": Kind("Pareto front", searches.front_tiles, _nothing, searches.front_sections),
    "accelsim/compare/1": Kind("searches side by side", searches.comparison_tiles, _nothing, searches.comparison_sections),
    "accelsim/exploration/1": Kind("sweep", sweep.tiles, _nothing, sweep.sections),
    "accelsim/campaign/2": Kind("fault campaign", campaign.tiles, _nothing, campaign.sections),
}


def report(document: Document, trace: Document | None = None, reasons: Document | None = None) -> str:
    """One result as a page. `trace`: the events of a simulation, as `accelsim simulate --trace` writes them; `reasons`: its explanation."""
    kind = KINDS[document["schema"]]
    data: dict[str, Any] = {}
    if trace is not None and kind.sections is simulation.sections:
        data["events"] = columns(trace)
        drawn = timeline(data["events"], "events", document["latency"]["cycles"])
        sections = list(simulation.sections(document, timeline=drawn))
    else:
        sections = list(kind.sections(document, ""))
    if reasons is not None:
        first, *others = explanation.sections(reasons)
        sections = [first, *sections[:-1], *others, sections[-1]]
    about = [f"{_first(kind.noun)}{_mapping(document)}{_found(document)}."]
    below = kind.limits(document)
    head = heading(_title(document), about, list(kind.tiles(document)), [below] if below is not None else [])
    return page(name(document), head, sections, data)


def explained(documents: Sequence[Document]) -> tuple[Document, Document] | None:
    """Of two results an evaluation and what explains it, whichever comes first."""
    for one, other in (documents, documents[::-1]) if len(documents) == 2 else ():
        schemas = one["schema"], other["schema"]
        if schemas == ("accelsim/evaluation/1", "accelsim/explanation/1") and explanation.matches(other, one):
            return one, other
    return None


def reports(files: Sequence[str], documents: Sequence[Document]) -> str:
    """Results side by side: what they share with differences and ratios to the first, then each by itself. `files`: what each is called."""
    parts = list(beside.sections(documents))
    for number, document in enumerate(documents):
        kind = KINDS[document["schema"]]
        prefix = f"{beside.LETTERS[number].lower()}-"
        below = kind.limits(document)
        inner = [el("section", el("h3", part.title), part.body, id=part.name) for part in kind.sections(document, prefix)]
        whole = el("details", el("summary", f"All of {beside.LETTERS[number]}: {name(document)}"), *inner, class_="layer")
        body = join([el("div", *kind.tiles(document), class_="tiles"), below, whole])
        parts.append(Section(f"{prefix}all", f"{beside.LETTERS[number]}: {name(document)}", body))
    names = list(dict.fromkeys(name(document) for document in documents))
    title = join([" and ".join(names) if len(names) < 3 else f"{len(documents)} results"])
    lines = [
        el(
            "p",
            beside.chip(number),
            el("b", path),
            f" {name(document)}{_mapping(document)}, {KINDS[document['schema']].noun}",
            class_="about",
        )
        for number, (path, document) in enumerate(zip(files, documents, strict=True))
    ]
    head = el("div", el("h1", title), *lines, el("div", *beside.tiles(documents), class_="tiles"), class_="head")
    return page(" and ".join(names) if len(names) < 3 else f"{len(documents)} results side by side", head, parts, {})


def name(document: Document) -> str:
    """What a result is of."""
    return " on ".join([_subject(document), *([str(document["architecture"])] if "architecture" in document else [])])


def _subject(document: Document) -> str:
    return str(next(document[key] for key in ("workload", "model", "campaign", "sweep") if isinstance(document.get(key), str)))


def _title(document: Document) -> Html:
    machine = document.get("architecture")
    return join([_subject(document), *([el("small", " on "), str(machine)] if machine else [])])


def _mapping(document: Document) -> str:
    mapping = document.get("mapping")
    return f", mapping '{mapping}'" if mapping and mapping != name(document) else ""


def _found(document: Document) -> str:
    """How the mapping was found, in a few words."""
    search = document.get("search")
    if not search or "objective" not in search:
        return ""
    return f", the best mapping found for {search['objective']}" + (", proved optimal" if search["proved_optimal"] else "")


def _first(text: str) -> str:
    return text[:1].upper() + text[1:]
