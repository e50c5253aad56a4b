"""Several results side by side: every figure that they share, with differences and ratios to the first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from accelsim.report.html.facts import HEADLINE, Fact, facts
from accelsim.report.html.markup import Html, Section, anchor, el, join
from accelsim.report.html.page import note, tile
from accelsim.report.html.shown import NONE, joules, percent, times
from accelsim.report.html.tables import Cell, Column, table, words

Document = dict[str, Any]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ROWS = {HEADLINE: "figure", "Components": "component", "Einsums": "Einsum", "Traffic": "memory or network", "Layers": "layer"}
_SAME = 1e-9  # relative: what two results may differ by and still be the same


def chip(number: int) -> Html:
    """The letter of a result in its colour."""
    return el("span", LETTERS[number], class_=f"chip c{number % 6}")


def tiles(documents: Sequence[Document]) -> Iterator[Html]:
    """How the second compares with the first, of two; how many times the first each is, of more."""
    every = [{(fact.table, fact.row, fact.column): fact for fact in facts(document)} for document in documents]
    traffic = [fact.row for fact in every[0].values() if fact.table == HEADLINE and fact.row.endswith(" traffic")]
    for row in ("time", "energy", *traffic[:1], "AVF"):
        found = [each.get((HEADLINE, row, "")) for each in every]
        first = found[0]
        if first is None or any(fact is None for fact in found):
            continue
        values = [fact for fact in found if fact is not None]
        shown = [f"{LETTERS[at]} {fact.show(fact.value)}" for at, fact in enumerate(values)]
        if len(values) == 2:
            ratio = values[1].value / first.value if first.value else None
            says = apart(ratio)
            yield el(
                "div",
                el("span", f"{row}, B to A", class_="name"),
                el("strong", el("span", says, class_=_colour(values[1], first)), data_figure=row),
                el("span", " · ".join(shown), class_="detail"),
                class_="tile",
            )
        else:
            best = min(range(len(values)), key=lambda at: values[at].value)
            yield tile(f"least {row}", f"{LETTERS[best]}: {values[best].show(values[best].value)}", [" · ".join(shown)])


def sections(documents: Sequence[Document]) -> Iterator[Section]:
    """A table for each kind of figure; a figure that a result lacks stays empty."""
    every: dict[str, dict[str, dict[str, list[Fact | None]]]] = {}
    for number, document in enumerate(documents):
        for fact in facts(document):
            row = every.setdefault(fact.table, {}).setdefault(fact.row, {})
            row.setdefault(fact.column, [None] * len(documents))[number] = fact
    if not every:
        yield Section("none", "Side by side", note("These results have no figure in common; each stands below."))
    for title, rows in every.items():
        yield Section(f"both-{anchor(title.lower())}", title, _table(title, rows, len(documents)))
        if title == HEADLINE and len(documents) == 2 and all("components" in document for document in documents):
            yield Section("both-energy", "Where the energy differs", _difference(*documents))


def apart(ratio: float | None) -> str:
    """A ratio in words: how many times less or more, or by how much per cent where that is little."""
    if ratio is None or abs(ratio - 1) <= _SAME:
        return NONE if ratio is None else "the same"
    less, factor = ratio < 1, ratio if ratio >= 1 else 1 / ratio if ratio > 0 else 0.0
    if not factor:
        return "none"
    return f"{'−' if less else '+'}{100 * abs(ratio - 1):.2g}\u202f%" if factor < 1.1 else f"{times(factor)} {'less' if less else 'more'}"


def ratio_text(ratio: float | None) -> str:
    """A ratio with as many digits as it takes to see that it is not 1."""
    if ratio is None:
        return NONE
    if abs(ratio - 1) <= _SAME:
        return "the same"
    return f"{ratio:.4f}×" if abs(ratio - 1) < 0.01 else f"{ratio:,.0f}×" if ratio >= 100 else f"{ratio:.3g}×"


def _table(title: str, rows: dict[str, dict[str, list[Fact | None]]], many: int) -> Html:
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    heads = [Column(_ROWS.get(title, "name"), False)]
    for column in columns:
        lead = f"{column} " if column else ""
        heads += [Column(f"{lead}{LETTERS[number]}") for number in range(many)]
        if many == 2:
            heads.append(Column("difference", about="B less A"))
        heads += [Column("ratio" if many == 2 else f"{LETTERS[number]}/A", about="to A") for number in range(1, many)]
    lines = []
    for name, row in rows.items():
        cells = [words(name)]
        for column in columns:
            cells += _cells(row.get(column, [None] * many))
        lines.append(cells)
    says = "B less A, and how many times A" if many == 2 else "and how many times A each is"
    return table(f"Of each result; {says}. Green: less, red: more.", heads, lines)


def _cells(found: Sequence[Fact | None]) -> Iterator[Cell]:
    """The values, the difference of two, and the ratios to the first."""
    for fact in found:
        yield Cell(NONE, None) if fact is None else Cell(fact.show(fact.value), fact.value)
    first = found[0]
    if len(found) == 2:
        yield _apart(first, found[1])
    for fact in found[1:]:
        ratio = fact.value / first.value if fact is not None and first is not None and first.value else None
        kind = _colour(fact, first) if fact is not None and first is not None else ""
        yield Cell(ratio_text(ratio), ratio, None, kind)


def _apart(first: Fact | None, second: Fact | None) -> Cell:
    if first is None or second is None:
        return Cell(NONE, None)
    apart = second.value - first.value
    if abs(apart) <= _SAME * max(abs(first.value), abs(second.value)):
        return Cell("0", 0.0)
    return Cell(("+" if apart > 0 else "−") + second.show(abs(apart)), apart, None, _colour(second, first))


def _colour(fact: Fact, first: Fact) -> str:
    """Better or worse than the first, by more than rounding."""
    if not fact.costs or abs(fact.value - first.value) <= _SAME * max(abs(fact.value), abs(first.value)):
        return ""
    return "better" if fact.value < first.value else "worse"


def _difference(first: Document, second: Document) -> Html:
    """A waterfall from the energy of the first to that of the second, by component, the largest difference first."""
    energies = [
        {name: row["energy_pj"] or 0.0 for name, row in each["components"].items()} | {"static": each["static_energy_pj"]}
        for each in (first, second)
    ]
    names = dict.fromkeys([*energies[0], *energies[1]])
    steps = sorted(((name, energies[1].get(name, 0.0) - energies[0].get(name, 0.0)) for name in names), key=lambda step: -abs(step[1]))
    begin, end = first["energy_pj"], second["energy_pj"]
    steps = [step for step in steps if abs(step[1]) > _SAME * max(begin, end)]
    if not steps:
        return note("Every component takes the same energy.")
    levels = [begin]
    for _, apart in steps:
        levels.append(levels[-1] + apart)
    most = max(*levels, end) or 1.0
    rows = [_bar("A", 0.0, begin, most, "whole", joules(begin))]
    for (name, apart), level in zip(steps, levels, strict=False):
        says = f"{'+' if apart > 0 else '−'}{joules(abs(apart))}  {percent(abs(apart) / begin) if begin else ''}"
        rows.append(_bar(name, min(level, level + apart), abs(apart), most, "worse" if apart > 0 else "better", says))
    rows.append(_bar("B", 0.0, end, most, "whole", joules(end)))
    return join([el("ul", *rows, class_="falls"), note("From A's energy to B's by component; percentages are of A's whole.")])


def _bar(name: str, start: float, length: float, most: float, kind: str, says: str) -> Html:
    place = f"left:{100 * start / most:.3f}%;width:{100 * length / most:.3f}%"
    return el(
        "li",
        el("span", name, class_="name"),
        el("span", el("span", class_=kind, style=place), class_="track", aria_hidden="true"),
        el("span", says, class_="says"),
    )
