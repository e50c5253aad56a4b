"""Map expressions as microprograms: of hw/rtl/npu_lane.sv, a step for each operation, and of hw/rtl/npu_scan.sv, one for all."""

from __future__ import annotations

from dataclasses import dataclass, replace

from accelsim.errors import IllegalMapping
from accelsim.sim.arithmetic import plain
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.expression import Access, Call, Expression, accesses, inner_accesses, names
from accelsim.workload.recurrence import linear_step

OPS = {
    "add": 0, "sub": 1, "mul": 2, "max": 3, "min": 4, "shift": 5, "copy": 6, "mac": 7, "abs": 8, "lt": 9, "qexp": 10, "floordiv": 11,
}  # fmt: skip
TEMPORARIES, FIRST_OPERAND, SO_FAR, CONSTANT = 4, 4, 7, 8
OPERANDS = 3
_LONGEST = 256  # cycles of a step
_KNOWN = "+ - * // < >, max, min, abs, relu and qexp"


@dataclass(frozen=True, slots=True)
class Step:
    """One operation: sources of its operands (w: what a product is added to), the temporary that it goes to, whether it joins the result so
    far, and its cycles.
    """

    op: str
    x: int
    z: int
    to: int = 0
    folds: bool = False
    constant: int = 0
    cycles: int = 1
    w: int = SO_FAR

    def word(self) -> int:
        """As 59 bits, see hw/rtl/npu_engine.sv."""
        fields = self.x << 4 | self.z << 8 | self.to << 12 | self.folds << 14 | (self.cycles - 1) << 15 | self.w << 23
        return (self.constant & 0xFFFFFFFF) | (OPS[self.op] | fields) << 32


@dataclass(frozen=True, slots=True)
class _Value:
    """Where a value is: a source, and the constant if it is one."""

    source: int
    constant: int = 0


def steps_of(cascade: Cascade, einsum: Einsum, cycles: int, unit: str) -> list[Step]:
    """The microprogram of an Einsum, which takes as many cycles as the machine says of a unit. IllegalMapping where there is none."""
    if not cycles:
        raise refuse(einsum, f"only copies or selects, which takes no cycle on {unit} and one on hw/rtl/npu_lane.sv", "add 0, which does")
    steps = _Steps(cascade, einsum).made()
    last = 1 + cycles - len(steps)
    if last < 1:
        what = f"takes {_cycles(cycles)} on {unit} and {_cycles(len(steps))} on hw/rtl/npu_lane.sv, where a step has room for one constant"
        raise refuse(einsum, what, f"{_elsewhere(einsum)}, or split it")
    if last > _LONGEST:
        raise refuse(einsum, f"takes {_cycles(cycles)} on {unit}, more than {_LONGEST}", f"give operators of {unit} fewer cycles")
    return [*steps[:-1], replace(steps[-1], cycles=last)]


def scan_of(cascade: Cascade, einsum: Einsum, cycles: int, unit: str) -> list[Step]:
    """The step of a linear recurrence on the scan unit. IllegalMapping where it has none."""
    step, reads = linear_step(einsum), operands(einsum)
    if step is None:
        raise refuse(einsum, f"is no step of a linear recurrence, all that {unit} does", _elsewhere(einsum))
    if cycles > _LONGEST:
        raise refuse(einsum, f"takes {_cycles(cycles)} on {unit}, more than {_LONGEST}", f"give 'scan' of {unit} fewer cycles")
    by = 1 if step.scale is None else constant(cascade, einsum, step.scale)
    if by <= 0 or by & (by - 1):
        raise refuse(einsum, f"divides by {by}, and {unit} by powers of two only", f"divide by a power of two, or {_elsewhere(einsum)}")
    x, z, w = (FIRST_OPERAND + reads.index(each) for each in (step.factor, step.state, step.addend))
    return [Step("mac", x, z, constant=by.bit_length() - 1, cycles=cycles, w=w)]


def refuse(einsum: Einsum, what: str, mend: str = "") -> IllegalMapping:
    """What a lane cannot compute, and how to write it otherwise."""
    return IllegalMapping(f"{einsum.name} {what}", mend or f"hw/rtl/npu_lane.sv has {_KNOWN}", einsum.place)


def refuse_unmade(cascade: Cascade, einsum: Einsum) -> None:
    """IllegalMapping for an Einsum without a microprogram, whatever the unit."""
    _Steps(cascade, einsum).made()


def constant(cascade: Cascade, einsum: Einsum, expression: Expression) -> int:
    """The value of an expression without tensors. IllegalMapping where it is no word."""
    unknown = [name for name in names(expression) if name not in cascade.sizes]
    if unknown:
        raise refuse(einsum, f"computes with the coordinate {unknown[0]}", "read it from a tensor, which holds the numbers from 0 on")
    number = float(plain(expression, cascade.sizes, -(2.0**31)))
    if not number.is_integer():
        raise refuse(einsum, f"has the constant {number:g}, which is not whole", "write whole numbers")
    if not -(2**31) <= number < 2**31:
        raise refuse(einsum, f"has the constant {number:.0f}, which is no word of 32 bits", "write a smaller number")
    return int(number)


def operands(einsum: Einsum) -> list[Access | None]:
    """The operands a, b and c of a lane; None where there is none. The word b may choose the word c.

    IllegalMapping where there are too many, or where a lane cannot choose.
    """
    reads = list(dict.fromkeys(einsum.reads))
    if len(reads) > OPERANDS:
        raise refuse(einsum, f"has {len(reads)} operands, more than the {OPERANDS} of hw/rtl/npu_lane.sv", "split it into several Einsums")
    chosen = [read for read in reads if inner_accesses(read)]
    if not chosen:
        return [*reads]
    by = [inner for read in chosen for inner in inner_accesses(read)]
    if len(chosen) > 1:
        raise refuse(einsum, f"chooses {len(chosen)} operands, and a lane of hw/rtl/npu_lane.sv one", "split it into several Einsums")
    if len(by) > 1:
        what = f"chooses {chosen[0].tensor} by {len(by)} words, and a lane of hw/rtl/npu_lane.sv by one"
        raise refuse(einsum, what, "split it into several Einsums")
    others: list[Access | None] = [read for read in reads if read not in (*chosen, *by)]
    return [*(others or [None]), *by, *chosen]


def _elsewhere(einsum: Einsum) -> str:
    return f"run it on another unit, as with the constraint 'run: {{einsums: [{einsum.name}], units: [UNIT]}}'"


def _cycles(count: int) -> str:
    return f"{count} cycle{'s' * (count != 1)}"


class _Steps:
    def __init__(self, cascade: Cascade, einsum: Einsum) -> None:
        self.cascade, self.einsum = cascade, einsum
        self.operands = operands(einsum)
        self.steps: list[Step] = []
        self.free = list(range(TEMPORARIES))

    def made(self) -> list[Step]:
        """All of them."""
        self._finish()
        return self.steps

    def _finish(self) -> None:
        """The whole expression, and what joins its value to the sums."""
        expression, reduce = self.einsum.expression, self.einsum.reduce
        if self.einsum.condition is not None:
            raise refuse(self.einsum, "has a condition", "give all points a value, as by a factor of 0 or 1")
        if not self.einsum.reduced:
            value = self._value(expression)
            if not self.steps or value.source >= TEMPORARIES:
                self._step("copy", value, value)
            return
        if reduce == "add" and isinstance(expression, Call) and expression.function == "mul":
            left, right = (self._value(part) for part in expression.arguments)
            self._step("mac", left, right, folds=True)
            return
        if reduce not in {"add", "max", "min"}:
            raise refuse(self.einsum, f"reduces by {reduce}", "reduce by add, max or min")
        self._step(reduce, _Value(SO_FAR), self._value(expression), folds=True)

    def _value(self, expression: Expression) -> _Value:
        if isinstance(expression, Access):
            return _Value(FIRST_OPERAND + self.operands.index(expression))
        if not accesses(expression):
            return _Value(CONSTANT, constant(self.cascade, self.einsum, expression))
        assert isinstance(expression, Call)
        function, parts = expression.function, expression.arguments
        if function == "relu":
            return self._step("max", self._value(parts[0]), _Value(CONSTANT, 0))
        if function == "neg":
            return self._step("sub", _Value(CONSTANT, 0), self._value(parts[0]))
        if function in {"abs", "copy", "qexp"}:
            value = self._value(parts[0])
            return self._step(function, value, value)
        if function == "floordiv":
            return self._shifted(self._value(parts[0]), self._value(parts[1]))
        if function == "gt":
            function, parts = "lt", parts[::-1]
        if function not in OPS or len(parts) != 2:
            raise refuse(self.einsum, f"applies {function}")
        if function == "add" and any(isinstance(part, Call) and part.function == "mul" and accesses(part) for part in parts):
            return self._multiplied(parts)
        left, right = (self._value(part) for part in parts)
        if left.source == right.source == CONSTANT and left != right:
            left = self._step("copy", left, left)  # a step has room for one
        return self._step(function, left, right)

    def _multiplied(self, parts: tuple[Expression, ...]) -> _Value:
        """A product that something is added to."""
        product = next(part for part in parts if isinstance(part, Call) and part.function == "mul" and accesses(part))
        rest = self._value(parts[parts[0] is product])
        left, right = (self._value(part) for part in product.arguments)
        constants = {value.constant for value in (rest, left, right) if value.source == CONSTANT}
        if len(constants) > 1:
            rest = self._step("copy", rest, rest)
        return self._step("mac", left, right, rest=rest)

    def _shifted(self, value: _Value, by: _Value) -> _Value:
        """A division, rounded down."""
        if by.source != CONSTANT or by.constant <= 0 or by.constant & (by.constant - 1):
            return self._step("floordiv", value, by)
        return self._step("shift", value, _Value(CONSTANT, by.constant.bit_length() - 1))

    def _step(self, op: str, left: _Value, right: _Value, folds: bool = False, rest: _Value | None = None) -> _Value:
        rest = rest or _Value(SO_FAR)
        for value in {left.source, right.source, rest.source} & set(range(TEMPORARIES)):
            self.free.append(value)
        if not self.free:
            raise refuse(self.einsum, f"needs more than {TEMPORARIES} values at a time", "split it into several Einsums")
        to = min(self.free)
        self.free.remove(to)
        constant = left.constant or right.constant or rest.constant
        self.steps.append(Step(op, left.source, right.source, to, folds, constant, w=rest.source))
        return _Value(to)
