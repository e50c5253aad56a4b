"""Small machines and cascades for the tests of the mapper."""

from __future__ import annotations

from fractions import Fraction

from accelsim.hardware.architecture import Architecture, Array, Axis, Memory, Operation, Quantity, Unit
from accelsim.mapping.tree import Held, Keep
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade

GIGA = 10**9


def price(value: float) -> Quantity:
    """A price without doubt."""
    return Quantity(value, value, value)


def unit(name: str, *primitives: str, lanes: int = 1) -> Unit:
    """A unit that executes these primitives in a cycle each, for a picojoule."""
    return Unit(name, {primitive: Operation(primitive, Fraction(1), price(1.0)) for primitive in primitives}, lanes)


def memory(name: str, words: int | None, rate: int | None, energy: float, *feeds: Memory | Array | Unit, ports: str = "shared") -> Memory:
    """A memory of so many 16-bit words, words per cycle (at 1 GHz) and picojoules per bit."""
    size = None if words is None else 16 * words
    bits = None if rate is None else Fraction(16 * rate * GIGA)
    return Memory(name, size, bits, bits, ports, None, price(energy), price(energy), None, feeds=feeds)


def one_unit(words: int = 64, rate: int = 2, lanes: int = 1) -> Architecture:
    """Main over Buffer over a mac."""
    buffer = memory("Buffer", words, 8, 1.0, unit("U", "mac", "mul", "add", lanes=lanes))
    return Architecture("one", memory("Main", None, rate, 10.0, buffer), Fraction(GIGA))


def grid(
    words: int = 256, registers: int = 4, x: int = 4, y: int = 3, multicast: bool = True, reduces: bool = True, lanes: int = 1
) -> Architecture:
    """Main over Buffer over a grid of registers and macs; y adds up if it `reduces`."""
    register = memory("Reg", registers, None, 0.1, unit("PE", "mac", "mul", "add", lanes=lanes))
    axes = (Axis("x", x, multicast), Axis("y", y, True, ("add",) if reduces else ()))
    buffer = memory("Buffer", words, 16, 1.0, Array("grid", axes, feeds=(register,)), ports="separate")
    return Architecture("grid", memory("Main", None, 4, 10.0, buffer), Fraction(GIGA))


def two_units(words: int = 4096) -> Architecture:
    """Main over Buffer over a grid of macs and, beside it, a vector unit of four lanes."""
    register = memory("Reg", 8, None, 0.1, unit("PE", "mac", "mul", "add", "max"))
    array = Array("grid", (Axis("x", 4), Axis("y", 4, True, ("add", "max"))), feeds=(register,))
    vector = unit("V", "mac", "mul", "add", "sub", "max", "exp", "div", lanes=4)
    return Architecture("two", memory("Main", None, 8, 10.0, memory("Buffer", words, None, 1.0, array, vector)), Fraction(GIGA))


def matmul(m: int = 4, n: int = 3, k: int = 2) -> Cascade:
    """A product with partial results of 32 bits."""
    types = {"default": "bf16", "Z": {"partial": "fp32", "final": "bf16"}}
    return cascade("gemm", "Z[m,n] = A[m,k] * B[k,n]", {"m": m, "n": n, "k": k}, types=types)


def softmax(m: int = 12, p: int = 8, e: int = 4) -> Cascade:
    """Scores and their softmax over m."""
    text = "QK[m,p] = Q[p,e] * K[m,e]; GM[p] = max[m](QK[m,p]); SN[m,p] = exp(QK[m,p] - GM[p]); SD[p] = SN[m,p]; A[m,p] = SN[m,p] / SD[p]"
    return cascade("softmax", text, {"m": m, "p": p, "e": e})


def running(i: int = 5, j: int = 3, p: int = 4) -> Cascade:
    """A running maximum and a running sum of two Einsums that is rescaled by it."""
    text = (
        "LM[i,p] = max[j](X[i,j,p]); RM[0,p] = -inf; RM[i+1,p] = max(RM[i,p], LM[i,p]); PR[i,p] = exp(RM[i,p] - RM[i+1,p]); "
        "SP[i,p] = RD[i,p] * PR[i,p]; RD[0,p] = 0; RD[i+1,p] = LM[i,p] + SP[i,p]; O[p] = RD[I,p] / RM[I,p]"
    )
    return cascade("running", text, {"i": i, "j": j, "p": p})


def keep(memory: str, *tensors: str) -> Keep:
    """A keep of tensors."""
    return Keep(memory, tuple(Held(tensor) for tensor in tensors))
