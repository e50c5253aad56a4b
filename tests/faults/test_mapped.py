"""The closed form of an upset in a mapped cascade is its replay, bit for bit; its live intervals are all that the replay ever holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.faults.cones import Fault
from accelsim.faults.reference_mapped import Replay
from accelsim.faults.residency import intervals
from accelsim.io.catalogue import MACHINE, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.workload import load_workload
from accelsim.mapper import Request, search
from accelsim.mapper.objectives import OBJECTIVES
from accelsim.workload.build import sized
from accelsim.workload.cascade import Cascade
from accelsim.workload.interpreter import random_inputs
from tests.faults.mapped import Case, agrees, built, case, flat, same, seeded_cases, whole
from tests.model.strategies import Triple, recurrent_triples, seeded_triples, triples
from tests.share import share
from tests.shrunk import shrunk


def check(found: Case, rng: np.random.Generator, number: int) -> Counter[str]:
    """Random upsets of a case, by closed form and by replay; returns how many ended how."""
    ended = Counter[str]()
    every = intervals(found.mapped, together=int(rng.choice((1, 1, 2, 3, 9))))
    for _ in range(number if every.population else 0):
        # half of them by interval, so that short ones are struck too
        at = int(rng.integers(len(every.store)))
        step, bit = int(rng.integers(every.start[at], every.stop[at])), int(rng.integers(every.ways[at]))
        fault = every.sample(rng) if rng.random() < 0.5 else every.at(at, bit, step)
        effect = found.mapped.inject(fault)
        wanted = found.replayed(fault)
        assert agrees(effect, wanted), (fault, effect, wanted, [einsum.text for einsum in found.cascade.work])
        assert (effect.masked is None) == any(found.cascade.tensors[name].is_output for name in wanted)
        ended["partial" if fault.partial else "complete"] += 1
        ended["several"] += fault.bits > 1
        ended[(effect.masked or "not masked").split(" after ")[0]] += 1
    return ended


def test_both_ways_compute_what_the_machine_does_without_a_fault() -> None:
    for found in seeded_cases(seeded_triples(21, share(2_000, 40, 15))):
        for name, words in found.golden.items():
            for word, value in words.items():
                assert same(value, found.mapped.golden[name][flat(found.cascade, name, word)])
        assert found.replay.step == found.mapped.steps


@given(drawn=triples(), seed=st.integers(0, 2**20))
def test_closed_form_is_the_replay(drawn: Triple, seed: int) -> None:
    found = case(drawn, seed)
    if isinstance(found, Case) and len(found.mapped.stays.store):
        check(found, np.random.default_rng(seed), 3)


@pytest.mark.slow
def test_closed_form_is_the_replay_for_many_seeded_faults_of_all_kinds() -> None:
    ended = Counter[str]()
    rng = np.random.default_rng(22)
    for found in seeded_cases(seeded_triples(22, share(1_700, 60, 20))):
        ended += check(found, rng, 8)
    assert ended["complete"] + ended["partial"] > share(10_000, 300, 90)
    for kind in ("partial", "complete", "several", "not masked", "never read again", "no difference"):
        assert ended[kind] > 10, ended


@pytest.mark.slow
def test_closed_form_is_the_replay_in_recurrences() -> None:
    rng, ended = np.random.default_rng(23), Counter[str]()
    for found in seeded_cases(recurrent_triples(23, share(400, 20, 8))):
        ended += check(found, rng, 8)
    assert ended["not masked"] > 20


class Counting(Replay):
    """A replay that notes in every step what every copy holds."""

    def begin(self, fault: Fault | None) -> None:
        super().begin(fault)
        self.held: Counter[tuple[tuple[int, ...], str, bool]] = Counter()

    def moment(self) -> None:
        super().moment()
        for (address, name), store in self.stores.items():
            self.held[address, name, False] += sum(map(len, store.words.values()))
            self.held[address, name, True] += sum(map(len, store.sums.values()))


def test_intervals_cover_every_word_that_a_copy_ever_holds_once() -> None:
    for found in seeded_cases(seeded_triples(24, share(600, 25, 10))):
        replay = found.replay
        counting = Counting(replay.cascade, replay.architecture, replay.mapping, found.replay.inputs, replay.overflow)
        counting.run()
        parted = {nest.einsum.output.tensor for nest in counting.nests.values() if counting.parted(nest)}
        wanted = {key: steps for key, steps in counting.held.items() if steps and not (key[2] and key[1] in parted)}
        got = Counter[tuple[tuple[int, ...], str, bool]]()
        for site in intervals(found.mapped).sites():
            got[site.keep, site.tensor, site.partial] += site.bit_steps // site.bits
        assert dict(got) == wanted, [einsum.text for einsum in found.cascade.work]


def test_upsets_of_one_interval_have_one_effect_and_dead_ones_none() -> None:
    rng = np.random.default_rng(25)
    seen = Counter[bool]()
    for found in seeded_cases(seeded_triples(25, share(300, 25, 12))):
        every = intervals(found.mapped)
        for at in rng.integers(len(every.store), size=12):
            bit = int(rng.integers(every.bits[at]))
            first, last = (found.mapped.inject(every.at(int(at), bit, int(step))) for step in (every.start[at], every.stop[at] - 1))
            assert agrees(first, {name: dict(zip(words.tolist(), values, strict=True)) for name, (words, values) in last.changed.items()})
            assert first.masked == last.masked
            assert bool(every.live[at]) == (first.masked != "never read again")
            seen[bool(every.live[at])] += 1
    assert min(seen[True], seen[False]) > 20


def test_every_number_of_the_population_is_another_upset_and_the_last_is_the_last() -> None:
    found = next(islice(seeded_cases(seeded_triples(26, 9)), 1))
    every = intervals(found.mapped)
    size = min(every.population, 3_000)
    faults = {every.fault(index) for index in range(size)}
    assert len(faults) == size
    last = every.fault(every.population - 1)
    assert (last.step, last.bit, last.word) == (every.stop[-1] - 1, every.bits[-1] - 1, every.word[-1])


def test_a_clock_that_counts_steps_twice_doubles_every_weight() -> None:
    found = next(islice(seeded_cases(seeded_triples(27, 9)), 1))
    once, twice = intervals(found.mapped), intervals(found.mapped, 2 * np.arange(found.mapped.steps + 1))
    assert np.array_equal(2 * once.weight, twice.weight)
    for index in range(50):
        fault = twice.sample(np.random.default_rng(index))
        assert fault.step < found.mapped.steps and found.mapped.inject(fault) is not None


SHIPPED = [
    ("attention", "spatial"), ("softmax", "tpu_like"), ("scan-sequential", "tpu_like"), ("conv2d", "tpu_like"), ("conv2d-pair", "simple"),
    ("layernorm", "simple"), ("attention-causal", "spatial"), ("attention-fixed", "mini"), ("scan-fixed", "mini"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("name", "machine"), SHIPPED)
def test_closed_form_is_the_replay_in_shipped_cascades_as_the_mapper_maps_them(name: str, machine: str) -> None:
    shipped = load_workload(resolve(name, WORKLOAD), {})
    assert isinstance(shipped, Cascade)
    made, target = shrunk(shipped), load_architecture(resolve(machine, MACHINE), {})
    mapping = search(made, target, request=Request(OBJECTIVES["latency"], time_limit=1.0)).mapping
    made = sized(made, mapping.sizes)
    inputs = random_inputs(made, np.random.default_rng(0))
    found = built(made, target, replace(mapping, nodes=whole(mapping.nodes)), inputs)
    assert isinstance(found, Case), found
    ended = check(found, np.random.default_rng(1), share(300, 25, 5))
    assert ended["not masked"] or ended["no difference"]
