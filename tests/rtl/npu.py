"""Small workloads mapped for the processor, for its benches."""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from accelsim.hardware.architecture import Architecture
from accelsim.io.catalogue import MACHINE, resolve
from accelsim.io.hardware import load_architecture
from accelsim.mapper import search
from accelsim.model.evaluation import Evaluator
from accelsim.rtl.cosim import random_words
from accelsim.rtl.program import Program, export
from accelsim.sim.values import execute
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from accelsim.workload.declaration import TensorDeclaration

STATEMENTS = {
    "product": ["Z[m,n] = A[m,k] * B[k,n]"],
    "two layers": ["S[m,h] = X[m,d] * W[d,h]", "H[m,h] = max(0, min(127, S[m,h] // 64))", "Z[m,n] = H[m,h] * V[h,n]"],
    "structured": ["Z[m,t] = V[m,g,j] * X[4*g + I[m,g,j], t]"],
    "recurrence": ["P[t,i] = qexp(D[t,i] - 300)", "H[0,i] = 5", "H[t+1,i] = (P[t,i] * H[t,i]) // 32768 + X[t,i]", "Y[t] = H[t+1,i] * C[i]"],
}


class Case(NamedTuple):
    """A program, its inputs, and what every output has to be."""

    program: Program
    inputs: dict[str, Any]
    values: dict[str, Any]


def machine(**settings: object) -> Architecture:
    """The shipped machine with other sizes."""
    return load_architecture(resolve("mini", MACHINE), {name.replace("__", "."): str(value) for name, value in settings.items()})


def work(kind: str, rng: Random, most: int) -> Cascade:
    """One of `STATEMENTS` with random sizes, words of 32 bits."""
    statements = STATEMENTS[kind]
    ranks = sorted(
        {
            each
            for text in statements
            for part in text.split("[")[1:]
            for each in part.split("]")[0].replace("+1", "").split(",")
            if each.isalpha()
        }
    )
    shape, chosen = {rank: rng.randint(1, most) for rank in ranks}, {"I": TensorDeclaration(below=4)}
    return cascade(kind, statements, shape, types={"default": "int32"}, tensors=chosen if kind == "structured" else {})


def case(kind: str, rng: Random, target: Architecture, most: int = 6) -> Case:
    """A mapped workload."""
    chosen = work(kind, rng, most)
    mapping = search(chosen, target).mapping
    inputs = random_words(chosen, rng.getrandbits(32))
    return Case(export(Evaluator(chosen, target), mapping), inputs, execute(chosen, target, mapping, inputs))
