"""A co-simulation as JSON and on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from accelsim.rtl.cosim import Cosimulation

if TYPE_CHECKING:
    from rich.console import RenderableType

SCHEMA = "accelsim/cosimulation/1"


def document(found: Cosimulation, machine: str, mapping: str, seed: int) -> dict[str, Any]:
    """All of it as plain data; cycles of the simulator (`start`, `end`) and of the RTL beside each other."""
    tasks = [
        {
            "task": row.task, "on": row.kind, "firings": row.firings, "start": row.start, "end": row.end, "rtl_start": row.rtl_start,
            "rtl_end": row.rtl_end, "firings_off": row.off,
        }
        for row in found.rows
    ]  # fmt: skip
    return {
        "schema": SCHEMA,
        "workload": found.program.cascade.name,
        "architecture": machine,
        "mapping": mapping,
        "seed": seed,
        "cycles": found.cycles,
        "rtl_cycles": found.rtl_cycles,
        "outputs": {name: {"words": words, "wrong": wrong} for name, (wrong, words) in found.wrong.items()},
        "tasks": tasks,
        "agrees": found.agrees,
    }


def blocks(whole: dict[str, Any]) -> Iterator[RenderableType]:
    """The report."""
    from rich.table import Table

    lines = [f"{whole['workload']} on {whole['architecture']}, mapping '{whole['mapping']}'", ""]
    lines.append(f"time    {whole['cycles']:,} cycles in the simulator, {whole['rtl_cycles']:,} in the RTL")
    for name, output in whole["outputs"].items():
        what = "all equal" if not output["wrong"] else f"{output['wrong']:,} differ"
        lines.append(f"values  {name}: {output['words']:,} words, {what} (inputs of seed {whole['seed']})")
    yield "\n".join(lines)
    table = Table("task", "on", "firings", "start", "end", "start in RTL", "end in RTL", "in other cycles", box=None, pad_edge=False)
    for column in table.columns[2:]:
        column.justify = "right"
    for row in whole["tasks"]:
        figures = ("firings", "start", "end", "rtl_start", "rtl_end", "firings_off")
        table.add_row(row["task"], row["on"], *(f"{row[each]:,}" for each in figures))
    yield table
    yield "Every word and every cycle agrees." if whole["agrees"] else "They do not agree."
