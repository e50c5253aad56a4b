"""Every shipped machine: it loads, its numbers have sources, and the published figures stand where they were published."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from fractions import Fraction

import pytest

from accelsim.hardware.architecture import Architecture, Memory, Quantity, Unit
from accelsim.hardware.describe import describe
from accelsim.hardware.technology import KINDS
from accelsim.io.catalogue import MACHINE, WORKLOAD, shipped
from accelsim.io.hardware import load_architecture
from accelsim.io.workload import load_workload
from accelsim.workload.cascade import Cascade
from accelsim.workload.operators import cover
from tests.catalogue import dense, gpus, of_bytes

WHOLE = dense(MACHINE) | gpus(MACHINE)
MACHINES = WHOLE | of_bytes(MACHINE)
ATTENTION = ("attention", "attention-naive", "attention-3pass", "attention-2pass", "attention-causal", "attention-gqa")


@pytest.fixture(scope="module", params=sorted(MACHINES))
def machine(request: pytest.FixtureRequest) -> Architecture:
    return load_architecture(MACHINES[request.param])


def quantities(machine: Architecture) -> Iterator[tuple[str, Quantity]]:
    """Every figure of a machine with the name of its node and field."""
    for node in machine.nodes():
        for field in dataclasses.fields(node):
            value = getattr(node, field.name)
            if isinstance(value, Quantity):
                yield f"{node.name}.{field.name}", value
        if isinstance(node, Unit):
            for primitive, operation in node.operations.items():
                if operation.energy_pj is not None:
                    yield f"{node.name}.{primitive}", operation.energy_pj


def test_the_machines_that_the_readme_names_are_shipped() -> None:
    assert {"spatial", "cascade", "flat", "unfused", "tpu_like", "eyeriss_like", "simple", "npu"} <= set(MACHINES)


def test_every_figure_of_a_machine_has_a_source_a_kind_and_a_range(machine: Architecture) -> None:
    found = list(quantities(machine))
    assert found
    for where, quantity in found:
        assert quantity.source, where
        assert quantity.kind in KINDS, where
        assert 0 <= quantity.low <= quantity.value <= quantity.high, where


def test_a_machine_has_a_name_an_about_and_a_source(machine: Architecture) -> None:
    assert machine.about and machine.source
    assert machine.name in {path.stem for path in MACHINES.values()}


def test_every_memory_and_operation_is_priced(machine: Architecture) -> None:
    for memory in machine.memories.values():
        assert memory.read_pj and memory.write_pj and memory.update_pj
    for unit in machine.units.values():
        assert all(operation.energy_pj for operation in unit.operations.values())


@pytest.mark.parametrize("name", sorted(WHOLE))
@pytest.mark.parametrize("workload", ATTENTION)
def test_every_machine_has_a_unit_for_every_einsum_of_attention(name: str, workload: str) -> None:
    machine = load_architecture(WHOLE[name])
    cascade = load_workload(shipped(WORKLOAD)[workload])
    assert isinstance(cascade, Cascade)
    for einsum in cascade.work:
        assert any(cover(einsum, unit.operations) is not None for unit in machine.units.values()), einsum.text


def test_a_machine_prints_one_line_per_node(machine: Architecture) -> None:
    lines = describe(machine).splitlines()
    assert len(lines) == 1 + len(machine.paths) + bool(machine.contents)
    assert lines[0].startswith(machine.name)


def test_the_spatial_machine_prints_as_a_tree() -> None:
    assert describe(load_architecture(MACHINES["spatial"])) == (
        "spatial, 940 MHz, fusemax_45nm\n"
        "└─ DRAM: unlimited, 400 GiB/s, 249.6 pJ per 8 B\n"
        "   └─ L3: 16 MiB, 12.87 nJ read, 15.44 nJ write per 512 B\n"
        "      └─ columns: col 256\n"
        "         └─ REG1D: 64 B, 0.653 pJ read, 0.57 pJ write per 2 B\n"
        "            ├─ PE1D: mac, max, add, div\n"
        "            └─ rows: row 256 (reduces add, max)\n"
        "               └─ REG2D: 32 B, 0.385 pJ read, 0.336 pJ write per 2 B\n"
        "                  └─ PE2D: mac, max, add"
    )


# FuseMax, MICRO 2024, artifact: energies in pJ, areas in um2, 940 MHz, 400 GiB/s, 256 x 256 elements, 256 lanes.
def test_the_spatial_machine_holds_the_published_figures() -> None:
    machine = load_architecture(MACHINES["spatial"])
    assert machine.clock_hz == 940_000_000
    assert machine.copies("PE1D") == 256 and machine.copies("PE2D") == 256 * 256
    memories, units = machine.memories, machine.units
    assert memories["DRAM"].read_bits_per_s == Fraction(400 * 2**30 * 8)
    assert memories["L3"].size_bits == 16 * 2**20 * 8
    assert (memories["REG1D"].size_bits, memories["REG2D"].size_bits) == (32 * 16, 16 * 16)
    energies = {name: units["PE1D"].operations[name].energy_pj for name in ("mac", "max", "add", "div")}
    published = {"mac": 17.1645, "max": 0.028036, "add": 8.3395, "div": 36.251153}
    assert {name: quantity.value for name, quantity in energies.items() if quantity} == published
    assert _prices(memories["DRAM"]) == pytest.approx((249.6, 249.6))
    assert _prices(memories["L3"]) == pytest.approx((12867, 15443))
    assert _prices(memories["REG1D"]) == pytest.approx((0.653, 0.570))
    assert _prices(memories["REG2D"]) == pytest.approx((0.385, 0.336))
    assert machine.axes["row"][1].reduces == ("add", "max")
    assert machine.axes["row"][1].reduction_latency == {"max": 256}
    area = units["PE2D"].area_um2
    assert area is not None and area.value == pytest.approx(1545 + 49.29)


def test_a_subtract_and_exponential_is_one_issue_only_where_the_baseline_chains_them() -> None:
    primitives = {
        name: set(load_architecture(MACHINES[name]).units["PE1D"].operations) for name in ("spatial", "cascade", "flat", "unfused")
    }
    assert {name for name, known in primitives.items() if "subexp" in known} == {"flat", "unfused"}
    assert {name for name, known in primitives.items() if "exp" in known} == {"cascade", "flat", "unfused"}


# AccelForge 1.0.467, case architectures `simple` and `tpu_v4i`: sizes in bits, rates in bits per second, prices in pJ per bit.
def test_the_machines_of_the_reference_mapper_hold_its_figures() -> None:
    simple = load_architecture(MACHINES["simple"])
    assert simple.memories["MainMemory"].read_bits_per_s == 800_000_000_000
    assert simple.memories["GlobalBuffer"].size_bits == 8388608
    assert simple.memories["GlobalBuffer"].read_bits_per_s == 16_000_000_000_000
    assert _prices(simple.memories["MainMemory"]) == (8.0, 8.0)
    assert simple.units["MAC"].lanes * simple.clock_hz == 1024 * 10**9
    tpu = load_architecture(MACHINES["tpu_like"])
    buffer, local = tpu.memories["GlobalBuffer"], tpu.memories["LocalBuffer"]
    assert (buffer.size_bits, local.size_bits) == (1073741824, 33554432)
    assert (buffer.ports, buffer.read_bits_per_s, buffer.write_bits_per_s) == ("separate", 16384 * 10**9, 8192 * 10**9)
    assert tpu.copies("MAC") == 4 * 128 * 128
    assert tpu.units["VectorUnit"].lanes * tpu.clock_hz == 134_400_000_000


# ethos-u-vela 5.2.0, architecture_features.py: the micro-block, banks of 1 KiB and element units of each size; cycles an element is 2 over
# the units for a result and 6 over them for a sum.
@pytest.mark.parametrize(("size", "block", "kib", "elements"), [(32, 4, 14, 1), (64, 8, 14, 2), (128, 16, 20, 4), (256, 32, 44, 8)])
def test_the_micro_npus_hold_the_published_figures(size: int, block: int, kib: int, elements: int) -> None:
    machine = load_architecture(MACHINES[f"ethos_u55_like_{size}"])
    assert machine.copies("MAC") == block * 8 == size
    mac, output = machine.units["MAC"], machine.units["AO"]
    assert mac.lanes == mac.operations["mac"].cycles == 4  # as many products in a step as cycles
    assert machine.memories["SHRAM"].size_bits == kib * 1024 * 8
    cycles = {name: operation.cycles for name, operation in output.operations.items()}
    assert output.lanes == elements
    cut = cycles["max"] + cycles["min"]
    assert (cycles["floordiv"] + cut, cycles["add"] + cut, cycles["mul"] + cut) == (2, 6, 3)


def _prices(memory: Memory) -> tuple[float, float]:
    assert memory.read_pj is not None and memory.write_pj is not None
    return memory.read_pj.value, memory.write_pj.value


def test_a_smaller_array_follows_the_name_that_its_sizes_are_written_in() -> None:
    machine = load_architecture(MACHINES["spatial"], {"let.pe": "64"})
    assert machine.copies("PE2D") == 64 * 64
    assert machine.memories["L3"].access_bits == 64 * 16
    assert machine.axes["row"][1].reduction_latency == {"max": 64}


def test_settings_change_only_what_they_name() -> None:
    settings = {"L3.size": "8 MiB", "L3.bandwidth": "64 B/cycle", "clock": "1 GHz", "col.size": "128", "PE1D.executes.exp": "3 pJ"}
    machine = load_architecture(MACHINES["spatial"], settings)
    assert machine.memories["L3"].size_bits == 8 * 2**23
    assert machine.memories["L3"].read_bits_per_s == 512 * 10**9
    assert machine.clock_hz == 10**9
    assert machine.copies("PE1D") == 128
    exp = machine.units["PE1D"].operations["exp"].energy_pj
    assert exp is not None and exp.value == 3.0
    assert machine.memories["DRAM"] == dataclasses.replace(
        load_architecture(MACHINES["spatial"]).memories["DRAM"], feeds=machine.root.feeds
    )


def test_one_bandwidth_replaces_one_for_each_direction() -> None:
    buffer = load_architecture(MACHINES["npu"], {"SRAM.bandwidth": "unlimited"}).memories["SRAM"]
    assert (buffer.ports, buffer.read_bits_per_s, buffer.write_bits_per_s) == ("shared", None, None)
