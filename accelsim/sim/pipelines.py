"""Pipelined units: reduction trees and scan units, register by register.

A unit is a chain of register stages with a handshake at both ends. Stage s takes what stage s - 1 holds at the end of a cycle in which it
is empty or is being emptied. A vector that enters in cycle c and is not held up leaves in cycle c + depth. What a stage holds of a vector
does not depend on when, so the values of all stages are worked out once, and the kernel says which vector each holds in which cycle.
Source: docs/simulator.md, "Pipelined units".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from accelsim.errors import InputError, did_you_mean
from accelsim.sim.arithmetic import Arithmetic
from accelsim.sim.kernels_pipelines import EMPTY, flow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]

FORMS = ("serial", "kogge_stone", "brent_kung")
OPERATORS = ("add", "max", "min", "mul")
_MOST_CYCLES = 1 << 22  # of which registers are shown


class Passage(NamedTuple):
    """When vectors pass: the cycles in which each enters and leaves, int64[vectors]; and the vector in each stage, int64[cycles, depth]."""

    entered: IntArray
    left: IntArray
    held: IntArray

    @property
    def cycles(self) -> int:
        """Cycles until the last has left."""
        return int(self.left.max(initial=-1)) + 1


class Stage(NamedTuple):
    """A register stage: its registers by name, and what they hold of each vector, [vectors, width]."""

    registers: dict[str, Any]


def passage(depth: int, offered: Any, ready: Any = (), interval: int = 1, shown: int = 0) -> Passage:
    """When vectors pass through `depth` stages. `shown`: cycles of which registers are noted.

    offered: the first cycle of each vector at the entrance, never falling. ready: bool of the first cycles, whether what is behind takes a
    result, and after them always. interval: cycles from one entrance to the next. InputError for anything else.
    """
    if depth < 1 or interval < 1:
        raise InputError(f"a pipeline of {depth} stages that takes a vector every {interval} cycles", "write at least 1 of each")
    times = np.asarray(offered, np.int64)
    if np.any(np.diff(times, prepend=0) < 0):
        raise InputError("a vector is offered before the one in front of it", "sort them by cycle")
    if not 0 <= shown <= _MOST_CYCLES:
        raise InputError(f"registers of {shown} cycles cannot be shown", f"show from 0 to {_MOST_CYCLES}")
    entered, left, held = (np.full(size, EMPTY, np.int64) for size in (len(times), len(times), (shown, depth)))
    flow(depth, interval, times, np.asarray(ready, np.bool_), entered, left, held)
    return Passage(entered, left, held)


@dataclass(frozen=True, slots=True)
class ReductionTree:
    """A binary tree of `operator` over `inputs` numbers, with registers `node` behind each level; an odd one passes through.

    Depth: the least whole log2 of the inputs. A vector may enter in every cycle.
    """

    inputs: int
    operator: str
    arithmetic: Arithmetic

    def __post_init__(self) -> None:
        if self.inputs < 2:
            raise InputError(f"a tree over {self.inputs} input reduces nothing", "give it at least 2")
        if self.operator not in OPERATORS:
            raise InputError(f"no tree reduces with '{self.operator}'", did_you_mean(self.operator, OPERATORS))

    @property
    def depth(self) -> int:
        """Stages."""
        return (self.inputs - 1).bit_length()

    @property
    def operators(self) -> int:
        """Two-input operators."""
        return self.inputs - 1

    def stages(self, vectors: Any) -> list[Stage]:
        """What each stage holds of each of `vectors` [vectors, inputs]; the result is `node` of the last."""
        level, found = self.arithmetic.rounded(np.asarray(vectors)), []
        if level.ndim != 2 or level.shape[1] != self.inputs:
            raise InputError(f"vectors of shape {list(level.shape)} for a tree of {self.inputs} inputs", "give [vectors, inputs]")
        for _ in range(self.depth):
            pairs = level.shape[1] // 2
            made = self.arithmetic.combine(self.operator, level[:, : 2 * pairs : 2], level[:, 1 : 2 * pairs : 2])
            level = np.concatenate([made, level[:, 2 * pairs :]], axis=1)
            found.append(Stage({"node": level}))
        return found

    def reduce(self, vectors: Any) -> Any:
        """The result for each of `vectors` [vectors, inputs]."""
        return self.stages(vectors)[-1].registers["node"][:, 0]


@dataclass(frozen=True, slots=True)
class ScanUnit:
    """A unit for h[t] = a[t] h[t-1] + b[t], `width` pairs at a time.

    `serial`: one pair in each cycle. `kogge_stone`: log2(width) stages, in which all pairs combine at distances 1, 2, 4, ...; `brent_kung`:
    up a tree and down again, with fewer operators and nearly twice the stages. All end in a stage that brings in the `carry`, the last h of
    the vector before: so a vector may enter in every cycle. Products and sums are rounded one by one.
    """

    form: str
    width: int
    arithmetic: Arithmetic

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise InputError(f"no scan unit is called '{self.form}'", did_you_mean(self.form, FORMS))
        if self.width < 1 or (self.form == "serial" and self.width != 1):
            raise InputError(f"a {self.form} scan unit of width {self.width}", "write 1 for serial, at least 1 for others")

    @property
    def depth(self) -> int:
        """Stages."""
        return len(self._plan()) + 1

    @property
    def operators(self) -> tuple[int, int]:
        """Multipliers and adders: of a combination two and one, of the last stage one and one for each h."""
        combined = sum(len(pairs) for pairs in self._plan())
        return 2 * combined + self.width, combined + self.width

    def cycles(self, steps: int) -> int:
        """Cycles until the last of `steps` results has left, if nothing holds the unit up."""
        return -(-steps // self.width) + self.depth if steps else 0

    def stages(self, a: Any, b: Any, start: Any = 0) -> list[Stage]:
        """What each stage holds of each vector: `a` and `b` of those that combine, `h` and `carry` (what came in) of the last.

        a, b: [vectors, width], one vector behind the other in time. start: the h before the first.
        """
        a, b = (self.arithmetic.rounded(np.asarray(each)) for each in (a, b))
        found = []
        for pairs in self._plan():
            to, by = (np.array(side, np.int64) for side in zip(*pairs, strict=True))
            made = self._add(self._mul(a[:, to], b[:, by]), b[:, to])
            a, b, before = a.copy(), b.copy(), a
            b[:, to] = made
            a[:, to] = self._mul(before[:, to], before[:, by])
            found.append(Stage({"a": a, "b": b}))
        h, carry, carries = np.empty_like(b), np.asarray(start, b.dtype), []
        for vector in range(len(b)):
            carries.append(carry)
            h[vector] = self._add(self._mul(a[vector], carry), b[vector])
            carry = h[vector, -1]
        return [*found, Stage({"h": h, "carry": np.array(carries, b.dtype)})]

    def scan(self, a: Any, b: Any, start: Any = 0) -> Any:
        """h for a and b [steps]: the last vector is filled up with (1, 0), which changes nothing."""
        steps = _steps(a, b)
        vectors = -(-steps // self.width)
        a, b = (_filled(each, fill, vectors * self.width).reshape(vectors, self.width) for each, fill in ((a, 1), (b, 0)))
        return self.stages(a, b, start)[-1].registers["h"].ravel()[:steps]

    def _plan(self) -> list[list[tuple[int, int]]]:
        """For each combining stage, which pair takes in which earlier one."""
        distances = [1 << level for level in range((self.width - 1).bit_length())]
        if self.form == "kogge_stone":
            return [[(at, at - distance) for at in range(distance, self.width)] for distance in distances]
        up = [[(at, at - distance) for at in range(2 * distance - 1, self.width, 2 * distance)] for distance in distances]
        down = [[(at, at - distance) for at in range(3 * distance - 1, self.width, 2 * distance)] for distance in reversed(distances)]
        return [stage for stage in (*up, *down) if stage]

    def _mul(self, left: Any, right: Any) -> Any:
        return self.arithmetic.combine("mul", left, right)

    def _add(self, left: Any, right: Any) -> Any:
        return self.arithmetic.combine("add", left, right)


@dataclass(frozen=True, slots=True)
class ChunkedScan:
    """`lanes` serial scans side by side, each over `chunk` steps that follow one another; then what each lane lacks is brought in.

    Registers of a lane: `lh` and `lg`, its scan and the product of its multipliers so far, kept for every step of the chunk; `carry`, the
    last h of the lane before, handed on by one lane in each cycle; `h` = lg carry + lh, one step of each lane in each cycle. The lanes scan
    the next block while this one is completed.
    """

    lanes: int
    chunk: int
    arithmetic: Arithmetic

    def __post_init__(self) -> None:
        if self.lanes < 1 or self.chunk < 1:
            raise InputError(f"a scan of {self.lanes} lanes over chunks of {self.chunk}", "write at least 1 of each")

    @property
    def operators(self) -> tuple[int, int]:
        """Multipliers and adders: of each lane two and one to scan and one and one to complete, and one and one for the carry."""
        return 3 * self.lanes + 1, 2 * self.lanes + 1

    def cycles(self, steps: int) -> int:
        """Cycles until the last of `steps` results is there: every block is as long as a full one."""
        blocks = -(-steps // (self.lanes * self.chunk))
        return self.chunk + blocks * (self.lanes + self.chunk) if steps else 0

    def registers(self, a: Any, b: Any, start: Any = 0) -> dict[str, Any]:
        """What `lh`, `lg` and `h` [blocks, lanes, chunk] and `carry` [blocks, lanes] hold for a and b [blocks, lanes, chunk]."""
        combine = self.arithmetic.combine
        a, b = (self.arithmetic.rounded(np.asarray(each)) for each in (a, b))
        lh, lg = b.copy(), a.copy()
        for step in range(1, self.chunk):
            lh[..., step] = combine("add", combine("mul", a[..., step], lh[..., step - 1]), b[..., step])
            lg[..., step] = combine("mul", a[..., step], lg[..., step - 1])
        carry, value = np.empty(b.shape[:2], b.dtype), np.asarray(start, b.dtype)
        for block in range(len(b)):
            for lane in range(self.lanes):
                carry[block, lane] = value
                value = combine("add", combine("mul", lg[block, lane, -1], value), lh[block, lane, -1])
        return {"lh": lh, "lg": lg, "carry": carry, "h": combine("add", combine("mul", lg, carry[..., None]), lh)}

    def scan(self, a: Any, b: Any, start: Any = 0) -> Any:
        """h for a and b [steps]: the last block is filled up with (1, 0), which changes nothing."""
        steps, block = _steps(a, b), self.lanes * self.chunk
        blocks = -(-steps // block)
        a, b = _filled(a, 1, blocks * block), _filled(b, 0, blocks * block)
        shape = blocks, self.lanes, self.chunk
        return self.registers(a.reshape(shape), b.reshape(shape), start)["h"].ravel()[:steps]


def _steps(a: Any, b: Any) -> int:
    """How many pairs there are."""
    if np.ndim(a) != 1 or np.shape(a) != np.shape(b):
        raise InputError(f"a scan of a {list(np.shape(a))} and b {list(np.shape(b))}", "give both one length")
    return len(a)


def _filled(values: Any, fill: int, length: int) -> Any:
    values = np.asarray(values)
    return np.concatenate([values, np.full(length - len(values), fill, values.dtype)])
