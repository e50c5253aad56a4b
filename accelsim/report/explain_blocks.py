"""An explanation on a terminal: the reasons as sentences, then tables of cycles, of joules with their rows, and of what would help."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from accelsim.report.figures import joules, percent, si, times, whole
from accelsim.report.terminal import table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

Document = dict[str, Any]
_MOST = 12  # rows of a table of charges
_MANY = {"bit": "bits", "access": "accesses", "operation": "operations"}
_SHARE = 0.0005  # below which a row is left out


def explanation_blocks(document: Document) -> Iterator[RenderableType]:
    """What a person wants to know about the reasons, most important first."""
    yield reasons(document)
    if len(document["time"]["stretches"]) > 1:
        yield _stretches(document)
    if document["time"]["charges"]:
        yield _charges(document)
    if any(each["share"] > _SHARE for each in document["time"]["beyond"]):
        yield _beyond(document)
    yield from joule_blocks(document)
    yield from what_if_blocks(document)


def model_explanation_blocks(document: Document) -> Iterator[RenderableType]:
    """The same of a model: its layers, and sums over them."""
    yield reasons(document)
    rows = table("layer", "bound by", "times", "cycles each", "of the time", "to its bound", "energy each", left=2)
    for layer in document["layers"]:
        found = layer["explanation"]
        cycles, binding = found["latency"]["cycles"], found["time"]["binding"]
        part = layer["times"] * cycles / document["latency"]["cycles"] if document["latency"]["cycles"] else 0.0
        bound = found["time"]["bound"]["cycles"]
        ratio = times(cycles / bound) if bound else "-"
        said = f"{binding['resource']} {percent(binding['share'])}"
        rows.add_row(layer["name"], said, whole(layer["times"]), whole(cycles), percent(part), ratio, joules(found["energy"]["pj"]))
    yield rows
    yield from joule_blocks(document)
    yield from what_if_blocks(document)
    if "partial" not in document:
        yield "`--layer NAME` explains one layer alone."


def reasons(document: Document) -> Text:
    """The sentences, each on a line of its own."""
    from rich.text import Text

    first, *others = document["reasons"]
    return Text("\n\n").join([Text(first, "bold"), *map(Text, others)])


def _stretches(document: Document) -> Table:
    rows = table("part", "bound by", "cycles", "of the time", "next", left=2)
    for each in document["time"]["stretches"]:
        following = each["resources"][1:2]
        said = f"{following[0]['resource']} {percent(following[0]['share'])}" if following else "-"
        rows.add_row(" + ".join(each["einsums"]), each["binding"]["resource"], whole(round(each["cycles"])), percent(each["share"]), said)
    return rows


def _charges(document: Document) -> Table:
    rows = table("cycles pass for", "Einsum", "tensor", "cycles", "of the time", left=3)
    ranked = sorted((each for each in document["time"]["charges"] if each["share"] > _SHARE), key=lambda each: -each["share"])
    for each in ranked[:_MOST]:
        rows.add_row(each["resource"], each["einsum"] or "-", each["tensor"] or "-", whole(round(each["cycles"])), percent(each["share"]))
    if len(ranked) > _MOST:
        left = ranked[_MOST:]
        rows.add_row(
            f"{len(left)} more", "", "", whole(round(sum(each["cycles"] for each in left))), percent(sum(each["share"] for each in left))
        )
    return rows


def _beyond(document: Document) -> Table:
    rows = table("beyond the bound, in this order", "cycles", "of the time")
    bound, latency = document["time"]["bound"]["cycles"], document["latency"]["cycles"]
    rows.add_row(f"the bound: {document['time']['bound']['by']}", whole(round(bound)), percent(bound / latency if latency else None))
    for each in document["time"]["beyond"]:
        if each["share"] > _SHARE:
            rows.add_row(each["says"], whole(round(each["cycles"])), percent(each["share"]))
    return rows


def joule_blocks(document: Document) -> Iterator[RenderableType]:
    """Every joule with its price, and the rows that prices come from."""
    found = document["joules"]["lines"]
    if not any(line["terms"] for line in found):
        return
    cited: dict[str, int] = {}
    rows = table("energy of", "times", "each", "low", "high", "in all", "of it", "rows")
    rows.columns[0].no_wrap = True
    small = [line for line in found if line["share"] < _SHARE]
    for line in (line for line in found if line["share"] >= _SHARE):
        named = [words for term in line["terms"] for figure in term["figures"] for words in _cited(figure)]
        marks = dict.fromkeys(cited.setdefault(words, len(cited) + 1) for words in named)
        many = si(line["count"], "s") if line["unit"] == "s" else f"{si(line['count'], '')} {_MANY[line['unit']]}"
        each, low, high = (_each(line[f"price_pj{end}"], line["unit"]) for end in ("", "_low", "_high"))
        name, energy = f"{line['component']} {line['action']}", joules(line["energy_pj"])
        rows.add_row(name, many, each, low, high, energy, percent(line["share"]), ",".join(map(str, marks)))
    if small:
        energy, part = (sum(line[key] for line in small) for key in ("energy_pj", "share"))
        rows.add_row(f"{len(small)} smaller ones", "", "", "", "", joules(energy), percent(part), "")
    yield rows
    from rich.table import Table

    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column()
    for said, mark in cited.items():
        grid.add_row(str(mark), said)
    yield grid


def _each(picojoules: float, unit: str) -> str:
    """A price: of a second in watts, of anything else in joules, down to femtojoules."""
    if unit == "s":
        return si(picojoules * 1e-12, "W")
    return si(1000 * picojoules, "fJ") if 0.001 <= picojoules < 0.1 else joules(picojoules)


def _cited(figure: Document) -> Iterator[str]:
    """A row and its source in words; of an interpolated figure, both rows."""
    if figure["between"]:
        for each in figure["between"]:
            yield from _cited(each)
        return
    what = " ".join(filter(None, (figure["place"] or "made in Python", figure["table"], figure["component"], figure["action"])))
    source = figure["source"].removeprefix(f"{figure['kind']}: ")
    yield f"{what}, {figure['kind']}: {source or 'no source'}"


def what_if_blocks(document: Document) -> Iterator[RenderableType]:
    """What changes of the machine do; those that change no time in a line of their own."""
    found = document["what_if"]
    if not found:
        return
    useful = [each for each in found if "speedup" in each and abs(each["speedup"] - 1) >= 0.005]
    same = [each for each in found if "speedup" in each and abs(each["speedup"] - 1) < 0.005]
    if useful:
        rows = table("what if", "time", "cycles", "energy", "then bound by", left=1)
        for each in useful:
            ratio = times(each["speedup"]) + " faster" if each["speedup"] > 1 else times(1 / each["speedup"]) + " slower"
            binding = each["binding"]
            then = f"{binding['resource']} {percent(binding['share'])}"
            rows.add_row(each["change"], ratio, whole(round(each["cycles"])), _change(each["energy_ratio"]), then)
        yield rows
    if same:
        said = ", ".join(f"{each['change']} ({_change(each['energy_ratio'])})" for each in same)
        sizes = any(each["field"] == "size" for each in same) and "best_mapping" not in document
        more = " What a larger size is good for is another mapping: --remap looks for it." if sizes else ""
        yield f"No change in time, and in energy: {said}.{more}"
    for each in found:
        if "speedup" not in each:
            yield f"{each['change']}: not with this mapping: {each['why']}."


def _change(ratio: float | None) -> str:
    return "-" if ratio is None else f"{100 * (ratio - 1):+.1f} %"
