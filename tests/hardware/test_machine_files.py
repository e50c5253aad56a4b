"""Faults in machine files, each with its whole message; and the examples of the format's page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from accelsim.errors import InputError
from accelsim.hardware.describe import describe
from accelsim.io.catalogue import MACHINE, shipped
from accelsim.io.hardware import architecture, load_architecture
from accelsim.io.source import parse
from accelsim.io.technology import technology
from tests.catalogue import dense, gpus

PAGE = (Path(__file__).parents[2] / "docs" / "machines.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)

SMALL = """\
machine: small
source: by hand
clock: 1 GHz
tree:
  memory: DRAM
  size: unlimited
  bandwidth: 8 GB/s
  energy: 8 pJ/bit
  feeds:
    array: grid
    axes:
      col: {size: 4, reduces: [add]}
    feeds:
      unit: PE
      executes:
        mac: 1 pJ
"""


def message(text: str) -> str:
    """The whole error of a machine file."""
    with pytest.raises(InputError) as caught:
        architecture(parse(text, "m.yaml"))
    return str(caught.value)


def test_the_file_that_the_faults_are_put_into_is_right() -> None:
    assert describe(architecture(parse(SMALL, "m.yaml"))) == (
        "small, 1 GHz\n└─ DRAM: unlimited, 8 GB/s, 8 pJ per bit\n   └─ grid: col 4 (reduces add)\n      └─ PE: mac"
    )


FAULTS = {
    ("  size: unlimited\n", ""): "m.yaml:5:3: memory DRAM has no size; add 'size:', as in 'size: 64 KiB', or 'unlimited'",
    ("  size: unlimited", "  sise: unlimited"): "m.yaml:6:3: a memory has no 'sise'; did you mean 'size'?",
    ("size: unlimited", "size: 512"): "m.yaml:6:9: size '512' has no unit; write a number and a unit, as in '64 KiB'",
    ("size: unlimited", "size: 1 GHz"): "m.yaml:6:9: size '1 GHz' is a frequency, not a size; write it as in '64 KiB'",
    (
        "size: unlimited",
        "size: 4 words",
    ): "m.yaml:6:9: size '4 words' has an unknown unit 'words'; write a number and a unit, as in '64 KiB'",
    ("size: unlimited", "size: [1]"): "m.yaml:6:9: size must be text, not a list",
    ("size: unlimited", "size: pe B"): "m.yaml:6:9: formula 'pe' names an unknown 'pe'; none is known here",
    ("bandwidth: 8 GB/s", "bandwidth: 8 GB"): "m.yaml:7:14: bandwidth '8 GB' is a size, not a bandwidth; write it as in '400 GiB/s'",
    ("bandwidth: 8 GB/s", "bandwidth: 0 GB/s"): "m.yaml:7:14: bandwidth is nothing; write it as in '400 GiB/s', or 'unlimited'",
    ("bandwidth: 8 GB/s", "read_bandwidth: 8 GB/s"): (
        "m.yaml:5:3: memory DRAM needs one bandwidth for both directions or one for each; "
        "write 'bandwidth: 400 GiB/s' (or 'unlimited'), or both 'read_bandwidth:' and 'write_bandwidth:'"
    ),
    ("energy: 8 pJ/bit", "energy: 8 pJ"): (
        "m.yaml:8:11: read energy is per access, and the memory states no access; add 'access: 64 bit', or write it in pJ/bit"
    ),
    ("energy: 8 pJ/bit", "energy: hbm2"): (
        "m.yaml:8:11: 'hbm2' names a component, and the machine has no technology; add 'technology:', or write a figure"
    ),
    ("energy: 8 pJ/bit", "energy: {read: 8 pJ/bit}"): (
        "m.yaml:8:11: memory DRAM has no write energy; add 'write:' with a figure, a component or 'unpriced'"
    ),
    ("energy: 8 pJ/bit", "energy: {value: 8 pJ/bit}"): "m.yaml:8:11: read price needs 'source'; add 'source:'; every figure has a source",
    ("energy: 8 pJ/bit", "energy: {value: 8 pJ/bit, low: 9 pJ/bit, source: x}"): (
        "m.yaml:8:11: low 9, value 8, high 8 are out of order; low <= value <= high"
    ),
    ("  energy: 8 pJ/bit\n", ""): "m.yaml:5:3: memory DRAM has no energy; add 'energy:', a component, a figure, or 'unpriced'",
    ("size: unlimited", "size: unlimited\n  background_power: 1 W/GB"): (
        "m.yaml:7:21: background power is per size, and the node is unlimited or not a memory; state its size, or write it in W"
    ),
    ("size: unlimited", "size: 1 GB\n  static_power: 1 W/mm2"): (
        "m.yaml:7:17: static power is per area, and the node states no area; add 'area:', or write it in W"
    ),
    ("memory: DRAM", "memroy: DRAM"): "m.yaml:5:3: a node is neither a memory, an array nor a unit; did you mean 'memory'?",
    ("memory: DRAM", "memory: DRAM\n  unit: PE"): (
        "m.yaml:5:3: a node is several things; start it with 'memory: NAME', 'array: NAME' or 'unit: NAME'"
    ),
    ("memory: DRAM", "memory: 'D RAM'"): "m.yaml:5:11: a memory is called 'D RAM'; use letters, digits and _, starting with a letter",
    ("unit: PE", "unit: DRAM"): "m.yaml:14:13: 'DRAM' is named twice (first at line 5); give every node and axis its own name",
    (
        "col: {size: 4, reduces: [add]}",
        "PE: 4",
    ): "m.yaml:14:13: 'PE' is named twice (first at line 12); give every node and axis its own name",
    ("size: 4, ", ""): "m.yaml:12:12: axis col has no size; add 'size: 16'",
    ("size: 4, ", "size: 0, "): "m.yaml:12:19: size of axis col must be at least 1, and '0' is 0",
    ("size: 4, ", "size: 1/2, "): "m.yaml:12:19: size of axis col must be a whole number, and '1/2' is 0.5; use // or ceil()",
    ("size: 4, ", "size: 2**41, "): "m.yaml:10:5: array grid makes more than 2**40 copies; write smaller axes",
    ("[add]", "[addd]"): "m.yaml:12:32: no reduction is called 'addd'; did you mean 'add'?",
    ("[add]", "[add], reduction_latency: {max: 3}"): "m.yaml:12:58: axis col does not reduce 'max'; known: add",
    ("[add]", "[add], multicast: maybe"): "m.yaml:12:49: multicast must be true or false, not 'maybe'",
    ("    axes:\n      col: {size: 4, reduces: [add]}\n", ""): "m.yaml:10:5: array grid has no axes; add 'axes: {col: 16}'",
    ("mac: 1 pJ", "mack: 1 pJ"): "m.yaml:16:9: no primitive is called 'mack'; did you mean 'mac'?",
    ("mac: 1 pJ", "mac mac: 1 pJ"): "m.yaml:16:9: 'mac' is given twice; remove one of the two",
    ("mac: 1 pJ", "mac: {cycles: 1}"): "m.yaml:16:14: operation mac has no energy; add 'energy:', a component, a figure, or 'unpriced'",
    ("mac: 1 pJ", "mac: {cycles: 0, energy: 1 pJ}"): (
        "m.yaml:16:23: cycles of an operation must be positive (of 'select' 0 where another hides them) and fit 32 bits; "
        "write it as in 'cycles: 6'"
    ),
    ("mac: 1 pJ", "mac: {energy: 1 pJ, types: [fp23]}"): "m.yaml:16:37: no number type is called 'fp23'; did you mean 'fp32'?",
    ("mac: 1 pJ", "mac: 1 pJ/bit"): "m.yaml:16:14: operation '1 pJ/bit' is an energy per bit, not an energy; write it as in '17.2 pJ'",
    ("      executes:\n        mac: 1 pJ\n", ""): "m.yaml:14:7: unit PE executes nothing; add 'executes: {mac: 0.6 pJ}'",
    ("    feeds:\n      unit: PE\n      executes:\n        mac: 1 pJ\n", ""): (
        "m.yaml:10:5: grid feeds nothing; add 'feeds:' with a memory, an array or a unit"
    ),
    ("clock: 1 GHz\n", ""): "m.yaml:1:1: a machine needs 'clock'; add 'clock:'",
    ("clock: 1 GHz", "clock: 1 GB"): "m.yaml:3:8: clock '1 GB' is a size, not a frequency; write it as in '940 MHz'",
    ("clock: 1 GHz", "clock: 1 GHz\nlet: {pe: 4}"): "m.yaml:4:7: nothing uses 'pe'; remove it, or use it in a size",
    ("clock: 1 GHz", "clock: 1 GHz\nword: 2 B"): "m.yaml:4:7: no size is written in words; remove 'word'",
    (
        "clock: 1 GHz",
        "clock: 1 GHz\ntechnology: class_45mn",
    ): "m.yaml:4:13: there is no technology 'class_45mn'; did you mean 'class_45nm'?",
    ("    feeds:\n      unit", "    network: {bandwith: 4 B/cycle}\n    feeds:\n      unit"): (
        "m.yaml:13:15: a network has no 'bandwith'; did you mean 'bandwidth'?"
    ),
    ("    feeds:\n      unit", "    network: {bandwidth: 4}\n    feeds:\n      unit"): (
        "m.yaml:13:26: bandwidth '4' has no unit; write a number and a unit, as in '400 GiB/s'"
    ),
    ("    feeds:\n      unit", "    network: {bandwidth: 4 B/cycle, up: 4 B/cycle}\n    feeds:\n      unit"): (
        "m.yaml:13:14: the network of grid needs one bandwidth for both directions or one for each; "
        "write 'bandwidth: 16 B/cycle' (or 'unlimited'), or both 'down:' and 'up:'"
    ),
    ("    feeds:\n      unit", "    network: {down: unlimited}\n    feeds:\n      unit"): (
        "m.yaml:13:14: the network of grid needs one bandwidth for both directions or one for each; "
        "write 'bandwidth: 16 B/cycle' (or 'unlimited'), or both 'down:' and 'up:'"
    ),
    ("    feeds:\n      unit", "    network: {bandwidth: 0 B/cycle}\n    feeds:\n      unit"): (
        "m.yaml:13:26: bandwidth is nothing; write it as in '400 GiB/s', or 'unlimited'"
    ),
    ("    feeds:\n      unit", "    network: 4 B/cycle\n    feeds:\n      unit"): (
        "m.yaml:13:14: a network must be a mapping of keys to values, not '4 B/cycle'; write 'key: value' lines"
    ),
    ("    feeds:\n      unit", "    network: {bandwidth: 4 B/cycle, energy: 3 pJ}\n    feeds:\n      unit"): (
        "m.yaml:13:45: interface '3 pJ' is an energy, not an energy per bit; write it as in '3.9 pJ/bit'"
    ),
    ("  feeds:\n    array", "  network: {bandwidth: 4 B/cycle}\n  feeds:\n    array"): (
        "m.yaml:9:3: a memory has no 'network'; known: access, area, background_power, bandwidth, banks, clock_power, direct, dram, …"
    ),
    ("clock: 1 GHz", "clock: 1 GHz\nclocks: red"): "m.yaml:4:1: a machine has no 'clocks'; did you mean 'clock'?",
    ("  memory: DRAM\n  size: unlimited\n  bandwidth: 8 GB/s\n  energy: 8 pJ/bit\n  feeds:\n  ", "  "): (
        "m.yaml:5:5: the outermost node is grid, not a memory; start the tree with 'memory: DRAM'"
    ),
}


@pytest.mark.parametrize("change", FAULTS, ids=lambda change: change[1].strip() or f"less {change[0].strip()[:30]}")
def test_a_faulty_machine_says_where_and_how_to_mend_it(change: tuple[str, str]) -> None:
    assert change[0] in SMALL
    assert message(SMALL.replace(*change)) == FAULTS[change]


def test_a_network_is_described_and_set_like_other_figures() -> None:
    line = "    network: {down: 8 B/cycle, up: unlimited, energy: 0.1 pJ/bit}\n"
    linked = SMALL.replace("    feeds:\n      unit", f"{line}    feeds:\n      unit")
    made = architecture(parse(linked, "m.yaml"))
    assert "grid: col 4 (reduces add), network down 8 GB/s, up unlimited, 0.1 pJ per bit" in describe(made)
    one = architecture(parse(linked, "m.yaml"), {"grid.network.bandwidth": "4 B/cycle"})
    assert "grid: col 4 (reduces add), network 4 GB/s, 0.1 pJ per bit" in describe(one)
    for path, text in (("grid.network", "{bandwidth: 2 GB/s}"), ("grid.network.bandwidth", "2 GB/s")):
        new = architecture(parse(SMALL, "m.yaml"), {path: text})
        assert "grid: col 4 (reduces add), network 2 GB/s, unpriced" in describe(new)
    known = "access, area, background_power, bandwidth, banks, clock_power, direct, dram, …"
    for path, said in (
        ("DRAM.network.bandwidth", f"a memory has no 'network'; known: {known}"),
        ("grid.network.down", "finds no 'network'; known: array, axes, feeds"),
    ):
        with pytest.raises(InputError) as caught:
            architecture(parse(SMALL, "m.yaml"), {path: "2 GB/s"})
        assert str(caught.value) == f"--set arch.{path}: {said}"


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("L3.size", "512", "--set arch.L3.size: size '512' has no unit; write a number and a unit, as in '64 KiB'"),
        ("L3.sise", "1 MiB", "--set arch.L3.sise: a memory has no 'sise'; did you mean 'size'?"),
        ("REG3D.size", "1 KiB", "--set arch.REG3D.size: this machine has no node 'REG3D'; did you mean 'REG2D'?"),
        ("let.pee", "4", "--set arch.let.pee: names nothing under 'let'; did you mean 'arch.let.pe'?"),
        ("L3", "4", "--set arch.L3: the path stops at a node; say what to change of it, as in arch.L3.size"),
        ("L3.feeds", "4", "--set arch.L3.feeds: would change the tree; edit the machine file"),
        ("L3..size", "4", "--set arch.L3..size: not a path; write it as in arch.L3.size"),
        ("PE1D.exectes.exp", "4", "--set arch.PE1D.exectes.exp: finds no 'exectes'; did you mean 'executes'?"),
        ("L3.size.low", "4", "--set arch.L3.size.low: finds nothing inside 'size'; set 'size' itself"),
        (
            "L3.size",
            "1 GiB",
            "hw/arch/spatial.yaml:24:11: technology 'fusemax_45nm' prices 'sram_row' from 1 KiB to 256 MiB, not 1 GiB; "
            "write a figure with a unit, or 'unpriced'",
        ),
    ],
)
def test_a_faulty_setting_says_how_to_mend_it(path: str, text: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        load_architecture(shipped(MACHINE)["spatial"], {path: text})
    assert re.sub(r"^/.*?(?=hw/)", "", str(caught.value)) == expected


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.split("\n")[0])
def test_the_examples_of_the_page_load(example: str) -> None:
    document = parse(example, "docs/machines.md")
    if "technology" in example.split("\n")[0]:
        assert technology(document).rows
    else:
        assert architecture(document).units


def test_the_page_lists_every_shipped_machine() -> None:
    assert [path.stem for path in (dense(MACHINE) | gpus(MACHINE)).values() if f"`{path.stem}`" not in PAGE] == []


def test_an_interpolated_price_of_the_page_lies_between_the_sizes_of_its_table() -> None:
    """CACTI 7, 45 nm: 128 KiB reads 32.29 pJ and 256 KiB 44.72 pJ per 64 bit; the page's SRAM holds 192 KiB."""
    memory = architecture(parse(EXAMPLES[1], "docs/machines.md")).memories["SRAM"]
    assert memory.read_pj is not None
    assert 32.29 / 64 < memory.read_pj.value < 44.72 / 64


def test_a_machine_names_a_technology_beside_it(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(EXAMPLES[2], encoding="utf-8")
    machine = tmp_path / "m.yaml"
    machine.write_text(SMALL.replace("mac: 1 pJ", "mac: mac").replace("clock: 1 GHz", "clock: 1 GHz\ntechnology: tiny"), encoding="utf-8")
    price = load_architecture(machine).units["PE"].operations["mac"].energy_pj
    assert price is not None
    assert (price.value, price.low, price.high, price.kind, price.source) == (2.0, 1.5, 18.0, "published", "Horowitz, ISSCC 2014")
