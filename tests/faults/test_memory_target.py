"""Campaigns in memories: what their faults add up to, against every fault replayed one by one, and what is refused."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.cli import main
from accelsim.errors import InputError
from accelsim.faults.cones import Fault
from accelsim.faults.memory_target import MemoryTarget
from accelsim.faults.outcomes import CORRUPTED
from accelsim.faults.reference_mapped import Replay
from accelsim.faults.stuck_target import StuckTarget
from accelsim.faults.transit_target import TransitTarget
from accelsim.faults.transits import transit
from accelsim.io.campaign import load_campaign
from tests.faults.mapped import difference

SMALL = """\
campaign: small
workload: matmul
arch: simple
in: memories
mapping: tiles.yaml
set: {shape.m: 2, shape.n: 3, shape.k: 2, type.default: int8, type.Z.partial: int16, type.Z.final: int8,
  arch.MainMemory.bandwidth: 100 MB/s}
"""
TILES = """\
mapping: tiles
tree:
  - keep MainMemory: [A, B, Z]
  - for m: 1
  - keep GlobalBuffer: [A, Z]
  - for n: 1
  - keep GlobalBuffer: [B]
  - {einsum: Z, unit: MAC, loops: [for k: 1]}
"""


def target(folder: Path, more: str, where: str = "memories") -> Any:
    (folder / "tiles.yaml").write_text(TILES)
    (folder / "small.yaml").write_text(SMALL.replace("memories", where) + more)
    return load_campaign(folder / "small.yaml").target


def replay_of(found: MemoryTarget | StuckTarget | TransitTarget) -> Replay:
    """The twin of a target's mapping."""
    mapped = found.mapped
    inputs = {name: mapped.golden[name].reshape(mapped.cascade.tensors[name].shape) for name in "AB"}
    return Replay(mapped.cascade, mapped.architecture, mapped.mapping, inputs, mapped.overflow)


@pytest.mark.parametrize("bits", [1, 2, 8, 16])
def test_every_upset_of_adjacent_bits_ends_as_its_replay_and_classes_add_up_to_all(bits: int, tmp_path: Path) -> None:
    found = target(tmp_path, f"faults: {{bits: {bits}}}\n")
    assert isinstance(found, MemoryTarget)
    replay = replay_of(found)
    golden, ended = replay.run(), Counter[bool]()
    for number, stratum in enumerate(found.strata):
        name, partial = stratum.name.split()[0], "incomplete" in stratum.name
        wide = 16 if partial else 8
        store = next(each for each in found.mapped.stores if (each.memory, each.tensor) == (stratum.block, name))
        sites = [found.site(number, each) for each in range(stratum.population)]
        assert len({repr(each) for each in sites}) == stratum.population
        assert all(each["bits"] == [*range(each["bits"][0], each["bits"][0] + min(bits, wide))] for each in sites)
        wrong = np.zeros(stratum.population, bool)
        for place, site in enumerate(sites):
            word = np.ravel_multi_index(tuple(map(int, re.findall(r"\d+", site["word"]))), found.mapped.cascade.tensors[name].shape)
            fault = Fault(
                store.memory, name, store.address, tuple(site["copy"]), int(word), site["bits"][0], site["step"], partial, len(site["bits"])
            )
            wrong[place] = "Z" in difference(found.mapped.cascade, golden, replay.run(fault))
        assert np.array_equal(found.effects(number, np.arange(stratum.population)).outcome == CORRUPTED, wrong)
        classes = found.of_classes(number, np.arange(stratum.classes))
        assert classes.weight is not None and classes.weight.sum() == stratum.population
        assert classes.weight[classes.outcome == CORRUPTED].sum() == wrong.sum()
        ended.update(wrong.tolist())
    assert min(ended.values()) > 20


@pytest.mark.parametrize("bits", [1, 3])
def test_every_stuck_cell_ends_as_its_replay(bits: int, tmp_path: Path) -> None:
    found = target(tmp_path, f"faults: {{kind: stuck, bits: {bits}}}\n")
    assert isinstance(found, StuckTarget)
    replay = replay_of(found)
    golden, ended = replay.run(), Counter[bool]()
    for number, stratum in enumerate(found.strata):
        cells = {"GlobalBuffer A": 2, "GlobalBuffer Z": 3, "GlobalBuffer B": 2, "MainMemory A": 4, "MainMemory B": 6, "MainMemory Z": 6}
        wide = 16 if "incomplete" in stratum.name else 8
        assert stratum.bits == cells[f"{stratum.block} {stratum.name.split()[0]}"] * wide
        assert stratum.population == 2 * stratum.bits // wide * (wide - bits + 1)
        faults = [found.fault(number, each) for each in range(stratum.population)]
        assert len(set(faults)) == stratum.population
        wrong = [("Z" in difference(found.mapped.cascade, golden, replay.run(fault))) for fault in faults]
        assert (found.effects(number, np.arange(stratum.population)).outcome == CORRUPTED).tolist() == wrong
        ended.update(wrong)
    assert min(ended.values()) > 20


@pytest.mark.parametrize("bits", [1, 3])
def test_every_upset_of_a_word_on_its_way_ends_as_its_replay(bits: int, tmp_path: Path) -> None:
    found = target(tmp_path, f"faults: {{bits: {bits}}}\n", "networks")
    assert isinstance(found, TransitTarget)
    replay = replay_of(found)
    golden, ended = replay.run(), Counter[bool]()
    m, n, k = 2, 3, 2
    # rows of A once, B for each of them again, an operand of each product, each result into the buffer and out of it
    ways = {
        ("MainMemory to GlobalBuffer", "A"): m * k, ("MainMemory to GlobalBuffer", "B"): m * n * k,
        ("GlobalBuffer to MAC", "A for Z"): m * n * k, ("GlobalBuffer to MAC", "B for Z"): m * n * k,
        ("MAC to GlobalBuffer", "Z"): m * n, ("GlobalBuffer to MainMemory", "Z"): m * n,
    }  # fmt: skip
    assert {(each.block, each.name): each.bits for each in found.strata} == {way: 8 * many for way, many in ways.items()}
    for number, stratum in enumerate(found.strata):
        faults = [transit(found.mapped, found.way(number), *divmod(each, 9 - bits), bits) for each in range(stratum.population)]
        assert len(set(faults)) == stratum.population == stratum.bits // 8 * (9 - bits)
        wrong = ["Z" in difference(found.mapped.cascade, golden, replay.run(fault)) for fault in faults]
        assert (found.effects(number, np.arange(stratum.population)).outcome == CORRUPTED).tolist() == wrong
        assert found.site(number, 0)["bits"] == list(range(bits))
        ended.update(wrong)
    assert min(ended.values()) > 20


def test_upsets_by_cycle_are_those_of_their_steps_weighed_by_how_long_these_take(tmp_path: Path) -> None:
    """Of a word in the outer memory, an upset in every cycle ends as in the step that begins last before it."""
    by_step, by_cycle = (target(tmp_path, f"time: {time}\n") for time in ("steps", "cycles"))
    clock = by_cycle.intervals.clock
    assert clock[-1] > 100 and len(clock) == by_step.mapped.steps + 1  # loads from the outer memory take most of it
    for number, stratum in enumerate(by_cycle.strata):
        assert (stratum.block, stratum.name) == (by_step.strata[number].block, by_step.strata[number].name)
        sites = [by_step.site(number, each) for each in range(by_step.strata[number].population)]
        ends = by_step.effects(number, np.arange(len(sites))).outcome == CORRUPTED
        length = np.diff(clock)
        weights = np.array([length[site["step"]] for site in sites])
        assert stratum.population == weights.sum()
        classes = by_cycle.of_classes(number, np.arange(stratum.classes))
        assert classes.weight is not None and classes.weight.sum() == stratum.population
        assert classes.weight[classes.outcome == CORRUPTED].sum() == weights[ends].sum()
        found = by_cycle.effects(number, np.arange(stratum.population)).outcome == CORRUPTED
        assert found.sum() == weights[ends].sum()


BAD = [
    ("faults: {bits: 65}", r":8:16: 65 bits at once; write at most 64$"),
    ("faults: {in: [A]}", r":8:10: a fault in memories has no 'in'; did you mean 'kind'\?$"),
    ("time: cycle", r":8:7: time is not counted in 'cycle'; did you mean 'cycles'\?$"),
    ("time: cycles\nfaults: {kind: stuck}", r":8:7: bits are stuck all the time; leave out 'time', or write 'kind: upset'$"),
    ("faults: {kind: stick}", r":8:16: there is no kind of fault 'stick'; did you mean 'stuck'\?$"),
]


def test_what_is_about_memories_is_refused_in_networks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more, said in (
        ("faults: {kind: stuck}", r":8:10: a fault in networks has no 'kind'; known: bits$"),
        ("time: cycles", r":8:7: 'time' is about memories, and faults are in networks; leave it out$"),
        ("outputs: sums", r":8:10: 'outputs' is about an array, and upsets are in networks; leave it out$"),
    ):
        with pytest.raises(InputError, match=said):
            target(tmp_path, more, "networks")


def test_sums_in_parts_of_the_mapper_s_mapping_are_refused_at_the_workload(tmp_path: Path) -> None:
    text = "campaign: found\nworkload: softmax\narch: eyeriss_like\nin: memories\nset: {shape.b: 16, shape.k: 16}\n"
    (tmp_path / "found.yaml").write_text(text)
    said = r"found\.yaml:2:11: copies keep parts of the sums of GM, and the order of its bf16 sums matters; take a mapping that "
    with pytest.raises(InputError, match=said):
        load_campaign(tmp_path / "found.yaml")


@pytest.mark.parametrize(("more", "said"), BAD)
def test_bad_campaign_in_memories_is_refused_in_one_line(
    more: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiles.yaml").write_text(TILES)
    (tmp_path / "small.yaml").write_text(SMALL + more)
    for command in ("inject", "check"):
        assert main([command, str(tmp_path / "small.yaml")]) == 2
        error = capsys.readouterr().err.splitlines()[0]
        assert re.search(said, error), error
