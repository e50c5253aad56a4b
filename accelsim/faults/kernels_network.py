"""What a change of some words of a network does to its outputs: only words that depend on a changed one are worked out again.

A *cell* is a word of any tensor of the network, or a constant that stands for what lies outside of one. A step is an Einsum. Of a sum
of products of which one factor can change, a changed cell adds its difference times the other factor to each sum that it goes into;
of all else, each word that reads a changed cell is replayed from all that it reads. Source: docs/faults-network.md.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.kernel_cache import njit

IntArray = NDArray[np.int64]
CellArray = NDArray[np.int32]
READ, NUMBER, NEG, ABS, RELU, STEP, NOT, COPY, ADD, SUB, MUL, FLOORDIV, MOD, MAX, MIN, LT, LE, GT, GE, EQ, NE, AND, OR, TAKE = range(24)
MOST_DEEP = 64


class Wiring(NamedTuple):
    """A network's arrays. By cell, int64: `golden`, values without a fault; `sums`, those of sums of products before they are scaled.
    `base`: int64[tensors + 1], the first cell of each tensor.

    By step: `out`, its tensor; `layer`; `product`, whether differences are added; `bits` that its sums wrap at (64: they do not);
    `scale`, int64[steps, 5]: multiplier, shift, zero, low, high; `reduce`, a code of the above; `reads`, how many cells a point reads.
    `program`: int64[codes, 2], code and argument, each step's from `program_at` (int64[steps + 1]) on, operands before operators.

    Who reads tensor t: `reader_at` (int64[tensors + 1]) into `reader_step` and `reader_link`, where in `link_at` the cells of t begin: from
    `link_at[reader_link + cell - base]` on, links lead to cells `to`, of products with the other factor's cell `by`.

    Points of replayed words: from `point_at[points_from[step] + cell - base]` on; point p reads int32 `cells[cells_from[step] + p * reads]`
    and those that follow.
    """

    golden: IntArray
    sums: IntArray
    base: IntArray
    out: IntArray
    layer: IntArray
    product: IntArray
    bits: IntArray
    scale: IntArray
    reduce: IntArray
    reads: IntArray
    program: IntArray
    program_at: IntArray
    reader_at: IntArray
    reader_step: IntArray
    reader_link: IntArray
    link_at: IntArray
    to: CellArray
    by: CellArray
    points_from: IntArray
    point_at: IntArray
    cells_from: IntArray
    cells: CellArray


class Verdicts(NamedTuple):
    """What is asked of outputs. `outputs`: int64[.], tensors. Decisions: `tensor` (-1: none), the group of each of its cells, `members`
    int64[groups, size], cells in their order, `best` int64[groups], which of them is largest without a fault, and `labels` int64[groups],
    which ought to be (-1: not known).
    """

    outputs: IntArray
    tensor: int
    group: IntArray
    members: IntArray
    best: IntArray
    labels: IntArray


class Room(NamedTuple):
    """Working memory, by cell, the same before and after: values now, differences of sums, whether a cell is asked for, and queues."""

    now: IntArray
    delta: IntArray
    asked: NDArray[np.uint8]
    queue: IntArray


@njit(forceinline=True, _nrt=False)
def _apply(code: int, a: int, b: int) -> int:
    """An operator of whole numbers, as numpy has it; what divides by 0 is 0."""
    if code == ADD:
        return a + b
    if code == SUB:
        return a - b
    if code == MUL:
        return a * b
    if code == MAX:
        return max(a, b)
    if code == MIN:
        return min(a, b)
    if code == FLOORDIV:
        return 0 if b == 0 else a // b
    if code == MOD:
        return 0 if b == 0 else a % b
    if code == LT:
        return int(a < b)
    if code == LE:
        return int(a <= b)
    if code == GT:
        return int(a > b)
    if code == GE:
        return int(a >= b)
    if code == EQ:
        return int(a == b)
    if code == NE:
        return int(a != b)
    if code == AND:
        return int(a != 0 and b != 0)
    if code == OR:
        return int(a != 0 or b != 0)
    if code == TAKE:
        return b if a != 0 else 0
    if code == NEG:
        return -a
    if code == ABS:
        return abs(a)
    if code == RELU:
        return max(a, 0)
    if code == STEP:
        return int(a > 0)
    if code == NOT:
        return int(a == 0)
    return a


@njit(_nrt=False)
def _point(w: Wiring, step: int, first: int, now: IntArray, stack: IntArray) -> int:
    """The map expression at a point whose cells begin at `first`."""
    top = 0
    for at in range(w.program_at[step], w.program_at[step + 1]):
        code, argument = w.program[at, 0], w.program[at, 1]
        if code == READ:
            stack[top] = now[w.cells[first + argument]]
            top += 1
        elif code == NUMBER:
            stack[top] = argument
            top += 1
        elif code < ADD:
            stack[top - 1] = _apply(code, stack[top - 1], 0)
        else:
            top -= 1
            stack[top - 1] = _apply(code, stack[top - 1], stack[top])
    return int(stack[0])


@njit(_nrt=False)
def replayed(w: Wiring, step: int, cell: int, now: IntArray, stack: IntArray) -> int:
    """The sum (or maximum, …) of a word from all that it reads."""
    local = w.points_from[step] + cell - w.base[w.out[step]]
    total: Any = np.int64(0)
    for point in range(w.point_at[local], w.point_at[local + 1]):
        value = _point(w, step, w.cells_from[step] + point * w.reads[step], now, stack)
        total = value if point == w.point_at[local] else _apply(w.reduce[step], total, value)
    return int(total)


@njit(forceinline=True, _nrt=False)
def scaled(w: Wiring, step: int, word: int) -> int:
    """The value of a sum: wrapped, scaled with rounding half up, clamped. A word beyond 2^62 when it is multiplied counts as that much."""
    left = 64 - w.bits[step]
    word = (word << left) >> left
    shift, most = w.scale[step, 1], (np.int64(1) << 62) // w.scale[step, 0]
    word = min(max(word, -most), most)
    word = ((word * w.scale[step, 0] + ((np.int64(1) << shift) >> 1)) >> shift) + w.scale[step, 2]
    return int(min(max(word, w.scale[step, 3]), w.scale[step, 4]))


@njit(_nrt=False)
def _ask(w: Wiring, room: Room, tensor: int, many: IntArray) -> int:
    """Ask for all words that read changed cells of a tensor, with differences of sums of products; how many steps were not asked before."""
    fresh = 0
    for reader in range(w.reader_at[tensor], w.reader_at[tensor + 1]):
        step, link = w.reader_step[reader], w.reader_link[reader] - w.base[tensor]
        out, product = w.out[step], w.product[step]
        first, before = w.base[out], many[out]
        for each in range(w.base[tensor], w.base[tensor] + many[tensor]):
            cell = room.queue[each]
            by = room.now[cell] - w.golden[cell]
            for at in range(w.link_at[link + cell], w.link_at[link + cell + 1]):
                to = w.to[at]
                if product:
                    room.delta[to] += by * w.golden[w.by[at]]
                if not room.asked[to]:
                    room.asked[to] = 1
                    room.queue[first + many[out]] = to
                    many[out] += 1
        fresh += before == 0 and many[out] > 0
    return fresh


@njit(forceinline=True, _nrt=False)
def _decided(w: Wiring, v: Verdicts, room: Room, changed: int, seen: IntArray, mark: int, found: IntArray) -> None:
    """Decisions that change, of those right ones that are lost and wrong ones that become right, into found[3:6]."""
    for each in range(w.base[v.tensor], w.base[v.tensor] + changed):
        group = v.group[room.queue[each] - w.base[v.tensor]]
        if seen[group] == mark:
            continue
        seen[group] = mark
        best = 0
        for member in range(1, v.members.shape[1]):
            if room.now[v.members[group, member]] > room.now[v.members[group, best]]:
                best = member
        if best != v.best[group]:
            found[3] += 1
            found[4] += v.best[group] == v.labels[group]
            found[5] += best == v.labels[group]


@njit()
def spread(
    w: Wiring, v: Verdicts, room: Room, origin: int, starts: IntArray, cells: IntArray, values: IntArray, found: IntArray, told: IntArray
) -> int:  # fmt: skip
    """Faults that change cells of one tensor, `origin`: those of fault f are `cells[starts[f]:starts[f + 1]]`, and get `values`.

    found: int64[faults, 7], 0 before: output words that differ, the largest difference, the layer of the last step that was worked out
    again (-1: none), decisions that change, right ones lost, wrong ones made right, and cells of the origin that differ.
    told: int64[most, 2] to be told of the cells that differ with their values, or int64[0, 2]; returns of how many.
    """
    steps, count = w.out.shape[0], 0
    many, seen, stack = np.zeros(w.base.shape[0] - 1, np.int64), np.zeros(v.best.shape[0], np.int64), np.zeros(MOST_DEEP, np.int64)
    for fault in range(starts.shape[0] - 1):
        for at in range(starts[fault], starts[fault + 1]):
            cell = cells[at]
            if values[at] != w.golden[cell]:
                room.now[cell] = values[at]
                room.queue[w.base[origin] + many[origin]] = cell
                many[origin] += 1
        found[fault, 2], found[fault, 6] = -1, many[origin]
        if many[origin] == 0:
            continue
        waiting = _ask(w, room, origin, many)
        step = 0
        while waiting and step < steps:
            out = w.out[step]
            if out != origin and many[out]:
                waiting -= 1
                found[fault, 2] = w.layer[step]
                kept = w.base[out]
                for each in range(w.base[out], w.base[out] + many[out]):
                    cell = room.queue[each]
                    room.asked[cell] = 0
                    if w.product[step]:
                        value = scaled(w, step, w.sums[cell] + room.delta[cell])
                        room.delta[cell] = 0
                    else:
                        value = scaled(w, step, replayed(w, step, cell, room.now, stack))
                    if value != w.golden[cell]:
                        room.now[cell] = value
                        room.queue[kept] = cell
                        kept += 1
                many[out] = kept - w.base[out]
                if many[out]:
                    waiting += _ask(w, room, out, many)
            step += 1
        for output in v.outputs:
            found[fault, 0] += many[output]
            for each in range(w.base[output], w.base[output] + many[output]):
                cell = room.queue[each]
                found[fault, 1] = max(found[fault, 1], abs(room.now[cell] - w.golden[cell]))
        if v.tensor >= 0 and many[v.tensor]:
            _decided(w, v, room, many[v.tensor], seen, fault + 1, found[fault])
        for tensor in range(many.shape[0]):
            for each in range(w.base[tensor], w.base[tensor] + many[tensor]):
                cell = room.queue[each]
                if count < told.shape[0]:
                    told[count, 0], told[count, 1] = cell, room.now[cell]
                    count += 1
                room.now[cell] = w.golden[cell]
            many[tensor] = 0
    return count
