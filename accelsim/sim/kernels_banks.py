"""How the words that a firing moves fall on the banks of a memory: counts by address modulo the number of banks.

The counts of a box are the cyclic convolution of those of its dimensions, so no word is listed. Source: docs/simulator.md, "Banks".
"""

from __future__ import annotations

from accelsim.kernel_cache import helper
from accelsim.sim.kernels_boxes import (
    BANKS,
    BASE,
    BEGINS,
    BENDS,
    BENDS_END,
    BOX,
    COUNTED,
    DELTA,
    DIMS,
    DIMS_END,
    FIRED,
    HIGH,
    LOOPS,
    LOW,
    MARKS,
    OFFSET,
    PARTS,
    REPEATS,
    REPEATS_END,
    STEP,
    TERMS,
    TERMS_END,
    TICKS,
    WANTED,
    WANTED_END,
    IntArray,
    Machine,
    in_use,
    interval,
    is_afresh,
    points_of,
    value_of,
)
from accelsim.sim.kernels_event_state import State

LOAD, TOTAL, SHARED, SIDE, BOTH, ROOM = range(6)  # rows of a state's `piles`


@helper()
def pile(m: Machine, state: State, task: int, use: int, counts: bool) -> None:
    """Add the ticks of a use of memory with banks to those that its group has on every bank; before `words` is asked.

    counts: whether the use moves anything at this firing. Of a tile in parts, all are counted with the first.
    """
    first, banks, piles = m.tasks[task, LOOPS], m.uses[use, BANKS], state.piles
    if state.tasks[task, FIRED] % m.tasks[task, PARTS] != 0:
        return
    if m.uses[use, BEGINS]:
        for bank in range(banks):
            piles[LOAD, bank] = 0
    if not counts:
        return
    box = m.uses[use, BOX]
    delta = m.boxes[box, DELTA] != 0 and not is_afresh(m, box, state.digits)
    for bank in range(banks):
        piles[TOTAL, bank] = piles[SHARED, bank] = bank == m.uses[use, BASE] % banks
    for dim in range(m.boxes[box, DIMS], m.boxes[box, DIMS_END]):
        for bank in range(banks):
            piles[SIDE, bank] = piles[BOTH, bank] = 0
        _side(m, state, dim, first, banks)
        _convolve(piles, TOTAL, SIDE, banks)
        if delta:
            _convolve(piles, SHARED, BOTH, banks)
    for repeat in range(m.uses[use, REPEATS], m.uses[use, REPEATS_END]):
        for bank in range(banks):
            piles[SIDE, bank] = 0
        _line(piles, SIDE, banks, 0, m.repeats[repeat, 1], m.repeats[repeat, 0])
        _convolve(piles, TOTAL, SIDE, banks)
        if delta:
            _convolve(piles, SHARED, SIDE, banks)
    ticks = m.uses[use, TICKS] * in_use(m, m.boxes[box, WANTED], m.boxes[box, WANTED_END], state.digits, first)
    for bank in range(banks):
        piles[LOAD, bank] += ticks * (piles[TOTAL, bank] - (piles[SHARED, bank] if delta else 0))


@helper()
def uneven(m: Machine, state: State, task: int, use: int) -> int:
    """At the last use of a group: by how many ticks the fullest bank takes longer than if all were as full; of parts, for this one."""
    part, parts = state.tasks[task, FIRED] % m.tasks[task, PARTS], m.tasks[task, PARTS]
    if part == 0:
        most, total = state.piles[LOAD, 0], 0
        for bank in range(m.uses[use, BANKS]):
            most, total = max(most, state.piles[LOAD, bank]), total + state.piles[LOAD, bank]
        state.tiles[use, 2] = most * m.uses[use, BANKS] - total
    return int(state.tiles[use, 2] // parts + (state.tiles[use, 2] % parts if part == 0 else 0))


@helper()
def _side(m: Machine, state: State, dim: int, first: int, banks: int) -> None:
    """Count the addresses that one dimension of a box adds, and of these the ones that were touched before, where it says so."""
    piles, known, digits, step = state.piles, state.known, state.digits, m.dims[dim, STEP]
    if m.dims[dim, MARKS] >= 0:
        _listed(m, state, dim, first, banks)
        return
    if m.dims[dim, MARKS] == COUNTED:
        _counted(m, state, dim, first, banks)
        return
    low = high = m.dims[dim, OFFSET]
    for term in range(m.dims[dim, TERMS], m.dims[dim, TERMS_END]):
        start, end = interval(m.slots, m.entries, m.terms[term, 0], digits, first)
        if end <= start:
            return
        low, high = low + start, high + end - 1
    low, high = max(low, m.dims[dim, LOW]), min(high + 1, m.dims[dim, HIGH])
    if m.dims[dim, BENDS] < m.dims[dim, BENDS_END]:
        for value in range(low, high):
            piles[SIDE, (value * step + _bent(m, dim, value)) % banks] += 1
        return
    _line(piles, SIDE, banks, low * step, step, high - low)
    if known[dim, 2] > 0:
        low, high = max(low, known[dim, 0]), min(high, known[dim, 1])
        _line(piles, BOTH, banks, low * step, step, high - low)


@helper(inline=True)
def _bent(m: Machine, dim: int, value: int) -> int:
    """Words that the value of a rank adds to an address by dimensions that go by // or % of it."""
    words = 0
    for bend in range(m.dims[dim, BENDS], m.dims[dim, BENDS_END]):
        at = (m.bends[bend, 0] * value + m.bends[bend, 1]) // m.bends[bend, 2]
        words += (at % m.bends[bend, 3] if m.bends[bend, 3] > 0 else at) * m.bends[bend, 4]
    return int(words)


@helper()
def _listed(m: Machine, state: State, dim: int, first: int, banks: int) -> None:
    """The same for a dimension that is not plain, by coordinates; marks of those that are counted are taken away again."""
    stamp, at, marks = -1 - state.known[dim, 2], m.dims[dim, MARKS], state.marks
    count, before = points_of(m, dim, 0, state.digits, first), state.known[dim, 2]
    for point in range(count):
        value = value_of(m, dim, 0, state.digits, first, point)
        if m.dims[dim, LOW] <= value < m.dims[dim, HIGH] and marks[at + 2 * value] != stamp:
            marks[at + 2 * value] = stamp
            bank = value * m.dims[dim, STEP] % banks
            state.piles[SIDE, bank] += 1
            state.piles[BOTH, bank] += before > 0 and marks[at + 2 * value + 1] == before
    for point in range(count):
        value = value_of(m, dim, 0, state.digits, first, point)
        if m.dims[dim, LOW] <= value < m.dims[dim, HIGH]:
            marks[at + 2 * value] = 0


@helper()
def _counted(m: Machine, state: State, dim: int, first: int, banks: int) -> None:
    """The same for a dimension whose points inside the tensor count, line by line along its last rank."""
    terms, last = m.dims[dim, TERMS], m.dims[dim, TERMS_END] - 1
    lines = 1
    for term in range(terms, last):
        start, end = interval(m.slots, m.entries, m.terms[term, 0], state.digits, first)
        lines *= max(0, end - start)
    start, end = interval(m.slots, m.entries, m.terms[last, 0], state.digits, first)
    factor, step = m.terms[last, 1], m.terms[last, 2]
    for line in range(lines):
        value, address, rest = m.dims[dim, OFFSET], 0, line
        for term in range(terms, last):
            begin, until = interval(m.slots, m.entries, m.terms[term, 0], state.digits, first)
            at = begin + rest % (until - begin)
            value, address = value + m.terms[term, 1] * at, address + m.terms[term, 2] * at
            rest //= until - begin
        least, most = m.dims[dim, LOW] - value, m.dims[dim, HIGH] - 1 - value  # of factor times the last rank
        if factor < 0:
            least, most = -most, -least
        low, high = least // abs(factor) + (least % abs(factor) > 0), most // abs(factor)
        low, high = max(start, low), min(end - 1, high)
        _line(state.piles, SIDE, banks, address + low * step, step, high - low + 1)


@helper()
def _line(piles: IntArray, row: int, banks: int, address: int, step: int, count: int) -> None:
    """Count so many addresses, each so many words after the one before."""
    if count <= 0:
        return
    bank, step, period = address % banks, step % banks, banks
    rest = step
    while rest > 0:  # the greatest common divisor
        period, rest = rest, period % rest
    period = banks // period
    for at in range(min(count, period)):
        piles[row, bank] += count // period + (at < count % period)
        bank += step
        if bank >= banks:
            bank -= banks


@helper()
def _convolve(piles: IntArray, row: int, by: int, banks: int) -> None:
    """Counts of sums of two addresses, one counted in each row, in place of the first."""
    total, alike = 0, True
    for bank in range(banks):
        total += piles[row, bank]
        alike = alike and piles[by, bank] == piles[by, 0]
    if alike:  # as often on every bank, whatever is added
        for bank in range(banks):
            piles[row, bank] = total * piles[by, 0]
        return
    for bank in range(banks):
        piles[ROOM, bank] = 0
    for one in range(banks):
        if piles[row, one] == 0:
            continue
        for other in range(banks):
            if piles[by, other] != 0:
                bank = one + other
                piles[ROOM, bank - banks if bank >= banks else bank] += piles[row, one] * piles[by, other]
    for bank in range(banks):
        piles[row, bank] = piles[ROOM, bank]
