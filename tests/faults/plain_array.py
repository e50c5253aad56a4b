"""A grid array in plain Python, one clock edge after the other: what each register is next, from what all were before. For small arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.faults.grid import GridRun
from accelsim.sim.systolic import RESULT

Key = tuple[str, int, int]
State = dict[Key, int]


def raw(run: GridRun, late: tuple[int, int] | None) -> Any:
    """As `GridRtl.raw`, with a register (by its place) that keeps its word at the edge of a cycle, or none."""
    keys = [(site.field.name, site.row, site.column) for _, site in run.registers.sites()]
    state: State = dict.fromkeys(keys, 0)
    rows, columns = run.grid.rows, run.grid.columns
    found = np.zeros((len(run.streams.flags), 2 * columns), np.int64)
    for cycle in range(len(run.streams.flags)):
        for column in range(columns):
            if run.stays == RESULT:
                word, there = state["d_q", rows - 1, column], state["d_valid_q", rows - 1, column]
                there &= any(state["token_q", row, column] for row in range(rows))
            else:
                word, there = state["p_q", rows - 1, column], state["valid_q", rows - 1, column]
            found[cycle, column], found[cycle, columns + column] = word, there
        after = result_stays(run, state, cycle) if run.stays == RESULT else operand_stays(run, state, cycle)
        assert after.keys() == state.keys()
        if late is not None and late[1] == cycle:
            key = keys[late[0]]
            after[key] = state[key]
        state = after
    return found


def delayed(state: State, after: State, name: str, lane: int, down: bool, word: int) -> int:
    """What leaves a chain of `lane` registers into which a word goes."""
    chain: list[Key] = [(name, age, lane) if down else (name, lane, age) for age in range(lane)]
    for key, held in zip(chain, [word, *(state[key] for key in chain)], strict=False):
        after[key] = held
    return state[chain[-1]] if chain else word


def wrapped(word: int, bits: int) -> int:
    """Modulo 2^bits, signed."""
    return (word + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


def result_stays(run: GridRun, state: State, cycle: int) -> State:
    """One edge of an array in which the results stay."""
    rows, columns, streams = run.grid.rows, run.grid.columns, run.streams
    valid, first, last, _ = (int(each) for each in streams.flags[cycle])
    used = [int(each) for each in streams.rows[cycle]]
    after: State = {}
    across, down = [], []
    for row in range(rows):
        bottom = int(row == rows - 1 or not used[row + 1])
        sent = {"": int(streams.a[cycle, row]), "_bottom": bottom, "_last": last, "_first": first, "_valid": valid & used[row]}
        across.append({name: delayed(state, after, "skew_a" + name, row, False, word) for name, word in sent.items()})
    for column in range(columns):
        sent = {"": int(streams.b[cycle, column]), "_valid": valid & int(streams.columns[cycle, column])}
        down.append({name: delayed(state, after, "skew_b" + name, column, True, word) for name, word in sent.items()})
    for column in range(columns):
        done = False
        for row in range(rows):
            left = {"": "a_q", "_bottom": "bottom_q", "_last": "last_q", "_first": "first_q", "_valid": "a_valid_q"}
            a = across[row] if column == 0 else {name: state[held, row, column - 1] for name, held in left.items()}
            b = down[column] if row == 0 else {"": state["b_q", row - 1, column], "_valid": state["b_valid_q", row - 1, column]}
            works = a["_valid"] and b["_valid"]
            total = wrapped((0 if a["_first"] else state["c_q", row, column]) + a[""] * b[""], run.widths.sum)
            ends, shifts = works and a["_last"], any(state["token_q", each, column] for each in range(row + 1))
            above = (state["d_q", row - 1, column], state["d_valid_q", row - 1, column]) if row else (0, 0)
            kept = state["d_q", row, column], state["d_valid_q", row, column]
            after["d_q", row, column], after["d_valid_q", row, column] = (total, 1) if ends else above if shifts else kept
            after["c_q", row, column] = total if works else state["c_q", row, column]
            done = done or bool(ends and a["_bottom"])
            for name, held in left.items():
                after[held, row, column] = a[name]
            after["b_q", row, column], after["b_valid_q", row, column] = b[""], b["_valid"]
            after["token_q", row, column] = state["token_q", row - 1, column] if row else 0
        after["token_q", 0, column] = int(done)
    return after


def operand_stays(run: GridRun, state: State, cycle: int) -> State:
    """One edge of an array in which an operand stays."""
    rows, columns, streams = run.grid.rows, run.grid.columns, run.streams
    valid, first, fresh, _ = (int(each) for each in streams.flags[cycle])
    after: State = {}
    across, down = [], []
    for row in range(rows):
        sent = {"": int(streams.a[cycle, row]), "_first": first, "_valid": valid}
        across.append({name: delayed(state, after, "skew_a" + name, row, False, word) for name, word in sent.items()})
    for column in range(columns):
        sent = {"": int(streams.b[cycle, column]), "_first": fresh, "_load": int(streams.columns[cycle, column])}
        down.append({name: delayed(state, after, "skew_w" + name, column, True, word) for name, word in sent.items()})
    for row in range(rows):
        for column in range(columns):
            left = {"": "a_q", "_first": "first_q", "_valid": "valid_q"}
            a = across[row] if column == 0 else {name: state[held, row, column - 1] for name, held in left.items()}
            loads = down[column]["_load"]
            if row:
                loads = loads and not down[column]["_first"] and state["reached_q", row - 1, column]
            stays = state["v_q" if a["_first"] else "w_q", row, column]
            total = (state["p_q", row - 1, column] if row else 0) + a[""] * stays
            after["w_q", row, column] = stays if a["_valid"] else state["w_q", row, column]
            after["p_q", row, column] = wrapped(total, run.widths.sum) if a["_valid"] else state["p_q", row, column]
            came = state["v_q", row - 1, column] if row else down[column][""]
            after["v_q", row, column] = came if loads else state["v_q", row, column]
            for name, held in left.items():
                after[held, row, column] = a[name]
            if row < rows - 1:
                after["reached_q", row, column] = int(bool(loads))
    return after
