"""The closed form of a flip in a word on its way is its replay, bit for bit; transfers are as many as the model counts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from accelsim.faults.sites import FILL, READ, RESULT
from accelsim.faults.transits import carry, transit, ways
from tests.faults.mapped import Case, agrees, seeded_cases
from tests.model.strategies import recurrent_triples, seeded_triples
from tests.share import share


def check(found: Case, rng: np.random.Generator, number: int) -> Counter[str]:
    """Random flips of words on their way, by closed form and by replay; returns how many ended how."""
    ended = Counter[str]()
    every = ways(found.mapped)
    for _ in range(number if every else 0):
        way = every[rng.integers(len(every))]
        at, together = int(rng.integers(way.count)), int(rng.choice((1, 1, 1, 2, 9)))
        bit = int(rng.integers(max(1, way.bits - together + 1)))
        effect = carry(found.mapped, way, at, bit, together)
        fault = transit(found.mapped, way, at, bit, together)
        wanted = found.replayed(fault)
        assert agrees(effect, wanted), (fault, effect, wanted, [einsum.text for einsum in found.cascade.work])
        assert (effect.masked is None) == any(found.cascade.tensors[name].is_output for name in wanted)
        ended[way.kind] += 1
        members = way.members.of(np.array([at]))
        ended[f"{way.kind} to several"] += len(members) > 1
        ended[f"{way.kind} {(effect.masked or 'not masked').split(' after ')[0]}"] += 1
    return ended


@pytest.mark.slow
def test_closed_form_of_words_on_their_way_is_their_replay() -> None:
    rng, ended = np.random.default_rng(51), Counter[str]()
    for found in seeded_cases(seeded_triples(51, share(1_000, 60, 20))):
        ended += check(found, rng, 8)
    assert ended[FILL] + ended[READ] + ended[RESULT] > share(5_000, 300, 90)
    for kind in (FILL, READ, RESULT):
        assert ended[f"{kind} to several"] > 5 and ended[f"{kind} not masked"] > 10, ended
    print(dict(ended))


@pytest.mark.slow
def test_closed_form_of_words_on_their_way_is_their_replay_in_recurrences() -> None:
    rng, ended = np.random.default_rng(52), Counter[str]()
    for found in seeded_cases(recurrent_triples(32, share(400, 20, 8))):
        ended += check(found, rng, 8)
    assert ended[f"{RESULT} not masked"] > 5
    print(dict(ended))
