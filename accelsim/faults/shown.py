"""A campaign and its results in one line, and as HTML for notebooks."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

from accelsim import markup

if TYPE_CHECKING:
    from accelsim.faults.campaign import Campaign, Outcome
    from accelsim.faults.ranges import Range


def campaign_line(campaign: Campaign) -> str:
    """What a campaign is about, and how many faults there are."""
    many = sum(stratum.population for stratum in campaign.target.strata)
    return f"{campaign.name}: {many:,} {campaign.target.noun} of {len(campaign.target.strata)} kinds of cells, seed {campaign.seed}"


def campaign_html(campaign: Campaign) -> str:
    """The kinds of cells, with how many bits and upsets each has."""
    rows = [(each.block, each.name, each.role, f"{each.bits:,}", f"{each.population:,}") for each in campaign.target.strata]
    return markup.table(campaign_line(campaign), ("block", "cells", "role", "bits", "faults"), rows, words=3)


def outcome_line(outcome: Outcome) -> str:
    """How many faults were injected, and which share matters."""
    done = sum(each.tally.total + each.pilot for each in outcome.found)
    state = "" if outcome.finished else ", not finished"
    return f"{outcome.campaign.name}: {done:,} injected{state}; {_share(outcome.avf())} of all upsets matter"


def outcome_html(outcome: Outcome) -> str:
    """Every kind of cell with the share of its upsets that has an effect."""
    rows = [
        (
            each.stratum.block,
            each.stratum.name,
            f"{each.stratum.population:,}",
            f"{each.tally.total:,}",
            _share(each.masked),
            _share(each.avf),
        )
        for each in outcome.found
    ]
    confidence = f"intervals at {100 * outcome.campaign.sample.confidence:g} % where not all were injected"
    return markup.table(
        outcome_line(outcome), ("block", "cells", "faults", "injected", "masked", "matters"), rows, words=2, foot=confidence
    )


def _share(share: Range) -> str:
    value = "?" if isnan(share.value) else f"{share.value:.2%}"
    return value if share.low == share.high else f"{value} ({share.low:.2%} to {share.high:.2%})"
