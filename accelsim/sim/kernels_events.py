"""The event simulation: tasks fire in their planned order, each as soon as what it waits for has ended and its resources are free.

Times are ticks. The order does not depend on how fast memories are, so that a faster one never makes anything later.
Source: docs/simulator.md, "Events".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.kernel_cache import helper, njit
from accelsim.sim.kernels_banks import pile, uneven
from accelsim.sim.kernels_boxes import (
    ACROSS,
    ACROSS_END,
    ACTIVE,
    AGAIN,
    AHEAD,
    BANKS,
    BARRIER,
    BOX,
    BUSY,
    COLUMNS,
    COMMON,
    COMPUTE,
    COPIES,
    COUNT,
    CYCLE,
    DOWN,
    DOWN_END,
    EDGE,
    ENDS,
    EXIT,
    FINE,
    FIRED,
    FIRST,
    FOLD,
    FULL,
    GUARD,
    ISSUE,
    KIND,
    LAST,
    LAST_END,
    LATENCY,
    LATEST,
    LESS,
    LOOPS,
    LOOPS_END,
    LOST,
    OPEN,
    OPERAND,
    PARTS,
    REMAINS,
    RESOURCE,
    RING,
    RING_SIZE,
    ROWS,
    RULE,
    SHADOW,
    SHARE,
    SPLIT,
    STAYS,
    TARGET,
    TICKS,
    TIE,
    TRIPS,
    UNEVEN,
    UNIT,
    USES,
    USES_END,
    WAITS,
    WAITS_END,
    WHOLES,
    WITHIN,
    WORKED,
    FloatArray,
    IntArray,
    Machine,
    active,
    in_use,
    issues,
    opens_and_closes,
)  # fmt: skip
from accelsim.sim.kernels_event_state import LONGEST, NEVER, OUTSTANDING, State, beyond, blank, number_of
from accelsim.sim.kernels_leaps import leap
from accelsim.sim.kernels_words import words

DONE, TOO_SHORT, STUCK, TOO_LONG = range(4)


@helper(inline=True)
def _turn(m: Machine, task: int, digits: IntArray) -> bool:
    """To the next firing; whether there is one."""
    for loop in range(m.tasks[task, LOOPS_END] - 1, m.tasks[task, LOOPS] - 1, -1):
        digits[loop] += 1
        if digits[loop] < m.loops[loop, TRIPS]:
            return True
        digits[loop] = 0
    return False


@helper(inline=True)
def _plan(m: Machine, task: int, digits: IntArray) -> float:
    key = m.plans[task, 0]
    for loop in range(m.tasks[task, LOOPS], m.tasks[task, LOOPS_END]):
        key += digits[loop] * m.strides[loop]
    return float(key)


@njit(error_model="numpy")
def run(m: Machine, ring: IntArray, traced: IntArray, leaps: bool, service: IntArray, log: IntArray) -> Any:
    """Fire every task to its end.

    ring: int64[sum of ring sizes], room for the last ends of every task. traced: int64[most, 4], filled with (task, number, start, end) of
    the first firings that take time. leaps: count iterations that go as those before, where nothing is traced. service: int64[servings],
    ticks of each serving of the resource `m.timed`, in order (-1: as at its bandwidth). log: int64[servings, 4], filled with their (task,
    number, start, end); both have no rows where there is no such resource. Returns: how it went
    (DONE; TOO_SHORT: a ring was; STUCK: a task waits for a firing that is planned after its own; TOO_LONG: more ticks than can be
    counted), the task or the wait, ticks until the last end, `spent` and `causes` of the last state, its `tasks`, how many were traced,
    how many servings there were of `m.timed`, and how many steps were taken.
    """
    count, waits = m.tasks.shape[0], m.waits.shape[0]
    state = State(
        np.zeros(m.loops.shape[0], np.int64), np.zeros((count, 5), np.int64), np.empty(count, np.float64), np.full((count, 8), NEVER), ring,
        np.zeros(m.resources, np.int64), np.zeros((m.resources, 5), np.int64), np.zeros((m.resources, OUTSTANDING), np.int64),
        np.zeros(m.resources, np.int64), np.zeros((count, (waits + m.resources) * (2 if m.banks else 1) + 2), np.int64),
        np.zeros((max(1, m.dims.shape[0]), 5), np.int64), np.zeros(m.marks, np.int64), np.full(waits, -1, np.int64),
        np.zeros((m.uses.shape[0], 3), np.int64), np.zeros(ring.shape[0] if m.banks else 0, np.int64),
        np.zeros(m.resources if m.banks else 0, np.int64), np.zeros(m.resources, np.int64), np.zeros((6, m.banks), np.int64),
        np.zeros(count, np.int64), np.zeros(max(OUTSTANDING, ring.shape[0]), np.int64),
    )  # fmt: skip
    clock = _clock(m)
    saved = blank(m, state, m.tasks[clock, COMMON] if leaps else 0)
    asked, ends = np.zeros(m.resources, np.int64), np.zeros(waits, np.int64)
    inside = beyond(m, clock, m.tasks[clock, COMMON])
    keys, tasks = state.keys, state.tasks
    for task in range(count):
        keys[task] = _first_key(m, task, state.digits, state.past)
    total, seen, idle, step = 0, 0, 0, 0  # idle: tasks in a row whose turn had not come
    while True:
        task, least = -1, 1.0e301
        for each in range(count):
            if keys[each] < least or (keys[each] == least and task >= 0 and m.tasks[each, TIE] < m.tasks[task, TIE]):
                task, least = each, keys[each]
        if task < 0 or least >= 1.0e300:
            break
        begins = leaps and task == clock and idle == 0 and tasks[clock, FIRED] % inside == 0 and seen == traced.shape[0]
        if begins and leap(m, state, saved, clock, step, least):
            for each in range(count):
                total = max(total, tasks[each, LATEST])
            continue
        if total > LONGEST:
            return TOO_LONG, task, total, state.spent, state.causes, tasks, seen, _served(m, state), step
        step += 1
        row = m.tasks[task]
        first = row[LOOPS]
        if active(m, task, state.digits, first):
            rows, late = _shape(m, state, task)
            start, cause, wrong = 0, waits + m.resources, DONE
            for wait in range(row[WAITS], row[WAITS_END]):
                end, wrong = _end(m, state, task, wait)
                end += m.waits[wait, STAYS] * rows - m.waits[wait, AHEAD] * late - m.waits[wait, LESS]
                ends[wait] = end
                if wrong == STUCK:  # planned too early: its turn comes after that of what it waits for
                    target = m.waits[wait, TARGET]
                    if keys[target] >= 1.0e300 or idle > count:
                        return STUCK, wait, total, state.spent, state.causes, tasks, seen, _served(m, state), step
                    keys[task] = np.nextafter(keys[target], 1.0e301)
                    idle += 1
                    break
                if wrong == TOO_SHORT:
                    return TOO_SHORT, m.waits[wait, TARGET], total, state.spent, state.causes, tasks, seen, _served(m, state), step
                if end > start:
                    start, cause = end, wait
            if wrong == STUCK:
                continue
            opens, closes = opens_and_closes(m, task, state.digits, first)
            for use in range(row[USES], row[USES_END]):
                rule, port = m.uses[use, RULE], m.uses[use, RESOURCE]
                counts = (rule != FIRST or opens) and (rule != AGAIN or not opens) and (rule != LAST or closes)
                if m.uses[use, BANKS] > 1:
                    pile(m, state, task, use, counts)
                moved = _moved(m, state, task, use)
                if counts:
                    if m.uses[use, SHARE] != m.uses[use, WHOLES]:
                        moved = _shared(m, state, use, moved)
                    asked[port] += moved * m.uses[use, TICKS]
                if m.uses[use, BANKS] > 1 and m.uses[use, ENDS]:
                    more = uneven(m, state, task, use)
                    asked[port] += more
                    state.over[port] += more
            unit = row[UNIT]
            if unit >= 0:
                asked[unit] = issues(m, task, state.digits, first) * row[ISSUE]
                if state.free[unit] > start:
                    start, cause = state.free[unit], waits + unit
                if row[FOLD] >= 0:
                    gate = _gate(m, state, task, rows, asked[unit])
                    if gate > start:
                        start, cause = gate, waits + m.resources + 1
            moves, finish, port, pressed, lost = _serve(m, state, task, asked, start, service, log)
            if moves:
                for wait in range(row[WAITS], row[WAITS_END]):
                    if pressed and ends[wait] >= start:
                        state.bound[wait] = step
                if unit >= 0:
                    finish, lost = _work(m, state, task, asked[unit], start, finish, cause, port, lost)
                    if row[FOLD] >= 0:
                        state.spent[unit, OPEN] = start if m.folds[row[FOLD], SHADOW] else finish + late - row[LATENCY]
                        state.spent[unit, EXIT] = finish + rows
                tasks[task, ACTIVE] += 1
                if finish + late >= tasks[task, LATEST]:
                    tasks[task, LATEST], tasks[task, LOST] = finish + late, lost
                total = max(total, tasks[task, LATEST])
                if seen < traced.shape[0] and finish > start:
                    served_from = start if unit >= 0 else max(start, finish - asked.max())  # a transfer may have waited for its port
                    traced[seen, 0], traced[seen, 1], traced[seen, 2], traced[seen, 3] = task, tasks[task, FIRED], served_from, finish
                    seen += 1
            asked[:] = 0
            if m.banks > 0:
                state.over[:] = 0
        if m.banks > 0:
            state.lost[row[RING] + (tasks[task, FIRED] & (row[RING_SIZE] - 1))] = tasks[task, LOST]
        ring[row[RING] + (tasks[task, FIRED] & (row[RING_SIZE] - 1))] = tasks[task, LATEST]
        tasks[task, FIRED] += 1
        idle = 0
        if _turn(m, task, state.digits):
            keys[task] = _next_key(m, task, state.digits, state.past, tasks[task, FIRED])
        else:
            keys[task] = 1.0e300
    return DONE, 0, total, state.spent, state.causes, tasks, seen, _served(m, state), step


@helper()
def _served(m: Machine, state: State) -> int:
    """How often the timed resource was asked for something."""
    return int(state.served[m.timed]) if m.timed >= 0 else 0


@helper(inline=True)
def _moved(m: Machine, state: State, task: int, use: int) -> int:
    """Words that a firing moves for a use: all of the box, or the part whose turn it is."""
    first, parts = m.tasks[task, LOOPS], m.tasks[task, PARTS]
    part = state.tasks[task, FIRED] % parts
    if part == 0:
        state.tiles[use, 0] = words(m, m.uses[use, BOX], state.digits, first, state.known, state.marks)
    return int(state.tiles[use, 0] // parts + (state.tiles[use, 0] % parts if part == 0 else 0))


@helper()
def _shared(m: Machine, state: State, use: int, moved: int) -> int:
    """How many of some words a use means, if it means a share of all."""
    total = state.tiles[use, 1] + moved * m.uses[use, SHARE]
    mine = total // m.uses[use, WHOLES]
    state.tiles[use, 1] = total - mine * m.uses[use, WHOLES]
    return int(moved - mine if m.uses[use, REMAINS] else mine)


@helper()
def _clock(m: Machine) -> int:
    """An Einsum's task: its iterations are those of the common loops."""
    for task in range(m.tasks.shape[0]):
        if m.tasks[task, KIND] == COMPUTE:
            return task
    return 0


@helper(inline=True)
def _end(m: Machine, state: State, task: int, wait: int) -> tuple[int, int]:
    """When what a firing waits for has ended, in ticks, and what is wrong: STUCK where that has not been fired, TOO_SHORT where it was
    forgotten."""
    if m.waits[wait, GUARD] >= 0 and state.digits[m.tasks[task, LOOPS] + m.waits[wait, GUARD]] == 0:
        return -1, DONE
    number = number_of(m, state.digits, task, wait)
    if number < 0:
        return -1, DONE
    target = m.waits[wait, TARGET]
    number = min(number, m.tasks[target, COUNT] - 1)
    if number >= state.tasks[target, FIRED]:
        return -1, STUCK
    size = m.tasks[target, RING_SIZE]
    if number < state.tasks[target, FIRED] - size:
        return -1, TOO_SHORT
    return state.ring[m.tasks[target, RING] + (number & (size - 1))], DONE


@helper(inline=True)
def _shape(m: Machine, state: State, task: int) -> tuple[int, int]:
    """Of a firing: ticks in which the rows of a systolic array load or empty, and those until its results have arrived after its work."""
    fold, first = m.tasks[task, FOLD], m.tasks[task, LOOPS]
    if fold < 0:
        return 0, m.tasks[task, LATENCY]
    rows, columns = m.folds[fold, ROWS], m.folds[fold, COLUMNS]
    if m.folds[fold, FULL] == 0:
        rows = in_use(m, m.folds[fold, DOWN], m.folds[fold, DOWN_END], state.digits, first)
        columns = in_use(m, m.folds[fold, ACROSS], m.folds[fold, ACROSS_END], state.digits, first)
    out = m.folds[fold, ROWS] - rows if m.folds[fold, OPERAND] else m.folds[fold, ROWS] * m.folds[fold, EDGE]
    cycle = m.folds[fold, CYCLE]
    return rows * cycle, m.tasks[task, LATENCY] + (rows + columns - 2 + out) * cycle


@helper(inline=True)
def _gate(m: Machine, state: State, task: int, rows: int, steps: int) -> int:
    """When a systolic array takes the first step of a tile: its operand has loaded, or the results before make way for its own."""
    fold, unit = m.tasks[task, FOLD], m.tasks[task, UNIT]
    if m.folds[fold, OPERAND]:
        return int(state.spent[unit, OPEN]) + rows
    if m.folds[fold, SHADOW]:
        return int(state.spent[unit, EXIT]) - steps if m.folds[fold, EDGE] else 0
    return int(state.spent[unit, OPEN])


@helper(inline=True)
def _serve(
    m: Machine, state: State, task: int, asked: IntArray, start: int, service: IntArray, log: IntArray
) -> tuple[bool, int, int, bool, int]:
    """Let ports serve a firing: whether it does anything, when it ends, the port that decides that (-1: none does), whether it makes
    a difference when it starts, and by how much it ends later than if it, and what it finds at its ports, were spread evenly over banks.
    """
    row, finish, late, even = m.tasks[task], start, -1, start
    moves = pressed = row[KIND] == COMPUTE or row[KIND] == BARRIER
    for resource in range(m.resources):
        if asked[resource] == 0 or resource == row[UNIT]:
            continue
        moves = True
        if resource == m.timed and service[state.served[resource]] >= 0:
            asked[resource] = service[state.served[resource]]
        held, at = start, state.served[resource] & (OUTSTANDING - 1)  # ports serve requests in their order
        if row[KIND] != COMPUTE and resource != m.uses[row[USES], RESOURCE]:
            held = state.starts[resource, at]  # but the inner end of a slow transfer leaves others room, as long as it holds few
        state.free[resource] = max(state.free[resource], held) + asked[resource]
        state.starts[resource, at] = start
        if resource == m.timed:
            logged = state.served[resource]
            log[logged, 0], log[logged, 1], log[logged, 2], log[logged, 3] = task, state.tasks[task, FIRED], start, state.free[resource]
        state.served[resource] += 1
        state.spent[resource, BUSY] += asked[resource]
        served = max(start + asked[resource], state.free[resource])
        pressed = pressed or start + asked[resource] >= state.free[resource]
        if served > finish:
            finish, late = served, resource
        if m.banks > 0:
            ticks = asked[resource] - state.over[resource]
            state.even[resource] = max(state.even[resource], held) + ticks
            state.spent[resource, UNEVEN] += state.over[resource]
            even = max(even, start + ticks, state.even[resource])
        state.spent[resource, LAST_END] = max(state.spent[resource, LAST_END], finish)
    return moves, finish, late, pressed, finish - even if m.banks > 0 else 0


@helper(inline=True)
def _work(m: Machine, state: State, task: int, ticks: int, start: int, finish: int, cause: int, late: int, lost: int) -> tuple[int, int]:
    """Let a unit work: when it is done, and how much of that is due to uneven banks. How long it stood still before, and for what, is
    counted.
    """
    unit, waits = m.tasks[task, UNIT], m.waits.shape[0]
    even = max(finish - lost, start + ticks)
    finish = max(finish, start + ticks)
    begun = state.spent[unit, BUSY] > 0
    stood, banks = start - state.free[unit], waits + m.resources + 2
    if m.banks > 0 and begun and cause < waits:
        due = min(stood, _lost(m, state, task, cause))
        state.causes[task, banks + cause] += due
        stood -= due
    state.causes[task, cause if begun else waits + m.resources] += stood
    if finish > start + ticks:
        state.causes[task, waits + late] += even - start - ticks
        if finish > even:
            state.causes[task, banks + waits + late] += finish - even
    if m.banks > 0:
        state.even[unit] = finish
    state.free[unit] = finish
    state.spent[unit, BUSY] += ticks
    state.tasks[task, WORKED] += ticks
    state.spent[unit, LAST_END] = finish
    return finish, finish - even


@helper()
def _lost(m: Machine, state: State, task: int, wait: int) -> int:
    """How much later than with even banks the firing has ended that a task's next one waits for."""
    target = m.waits[wait, TARGET]
    number = min(number_of(m, state.digits, task, wait), m.tasks[target, COUNT] - 1)
    return int(state.lost[m.tasks[target, RING] + (number & (m.tasks[target, RING_SIZE] - 1))])


@helper(inline=True)
def _first_key(m: Machine, task: int, digits: IntArray, past: FloatArray) -> float:
    own = _plan(m, task, digits)
    if m.tasks[task, COPIES] == 0:
        return own
    past[task, 0] = own
    return float(own + m.plans[task, 2])


@helper(inline=True)
def _next_key(m: Machine, task: int, digits: IntArray, past: FloatArray, fired: int) -> float:
    """When a firing is planned: a load once the tile before it is in use and the one whose place it takes is not. Its parts are spread
    from then to its use.
    """
    copies, parts = m.tasks[task, COPIES], m.tasks[task, PARTS]
    own = _plan(m, task, digits)
    if copies == 0:
        return own
    number = fired // parts  # of the tile
    if copies > 1 and m.tasks[task, WITHIN] >= 0:  # it comes out of a keep that has one place: not before that is filled again
        fresh = True
        for loop in range(m.tasks[task, LOOPS] + m.tasks[task, WITHIN], m.tasks[task, SPLIT]):
            fresh = fresh and digits[loop] == 0
        copies = 1 if fresh else copies
    key = past[task, (number - 1) & 7] if copies > 1 else NEVER
    held = min(copies, 8)
    if number >= held:
        key = max(key, past[task, (number - held) & 7] + m.plans[task, 1])
    past[task, number & 7] = own
    key = max(key, own + m.plans[task, 2])
    if parts > 1:
        part, fine = fired % parts, m.tasks[task, FINE]
        turn = max(0.0, own - key) / (parts // fine) // m.plans[task, 3] * m.plans[task, 3]
        key += part // fine * turn + part % fine * (turn / fine)
    return float(key)
