"""A fault campaign as JSON and on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from accelsim.faults.campaign import Outcome
from accelsim.faults.confirmation import Confirmation
from accelsim.faults.outcomes import NAMES

if TYPE_CHECKING:
    from rich.console import RenderableType

SCHEMA = "accelsim/campaign/1"


def document(outcome: Outcome, confirmed: Confirmation | None = None) -> dict[str, Any]:
    """All of it as plain data; shares as value, low and high."""
    campaign = outcome.campaign
    strata = []
    for number, found in enumerate(outcome.found):
        stratum, tally = found.stratum, found.tally
        row = {
            "block": stratum.block, "registers": stratum.name, "role": stratum.role, "bits": stratum.bits, "population": stratum.population,
            "injected": tally.total, "exhaustive": found.exhaustive, "masked": found.masked.to_json(), "silent": found.silent.to_json(),
            "unrecovered": found.unrecovered.to_json(), **tally.to_json(),
        }  # fmt: skip
        if tally.worst[0] >= 0:
            row["worst"] = {**tally.to_json()["worst"], **campaign.target.site(number, tally.worst[0])}
        strata.append(row)
    return {
        "schema": SCHEMA, "campaign": campaign.name, "seed": campaign.seed, "finished": outcome.finished,
        "confidence": campaign.sample.confidence, "injected": sum(each.tally.total for each in outcome.found),
        "population": sum(each.stratum.population for each in outcome.found), "avf": outcome.avf().to_json(), "strata": strata,
        "rtl": None if confirmed is None else confirmed.to_json(),
    }  # fmt: skip


def blocks(whole: dict[str, Any]) -> Iterator[RenderableType]:
    """The report."""
    from rich.table import Table

    state = "" if whole["finished"] else ", not finished: run it again to go on"
    yield f"{whole['campaign']}: {whole['injected']:,} of {whole['population']:,} upsets injected (seed {whole['seed']}){state}"
    shown = [name for name in NAMES if any(row["outcomes"][name] for row in whole["strata"])]
    sampled = [] if all(row["exhaustive"] for row in whole["strata"]) else [f"{whole['confidence']:.0%} interval"]
    decided = ["decisions"] if any(row["decisions_changed"] for row in whole["strata"]) else []
    table = Table("registers", "bits", "injected", *shown, *decided, "AVF", *sampled, "largest", box=None, pad_edge=False)
    for column in table.columns:
        column.no_wrap, column.justify = True, "left" if column.header == "registers" else "right"
    for row in whole["strata"]:
        shares = [_share(row["outcomes"][name], row["injected"]) for name in shown]
        shares += [_share(row["decisions_changed"], row["injected"]) for _ in decided]
        value, low, high = (row["silent"][at] + row["unrecovered"][at] for at in range(3))
        interval = ["exact" if row["exhaustive"] else f"{low:.4f} {min(1, high):.4f}" for _ in sampled]
        counts = f"{row['bits']:,}", f"{row['injected']:,}"
        table.add_row(row["registers"], *counts, *shares, f"{value:.4f}", *interval, f"{row['worst']['difference']:,}")
    yield table
    value, low, high = whole["avf"]
    exact = all(row["exhaustive"] for row in whole["strata"])
    yield f"AVF of all registers: {value:.5f}" + (
        ", exact: every upset was injected" if exact else f", between {low:.5f} and {high:.5f} at {whole['confidence']:.0%}"
    )
    if whole["rtl"] is not None:
        rtl = whole["rtl"]
        what = f"{rtl['faults']:,} faults in RTL, {rtl['effective']:,} of which change words, {rtl['known']:,} in flags known to"
        yield f"{what}: every word in every cycle agrees." if rtl["agrees"] else f"{what}: {len(rtl['mismatches']):,} do not agree."


def _share(count: int, total: int) -> str:
    return "-" if not count else f"{count / total:.1%}"
