"""Small random cascades in which values choose what is read: structured weights, lists of rows, tables."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from accelsim.mapping.legality import is_legal
from accelsim.workload.build import cascade
from accelsim.workload.declaration import TensorDeclaration
from tests.model.problems import Choices, Group, Problem
from tests.model.strategies import Triple, triple


def choosing(c: Choices) -> Problem:
    """A product with some of every few weights, rows with lists of places, a table that is looked up, or one behind or before another
    Einsum.
    """
    sizes = {"m": c.number(1, 6), "g": c.number(1, 4), "j": c.number(1, 3), "t": c.number(1, 5), "k": c.number(1, 5)}
    window, further, some = c.number(1, 4), c.number(0, 1), c.number(1, sizes["k"])
    texts, names, most = c.pick(
        [
            ([f"Z[m,t] = V[m,g,j] * X[{window + further}*g + I[m,g,j], t]"], ("Z",), window),
            (["Z[m,t] = max[j](V[m,j] * X[I[m,j], t])"], ("Z",), sizes["k"]),
            (["Z[m,t] = X[I[m], t]"], ("Z",), sizes["k"]),
            (["Z[m] = X[I[m], J[m,t]] * V[t]"], ("Z",), sizes["k"]),
            (["Z[m,t] = V[m] * X[2*I[m,t], t]"], ("Z",), sizes["k"]),
            (["Z[m,t] = X[m, 2*m + I[m], t]"], ("Z",), 2),
            (["Z[m,t] = X[m+t, I[J[m]]]"], ("Z",), 2),
            (["X[k,t] = A[k,m] * B[m,t]", "Z[m,t] = V[m,j] * X[I[m,j], t]"], ("X", "Z"), some),
            (["H[0,m] = 0", "H[t+1,m] = H[t,m] + X[t,I[m]]"], ("H",), sizes["k"]),
            (["H[0,m] = 0", "H[t+1,m] = H[t,I[t,m]] + X[t,m]"], ("H",), sizes["m"]),
            (["S[m,t] = V[m,j] * X[I[m,j], t]", "Z[m,k] = S[m,t] * W[t,k]"], ("S", "Z"), sizes["k"]),
        ]
    )
    used = {rank: size for rank, size in sizes.items() if any(rank in text for text in texts)}
    declared = {name: TensorDeclaration(below=most) for name in ("I", "J") if any(f"{name}[" in text for text in texts)}
    made = cascade("choosing", texts, used, types={"default": {"final": "int8", "partial": "int32"}}, tensors=declared)
    return Problem(made, Group(names))


def choosing_triples(seed: int, number: int) -> Iterator[Triple]:
    """Such a cascade with a machine, a legal mapping and conventions of counting; the same ones for the same seed."""
    rng = Random(seed)
    for _ in range(number):
        c = Choices(rng.randrange)
        drawn = triple(c, choosing(c))
        while "H" in drawn[0].tensors and not is_legal(*drawn[:3]):  # what comes back is counted for slices that are there
            drawn = triple(c, choosing(c))
        yield drawn
