"""Vector units: `lanes` operations side by side, with pipelined and multi-cycle operators, one issue after the other.

An instruction works on some numbers, `lanes` at a time. Its first group issues once the instruction before has issued its last, and once
what it needs of its operands is there: a group of an operand is there `latency` cycles after its issue. Source: docs/simulator.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import factorial
from typing import Any, NamedTuple

import numpy as np

from accelsim.errors import InputError, did_you_mean
from accelsim.sim.arithmetic import Arithmetic

LOG2_E = 1.4426950408889634
LN_2 = 0.6931471805599453
_MOST_DEGREE = 20


@dataclass(frozen=True, slots=True)
class Operator:
    """Cycles from an issue to its result, and from one issue to the next: 1 if the operator is pipelined, `latency` if it is not."""

    latency: int = 1
    interval: int = 1

    def __post_init__(self) -> None:
        if self.interval < 1 or self.latency < self.interval:
            raise InputError(f"an operator of latency {self.latency} and interval {self.interval}", "write 1 <= interval <= latency")


@dataclass(frozen=True, slots=True)
class Instruction:
    """An operation on `elements` numbers; `needs`: earlier instructions, by number, whose groups it takes one by one."""

    operator: str
    elements: int
    needs: tuple[int, ...] = ()


class Timeline(NamedTuple):
    """Cycles of each instruction: its first issue, the cycle after its last issue, and when its last result is there."""

    first: tuple[int, ...]
    free: tuple[int, ...]
    done: tuple[int, ...]


@dataclass(frozen=True)
class LaneUnit:
    """A vector unit. `operators`: by name."""

    lanes: int
    operators: Mapping[str, Operator]

    def __post_init__(self) -> None:
        if self.lanes < 1:
            raise InputError(f"a vector unit of {self.lanes} lanes", "write at least 1")

    def run(self, program: Sequence[Instruction]) -> Timeline:
        """When each instruction issues and is done, in closed form; InputError for an unknown operator or an operand that comes later."""
        first, free, done, port = list[int](), list[int](), list[int](), 0
        for number, step in enumerate(program):
            operator, groups = self._operator(step.operator), max(1, -(-step.elements // self.lanes))
            start = port
            for need in step.needs:
                if not 0 <= need < number:
                    raise InputError(f"instruction {number} needs {need}, which does not come before it", "order the program")
                if program[need].elements != step.elements:
                    what = f"instruction {number} takes {step.elements} numbers, {need} gives {program[need].elements}"
                    raise InputError(what, "make the two alike")
                other = self._operator(program[need].operator)
                behind = (groups - 1) * max(0, other.interval - operator.interval)  # the last group of a slower operand decides
                start = max(start, first[need] + other.latency + behind)
            port = start + groups * operator.interval
            first.append(start)
            free.append(port)
            done.append(port - operator.interval + operator.latency)
        return Timeline(tuple(first), tuple(free), tuple(done))

    def _operator(self, name: str) -> Operator:
        if name not in self.operators:
            raise InputError(f"the unit has no operator '{name}'", did_you_mean(name, self.operators))
        return self.operators[name]


def exponential(values: Any, degree: int, arithmetic: Arithmetic) -> Any:
    """exp by multiply-adds: 2^n p(x - n ln 2) with n = x log2 e to the nearest, and p the Taylor polynomial of a degree, by Horner's rule.

    One multiplication, one rounding, one multiply-add for the remainder, `degree` of them for the polynomial, and a shift of the exponent:
    `exponential_program` counts them. The remainder is at most ln(2)/2, where what the polynomial leaves out is below
    (ln(2)/2)^(degree+1) / (degree+1)! times the square root of 2 of the result; rounding adds to it.
    """
    if not 1 <= degree <= _MOST_DEGREE:
        raise InputError(f"a polynomial of degree {degree}", f"write 1 to {_MOST_DEGREE}")
    x = arithmetic.rounded(np.asarray(values, np.float64))
    n = np.rint(arithmetic.combine("mul", x, LOG2_E))
    remainder = arithmetic.rounded(x - n * LN_2)  # multiply-adds round once
    power = np.full_like(x, 1.0 / factorial(degree))
    for order in reversed(range(degree)):
        power = arithmetic.rounded(power * remainder + 1.0 / factorial(order))
    return arithmetic.rounded(np.ldexp(power, np.clip(n, -16000, 16000).astype(np.int64)))


def exponential_program(elements: int, degree: int) -> list[Instruction]:
    """The instructions of `exponential` on some numbers: mul, rint, mac (degree + 1 times), ldexp."""
    program = [Instruction("mul", elements), Instruction("rint", elements, (0,)), Instruction("mac", elements, (1,))]
    for _ in range(degree):
        program.append(Instruction("mac", elements, (len(program) - 1,)))
    return [*program, Instruction("ldexp", elements, (len(program) - 1, 1))]
