"""Words where values choose what is read: counted in closed form as by a replay."""

from __future__ import annotations

from tests.model.choosing import choosing_triples
from tests.model.test_kernels import differences
from tests.share import share


def test_kernels_count_what_a_replay_counts_where_values_choose() -> None:
    counted, number = 0, share(6_000, 600, 150)
    for triple in choosing_triples(5, number):
        found = differences(triple)
        counted += found is not None
        assert not found, (found, triple)
    assert counted > number * 0.6
