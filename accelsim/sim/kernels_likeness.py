"""Whether a state of the event simulation is an earlier one, later, and whether the iterations that follow are like those between them."""

from __future__ import annotations

from accelsim.kernel_cache import helper
from accelsim.sim.kernels_boxes import (
    ACROSS_END,
    ACTIVE,
    AGAINS,
    AGAINS_END,
    BENDS,
    BENDS_END,
    BOX,
    BUSY,
    COMMON,
    COPIES,
    CUTS,
    DELTA,
    DEMAND,
    DIMS,
    DIMS_END,
    DIVISOR,
    DOWN,
    EXIT,
    EXTENT,
    FIRED,
    FOLD,
    HIGH,
    LAST_END,
    LOOPS,
    LOW,
    MARKS,
    MODULUS,
    NEEDS,
    NEEDS_END,
    OFFSET,
    OPEN,
    OWN,
    OWN_END,
    PARTS,
    POINTS,
    POINTS_END,
    PREFIX,
    RESOURCE,
    RING,
    RING_SIZE,
    SOURCE,
    TARGET,
    TERMS,
    TERMS_END,
    UNIT,
    USES,
    USES_END,
    WAITS,
    WAITS_END,
    WANTED,
    WANTED_END,
    WHOLE,
    IntArray,
    Machine,
    demanded,
)
from accelsim.sim.kernels_event_state import (
    OUTSTANDING,
    PAST,
    SAVED,
    STEP,
    Saved,
    State,
    beyond,
    is_remembered,
    number_of,
    rate_of,
    shift_of,
    tile_of,
)


@helper()
def alike(m: Machine, state: State, saved: Saved, level: int, clock: int) -> bool:
    """Whether the state is the saved one, so many iterations later."""
    turns = (state.tasks[clock, FIRED] - saved.tasks[level, clock, FIRED]) // beyond(m, clock, level + 1)
    stride = turns * m.strides[m.tasks[clock, LOOPS] + level]
    for task in range(m.tasks.shape[0]):
        fired = state.tasks[task, FIRED] - saved.tasks[level, task, FIRED]
        if m.tasks[task, COMMON] <= level:
            if fired != 0:
                return False
            continue
        inside, around = beyond(m, task, level + 1), beyond(m, task, level)
        if fired != turns * inside or state.keys[task] - saved.keys[level, task] != stride:
            return False
        if state.tasks[task, FIRED] // around != saved.tasks[level, task, FIRED] // around:
            return False
    _ask(m, state, level)
    for task in range(m.tasks.shape[0]):
        if m.tasks[task, COMMON] > level and not _moves_alike(m, state, saved, level, task, turns, stride):
            return False
    for resource in range(state.free.shape[0]):
        is_used = state.spent[resource, BUSY] > saved.spent[level, resource, BUSY] or state.free[resource] > saved.free[level, resource]
        if is_used and not _serves_alike(state, saved, level, resource):
            return False
    return True


@helper()
def _serves_alike(state: State, saved: Saved, level: int, resource: int) -> bool:
    """Whether a resource is as it was, later; starts of transfers that it has caught up with may lag."""
    rate = state.free[resource] - saved.free[level, resource]
    if state.even.shape[0] and state.even[resource] - saved.even[level, resource] != rate:
        return False
    for place in (LAST_END, OPEN, EXIT):
        if state.spent[resource, place] - saved.spent[level, resource, place] != (rate if state.spent[resource, place] else 0):
            return False
    if state.served[resource] == saved.served[level, resource]:
        return True
    for back in range(OUTSTANDING):
        now, before = (state.served[resource] + back) & (OUTSTANDING - 1), (saved.served[level, resource] + back) & (OUTSTANDING - 1)
        moved = state.starts[resource, now] - saved.starts[level, resource, before]
        if moved != rate and (moved > rate or state.starts[resource, now] > state.free[resource]):
            return False
    return True


@helper()
def _ask(m: Machine, state: State, level: int) -> None:
    """Note the earliest firing of every task that iterations of a level may still ask for, where it moves along with them."""
    for task in range(m.tasks.shape[0]):
        state.asked[task] = state.tasks[task, FIRED]
    for task in range(m.tasks.shape[0]):
        if m.tasks[task, COMMON] > level:
            for wait in range(m.tasks[task, WAITS], m.tasks[task, WAITS_END]):
                if m.waits[wait, PREFIX] > level:
                    target = m.waits[wait, TARGET]
                    state.asked[target] = min(state.asked[target], max(0, number_of(m, state.digits, task, wait)))


@helper()
def _moves_alike(m: Machine, state: State, saved: Saved, level: int, task: int, turns: int, stride: float) -> bool:
    """Whether the ends of the last iterations and those that a task may still be asked for, its plans and what it left behind are the
    saved ones, later; and whether what decided when it starts moves along.
    """
    fired, before = state.tasks[task, FIRED], saved.tasks[level, task, FIRED]
    ring, size = m.tasks[task, RING], m.tasks[task, RING_SIZE]
    rate, unit = rate_of(state, saved, level, task), m.tasks[task, UNIT]
    works = state.tasks[task, ACTIVE] > saved.tasks[level, task, ACTIVE]
    if unit >= 0 and works and rate != state.free[unit] - saved.free[level, unit]:
        return False
    remembered, kept = is_remembered(m, task, level), min(SAVED, size)
    far = min(before, fired - state.asked[task])
    if far + (fired - before if remembered else 0) > (size if remembered else kept):
        return False
    for back in range(1, 1 + max(far, min(before, fired - before, size - (fired - before) if remembered else kept))):
        now, then = ring + ((fired - back) & (size - 1)), ring + ((before - back) & (size - 1))
        kept_at = saved.rings[task] + ((before - back) & (kept - 1))
        if state.ring[now] - (state.ring[then] if remembered else saved.ring[level, kept_at]) != rate:
            return False
        if m.banks > 0 and state.lost[now] != (state.lost[then] if remembered else saved.lost[level, kept_at]):
            return False
    parts = m.tasks[task, PARTS]
    for back in range(1 + min(m.tasks[task, COPIES], PAST - 1)):
        now, then = (fired // parts - back) & (PAST - 1), (before // parts - back) & (PAST - 1)
        plan, earlier = state.past[task, now], saved.past[level, task, then]
        if plan != earlier and plan - earlier != stride:
            return False
    for wait in range(m.tasks[task, WAITS], m.tasks[task, WAITS_END]):
        target, inside = m.waits[wait, TARGET], m.waits[wait, PREFIX] > level
        if inside and number_of(m, state.digits, task, wait) < 0:
            return False
        moves = inside and m.tasks[target, COMMON] > level
        other = rate_of(state, saved, level, target) if moves else 0
        if works and (other > rate or (other != rate and state.bound[wait] >= saved.facts[level, STEP])):
            return False
    for use in range(m.tasks[task, USES], m.tasks[task, USES_END]):
        box, port = m.uses[use, BOX], m.uses[use, RESOURCE]
        if works and state.free[port] - saved.free[level, port] > rate:
            return False
        if (parts > 1 and state.tiles[use, 0] != saved.tiles[level, use, 0]) or state.tiles[use, 1] != saved.tiles[level, use, 1]:
            return False
        if state.tiles[use, 2] != saved.tiles[level, use, 2]:
            return False
        for dim in range(m.boxes[box, DIMS], m.boxes[box, DIMS_END]):
            if m.boxes[box, DELTA] == 0 or m.dims[dim, MARKS] >= 0:
                continue
            for side in range(2):
                if state.known[dim, side] - saved.known[level, dim, side] != turns * shift_of(m, dim, level):
                    return False
    return True


@helper()
def _cut(m: Machine, slot: int, digits: IntArray, first: int, level: int, digit: int) -> tuple[int, int]:
    """The interval of a slot in some turn of a common loop, all turns of loops inside it together: where it begins, and its size."""
    low, size = 0, m.slots[slot, EXTENT]
    if m.slots[slot, DEMAND] != WHOLE:
        low, size = 0, m.slots[slot, SOURCE]
        for at in range(m.slots[slot, CUTS], m.slots[slot, OWN]):
            if m.entries[at, 0] < level:
                before = digits[first + m.entries[at, 0]] * m.entries[at, 1] if m.entries[at, 0] >= 0 else 0
                low += before
                size = min(size - before, m.entries[at, 1])
        low, size = demanded(m.slots, slot, low, size)
    for at in range(m.slots[slot, OWN], m.slots[slot, OWN_END]):
        loop, tile = m.entries[at, 0], m.entries[at, 1]
        if loop > level:
            continue
        before = (digit if loop == level else digits[first + loop]) * tile if loop >= 0 else 0
        low += before
        size = min(size - before, tile)
    return low, size


@helper()
def _is_whole(m: Machine, slot: int, digits: IntArray, first: int, level: int, last: int) -> bool:
    """Whether a slot is as large in a turn of a common loop as in the first ones; windows move along with no loop."""
    for at in range(m.slots[slot, CUTS], m.slots[slot, OWN]):
        if m.entries[at, 0] == level:
            return False
    return tile_of(m, slot, level) == 0 or _cut(m, slot, digits, first, level, last)[1] == _cut(m, slot, digits, first, level, 1)[1]


@helper()
def is_regular(m: Machine, state: State, task: int, level: int, last: int) -> bool:
    """Whether all turns of a common loop, from the second to some last one, do the same with other coordinates."""
    first = m.tasks[task, LOOPS]
    for need in range(m.tasks[task, NEEDS], m.tasks[task, NEEDS_END]):
        for term in range(m.needs[need, 0], m.needs[need, 1]):
            slot = m.terms[term, 0]
            if m.terms[term, 1] != 0 and tile_of(m, slot, level) > 0:
                return False
            if not _is_whole(m, slot, state.digits, first, level, last):
                return False
    for point in range(m.tasks[task, POINTS], m.tasks[task, POINTS_END]):
        if not _is_whole(m, m.points[point, 0], state.digits, first, level, last):
            return False
    fold = m.tasks[task, FOLD]
    for point in range(m.folds[fold, DOWN], m.folds[fold, ACROSS_END]) if fold >= 0 else range(0):
        if not _is_whole(m, m.points[point, 0], state.digits, first, level, last):
            return False
    for again in range(m.tasks[task, AGAINS], m.tasks[task, AGAINS_END]):
        if not _is_whole(m, m.agains[again, 0], state.digits, first, level, last):
            return False
    for use in range(m.tasks[task, USES], m.tasks[task, USES_END]):
        box = m.uses[use, BOX]
        for point in range(m.boxes[box, WANTED], m.boxes[box, WANTED_END]):
            if not _is_whole(m, m.points[point, 0], state.digits, first, level, last):
                return False
        for dim in range(m.boxes[box, DIMS], m.boxes[box, DIMS_END]):
            if not _is_inside(m, state, dim, first, level, last):
                return False
    return True


@helper()
def _is_inside(m: Machine, state: State, dim: int, first: int, level: int, last: int) -> bool:
    """Whether a dimension keeps its size and stays inside its tensor in those turns."""
    moves = False
    for term in range(m.dims[dim, TERMS], m.dims[dim, TERMS_END]):
        slot = m.terms[term, 0]
        moves = moves or tile_of(m, slot, level) > 0
        if not _is_whole(m, slot, state.digits, first, level, last):
            return False
    if not moves:
        return True
    if m.dims[dim, DIVISOR] != 1 or m.dims[dim, MODULUS] != 0 or m.dims[dim, BENDS] < m.dims[dim, BENDS_END]:
        return False
    for digit in (1, last):
        low = high = m.dims[dim, OFFSET]
        for term in range(m.dims[dim, TERMS], m.dims[dim, TERMS_END]):
            start, size = _cut(m, m.terms[term, 0], state.digits, first, level, digit)
            factor = m.terms[term, 1]
            low += min(factor * start, factor * (start + size - 1))
            high += max(factor * start, factor * (start + size - 1))
        if low < m.dims[dim, LOW] or high >= m.dims[dim, HIGH]:
            return False
    return True
