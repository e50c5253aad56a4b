"""Recurrences that read all their earlier slices, and views among many Einsums, are mapped and compute what they say."""

from __future__ import annotations

import numpy as np

from accelsim.io.catalogue import MACHINE, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.workload import load_workload
from accelsim.mapper import Request, search
from accelsim.mapper.bound import least_cycles
from accelsim.mapper.climb import without_conditions
from accelsim.mapper.objectives import objective_named
from accelsim.mapper.scope import Scope
from accelsim.sim.agreement import compare
from accelsim.sim.values import EXACT, run
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from accelsim.workload.interpreter import random_inputs
from accelsim.workload.interpreter import run as interpret

TEXT = """KG[q,u] = K[q,k] * K[u,k] where u < q
WL[q,k] = KG[q,u] * W[u,k] where u < q
W[q,k] = K[q,k] - WL[q,k]
UL[q,v] = KG[q,u] * U[u,v] where u < q
U[q,v] = V[q,v] - UL[q,v]
Y[q,v] = W[q,k] * U[q,v]"""


def test_two_triangular_recurrences_are_mapped_and_compute_what_they_say() -> None:
    made = cascade("triangles", TEXT, {"q": 5, "u": 5, "k": 3, "v": 4}, types={"default": "int32"})
    machine = load_architecture(resolve("simple", MACHINE), {})
    mapping = search(made, machine, request=Request(objective_named("latency"), time_limit=2.0)).mapping
    inputs = random_inputs(made, np.random.default_rng(0), np.int64)
    values = interpret(made, inputs, np.int64).values
    assert str(compare(made, run(made, machine, mapping, inputs, EXACT), values)) == "integers equal"


def test_only_conditions_that_carry_a_recurrence_stay_while_designs_are_screened() -> None:
    made = cascade("triangles", TEXT, {"q": 5, "u": 5, "k": 3, "v": 4})
    assert [einsum.name for einsum in without_conditions(made).work if einsum.condition is not None] == ["WL", "UL"]


def test_views_among_many_einsums_on_two_units_have_a_bound() -> None:
    """What joins a cache and a new element costs nothing on either unit."""
    made = load_workload(resolve("mla-decode", WORKLOAD), {f"shape.{rank}": "2" for rank in "bhmdacnrv"})
    assert isinstance(made, Cascade)
    assert least_cycles(Scope(made, load_architecture(resolve("spatial", MACHINE), {}))) > 0
