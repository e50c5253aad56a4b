"""A technology table of what hw/cells_45nm.yaml has measured, and of gate equivalents as cells of that library.

python -m tests.rtl.cell_prices    writes hw/tech/cells_45nm.yaml, after tests/rtl/liberty.py or tests/rtl/synthesis.py have been run
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.rtl.liberty import LIBRARY_VOLTS, TABLE_VOLTS, Row, row_of, stored
from tests.rtl.runner import ROOT
from tests.rtl.synthesis import stored as simple

FILE = ROOT / "hw" / "tech" / "cells_45nm.yaml"
FULL_ADDER_UM2, AND_UM2 = 4.256, 1.064  # FA_X1 and AND2_X1 of the library
FILLED = 0.7
SQUARE, LINEAR = (TABLE_VOLTS / LIBRARY_VOLTS) ** 2, TABLE_VOLTS / LIBRARY_VOLTS
ABOUT = (
    f"Operators and blocks of hw/rtl in cells of an open 45 nm library, energy at {TABLE_VOLTS} V, no memories. Those of pe_os, pe_ws,"
    " max_pe, exp, sum8, scan and scan4 hold their flip-flops and the clock of a cycle in which they work, the others none; sum8 and scan4"
    " take a vector."
)
LAYOUT = f"in a layout filled to {FILLED:.0%}, assumed"
SOURCES = {
    "cells_energy": f"hw/cells_45nm.yaml, uniform words, {LIBRARY_VOLTS} V taken to {TABLE_VOLTS} V by V^2; low: sparse words, each gate's"
    f" cheapest input and slew, no wires; high: at {LIBRARY_VOLTS} V, each gate's dearest input and slew, twice the wires",
    "cells_area": f"hw/cells_45nm.yaml, cells alone; high: {LAYOUT}",
    "cells_area_adders": f"hw/cells_45nm.yaml, cells alone; low: full-adder cells in rows, worked out and not mapped; high: {LAYOUT}",
    "gate_area": "blocks that hw/cells_45nm.yaml and hw/synthesis.yaml share, cells over gate equivalents; low: the least block; high: the"
    f" most, {LAYOUT}",
    "gate_leakage": f"the same blocks, leakage at {LIBRARY_VOLTS} V, 25 C, typical corner; low: the least block at {LINEAR:.2f} of it,"
    " as the supply; high: the most of a block; hotter silicon leaks more",
}


@dataclass(frozen=True, slots=True)
class Priced:
    """A component and the block that it is."""

    component: str
    block: str
    parameters: Mapping[str, int]


PRICED = [
    Priced("add_int32", "add", {"W": 32, "C": 32}), Priced("less_int32", "less", {"W": 32, "C": 1}),
    *(Priced(f"max_int{width}", "max", {"W": width, "C": width}) for width in (16, 32)),
    *(Priced(f"mul_int{width}", "multiply", {"W": width, "C": 2 * width}) for width in (8, 16, 32)),
    *(Priced(f"mac_int{width}", "multiply_add", {"W": width, "C": 2 * width + 16}) for width in (8, 16, 32)),
    *(
        Priced(f"{name}_int{width}", name, {"AW": width, "BW": width, "CW": 2 * width + 16})
        for name in ("pe_os", "pe_ws") for width in (8, 16, 32)
    ),
    Priced("max_pe_int16", "max_pe", {"W": 16, "TW": 1}),
    Priced("exp_fixed16", "exp_pe", {"XW": 16, "XF": 8, "OF": 15, "G": 5, "TW": 4}),
    Priced("exp_fixed8", "exp_pe", {"XW": 8, "XF": 4, "OF": 7, "G": 3, "TW": 1}),
    Priced("sum8_int16", "reduction_tree", {"INPUTS": 8, "W": 16, "OP": 0}),
    Priced("scan_int16", "scan_unit", {"WIDTH": 1, "W": 16, "FORM": 0}),
    Priced("scan4_int16", "scan_unit", {"WIDTH": 4, "W": 16, "FORM": 0}),
    Priced("secded_encode64", "secded_encode", {"W": 64}), Priced("secded_decode64", "secded_decode", {"W": 64}),
    Priced("parity64", "parity", {"W": 64, "C": 1}),
]  # fmt: skip
FLIP_FLOP = Priced("flip_flop", "register", {"W": 16, "C": 16})

Range = tuple[float, float, float]


def energy_pj(row: Row) -> Range:
    """Of a cycle: low, value and high."""
    sparse, uniform, gates = row["energy_fj"]["sparse"], row["energy_fj"]["uniform"], row["gates_fj"]
    low = sparse["pins"] + sparse["cells"] - gates["sparse"]["less"] + sparse["clock"]
    high = uniform["pins"] + uniform["cells"] + gates["uniform"]["more"] + 2 * uniform["wires"] + uniform["clock"]
    return low * SQUARE / 1000, sum(uniform.values()) * SQUARE / 1000, high / 1000


def adders_um2(block: str, parameters: Mapping[str, int]) -> float | None:
    """An operator of full adders: one a bit of a sum, and for a product an array of W rows, the first without adders."""
    width, out = parameters.get("W", 0), parameters.get("C", 0)
    product = width * width * AND_UM2 + width * (width - 1) * FULL_ADDER_UM2
    return {"add": width * FULL_ADDER_UM2, "multiply": product, "multiply_add": product + out * FULL_ADDER_UM2}.get(block)


def area_um2(row: Row) -> Range:
    """Low, value and high."""
    area, adders = float(row["area_um2"]), adders_um2(row["block"], row["parameters"])
    return min(area, adders or area), area, area / FILLED


def shared() -> list[tuple[Row, float]]:
    """Blocks of the library whose gate equivalents are known, with those; not those with a memory, which has none."""
    known = {(row["module"], *row["parameters"].items()): row for row in simple()["rows"] if not row["memory_bits"]}
    rows = [(row, known.get((row["block"], *row["parameters"].items()))) for row in stored()["rows"]]
    return [(row, sum(found["gate_equivalents"].values())) for row, found in rows if found is not None]


def of_gates(figure: str) -> Range:
    """A figure of the shared blocks over their gate equivalents: of the least block, of all in one, of the most."""
    rows = shared()
    each = [row[figure] / size for row, size in rows]
    return min(each), sum(row[figure] for row, _ in rows) / sum(size for _, size in rows), max(each)


def line(component: str, action: str, figures: Range, unit: str, kind: str, source: str) -> str:
    """A row of the file, figures with four digits."""
    low, value, high = (f"{float(f'{figure:.4g}'):.10g} {unit}" for figure in figures)
    return f"  - {{component: {component}, action: {action}, value: {value}, low: {low}, high: {high}, kind: {kind}, source: {source}}}\n"


def text() -> str:
    """The file."""
    lines = ["technology: cells_45nm\n", f'about: "{ABOUT}"\n', "node: 45 nm\n", "sources:\n"]
    lines += [f'  {name}: "{source}"\n' for name, source in SOURCES.items()]
    lines.append("# made by python -m tests.rtl.cell_prices\nrows:\n")
    rows = [(each, row_of(each.block, each.parameters)) for each in PRICED]
    lines += [line(each.component, "operation", energy_pj(row), "pJ", "derived", "cells_energy") for each, row in rows]
    for each, row in rows:
        source = "cells_area" if adders_um2(each.block, each.parameters) is None else "cells_area_adders"
        lines.append(line(each.component, "area", area_um2(row), "um2", "tool", source))
    row = row_of(FLIP_FLOP.block, FLIP_FLOP.parameters)
    bits = row["flops"]
    for action, figures, unit, kind, source in (
        ("write", energy_pj(row), "pJ/bit", "derived", "cells_energy"), ("area", area_um2(row), "um2/bit", "tool", "cells_area")
    ):  # fmt: skip
        low, value, high = figures
        lines.append(line(FLIP_FLOP.component, action, (low / bits, value / bits, high / bits), unit, kind, source))
    low, value, high = of_gates("area_um2")
    lines.append(line("gate", "area", (low, value, high / FILLED), "um2/GE", "derived", "gate_area"))
    low, value, high = (1000 * figure for figure in of_gates("leakage_uw"))
    lines.append(line("gate", "static", (low * LINEAR, value, high), "nW/GE", "derived", "gate_leakage"))
    return "".join(lines)


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
