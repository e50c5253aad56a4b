"""The published ablation of attention accelerators, simulated: utilization of the 2-D array beside the tables, and where the rest went.

python -m tests.benchmarks.ablation [--model BERT] [--length 1K ...]

Each row is one published configuration on its shipped machine and mapping. `table`: the published utilization. `simulated`: as mapped, with
one place for most tiles. `ahead`: with two places where they fit, as the source assumes that transfers overlap perfectly. `net`: the same
without the cycles before the first and after the last work of the array. `physical`: net, if every reduction over the array's rows
takes as long as they are many, not maxima alone. Then what the 1-D and 2-D arrays wait for in `ahead`.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from accelsim.hardware.architecture import Architecture
from accelsim.io.catalogue import MACHINE, MAPPING, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_mapping
from accelsim.io.workload import load_workload
from accelsim.mapping.tree import Mapping
from accelsim.report.figures import percent
from accelsim.sim.ahead import filled_ahead
from accelsim.sim.simulation import Simulation, simulate
from accelsim.workload.cascade import Cascade

TESTS = Path(__file__).resolve().parents[1]
PUBLISHED, TABLES = TESTS / "published", TESTS.parent / "evidence" / "fusemax"
LENGTHS = {"1K": 1024, "4K": 4096, "16K": 16384, "64K": 65536, "256K": 262144, "1M": 1048576}
BATCH = 4  # of the 64 of the source, which all go alike
ARRAY, LANES = "PE2D", "PE1D"
PHYSICAL = {"row.reduction_latency": "{max: pe, add: pe}"}
TABLES = ("arch", "binding")


def problem(table: str, model: str, length: str) -> tuple[Cascade, str, Mapping]:
    """The workload, the name of the machine and the mapping of a published row."""
    spec = yaml.safe_load((PUBLISHED / "attention.yaml").read_text())
    (entry,) = (each for each in spec["tables"] if each["name"] == table)
    options = dict(entry["rows"][model][length])
    name = options.pop("mapping", entry["mapping"])
    shape = {key: str(value) for key, value in spec["shapes"][model].items()}
    sizes = {"shape.p": str(LENGTHS[length]), "shape.m": str(LENGTHS[length]), "type": "{default: bf16}"}
    sizes["shape.b"] = str(BATCH)
    work = load_workload(resolve(entry["workload"], WORKLOAD), shape | sizes)
    assert isinstance(work, Cascade)
    let = {f"let.{key}": str(value) for key, value in options.items()}
    return work, entry["arch"], load_mapping(resolve(name, MAPPING), dict(work.extents), let)


def published(table: str, model: str, length: str) -> float:
    """Utilization of the 2-D array in a published row."""
    with (TABLES / f"attn-{table}.csv").open(encoding="utf-8") as stream:
        return next(float(row["util_2d"]) for row in csv.DictReader(stream) if (row["model"], row["seq_len"]) == (model, length))


def machine(name: str, physical: bool = False) -> Architecture:
    """A shipped machine; physical: with reductions that all take time."""
    return load_architecture(resolve(name, MACHINE), PHYSICAL if physical else {})


def utilization(done: Simulation, net: bool = False) -> float:
    """Share of the cycles in which the 2-D array works; net: of those from its first to its last work."""
    unit = done.units[ARRAY]
    around = unit.drain + sum(wait.cycles for wait in unit.waits if wait.cause == "fill") if net else 0
    return float(sum(unit.busy.values()) / (unit.total - around))


def lost(done: Simulation, unit: str) -> str:
    """What a unit waits for, as shares of all cycles."""
    waits = sorted(done.units[unit].waits, key=lambda wait: -wait.cycles)
    parts = [f"{wait.einsum} {wait.cause} {wait.what} {percent(float(wait.cycles) / done.cycles)}" for wait in waits]
    return ", ".join(part for wait, part in zip(waits, parts, strict=True) if wait.cycles > done.cycles / 1000)


def row(table: str, model: str, length: str) -> dict[str, Any]:
    """One published row, simulated."""
    begun = time.process_time()
    work, name, mapping = problem(table, model, length)
    as_mapped = simulate(work, machine(name), mapping)
    roomy = filled_ahead(work, machine(name), mapping)
    ahead, physical = (simulate(work, machine(name, slow), roomy) for slow in (False, True))
    figures = {"table": published(table, model, length), "simulated": utilization(as_mapped), "ahead": utilization(ahead)}
    figures |= {"net": utilization(ahead, net=True), "physical": utilization(physical, net=True)}
    return figures | {"lost": {unit: lost(ahead, unit) for unit in (LANES, ARRAY)}, "cpu_s": time.process_time() - begun}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="BERT", choices=("BERT", "XLM"))
    parser.add_argument("--length", action="append", choices=tuple(LENGTHS))
    arguments = parser.parse_args()
    shown = Table("row", "table", "simulated", "ahead", "net", "off", "physical", "CPU s", "the 1-D array waits", "the 2-D array waits")
    for table in TABLES:
        for length in arguments.length or ("1K", "4K", "16K", "64K"):
            print(f"{table} {length}", file=sys.stderr, flush=True)
            found = row(table, arguments.model, length)
            figures = [f"{found[key]:.4f}" for key in ("table", "simulated", "ahead", "net")]
            off = f"{found['net'] / found['table'] - 1:+.2%}"
            waits = (found["lost"][unit] for unit in (LANES, ARRAY))
            shown.add_row(f"{table} {length}", *figures, off, f"{found['physical']:.4f}", f"{found['cpu_s']:.1f}", *waits)
    Console(width=220).print(shown)


if __name__ == "__main__":
    main()
