"""What modules of hw/rtl, and bare operators, take of a real cell library: area, leakage and energy of an operation.

python -m tests.rtl.liberty LIBRARY    writes hw/cells_45nm.yaml from the file named there, .lib or .lib.gz, and prints the tables of
                                       docs/rtl.md; takes four minutes
"""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import yaml

from accelsim.hardware.architecture import Quantity
from accelsim.io.catalogue import TECHNOLOGY, shipped
from accelsim.io.technology import load_technology
from accelsim.rtl.netlist import ONE, ZERO, FloatArray, IntArray, Netlist, netlist
from accelsim.rtl.synthesis import COARSE, sources, version
from tests.rtl.library import Flop, Library, parsed
from tests.rtl.operands import KINDS, WARM, operands
from tests.rtl.runner import ROOT, RTL

Row: TypeAlias = dict[str, Any]

FILE = ROOT / "hw" / "cells_45nm.yaml"
LIBRARY_VOLTS = 1.1
LIBRARY = {
    "name": "NangateOpenCellLibrary, typical corner, 1.1 V, 25 C, revision 1.0 of 2011",
    "source": "github.com/The-OpenROAD-Project/OpenSTA, test/nangate45/nangate45_typ.lib.gz",
    "commit": "d1b2b3962cd47539c748bb163da5de2bd5d2f85f",
    "sha256": "2efd0b32eb580e4e60e72fc0575bb3bc69aac907c91d908442e4ae6d7fe55895",  # of the file, unpacked
    "license": "of Nangate, by the head of the file, with restrictions on its use; distributed by Si2 for research and tests, not here",
}
ABOUT = (
    "Modules of hw/rtl and bare operators in cells of an open library (tests/rtl/liberty.py): area of cells, leakage, and energy of a"
    " cycle, which is an operation or a vector, at 1.1 V. Energy by what takes it: pins, the capacitance of inputs of cells; cells,"
    " what is inside them; wires, an estimate by the library's wire load; clock, flip-flops that hold and their clock pins. No"
    " glitches, no clock tree."
)
OPERATORS = {
    "add": "assign y_o = a_i + b_i",
    "less": "assign y_o = a_i < b_i",
    "max": "assign y_o = a_i > b_i ? a_i : b_i",
    "multiply": "assign y_o = a_i * b_i",
    # the sign of the product is written out, or yosys merges both into partial products of C bits, twice as large
    "multiply_add": "logic [2*W-1:0] p; assign p = a_i * b_i; assign y_o = c_i + {{(C-2*W){p[2*W-1]}}, p}",
    "parity": "assign y_o = ^a_i",
    "register": "always_ff @(posedge clk_i) y_o <= a_i",
}
OPERATOR = """module operator #(parameter int W = 8, parameter int C = 8) (
  input logic clk_i, input logic signed [W-1:0] a_i, input logic signed [W-1:0] b_i, input logic signed [C-1:0] c_i,
  output logic signed [C-1:0] y_o
);
  {};
endmodule
"""
BLOCKS: list[tuple[str, dict[str, int]]] = [
    ("add", {"W": 32, "C": 32}), ("less", {"W": 32, "C": 1}), ("max", {"W": 16, "C": 16}), ("max", {"W": 32, "C": 32}),
    ("multiply", {"W": 8, "C": 16}), ("multiply", {"W": 16, "C": 32}), ("multiply", {"W": 32, "C": 64}),
    ("multiply_add", {"W": 8, "C": 32}), ("multiply_add", {"W": 16, "C": 48}), ("multiply_add", {"W": 32, "C": 80}),
    ("parity", {"W": 64, "C": 1}), ("register", {"W": 16, "C": 16}),
    *(("pe_os", {"AW": width, "BW": width, "CW": 2 * width + 16}) for width in (8, 16, 32)),
    *(("pe_ws", {"AW": width, "BW": width, "CW": 2 * width + 16}) for width in (8, 16, 32)),
    ("max_pe", {"W": 16, "TW": 1}), ("exp_pe", {"XW": 16, "XF": 8, "OF": 15, "G": 5, "TW": 4}),
    ("exp_pe", {"XW": 8, "XF": 4, "OF": 7, "G": 3, "TW": 1}), ("reduction_tree", {"INPUTS": 8, "W": 16, "OP": 0}),
    ("scan_unit", {"WIDTH": 1, "W": 16, "FORM": 0}), ("scan_unit", {"WIDTH": 4, "W": 16, "FORM": 0}),
    ("secded_encode", {"W": 64}), ("secded_decode", {"W": 64}), ("fifo", {"W": 8, "DEPTH": 4}),
]  # fmt: skip
TABLE, TABLE_VOLTS = "class_45nm", 0.9
PUBLISHED = "Horowitz, ISSCC 2014: a 32-bit multiply of 3.1 pJ and an add of 0.1 pJ at 45 nm; low and high assumed"
BEYOND = {  # what the table lacks
    ("mul_int32", "operation"): Quantity(3.1, 1.0, 6.0, PUBLISHED, "published"),
    ("mac_int32", "operation"): Quantity(3.2, 1.0, 6.0, PUBLISHED, "published"),
}
LOGIC, CLOCKED = ("pins", "cells", "wires"), ("pins", "cells", "wires", "clock")


@dataclass(frozen=True, slots=True)
class Held:
    """A block that a component of the table, or of BEYOND, prices; its figures are of `bits`, and of its energy count `parts`."""

    block: str
    parameters: Mapping[str, int]
    component: str
    energy: str = "operation"
    bits: int = 1
    parts: tuple[str, ...] = LOGIC


HELD = (
    Held("multiply_add", {"W": 8, "C": 32}, "mac_int8"),
    Held("multiply", {"W": 8, "C": 16}, "mul_int8"),
    Held("add", {"W": 32, "C": 32}, "add_int32"),
    Held("max", {"W": 32, "C": 32}, "max"),
    Held("exp_pe", {"XW": 16, "XF": 8, "OF": 15, "G": 5, "TW": 4}, "exp_bf16"),  # the nearest there is: 16 bits in fixed point
    Held("multiply", {"W": 32, "C": 64}, "mul_int32"),
    Held("multiply_add", {"W": 32, "C": 80}, "mac_int32"),
    Held("register", {"W": 16, "C": 16}, "register", "write", 16, CLOCKED),
)


@dataclass(frozen=True, slots=True)
class Mapped:
    """A netlist of cells of a library."""

    net: Netlist
    cells: Mapping[str, int]
    flop: str

    @classmethod
    def of(cls, module: Mapping[str, Any], library: Library) -> Mapped:
        """From a module of `write_json`; refuses more than one type of flip-flop, and nets that nothing drives."""
        kinds = Counter(each["type"] for each in module["cells"].values())
        flops = [kind for kind in kinds if library.cells[kind].gate is None]
        assert len(flops) <= 1, flops
        flop = flops[0] if flops else ""
        net = netlist(module, library.gates, flop)
        driven = {ZERO, ONE, *net.driven, *(place for name, bits in net.ports.items() if name.endswith("_i") for place in bits)}
        assert driven == {*range(net.nets)}, f"{net.nets - len(driven)} nets without a driver"
        return cls(net, kinds, flop)

    def loads(self, library: Library) -> tuple[FloatArray, IntArray]:
        """Capacitance of the inputs of each net, fF, and how many they are; no clock pins."""
        load, fanout = np.zeros(self.net.nets), np.zeros(self.net.nets, np.int64)
        for kind, inputs in zip(self.net.kinds, self.net.inputs, strict=True):
            for pin, net in zip(library.gates[kind].pins, inputs, strict=False):
                load[net] += library.cells[kind].capacitance_ff[pin]
                fanout[net] += 1
        for net in self.net.flops[:, 0]:
            load[net] += library.cells[self.flop].capacitance_ff["D"]
            fanout[net] += 1
        return load, fanout

    def energy_fj(self, changes: FloatArray, library: Library) -> dict[str, float]:
        """Of a cycle in which nets change so often: a change takes C V^2 / 2 of what it charges, and what is inside the cell."""
        load, fanout = self.loads(library)
        half = library.volts**2 / 2
        inside = sum(
            changes[net] * library.cells[kind].change_fj(load[net]) for kind, net in zip(self.net.kinds, self.net.outputs, strict=True)
        )
        clock = 0.0
        if self.flop:
            flop = Flop(library.cells[self.flop])
            inside += sum(changes[net] * flop.change_fj(load[net]) for net in self.net.flops[:, 1])
            clock = len(self.net.flops) * (flop.clock_fj + 2 * half * flop.cell.capacitance_ff["CK"])
        wires = sum(change * half * library.wire_ff(int(count)) for change, count in zip(changes, fanout, strict=True))
        found = {"pins": float(changes @ load) * half, "cells": inside, "wires": wires, "clock": clock}
        return {name: round(float(value), 1) for name, value in found.items()}

    def gates_fj(self, library: Library) -> FloatArray:
        """Inside the gate that drives a net, of a change: float64[nets, (least, mean, most)]; 0 where none does."""
        load, _ = self.loads(library)
        found, known = np.zeros((self.net.nets, 3)), dict[tuple[str, float], tuple[float, float, float]]()
        for kind, net in zip(self.net.kinds, self.net.outputs, strict=True):
            at = kind, float(load[net])
            if at not in known:
                cell = library.cells[kind]
                least, most = cell.range_fj(load[net])
                known[at] = least, cell.change_fj(load[net]), most
            found[net] = known[at]
        return found


def library(text: str) -> Library:
    """From a file's text."""
    return Library(parsed(text))


def mapped(block: str, parameters: Mapping[str, int], text: str) -> Mapping[str, Any]:
    """The flat module of `write_json`, memories as flip-flops."""
    with tempfile.TemporaryDirectory() as work:
        out, cells = Path(work) / "out.json", Path(work) / "cells.lib"
        cells.write_text(text, encoding="utf-8")
        files, top = [str(RTL / name) for name in sources(block, RTL)] if block not in OPERATORS else [f"{work}/operator.sv"], block
        if block in OPERATORS:
            Path(files[0]).write_text(OPERATOR.format(OPERATORS[block]), encoding="utf-8")
            top = "operator"
        settings = " ".join(f"-set {name} {value}" for name, value in parameters.items())
        script = f"read_verilog -sv {' '.join(files)}; " + COARSE.format(parameters=settings, top=top, memory="memory -nordff", apart="")
        script += f"abc -liberty {cells}; dfflibmap -liberty {cells}; opt_clean -purge; write_json {out}"
        done = subprocess.run(["yosys", "-q", "-p", script], capture_output=True, text=True, cwd=work)
        assert done.returncode == 0, f"{block} {dict(parameters)}: {done.stderr[-2000:]}"
        (found,) = json.loads(out.read_text(encoding="utf-8"))["modules"].values()
    module: Mapping[str, Any] = found
    return module


def measure(block: str, parameters: Mapping[str, int], text: str, cells: Library) -> Row:
    """A row of the file."""
    found = Mapped.of(mapped(block, parameters, text), cells)
    widths = {name: len(bits) for name, bits in found.net.ports.items()}
    driver = "operator" if block in OPERATORS else block
    changes = {kind: found.net.run(operands(driver, parameters, kind, widths), WARM)[0] for kind in KINDS}
    energies = {kind: found.energy_fj(each, cells) for kind, each in changes.items()}
    inside = found.gates_fj(cells)
    ranges = {kind: (each @ inside).tolist() for kind, each in changes.items()}
    return {
        "block": block, "parameters": dict(parameters), "cells": sum(found.cells.values()), "flops": len(found.net.flops),
        "area_um2": round(sum(count * cells.cells[kind].area_um2 for kind, count in found.cells.items()), 1),
        "leakage_uw": round(sum(count * cells.cells[kind].leakage_nw for kind, count in found.cells.items()) / 1000, 2),
        "energy_fj": energies,
        "gates_fj": {kind: {"less": round(mean - least, 1), "more": round(most - mean, 1)} for kind, (least, mean, most) in ranges.items()},
    }  # fmt: skip


def stored() -> Row:
    """The file."""
    found: Row = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return found


def row_of(block: str, parameters: Mapping[str, int]) -> Row:
    """The file's."""
    return next(row for row in stored()["rows"] if row["block"] == block and row["parameters"] == parameters)


def verdict(value: float, price: Quantity) -> str:
    """Where a figure lies."""
    return "below" if value < price.low else "above" if value > price.high else "within"


def prices() -> dict[tuple[str, str], Quantity]:
    """Of components and actions of the table that depend on no size or are those of 16 bits, and of those beyond it."""
    rows = load_technology(shipped(TECHNOLOGY)[TABLE]).rows
    return BEYOND | {(row.component, row.action): row.quantity for row in rows if row.size_bits in (None, 16)}


def held() -> list[Row]:
    """Figures beside prices: area as it is, energy at the table's supply, of uniform operands; leakage of all blocks in one."""
    priced, found = prices(), []
    scale = (TABLE_VOLTS / LIBRARY_VOLTS) ** 2 / 1000
    for each in HELD:
        row = row_of(each.block, each.parameters)
        figures = {"area": row["area_um2"], each.energy: sum(row["energy_fj"]["uniform"][part] for part in each.parts) * scale}
        named = f"{each.block} of {each.parameters.get('W', each.parameters.get('XW'))} bits"
        found += [(named, each.component, action, figure / each.bits) for action, figure in figures.items()]
    rows = stored()["rows"]
    found.append(("all blocks", "logic", "static", sum(row["leakage_uw"] for row in rows) / sum(row["area_um2"] for row in rows) / 1e6))
    return [
        {"block": block, "component": component, "action": action, "figure": figure, "price": price, "verdict": verdict(figure, price)}
        for block, component, action, figure in found
        if (price := priced.get((component, action))) is not None
    ]


UNITS = {"area": "um2", "operation": "pJ", "write": "pJ", "static": "mW/mm2"}


def held_table() -> str:
    """For docs/rtl.md."""
    lines = ["| block | priced as | here | price, low to high | here is |", "|---|---|---:|---:|---|"]
    for each in held():
        size = 1e9 if each["action"] == "static" else 1
        unit = UNITS[each["action"]] + ("/bit" if each["component"] == "register" else "")
        values = (each["figure"], each["price"].value, each["price"].low, each["price"].high)
        here, value, low, high = (f"{float(f'{figure * size:.3g}'):,g}" for figure in values)
        named = f"{each['component']}, {each['action']}"
        lines.append(f"| {each['block']} | {named} | {here} {unit} | {value}, {low} to {high} | {each['verdict']} |")
    return "\n".join(lines) + "\n"


def table() -> str:
    """All rows, for docs/rtl.md."""
    lines = [
        "| block | parameters | cells | flip-flops | um2 | leakage, uW | fJ: pins | cells | wires | clock | fJ of sparse, without clock |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in stored()["rows"]:
        named = " ".join(f"{name}={value}" for name, value in row["parameters"].items())
        uniform, sparse = (row["energy_fj"][kind] for kind in KINDS)
        figures = [row["cells"], row["flops"], row["area_um2"], row["leakage_uw"], *(round(uniform[part]) for part in CLOCKED)]
        figures.append(round(sum(sparse[part] for part in LOGIC)))
        lines.append(f"| {row['block']} | {named} | " + " | ".join(f"{each:,}" for each in figures) + " |")
    return "\n".join(lines) + "\n"


def write(rows: list[Row]) -> None:
    """All rows, one a line."""
    head = {"about": ABOUT, "library": LIBRARY, "yosys": version(), "made_by": "python -m tests.rtl.liberty LIBRARY"}
    lines = (yaml.safe_dump(row, default_flow_style=True, sort_keys=False, width=10_000).strip() for row in rows)
    FILE.write_text(
        yaml.safe_dump(head, sort_keys=False, width=130) + "rows:\n" + "".join(f"  - {line}\n" for line in lines), encoding="utf-8"
    )


def main(path: str) -> None:
    """All rows anew, of the library that is named above and no other."""
    raw = Path(path).read_bytes()
    raw = gzip.decompress(raw) if path.endswith(".gz") else raw
    if hashlib.sha256(raw).hexdigest() != LIBRARY["sha256"]:
        sys.exit(f"{path}: this is not {LIBRARY['source']} of commit {LIBRARY['commit']}; fetch that file")
    text = raw.decode()
    cells, rows = library(text), []
    for block, parameters in BLOCKS:
        rows.append(measure(block, parameters, text, cells))
        print(rows[-1], flush=True)
    write(rows)
    print(table(), held_table(), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1])
