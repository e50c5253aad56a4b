"""The technology table of cells is what the measured tables say; some of its rows worked out again from them by hand."""

from __future__ import annotations

import pytest
import yaml

from accelsim.hardware.technology import Technology
from accelsim.io.catalogue import MACHINE, TECHNOLOGY, shipped
from accelsim.io.hardware import load_architecture
from accelsim.io.technology import load_technology
from accelsim.model.pricing import Prices
from tests.rtl.cell_prices import FILE, FLIP_FLOP, PRICED, adders_um2, text
from tests.rtl.liberty import held
from tests.rtl.runner import ROOT


@pytest.fixture(scope="module")
def table() -> Technology:
    """As a machine reads it."""
    assert shipped(TECHNOLOGY)["cells_45nm"].resolve() == FILE.resolve()
    return load_technology(FILE)


def test_file_is_what_the_tables_make_of_it() -> None:
    """If not: python -m tests.rtl.cell_prices."""
    assert FILE.read_text(encoding="utf-8") == text()


def test_multiply_add_is_that_worked_out_from_the_page(table: Technology) -> None:
    """docs/rtl.md: 540.2 + 464.6 + 125.6 fJ at 1.1 V of uniform words, 421.4 and 370.3 of sparse ones; 629.4 um2, 443 of full adders."""
    energy, area = (table.price("mac_int8", action).quantity for action in ("operation", "area"))
    assert energy.value == pytest.approx((540.2 + 464.6 + 125.6) / 1000 * 0.81 / 1.21, rel=1e-3)
    assert (421.4 + 370.3 / 2) / 1000 * 0.81 / 1.21 < energy.low < (421.4 + 370.3) / 1000 * 0.81 / 1.21
    assert (540.2 + 464.6 + 2 * 125.6) / 1000 < energy.high < (540.2 + 1.5 * 464.6 + 2 * 125.6) / 1000
    assert (area.low, area.value, area.high) == pytest.approx((443, 629.4, 629.4 / 0.7), rel=1e-3)


def test_adders_are_those_of_the_page() -> None:
    """64 AND2_X1 of 1.064 um2, 56 FA_X1 of 4.256 um2 and 32 more for the sum."""
    assert adders_um2("multiply_add", {"W": 8, "C": 32}) == pytest.approx(64 * 1.064 + (56 + 32) * 4.256)
    assert adders_um2("pe_os", {"AW": 8, "BW": 8, "CW": 32}) is None


def test_prices_are_the_figures_that_the_page_holds_against_the_other_table(table: Technology) -> None:
    """`held` takes them another way, and leaves the clock out where a component holds it: of exp, 1820.9 fJ at 1.1 V."""
    figures = {(each["block"], each["action"]): each["figure"] for each in held()}
    for block, component in (
        ("multiply_add of 8 bits", "mac_int8"), ("multiply of 8 bits", "mul_int8"), ("add of 32 bits", "add_int32"),
        ("max of 32 bits", "max_int32"), ("multiply of 32 bits", "mul_int32"), ("multiply_add of 32 bits", "mac_int32"),
    ):  # fmt: skip
        assert table.price(component, "operation").quantity.value == pytest.approx(figures[block, "operation"], rel=1e-3)
    exp = figures["exp_pe of 16 bits", "operation"] + 1.8209 * 0.81 / 1.21
    assert table.price("exp_fixed16", "operation").quantity.value == pytest.approx(exp, rel=1e-3)
    for action in ("area", "write"):
        assert table.price("flip_flop", action).quantity.value == pytest.approx(figures["register of 16 bits", action], rel=1e-3)


def test_gate_equivalents_say_the_area_of_shared_blocks_to_within_their_range(table: Technology) -> None:
    """pe_os of 8 bits: 1201 + 516 GE and 1274.9 um2, from docs/rtl.md; the range holds that of every other one too."""
    gate = table.price("gate", "area").quantity
    assert gate.low < 1274.9 / 1717 < gate.high and 0.9 * gate.value < 1274.9 / 1717 < 1.1 * gate.value
    simple = yaml.safe_load((ROOT / "hw" / "synthesis.yaml").read_text(encoding="utf-8"))["rows"]
    cells, seen = yaml.safe_load((ROOT / "hw" / "cells_45nm.yaml").read_text(encoding="utf-8"))["rows"], 0
    for row in cells:
        for other in simple:
            if (row["block"], row["parameters"]) == (other["module"], other["parameters"]) and not other["memory_bits"]:
                ratio = row["area_um2"] / sum(other["gate_equivalents"].values())
                assert gate.low <= ratio * 1.001 and ratio <= gate.high * 0.7 * 1.001
                seen += 1
    assert seen > 10


def test_every_block_but_the_queue_is_priced() -> None:
    """A queue of 8 bits and four words is a size of its own, and no operation."""
    rows = yaml.safe_load((ROOT / "hw" / "cells_45nm.yaml").read_text(encoding="utf-8"))["rows"]
    priced = [(each.block, dict(each.parameters)) for each in (*PRICED, FLIP_FLOP)]
    assert [row["block"] for row in rows if (row["block"], row["parameters"]) not in priced] == ["fifo"]
    assert all(each in [(row["block"], row["parameters"]) for row in rows] for each in priced)


def test_processor_takes_prices_of_its_operators(table: Technology) -> None:
    """Its area: 20 lanes of 45,501.5 + 768 GE, 4 that scan of 12,281.5, and 64 KiB of SRAM."""
    machine = load_architecture(shipped(MACHINE)["mini"])
    priced = {primitive: operation.energy_pj for unit in machine.units.values() for primitive, operation in unit.operations.items()}
    for primitive, component in (("mac", "mac_int32"), ("mul", "mul_int32"), ("add", "add_int32"), ("max", "max_int32")):
        assert priced[primitive] == table.price(component, "operation").quantity
    buffer = load_technology(shipped(TECHNOLOGY)["class_45nm"]).price("sram", "area", 8 * 64 * 1024)
    area = (20 * (45_501.5 + 768.0) + 4 * 12_281.5) * table.price("gate", "area").quantity.value + buffer.quantity.value
    assert buffer.per == "area" and Prices(machine, 1).area_um2 == pytest.approx(area)
