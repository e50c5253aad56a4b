"""Explanations and differences of saved evaluations, as far as their JSON goes: it holds no prices by row, no loop trees, no machines.

The documents are those of `accelsim.report.explain` and `accelsim.report.difference` with `partial` true; what is not known is empty.
"""

from __future__ import annotations

from typing import Any

from accelsim.report.difference import DIFFERENCE
from accelsim.report.explain import EXPLANATION, MODEL_EXPLANATION
from accelsim.report.figures import byte_size, in_cycles, joules, percent, si, times
from accelsim.report.schema import MODEL_EVALUATION

Document = dict[str, Any]
ROWS = "A saved evaluation holds no rows of prices and no mapping: name the workload, --arch and --mapping for all reasons."
POWER = "power"
_SAID = 0.01  # of the energy, from which a component is named in a sentence


def saved_explanation(saved: Document) -> Document:
    """What a saved evaluation, of a cascade or of a model, says about its reasons."""
    if saved["schema"] == MODEL_EVALUATION:
        return _of_model(saved)
    latency, limits = saved["latency"], saved.get("limits") or {}
    cycles = latency["cycles"]
    resources = [
        {"resource": name, "kind": "", "cycles": row["busy_cycles"], "share": row["busy_cycles"] / cycles if cycles else 0.0}
        for name, row in saved["components"].items()
        if row["busy_cycles"]
    ]
    binding = {"resource": limits.get("resource", ""), "kind": limits.get("kind", ""), "share": limits.get("share", 0.0)}
    document: Document = {
        "schema": EXPLANATION,
        "partial": True,
        **{key: saved.get(key, "") for key in ("workload", "architecture", "technology", "mapping", "counting", "latency")},
        "energy": _energy(saved),
        "time": {
            "binding": binding,
            "stretches": [],
            "resources": sorted(resources, key=lambda each: -each["cycles"]),
            "charges": [],
            "bound": {"cycles": saved["bounds"]["min_cycles"], "by": ""},
            "beyond": [],
        },
        "joules": {"causes": {}, "lines": _lines(energies(saved)), "unpriced": saved["unpriced"]},
        "what_if": [],
    }
    return document | {"reasons": [*_time_reasons(saved, limits), *_energy_reasons(document), ROWS]}


def _of_model(saved: Document) -> Document:
    layers = [
        {"name": each["name"], "times": each["times"], "explanation": saved_explanation(each["evaluation"])} for each in saved["layers"]
    ]
    spent: dict[tuple[str, str], float] = {}
    for each in layers:
        binding = each["explanation"]["time"]["binding"]
        key = binding["resource"], binding["kind"]
        spent[key] = spent.get(key, 0.0) + each["times"] * each["explanation"]["latency"]["cycles"]
    total = sum(spent.values())
    charges: list[Document] = [
        {"resource": key[0], "kind": key[1], "cycles": spent[key], "share": spent[key] / total if total else 0.0}
        for key in sorted(spent, key=lambda key: -spent[key])
    ]
    document: Document = {
        "schema": MODEL_EXPLANATION,
        "partial": True,
        **{key: saved[key] for key in ("model", "architecture", "technology", "latency")},
        "energy": _energy(saved),
        "time": {"charges": charges},
        "joules": {"lines": _lines(energies(saved)), "unpriced": saved["unpriced"]},
        "what_if": [],
        "layers": layers,
    }
    latency = saved["latency"]
    begin = f"{saved['model']} on {saved['architecture']} takes {in_cycles(latency['cycles'])}, {si(latency['seconds'], 's')}."
    bound = ", ".join(f"{each['resource']} {percent(each['share'])}" for each in charges[:4])
    return document | {"reasons": [begin, f"What binds its layers, by time: {bound}.", *_energy_reasons(document), ROWS]}


def _energy(saved: Document) -> Document:
    low, high = saved.get("energy_pj_low", saved["energy_pj"]), saved.get("energy_pj_high", saved["energy_pj"])
    return {"pj": saved["energy_pj"], "low": low, "high": high, "static_pj": saved["static_energy_pj"]}


def energies(saved: Document) -> dict[str, float]:
    """Picojoules by component, and of static, clock and background power."""
    if saved["schema"] == MODEL_EVALUATION:
        found: dict[str, float] = {}
        for layer in saved["layers"]:
            for name, energy in energies(layer["evaluation"]).items():
                found[name] = found.get(name, 0.0) + layer["times"] * energy
        return found
    return {name: row["energy_pj"] for name, row in saved["components"].items()} | {POWER: saved["static_energy_pj"]}


def _lines(found: dict[str, float]) -> list[Document]:
    total = sum(found.values())
    return [
        {"component": name, "action": "", "energy_pj": found[name], "share": found[name] / total if total else 0.0, "terms": [], "by": []}
        for name in sorted(found, key=lambda name: -found[name])
        if found[name]
    ]


def _time_reasons(saved: Document, limits: Document) -> list[str]:
    latency, bounds = saved["latency"], saved["bounds"]
    begin = f"{saved['workload']} on {saved['architecture']} takes {in_cycles(latency['cycles'])}, {si(latency['seconds'], 's')}"
    if bounds["min_cycles"]:
        begin += f"; {times(latency['cycles'] / bounds['min_cycles'])} the {in_cycles(bounds['min_cycles'])} that no mapping goes below"
    said = [f"{begin}."]
    if limits:
        following = limits["next"]
        after = f" Next is {following['resource']}, {percent(following['share'])}." if following else ""
        relief = limits["relief"].rstrip(".")
        said.append(
            f"It is bound by {limits['resource']}, {percent(limits['share'])} of its time.{after}{' ' + relief + '.' if relief else ''}"
        )
    root = next(iter(saved["traffic"]), None)
    if root is not None and bounds["compulsory_bytes"]:
        moved = sum(saved["traffic"][root].values())
        least = bounds["compulsory_bytes"]
        said.append(f"{root} moves {byte_size(moved)}, {times(moved / least)} the compulsory {byte_size(least)}.")
    return said


def _energy_reasons(document: Document) -> list[str]:
    energy, found = document["energy"], document["joules"]
    if not energy["pj"]:
        return []
    span = f" (prices {joules(energy['low'])} to {joules(energy['high'])})" if energy["low"] < energy["high"] else ""
    parts = ", ".join(f"{each['component']} {joules(each['energy_pj'])}" for each in found["lines"] if each["share"] > _SAID)
    missing = f" Not priced, and not in it: {', '.join(found['unpriced'])}." if found["unpriced"] else ""
    return [f"It takes {joules(energy['pj'])}{span}: {parts}.{missing}"]


def saved_difference(first: Document, second: Document) -> Document:
    """Where the difference of two evaluations comes from, as far as their JSON says."""
    spent = [{part: _seconds(each, part) for part in ("steady", "fill and drain")} for each in (first, second)]
    document: Document = {
        "schema": DIFFERENCE,
        "partial": True,
        "first": _side(first),
        "second": _side(second),
        "settings": _settings(first, second),
        "time": {
            "by_cause": [],
            "by_layer": [],
            "by_resource": _rows("resource", spent[0], spent[1], "seconds"),
            "by_einsum": [],
            "by_tensor": [],
        },
        "energy": {
            "by_component": _rows("component", energies(first), energies(second), "pj"),
            "by_einsum": _rows("einsum", _einsums(first), _einsums(second), "pj"),
            "by_tensor": [],
        },
        "ranking": {},
    }
    return document | {"reasons": _difference_reasons(document)}


def _seconds(saved: Document, part: str) -> float:
    latency = saved["latency"]
    steady = float(latency["seconds"] * latency["steady_cycles"] / latency["cycles"]) if latency["cycles"] else 0.0
    return steady if part == "steady" else float(latency["seconds"]) - steady


def _einsums(saved: Document) -> dict[str, float]:
    if saved["schema"] == MODEL_EVALUATION:
        found: dict[str, float] = {}
        for layer in saved["layers"]:
            name = layer["name"]
            found[name] = found.get(name, 0.0) + layer["times"] * layer["evaluation"]["energy_pj"]
        return found
    return {name: row["energy_pj"] for name, row in saved["einsums"].items()} | {POWER: saved["static_energy_pj"]}


def _side(saved: Document) -> Document:
    latency = saved["latency"]
    return {
        "workload": saved.get("workload") or saved.get("model"),
        "architecture": saved["architecture"],
        "mapping": saved.get("mapping", ""),
        "clock_hz": latency["cycles"] / latency["seconds"] if latency["seconds"] else 0.0,
        "cycles": latency["cycles"],
        "seconds": latency["seconds"],
        "energy_pj": saved["energy_pj"],
        "energy_pj_low": saved["energy_pj_low"],
        "energy_pj_high": saved["energy_pj_high"],
        "unpriced": saved["unpriced"],
    }


def _settings(first: Document, second: Document) -> list[Document]:
    flat = [{**{key: each.get(key) for key in ("workload", "model", "architecture", "technology", "mapping")},
             **{f"counting.{name}": value for name, value in each["counting"].items()}} for each in (first, second)]  # fmt: skip
    names = dict.fromkeys((*flat[0], *flat[1]))
    return [
        {"what": name, "first": flat[0].get(name), "second": flat[1].get(name)} for name in names if flat[0].get(name) != flat[1].get(name)
    ]


def _rows(key: str, first: dict[str, float], second: dict[str, float], unit: str) -> list[Document]:
    names = dict.fromkeys((*first, *second))
    rows: list[Document] = [
        {
            key: name, f"first_{unit}": first.get(name, 0.0), f"second_{unit}": second.get(name, 0.0),
            f"change_{unit}": second.get(name, 0.0) - first.get(name, 0.0),
        }
        for name in names
    ]  # fmt: skip
    return sorted(rows, key=lambda row: -abs(row[f"change_{unit}"]))


def _difference_reasons(document: Document) -> list[str]:
    first, second = document["first"], document["second"]
    said = [f"{second['workload']} on {second['architecture']} against {first['workload']} on {first['architecture']}."]
    ratio = second["seconds"] / first["seconds"] if first["seconds"] else 1.0
    said.append(f"Time: {si(first['seconds'], 's')} became {si(second['seconds'], 's')}, {times(ratio)} as long.")
    if first["energy_pj"] and second["energy_pj"]:
        ratio = second["energy_pj"] / first["energy_pj"]
        said.append(f"Energy: {joules(first['energy_pj'])} became {joules(second['energy_pj'])}, {times(ratio)} as much.")
        lower, upper = sorted((first, second), key=lambda each: each["energy_pj"])
        if lower["energy_pj_high"] < upper["energy_pj_low"]:
            said.append("The ranking by energy holds for all prices within the tables' low to high.")
        else:
            begin = "WARNING: the ranges of their prices overlap, and the files do not say which rows both share"
            said.append(f"{begin}: name workloads, machines and mappings to know whether the ranking can turn.")
    missing = sorted({*first["unpriced"], *second["unpriced"]})
    return [*said, *([f"Not priced on one side or both, and not compared: {', '.join(missing)}."] if missing else [])]
