"""The counting kernels against the replay (`model.reference`), which shares no code with them, and against published counts."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from accelsim.errors import AccelsimError, IllegalMapping
from accelsim.hardware.architecture import Architecture, Memory, Network
from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping
from accelsim.model import reference
from accelsim.model.lowering import Lowering
from accelsim.model.options import Counting
from tests.model import kernel_side, published, strategies
from tests.share import share

TRIPLES = share(20_000, 500, 250)
ENOUGH = 1_000  # for shares of refusals: of fewer, chance decides


def compared(counts: dict[str, Any]) -> dict[str, Any]:
    """Counts without rows of zeros."""
    return {
        "einsums": counts["einsums"],
        "words": {key: row for key, row in counts["words"].items() if any(row.values())},
        "first_copy": {key: row for key, row in counts["first_copy"].items() if any(row.values())},
        "networks": {key: row for key, row in counts["networks"].items() if any(row.values())},
    }


def differences(triple: strategies.Triple) -> list[str] | None:
    """What the kernel counts otherwise than the replay; None if the kernel refuses what it has no form for."""
    cascade, machine, mapping, counting = triple
    try:
        replayed = compared(reference.count(*triple))
    except AccelsimError:
        replayed = None
    try:
        counted = compared(kernel_side.kernel_count(cascade, machine, mapping, counting))
    except AccelsimError:
        return None
    assert replayed is not None, "the kernel counts what the replay refuses"
    return [
        f"{part} {key}: replay {replayed[part].get(key)}, kernel {counted[part].get(key)}"
        for part in replayed
        for key in replayed[part].keys() | counted[part].keys()
        if replayed[part].get(key) != counted[part].get(key)
    ]


def test_kernels_count_what_a_replay_of_the_loop_nest_counts() -> None:
    refused = 0

    @seed(20_26)
    @settings(max_examples=TRIPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(strategies.triples())
    def holds(triple: strategies.Triple) -> None:
        nonlocal refused
        found = differences(triple)
        if found is None:
            refused += 1
        else:
            assert not found, "\n".join(found)

    holds()
    # see docs/model.md, "What is refused"; fractions above memories with copies are most of it
    assert refused < TRIPLES // 15 or TRIPLES < ENOUGH


def linked_triples(number: int) -> Iterator[strategies.Triple]:
    """Random triples on machines of which every array has a network, and copies of keepers sit below most of them."""
    for cascade, machine, mapping, counting in strategies.seeded_triples(20_28, number):
        yield cascade, strategies.networked(machine, Network), mapping, counting


def test_words_that_cross_networks_are_those_of_a_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = crossed = nested = 0
    honest, replayed = reference.count, list[dict[str, Any]]()

    def noted(*triple: Any) -> dict[str, Any]:
        replayed.append(honest(*triple))
        return replayed[-1]

    monkeypatch.setattr(reference, "count", noted)
    for triple in linked_triples(TRIPLES // 2):
        found = differences(triple)
        refused += found is None
        assert not found, "\n".join([*found, str(triple)])
        if found is not None:
            rows = replayed[-1]["networks"]
            crossed += any(row["up"] and row["down"] for row in rows.values())
            nested += any(row["down"] > row["first_down"] > 0 for row in rows.values())
    assert refused < TRIPLES // 16 or TRIPLES < ENOUGH
    assert crossed > TRIPLES // 20
    assert nested > TRIPLES // 40


def test_networks_of_arrays_inside_others_that_share_what_those_share_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Lowering._link_row
    monkeypatch.setattr(Lowering, "_link_row", lambda self, network, name, row, _: honest(self, network, name, row, frozenset()))
    assert any(differences(triple) for triple in linked_triples(100))


@pytest.mark.slow
def test_kernels_count_what_a_replay_counts_of_slices_that_come_back() -> None:
    refused = 0
    for triple in strategies.recurrent_triples(20_27, TRIPLES):
        found = differences(triple)
        refused += found is None
        assert not found, "\n".join(found)
    assert refused < TRIPLES // 8


def test_kernels_count_what_other_tools_counted_for_fixed_mappings() -> None:
    published.check_counts(kernel_side.kernel_count)


@pytest.mark.parametrize("column", range(8))
def test_a_kernel_off_by_one_word_is_noticed(column: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from accelsim.model import kernels

    honest = kernels.count_plan

    def broken(plan: Any) -> Any:
        words, leaves = honest(plan)
        words[:, column] += 1
        return words, leaves

    monkeypatch.setattr(kernels, "count_plan", broken)
    assert any(differences(triple) for triple in strategies.seeded_triples(5, 3000))


def convolution(extra: int) -> tuple[Any, Mapping]:
    """A window under `extra` loops of one trip: Z[p] = I[p+r] F[r], p = 8, r = 3, on two memories."""
    made = published.cascade("conv", ["Z[p] = I[p+r] * F[r]"], {"p": 8, "r": 3})
    held = tuple(Held(name) for name in "IFZ")
    loops = tuple(For("p", 8) for _ in range(extra))
    return made, Mapping("nest", (Keep("Far", held), *loops, For("p", 4), Keep("Near", held), Leaf("Z", "PE")))


def test_the_longest_nest_is_counted_and_one_loop_more_is_refused() -> None:
    unit = published.unit("PE")
    machine = Architecture("two", Memory("Far", feeds=(Memory("Near", feeds=(unit,)),)), Fraction(1))
    made, longest = convolution(39)
    counted = kernel_side.kernel_count(made, machine, longest, Counting())
    assert compared(counted) == compared(reference.count(made, machine, longest, Counting()))
    _, longer = convolution(40)
    with pytest.raises(IllegalMapping, match=r"^Z stands below 41 loops, more than 40; drop loops of one trip$"):
        kernel_side.kernel_count(made, machine, longer, Counting())
