"""Tiles that do not divide: what changing them one by one finds, against all tiles of a product listed by the batch kernel."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.mapper import search
from accelsim.mapper.batch import Batch
from accelsim.mapper.best import Request
from accelsim.mapper.objectives import key, objective_named
from accelsim.mapper.retiling import Retiling
from accelsim.mapper.scope import Scope
from accelsim.mapping.legality import check
from accelsim.mapping.tree import For, Leaf, Mapping
from accelsim.model import Evaluator
from tests.mapper.small import grid, keep, matmul, one_unit, softmax, two_units

_CASES = 200 if os.environ.get("ACCELSIM_EVIDENCE") else 12


def least(evaluator: Evaluator) -> dict[str, float]:
    """The least cycles and picojoules of a product under one buffer: every order of the loops, every number of trips of each."""
    extents = dict(evaluator.cascade.extents)
    tiles = {rank: sorted({-(-size // trips) for trips in range(1, size + 1)}) for rank, size in extents.items()}
    best = {"latency": math.inf, "energy": math.inf}
    for order in permutations(extents):
        loops = tuple(For(rank, max(1, extents[rank] - 1)) for rank in order)
        structure = Mapping("all", (keep("Main", *"ABZ"), Leaf("Z", "U", (*loops, keep("Buffer", *"ABZ")))))
        found = Batch(evaluator, structure).evaluate(np.array(list(product(*(tiles[rank] for rank in order))), np.int64))
        for name, values in (("latency", np.ceil(found.steady / found.per_cycle)), ("energy", found.energy_pj)):
            best[name] = min(best[name], float(np.where(found.legal & found.fits, values, np.inf).min()))
    return best


@pytest.mark.slow
@pytest.mark.parametrize("case", range(_CASES))
def test_a_product_under_one_buffer_is_mapped_as_well_as_by_the_best_of_all_tiles(case: int) -> None:
    rng = random.Random(case)
    cascade = matmul(*(rng.randint(12, 64) for _ in "mnk"))
    evaluator = Evaluator(cascade, one_unit(rng.choice((96, 128, 256, 500, 1024)), rng.choice((1, 2, 4)), rng.choice((1, 8))))
    best = least(evaluator)
    assert search(cascade, evaluator.architecture, "latency").evaluation.cycles <= best["latency"]
    assert search(cascade, evaluator.architecture, "energy").evaluation.energy_pj <= best["energy"] * (1 + 1e-9)


def test_tiles_that_do_not_divide_beat_all_that_do() -> None:
    """By hand: 13 x 16 results of 32 bits and a column of each factor fill the buffer, 5 x 4 times; 64 x 64 (5 + 4) words come, 64 x 64
    results go."""
    cascade, machine = matmul(64, 64, 64), one_unit(512, 1, 64)
    dividing = search(cascade, machine, request=Request(objective_named("traffic"), tiles="dividing")).evaluation
    found = search(cascade, machine, "traffic").evaluation
    assert found.search["value"] == 2 * 64 * 64 * (5 + 4 + 1)
    assert found.search["dividing_lower_bound"] == dividing.search["value"] == 2 * 64 * 64 * (8 + 4 + 1)
    assert not found.search["proved_optimal"]


@given(
    shape=st.tuples(*[st.integers(3, 40)] * 3),
    words=st.integers(20, 300),
    objective=st.sampled_from(("latency", "energy", "edp", "traffic")),
    most=st.integers(1, 150),
    machine=st.sampled_from(("one", "grid", "two")),
)
@pytest.mark.slow
def test_what_it_finds_is_legal_and_no_worse_and_it_ends(
    shape: tuple[int, int, int], words: int, objective: str, most: int, machine: str
) -> None:
    cascade = softmax(*shape) if machine == "two" else matmul(*shape)
    architecture = {"one": one_unit(words), "grid": grid(words), "two": two_units(words + 200)}[machine]
    aim = objective_named(objective)
    start = search(cascade, architecture, request=Request(aim, tiles="dividing")).evaluation
    retiling = Retiling(Scope(cascade, architecture), aim, most)
    found = retiling.run(start)
    check(cascade, architecture, found.mapping)
    again = Evaluator(cascade, architecture).evaluate(found.mapping)
    assert key(aim, again) == key(aim, found) <= key(aim, start)
    assert retiling.evaluated <= retiling.spent <= most + 8
    assert str(Retiling(Scope(cascade, architecture), aim, most).run(start).mapping) == str(found.mapping)


def test_orders_of_loops_are_the_same_whatever_the_hash_seed() -> None:
    program = (
        "from tests.mapper.small import keep, matmul, one_unit\nfrom accelsim.mapper.retiling import _orders\n"
        "from accelsim.mapper.scope import Scope\nfrom accelsim.mapping.tree import For, Leaf\n"
        "nodes = (keep('Main', *'ABZ'), Leaf('Z', 'U', (For('n', 2), keep('Buffer', *'ABZ'))))\n"
        "for tree in _orders(nodes, Scope(matmul(), one_unit())): print([loop.rank for loop in tree[1].loops[:-1]])"
    )
    texts = set()
    for seed in ("1", "2", "3", "4"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.getcwd()}
        texts.add(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True).stdout)
    assert texts == {"['k', 'n', 'm']\n['m', 'n', 'k']\n['m', 'k', 'n']\n"}


def test_it_makes_do_with_what_it_has_when_told_to() -> None:
    cascade, machine = matmul(64, 64, 64), one_unit(512, 1, 64)
    start = search(cascade, machine, request=Request(objective_named("traffic"), tiles="dividing")).evaluation
    retiling = Retiling(Scope(cascade, machine), objective_named("traffic"))
    retiling.over = lambda: retiling.evaluated >= 3
    assert key(objective_named("traffic"), retiling.run(start)) <= key(objective_named("traffic"), start)
    assert retiling.evaluated <= 12
