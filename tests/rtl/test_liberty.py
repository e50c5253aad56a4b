"""Energies of cells worked out by hand on a small library; where the figures of a real one lie against the technology table."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.rtl.netlist import LANES, netlist
from accelsim.rtl.synthesis import synthesise
from tests.rtl.liberty import BLOCKS, HELD, LIBRARY, LIBRARY_VOLTS, Mapped, held, held_table, library, main, mapped, stored, table
from tests.rtl.library import Flop, Library, energy_fj, mean_fj, parsed, range_fj
from tests.rtl.operands import KINDS, operands
from tests.rtl.runner import ROOT, RTL
from tests.rtl.synthesis import stored as simple


def gate(name: str, area: float, pins: str, function: str) -> str:
    """A cell with output Y, a delay of 1 and inputs of 2 fF; a rise takes 1 fJ inside, a fall 3."""
    times = ("cell_rise", "cell_fall", "rise_transition", "fall_transition")
    tables = "".join(f'{kind} (t) {{ index_1 ("0,1"); index_2 ("0,100"); values ("1,2", "1,2"); }} ' for kind in times)
    inputs = "".join(f"pin ({pin}) {{ direction : input; capacitance : 2.0; }} " for pin in pins)
    arcs = "".join(f'timing () {{ related_pin : "{pin}"; timing_sense : non_unate; {tables}}} ' for pin in pins)
    power = 'internal_power () { rise_power (scalar) { values ("1.0"); } fall_power (scalar) { values ("3.0"); } }'
    output = f'pin (Y) {{ direction : output; function : "{function}"; max_capacitance : 100.0; {arcs}{power} }}'
    return f"cell ({name}) {{ area : {area}; cell_leakage_power : 10.0; {inputs}{output} }}\n"


def power(when: str, rise: float, fall: float) -> str:
    """Energies of changes in a state."""
    edges = "".join(f'{edge}_power (scalar) {{ values ("{energy}"); }} ' for edge, energy in (("rise", rise), ("fall", fall)))
    return f'internal_power () {{ when : "{when}"; {edges}}}\n'


# 2 V, so that a change takes 2 fJ for each fF. A wire of a net with one input has 0.5 x 2 = 1 fF, with two 0.5 x 3, with four
# 0.5 x (3 + 2 x 4).
SMALL = (
    """library (small) { /* no
comment */
  leakage_power_unit : "1nW"; voltage_unit : "1V"; capacitive_load_unit (1,ff); nom_voltage : 2.0; time_unit : "1ns";
  lu_table_template (t) {
    variable_1 : input_net_transition; variable_2 : total_output_net_capacitance; index_1 ("0,1"); index_2 ("0,100");
  }
  wire_load ("near") { capacitance : 0.5; slope : 4.0; fanout_length (1, 2.0); fanout_length (2, 3.0); }
  default_wire_load : "near";
"""
    + gate("INV", 1.0, "A", "!A")
    + gate("BUF", 1.5, "A", "A")  # abc asks for one
    + gate("NAND", 2.0, "AB", "!(A & B)")
    + gate("NOR", 2.5, "AB", "!(A | B)")
    + """cell (DFF) { area : 6.0; cell_leakage_power : 40.0; ff ("IQ", "IQN") { next_state : "D"; clocked_on : "CK"; }
  pin (D) { direction : input; capacitance : 1.0; """
    + power("CK & Q & !QN", 0.25, 0.75)
    + power("!CK & Q & !QN", 100.0, 100.0)
    + "} pin (CK) { direction : input; clock : true; capacitance : 1.5; "
    + power("D & Q & !QN", 1.0, 2.0)
    + power("!D & !Q & QN", 1.0, 2.0)
    + power("D & !Q & QN", 0.0, 2.5)
    + power("!D & Q & !QN", 0.0, 2.5)
    + """} pin (Q) { direction : output; function : "IQ"; internal_power () { related_pin : "CK";
    rise_power (scalar) { values ("4.0"); } fall_power (scalar) { values ("2.0"); } } }
  pin (QN) { direction : output; function : "IQN"; internal_power () { related_pin : "CK";
    rise_power (scalar) { values ("1.0"); } fall_power (scalar) { values ("1.0"); } } } }
}"""
)


def small() -> Library:
    """Of the text above."""
    return library(SMALL)


def test_energy_between_entries_of_a_table_is_linear_and_beyond_them_the_last() -> None:
    """At the slew of 0.02 ns, halfway between the rows: 0.5 fJ without a load, and half a fJ more for each fF up to 4."""
    text = """library (l) { cell (c) { pin (p) { internal_power () { rise_power (t) {
        index_1 ("0.01,0.03"); index_2 ("0,4"); values ("0,2", \\
            "1,3"); } fall_power (t) { index_1 ("0.01,0.03"); values ("4,6"); } } } } }"""
    (group,) = parsed(text).of("cell")[0].of("pin")[0].of("internal_power")
    assert [energy_fj(group, "rise", load) for load in (0.0, 1.0, 4.0, 9.0)] == pytest.approx([0.5, 1.0, 2.5, 2.5])
    assert energy_fj(group, "fall", 7.0) == pytest.approx(5.0)


def test_range_of_a_change_is_that_of_inputs_and_slews() -> None:
    """One input takes 1, 2 and 4 fJ at slews of 0.005, 0.02 and 0.04 ns for either edge, the other 3 for a rise and 0 for a fall: 1.5."""
    one = 'internal_power () { rise_power (t) { index_1 ("0.005,0.02,0.04"); values ("1,2,4"); } fall_power (t) {'
    one += ' index_1 ("0.005,0.02,0.04"); values ("1,2,4"); } }'
    other = 'internal_power () { rise_power (scalar) { values ("3"); } fall_power (scalar) { values ("0"); } }'
    (pin,) = parsed(f"library (l) {{ cell (c) {{ pin (p) {{ {one} {other} }} }} }}").of("cell")[0].of("pin")
    first, second = pin.of("internal_power")
    assert range_fj([first, second], 0.0) == (1.0, 4.0) and range_fj([second], 0.0) == (1.5, 1.5)
    assert mean_fj([first, second], 0.0) == (2.0 + 1.5) / 2


def test_gates_of_a_netlist_have_the_mean_of_the_whole_and_flip_flops_no_range() -> None:
    """The inverter's two energies of 1 and 3 fJ are edges of one change: 2, whichever way it is read."""
    inverter = {"type": "INV", "connections": {"A": [4], "Y": [5]}}
    flop = {"type": "DFF", "connections": {"CK": [2], "D": [3], "Q": [4]}}
    ports = {"clk_i": {"bits": [2]}, "x_i": {"bits": [3]}, "y_o": {"bits": [5]}}
    found = Mapped.of({"cells": {"inverter": inverter, "flop": flop}, "ports": ports}, small()).gates_fj(small())
    (net,) = (net for net in range(len(found)) if found[net].any())
    assert found[net].tolist() == [2.0, 2.0, 2.0]


def test_rows_have_a_range_within_what_the_page_says() -> None:
    """By a fifth and some in pe_os of 8 bits, by half in secded_decode, of `cells`; slews add a few hundredths."""
    rows = {row["block"]: row for row in reversed(stored()["rows"])}
    for block, share in (("pe_os", 0.20), ("secded_decode", 0.46)):
        for way in ("less", "more"):
            assert share <= rows[block]["gates_fj"]["uniform"][way] / rows[block]["energy_fj"]["uniform"]["cells"] <= share + 0.05
    for row in stored()["rows"]:
        assert all(0 <= row["gates_fj"][kind][way] <= row["energy_fj"][kind]["cells"] for kind in KINDS for way in ("less", "more"))


def test_flip_flop_takes_what_its_states_say() -> None:
    """Held: 1 + 2. Changed: 0 + 2.5 at the clock instead, a mean of 3 at Q, 1 at QN, 0.5 at D while the clock is high: 4 more."""
    flop = Flop(small().cells["DFF"])
    assert flop.clock_fj == 3.0 and flop.change_fj(0.0) == 4.0


def test_wires_grow_with_inputs() -> None:
    assert [small().wire_ff(count) for count in (0, 1, 2, 4)] == [0.0, 1.0, 1.5, 5.5]


def test_energy_of_a_small_netlist_is_that_worked_out_by_hand() -> None:
    """A flip-flop that takes an input that changes every second cycle, and an inverter behind it: half a change a cycle of x, Q and y.

    Pins: 0.5 x (1 fF of D + 2 fF of A) x 2 = 3. Wires: 0.5 x (1 + 1) x 2 = 2. Cells: 0.5 x 2 of the inverter and 0.5 x 4. Clock: 3, and
    1.5 fF up and down, 2 x 2 x 1.5.
    """
    inverter = {"type": "INV", "connections": {"A": [4], "Y": [5]}}
    flop = {"type": "DFF", "connections": {"CK": [2], "D": [3], "Q": [4]}}
    ports = {"clk_i": {"bits": [2]}, "x_i": {"bits": [3]}, "y_o": {"bits": [5]}}
    found = Mapped.of({"cells": {"inverter": inverter, "flop": flop}, "ports": ports}, small())
    changes, _ = found.net.run({"x_i": [[cycle // 2 % 2] * LANES for cycle in range(21)]}, 5)
    assert found.energy_fj(changes, small()) == {"pins": 3.0, "cells": 3.0, "wires": 2.0, "clock": 9.0}


def test_net_without_a_driver_is_refused() -> None:
    inverter = {"type": "INV", "connections": {"A": [4], "Y": [5]}}
    with pytest.raises(AssertionError, match="1 nets without a driver"):
        Mapped.of({"cells": {"inverter": inverter}, "ports": {"y_o": {"bits": [5]}}}, small())


@pytest.mark.usefixtures("rtl_tools")
@pytest.mark.parametrize(
    ("block", "parameters"), [("pe_os", {"AW": 4, "BW": 6, "CW": 10}), ("secded_decode", {"W": 8}), ("fifo", {"W": 8, "DEPTH": 4})]
)
def test_cells_do_what_simple_gates_do(block: str, parameters: dict[str, int]) -> None:
    """Mapped onto the small library, with its flip-flops; the queue, whose memory is no gate, against a list."""
    found = Mapped.of(mapped(block, parameters, SMALL), small())
    words = operands(block, parameters, "uniform", {name: len(bits) for name, bits in found.net.ports.items()})
    _, said = found.net.run(words, 5)
    if block == "fifo":
        assert said["word_o"][3:] == words["word_i"][2:-1]  # in with the first edge after the reset, out a cycle later
    else:
        assert said == netlist(synthesise(RTL, block, parameters)).run(words, 5)[1]


@pytest.mark.usefixtures("rtl_tools")
def test_multiply_add_of_cells_is_that_of_integers() -> None:
    parameters = {"W": 4, "C": 10}
    found = Mapped.of(mapped("multiply_add", parameters, SMALL), small())
    words = operands("operator", parameters, "sparse", {name: len(bits) for name, bits in found.net.ports.items()})
    _, said = found.net.run(words, 5)
    for cycle, row in enumerate(said["y_o"]):
        a, b, c = (words[name][cycle] for name in ("a_i", "b_i", "c_i"))
        assert row == [
            (z + (x - 16 * (x > 7)) * (y - 16 * (y > 7))) % 1024 for x, y, z in zip(a, b, c, strict=True)
        ]  # fmt: skip


def test_another_library_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.lib"
    other.write_text(SMALL, encoding="utf-8")
    with pytest.raises(SystemExit) as refusal:
        main(str(other))
    assert refusal.value.code == (
        f"{other}: this is not github.com/The-OpenROAD-Project/OpenSTA, test/nangate45/nangate45_typ.lib.gz of commit"
        " d1b2b3962cd47539c748bb163da5de2bd5d2f85f; fetch that file"
    )


def test_library_of_other_units_is_refused() -> None:
    with pytest.raises(AssertionError):
        library(SMALL.replace("(1,ff)", "(1,pf)"))


def test_file_has_every_block_of_the_library_that_it_names() -> None:
    assert [(row["block"], row["parameters"]) for row in stored()["rows"]] == BLOCKS
    assert stored()["library"] == LIBRARY and f"{LIBRARY_VOLTS} V" in LIBRARY["name"]
    assert all({*row["energy_fj"]} == {*KINDS} for row in stored()["rows"])


def test_flip_flops_are_those_of_the_simple_gates() -> None:
    """What maps gates to cells is another program run; memories, which are cells there, are flip-flops here."""
    bits = {(row["module"], *row["parameters"].items()): row["flops"] + row["memory_bits"] for row in simple()["rows"]}
    rows = [row for row in stored()["rows"] if (row["block"], *row["parameters"].items()) in bits]
    assert len(rows) > 10
    assert [row["flops"] for row in rows] == [bits[(row["block"], *row["parameters"].items())] for row in rows]


def test_figures_lie_where_the_page_says() -> None:
    """Not one of these rows comes from the library: the table's are published, CACTI's or assumed."""
    found = {(each["component"], each["action"]): each["verdict"] for each in held()}
    assert found == {
        ("mac_int8", "area"): "above", ("mac_int8", "operation"): "within", ("mul_int8", "operation"): "within",
        ("add_int32", "operation"): "above", ("max", "area"): "above", ("max", "operation"): "above",
        ("exp_bf16", "area"): "within", ("exp_bf16", "operation"): "within", ("mul_int32", "operation"): "above",
        ("mac_int32", "operation"): "above", ("register", "area"): "below", ("register", "write"): "below", ("logic", "static"): "within",
    }  # fmt: skip
    assert len(found) == len(held()) and {component for component, _ in found} == {each.component for each in HELD} | {"logic"}


def test_page_has_the_tables() -> None:
    page = (ROOT / "docs" / "rtl.md").read_text(encoding="utf-8")
    assert table() in page and held_table() in page
