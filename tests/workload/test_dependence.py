"""Dependence graphs: which edges carry an earlier slice."""

from accelsim.workload.build import cascade
from accelsim.workload.declaration import TensorDeclaration
from accelsim.workload.dependence import Step, dependences, distances, order

OUTPUT = {"W": TensorDeclaration(output=True)}
RECURRENCE = """LM[i,p] = max[j](X[i,j,p])
RM[0,p] = -inf ; RD[0,p] = 0
RM[i+1,p] = max(RM[i,p], LM[i,p])
PRM[i,p] = exp(RM[i,p] - RM[i+1,p])
SPD[i,p] = RD[i,p] * PRM[i,p]
RD[i+1,p] = SPD[i,p] + LM[i,p]
Y[p] = RD[I,p]"""


def test_only_reads_of_an_earlier_slice_have_a_distance() -> None:
    made = cascade("w", RECURRENCE, {"i": 4, "j": 2, "p": 3})
    assert distances(made) == {
        ("LM", "RM"): ("LM", 0),
        ("RM", "RM"): ("RM", 1),
        ("RM", "PRM"): ("RM", 0),  # it reads the old and the new slice
        ("PRM", "SPD"): ("PRM", 0),
        ("RD", "SPD"): ("RD", 1),
        ("SPD", "RD"): ("SPD", 0),
        ("LM", "RD"): ("LM", 0),
        ("RD", "Y"): ("RD", 0),  # the last slice
    }


def test_graph_carries_tensor_and_distance() -> None:
    graph = cascade("w", RECURRENCE, {"i": 4, "j": 2, "p": 3}).graph
    assert graph.edges["RD", "SPD"] == {"tensor": "RD", "distance": 1}
    assert "RM.init" not in graph


def test_statements_of_one_cycle_step_together_along_its_rank() -> None:
    made = cascade("w", RECURRENCE, {"i": 4, "j": 2, "p": 3})
    found = order(made.einsums, dependences(made.einsums, made.sizes, made.extents))
    shown = [(item.rank, *(inner.name for inner in item.body)) if isinstance(item, Step) else item.name for item in found]
    assert shown == ["LM", ("i", "RM"), "PRM", ("i", "SPD", "RD"), "Y"]


def test_condition_that_reads_only_earlier_slices_carries_a_triangular_recurrence() -> None:
    made = cascade("w", "WL[q] = T[q,u] * W[u] where u < q ; W[q] = K[q] - WL[q]", {"q": 4, "u": 4}, tensors=OUTPUT)
    assert distances(made) == {("W", "WL"): ("W", 1), ("WL", "W"): ("WL", 0)}


def test_distance_of_a_recurrence_over_two_steps_is_two() -> None:
    made = cascade("w", "F[0] = 1 ; F[1] = 1 ; F[t+2] = F[t] + A[t]", {"t": 5})
    assert distances(made) == {("F", "F"): ("F", 2)}
    assert made.tensors["F"].constant_slices == 2
