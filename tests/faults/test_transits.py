"""The closed form of a flip in a word on its way is its replay, bit for bit; transfers are as many as the model counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from accelsim.faults.cones import Mapped
from accelsim.faults.sites import FILL, READ, RESULT
from accelsim.faults.transits import carry, transit, ways
from accelsim.hardware.architecture import Array
from accelsim.mapping.tree import For, Held, Keep, Spatial
from tests.faults.mapped import Case, agrees, seeded_cases
from tests.faults.test_cones import A, B, K, M, N, Z, delta, product
from tests.model.strategies import recurrent_triples, seeded_triples
from tests.share import share
from tests.sim.test_values import line


def check(found: Case, rng: np.random.Generator, number: int) -> Counter[str]:
    """Random flips of words on their way, by closed form and by replay; returns how many ended how."""
    ended = Counter[str]()
    every = ways(found.mapped)
    shared = [(way, at) for way in every if way.kind != RESULT for at in np.flatnonzero(np.diff(way.members.starts) > 1).tolist()]
    for _ in range(number if every else 0):
        way = every[rng.integers(len(every))]
        at = int(rng.integers(way.count))
        if shared and rng.random() < 0.5:  # many copies get it
            way, at = shared[rng.integers(len(shared))]
        together = int(rng.choice((1, 1, 1, 2, 9)))
        bit = int(rng.integers(max(1, way.bits - together + 1)))
        effect = carry(found.mapped, way, np.array([at]), np.array([bit]), together).effect
        fault = transit(found.mapped, way, at, bit, together)
        wanted = found.replayed(fault)
        assert agrees(effect, wanted), (fault, effect, wanted, [einsum.text for einsum in found.cascade.work])
        assert (effect.masked is None) == any(found.cascade.tensors[name].is_output for name in wanted)
        ended[way.kind] += 1
        members, _ = way.members.of(np.array([at]))
        ended[f"{way.kind} to several"] += len(members) > 1
        ended[f"{way.kind} {(effect.masked or 'not masked').split(' after ')[0]}"] += 1
    return ended


@pytest.mark.slow
def test_closed_form_of_words_on_their_way_is_their_replay() -> None:
    rng, ended = np.random.default_rng(51), Counter[str]()
    for found in seeded_cases(seeded_triples(51, share(1_000, 90, 40))):
        ended += check(found, rng, 8)
    assert ended[FILL] + ended[READ] + ended[RESULT] > share(5_000, 450, 180)
    for kind in (FILL, READ, RESULT):
        assert ended[f"{kind} to several"] > share(50, 5, 1) and ended[f"{kind} not masked"] > 10, ended


@pytest.mark.slow
def test_closed_form_of_words_on_their_way_is_their_replay_in_recurrences() -> None:
    rng, ended = np.random.default_rng(52), Counter[str]()
    for found in seeded_cases(recurrent_triples(32, share(400, 20, 8))):
        ended += check(found, rng, 8)
    assert ended[f"{RESULT} not masked"] > 5


def spread(multicast: bool, keep: bool) -> Mapped:
    """Z = A B with a column of the result in each of four copies; words of A are kept in each copy's registers, or go to its unit."""
    machine = line()
    (array,) = machine.root.feeds
    assert isinstance(array, Array)
    array = replace(array, axes=(replace(array.axes[0], multicast=multicast),))
    machine = replace(machine, root=replace(machine.root, feeds=(array,)))
    inner = [Keep("Reg", (Held("A"),))] if keep else []
    return product([For("m", 1), For("k", 1), Spatial("row", "n", 1), *inner], machine)


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("multicast", [True, False])
def test_word_that_is_multicast_is_wrong_in_all_copies_and_one_that_is_not_in_one(multicast: bool, keep: bool) -> None:
    mapped = spread(multicast, keep)
    kind = FILL if keep else READ
    (way,) = [each for each in ways(mapped) if (each.tensor, each.kind, each.source) == ("A", kind, "Main")]
    assert way.count == M * K * (1 if multicast else N)
    seen = np.zeros((M, N), dtype=np.int64)
    for number in range(way.count):
        site = transit(mapped, way, number, 5)
        m, k = divmod(site.word, K)
        copies = range(N) if multicast else [site.copy[0] if keep else site.point[mapped.points[0].einsum.ranks.index("n")]]
        wanted = np.zeros((M, N), dtype=np.int64)
        wanted[m, list(copies)] = (delta(int(A[m, k]), 5) * B[k])[list(copies)]
        changed = carry(mapped, way, np.array([number]), np.array([5])).effect.changed
        words, values = changed.get("Z", (np.zeros(0, dtype=np.int64), Z[0, :0]))
        found = np.zeros(M * N, dtype=np.int64)
        found[words] = values - Z.reshape(-1)[words]
        assert np.array_equal(found.reshape(M, N), wanted)
        seen[m, list(copies)] += 1
    assert np.all(seen == K)
