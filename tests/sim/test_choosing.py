"""Where values choose what is read: the machine computes what the interpreter does, and its events are those of its twin."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from accelsim.errors import InputError
from accelsim.sim.agreement import compare
from accelsim.sim.values import EXACT, execute, run
from accelsim.workload.interpreter import random_inputs
from tests.model.choosing import choosing_triples
from tests.share import share
from tests.sim.test_events import agrees, slow_machine
from tests.sim.test_values import reference

CASES = share(3_000, 200, 80)


def test_values_are_those_of_the_interpreter() -> None:
    for seed, (made, machine, mapping, _) in enumerate(choosing_triples(6, CASES)):
        inputs = random_inputs(made, np.random.default_rng(seed), np.int64)
        found = run(made, machine, mapping, inputs, EXACT)
        agreement = compare(made, found, reference(made, inputs, np.int64))
        assert agreement.agrees, (agreement, made, mapping)


@pytest.mark.slow
def test_random_mappings_run_as_in_the_twin_and_keep_units_as_busy_as_the_model_counts() -> None:
    rng = Random(8)
    drawn = [(made, slow_machine(machine, rng), mapping) for made, machine, mapping, _ in choosing_triples(8, CASES)]
    assert sum(agrees(*each) for each in drawn) > CASES // 2


def test_a_value_that_chooses_nothing_is_refused() -> None:
    made, machine, mapping, _ = next(choosing_triples(6, 1))
    inputs = random_inputs(made, np.random.default_rng(0), np.int64)
    inputs["I"].flat[-1] = made.tensors["I"].below
    most = made.tensors["I"].below
    with pytest.raises(InputError, match=rf"\d: a value of I is {most}, and chooses among {most}; give"):
        execute(made, machine, mapping, inputs)
