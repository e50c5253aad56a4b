"""Upsets in the processor: in its RTL, in a model of all its registers, and by the times for which words of its buffer matter."""

from __future__ import annotations

import json
import pickle
import subprocess
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

from accelsim.errors import InputError
from accelsim.faults.campaign import Campaign, run
from accelsim.faults.outcomes import CORRUPTED, HANG, LOGICAL, NAMES, PROTOCOL
from accelsim.faults.plan import Sample
from accelsim.faults.processor_confirmation import Modelled, confirm_processor
from accelsim.faults.processor_rtl import WATCH, Ended, ProcessorRtl, Site, Upset
from accelsim.faults.processor_target import ProcessorTarget
from accelsim.faults.randomness import below
from accelsim.mapper import search
from accelsim.rtl.cosim import counts, load, random_words
from accelsim.rtl.fast import QUICK, Library
from accelsim.rtl.reference_processor import Processor
from accelsim.rtl.synthesis import sources
from tests.faults.buffered import Buffered
from tests.rtl.npu import STATEMENTS, case, machine, work
from tests.rtl.runner import RTL
from tests.share import share

pytestmark = [pytest.mark.usefixtures("rtl_tools"), pytest.mark.slow]
KINDS = sorted(STATEMENTS)


def upsets(run: ProcessorRtl, rng: Random, many: int) -> list[Upset]:
    """In the order of their cycles; registers of each name of an instance alike, so that few bits are struck as often as many."""
    groups: dict[tuple[str, str], list[Site]] = {}
    for site in run.sites():
        groups.setdefault((site.instance, site.name), []).append(site)
    names, found = sorted(groups), []
    for _ in range(many):
        site = rng.choice(groups[rng.choice(names)])
        found.append(Upset(site.number, int(rng.choice(site.held)), rng.randrange(site.width), rng.randrange(run.cycles)))
    return sorted(found, key=lambda upset: upset.cycle)


@pytest.mark.parametrize("kind", KINDS)
def test_upset_does_in_rtl_what_it_does_in_a_model_of_all_registers(kind: str) -> None:
    chosen = case(kind, Random(1), machine(), 6)
    run = ProcessorRtl(chosen.program, chosen.inputs, RTL)
    modelled, struck = Modelled(run), 0
    for upset in upsets(run, Random(2), share(1500, 60, 10)):
        said = run.run(upset)
        assert said.same(modelled.says(upset)), (run.registers[upset.number].scope, run.registers[upset.number].name, upset)
        struck += not said.same(run.golden.ended)
    assert struck > share(200, 6, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_model_has_the_registers_of_the_rtl_in_every_cycle(kind: str) -> None:
    """Every register and every word that is written, of the processor and of the outer memory, with and without upsets."""
    chosen, rng = case(kind, Random(5), machine(), 6), Random(6)
    run = ProcessorRtl(chosen.program, chosen.inputs, RTL)
    for upset in [None, *upsets(run, rng, share(12, 2, 1))]:
        model, rtl = Processor(chosen.program, chosen.inputs), run.library.start()
        registers = rtl.registers()
        for each in registers:
            each.held[:] = 0
        load(rtl, chosen.program, chosen.inputs)
        for cycle in range(run.cycles + 5):
            model.edge()
            rtl.run({"run_i": 1, "count_i": counts(chosen.program)})
            if upset is not None and cycle == upset.cycle:
                registers[upset.number].held[upset.word, upset.bit // 8] ^= 1 << upset.bit % 8
                model.parts[registers[upset.number].scope].flip(registers[upset.number].name, upset.word, upset.bit)
            for each, held in zip(registers, run.golden.held, strict=True):
                part = model.parts[each.scope]
                mine, width = part.held[each.name], part.width[each.name]
                if each.words == 1:
                    mine = [sum(word << width * at for at, word in enumerate(mine))]
                for word in held:
                    assert int.from_bytes(bytes(each.held[word]), "little") == mine[word], (each.scope, each.name, word, cycle, upset)


@pytest.mark.parametrize("kind", ["product", "two layers", "recurrence"])
def test_upset_in_the_buffer_does_in_rtl_what_the_intervals_of_the_mapping_say(kind: str) -> None:
    rng, seen = Random(3), dict[str, int]()
    for number in range(share(6, 2, 1)):
        chosen = work(kind, rng, 6)
        inputs = random_words(chosen, number)
        buffered = Buffered(chosen, machine(), search(chosen, machine()).mapping, inputs)
        rtl = ProcessorRtl(buffered.program, inputs, RTL)
        buffer = next(site.number for site in rtl.sites() if site.name == "buffer_q")
        classes = [each for each in buffered.classes() if each.cycles]
        for _ in range(share(200, 100, 20)):
            struck = rng.choice(classes)
            bit = rng.randrange(struck.bits)
            said = rtl.run(Upset(buffer, struck.address, bit, rng.choice(struck.cycles)))
            effect = buffered.mapped.inject(replace(struck.fault, bit=bit))
            expected = rtl.golden.ended.memory.copy()
            for name, (places, values) in effect.changed.items():
                if chosen.tensors[name].is_output:
                    expected[buffered.program.places[name] + places] = values
            assert (said.memory == expected).all(), struck
            assert (said.cycles, said.counts) == (rtl.cycles, rtl.golden.ended.counts)
            key = f"{struck.kind}, {'no effect' if (expected == rtl.golden.ended.memory).all() else 'effect'}"
            seen[key] = seen.get(key, 0) + 1
    assert {"word, effect", "read for the last time, no effect"} <= {*seen}, seen
    assert kind != "product" or {"result, effect", "sum, effect"} <= {*seen}, seen


SMALL = {
    "W": 8, "AW": 4, "BW": 3, "CW": 8, "ROWS": 1, "COLUMNS": 2, "LANES": 1, "SCANS": 1, "LOOPS": 2, "NEST": 2, "LATENCY": 4, "STEPS": 2,
    "ENTRIES": 2,
}  # fmt: skip


def test_registers_are_the_flip_flops_and_memories_that_synthesis_finds(tmp_path: Path) -> None:
    """Names, bits and words by Verilator against those by yosys, of a small processor."""
    module = "processor_system"
    files, parameters = " ".join(sources(module, RTL)), " ".join(f"-set {name} {value}" for name, value in SMALL.items())
    out = tmp_path / "out.json"
    script = f"read_verilog -sv {files}; chparam {parameters} {module}; hierarchy -top {module}; proc; flatten; write_json {out}"
    subprocess.run(["yosys", "-q", "-p", script], cwd=RTL, check=True, capture_output=True)
    (flat,) = (each for each in json.loads(out.read_text("utf-8"))["modules"].values() if "top" in each["attributes"])
    stored = {bit for cell in flat["cells"].values() if cell["type"] == "$dff" for bit in cell["connections"]["Q"]}
    nets = {name: net["bits"] for name, net in flat["netnames"].items()}
    flops = {name: bits for name, bits in nets.items() if name.endswith("_q") and stored & {*bits}}
    named = {bit for name, bits in nets.items() if "$" not in name for bit in bits}  # others are ports of memories and variables of loops
    assert stored & named <= {bit for bits in flops.values() for bit in bits}
    expected = {name: (len(bits), 1) for name, bits in flops.items()}
    expected |= {name: (memory["width"], memory["size"]) for name, memory in flat["memories"].items()}
    registers = Library(RTL, module, SMALL, ["*.*_q"], QUICK).start().registers()
    assert {".".join(filter(None, (each.scope, each.name))): (each.width, each.words) for each in registers} == expected


LAYERS = "two layers", 1


@pytest.fixture(scope="module")
def layers() -> ProcessorTarget:
    """Two layers on the shipped machine."""
    chosen = case(LAYERS[0], Random(LAYERS[1]), machine(), 6)
    return ProcessorTarget(chosen.program, chosen.inputs, RTL)


def test_upset_ends_as_in_a_run_that_starts_anew_and_never_stops_early(layers: ProcessorTarget) -> None:
    """Neither the states that are kept nor the comparison with them change anything."""
    run, rng, golden = layers.run, Random(4), layers.run.golden.ended
    again = 0
    for _ in range(share(300, 60, 15)):
        site = rng.choice(run.sites())
        upset = Upset(site.number, int(rng.choice(site.held)), rng.randrange(site.width), rng.randrange(run.cycles))
        said = run.run(upset)
        again += said.again
        fresh = run.library.start()
        for each in fresh.registers():
            each.held[:] = 0
        load(fresh, run.program, run.inputs)
        parts = [fresh.run({"run_i": np.ones(upset.cycle + 1, np.uint64), "count_i": counts(run.program)})]
        fresh.registers()[upset.number].held[upset.word, upset.bit // 8] ^= 1 << upset.bit % 8
        parts.append(fresh.run({"run_i": np.ones(WATCH * run.cycles - upset.cycle - 1, np.uint64), "count_i": counts(run.program)}))
        busy, done = (np.concatenate([part[name] for part in parts]) for name in ("busy_o", "done_o"))
        cycles = int((busy == 0).argmax()) if (busy == 0).any() else -1
        until = cycles + 1 if cycles >= 0 else len(done)
        rises = tuple(int((done[:until] >> np.uint64(each) & np.uint64(1)).sum()) for each in range(len(golden.counts)))
        words = next(each.held for each in fresh.registers() if (each.scope, each.name) == ("", "words_q"))
        assert said.same(Ended(cycles, rises, words.reshape(-1).view(np.int32).astype(np.int64))), upset
    assert again > share(60, 10, 1)


def test_one_fault_alone_does_what_it_does_among_others(layers: ProcessorTarget) -> None:
    other = pickle.loads(pickle.dumps(layers))
    assert other.strata == layers.strata
    for stratum, each in enumerate(layers.strata):
        numbers = below(9, np.arange(6), each.population)[:, 0]
        found, alone = layers.effects(stratum, numbers), other.effects(stratum, numbers[3:4])
        assert [found.outcome[3], found.wrong[3], found.worst[3], found.decided[3]] == [
            alone.outcome[0], alone.wrong[0], alone.worst[0], alone.decided[0]
        ]  # fmt: skip
        site = layers.site(stratum, int(numbers[3]))
        assert site["register"].endswith(f".{each.name}") or f".{each.name}[" in site["register"]


def test_every_bit_and_cycle_of_a_stratum_is_one_fault(layers: ProcessorTarget) -> None:
    stratum = next(at for at, each in enumerate(layers.strata) if each.name == "words_q" and each.block == "u_mover.u_flight")
    population = layers.strata[stratum].population
    sites = {str(layers.site(stratum, number)) for number in range(population)}
    assert len(sites) == population == layers.strata[stratum].bits * layers.run.cycles


def test_two_processes_find_what_one_does(layers: ProcessorTarget, tmp_path: Path) -> None:
    sample = Sample(faults=share(60, 20, 5))
    one, two = (run(Campaign("it", layers, sample, 3, "it"), tmp_path / f"{many}.sqlite", many) for many in (1, 2))
    assert [each.tally for each in one.found] == [each.tally for each in two.found]
    assert len({name for each in one.found for name, count in zip(NAMES, each.tally.counts, strict=True) if count}) > 2


def test_control_that_is_known_to_matter_does(layers: ProcessorTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    known = layers.known()
    assert len(known) == 6 and {each.outcomes for each in known} == {(CORRUPTED, HANG, PROTOCOL), (HANG,)}
    values = case(LAYERS[0], Random(LAYERS[1]), machine(), 6).values
    layers.confirm(values)
    with pytest.raises(InputError, match=r"^Z of the RTL is not that of the simulator; please report this$"):
        layers.confirm({"Z": values["Z"] + 1})
    golden = layers.run.golden.ended
    monkeypatch.setattr(layers.run, "run", lambda _: golden)
    with pytest.raises(InputError) as refusal:
        layers.confirm(values)
    said = "an upset after which u_top.u_mover_program has no instruction left counts as logical; please report this"
    assert str(refusal.value) == said


def test_words_where_none_belong_are_against_the_protocol(layers: ProcessorTarget) -> None:
    """One more load, or a word of an input that has changed, are seen; a wrong output is not."""
    golden, places = layers.run.golden.ended, layers.program.places
    memory = golden.memory.copy()
    memory[places["X"]] += 1
    assert layers.judged(replace(golden, memory=memory))[0] == PROTOCOL
    assert layers.judged(replace(golden, counts=(golden.counts[0] + 1, *golden.counts[1:])))[0] == PROTOCOL
    memory = golden.memory.copy()
    memory[places["Z"]] += 5
    assert layers.judged(replace(golden, memory=memory)) == (CORRUPTED, 1, 5, 0)
    assert layers.judged(replace(golden, cycles=golden.cycles + 9))[0] == LOGICAL
    assert layers.judged(replace(golden, cycles=-1))[0] == HANG


def test_comparison_sees_an_upset_in_another_cycle(layers: ProcessorTarget) -> None:
    """The check is checked: the model is told of each upset one cycle late."""
    modelled, wrong = Modelled(layers.run), 0
    for upset in upsets(layers.run, Random(2), 120):
        wrong += not layers.run.run(upset).same(modelled.says(replace(upset, cycle=upset.cycle + 1)))
    assert wrong > 5


def test_confirmation_counts_what_does_not_agree(layers: ProcessorTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    found = confirm_processor(layers, 60, 1)
    assert (found.faults, found.known, found.agrees) == (60, 6, True) and found.effective > 10
    golden = layers.run.golden.ended
    monkeypatch.setattr(Modelled, "says", lambda *_: golden)
    found = confirm_processor(layers, 20, 1)
    assert 6 <= len(found.mismatches) == found.effective
