"""Faults in netlists: 64 operand vectors in the bits of a word, one fault at a time, of which only what changes is worked out again.

The twin is `reference_gates.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from accelsim.kernel_cache import helper, njit

IntArray: TypeAlias = npt.NDArray[np.int64]
WordArray: TypeAlias = npt.NDArray[np.uint64]

STUCK_0, STUCK_1, SLOW_TO_RISE, SLOW_TO_FALL = 0, 1, 2, 3


class Gates(NamedTuple):
    """A netlist: gates in an order in which each comes after those that drive it.

    tables: uint64[gates] and sizes: int64[gates], as in `accelsim.rtl.netlist.Gate`; inputs: int64[gates, most pins], nets; outputs:
    int64[gates]; driver: int64[nets], the gate that drives it or -1; flops: int64[flops, 2], nets of D and Q; sinks: int64, gates that a
    net goes to, those of net n from first[n] on and before first[n + 1]; captures: the same for flip-flops, with capture_first.
    """

    nets: int
    tables: WordArray
    sizes: IntArray
    inputs: IntArray
    outputs: IntArray
    driver: IntArray
    flops: IntArray
    sinks: IntArray
    first: IntArray
    captures: IntArray
    capture_first: IntArray


class Lines(NamedTuple):
    """Faults, int64[faults] each: the net, the gate (or flip-flop, counted on from the gates) of which only an input has it, or -1, the
    place of that input, and the kind.
    """

    net: IntArray
    gate: IntArray
    pin: IntArray
    kind: IntArray


@helper(inline=True)
def _forced(kind: Any, now: Any, before: Any) -> Any:
    """What a line with a fault shows; now and before: what drives it in this cycle and the last."""
    if kind == STUCK_0:
        return np.uint64(0)
    if kind == STUCK_1:
        return ~np.uint64(0)
    return now & before if kind == SLOW_TO_RISE else now | before


@helper()
def _gate(table: Any, size: Any, words: Any, fold: Any) -> Any:
    """Output of a gate for words on its inputs."""
    one = np.uint64(1)
    if size == 2:
        a, b = words[0], words[1]
        low = (np.uint64(0) - (table & one)) & ~a | (np.uint64(0) - (table >> one & one)) & a
        high = (np.uint64(0) - (table >> np.uint64(2) & one)) & ~a | (np.uint64(0) - (table >> np.uint64(3) & one)) & a
        return low & ~b | high & b
    if size == 1:
        return (np.uint64(0) - (table & one)) & ~words[0] | (np.uint64(0) - (table >> one & one)) & words[0]
    rows = 1 << size
    for row in range(rows):
        fold[row] = np.uint64(0) - (table >> np.uint64(row) & one)
    for pin in range(size):
        rows //= 2
        for row in range(rows):
            fold[row] = fold[2 * row] & ~words[pin] | fold[2 * row + 1] & words[pin]
    return fold[0]


@njit(error_model="numpy")
def golden(gates: Gates, places: IntArray, given: WordArray, state: WordArray) -> WordArray:
    """Every net in every cycle without a fault, uint64[cycles + 1, nets]; in the last row only flip-flops, after the last edge, are new.

    places: int64[inputs], nets; given: uint64[cycles, inputs]; state: uint64[flops], at first. Other inputs are 0.
    """
    cycles = given.shape[0]
    found = np.zeros((cycles + 1, gates.nets), np.uint64)
    words, fold = np.zeros(8, np.uint64), np.zeros(256, np.uint64)
    for cycle in range(cycles + 1):
        now = found[cycle]
        now[1] = ~np.uint64(0)
        for flop in range(gates.flops.shape[0]):
            now[gates.flops[flop, 1]] = found[cycle - 1, gates.flops[flop, 0]] if cycle else state[flop]
        if cycle == cycles:
            break
        for place in range(places.shape[0]):
            now[places[place]] = given[cycle, place]
        for gate in range(gates.tables.shape[0]):
            size = gates.sizes[gate]
            for pin in range(size):
                words[pin] = now[gates.inputs[gate, pin]]
            now[gates.outputs[gate]] = _gate(gates.tables[gate], size, words, fold)
    return found


@njit(error_model="numpy")
def differences(gates: Gates, lines: Lines, good: WordArray, seen_cycle: IntArray, seen_net: IntArray) -> WordArray:
    """Where nets differ from those without a fault: uint64[faults, seen].

    good: as `golden` returns it. seen_cycle, seen_net: int64[seen], what is looked at, in the order of cycles; the cycle after the last
    shows flip-flops. A fault is there from the first cycle on; before it a slow line was what drives it in the first one.
    """
    faults, cycles, seen = lines.net.shape[0], good.shape[0] - 1, seen_net.shape[0]
    last = seen_cycle[seen - 1]
    count = gates.tables.shape[0]
    flops = gates.flops.shape[0]
    found = np.zeros((faults, seen), np.uint64)
    bad, stamp = np.zeros(gates.nets, np.uint64), np.zeros(gates.nets, np.int64)
    waiting = np.zeros(count // 64 + 1, np.uint64)  # gates to work out, a bit each
    struck, wrong = np.zeros(flops, np.int64), np.zeros(flops, np.uint64)  # flip-flops that differ, and what they hold
    taken, mark = np.zeros(flops, np.int64), np.zeros(flops, np.int64)
    words, fold = np.zeros(8, np.uint64), np.zeros(256, np.uint64)
    epoch, one = 0, np.uint64(1)
    for fault in range(faults):
        net, target, pin_at, kind = lines.net[fault], lines.gate[fault], lines.pin[fault], lines.kind[fault]
        differing, look, before = 0, 0, np.uint64(0)
        for cycle in range(min(cycles, last) + 1):
            epoch += 1
            now = good[cycle]
            low, high = count, -1  # gates that wait lie between
            changed = 0  # nets that differ at first
            drive = now[net]
            for place in range(differing):
                q = gates.flops[struck[place], 1]
                if q == net:
                    drive = wrong[place]
                if q != net or target >= 0:
                    bad[q] = wrong[place]
                    stamp[q] = epoch
                    changed += 1
                    for sink in range(gates.first[q], gates.first[q + 1]):
                        gate = gates.sinks[sink]
                        waiting[gate >> 6] |= one << np.uint64(gate & 63)
                        low, high = min(low, gate), max(high, gate)
            taking = 0  # flip-flops whose D differs
            if target < 0 and (gates.driver[net] < 0):
                shown = _forced(kind, drive, before if cycle else drive)
                before = drive
                if shown != now[net]:
                    bad[net] = shown
                    stamp[net] = epoch
                    for sink in range(gates.first[net], gates.first[net + 1]):
                        gate = gates.sinks[sink]
                        waiting[gate >> 6] |= one << np.uint64(gate & 63)
                        low, high = min(low, gate), max(high, gate)
            if cycle < cycles:
                forces = -1  # a gate that is worked out in any case
                if target < 0 and gates.driver[net] >= 0:
                    forces = gates.driver[net]
                elif 0 <= target < count:
                    forces = target
                if forces >= 0:
                    waiting[forces >> 6] |= one << np.uint64(forces & 63)
                    low, high = min(low, forces), max(high, forces)
                block = low >> 6
                while block <= high >> 6:
                    left = waiting[block]
                    if left == np.uint64(0):
                        block += 1
                        continue
                    bit = 0
                    lowest = left & (~left + one)
                    while lowest > one:  # its place
                        step = 32 if lowest >> np.uint64(32) else 16 if lowest >> np.uint64(16) else 8 if lowest >> np.uint64(8) else 1
                        lowest >>= np.uint64(step)
                        bit += step
                    gate = (block << 6) + bit
                    waiting[block] = left & (left - one)
                    for pin in range(gates.sizes[gate]):
                        source = gates.inputs[gate, pin]
                        word = bad[source] if stamp[source] == epoch else now[source]
                        if gate == target and pin == pin_at:
                            shown = _forced(kind, word, before if cycle else word)
                            before = word
                            word = shown
                        words[pin] = word
                    word = _gate(gates.tables[gate], gates.sizes[gate], words, fold)
                    out = gates.outputs[gate]
                    if target < 0 and out == net:
                        shown = _forced(kind, word, before if cycle else word)
                        before = word
                        word = shown
                    if word != now[out]:
                        bad[out] = word
                        stamp[out] = epoch
                        for sink in range(gates.first[out], gates.first[out + 1]):
                            after = gates.sinks[sink]
                            waiting[after >> 6] |= one << np.uint64(after & 63)
                            high = max(high, after)
                        for place in range(gates.capture_first[out], gates.capture_first[out + 1]):
                            taken[taking] = gates.captures[place]
                            mark[gates.captures[place]] = epoch
                            taking += 1
            while look < seen and seen_cycle[look] == cycle:
                at = seen_net[look]
                if stamp[at] == epoch:
                    found[fault, look] = bad[at] ^ now[at]
                look += 1
            if cycle >= last or cycle == cycles:
                break
            # what flip-flops take: of gates that differ, of flip-flops and inputs that differ, and that with the fault
            for place in range(differing):
                q = gates.flops[struck[place], 1]
                if stamp[q] == epoch:
                    for capture in range(gates.capture_first[q], gates.capture_first[q + 1]):
                        if mark[gates.captures[capture]] != epoch:
                            taken[taking] = gates.captures[capture]
                            mark[gates.captures[capture]] = epoch
                            taking += 1
            if target < 0 and gates.driver[net] < 0 and stamp[net] == epoch:
                for capture in range(gates.capture_first[net], gates.capture_first[net + 1]):
                    if mark[gates.captures[capture]] != epoch:
                        taken[taking] = gates.captures[capture]
                        mark[gates.captures[capture]] = epoch
                        taking += 1
            if target >= count and mark[target - count] != epoch:
                taken[taking] = target - count
                mark[target - count] = epoch
                taking += 1
            differing = 0
            for place in range(taking):
                flop = taken[place]
                d = gates.flops[flop, 0]
                word = bad[d] if stamp[d] == epoch else now[d]
                if flop == target - count:
                    shown = _forced(kind, word, before if cycle else word)
                    before = word
                    word = shown
                if word != now[d]:
                    struck[differing], wrong[differing] = flop, word
                    differing += 1
    return found
