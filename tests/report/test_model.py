"""The report of a model: the whole first, then its layers, equal ones once."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from accelsim.report.model import model_blocks
from accelsim.report.terminal import show

SAMPLE: dict[str, Any] = json.loads((Path(__file__).parent / "evaluation.json").read_text(encoding="utf-8"))


def sample_model(*times: int, **changes: Any) -> dict[str, Any]:
    """The document of a model that uses one cascade several times over; the last of its layers with changes."""
    layers = [{"name": f"part-{number}", "times": each, "evaluation": dict(SAMPLE)} for number, each in enumerate(times, 1)]
    layers[-1]["evaluation"] |= changes  # type: ignore[operator]
    count = sum(times)
    energies = {key: count * SAMPLE[key] for key in ("energy_pj", "energy_pj_low", "energy_pj_high", "static_energy_pj")}
    traffic = {memory: {key: count * value for key, value in row.items()} for memory, row in SAMPLE["traffic"].items()}
    latency = {key: count * SAMPLE["latency"][key] for key in ("cycles", "seconds", "steady_cycles")}
    bounds = {"compulsory_bytes": 0, "min_cycles": count * SAMPLE["latency"]["cycles"] / 2}
    whole = {"model": "stack", "architecture": "spatial", "area_um2": None, "latency": latency, "traffic": traffic, "bounds": bounds}
    return whole | energies | {"layers": layers}


def shown(document: dict[str, Any], *nests: str) -> list[str]:
    """The lines of a report, blanks run together."""
    out = io.StringIO()
    show(model_blocks(document, nests), out)
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def test_whole_model_comes_before_its_layers() -> None:
    lines = shown(sample_model(2, 3, search=None, energy_pj=1e12), "for m: 1", "for n: 1")
    assert lines[0] == "stack on spatial"
    assert lines[2] == "Limited by PE1D for 100.0 % of the time."
    assert lines[3].startswith("part-2 takes 60.0 %: ")
    # by hand: five times the sample's 6,815,999 cycles, 7.251063 ms and 412.345678901 mJ
    assert "time 34,079,995 cycles 36.3 ms: 5 layers one after the other" in lines
    assert "2.00x the algebraic bound of 17,039,997.50 cycles" in lines
    assert any(line.startswith("energy 2.06 J prices 1.49 J to 2.76 J: ") for line in lines)
    rows = [line for line in lines if line.startswith(("part-1 PE1D", "part-2 PE1D"))]
    assert [row.split(" ", 2)[2].rsplit(" ", 2)[0] for row in rows] == ["2 6,815,999 40.0 % 412 mJ", "3 6,815,999 60.0 % 1.00 J"]
    assert lines.index(rows[1]) < lines.index("for m: 1") < lines.index("for n: 1")


def test_equal_layers_are_shown_once() -> None:
    lines = shown(sample_model(2, 3, workload="another", mapping="another on spatial", search=None), "for m: 1", "for n: 1")
    assert "for m: 1" in lines and "for n: 1" not in lines
    assert lines[-1] == "part-2: the same as part-1."


def test_resources_that_limit_are_named_by_the_time_that_they_take() -> None:
    lines = shown(sample_model(1, 3, limits={**SAMPLE["limits"], "resource": "DRAM", "relief": ""}))
    assert lines[2:4] == ["Limited by DRAM for 75.0 % of the time, by PE1D for 25.0 %.", "part-2 takes 75.0 %."]


def test_model_of_no_time_and_no_layers_has_a_report() -> None:
    empty = sample_model(1)
    empty["latency"] = {"cycles": 0, "seconds": 0, "steady_cycles": 0}
    assert shown(empty)[2] == "Limited by PE1D for - of the time."
    assert shown(empty | {"layers": []})[0] == "stack on spatial"
