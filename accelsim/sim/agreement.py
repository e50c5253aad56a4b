"""Whether what a machine computes agrees with a reference: whole numbers exactly, others within the bounds of their rounding errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accelsim.hardware.architecture import Architecture
from accelsim.mapping.tree import Mapping as LoopTree
from accelsim.sim.arithmetic import LARGEST
from accelsim.sim.values import EXACT, Executed
from accelsim.workload.cascade import Cascade

REFERENCE = 2.0**-20
"""Share by which a reference in double precision can add to the bound of a run in a narrower type: its u is smaller by 2^29 at least."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """A comparison of one or more tensors with a reference.

    `agrees`: every word is within its bound. `equal`: every word is the same. `words`: how many there are; `unbounded`: of these, have no
    finite bound and say nothing. `tensor`, `word`, `error`, `bound`: where the error is the largest part of its bound, and both.
    """

    agrees: bool
    equal: bool
    whole: bool
    words: int
    unbounded: int = 0
    tensor: str = ""
    word: tuple[int, ...] = ()
    error: float = 0.0
    bound: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The comparison as plain data, with what it says in words."""
        worst = {"tensor": self.tensor, "word": list(self.word), "error": self.error, "bound": self.bound}
        found = {"agrees": self.agrees, "equal": self.equal, "words": self.words, "unbounded": self.unbounded, "says": str(self)}
        return found | ({"worst": worst} if self.tensor else {})

    def __str__(self) -> str:
        if self.equal:
            return "integers equal" if self.whole else "all values equal"
        where = f"{self.tensor}[{','.join(map(str, self.word))}]"
        if self.whole and self.bound == 0:
            return f"integers differ: {where} is off by {self.error:g}"
        doubt = f"; {self.unbounded} of {self.words} words have no bound" if self.unbounded else ""
        return f"largest error {self.error:.3g} of bound {self.bound:.3g}{'' if self.agrees else ' is beyond it'}, at {where}{doubt}"


def check(cascade: Cascade, architecture: Architecture, mapping: LoopTree, seed: int) -> Agreement:
    """Run a mapping on random inputs with the declared types, and compare every output with the reference interpreter.

    Inputs are integers where all types are. Raises what `values.run` and the interpreter do.
    """
    import numpy as np

    from accelsim.sim.values import run
    from accelsim.workload.interpreter import random_inputs
    from accelsim.workload.interpreter import run as refer

    whole = all(tensor.final.kind == tensor.partial.kind == "integer" for tensor in cascade.tensors.values())
    dtype = np.int64 if whole else np.float64
    inputs = random_inputs(cascade, np.random.default_rng(seed), dtype)
    reference = refer(cascade, inputs, dtype).values
    return compare(cascade, run(cascade, architecture, mapping, inputs), reference)


def compare(cascade: Cascade, executed: Executed, reference: Mapping[str, Any]) -> Agreement:
    """What a machine computed beside a reference in double precision (or 64-bit integers).

    Integers must be equal. Others may differ by the bound that `run` worked out beside the values, and by that of the reference itself:
    the same again for a run in double precision, 2^-20 of it for narrower types. The lowest values of two formats are equal: both are -inf.
    """
    import numpy as np

    equal = agrees = whole = True
    words = unbounded = 0
    worst: tuple[float, str, tuple[int, ...], float, float] = (-1.0, "", (), 0.0, 0.0)
    for name, value in executed.values.items():
        other = np.asarray(reference[name])
        words += value.size
        bound = np.zeros(value.shape) if executed.bounds is None else executed.bounds[name]
        bound = bound * (2.0 if executed.types == EXACT else 1.0 + REFERENCE)
        if value.dtype.kind in "iub" and other.dtype.kind in "iub":
            error = np.abs(value - other).astype(np.float64)
            bound = np.where(np.isinf(bound) & (error > 0), 0.0, bound)  # beyond the largest number: no rounding error
        else:
            whole = False
            with np.errstate(invalid="ignore", over="ignore"):
                error = np.abs(value.astype(np.float64) - other.astype(np.float64))
            low = -LARGEST if executed.types == EXACT else cascade.tensors[name].final.lowest
            same = (value == other) | (np.isnan(value.astype(np.float64)) & np.isnan(other.astype(np.float64)))
            error = np.where(same | ((other <= -LARGEST) & (value <= low)), 0.0, np.where(np.isnan(error), np.inf, error))
        unbounded += int(np.isinf(bound).sum())
        equal = equal and not error.any()
        agrees = agrees and bool(np.all(error <= bound))
        if not value.size:
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(error > 0, np.where(np.isinf(bound), 0.0, error / bound), 0.0)
        at = np.unravel_index(int(np.argmax(share)), value.shape)
        if share[at] > worst[0]:
            worst = (float(share[at]), name, tuple(int(each) for each in at), float(error[at]), float(bound[at]))
    return Agreement(agrees, equal, whole, words, unbounded, *worst[1:])
