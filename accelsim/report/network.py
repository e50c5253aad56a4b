"""What a campaign of a network adds to its report: layers, where faults are masked, and decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from accelsim.faults.campaign import Found, Outcome
from accelsim.faults.network_target import NetworkTarget
from accelsim.faults.outcomes import ABSORBED, MASKED, NAMES, SILENT, UNRECOVERED, Tally
from accelsim.faults.ranges import Range
from accelsim.report.terminal import folding_table, share_text

if TYPE_CHECKING:
    from rich.console import RenderableType

_OWN = tuple(each for each in MASKED if each != ABSORBED)


def document(outcome: Outcome, target: NetworkTarget) -> dict[str, Any]:
    """By layer that upsets are in, each bit and cycle alike: AVF as value, low and high; shares of upsets that are masked in the layer,
    absorbed after each, silent, unrecovered and that change a decision; decisions that an upset changes, loses and makes right, on average.
    """
    layers = []
    for name in dict.fromkeys(each.stratum.block for each in outcome.found):
        mine = [each for each in outcome.found if each.stratum.block == name]
        total = sum(each.stratum.population for each in mine)
        weights = [each.stratum.population / total for each in mine]
        absorbed = _mean(mine, weights, lambda each: list(tallied(each.tally, target)["absorbed_after"].values()))
        shares = _mean(mine, weights, lambda each: [each.tally.some(kinds) for kinds in (_OWN, SILENT, UNRECOVERED)] + [each.tally.decided])
        changed, lost, gained = _mean(mine, weights, lambda each: list(each.tally.decisions))
        avf = Range.total(each.avf.times(share) for each, share in zip(mine, weights, strict=True))
        layers.append({
            "layer": name, "population": total, "avf": avf.to_json(),
            "masked": shares[0], "absorbed_after": dict(zip(target.layers, absorbed, strict=True)), "silent": shares[1],
            "unrecovered": shares[2], "decision_changes": shares[3],
            "decisions_changed": changed, "decisions_lost": lost, "decisions_gained": gained,
        })  # fmt: skip
    decisions, right = target.decisions, None
    if decisions is not None and decisions.labels is not None:
        right = int((target.best == decisions.labels).sum())
    return {
        "layers": layers, "decisions": None if decisions is None else {"count": len(decisions.members), "right": right},
    }  # fmt: skip


def tallied(tally: Tally, target: NetworkTarget) -> dict[str, Any]:
    """Of one kind of register or word: absorbed faults by layer, and decisions that all faults together change, lose and make right."""
    where = [*tally.where, *[0] * (len(target.layers) - len(tally.where))]
    decisions = dict(zip(("changed", "lost", "gained"), tally.decisions, strict=True))
    return {"absorbed_after": dict(zip(target.layers, where, strict=True)), "decisions": decisions}


def _mean(found: list[Found], weights: list[float], counts: Callable[[Found], list[int]]) -> list[float | None]:
    """Counts of strata per fault, on average over all upsets; None where a stratum has no fault yet."""
    if not all(each.tally.total for each in found):
        return [None] * len(counts(found[0]))
    rows = [[count / each.tally.total * weight for count in counts(each)] for each, weight in zip(found, weights, strict=True)]
    return [sum(column) for column in zip(*rows, strict=True)]


def strata(whole: dict[str, Any], wide: bool) -> RenderableType:
    """A line for each kind of register, or of words, of a layer; without the interval where it is not `wide`."""
    decided = whole["network"]["decisions"] is not None
    names = ["layer", "words" if whole["strata"][0]["role"] == "words" else "registers"]
    columns = ["masked", "absorbed", "corrupted", "hang", *(["decisions"] if decided else []), "AVF"]
    sampled = wide and not all(row["exhaustive"] for row in whole["strata"])
    found = folding_table([*names, *columns, *([f"{100 * whole['confidence']:.6g}% interval"] if sampled else [])], names)
    for row in whole["strata"]:
        outcomes, total, avf = row["outcomes"], row["injected"], row["avf"]
        own, tells = (sum(outcomes[NAMES[each]] for each in kinds) for kinds in (_OWN, UNRECOVERED))
        counts = [own, outcomes["absorbed"], outcomes["corrupted"], tells, *([row["decisions_changed"]] if decided else [])]
        interval = "exact" if row["exhaustive"] else f"{avf['low']:.4f} {avf['high']:.4f}" if total else "not yet"
        value = "-" if avf["value"] is None else f"{avf['value']:.4f}"
        shares = [share_text(count / total) if total else "-" for count in counts]
        found.add_row(row["block"], row["registers"], *shares, value, *([interval] if sampled else []))
    return found


def blocks(whole: dict[str, Any]) -> Iterator[RenderableType]:
    """A line for each layer, and decisions."""
    layers, decisions = whole["network"]["layers"], whole["network"]["decisions"]
    after = [name for name in layers[0]["absorbed_after"] if any(row["absorbed_after"][name] for row in layers)]
    columns = ["masked in it", *(f"after {name}" for name in after), "corrupted", "hang", *(["decisions"] if decisions else []), "AVF"]
    found = folding_table(["upsets in", *columns], ["upsets in"])
    for row in layers:
        shares = [row["masked"], *(row["absorbed_after"][name] for name in after), row["silent"], row["unrecovered"]]
        shares += [row["decision_changes"]] if decisions else []
        value = row["avf"]["value"]
        found.add_row(row["layer"], *map(share_text, shares), "-" if value is None else f"{value:.4f}")
    yield found
    if not decisions or any(row["decisions_changed"] is None for row in layers):
        return
    total = sum(row["population"] for row in layers)
    changed, lost, gained = (
        sum(row[f"decisions_{key}"] * row["population"] for row in layers) / total for key in ("changed", "lost", "gained")
    )  # fmt: skip
    many, right = decisions["count"], decisions["right"]
    alone = f"{changed:.3%} of upsets change the one decision"
    yield (alone if many == 1 else f"An upset changes {changed / many:.3%} of {many:,} decisions on average") + (
        "" if right is None else f"; {right:,} are right without one, {lost / many:.3%} of all are lost and {gained / many:.3%} gained"
    )
