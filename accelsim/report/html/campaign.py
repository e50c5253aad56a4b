"""A fault campaign as sections of a page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from accelsim.report.html.markup import Html, Section, el, join
from accelsim.report.html.page import note, tile
from accelsim.report.html.searches import share
from accelsim.report.html.shown import NONE, whole
from accelsim.report.html.tables import Cell, Column, figure, table, words

Document = dict[str, Any]


def tiles(document: Document) -> Iterator[Html]:
    """The headline figures."""
    avf = document["avf"]
    interval = (
        "exact: all were injected"
        if all(row["exhaustive"] for row in document["strata"])
        else f"between {_plain(avf['low'])} and {_plain(avf['high'])}"
    )
    yield tile(document["terms"][2] if len(document["terms"]) > 2 else "AVF", _plain(avf["value"]), [interval])
    state = "" if document["finished"] else "not finished: run it again to go on"
    yield tile(
        "injected",
        whole(document["injected"]),
        [f"of {whole(document['population'])} {document['faults']}", f"seed {document['seed']}", state],
    )
    if document["failures"] is not None:
        fit, hours = document["failures"]["fit"], document["failures"]["mttf_h"]
        yield tile(
            "failures",
            f"{_plain(fit['value'])}\u202fFIT",
            [f"mean time to one {_plain(hours['value'])} h", f"rates {document['failures']['rates']}"],
        )


def sections(document: Document, prefix: str = "") -> Iterator[Section]:
    """What comes of faults, by the registers or words that they are in."""
    rows_ = document["strata"]
    shown = [name for name in dict.fromkeys(key for row in rows_ for key in row["shares"]) if any(row["shares"].get(name) for row in rows_)]
    rows = []
    for row in rows_:
        avf = row["avf"]
        span = "exact" if row["exhaustive"] else f"{_plain(avf['low'])} to {_plain(avf['high'])}"
        rows.append(
            [
                words(row["registers"]),
                words(row["block"]),
                figure(row["bits"], whole),
                figure(row["injected"], whole),
                *(figure(row["shares"].get(name), share) for name in shown),
                Cell(_plain(avf["value"]), avf["value"], avf["value"], "limiting"),
                words(span),
            ]
        )
    site = document["terms"][0] if document["terms"] else "registers"
    columns = [
        Column(site, False),
        Column("block", False),
        Column("bits"),
        Column("injected"),
        *(Column(name) for name in shown),
        Column("AVF", about="share of faults that corrupt"),
        Column("interval", False),
    ]
    yield Section(f"{prefix}strata", "Where faults are", table("What comes of faults", columns, rows))
    if document["network"] is not None:
        lines = [
            [
                words(row["layer"]),
                figure(row["population"], whole),
                Cell(_plain(row["avf"]["value"]), row["avf"]["value"], row["avf"]["value"], "limiting"),
            ]
            for row in document["network"]["layers"]
        ]
        yield Section(
            f"{prefix}network",
            "Layers",
            table("By the layer that faults are in", [Column("layer", False), Column("faults"), Column("AVF")], lines),
        )
    if document["failures"] is not None:
        found = document["failures"]
        lines = [
            [
                words(row["registers"]),
                *(figure(each["fit"][end], _plain) for end in ("value", "low", "high")),
                figure(each["raw_fit"]["value"], _plain),
            ]
            for row, each in zip(rows_, found["strata"], strict=False)
        ]
        columns = [Column("registers", False), Column("FIT"), Column("low"), Column("high"), Column("raw FIT")]
        yield Section(f"{prefix}failures", "Failures", table("Failures in a billion hours", columns, lines))
    if document["rtl"] is not None and "agrees" in document["rtl"]:
        says = "every word in every cycle agrees" if document["rtl"]["agrees"] else "some do not agree"
        yield Section(f"{prefix}rtl", "In RTL", note(f"{whole(document['rtl'].get('faults'))} faults were run in RTL too: {says}."))
    confidence = f"Intervals at {100 * document['confidence']:.6g} %."
    yield Section(f"{prefix}notes", "Notes", join([el("ul", el("li", confidence))]))


def _plain(value: float | None) -> str:
    return NONE if value is None else f"{value:.4g}"
