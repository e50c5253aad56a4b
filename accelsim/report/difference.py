"""Where the difference of two runs comes from, as a JSON document and on a terminal. Schema: `accelsim/difference/1`.

The parts under each heading add up to the difference of the totals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from accelsim.explore.difference import (
    by_component,
    by_einsum,
    by_tensor,
    cause_items,
    energy_items,
    layer_items,
    lines_of,
    seconds_of,
    settings,
    time_items,
)
from accelsim.explore.flips import Ranking, ranking
from accelsim.explore.reasons import CAUSES
from accelsim.hardware.architecture import Quantity
from accelsim.model.pricing import NOTHING
from accelsim.report.explain import figure_row
from accelsim.report.figures import in_cycles, joules, si, times
from accelsim.report.terminal import table
from accelsim.units import UNLIMITED, show_frequency, show_rate, show_size

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from accelsim.explore.difference import EnergyItem, Item, Runs
    from accelsim.explore.provenance import Line
    from accelsim.report.explain import Where

DIFFERENCE = "accelsim/difference/1"
Document = dict[str, Any]
_MOST = 10  # rows of a table
_SMALL = 0.0005  # of a run, below which a change is none
_SWINGS = 5  # rows of prices that a sentence names


def difference(first: Runs, second: Runs, where: Where = str, names: tuple[str, str] = ("", "")) -> Document:
    """What two runs differ in, where their time and energy differ, and whether prices may turn the ranking round.

    names: of models; "" for one cascade.
    """
    energy = lines_of(first), lines_of(second)
    document = {
        "schema": DIFFERENCE,
        "first": _side(first, names[0]),
        "second": _side(second, names[1]),
        "settings": [{"what": each.what, "first": shown(each.what, each.first), "second": shown(each.what, each.second)}
                     for each in settings(first, second)],
        "time": {
            "by_cause": _times(cause_items(first, second), ("cause",)),
            "by_layer": _times(layer_items(first, second), ("layer",)) if max(len(first), len(second)) > 1 else [],
            "by_resource": _times(time_items(first, second, lambda charge: (charge.resource, charge.kind)), ("resource", "kind")),
            "by_einsum": _times(time_items(first, second, lambda charge: (charge.einsum or charge.resource,)), ("einsum",)),
            "by_tensor": _times(time_items(first, second, lambda charge: (charge.tensor or charge.kind,)), ("tensor",)),
        },
        "energy": {
            "by_component": _energies(energy_items(*energy, by_component), ("component", "action")),
            "by_einsum": _energies(energy_items(*energy, by_einsum), ("einsum",)),
            "by_tensor": _energies(energy_items(*energy, by_tensor), ("tensor",)),
        },
        "ranking": {
            "energy": _ranked(energy, (1.0, 1.0), where),
            "energy_delay": _ranked(energy, (float(seconds_of(first)), float(seconds_of(second))), where),
        },
    }  # fmt: skip
    return document | {"reasons": _reasons(document)}


def _side(runs: Runs, name: str) -> Document:
    evaluator = runs[0][1].evaluator
    energy = NOTHING
    for times_used, each in runs:
        energy = energy + each.energy.scaled(times_used)
    return {
        "workload": name or evaluator.cascade.name,
        "architecture": evaluator.architecture.name,
        "mapping": runs[0][1].mapping.name if len(runs) == 1 else "",
        "clock_hz": float(evaluator.architecture.clock_hz),
        "cycles": sum(times_used * each.cycles for times_used, each in runs),
        "seconds": float(seconds_of(runs)),
        "energy_pj": energy.value,
        "energy_pj_low": energy.low,
        "energy_pj_high": energy.high,
        "unpriced": list(dict.fromkeys(name for _, each in runs for name in each.unpriced)),
    }


def _times(items: Sequence[Item], names: tuple[str, ...]) -> list[Document]:
    return [
        dict(zip(names, item.name, strict=True))
        | {"first_seconds": float(item.first), "second_seconds": float(item.second), "change_seconds": float(item.change)}
        for item in items
    ]


def _energies(items: Sequence[EnergyItem], names: tuple[str, ...]) -> list[Document]:
    return [
        dict(zip(names, item.name, strict=True))
        | {
            "first_pj": item.first, "second_pj": item.second, "change_pj": item.change, "counts_pj": item.counts, "prices_pj": item.prices,
        }
        for item in items
    ]  # fmt: skip


def _ranked(energy: tuple[list[Line], list[Line]], weights: tuple[float, float], where: Where) -> Document:
    """The ranking where sizes of a component move together, and whether it flips where they do not."""
    together, apart = (ranking(*energy, weights, apart) for apart in (False, True))
    return {
        "difference": together.difference.value,
        "low": together.difference.low,
        "high": together.difference.high,
        "exact": together.exact,
        "flips": together.flips,
        "flips_apart": apart.flips,
        "swings": [_swing(together, position, where) for position in range(len(together.swings))],
    }


def _swing(found: Ranking, position: int, where: Where) -> Document:
    each = found.swings[position]
    return {
        "at_low": each.at_low,
        "at_high": each.at_high,
        "turns_it_alone": min(each.at_low, each.at_high) < 0 < max(each.at_low, each.at_high),
        "figures": [figure_row(figure, where) for figure in each.figures],
    }


def shown(what: str, value: Any) -> str | None:
    """A setting as people write it; its unit follows from its name."""
    if value is None:
        return UNLIMITED if what.endswith(("bits_per_s", "size_bits")) else None
    if isinstance(value, Quantity):
        span = f" ({value.low:.4g} to {value.high:.4g})" if value.low < value.high else ""
        return f"{value.value:.4g}{span} {what.rsplit('_', 1)[-1].replace('pj', 'pJ').replace('w', 'W')}"
    if isinstance(value, Fraction) or (isinstance(value, int) and what.endswith("_bits")):
        if what.endswith("bits_per_s"):
            return show_rate(Fraction(value))
        if what.endswith("_hz"):
            return show_frequency(Fraction(value))
        if what.endswith("_bits"):
            return show_size(value)
        return si(float(value), "s") if what.endswith("_s") else f"{float(value):g}"
    if isinstance(value, (int, float, str)):
        return str(value)
    if isinstance(value, (tuple, list)):
        return ", ".join(str(getattr(each, "name", each)) for each in value)
    return str(getattr(value, "name", value))


def _reasons(document: Document) -> list[str]:
    first, second = document["first"], document["second"]
    said = [f"{_called(second, first)} against {_called(first, second)}."]
    if _called(second, first) == _called(first, second):
        what = ", ".join(each["what"] for each in document["settings"][:3])
        said = [f"{_called(first, second)}, and the same with another {what}." if what else f"{_called(first, second)}, twice."]
    ratio = second["seconds"] / first["seconds"] if first["seconds"] else 1.0
    changes = [each for each in document["time"]["by_cause"] if abs(each["change_seconds"]) > _SMALL * first["seconds"]]
    causes = "; ".join(f"{_cause(each['cause'])}: {_signed_time(document, each['change_seconds'])}" for each in changes)
    took = f"{_time(document, 'first', first['seconds'])} became {_time(document, 'second', second['seconds'])}"
    said.append(f"Time: {took}, {_slower(ratio)}{': ' + causes if causes else ''}.")
    if first["energy_pj"] or second["energy_pj"]:
        ratio = second["energy_pj"] / first["energy_pj"] if first["energy_pj"] else 1.0
        largest = [each for each in document["energy"]["by_component"] if abs(each["change_pj"]) > 0.01 * first["energy_pj"]][:4]
        parts = "; ".join(f"{each['component']} {each['action']} {_signed(each['change_pj'])}" for each in largest)
        took = f"{joules(first['energy_pj'])} became {joules(second['energy_pj'])}"
        said.append(f"Energy: {took}, {_percent_more(ratio)}{': ' + parts if parts else ''}.")
        said += flip_sentences(document["ranking"]["energy"], "energy")
        said += flip_sentences(document["ranking"]["energy_delay"], "energy times delay")
    missing = sorted({*first["unpriced"], *second["unpriced"]})
    if missing:
        said.append(f"Not priced on one side or both, and not compared: {', '.join(missing)}.")
    return said


def flip_sentences(found: Document, what: str) -> list[str]:
    """Whether a ranking holds for all prices in the tables, and which rows decide it."""
    if found["low"] == found["high"]:
        return []
    if found["flips"]:
        alone = [each for each in found["swings"] if each["turns_it_alone"]]
        rows = "; ".join(_row(each) for each in (alone or found["swings"])[:_SWINGS])
        one = "Any one of these rows alone can turn it" if len(alone) > 1 else "This row alone can turn it" if alone else "Most depends on"
        return [f"WARNING: the ranking by {what} is not certain: within the tables' low to high it turns round. {one}: {rows}."]
    if found["flips_apart"]:
        begin = f"The ranking by {what} holds within the tables' low to high"
        return [f"{begin} if all sizes of a component are as far off as each other; it can turn round if they are not."]
    return [f"The ranking by {what} holds for all prices within the tables' low to high."]


def _row(swing: Document) -> str:
    figure = swing["figures"][0]
    figure = figure["between"][-1] if figure["between"] else figure
    return " ".join(filter(None, (figure["table"], figure["component"], figure["action"], f"({figure['place'] or 'made in Python'})")))


def _called(side: Document, other: Document) -> str:
    """A run by what tells it from the other one."""
    name = f"{side['workload']} on {side['architecture']}"
    return name if side["mapping"] in (other["mapping"], name) else f"{name}, mapping '{side['mapping']}'"


def _cause(cause: str) -> str:
    return "the bound of cascade and machine" if cause == "bound" else CAUSES[cause]


def _slower(ratio: float) -> str:
    if abs(ratio - 1) < _SMALL:
        return "the same"
    return f"{times(ratio)} as long" if ratio > 1 else f"{times(1 / ratio)} faster"


def _percent_more(ratio: float) -> str:
    if abs(ratio - 1) < _SMALL:
        return "the same"
    return f"{100 * (ratio - 1):.1f} % more" if ratio > 1 else f"{100 * (1 - ratio):.1f} % less"


def _one_clock(document: Document) -> float | None:
    first, second = document["first"]["clock_hz"], document["second"]["clock_hz"]
    return float(first) if first == second else None


def _time(document: Document, side: str, seconds: float) -> str:
    return f"{in_cycles(round(seconds * document[side]['clock_hz']))}, {si(seconds, 's')}"


def _signed_time(document: Document, seconds: float) -> str:
    """A change of time in cycles where both machines have one clock, else in seconds."""
    clock = _one_clock(document)
    return f"{'+' if seconds > 0 else '-'}{in_cycles(round(abs(seconds) * clock)) if clock else si(abs(seconds), 's')}"


def _signed(picojoules: float) -> str:
    return f"{'+' if picojoules > 0 else '-'}{joules(abs(picojoules))}"


def difference_blocks(document: Document) -> Iterator[RenderableType]:
    """The difference of two runs, most important first."""
    yield _sentences(document)
    if document["settings"]:
        rows = table("what differs", "first", "second", left=3)
        for each in document["settings"]:
            rows.add_row(each["what"], each["first"] or "-", each["second"] or "-")
        yield rows
    for heading, key in (("layer", "by_layer"), ("cycles pass for", "by_resource"), ("Einsum", "by_einsum"), ("tensor", "by_tensor")):
        if found := _time_rows(document, heading, key):
            yield found
    for heading, key in (("energy of", "by_component"), ("Einsum", "by_einsum"), ("tensor", "by_tensor")):
        if found := _energy_rows(document, heading, key):
            yield found


def _sentences(document: Document) -> Text:
    from rich.text import Text

    first, *others = document["reasons"]
    return Text("\n\n").join([Text(first, "bold"), *(Text(each, "yellow" if each.startswith("WARNING") else "") for each in others)])


def _time_rows(document: Document, heading: str, key: str) -> Table | None:
    """The largest changes of time; the others in one row."""
    clock = _one_clock(document)
    found = document["time"][key]
    whole_time = max(document[side]["seconds"] for side in ("first", "second"))
    kept = [each for each in found if abs(each["change_seconds"]) > _SMALL * whole_time][:_MOST]
    if not kept or (len(kept) < 2 and key != "by_resource"):
        return None
    unit = "cycles" if clock else "time"
    rows = table(heading if clock or key != "by_resource" else "time passes for", f"{unit} first", "second", "change")
    for each in kept:
        name = next(each[part] for part in ("layer", "resource", "einsum", "tensor") if part in each)
        rows.add_row(name, *(_amount(each[f"{side}_seconds"], clock) for side in ("first", "second")),
                     _signed_time(document, each["change_seconds"]))  # fmt: skip
    left = [each for each in found if each not in kept]
    if any(each["first_seconds"] or each["second_seconds"] for each in left):
        first, second = (sum(each[f"{side}_seconds"] for each in left) for side in ("first", "second"))
        rows.add_row(_others(left), _amount(first, clock), _amount(second, clock), _signed_time(document, second - first))
    total = document["second"]["seconds"] - document["first"]["seconds"]
    rows.add_row("all", *(_amount(document[side]["seconds"], clock) for side in ("first", "second")), _signed_time(document, total))
    return rows


def _others(left: list[Document]) -> str:
    return f"{len(left)} other{'s' * (len(left) != 1)}"


def _amount(seconds: float, clock: float | None) -> str:
    return f"{round(seconds * clock):,}" if clock else si(seconds, "s")


def _energy_rows(document: Document, heading: str, key: str) -> Table | None:
    found = document["energy"][key]
    whole_energy = max(document[side]["energy_pj"] for side in ("first", "second"))
    kept = [each for each in found if abs(each["change_pj"]) > _SMALL * whole_energy][:_MOST]
    if not kept or (len(kept) < 2 and key != "by_component"):
        return None
    causes = ("counts_pj", "prices_pj") if all("counts_pj" in each for each in found) else ()
    rows = table(heading, "energy first", "second", "change", *(f"by {part.removesuffix('_pj')}" for part in causes))
    rows.columns[0].no_wrap = True
    left = [each for each in found if each not in kept]
    sums = {name: sum(each[name] for each in left) for name in ("first_pj", "second_pj", "change_pj", *causes)}
    every = {name: sum(each[name] for each in found) for name in sums}
    named = [(" ".join(filter(None, (each.get(part) for part in ("component", "action", "einsum", "tensor")))), each) for each in kept]
    for name, each in [*named, *([(_others(left), sums)] if left else []), ("all", every)]:
        changes = (_signed(each[part]) if each[part] else "-" for part in ("change_pj", *causes))
        rows.add_row(name, joules(each["first_pj"]), joules(each["second_pj"]), *changes)
    return rows
