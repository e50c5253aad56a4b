"""hw/synthesis.yaml is what the installed yosys makes of hw/rtl, and netlists do what modules do."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from accelsim.errors import InputError
from accelsim.rtl import synthesis
from accelsim.rtl.netlist import FLOP, LANES, SIMPLE, netlist
from accelsim.rtl.synthesis import synthesise, version
from accelsim.workload.fixed import Fixed, exp
from tests.rtl.bench import signed
from tests.rtl.operands import CYCLES, RESET, operands
from tests.rtl.runner import ROOT, RTL
from tests.rtl.synthesis import GATES, configurations, key, measure, moves, processor, processor_table, stored, table
from tests.share import share

pytestmark = pytest.mark.usefixtures("rtl_tools")
LARGE = share(1_000_000, 3_000, 1_000)  # gates of a row that is not made again
SOME = share(1_000, 5, 2)


def sample() -> list[dict[str, Any]]:
    """Some rows: of each test run the same."""
    rows = [row for row in stored()["rows"] if row["gates"] <= LARGE]
    return Random(11).sample(rows, min(SOME, len(rows)))


def test_every_configuration_of_every_module_has_a_row() -> None:
    assert [key(row["module"], row["parameters"]) for row in stored()["rows"]] == [key(*each) for each in configurations()]
    assert all(("toggles" in row) == moves(row) for row in stored()["rows"])


@pytest.mark.parametrize("row", sample(), ids=lambda row: "-".join([row["module"], *map(str, row["parameters"].values())]))
def test_row_is_what_yosys_makes(row: dict[str, Any]) -> None:
    if version() != stored()["yosys"]:
        pytest.fail(f"hw/synthesis.yaml is of {stored()['yosys']}, installed is {version()}: python -m tests.rtl.synthesis", pytrace=False)
    assert measure(row["module"], row["parameters"]) == row


def test_processor_has_the_lanes_of_its_machine() -> None:
    """A lane keeps four words of 32 bits, one that scans none. Memory bits: of the buffer, the four programs, three microprograms of 32 and
    27 bits a step, and a queue of as many loads as may be under way. All of it is made again where all evidence is asked for.
    """
    lane, scan, rest = stored()["processor"]
    p = rest["parameters"]
    units = p["ROWS"] * p["COLUMNS"], p["LANES"], p["SCANS"]
    assert lane["flops"] == 4 * p["W"] == 128 and scan["flops"] == 0
    assert (lane["copies"], scan["copies"]) == (units[0] + units[1], units[2]) == (20, 4)
    fields = (8 + 3 * p["NEST"]) + sum(14 + 5 * p["LOOPS"] + 4 * lanes for lanes in units)
    programs, steps = 32 * fields * p["ENTRIES"], 3 * (32 + 27) * p["STEPS"]
    assert rest["memory_bits"] == p["W"] * 2 ** p["BW"] + programs + steps + p["FLIGHT"] * (p["BW"] + 1)
    if share(1, 0, 0):
        assert processor() == [lane, scan, rest]


def test_page_has_the_tables() -> None:
    page = (ROOT / "docs" / "rtl.md").read_text(encoding="utf-8")
    assert table() in page and processor_table() in page


def test_netlist_multiplies_and_adds() -> None:
    """Sums of products in Python integers; both kinds of operands of the measurement."""
    parameters, kinds = {"AW": 4, "BW": 6, "CW": 10}, Counter[str]()
    found = synthesise(RTL, "pe_os", parameters)
    net = netlist(found)
    for kind in ("uniform", "sparse"):
        words = operands("pe_os", parameters, kind, {name: len(bits) for name, bits in net.ports.items()})
        _, said = net.run(words, RESET)
        for lane in range(LANES):
            total, due = 0, 0
            for cycle in range(RESET, CYCLES):
                assert said["d_o"][cycle][lane] == due
                kinds["a sum is there"] += due != 0
                product = signed(words["a_i"][cycle][lane], 4) * signed(words["b_i"][cycle][lane], 6)
                total = ((0 if words["first_i"][cycle][lane] else total) + product) % 1024
                due = total if words["last_i"][cycle][lane] else due
    assert kinds["a sum is there"] > CYCLES * LANES / 2


def test_netlist_of_exp_is_exp() -> None:
    """Against the simulator's exp, six cycles later."""
    parameters = {"XW": 8, "XF": 4, "OF": 7, "G": 3, "TW": 1}
    net = netlist(synthesise(RTL, "exp_pe", parameters))
    words = operands("exp_pe", parameters, "uniform", {name: len(bits) for name, bits in net.ports.items()})
    _, said = net.run(words, RESET)
    for cycle in range(RESET, CYCLES - 6):
        x = np.array([signed(word, 8) for word in words["x_i"][cycle]])
        assert said["y_o"][cycle + 6] == exp(x, Fixed(8, 4, 7, 3)).tolist()


def test_netlists_of_the_tests_have_all_kinds_of_gates() -> None:
    kinds = {
        cell["type"]
        for module, parameters in (
            ("pe_os", {"AW": 4, "BW": 6, "CW": 10}), ("exp_pe", {"XW": 8, "XF": 4, "OF": 7, "G": 3, "TW": 1})
        )
        for cell in synthesise(RTL, module, parameters)["cells"].values()
    }  # fmt: skip
    assert kinds == {*GATES, FLOP} and {*GATES} == {*SIMPLE}


def test_changes_are_counted_by_hand() -> None:
    """A flip-flop that takes an input that changes every second cycle, and an inverter behind it: one change of each in two cycles."""
    gate = {"type": "$_NOT_", "connections": {"A": [4], "Y": [5]}}
    flop = {"type": FLOP, "connections": {"C": [2], "D": [3], "Q": [4]}}
    ports = {"clk_i": {"bits": [2]}, "x_i": {"bits": [3]}, "y_o": {"bits": [5, "1"]}}
    net = netlist({"cells": {"gate": gate, "flop": flop}, "ports": ports})
    column = [[cycle // 2 % 2] * LANES for cycle in range(21)]
    changes, said = net.run({"x_i": column}, 5)
    assert changes[net.driven].sum() == 1.0 and changes.sum() == 1.5
    assert [row[0] for row in said["y_o"]] == [3, *(2 + (1 - cycle // 2 % 2) for cycle in range(20))]


def test_netlists_are_kept_by_the_text_of_their_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call has no yosys to ask; another text asks it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rtl, source = tmp_path / "rtl", "module it (input logic a_i, b_i, output logic y_o);\n  assign y_o = a_i & b_i;\nendmodule\n"
    rtl.mkdir()
    (rtl / "it.sv").write_text(source)
    found = synthesise(rtl, "it", {})
    monkeypatch.setattr(synthesis, "_made", lambda *_: pytest.fail("made again"))
    assert synthesise(rtl, "it", {}) == found
    (rtl / "it.sv").write_text(source.replace("&", "|"))
    with pytest.raises(pytest.fail.Exception):
        synthesise(rtl, "it", {})


def test_what_cannot_be_synthesised_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError) as error:
        synthesise(RTL, "pe_wz", {})
    assert str(error.value) == f"there is no module pe_wz in {RTL}; did you mean 'pe_ws'?"
    latch = "module latch (input logic e_i, d_i, output logic q_o);\n  always_latch if (e_i) q_o = d_i;\nendmodule\n"
    (tmp_path / "latch.sv").write_text(latch)
    with pytest.raises(InputError, match=r"^yosys refuses latch {}: .*D latches are not supported; see hw/rtl$"):
        synthesise(tmp_path, "latch", {})
    (tmp_path / "wrong.sv").write_text("module wrong (input logic a_i); assign; endmodule\n")
    with pytest.raises(InputError) as error:
        synthesise(tmp_path, "wrong", {})
    what = "wrong.sv:1: syntax error, unexpected ';', expecting TOK_ID or '#' or '{'"
    assert str(error.value) == f"yosys refuses wrong {{}}: {what}; see hw/rtl"
    monkeypatch.setattr(synthesis.shutil, "which", lambda _: None)
    version.cache_clear()
    with pytest.raises(InputError) as error:
        synthesise(RTL, "pe_ws", {})
    assert str(error.value) == "yosys is not installed; on Debian: apt-get install yosys"
