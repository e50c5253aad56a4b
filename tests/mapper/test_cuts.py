"""Orders of Einsums: all that the graph leaves and no other, and better mappings where another order brings neighbours together."""

from __future__ import annotations

from itertools import pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import IllegalMapping
from accelsim.mapper.constraints import Constraints, SequenceRule
from accelsim.mapper.cuts import Cuts
from accelsim.mapper.exact import Exact
from accelsim.mapper.figures import Scale, aim
from accelsim.mapper.options import Limits, Result
from accelsim.mapper.pieces import Tensors
from accelsim.model import Evaluator
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from tests.mapper.test_exact import machine


@st.composite
def graphs(draw: st.DrawFn) -> Cascade:
    """Two to five Einsums, each of which reads some tensors that stand before it."""
    count = draw(st.integers(2, 5))
    lines = []
    for at in range(count):
        read = draw(st.sets(st.integers(0, at - 1), max_size=2)) if at else set()
        lines.append(f"T{at}[m] = " + " * ".join([*(f"T{other}[m]" for other in sorted(read)), "X[m]"]))
    return cascade("graph", "\n".join(lines), {"m": 4})


def orders(cuts: Cuts, cut: int = 0) -> list[tuple[str, ...]]:
    """The order of every way through the cuts, in parts of one Einsum."""
    if cut == cuts.last:
        return [()]
    alone = [(end, names) for end, names in cuts.passages[cut] if len(names) == 1]
    return [(*names, *rest) for end, names in alone for rest in orders(cuts, end)]


def legal(made: Cascade) -> set[tuple[str, ...]]:
    """Every order of the Einsums in which none reads what is not made yet."""
    found = set()
    for order in permutations(einsum.name for einsum in made.work):
        reads = [{each.tensor for each in made.by_name[name].reads} - {"X"} for name in order]
        if all(read <= set(order[:at]) for at, read in enumerate(reads)):
            found.add(order)
    return found


@given(graphs())
def test_cuts_stand_for_every_order_that_the_graph_leaves(made: Cascade) -> None:
    found = orders(Cuts(Tensors(made), free=True))
    assert len(found) == len(set(found)) and set(found) == legal(made)
    assert orders(Cuts(Tensors(made))) == [tuple(einsum.name for einsum in made.work)]


@given(graphs(), st.randoms(use_true_random=False))
def test_a_sequence_leaves_the_orders_that_obey_it(made: Cascade, random: object) -> None:
    names = [einsum.name for einsum in made.work]
    random.shuffle(names)  # type: ignore[attr-defined]
    wanted = tuple(names[:2])
    obeying = {order for order in legal(made) if order.index(wanted[0]) < order.index(wanted[1])}
    assert set(orders(Cuts(Tensors(made), [wanted], free=True))) == obeying


def test_a_part_has_no_order_that_only_keeps_more_alive() -> None:
    beside = "A[m] = exp(X[m])\nB[m] = exp(A[m])\nZ[m] = exp(A[m])\n"
    chained = beside + "\n".join(f"{made}[m] = exp({read}[m])" for read, made in pairwise("BCDEF"))
    cuts = Cuts(Tensors(cascade("beside", chained, {"m": 4})), free=True)
    found = [names for _, names in cuts.passages[0] if set(names) == set("ABCZ")]
    assert ("A", "Z", "B", "C") in found  # only A is alive while Z is made
    assert ("A", "B", "C", "Z") not in found  # A is alive until the end
    assert ("A", "B", "Z", "C") in found  # the cascade's own order stays


def best(made: Cascade, *rules: SequenceRule) -> Result | None:
    evaluator = Evaluator(made, machine(24))
    return Exact(evaluator, aim("energy", Scale.of(evaluator)), ("sequential",), Constraints(sequences=rules)).run()


CROSSED = cascade("crossed", "A[m] = X[m,k]\nB[n] = Y[n,k]\nC[m] = A[m] * A[m]\nD[n] = B[n] * B[n]", {"m": 24, "n": 24, "k": 2})


def test_another_order_brings_neighbours_together() -> None:
    """A to C and B to D share loops over m and over n; all four share none. In the order A C B D both pass at home, tile by tile."""
    free, bound = best(CROSSED), best(CROSSED, SequenceRule(("A", "B", "C", "D")))
    assert free is not None and bound is not None and free.value < bound.value
    order = [leaf.einsum for _, leaf in free.mapping.paths()]
    assert order in (["A", "C", "B", "D"], ["B", "D", "A", "C"])


@settings(deadline=None, max_examples=20)
@given(graphs())
@pytest.mark.slow
def test_a_rule_on_the_order_never_helps(made: Cascade) -> None:
    free = best(made)
    given_order = best(made, SequenceRule(tuple(einsum.name for einsum in made.work)))
    assert free is not None and given_order is not None
    assert free.value <= given_order.value * (1 + 1e-9)
    assert [leaf.einsum for _, leaf in given_order.mapping.paths()] == [einsum.name for einsum in made.work]


def test_sequences_that_contradict_the_cascade_leave_nothing() -> None:
    assert best(CROSSED, SequenceRule(("C", "A"))) is None
    assert best(CROSSED, SequenceRule(("A", "B")), SequenceRule(("B", "A"))) is None


def test_the_user_is_told_which_sequence_rules_everything_out() -> None:
    from accelsim.mapper.best import Request, search
    from accelsim.mapper.objectives import objective_named

    rules = Constraints(sequences=(SequenceRule(("C", "A"), said="'sequence C, A'"),))
    with pytest.raises(IllegalMapping, match="sequence C, A"):
        search(CROSSED, machine(24), request=Request(objective_named("energy"), constraints=rules))


def test_six_einsums_have_all_their_orders() -> None:
    six = cascade("six", "\n".join(f"T{at}[m] = exp(X[m])" for at in range(6)), {"m": 2})
    assert len(orders(Cuts(Tensors(six), free=True))) == 720


def test_a_search_that_is_stopped_counts_other_orders_in_its_bound() -> None:
    evaluator, whole = Evaluator(CROSSED, machine(24)), best(CROSSED)
    assert whole is not None
    for work in (0.0, 1e-4, 1e-3, 1e-2):
        stopped = Exact(evaluator, aim("energy", Scale.of(evaluator)), ("sequential",), limits=Limits(work=work)).run()
        assert stopped is not None and stopped.bound <= whole.value * (1 + 1e-9)
