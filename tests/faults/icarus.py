"""Netlists with faults in Icarus: yosys writes the netlist as Verilog, a bench forces the line.

Every line that can be faulty gets a buffer, so that there is a net to force for each input that a net goes to.
"""

from __future__ import annotations

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

from accelsim.faults.gates import KINDS, GateFault


def buffered(made: Any) -> tuple[Any, dict[tuple[Any, str, str], int]]:
    """A module whose lines go through buffers, and the nets behind these by net, cell and pin; nets are named n and a number."""
    module, number = copy.deepcopy(made), max(bit for wire in made["netnames"].values() for bit in wire["bits"] if isinstance(bit, int))
    behind: dict[tuple[Any, str, str], int] = {}

    def buffer(bit: Any, key: tuple[Any, str, str]) -> int:
        nonlocal number
        number += 1
        behind[key] = number
        module["cells"][f"buffer{number}"] = {
            "type": "$_BUF_", "hide_name": 0, "parameters": {}, "attributes": {}, "port_directions": {"A": "input", "Y": "output"},
            "connections": {"A": [bit], "Y": [number]},
        }  # fmt: skip
        return number

    cells = dict(made["cells"])
    clock = {made["ports"]["clk_i"]["bits"][0]} if "clk_i" in made["ports"] else set()
    driven = {cell["connections"][pin][0] for cell in cells.values() for pin in "YQ" if pin in cell["connections"]}
    given = {bit for port in made["ports"].values() if port["direction"] == "input" for bit in port["bits"]} - clock
    stems = {bit: buffer(bit, (bit, "", "")) for bit in sorted(driven | given)}
    for name, cell in cells.items():
        for pin, (bit,) in cell["connections"].items():
            if pin not in "YQ" and (pin, cell["type"]) != ("C", "$_DFF_P_"):
                module["cells"][name]["connections"][pin] = [buffer(stems.get(bit, bit), (bit, name, pin))]
    for name, port in module["ports"].items():
        if port["direction"] == "output":
            port["bits"] = [buffer(stems.get(bit, bit), (name, str(place), "")) for place, bit in enumerate(port["bits"])]
    ends = {bit for port in module["ports"].values() for bit in port["bits"]}
    numbers = {bit for cell in module["cells"].values() for (bit,) in cell["connections"].values() if isinstance(bit, int)}
    module["netnames"] = {
        f"n{bit}": {"hide_name": 0, "bits": [bit], "attributes": {}} for bit in sorted(numbers - ends)
    } | {name: {"hide_name": 0, "bits": port["bits"], "attributes": {}} for name, port in module["ports"].items()}
    return module, behind


def verilog(module: Any, name: str, folder: Path) -> Path:
    """What yosys writes of it."""
    document, out = folder / f"{name}.json", folder / f"{name}.v"
    document.write_text(json.dumps({"modules": {name: module}}), encoding="utf-8")
    subprocess.run(["yosys", "-q", "-p", f"read_json {document}; write_verilog -noattr -norename {out}"], check=True, capture_output=True)
    buffer = "module \\$_BUF_ (input A, output Y); assign Y = A; endmodule\n"
    out.write_text(out.read_text(encoding="utf-8") + buffer, encoding="utf-8")
    return out


def bench(made: Any, module: Any, behind: dict[tuple[Any, str, str], int], runs: list[tuple[GateFault, list[dict[str, int]]]]) -> str:
    """A bench that prints outputs, before the edge of each cycle, of runs with one fault and one vector each."""
    widths = {name: len(port["bits"]) for name, port in made["ports"].items()}
    ins = [name for name, port in made["ports"].items() if port["direction"] == "input"]
    outs = [name for name in widths if name not in ins]
    flops = [cell["connections"]["Q"][0] for cell in made["cells"].values() if cell["type"] == "$_DFF_P_"]
    lines = ["module bench;"] + [f"  reg [{widths[name] - 1}:0] {name} = 0;" for name in ins]
    lines += [f"  wire [{widths[name] - 1}:0] {name};" for name in outs] + ["  reg earlier, latest, shown;"]
    lines += [f"  dut u({', '.join(f'.{name}({name})' for name in widths)});", "  initial begin"]
    source = {key: next(iter(module["cells"][f"buffer{bit}"]["connections"]["A"])) for key, bit in behind.items()}
    places = {bit: (name, place) for name in ins for place, bit in enumerate(made["ports"][name]["bits"])}

    def drives(key: tuple[Any, str, str]) -> str:
        bit = source[key]
        if isinstance(bit, str):
            return f"1'b{bit}"
        if bit not in places:
            return f"u.n{bit}"
        name, place = places[bit]
        return f"{name}[{place}]"  # of the bench, where every input has a range

    for fault, cycles in runs:
        key = (fault.net, fault.cell, fault.pin)
        line, drive = f"u.n{behind[key]}", drives(key)
        lines += [f"    u.n{bit} = 0;" for bit in flops]
        for cycle, words in enumerate(cycles):
            lines += [f"    {name} = {widths[name]}'d{word};" for name, word in words.items()] + [f"    release {line};", "    #1;"]
            if fault.kind in KINDS[:2]:
                lines.append(f"    force {line} = 1'b{KINDS.index(fault.kind)}; #1;")
            else:  # what drives a line is never behind it within a cycle
                if cycle == 0:
                    lines.append(f"    earlier = {drive};")
                operator = "&" if fault.kind == KINDS[2] else "|"
                lines.append(f"    shown = {drive} {operator} earlier; force {line} = shown; #1;")
            lines.append("    $display(\"" + " ".join(["%h"] * len(outs)) + f"\", {', '.join(outs)});")
            lines.append(f"    latest = {drive}; #1;")
            lines += ["    clk_i = 1; #1; clk_i = 0; #1;"] if "clk_i" in ins else []
            lines.append("    earlier = latest;")
        lines.append(f"    release {line};")
    return "\n".join([*lines, "  end", "endmodule", ""])


def run(made: Any, runs: list[tuple[GateFault, list[dict[str, int]]]], folder: Path) -> list[list[dict[str, int]]]:
    """Words of outputs by run and cycle."""
    module, behind = buffered(made)
    written = verilog(module, "dut", folder)
    (folder / "bench.v").write_text(bench(made, module, behind, runs), encoding="utf-8")
    subprocess.run(["iverilog", "-g2012", "-o", str(folder / "it"), str(folder / "bench.v"), str(written)], check=True, capture_output=True)
    said = subprocess.run(["vvp", "-n", str(folder / "it")], check=True, capture_output=True, text=True).stdout.splitlines()
    outs = [name for name, port in made["ports"].items() if port["direction"] == "output"]
    rows = iter([dict(zip(outs, (int(word, 16) for word in line.split()), strict=True)) for line in said])
    return [[next(rows) for _ in cycles] for _, cycles in runs]


def array(
    made: Any, name: str, parameters: dict[str, int], size: tuple[int, int], place: tuple[int, int], faults: list[GateFault],
    inputs: list[dict[str, int]], sources: list[Path], folder: Path,
) -> list[list[int]]:  # fmt: skip
    """What leaves an array of hw/rtl, all of whose elements are the netlist, by fault and cycle: a line of one is stuck or slow."""
    module, behind = buffered(made)
    kind, (rows, columns), (row, column) = name.removeprefix("pe_"), size, place
    written = verilog(module, name, folder)
    head = ", ".join(f"parameter {each} = 0" for each in parameters)
    written.write_text(written.read_text(encoding="utf-8").replace(f"module {name}(", f"module {name} #({head}) (", 1), encoding="utf-8")
    told = {"ROWS": rows, "COLS": columns, **parameters}
    widths = {
        "ws": {"rst_i": 1, "valid_i": 1, "first_i": 1, "load_i": columns, "load_first_i": 1, "a_i": rows * parameters["AW"],
               "w_i": columns * parameters["BW"]},
        "os": {"rst_i": 1, "valid_i": 1, "first_i": 1, "last_i": 1, "rows_i": rows, "cols_i": columns, "a_i": rows * parameters["AW"],
               "b_i": columns * parameters["BW"]},
    }[kind]  # fmt: skip
    lines = ["module bench;", "  reg clk_i = 0;"] + [f"  reg [{width - 1}:0] {each} = 0;" for each, width in widths.items()]
    lines += [f"  wire [{columns * parameters['CW'] - 1}:0] z_o;"]
    lines += [f"  systolic_{kind} #({', '.join(f'.{each}({value})' for each, value in told.items())}) u"]
    lines += [f"    (.clk_i(clk_i), .z_o(z_o), .z_valid_o(), {', '.join(f'.{each}({each})' for each in widths)});", "  initial begin"]
    clock, element = "clk_i = 1; #1; clk_i = 0; #1;", f"u.g_col[{column}].g_row[{row}].u_pe"
    lines[1] += " reg earlier, latest, shown;"
    given = {
        bit: f"{element}.{each}" + (f"[{at}]" if len(port["bits"]) > 1 else "")
        for each, port in made["ports"].items() for at, bit in enumerate(port["bits"]) if port["direction"] == "input"
    }  # fmt: skip
    for fault in faults:
        number = behind[fault.net, fault.cell, fault.pin]
        (source,) = module["cells"][f"buffer{number}"]["connections"]["A"]
        line, drive = f"{element}.n{number}", f"1'b{source}" if isinstance(source, str) else given.get(source, f"{element}.n{source}")
        lines += [f"    {each} = 0;" for each in widths] + [f"    rst_i = 1; {clock} {clock} rst_i = 0;"]
        stuck = fault.kind in KINDS[:2]
        lines.append(f"    force {line} = 1'b{KINDS.index(fault.kind)}; #1;" if stuck else "")
        for cycle, words in enumerate(inputs):
            lines += [f"    {each} = {widths[each]}'d{words.get(each, 0)};" for each in widths]
            if not stuck:
                lines += [f"    release {line}; #1;", f"    earlier = {drive};" if cycle == 0 else ""]
                operator = "&" if fault.kind == KINDS[2] else "|"
                lines.append(f"    shown = {drive} {operator} earlier; force {line} = shown; #1; latest = {drive};")
            lines.append(f'    #1; $display("%h", z_o); {clock} earlier = latest;')
        lines.append(f"    release {line};")
    (folder / "bench.v").write_text("\n".join([*lines, "  end", "endmodule", ""]), encoding="utf-8")
    command = ["iverilog", "-g2012", "-o", str(folder / "it"), str(folder / "bench.v"), str(written), *map(str, sources)]
    subprocess.run(command, check=True, capture_output=True)
    said = subprocess.run(["vvp", "-n", str(folder / "it")], check=True, capture_output=True, text=True).stdout.splitlines()
    found = iter(said)
    return [[int(next(found), 16) for _ in inputs] for _ in faults]
