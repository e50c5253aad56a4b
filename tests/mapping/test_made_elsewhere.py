"""A keep that serves producer and consumers holds what its own visit makes: nobody reads what is gone, elsewhere or partial."""

from __future__ import annotations

from fractions import Fraction

import pytest

from accelsim.errors import IllegalMapping
from accelsim.hardware.architecture import Architecture, Array, Axis, Memory, Operation, Unit
from accelsim.io.mapping import parse_mapping
from accelsim.mapping.legality import check
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade

UNIT = Unit("PE", {name: Operation(name) for name in ("mac", "mul", "add", "exp")})
PAD = Memory("PAD", 512, feeds=(UNIT,))
ARRAY = Array("row", (Axis("col", 4),), feeds=(PAD,))
MACHINE = Architecture("grid", Memory("DRAM", feeds=(Memory("L1", 8192, feeds=(ARRAY,)),)), Fraction(10**9))
PAIR = cascade("pair", ["T[m] = A[m] * C[m]", "Z[m,p] = T[m] * B[p]"], {"m": 8, "p": 4})
PARTIAL = cascade("partial", ["T[m] = A[m,k] * C[k]", "Z[m] = T[m] * T[m]"], {"m": 8, "k": 4})
LATE = cascade("late", ["T[m,n] = A[m] * C[n]", "U[m,n] = exp(T[m,n])", "V[m,n] = U[m,n] * T[m,n]"], {"m": 8, "n": 4})
BODY = "- fuse sequential: [{einsum: T, unit: PE}, {einsum: Z, unit: PE}]"


@pytest.mark.parametrize(
    ("made", "nodes", "message"),
    [
        (
            PAIR,
            ["- keep DRAM: [A, B, C, T, Z]", "- for p: 1", "- for m: 2", "- keep L1: [T]", BODY],
            "L1 keeps T below 'for p: 1', where its values come from one of its iterations over p; "
            "keep T at L1 above that loop, or in the branches of its readers only",
        ),
        (
            PAIR,
            ["- keep DRAM: [A, B, C, T, Z]", "- spatial col p: 1", "- keep PAD: [T]", BODY],
            "PAD keeps T below 'spatial col p: 1', where its values come from one of its iterations over p; "
            "keep T at PAD above that loop, or in the branches of its readers only",
        ),
        (
            PARTIAL,
            ["- keep DRAM: [A, C, T, Z]", "- spatial col k: 1", "- keep PAD: [T]", BODY],
            "PAD keeps T below 'spatial col k: 1', where its values are partial; "
            "keep T at PAD above that loop, or in the branches of its readers only",
        ),
        (
            LATE,
            [
                "- keep DRAM: [A, C, T, V]",
                "- for n: 1",
                "- keep L1: [T, U]",
                "- fuse staged: [{stages: [[T, V@prev], [U]]}, {einsum: T, unit: PE}, {einsum: U, unit: PE}, {einsum: V, unit: PE}]",
            ],
            "stages: V@prev still reads T when T makes its next tile; keep T with copies: 2",
        ),
    ],
)
def test_values_that_are_gone_elsewhere_or_partial_are_not_read(made: Cascade, nodes: list[str], message: str) -> None:
    mapping = parse_mapping("mapping: m\ntree:\n" + "".join(f"  {node}\n" for node in nodes), {}, "m.yaml")
    with pytest.raises(IllegalMapping) as refused:
        check(made, MACHINE, mapping)
    assert str(refused.value).partition(": ")[2] == message
