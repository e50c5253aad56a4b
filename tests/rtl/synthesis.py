"""What the modules of hw/rtl are made of: synthesis into simple gates by yosys, and how often those gates change.

python -m tests.rtl.synthesis [MODULE ...]    writes the rows of some modules, or of all, into hw/synthesis.yaml, and prints the
                                              tables of docs/rtl.md; all take a quarter of an hour

Memories stay whole: their bits are counted, and neither their address decoders nor their read multiplexers. Enables and resets of
flip-flops are gates.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any, TypeAlias

import yaml

from accelsim.io.catalogue import MACHINE, shipped
from accelsim.io.hardware import load_architecture
from accelsim.rtl.netlist import FLOP, LANES, netlist
from accelsim.rtl.processor import Shape
from accelsim.rtl.synthesis import MEMORY, synthesise, version
from tests.rtl.operands import COUNTED, DRIVERS, KINDS, WARM, operands
from tests.rtl.runner import ROOT, RTL, modules

Row: TypeAlias = dict[str, Any]

PROCESSOR, APART = "mini", ("npu_lane", "npu_scan")
FILE = ROOT / "hw" / "synthesis.yaml"
# Transistors of a static CMOS gate over the 4 of a two-input NAND: two for each input of an inverter, NAND, NOR or complex gate; 10 for an
# exclusive or (a NOR and a complex gate of 6) and for an inverting multiplexer (a complex gate of 8 and an inverter for the select), 12 for
# one that does not invert; 24 for a flip-flop (two latches with pass gates, and inverters for the clock and the output).
GATES = {
    "$_NOT_": 0.5, "$_NAND_": 1.0, "$_NOR_": 1.0, "$_AOI3_": 1.5, "$_OAI3_": 1.5, "$_AOI4_": 2.0, "$_OAI4_": 2.0,
    "$_XOR_": 2.5, "$_XNOR_": 2.5, "$_NMUX_": 2.5, "$_MUX_": 3.0,
}  # fmt: skip
FLIP_FLOP = 6.0
WIDTHS = (8, 16, 32)
WIDER: dict[str, list[dict[str, int]]] = {
    "pe_os": [{"AW": width, "BW": width, "CW": 2 * width + 16} for width in WIDTHS],
    "pe_ws": [{"AW": width, "BW": width, "CW": 2 * width + 16} for width in WIDTHS],
    "exp_pe": [{"XW": 8, "XF": 4, "OF": 7, "G": 3, "TW": 1}, {"XW": 32, "XF": 24, "OF": 24, "G": 5, "TW": 1}],
    "scan_unit": [{"WIDTH": 4, "W": width, "FORM": 0} for width in WIDTHS],
}
SHOWN = {"delay_line": 2, "secded_decode": 4, "secded_encode": 4}  # rows of docs/rtl.md that are not the first of their modules
ABOUT = (
    "Generic synthesis of hw/rtl into static CMOS gates (tests/rtl/synthesis.py); no cell library, no timing, no wires. Gate equivalents"
    " are transistors over the 4 of a two-input NAND. Toggles are changes of outputs of gates and flip-flops in a cycle, which is an"
    f" operation or a vector, without glitches; a mean over {LANES} lanes of {COUNTED} cycles of the operands of tests/rtl/operands.py."
)


def configurations() -> list[tuple[str, dict[str, int]]]:
    """All modules with the parameters of their benches, and some wider ones; with those that a bench calls SYNTHESISED, if it has some:
    a lane of 32 bits is in `processor`.
    """
    found = []
    for module in modules():
        bench = import_module(f"tests.rtl.bench_{module}")
        sets = getattr(bench, "SYNTHESISED", bench.PARAMETERS) + WIDER.get(module, [])
        found += [(module, dict(each)) for each in {tuple(sorted(each.items())): each for each in sets}.values()]
    return found


def toggles(module: str, parameters: Mapping[str, int], found: Row) -> dict[str, float]:
    """Changes in a cycle on each kind of operands."""
    net = netlist(found)
    widths = {name: len(bits) for name, bits in net.ports.items()}
    return {kind: round(float(net.run(operands(module, parameters, kind, widths), WARM)[0][net.driven].sum()), 1) for kind in KINDS}


def sizes(module: str, parameters: Mapping[str, int], found: Row) -> Row:
    """What a row says of size."""
    cells = list(found["cells"].values())
    count = Counter(cell["type"] for cell in cells)
    memories = [cell["parameters"] for cell in cells if cell["type"] == MEMORY]
    return {
        "module": module, "parameters": dict(parameters), "flops": count[FLOP],
        "memory_bits": sum(int(each["SIZE"], 2) * int(each["WIDTH"], 2) for each in memories),
        "gates": sum(count[kind] for kind in GATES),
        "gate_equivalents": {"gates": sum(area * count[kind] for kind, area in GATES.items()), "flops": FLIP_FLOP * count[FLOP]},
    }  # fmt: skip


def measure(module: str, parameters: Mapping[str, int]) -> Row:
    """A row of the file."""
    found = synthesise(RTL, module, parameters)
    row = sizes(module, parameters, found)
    return row | ({"toggles": toggles(module, parameters, found)} if moves(row) else {})


def moves(row: Row) -> bool:
    """Whether there are operands for a module; a memory that is whole is no gate."""
    return row["module"] in DRIVERS and not row["memory_bits"]


def processor() -> list[Row]:
    """The processor of a machine file at its full width: a lane of each kind, and all but the lanes.

    Mapped once and not with each copy, a lane of 32 bits takes some minutes, most of them for its divider.
    """
    shape = Shape.of(load_architecture(shipped(MACHINE)[PROCESSOR])).parameters(1, 1, 1)
    lane = {"W": shape["W"]}
    latency = shape.pop("LATENCY")
    top = shape | {"FLIGHT": latency + 1}
    found = synthesise(RTL, "npu_top", top, apart=APART)
    copies = Counter(cell["type"] for cell in found["cells"].values())
    lanes = [
        sizes(each, lane, synthesise(RTL, each, lane, effort="-fast ")) | {"copies": copies[each], "effort": "fast"} for each in APART
    ]  # fmt: skip
    return [*lanes, sizes("npu_top", top, found) | {"copies": 1, "apart": ", ".join(APART)}]


def key(module: str, parameters: Mapping[str, int]) -> tuple[str, tuple[tuple[str, int], ...]]:
    """What tells a row from others."""
    return module, tuple(sorted(parameters.items()))


def stored() -> Row:
    """The file."""
    found: Row = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return found


def write(rows: list[Row], whole: list[Row]) -> None:
    """All rows, one a line, and those of the processor."""
    head = yaml.safe_dump({"about": ABOUT, "yosys": version(), "made_by": "python -m tests.rtl.synthesis"}, sort_keys=False, width=130)
    parts = []
    for name, some in (("rows", rows), ("processor", whole)):
        lines = (yaml.safe_dump(row, default_flow_style=True, sort_keys=False, width=10_000).strip() for row in some)
        parts.append(f"{name}:\n" + "".join(f"  - {line}\n" for line in lines))
    FILE.write_text(head + "".join(parts), encoding="utf-8")


def table() -> str:
    """A row of each module and those of wider words, for docs/rtl.md."""
    places = Counter[str]()
    lines = [
        "| module | parameters | flip-flops | memory bits | gates | GE of gates | GE of flip-flops | toggles, uniform | toggles, sparse |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in stored()["rows"]:
        module, parameters = row["module"], row["parameters"]
        if places[module] == SHOWN.get(module, 0) or parameters in WIDER.get(module, []):
            size, changes = row["gate_equivalents"], row.get("toggles", dict.fromkeys(KINDS, ""))
            numbers = [row["flops"], row["memory_bits"], row["gates"], size["gates"], size["flops"], *(changes[kind] for kind in KINDS)]
            named = " ".join(f"{name}={value}" for name, value in parameters.items())
            lines.append(f"| {module} | {named} | " + " | ".join(f"{each:,}" if each != "" else "" for each in numbers) + " |")
        places[module] += 1
    return "\n".join(lines) + "\n"


def processor_table() -> str:
    """What the processor is made of, for docs/rtl.md."""
    *lanes, rest = stored()["processor"]
    lines = ["| part | copies | flip-flops | memory bits | gates | GE of gates | GE of flip-flops |", "|---|---:|---:|---:|---:|---:|---:|"]
    total = Counter[str]()
    for name, row in [*((f"`{lane['module']}`, each", lane) for lane in lanes), ("all else", rest)]:
        figures = {each: row[each] for each in ("flops", "memory_bits", "gates")}
        figures |= {f"{kind} GE": size for kind, size in row["gate_equivalents"].items()}
        lines.append(f"| {name} | {row['copies']} | " + " | ".join(f"{each:,}" for each in figures.values()) + " |")
        total.update({each: row["copies"] * figure for each, figure in figures.items()})
    lines.append("| `npu_top` | | " + " | ".join(f"{each:,}" for each in total.values()) + " |")
    return "\n".join(lines) + "\n"


def timed(module: str, parameters: Mapping[str, int]) -> Row:
    """`measure`, which says how long it took."""
    start = time.perf_counter()
    row = measure(module, parameters)
    print(f"{time.perf_counter() - start:6.1f} s  {row}", flush=True)
    return row


def main(names: list[str]) -> None:
    """Rows of some modules anew, or all; the others stay."""
    every, old = configurations(), stored() if names and FILE.exists() else {}
    known = {key(row["module"], row["parameters"]): row for row in old.get("rows", [])}
    asked = [each for each in every if each[0] in names or key(*each) not in known]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        known |= {key(row["module"], row["parameters"]): row for row in pool.map(lambda each: timed(*each), asked)}
    write([known[key(*each)] for each in every], processor() if not old.get("processor") or "npu_top" in names else old["processor"])
    print(table(), processor_table(), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
