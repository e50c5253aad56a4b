"""Trunks inside trunks, and tensors of a part that pass through the root: never illegal, never cheaper than they are, and of use."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.hardware.architecture import Architecture
from accelsim.mapper.exact import Exact
from accelsim.mapper.figures import Scale, aim
from accelsim.mapper.options import Result
from accelsim.mapping.legality import is_legal
from accelsim.mapping.tree import Fuse, TreeNode
from accelsim.model.evaluation import Evaluator
from accelsim.model.options import CHOICES, Counting
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from tests.mapper import brute
from tests.mapper.small import GIGA, memory, unit

PRIMITIVES = ("mac", "mul", "add", "sub", "max", "exp")
CHAINS = (
    "T[m,p] = A[m] * B[p]; S[m,p] = exp(T[m,p]); Z[m] = S[m,p] * V[p]",
    "T[m,p] = A[m] * B[m,p]; S[m,p] = exp(T[m,p]); Z[m] = S[m,p] * V[p]",
    "T[m] = A[m,k] * B[k]; S[m,p] = T[m] * C[p]; Z[m] = S[m,p] * V[p]",
    "T[m,p] = A[m] * B[p]; G[m] = max[p](T[m,p]); Z[m,p] = T[m,p] - G[m]",
    "T[m,p] = A[m] * B[p]; S[m,p] = T[m,p] * A[m]; Z[m,p] = S[m,p] * A[m]",
    "T[m] = A[m] * B[m]; S[m] = exp(T[m]); Z[m,n] = S[m] * C[n]",
    "T[m,p] = A[m,p] * B[p]; G[m] = max[p](T[m,p]); S[m,p] = T[m,p] - G[m]; R[m,p] = exp(S[m,p]); Z[m] = R[m,p] * V[p]",
)


def tiny(words: int, rate: int = 2) -> Architecture:
    """Main over a Buffer of so many words over a unit for everything."""
    buffer = memory("Buffer", words, 8, 1.0, unit("U", *PRIMITIVES))
    return Architecture("tiny", memory("Main", None, rate, 10.0, buffer), Fraction(GIGA))


def made(text: str, **shape: int) -> Cascade:
    """A cascade of statements."""
    return cascade("made", text.split("; "), {rank: size for rank, size in shape.items() if f"{rank}]" in text or f"{rank}," in text})


def answer(work: Cascade, machine: Architecture, objective: str = "energy", counting: Counting | None = None, nests: bool = True) -> Result:
    """What the exact search finds, and whether variants with nests are among it."""
    evaluator = Evaluator(work, machine, counting)
    found = Exact(evaluator, aim(objective, Scale.of(evaluator)), ("sequential",), nests=nests).run()
    assert found is not None
    return found


def depth(nodes: tuple[TreeNode, ...]) -> int:
    """How many fuses stand inside each other at most."""
    return max((1 + max(map(depth, node.branches)) for node in nodes if isinstance(node, Fuse)), default=0)


@pytest.mark.slow
def test_where_room_is_short_some_einsums_run_below_loops_of_their_own() -> None:
    work, machine = made("T[m] = exp(A[m]); S[m] = T[m] * B[m]; Z[m,n] = S[m] * C[n]", m=4, n=2), tiny(3)
    found, without = answer(work, machine), answer(work, machine, nests=False)
    assert found.value < without.value * 0.9
    assert found.bound == pytest.approx(found.value, rel=1e-9)
    assert depth(found.mapping.nodes) == 2
    least, _ = brute.best(work, machine, "energy", dividing=True, schedules=("sequential",))
    assert found.value == pytest.approx(least, rel=1e-9)


@pytest.mark.slow
def test_where_room_is_short_a_tensor_passes_through_the_root() -> None:
    work, machine = made("T[m,p] = A[m] * B[p]; G[m] = max[p](T[m,p]); Z[m,p] = T[m,p] - G[m]", m=2, p=2), tiny(2)
    found = answer(work, machine, nests=False)
    assert "G" in found.mapping.nodes[0].tensors  # type: ignore[union-attr]
    assert depth(found.mapping.nodes) == 1
    least, _ = brute.best(work, machine, "energy", dividing=True, schedules=("sequential",))
    assert found.value == pytest.approx(least, rel=1e-9)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Cascade, Architecture, str, Counting]:
    """Chains with little room, an objective and a way to count."""
    sizes = st.sampled_from((1, 2, 3, 4, 6, 8))
    work = made(draw(st.sampled_from(CHAINS)), m=draw(sizes), p=draw(sizes), k=draw(sizes), n=draw(sizes))
    counting = Counting.from_text({name: draw(st.sampled_from((values[0], *values))) for name, values in CHOICES.items()})
    objective = draw(st.sampled_from(("energy", "latency", "edp")))
    return work, tiny(draw(st.integers(3, 60)), draw(st.sampled_from((1, 2, 8)))), objective, counting


@given(problems())
def test_what_is_found_is_legal_and_costs_what_the_search_says(problem: tuple[Cascade, Architecture, str, Counting]) -> None:
    work, machine, objective, counting = problem
    found, without = answer(work, machine, objective, counting), answer(work, machine, objective, counting, nests=False)
    assert is_legal(work, machine, found.mapping)
    evaluated = brute.value(Evaluator(work, machine, counting).evaluate(found.mapping), objective)
    assert evaluated == pytest.approx(found.value, rel=1e-9)
    assert found.bound == pytest.approx(found.value, rel=1e-9)
    assert found.value <= without.value * (1 + 1e-9)
