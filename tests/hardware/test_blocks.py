"""What nodes are made of in RTL: counts and areas of whole machines against sums over their YAML; every fault with its whole message."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from accelsim.errors import InputError
from accelsim.hardware.block import Content
from accelsim.hardware.describe import describe
from accelsim.io.blocks import load_blocks, shipped_table
from accelsim.io.catalogue import MACHINE, root, shipped
from accelsim.io.hardware import architecture, load_architecture
from accelsim.io.source import parse
from accelsim.model.pricing import Prices
from accelsim.report.figures import square
from accelsim.report.terminal import area_detail

TABLE = yaml.safe_load((root() / "hw" / "synthesis.yaml").read_text(encoding="utf-8"))
CELLS = {
    (row["component"], row["action"]): row
    for row in yaml.safe_load((root() / "hw" / "tech" / "cells_45nm.yaml").read_text(encoding="utf-8"))["rows"]
}
ROWS = [row for row in TABLE["rows"] if row["gates"]]
SMALL = """\
machine: small
source: by hand
clock: 1 GHz
technology: cells_45nm
let: {wide: 8}
tree:
  memory: DRAM
  size: unlimited
  bandwidth: 8 GB/s
  energy: 8 pJ/bit
  feeds:
    array: grid
    axes: {row: 3, column: 5}
    feeds:
      unit: PE
      rtl: {module: pe_os, parameters: {AW: wide, BW: wide, CW: 32}}
      area: gate
      static_power: gate
      executes: {mac: pe_os_int8}
"""
RTL = "{module: pe_os, parameters: {AW: wide, BW: wide, CW: 32}}"


def made(text: str) -> Any:
    """The machine of a text."""
    return architecture(parse(text, "m.yaml"))


def message(text: str) -> str:
    """The whole error of a machine file."""
    with pytest.raises(InputError) as caught:
        made(text)
    return str(caught.value)


def test_small_machine_has_what_its_elements_have() -> None:
    """Fifteen elements of 86 flip-flops, 860 gates and 1201 + 516 gate equivalents, as docs/rtl.md lists them."""
    machine = made(SMALL)
    assert machine.contents == {"PE": Content(15 * 86, 0, 15 * 860, 15 * 1717.0)}
    per_um2, per_nw = (float(CELLS["gate", action]["value"].split()[0]) for action in ("area", "static"))
    prices = Prices(machine, 1)
    assert prices.area_um2 == pytest.approx(15 * 1717 * per_um2)
    assert prices.power.value == pytest.approx(15 * 1717 * per_nw * 1e-9)
    assert prices.operation["PE", "mac"].value == float(CELLS["pe_os_int8", "operation"]["value"].split()[0])
    assert describe(machine).splitlines()[-2:] == [
        "      └─ PE: mac; each of 15 in RTL pe_os AW=8 BW=8 CW=32: 86 flip-flops, 860 gates, 1,717 GE",
        "in RTL: 1,290 flip-flops, 12,900 gates, 25,755 GE",
    ]


def tree(random: Random, depth: int, names: Counter[str]) -> dict[str, Any]:
    """A random node of a machine: memories and arrays down to units, each perhaps with modules and an area."""

    def name(kind: str) -> str:
        names[kind] += 1
        return f"{kind}{names[kind]}"

    kind = random.choice(["memory", "array"]) if depth else "unit"
    node: dict[str, Any] = {kind: name(kind)}
    if random.random() < 0.7:
        picked = [random.choice(ROWS) for _ in range(random.randint(1, 3))]
        listed = [{"module": row["module"], "parameters": dict(row["parameters"]), "count": random.randint(1, 4)} for row in picked]
        node["rtl"] = listed if len(listed) > 1 else listed[0]
        areas: list[str] = random.sample(["gate", "mac_int8", "120 um2"], random.randint(0, 3))
        node |= {"area": areas} if areas else {}
    if kind == "unit":
        return node | {"executes": {"mac": "1 pJ"}}
    if kind == "memory":
        node |= {"size": "1 KiB", "bandwidth": "8 GB/s", "energy": "1 pJ/bit"}
    else:
        node |= {"axes": {name("axis"): random.randint(1, 5) for _ in range(random.randint(1, 2))}}
    return node | {"feeds": [tree(random, depth - 1, names) for _ in range(random.randint(1, 2))]}


def walked(node: dict[str, Any], copies: int, counts: dict[str, Counter[str]]) -> float:
    """Fills in what all copies of each node have, from the table's rows as they stand; returns the area of the tree in um2."""
    listed = node.get("rtl", [])
    own, size = Counter[str](), 0.0
    for each in listed if isinstance(listed, list) else [listed]:
        (row,) = (row for row in TABLE["rows"] if (row["module"], row["parameters"]) == (each["module"], each["parameters"]))
        own.update({key: each["count"] * row[key] for key in ("flops", "memory_bits", "gates")})
        size += each["count"] * (row["gate_equivalents"]["gates"] + row["gate_equivalents"]["flops"])
    if listed:
        (name,) = (node[kind] for kind in ("memory", "array", "unit") if kind in node)
        counts[name] = Counter({key: copies * count for key, count in own.items()}) + Counter({"size": copies * size})
    worth = {"gate": size * float(CELLS["gate", "area"]["value"].split()[0]), "120 um2": 120.0}
    worth["mac_int8"] = float(CELLS["mac_int8", "area"]["value"].split()[0])
    area = copies * sum(worth[part] for part in node.get("area", []))
    for axis in node.get("axes", {}).values():
        copies *= axis
    return area + sum(walked(child, copies, counts) for child in node.get("feeds", []))


@pytest.mark.parametrize("seed", range(40))
def test_machine_has_the_sum_over_its_tree(seed: int) -> None:
    random = Random(seed)
    top = {"memory": "DRAM", "size": "unlimited", "bandwidth": "8 GB/s", "energy": "1 pJ/bit"}
    top["feeds"] = [tree(random, random.randint(0, 3), Counter())]
    machine = made(yaml.safe_dump({"machine": "m", "source": "by hand", "clock": "1 GHz", "technology": "cells_45nm", "tree": top}))
    counts: dict[str, Counter[str]] = {}
    area = walked(top, 1, counts)
    found = {
        name: Counter({"flops": has.flops, "memory_bits": has.memory_bits, "gates": has.gates, "size": has.gate_equivalents})
        for name, has in machine.contents.items()
    }  # fmt: skip
    assert {name: +each for name, each in found.items()} == {name: +each for name, each in counts.items()}
    assert Prices(machine, 1).area_um2 == (pytest.approx(area) if area else None)


def test_shipped_machine_has_the_lanes_that_synthesis_counted() -> None:
    """All flip-flops of the whole processor but those outside its lanes."""
    *kinds, rest = TABLE["processor"]
    machine = load_architecture(shipped(MACHINE)["mini"])
    lanes = sum(machine.contents.values(), Content())
    assert lanes.flops == sum(kind["copies"] * kind["flops"] for kind in kinds) == 9_086 - rest["flops"]
    assert lanes.gate_equivalents == 1_033_392.5 + 54_516.0 - sum(rest["gate_equivalents"].values())


def test_every_row_of_the_table_can_be_named() -> None:
    for row in TABLE["rows"] + TABLE["processor"]:
        named = {"module": row["module"], "parameters": row["parameters"]} | ({"apart": row["apart"]} if "apart" in row else {})
        has = made(SMALL.replace(RTL, yaml.safe_dump(named, default_flow_style=True, width=10_000).strip()).replace("let: {wide: 8}\n", ""))
        assert has.contents["PE"].flops == 15 * row["flops"], row
    assert len(load_blocks(shipped_table())) == len(TABLE["rows"] + TABLE["processor"])


def test_parameters_that_one_row_alone_has_need_not_all_be_stated() -> None:
    text = SMALL.replace(RTL, "{module: pe_os, parameters: {CW: 4 * wide, BW: wide}}")
    assert made(text).contents == made(SMALL).contents


def test_machine_may_bring_its_own_table(tmp_path: Path) -> None:
    row = "{module: mine, parameters: {}, flops: 7, memory_bits: 64, gates: 9, gate_equivalents: {gates: 10.5, flops: 42.0}}"
    (tmp_path / "own.yaml").write_text(f"rows:\n  - {row}\n", encoding="utf-8")
    file = tmp_path / "m.yaml"
    text = SMALL.replace("let: {wide: 8}", "synthesis: own.yaml").replace(RTL, "{module: mine, count: 2}")
    file.write_text(text, encoding="utf-8")
    has = {"PE": Content(15 * 14, 15 * 128, 15 * 18, 15 * 105.0)}
    assert load_architecture(file).contents == has
    file.write_text(text.replace("synthesis: own.yaml\n", ""), encoding="utf-8")
    assert load_architecture(file, {"synthesis": "own.yaml"}).contents == has


def test_component_is_that_of_the_first_table_that_has_it() -> None:
    texts = [SMALL.replace("cells_45nm", f"[{tables}]").replace("pe_os_int8", "add_int32") for tables in (
        "cells_45nm, class_45nm", "class_45nm, cells_45nm"
    )]  # fmt: skip
    found = [made(text).units["PE"].operations["mac"].energy_pj.value for text in texts]
    assert found == [float(CELLS["add_int32", "operation"]["value"].split()[0]), 0.1]
    assert [made(text).technology for text in texts] == ["cells_45nm, class_45nm", "class_45nm, cells_45nm"]
    said = "m.yaml:17:13: technology 'class_45nm, cells_45nm' has no area for 'add_int32'; it has operation;"
    said += " write a figure with a unit, or 'unpriced'"
    assert message(texts[1].replace("area: gate", "area: add_int32")) == said
    assert made(texts[0].replace("area: gate", "area: add_int32")).units["PE"].area_um2.kind == "tool"
    more = texts[0].replace("energy: 8 pJ/bit", "energy: lpddr4")
    assert made(more).root.read_pj.value == 8.0


FAULTS = {
    ("{module: pe_os", "{module: pe_oss"): "m.yaml:16:21: no row is of module 'pe_oss'; did you mean 'pe_os'?",
    ("AW: wide, ", "AV: wide, "): "m.yaml:16:41: pe_os has no parameter 'AV'; known: AW, BW, CW",
    ("AW: wide, BW: wide, CW: 32", "AW: wide, BW: wide, CW: 33"): (
        "m.yaml:16:40: no row of pe_os has AW=8 BW=8 CW=33; known: {AW: 8, BW: 8, CW: 32}, {AW: 4, BW: 6, CW: 10},"
        " {AW: 16, BW: 16, CW: 16}, {AW: 16, BW: 16, CW: 48} and 1 more"
    ),
    ("AW: wide, BW: wide, CW: 32", "AW: 2 * wide"): (
        "m.yaml:16:40: 2 rows of pe_os have AW=16; choose the parameters of one: {AW: 16, BW: 16, CW: 16}, {AW: 16, BW: 16, CW: 48}"
    ),
    (RTL, "{module: pe_os}\n      lanes: wide"): (
        "m.yaml:16:12: pe_os has 5 rows; choose the parameters of one: {AW: 8, BW: 8, CW: 32}, {AW: 4, BW: 6, CW: 10},"
        " {AW: 16, BW: 16, CW: 16}, {AW: 16, BW: 16, CW: 48} and 1 more"
    ),
    (RTL, "{modul: pe_os}"): "m.yaml:16:13: rtl has no 'modul'; did you mean 'module'?",
    (RTL, "{count: 2}"): "m.yaml:16:12: rtl names no module; write it as in {module: pe_os, parameters: {AW: 8, BW: 8, CW: 32}}",
    (RTL, "[]"): (
        "m.yaml:16:12: rtl is an empty list; name what the node is made of, as in {module: pe_os, parameters: {AW: 8, BW: 8, CW: 32}}"
    ),
    ("{module: pe_os", "{apart: npu_lane, module: pe_os"): "m.yaml:16:20: no row of pe_os is without npu_lane; remove 'apart'",
    ("CW: 32}}", "CW: 32}, count: 0}"): "m.yaml:16:77: count must be at least 1, and '0' is 0",
    (f"      rtl: {RTL}\n", "      lanes: wide\n"): (
        "m.yaml:17:13: area is per gate equivalent, and the node states no modules; add 'rtl:', or write another figure"
    ),
    (f"      rtl: {RTL}\n      area: gate\n", "      lanes: wide\n"): (
        "m.yaml:17:21: static power is per gate equivalent, and the node states no modules; add 'rtl:', or write another figure"
    ),
    ("technology: cells_45nm", "technology: [cells_45nm, cells_45nm]"): (
        "m.yaml:4:26: technology 'cells_45nm' is named twice; keep one"
    ),
    ("technology: cells_45nm", "technology: []"): "m.yaml:4:13: technology is an empty list; name a table, as in 'technology: class_45nm'",
    ("energy: 8 pJ/bit", "energy: sram"): (
        "m.yaml:10:11: technology 'cells_45nm' has no component 'sram'; known: add_int32, exp_fixed16, exp_fixed8, flip_flop, gate,"
        " less_int32, mac_int16, mac_int32, …"
    ),
    ("let:", "synthesis: none.yaml\nlet:"): (
        "m.yaml:5:12: there is no file 'none.yaml'; name a synthesis table; without 'synthesis', it is that of hw/rtl"
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", FAULTS, ids=lambda change: change[1].strip())
def test_a_fault_says_where_and_how_to_mend_it(change: tuple[str, str]) -> None:
    assert change[0] in SMALL
    assert message(SMALL.replace(*change)) == FAULTS[change]


def test_module_of_which_a_part_is_counted_says_so() -> None:
    text = SMALL.replace(RTL, "{module: npu_top, parameters: {W: 32}}").replace("let: {wide: 8}\n", "")
    assert message(text) == "m.yaml:15:42: no row of npu_top has W=32; known: " + (
        "{W: 8, AW: 8, BW: 3, CW: 8, ROWS: 1, COLUMNS: 2, LANES: 1, SCANS: 1, LOOPS: 2, NEST: 2, STEPS: 2, ENTRIES: 2, FLIGHT: 4}"
    )
    assert "npu_top" in describe(made(text.replace("{module", "{apart: 'npu_lane, npu_scan', module")))


ROW = "{module: m, parameters: {A: 1}, flops: 1, memory_bits: 0, gates: 2, gate_equivalents: {gates: 2.0, flops: 6.0}}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("about: nothing", "1:1: a synthesis table needs 'rows'; add 'rows:'"),
        (f"rows: [{ROW.replace(', gates: 2,', ',')}]", "1:8: a row needs 'gates'; add 'gates:'"),
        (f"rows: [{ROW}, {ROW}]", f"1:{10 + len(ROW)}: m A=1 has two rows; keep one"),
        (f"rows: [{ROW.replace('flops: 1', 'flops: some')}]", "1:47: flops is 'some'; write a number from 0 to below 2**53"),
        (f"rows: [{ROW.replace('flops: 1', 'flops: 1e300')}]", "1:47: flops is '1e300'; write a number from 0 to below 2**53"),
        (
            f"rows: [{ROW.replace(', flops: 6.0', '')}]",
            "1:94: gate_equivalents needs those of gates and of flops; write {gates: 10.5, flops: 42.0}",
        ),
        (f"rows: [{ROW.replace('flops: 1', 'flops: 1.5')}]", "1:47: flops is '1.5'; write a whole number"),
        (f"rows: [{ROW.replace('}}', '}, copies: many}')}]", "1:128: copies is 'many'; write a number from 0 to below 2**53"),
        (f"rows: [{ROW.replace('}}', '}, copies: 0}')}]", "1:128: copies is 0; write how many copies the design has, 1 or more"),
        (f"rows: [{ROW.replace('}}', '}, effort: great}')}]", "1:128: effort is 'great'; write fast, or leave it out"),
        (
            f"rows: [{ROW.replace('}}', '}, toggles: {sparse: x}}')}]",
            "1:138: toggles of sparse is 'x'; write a number from 0 to below 2**53",
        ),
        (
            f"rows: [{ROW.replace('}}', '}, toggles: 3}')}]",
            "1:129: toggles must be a mapping of keys to values, not 3; write 'key: value' lines",
        ),
        (f"rows: [{ROW.replace('flops: 1', 'flips: 1')}]", "1:40: a row has no 'flips'; did you mean 'flops'?"),
    ],
)
def test_a_faulty_table_says_where_and_how_to_mend_it(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_blocks(file)
    assert str(caught.value) == f"{file}:{said}"


def test_table_that_no_node_reads_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(f"rows: [{ROW}]", encoding="utf-8")
    file = tmp_path / "m.yaml"
    bare = SMALL.replace(f"      rtl: {RTL}\n      area: gate\n      static_power: gate\n", "").replace(
        "let: {wide: 8}", "synthesis: own.yaml"
    )
    file.write_text(bare, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_architecture(file)
    assert str(caught.value) == f"{file}:5:12: no node states its modules; add 'rtl:' to one, or remove 'synthesis'"


def test_area_has_the_range_of_its_prices_and_says_whose_it_lacks() -> None:
    """Fifteen elements; the unit beside them and the buffer state no area, and the outermost memory need not."""
    buffer = "memory: Buffer\n    size: 1 KiB\n    bandwidth: 8 GB/s\n    energy: 1 pJ/bit\n    feeds:\n"
    buffer += "    - {unit: V, executes: {exp: 1 pJ}}\n    - "
    inner = SMALL.split("    array: grid\n")[1].replace("\n  ", "\n    ")
    prices = Prices(made(SMALL.split("array: grid")[0] + buffer + "array: grid\n  " + inner), 1)
    assert prices.without_area == ["Buffer", "V"]
    low, value, high = (15 * 1717 * float(CELLS["gate", "area"][end].split()[0]) for end in ("low", "value", "high"))
    assert prices.area is not None
    assert (prices.area.low, prices.area.value, prices.area.high) == pytest.approx((low, value, high))
    assert Prices(made(SMALL.replace("      area: gate\n", "")), 1).area is None


def test_area_is_shown_with_its_range() -> None:
    shown = {"area_um2": 123_456.0, "area_um2_low": 99_950.0, "area_um2_high": 2e9, "without_area": ["Buffer", "V"]}
    assert area_detail(shown) == "prices 0.10 mm2 to 2,000.00 mm2; without Buffer, V"
    assert area_detail({"area_um2": 5.0}) == "" and [square(area) for area in (5.4, 99_949.0, 123_456.0)] == [
        "5 um2",
        "99,949 um2",
        "0.12 mm2",
    ]
