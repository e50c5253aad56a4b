"""Figures of a result that can be held against those of another: by table, row and column."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from accelsim.report.html.shown import data, joules, percent, seconds, square, whole

Document = dict[str, Any]
HEADLINE = "Headline figures"


class Fact(NamedTuple):
    """One figure; `costs`: less of it is better, otherwise neither is."""

    table: str
    row: str
    column: str
    value: float
    show: Callable[[float | None], str]
    costs: bool = True


def facts(document: Document) -> Iterator[Fact]:
    """All figures of a result that others may have too, the most important first."""
    if "latency" in document:
        yield Fact(HEADLINE, "time", "", document["latency"]["seconds"], seconds)
        yield Fact(HEADLINE, "cycles", "", document["latency"]["cycles"], whole)
    if "energy_pj" in document:
        yield Fact(HEADLINE, "energy", "", document["energy_pj"], joules)
    if "latency" in document and "energy_pj" in document:
        yield Fact(HEADLINE, "energy × time", "", document["energy_pj"] * document["latency"]["seconds"] * 1e-12, _joule_seconds)
    if "static_energy_pj" in document:
        yield Fact(HEADLINE, "static energy", "", document["static_energy_pj"], joules)
    for memory, row in document.get("traffic", {}).items():
        yield Fact(HEADLINE, f"{memory} traffic", "", row["read_bytes"] + row["write_bytes"], data)
    if document.get("area_um2"):
        yield Fact(HEADLINE, "area", "", document["area_um2"], square)
    inference = document.get("inference", {})
    if inference.get("seconds_to_first_token") is not None:
        yield Fact(HEADLINE, "time to the first token", "", inference["seconds_to_first_token"], seconds)
    if inference.get("energy_pj_per_token") is not None:
        yield Fact(HEADLINE, "energy a token", "", inference["energy_pj_per_token"], joules)
    yield from _evaluated(document)
    yield from _simulated(document)
    yield from _layers(document)
    yield from _injected(document)


def _evaluated(document: Document) -> Iterator[Fact]:
    for name, row in document.get("components", {}).items():
        yield from _given("Components", name, (("busy cycles", row["busy_cycles"], whole), ("energy", row["energy_pj"], joules)))
    for name, row in document.get("einsums", {}).items():
        yield from _given("Einsums", name, (("busy cycles", row["busy_cycles"], whole), ("energy", row["energy_pj"], joules)))
    for name, row in (document.get("traffic", {}) | document.get("networks", {})).items():
        out, into = (row.get(first, row.get(second)) for first, second in (("read_bytes", "down_bytes"), ("write_bytes", "up_bytes")))
        yield from _given("Traffic", name, (("read", out, data), ("written", into, data)))


def _simulated(document: Document) -> Iterator[Fact]:
    for name, unit in document.get("units", {}).items():
        busy, lost = sum(unit["busy_cycles"].values()), sum(wait["cycles"] for wait in unit["waits"])
        yield from _given("Units and ports", name, (("busy cycles", busy, whole), ("waits", lost, whole)))
    for name, port in document.get("ports", {}).items():
        yield from _given("Units and ports", name, (("busy cycles", port["busy_cycles"], whole),))


def _layers(document: Document) -> Iterator[Fact]:
    for layer in document.get("layers", []):
        one = layer.get("evaluation") or layer["simulation"]
        took = one["latency"]["cycles"] * layer["times"]
        yield from _given("Layers", layer["name"], (("cycles", took, whole), ("energy", one["energy_pj"] * layer["times"], joules)))


def _injected(document: Document) -> Iterator[Fact]:
    if "strata" not in document:
        return
    if document["avf"]["value"] is not None:
        yield Fact(HEADLINE, "AVF", "", document["avf"]["value"], percent)
    if document["failures"] is not None and document["failures"]["fit"]["value"] is not None:
        yield Fact(HEADLINE, "FIT", "", document["failures"]["fit"]["value"], lambda value: "–" if value is None else f"{value:.4g}")
    for row in document["strata"]:
        yield from _given("Where faults are", f"{row['block']} {row['registers']}", (("AVF", row["avf"]["value"], percent),))


def _given(table: str, row: str, columns: tuple[tuple[str, float | None, Callable[[float | None], str]], ...]) -> Iterator[Fact]:
    for column, value, show in columns:
        if value is not None:
            yield Fact(table, row, column, value, show)


def _joule_seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}\u202fJ·s"
