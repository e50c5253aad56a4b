"""A small machine and mappings in text for the tests of legality and occupancy."""

from __future__ import annotations

from fractions import Fraction

from accelsim.hardware.architecture import Architecture, Array, Axis, Memory, Operation, Unit
from accelsim.io.mapping import parse_mapping
from accelsim.mapping.tree import Mapping
from accelsim.workload.cascade import Cascade


def unit(name: str, *primitives: str) -> Unit:
    """A unit that executes these primitives."""
    return Unit(name, {primitive: Operation(primitive) for primitive in primitives})


def machine(buffer_bits: int = 64 * 1024 * 8, register_bits: int = 1024) -> Architecture:
    """DRAM over Buffer over a vector unit and a 4 x 2 array (y adds up) of registers and a mac unit; a side memory feeds nothing else."""
    registers = Memory("Reg", register_bits, feeds=(unit("PE", "mac", "mul", "add"),))
    array = Array("grid", (Axis("x", 4), Axis("y", 2, reduces=("add",))), feeds=(registers,))
    side = Memory("Side", feeds=(unit("S", "mac"),))
    vector = unit("V", "exp", "add", "sub", "max", "div", "mul")
    return Architecture("toy", Memory("DRAM", feeds=(Memory("Buffer", buffer_bits, feeds=(vector, array)), side)), Fraction(10**9))


def matmul() -> Cascade:
    """Z[m,n] = A[m,k] * B[k,n] with 2-byte inputs and 4-byte partial results."""
    from accelsim.workload.build import cascade

    text = "Z[m,n] = A[m,k] * B[k,n]"
    return cascade("gemm", text, {"m": 8, "n": 6, "k": 4}, types={"default": "bf16", "Z": {"partial": "fp32", "final": "bf16"}})


def softmax() -> Cascade:
    """Scores, their maximum, exponentials, sum and quotient; every Einsum but the first runs on V."""
    from accelsim.workload.build import cascade

    text = "QK[m,p] = Q[p,e] * K[m,e]; GM[p] = max[m](QK[m,p]); SN[m,p] = exp(QK[m,p] - GM[p]); SD[p] = SN[m,p]; A[m,p] = SN[m,p] / SD[p]"
    return cascade("softmax", text, {"m": 8, "p": 4, "e": 2})


def running() -> Cascade:
    """A running maximum, a rescaled running sum of two Einsums, and a quotient of last slices."""
    from accelsim.workload.build import cascade

    text = (
        "LM[i,p] = max[j](X[i,j,p]); RM[0,p] = -inf; RM[i+1,p] = max(RM[i,p], LM[i,p]); PR[i,p] = exp(RM[i,p] - RM[i+1,p]); "
        "SP[i,p] = RD[i,p] * PR[i,p]; RD[0,p] = 0; RD[i+1,p] = LM[i,p] + SP[i,p]; O[p] = RD[I,p] / RM[I,p]"
    )
    return cascade("running", text, {"i": 6, "j": 3, "p": 4})


def convolutions() -> Cascade:
    """Two convolutions in a row whose ranks have different names."""
    from accelsim.workload.build import cascade

    return cascade("pair", "T[u] = X[u+s] * W[s]; Y[v] = T[v+r] * U[r]", {"u": 10, "s": 3, "v": 8, "r": 3})


def mapping(tree: str, cascade: Cascade) -> Mapping:
    """A mapping from the YAML of its tree."""
    return parse_mapping(f"mapping: t\ntree:\n{tree.strip(chr(10))}\n", dict(cascade.extents), "m.yaml")
