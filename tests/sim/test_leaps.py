"""Leaps of the event simulation: with and without them everything is counted alike, and where nothing is irregular few steps are taken."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from accelsim.errors import AccelsimError
from accelsim.hardware.architecture import Architecture
from accelsim.io.catalogue import MACHINE, MAPPING, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_mapping
from accelsim.io.workload import load_workload
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.sim import kernels_events as kernels
from accelsim.sim.ahead import filled_ahead
from accelsim.sim.arrays import Arrays
from accelsim.sim.lowering import lower
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from tests.mapper.small import GIGA, memory, unit
from tests.share import share
from tests.sim.test_events import PAIRS, mapped, slow_machine, small

pytestmark = pytest.mark.slow
MAPPINGS = share(6000, 360, 360)


def outcomes(noun: Cascade, machine: Architecture, mapping: Mapping) -> list[tuple[Any, Any]]:
    """What the kernel returns with leaps and without, for each plan."""
    evaluator = Evaluator(noun, machine)
    evaluation = evaluator.evaluate(mapping)
    found = []
    for tasks in lower(evaluator, mapping, evaluation.counts.lowered.latencies):
        arrays = Arrays(tasks, list(machine.units), evaluator.clock.per_cycle)
        found.append((outcome(arrays, True), outcome(arrays, False)))
    return found


def outcome(arrays: Arrays, leaps: bool) -> Any:
    sizes = arrays.sizes()
    while True:
        nothing = np.zeros((0, 4), np.int64)
        done = kernels.run(arrays.machine(sizes), np.zeros(sum(sizes), np.int64), nothing, leaps, np.zeros(0, np.int64), nothing)
        if done[0] != kernels.TOO_SHORT:
            return done
        sizes[done[1]] *= 8


def are_equal(one: Any, other: Any) -> bool:
    """All but the number of steps."""
    return all(np.array_equal(left, right) for left, right in zip(one[:-1], other[:-1], strict=True))


LONG = {
    "product": (["Z[m,n] = A[m,k] * B[k,n]"], {"m": 50, "n": 36, "k": 6}),
    "chain": (["T[m,n] = A[m,k] * B[k,n]", "Z[m,n] = T[m,n] * C[n]"], {"m": 60, "n": 24, "k": 4}),
    "windows": (["Z[p,q] = A[p+r,q] * W[r]"], {"p": 70, "q": 8, "r": 3}),
    "strides": (["Z[p] = A[3*p+r] * W[r]"], {"p": 90, "r": 4}),
    "groups": (["Z[h,m] = A[h//4,m] * B[m]"], {"h": 64, "m": 12}),
    "running": (["S[0,n] = 0", "S[t+1,n] = S[t,n] * A[t,n]", "Z[t,n] = S[t+1,n] * C[n]"], {"t": 60, "n": 10}),
    "copies": (["T[m,n] = A[m,n]", "Z[m,n] = T[m,n] * C[n]"], {"m": 60, "n": 24}),  # on a unit by itself, work that takes no time
    "triangle": (["Z[m,n] = A[m] * B[n] where n <= m"], {"m": 40, "n": 40}),
}


def long_mapping(rng: random.Random, noun: Cascade) -> Mapping:
    """A buffer with all tensors below some loops, and Einsums with loops of their own."""
    tensors = [name for name in noun.tensors]
    loops = loops_of(rng, set.intersection(*(set(einsum.ranks) for einsum in noun.work)), noun)
    near = Keep("Buffer", tuple(Held(name, rng.choice([1, 1, 2, 3])) for name in tensors if not is_internal(noun, name)))
    inner = tuple(Held(name, rng.choice([1, 2])) for name in tensors if is_internal(noun, name))
    leaves = [Leaf(einsum.name, rng.choice(["U", "V"]), loops_of(rng, set(einsum.ranks), noun)) for einsum in noun.work]
    far = Keep("Main", tuple(Held(name) for name in tensors if not is_internal(noun, name)))
    place = rng.randrange(1 + len(loops))
    if len(leaves) == 1:
        return Mapping("long", (far, *loops[:place], near, *loops[place:], leaves[0]))
    fuse = Fuse(rng.choice(["pipelined", "pipelined", "sequential", "staged"]), tuple((leaf,) for leaf in leaves))
    return Mapping("long", (far, *loops[:place], near, *loops[place:], *([Keep("Buffer", inner)] if inner else []), fuse))


def is_internal(noun: Cascade, name: str) -> bool:
    return not noun.tensors[name].is_output and name in noun.producers


def loops_of(rng: random.Random, ranks: set[str], noun: Cascade) -> tuple[For, ...]:
    chosen = rng.sample(sorted(ranks), rng.randint(0, min(2, len(ranks))))
    return tuple(For(rank, rng.choice([1, 1, 2, 3, 4, 7])) for rank in chosen if noun.extents[rank] > 1)


def two_memories(rng: random.Random) -> Architecture:
    units = (unit("U", "mac", "mul", "add"), unit("V", "mac", "mul", "add", lanes=rng.choice([1, 4])))
    buffer = memory("Buffer", 10**6, rng.choice([None, 2, 9]), 1.0, *units, ports=rng.choice(["shared", "separate"]))
    return Architecture("two", memory("Main", None, rng.choice([1, 2, 3, 10, None]), 1.0, buffer), Fraction(GIGA))


def test_random_mappings_are_counted_alike_with_and_without_leaps() -> None:
    rng, ran, leapt = random.Random(3), Counter[str](), Counter[str]()
    for _ in range(MAPPINGS):
        name = rng.choice(sorted(LONG))
        noun = cascade(name, *LONG[name])
        machine, mapping = two_memories(rng), long_mapping(rng, noun)
        try:
            pairs = outcomes(noun, machine, mapping)
        except AccelsimError:
            continue
        ran[name] += 1
        for with_leaps, without in pairs:
            assert are_equal(with_leaps, without)
        leapt[name] += any(with_leaps[-1] < without[-1] for with_leaps, without in pairs)
    assert set(ran) == set(LONG)
    assert set(+leapt) == set(LONG) - {"triangle"}
    assert leapt.total() > ran.total() / 10


@pytest.mark.parametrize("ahead", [False, True], ids=["as mapped", "filled ahead"])
@pytest.mark.parametrize(("workload", "machine"), PAIRS)
def test_what_the_mapper_finds_is_counted_alike_with_and_without_leaps(workload: str, machine: str, ahead: bool) -> None:
    noun, architecture = small(workload, machine)
    mapping = mapped(workload, machine)
    mapping = filled_ahead(noun, architecture, mapping) if ahead else mapping
    for with_leaps, without in outcomes(noun, slow_machine(architecture, random.Random(1)), mapping):
        assert are_equal(with_leaps, without)


PUBLISHED = [("attention-interleaved", "spatial"), ("attention-staged", "spatial"), ("attention-lanes", "cascade")]


@pytest.mark.parametrize(("name", "machine"), PUBLISHED)
def test_published_mappings_take_few_steps(name: str, machine: str) -> None:
    noun = load_workload(resolve("attention", WORKLOAD), {"shape.h": "5", "shape.p": "8192", "shape.m": "8192"})
    assert isinstance(noun, Cascade)
    mapping = load_mapping(resolve(name, MAPPING), dict(noun.extents), {"let.P1": "16"})
    for with_leaps, without in outcomes(noun, load_architecture(resolve(machine, MACHINE)), mapping):
        assert are_equal(with_leaps, without)
        assert with_leaps[-1] < without[-1] / 3


@pytest.mark.parametrize("extent", [640, 641, 700, 767])
@pytest.mark.parametrize("words", [1, 2, 40])
def test_tiles_at_the_edge_are_not_leapt_over(extent: int, words: int) -> None:
    noun = cascade("rows", "Z[m,n] = A[m,k] * B[k,n]", {"m": extent, "n": 24, "k": 4})
    held = (Held("A", 2), Held("B"), Held("Z", 2))
    nodes = (Keep("Main", (Held("A"), Held("B"), Held("Z"))), For("n", 12), For("m", 8), Keep("Buffer", held), Leaf("Z", "U"))
    machine = Architecture("two", memory("Main", None, words, 1.0, memory("Buffer", 4000, None, 1.0, unit("U", "mac"))), Fraction(GIGA))
    for with_leaps, without in outcomes(noun, machine, Mapping("rows", nodes)):
        assert are_equal(with_leaps, without)
        assert with_leaps[-1] < without[-1] / 2


@pytest.mark.parametrize("extent", [100, 165, 330, 401])
@pytest.mark.parametrize("words", [1, 2, 40])
def test_turns_after_the_end_of_a_tensor_are_not_counted_like_those_before(extent: int, words: int) -> None:
    """Tiles of 64 rows in pieces of 4: the last tile ends after a few of its sixteen turns, and the others do nothing."""
    noun = cascade("rows", ["Z[m,n] = A[m,k] * B[k,n]"], {"m": extent, "n": 6, "k": 4})
    held = (Held("A", 2), Held("B"), Held("Z", 2))
    nodes = (Keep("Main", (Held("A"), Held("B"), Held("Z"))), For("m", 64), For("m", 4), Keep("Buffer", held), Leaf("Z", "U"))
    machine = Architecture("two", memory("Main", None, words, 1.0, memory("Buffer", 4000, None, 1.0, unit("U", "mac"))), Fraction(GIGA))
    for with_leaps, without in outcomes(noun, machine, Mapping("rows", nodes)):
        assert are_equal(with_leaps, without)
        assert with_leaps[-1] < without[-1]
