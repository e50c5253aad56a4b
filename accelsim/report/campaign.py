"""A fault campaign as JSON and on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from accelsim.faults.campaign import Outcome
from accelsim.faults.confirmation import Confirmation
from accelsim.faults.metrics import avf, mttf_h, raw_fit
from accelsim.faults.outcomes import NAMES
from accelsim.faults.ranges import Range
from accelsim.faults.rates import Rates

if TYPE_CHECKING:
    from rich.console import RenderableType

SCHEMA = "accelsim/campaign/1"


def document(outcome: Outcome, confirmed: Confirmation | None = None) -> dict[str, Any]:
    """All of it as plain data; shares as value, low and high."""
    campaign, strata = outcome.campaign, []
    for number, found in enumerate(outcome.found):
        stratum, tally = found.stratum, found.tally
        row = {
            "block": stratum.block, "registers": stratum.name, "role": stratum.role, "bits": stratum.bits, "population": stratum.population,
            "injected": tally.total, "exhaustive": found.exhaustive, "masked": found.masked.to_json(), "silent": found.silent.to_json(),
            "unrecovered": found.unrecovered.to_json(), "pilot": found.pilot, **tally.to_json(),
        }  # fmt: skip
        if tally.worst[0] >= 0:
            row["worst"] = {**tally.to_json()["worst"], **campaign.target.site(number, tally.worst[0])}
        strata.append(row)
    return {
        "schema": SCHEMA, "campaign": campaign.name, "seed": campaign.seed, "finished": outcome.finished,
        "confidence": campaign.sample.confidence, "injected": sum(each.tally.total + each.pilot for each in outcome.found),
        "population": sum(each.stratum.population for each in outcome.found), "avf": outcome.avf().to_json(),
        "avf_likely": outcome.likely(outcome.shares).to_json(), "strata": strata,
        "failures": None if campaign.rates is None else failures(outcome, campaign.rates),
        "rtl": None if confirmed is None else confirmed.to_json(),
    }  # fmt: skip


def failures(outcome: Outcome, rates: Rates) -> dict[str, Any]:
    """FIT and hours to a failure of these registers while they do this all the time, each as value, low and high.

    `fit`: at the rates as they stand, between the bounds of what was injected; `fit_of_rates`: at any rates between theirs too;
    `fit_likely`: at the rates as they stand, by its posterior.
    """
    cells = {found.stratum.cell: rates.of(found.stratum.cell) for found in outcome.found}
    by_block: dict[str, list[Range]] = {}
    strata = []
    for found in outcome.found:
        raw = raw_fit(rates, found.stratum.cell, found.stratum.bits)
        fit, doubted = found.avf.times(raw.value), found.avf.times(raw)
        by_block.setdefault(found.stratum.block, []).append(doubted)
        strata.append((fit, doubted, raw))
    fit, doubted, raw = (Range.total(each[at] for each in strata) for at in range(3))
    shares = avf((found.stratum.block, found.stratum.bits, found.avf) for found in outcome.found)
    return {
        "rates": rates.name,
        "cells": {
            name: {"fit_per_bit": rate.fit.to_json(), "kind": rate.kind, "source": rate.source, "doubt": rate.doubt}
            for name, rate in cells.items()
        },
        "strata": [{"raw_fit": raw.to_json(), "fit": fit.to_json(), "fit_of_rates": doubted.to_json()} for fit, doubted, raw in strata],
        "blocks": {name: {"avf": share.to_json(), "fit_of_rates": Range.total(by_block[name]).to_json()} for name, share in shares.items()},
        "raw_fit": raw.to_json(), "fit": fit.to_json(), "fit_of_rates": doubted.to_json(),
        "fit_likely": outcome.likely([raw.value for _, _, raw in strata]).to_json(),
        "mttf_h": mttf_h(fit).to_json(), "mttf_of_rates_h": mttf_h(doubted).to_json(),
    }  # fmt: skip


def blocks(whole: dict[str, Any]) -> Iterator[RenderableType]:
    """The report."""
    from rich.table import Table

    state = "" if whole["finished"] else ", not finished: run it again to go on"
    yield f"{whole['campaign']}: {whole['injected']:,} of {whole['population']:,} upsets injected (seed {whole['seed']}){state}"
    shown = [name for name in NAMES if any(row["outcomes"][name] for row in whole["strata"])]
    sampled = [] if all(row["exhaustive"] for row in whole["strata"]) else [f"{whole['confidence']:.0%} interval"]
    decided = ["decisions"] if any(row["decisions_changed"] for row in whole["strata"]) else []
    where = ["block"] if len({row["block"] for row in whole["strata"]}) > 1 else []
    names = [*where, "words" if where else "registers"]
    table = Table(*names, "bits", "injected", *shown, *decided, "AVF", *sampled, "largest", box=None, pad_edge=False)
    for column in table.columns:
        column.no_wrap, column.justify = True, "left" if column.header in names else "right"
    for row in whole["strata"]:
        shares = [_share(row["outcomes"][name], row["injected"]) for name in shown]
        shares += [_share(row["decisions_changed"], row["injected"]) for _ in decided]
        value, low, high = (row["silent"][at] + row["unrecovered"][at] for at in range(3))
        interval = ["exact" if row["exhaustive"] else f"{low:.4f} {min(1, high):.4f}" for _ in sampled]
        counts, largest = (f"{row['bits']:,}", f"{row['injected']:,}"), _difference(row["worst"]["difference"])
        table.add_row(*(row["block"] for _ in where), row["registers"], *counts, *shares, f"{value:.4f}", *interval, largest)
    yield table
    if pilots := sum(row["pilot"] for row in whole["strata"]):
        yield f"{pilots:,} of them were pilots, which say how many to inject and count no further."
    value, low, high = whole["avf"]
    likely = whole["avf_likely"][1:]
    exact = all(row["exhaustive"] for row in whole["strata"])
    said = f", between {low:.5f} and {high:.5f} at {whole['confidence']:.0%}; by its posterior {likely[0]:.5f} to {likely[1]:.5f}"
    yield f"AVF of all bits: {value:.5f}" + (", exact: every upset was injected" if exact else said)
    if whole["failures"] is not None:
        yield from _failing(whole)
    if whole["rtl"] is not None:
        rtl = whole["rtl"]
        what = f"{rtl['faults']:,} faults in RTL, {rtl['effective']:,} of which change words, {rtl['known']:,} in flags known to"
        yield f"{what}: every word in every cycle agrees." if rtl["agrees"] else f"{what}: {len(rtl['mismatches']):,} do not agree."


def _failing(whole: dict[str, Any]) -> Iterator[RenderableType]:
    from rich.table import Table

    found = whole["failures"]
    table = Table("registers", "raw FIT", "FIT", "low", "high", "rates' doubt too", box=None, pad_edge=False)
    for column in table.columns:
        column.no_wrap, column.justify = True, "left" if column.header == "registers" else "right"
    sums = {"registers": "all", **{key: found[key] for key in ("raw_fit", "fit", "fit_of_rates")}}
    for row in [*({"registers": row["registers"], **each} for row, each in zip(whole["strata"], found["strata"], strict=True)), sums]:
        _, low, high = row["fit_of_rates"]
        figures = [_number(each) for each in (row["raw_fit"][0], *row["fit"])]
        table.add_row(row["registers"], *figures, f"{_number(low)} {_number(high)}")
    yield table
    for name, cell in found["cells"].items():
        rate, low, high = (_number(each) for each in cell["fit_per_bit"])
        doubt = f"{cell['doubt'][:1].upper()}{cell['doubt'][1:]}"
        yield f"Rates {found['rates']}: {name} {rate} FIT/bit, between {low} and {high} ({cell['source']}). {doubt}."
    hours, low, high = (_number(each) for each in found["mttf_of_rates_h"])
    yield f"Mean time to a failure, if this runs all the time: {hours} h, between {low} and {high} at any of these rates"


def _number(value: float | None) -> str:
    return "never" if value is None else f"{value:.3g}"


def _difference(largest: int) -> str:
    return "not finite" if largest >= 1 << 62 else f"{largest:,}"


def _share(count: int, total: int) -> str:
    return "-" if not count else f"{count / total:.1%}"
