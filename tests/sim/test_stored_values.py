"""Values over stored elements: equal to those with all elements, and summed in the order of the walk."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from accelsim.cli import main
from accelsim.errors import InputError
from accelsim.model.evaluation import Evaluator
from accelsim.model.stored import nests
from accelsim.sim import stored_values
from accelsim.sim.stored_values import check_stored, run_stored
from accelsim.sparse import reference
from accelsim.sparse.kernels_points import points
from accelsim.sparse.nest import fibers_of, tables
from accelsim.workload.build import cascade
from accelsim.workload.interpreter import random_inputs
from tests.share import share
from tests.sparse.nests import problem

CASES = share(2000, 90, 20)


class Order(reference._Leaf):
    """A walk that notes the points at which all operands are stored."""

    def _point(self, tile: Any, turns: Any) -> None:
        super()._point(tile, turns)
        if all(self.held(name, tile) for name in self.indices):
            self.points.append(tuple(tile[rank].start for rank in self.extents))


def order(made: Any) -> list[tuple[int, ...]]:
    workload, machine, mapping, stored = made
    ((path, leaf),) = mapping.paths()
    sets = {tensor: frozenset(map(tuple, elements.T.tolist())) for tensor, elements in stored.items()}
    walk = Order(workload, machine, path, leaf, sets, (1, 1), {}, {})
    walk.points = []
    walk.run()
    return walk.points


def test_points_come_in_the_order_of_the_walk() -> None:
    for seed in range(CASES):
        made = problem(seed)
        ((nest, _),) = nests(Evaluator(*made[:2]), made[2], made[3])
        table, places = tables(nest, fibers_of(nest))
        assert points(table, places, 1 << 20).tolist() == [list(point) for point in order(made)], seed


def test_values_are_those_of_all_elements() -> None:
    equal = 0
    for seed in range(CASES):
        workload, machine, mapping, stored = problem(seed)
        found = check_stored(Evaluator(workload, machine), mapping, stored, seed)
        assert found.agrees, (seed, str(found))
        equal += found.words
    assert equal > CASES


def test_wrong_values_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """One product that is left out is one word that differs, unless it is zero."""
    monkeypatch.setattr(stored_values, "points", lambda *given: points(*given)[1:])
    wrong = 0
    for seed in range(40):
        workload, machine, mapping, stored = problem(seed)
        wrong += not check_stored(Evaluator(workload, machine), mapping, stored, seed).agrees
    assert wrong > 10


def test_sums_are_rounded_in_the_order_of_the_walk() -> None:
    """Half precision by NumPy, product by product."""
    rounded = 0
    for seed in range(CASES):
        made = problem(seed)
        types = {"default": "fp16"}
        workload = cascade("random", [each.text for each in made[0].einsums], made[0].extents, types=types)
        inputs = random_inputs(workload, np.random.default_rng(seed), np.float64)
        found = run_stored(Evaluator(workload, made[1]), made[2], made[3], inputs).values["Z"]
        einsum = workload.einsums[0]
        ranks, mine = list(einsum.ranks), {read.tensor: [str(index.name) for index in read.indices] for read in einsum.reads}
        sums: dict[tuple[int, ...], np.float16] = {}
        for point in order((workload, *made[1:])):
            at = dict(zip(ranks, point, strict=True))
            factors = [np.float16(inputs[name][tuple(at[rank] for rank in indices)]) for name, indices in mine.items()]
            term = factors[0]
            for factor in factors[1:]:
                term = np.float16(term * factor)
            word = tuple(at[str(index.name)] for index in einsum.output.indices)
            sums[word] = np.float16(sums[word] + term) if word in sums else term
        for word, value in sums.items():
            assert found[word] == value, (seed, word)
        rounded += len(sums)
    assert rounded > CASES


def test_command_compares_values(capsys: pytest.CaptureFixture[str]) -> None:
    shape = [f"--set=shape.{rank}=24" for rank in "mkn"]
    assert main(["simulate", "spmspm", "--arch", "gamma", "--mapping", "spmspm-gamma", "--check", *shape]) == 0
    assert "values" in capsys.readouterr().out


def test_large_problems_are_refused() -> None:
    workload = cascade("large", ["Z[m,n] = A[m,k] * B[k,n]"], {"m": 1000, "k": 1000, "n": 1000})
    made = problem(0)
    with pytest.raises(InputError, match="smaller shape"):
        check_stored(Evaluator(workload, made[1]), made[2], {}, 0)
