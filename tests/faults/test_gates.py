"""Faults of gates: the kernel against the twin and against Icarus, and classes against their members."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.errors import InputError
from accelsim.faults.gates import KINDS, Circuit, GateFault
from accelsim.rtl.netlist import netlist
from tests.faults import icarus
from tests.faults.netlists import CYCLES, UNITS, by_twin, circuit, outputs, words
from tests.share import share

pytestmark = pytest.mark.usefixtures("rtl_tools")
PAIRS = share(400, 40, 10)


def looks(made: Any) -> list[tuple[int, str]]:
    """All outputs in all cycles."""
    return [(cycle, name) for cycle in range(CYCLES) for name in outputs(made)]


def every(found: Circuit) -> list[GateFault]:
    """Faults of all lines, none merged."""
    return [found._fault(line, kind, 1) for line in found.lines for kind in KINDS]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit[0])
def test_kernel_shows_what_the_twin_shows_of_random_faults_and_vectors(unit: Any) -> None:
    found, made = circuit(*unit)
    rng, vectors = np.random.default_rng(5), 70
    inputs, faults, seen = words(made, rng, vectors), every(found), looks(made)
    picked = [faults[place] for place in rng.choice(len(faults), PAIRS, replace=False)]
    good, bad = found.run(picked, inputs, {}, seen, vectors)
    kinds = Counter[str]()
    for place, fault in enumerate(picked):
        vector = int(rng.integers(vectors))
        right, wrong = by_twin(made, None, inputs, vector), by_twin(made, fault, inputs, vector)
        for at, (cycle, name) in enumerate(seen):
            assert int(good[at][vector]) == right[cycle][name], f"{name} in cycle {cycle}, without a fault"
            assert int(good[at][vector] ^ bad[at][place, vector]) == wrong[cycle][name], f"{name} in cycle {cycle}, {fault}"
            kinds[fault.kind] += right[cycle][name] != wrong[cycle][name]
    assert len(kinds) == len(KINDS), "some fault of each kind shows"


@pytest.mark.parametrize("unit", UNITS[:3], ids=lambda unit: unit[0])
def test_faults_of_a_class_show_the_same_on_every_vector(unit: Any) -> None:
    """Each line alone is one of those that stand for all, by what it shows; counts sum to all faults of lines."""
    found, made = circuit(*unit)
    vectors = 192
    inputs, seen, classes = words(made, np.random.default_rng(6), vectors), looks(made), found.faults(KINDS)
    assert sum(fault.count for fault in classes) == len(found.lines) * len(KINDS)
    assert len(classes) < len(found.lines) * len(KINDS)
    _, one = found.run(classes, inputs, {}, seen, vectors)
    _, all_ = found.run(every(found), inputs, {}, seen, vectors)
    shown = Counter[bytes]()
    for place, fault in enumerate(classes):
        shown[b"".join(part[place].tobytes() for part in one)] += fault.count
    assert shown == Counter(b"".join(part[place].tobytes() for part in all_) for place in range(len(found.lines) * len(KINDS)))


def test_faults_of_an_inverter_between_ports_are_two() -> None:
    """By hand: input and output, stuck at 0 and 1; the input at 0 is the output at 1. Slow lines alike."""
    gate = {"type": "$_NOT_", "connections": {"A": [2], "Y": [3]}}
    ports = {"x_i": {"bits": [2]}, "y_o": {"bits": [3]}}
    found = Circuit(netlist({"cells": {"gate": gate}, "ports": ports}))
    assert {(fault.net, fault.kind, fault.count) for fault in found.faults(KINDS)} == {(3, kind, 2) for kind in KINDS}


def test_what_is_not_there_is_refused() -> None:
    found, _ = circuit(*UNITS[0])
    for fault, said in (
        (GateFault(-5, KINDS[0]), "there is no net -5; take a fault of this netlist's `faults`"),
        (GateFault(4, "stuck at 2"), "there is no fault 'stuck at 2'; did you mean 'stuck at 1'?"),
    ):
        with pytest.raises(InputError) as error:
            found.rows([fault])
        assert str(error.value) == said
    with pytest.raises(InputError) as error:
        found.bits("p_q")
    assert str(error.value) == "there is no port or register p_q; did you mean 'w_q'?"


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit[0])
def test_icarus_shows_the_same_where_it_forces_the_line(unit: Any, tmp_path: Path) -> None:
    """The netlist as yosys writes it in Verilog; 40 faults and vectors of each unit in `make test`, bit for bit in every cycle."""
    found, made = circuit(*unit)
    rng, vectors = np.random.default_rng(8), 40
    inputs, faults, seen = words(made, rng, vectors), every(found), looks(made)
    picked = [faults[place] for place in rng.choice(len(faults), PAIRS)]
    chosen = rng.integers(vectors, size=PAIRS)
    good, bad = found.run(picked, inputs, {}, seen, vectors)
    runs = [
        (fault, [{name: int(each[vector]) for name, each in now.items()} for now in inputs])
        for fault, vector in zip(picked, chosen, strict=True)
    ]
    differ = 0
    for place, (said, vector) in enumerate(zip(icarus.run(made, runs, tmp_path), chosen, strict=True)):
        for at, (cycle, name) in enumerate(seen):
            assert int(good[at][vector] ^ bad[at][place, vector]) == said[cycle][name], f"{name} in cycle {cycle}, {picked[place]}"
            differ += bool(bad[at][place, vector])
    assert differ, "some fault shows"
