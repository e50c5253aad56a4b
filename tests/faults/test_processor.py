"""Upsets in the processor: in its RTL, in a model of all its registers, and by the times for which words of its buffer matter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from accelsim.faults.processor_rtl import Ended, ProcessorRtl, Site, Upset
from accelsim.mapper import search
from accelsim.rtl.cosim import random_words
from accelsim.rtl.reference_processor import Processor
from tests.faults.buffered import Buffered
from tests.rtl.npu import STATEMENTS, Case, case, machine, work
from tests.rtl.runner import RTL
from tests.share import share

pytestmark = [pytest.mark.usefixtures("rtl_tools"), pytest.mark.slow]
KINDS = sorted(STATEMENTS)
LIMIT = 2


class Both:
    """A program on the RTL and in the model, with the model's states before all cycles."""

    def __init__(self, chosen: Case) -> None:
        self.rtl, self.model = ProcessorRtl(chosen.program, chosen.inputs, RTL), Processor(chosen.program, chosen.inputs)
        self.begin, self.cycle = self.model.state(), 0
        self.before = [0] * len(self.model.edge())
        self.model.restore(self.begin)

    def sorted_upsets(self, rng: Random, many: int) -> Iterator[Upset]:
        """In the order of their cycles; registers of each name of an instance alike, so that few bits are struck as often as many."""
        groups: dict[tuple[str, str], list[Site]] = {}
        for site in self.rtl.sites():
            groups.setdefault((site.instance, site.name), []).append(site)
        names = sorted(groups)
        found = []
        for _ in range(many):
            site = rng.choice(groups[rng.choice(names)])
            found.append(Upset(site.number, int(rng.choice(site.held)), rng.randrange(site.width), rng.randrange(self.rtl.cycles)))
        return iter(sorted(found, key=lambda upset: upset.cycle))

    def modelled(self, upset: Upset) -> Ended:
        """What the model says. Upsets come in the order of their cycles."""
        model = self.model
        model.restore(self.begin)
        while self.cycle <= upset.cycle:
            self.before = [count + rise for count, rise in zip(self.before, model.edge(), strict=True)]
            self.begin, self.cycle = model.state(), self.cycle + 1
        self.strike(upset)
        cycles, counts = model.run(self.cycle, LIMIT * self.rtl.cycles)
        both = tuple(count + more for count, more in zip(self.before, counts, strict=True))
        return Ended(cycles, both, np.array(model.words(), np.int64))

    def strike(self, upset: Upset) -> None:
        """Flip the bit in the model."""
        register = self.rtl.registers[upset.number]
        self.model.parts[register.scope].flip(register.name, upset.word, upset.bit)


def same(one: Ended, other: Ended) -> bool:
    """The same words in the same cycles."""
    return (one.cycles, one.counts) == (other.cycles, other.counts) and bool((one.memory == other.memory).all())


@pytest.mark.parametrize("kind", KINDS)
def test_upset_does_in_rtl_what_it_does_in_a_model_of_all_registers(kind: str) -> None:
    both = Both(case(kind, Random(1), machine(), 6))
    golden, struck = both.rtl.golden.ended, 0
    for upset in both.sorted_upsets(Random(2), share(1500, 60, 10)):
        said = both.rtl.run(upset)
        assert same(said, both.modelled(upset)), (both.rtl.registers[upset.number].scope, both.rtl.registers[upset.number].name, upset)
        struck += not same(said, golden)
    assert struck > share(200, 6, 0)


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
    print(kind, seen)
    assert {"word, effect", "read for the last time, no effect"} <= {*seen}
    assert kind != "product" or {"result, effect", "sum, effect"} <= {*seen}
