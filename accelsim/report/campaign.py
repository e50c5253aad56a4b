"""A fault campaign as JSON and on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from accelsim.faults.campaign import Outcome
from accelsim.faults.confirmation import Confirmation
from accelsim.faults.metrics import avf, mttf_h, raw_fit
from accelsim.faults.network_target import NetworkTarget
from accelsim.faults.outcomes import MASKED, NAMES
from accelsim.faults.ranges import Range
from accelsim.faults.rates import Rates
from accelsim.report import network

if TYPE_CHECKING:
    from rich.console import RenderableType

SCHEMA = "accelsim/campaign/2"
_MASKED = [NAMES[each] for each in MASKED]
_ENDS = ("value", "low", "high")


def document(outcome: Outcome, confirmed: Confirmation | None = None) -> dict[str, Any]:
    """All of it as plain data, described in docs/faults.md, "JSON"."""
    campaign, strata = outcome.campaign, []
    for number, found in enumerate(outcome.found):
        stratum, tally = found.stratum, found.tally
        row = {
            "block": stratum.block, "registers": stratum.name, "role": stratum.role, "bits": stratum.bits, "population": stratum.population,
            "injected": tally.total, "exhaustive": found.exhaustive, "masked": found.masked.to_json(), "silent": found.silent.to_json(),
            "unrecovered": found.unrecovered.to_json(), "avf": found.avf.to_json(), "pilot": found.pilot,
            **replace(tally, parts=()).to_json(),
            "shares": {name: found.share(lambda some, at=at: some.counts[at]) for at, name in enumerate(NAMES)},  # type: ignore[misc]
            "decided": found.share(lambda some: some.decided), "weighted": bool(found.weights),
        }  # fmt: skip
        if tally.worst[0] >= 0:
            row["worst"] = {**tally.to_json()["worst"], **campaign.target.site(number, tally.worst[0])}
        if isinstance(campaign.target, NetworkTarget):
            row |= network.tallied(tally, campaign.target)
        strata.append(row)
    return {
        "schema": SCHEMA, "terms": list(campaign.target.terms),
        "campaign": campaign.name, "faults": campaign.target.noun, "seed": campaign.seed, "finished": outcome.finished,
        "confidence": campaign.sample.confidence, "injected": sum(each.tally.total + each.pilot for each in outcome.found),
        "population": sum(each.stratum.population for each in outcome.found), "avf": outcome.avf().to_json(),
        "avf_likely": outcome.likely(outcome.shares).to_json(), "strata": strata,
        "failures": None if campaign.rates is None else failures(outcome, campaign.rates),
        "rtl": None if confirmed is None else confirmed.to_json(),
        "network": network.document(outcome, campaign.target) if isinstance(campaign.target, NetworkTarget) else None,
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
    from accelsim.report.terminal import Forms

    state = "" if whole["finished"] else ", not finished: run it again to go on"
    yield f"{whole['campaign']}: {whole['injected']:,} of {whole['population']:,} {whole['faults']} injected (seed {whole['seed']}){state}"
    if whole["network"] is None:
        yield Forms(tuple(_strata(whole, _FOLDS[:many]) for many in range(len(_FOLDS) + 1)))
    else:
        yield Forms(tuple(network.strata(whole, wide) for wide in (True, False)))
        yield from network.blocks(whole)
    if pilots := sum(row["pilot"] for row in whole["strata"]):
        weighed = ", and of what more; shares are weighted for that" if any(row["weighted"] for row in whole["strata"]) else ""
        yield f"{pilots:,} of them were pilots, which say how many to inject{weighed} and count no further."
    share, likely = whole["avf"], whole["avf_likely"]
    exact = all(row["exhaustive"] for row in whole["strata"])
    said = f", between {share['low']:.5f} and {share['high']:.5f} at {100 * whole['confidence']:.6g}%"
    if share["value"] is None:
        yield f"{whole['terms'][2]}: not yet known{said}"
    else:
        said += f"; by its posterior {likely['low']:.5f} to {likely['high']:.5f}"
        yield f"{whole['terms'][2]}: {share['value']:.5f}" + (", exact: all were injected" if exact else said)
    if any(row["outcomes"]["unknown"] for row in whole["strata"]):
        yield "What is unknown counts as corrupted: it changes when words move, which is not worked out."
    if whole["failures"] is not None:
        yield from _failing(whole)
    if whole["rtl"] is not None:
        rtl = whole["rtl"]
        what = f"{rtl['faults']:,} faults in RTL, {rtl['effective']:,} of which change words ({rtl['known']:,} were chosen because they do)"
        yield f"{what}: every word in every cycle agrees." if rtl["agrees"] else f"{what}: {len(rtl['mismatches']):,} do not agree."


_FOLDS = ("largest", "masked", "bits", "decisions", "outcomes", "injected")
"""What a narrow terminal goes without, first what matters least: of `masked` and of `outcomes` the kinds, whose sums stay."""


def _strata(whole: dict[str, Any], folds: Sequence[str]) -> RenderableType:
    """A row for each stratum, without what does not fit, which a line below it says."""
    from rich.console import Group

    from accelsim.report.terminal import folding_table, share_text

    rows = whole["strata"]
    shown = [name for name in NAMES if any(row["outcomes"][name] for row in rows)]
    masked = [name for name in shown if name in _MASKED]
    if "masked" in folds and len(masked) > 1:
        shown = ["masked", *(name for name in shown if name not in masked)]
    if "outcomes" in folds:
        shown = []
    sampled = [] if all(row["exhaustive"] for row in rows) else [f"{100 * whole['confidence']:.6g}% interval"]
    decided = ["decisions"] if "decisions" not in folds and _decisions(rows) else []
    where = ["block"] if len({row["block"] for row in rows}) > 1 else []
    site, unit, _ = whole["terms"]
    names, units = [*where, "words" if all(row["role"] == "words" for row in rows) else site], {"bits": unit}
    counted = [name for name in ("bits", "injected") if name not in folds]
    largest = ["largest"] if "largest" not in folds else []
    table = folding_table([*names, *(units.get(name, name) for name in counted), *shown, *decided, "AVF", *sampled, *largest], names)
    for row in rows:
        parts = {**row["shares"], "masked": sum(row["shares"][name] for name in masked)}
        shares = [share_text(parts[name]) for name in shown] + [share_text(row["decided"]) for _ in decided]
        avf = row["avf"]
        interval = "exact" if row["exhaustive"] else f"{avf['low']:.4f} {avf['high']:.4f}" if row["injected"] else "not yet"
        value = "-" if avf["value"] is None else f"{avf['value']:.4f}"
        worst = [_difference(row["worst"]["difference"]) for _ in largest]
        named = [row["block"] for _ in where] + [row["registers"]]
        table.add_row(*named, *(f"{row[name]:,}" for name in counted), *shares, value, *(interval for _ in sampled), *worst)
    left = [name for name in folds if name in ("largest", "bits", "injected") or (name == "decisions" and _decisions(rows))]
    left += ["outcomes"] if "outcomes" in folds else [f"{', '.join(masked)} (together: masked)"] if "masked" in shown else []
    return Group(table, "", f"Left out for want of room: {', '.join(left)}.") if left else table


def _decisions(rows: Sequence[dict[str, Any]]) -> bool:
    return any(row["decisions_changed"] for row in rows)


def _failing(whole: dict[str, Any]) -> Iterator[RenderableType]:
    from accelsim.report.terminal import Forms

    found = whole["failures"]
    yield Forms(tuple(_fit_table(whole, found, wide) for wide in (True, False)))
    for name, cell in found["cells"].items():
        rate, low, high = (_number(cell["fit_per_bit"][each]) for each in _ENDS)
        doubt = f"{cell['doubt'][:1].upper()}{cell['doubt'][1:]}"
        yield f"Rates {found['rates']}: {name} {rate} FIT/bit, between {low} and {high} ({cell['source']}). {doubt}."
    hours, low, high = (_number(found["mttf_of_rates_h"][each], "never") for each in _ENDS)
    hours = "not yet known" if whole["avf"]["value"] is None else f"{hours} h"
    yield f"Mean time to a failure, if this runs all the time: {hours}, between {low} and {high} at any of these rates"


def _fit_table(whole: dict[str, Any], found: dict[str, Any], wide: bool) -> RenderableType:
    from rich.console import Group

    from accelsim.report.terminal import folding_table

    columns = ["registers", *(["raw FIT"] if wide else []), "FIT", "low", "high", *(["rates' doubt too"] if wide else [])]
    table = folding_table(columns, ["registers"])
    sums = {"registers": "all", **{key: found[key] for key in ("raw_fit", "fit", "fit_of_rates")}}
    for row in [*({"registers": row["registers"], **each} for row, each in zip(whole["strata"], found["strata"], strict=True)), sums]:
        raw, doubted = [_number(row["raw_fit"]["value"])], " ".join(_number(row["fit_of_rates"][each]) for each in ("low", "high"))
        fit = [_number(row["fit"][each]) for each in _ENDS]
        table.add_row(row["registers"], *(raw if wide else []), *fit, *([doubted] if wide else []))
    return table if wide else Group(table, "", "Left out for want of room: raw FIT, rates' doubt.")


def _number(value: float | None, unknown: str = "-") -> str:
    return unknown if value is None else f"{value:.3g}"


def _difference(largest: int) -> str:
    return "not finite" if largest >= 1 << 62 else f"{largest:,}"
