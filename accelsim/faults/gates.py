"""Permanent faults of gates: which lines of a netlist can be stuck or slow, which of these faults are one, and what they do to results.

A line is a net, or where a net goes to several inputs, one of those. A line that is slow shows its old value for one cycle more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from accelsim.errors import InputError, did_you_mean
from accelsim.faults import kernels_gates as kernels
from accelsim.faults.kernels_gates import Gates, Lines
from accelsim.rtl.netlist import Netlist

IntArray: TypeAlias = npt.NDArray[np.int64]
WordArray: TypeAlias = npt.NDArray[np.uint64]

STUCK_0, STUCK_1, SLOW_TO_RISE, SLOW_TO_FALL = KINDS = ("stuck at 0", "stuck at 1", "slow to rise", "slow to fall")
STUCK, SLOW = KINDS[:2], KINDS[2:]
LANES = 64


@dataclass(frozen=True, slots=True)
class GateFault:
    """A line and what is wrong with it. net: as yosys numbers it; cell and pin: the only input that has the fault, '' for the whole net.

    count: of faults that cannot be told from this one, itself included.
    """

    net: int | str
    kind: str
    cell: str = ""
    pin: str = ""
    count: int = 1


@dataclass(frozen=True)
class Circuit:
    """A netlist, ready for faults."""

    net: Netlist

    @cached_property
    def gates(self) -> Gates:
        """For the kernel."""
        net = self.net
        pins = [(int(net.inputs[gate, pin]), gate) for gate in range(len(net.tables)) for pin in range(net.sizes[gate])]
        driver = np.full(net.nets, -1, np.int64)
        driver[net.outputs] = np.arange(len(net.outputs))
        sinks, first = _by_net(net.nets, pins)
        captures, capture_first = _by_net(net.nets, [(int(d), flop) for flop, d in enumerate(net.flops[:, 0])])
        return Gates(
            net.nets, net.tables, net.sizes, net.inputs, net.outputs, driver, net.flops, sinks, first, captures, capture_first
        )  # fmt: skip

    @cached_property
    def lines(self) -> list[tuple[int, int, int]]:
        """Net, gate (flip-flops counted on) and place of its input, both -1 for the whole net. Neither constants nor the clock have one."""
        net, gates = self.net, len(self.net.tables)
        pins = [(int(net.inputs[gate, pin]), gate, pin) for gate in range(gates) for pin in range(net.sizes[gate])]
        pins += [(int(d), gates + flop, 0) for flop, d in enumerate(net.flops[:, 0])]
        goes = np.bincount([at for at, _, _ in pins], minlength=net.nets)
        given = [at for name, bits in net.ports.items() if name.endswith("_i") for at in bits if goes[at]]
        stems = sorted({at for at in (*given, *net.driven.tolist()) if at > 1})
        out = {at for name, bits in net.ports.items() if name.endswith("_o") for at in bits}
        branches = [(at, gate, pin) for at, gate, pin in pins if goes[at] > 1 or at in out or at <= 1]
        return [*((at, -1, -1) for at in stems), *branches]

    def faults(self, kinds: Sequence[str] = STUCK) -> list[GateFault]:
        """Of all lines, one for each class of those that no vector can tell apart, as far as single gates show it.

        Two inputs of a gate, stuck, are one fault where they leave it the same function; an input and the output where that is constant.
        Behind an inverter slow to rise is slow to fall. Counts sum to `len(self.lines) * len(kinds)`.
        """
        net, lines = self.net, self.lines
        numbers = {line: place for place, line in enumerate(lines)}
        of_pin = {(gate, pin): place for (_, gate, pin), place in numbers.items() if gate >= 0}
        of_net = {at: place for (at, gate, _), place in numbers.items() if gate < 0}
        leads = {(place, kind): (place, kind) for place in range(len(lines)) for kind in kinds}

        def find(one: tuple[int, str]) -> tuple[int, str]:
            while leads[one] != one:
                one = leads[one]
            return one

        for gate in range(len(net.tables)):  # in their order: the output comes to lead
            size, table, out = int(net.sizes[gate]), int(net.tables[gate]), of_net[int(net.outputs[gate])]
            full = (1 << (1 << size)) - 1
            known: dict[int, tuple[int, str]] = {}
            if STUCK_0 in kinds:
                known[0] = out, STUCK_0
            if STUCK_1 in kinds:
                known[full] = out, STUCK_1
            for pin in range(size):
                line = of_pin.get((gate, pin), of_net.get(int(net.inputs[gate, pin])))
                if line is None:
                    continue
                for value, kind in enumerate(STUCK):
                    if kind in kinds:
                        left = sum(1 << row for row in range(1 << size) if table >> (row & ~(1 << pin) | value << pin) & 1)
                        lead = find(known.setdefault(left, (line, kind)))
                        own = find((line, kind))
                        leads[own] = lead
                if size == 1:
                    for kind, other in ((SLOW_TO_RISE, SLOW_TO_FALL), (SLOW_TO_FALL, SLOW_TO_RISE)):
                        behind = kind if table == 0b10 else other
                        if kind in kinds and behind in kinds:
                            leads[find((line, kind))] = find((out, behind))
        counts: dict[tuple[int, str], int] = {}
        for each in leads:
            lead = find(each)
            counts[lead] = counts.get(lead, 0) + 1
        return [self._fault(lines[place], kind, count) for (place, kind), count in counts.items()]

    def _fault(self, line: tuple[int, int, int], kind: str, count: int) -> GateFault:
        at, gate, pin = line
        cell = self.net.cells[gate] if gate >= 0 else ""
        return GateFault(self.net.bits[at], kind, cell, self._pin(gate, pin), count)

    def _pin(self, gate: int, pin: int) -> str:
        if gate < 0:
            return ""
        return "D" if gate >= len(self.net.tables) else self.net.pins[gate][pin]

    def rows(self, faults: Sequence[GateFault]) -> Lines:
        """For the kernel. InputError for a line that is not there."""
        at = {bit: place for place, bit in enumerate(self.net.bits)}
        cells = {name: place for place, name in enumerate(self.net.cells)}
        found = []
        for fault in faults:
            if fault.net not in at:
                raise InputError(f"there is no net {fault.net}", "take a fault of this netlist's `faults`")
            if fault.cell and fault.cell not in cells:
                raise InputError(f"there is no cell {fault.cell}", did_you_mean(fault.cell, cells))
            gate = cells[fault.cell] if fault.cell else -1
            size = 0 if gate < 0 else 1 if gate >= len(self.net.tables) else int(self.net.sizes[gate])
            pins = [self._pin(gate, pin) for pin in range(size)]
            if fault.cell and fault.pin not in pins:
                raise InputError(f"cell {fault.cell} has no input {fault.pin}", did_you_mean(fault.pin, pins))
            if fault.kind not in KINDS:
                raise InputError(f"there is no fault '{fault.kind}'", did_you_mean(fault.kind, KINDS))
            found.append((at[fault.net], gate, pins.index(fault.pin) if fault.cell else -1, KINDS.index(fault.kind)))
        table = np.array(found, np.int64).reshape(-1, 4)
        return Lines(*(np.ascontiguousarray(table[:, place]) for place in range(4)))

    def bits(self, name: str) -> tuple[int, ...]:
        """Nets of a port or a register. InputError if there is none."""
        known = {**self.net.wires, **self.net.ports}
        if name not in known:
            raise InputError(f"there is no port or register {name}", did_you_mean(name, known))
        return known[name]

    def run(
        self,
        faults: Sequence[GateFault],
        inputs: Sequence[Mapping[str, Any]],
        state: Mapping[str, Any],
        looks: Sequence[tuple[int, str]],
        vectors: int,
    ) -> tuple[list[WordArray], list[WordArray]]:
        """Words without faults, uint64[vectors], and bits that differ, uint64[faults, vectors], of what is looked at.

        inputs: by cycle, words of ports, uint64[vectors] or a number for all; others are 0, as are registers that `state` does not give.
        looks: cycles (the one behind the last shows registers) and names, of 64 bits at most.
        """
        gates, lines = self.gates, self.rows(faults)
        blocks = -(-vectors // LANES)
        names = sorted({name for each in inputs for name in each})
        places = np.array([net for name in names for net in self.bits(name)], np.int64)
        planes = {
            (cycle, name): planes_of(each[name], len(self.bits(name)), vectors) for cycle, each in enumerate(inputs) for name in each
        }
        given = np.zeros((blocks, len(inputs), len(places)), np.uint64)
        start = 0
        for name in names:
            width = len(self.bits(name))
            for cycle in range(len(inputs)):
                if (cycle, name) in planes:
                    given[:, cycle, start : start + width] = planes[cycle, name].T
            start += width
        held = np.zeros((blocks, len(self.net.flops)), np.uint64)
        flop_of = {int(q): flop for flop, q in enumerate(self.net.flops[:, 1])}
        for name, word in state.items():
            nets = self.bits(name)
            if any(net not in flop_of for net in nets):
                raise InputError(f"{name} is no register", "give its words as those of an input")
            held[:, [flop_of[net] for net in nets]] = planes_of(word, len(nets), vectors).T
        order = sorted(range(len(looks)), key=lambda place: looks[place][0])
        seen = [(looks[place][0], net, place) for place in order for net in self.bits(looks[place][1])]
        at_cycle, at_net = (np.array([each[which] for each in seen], np.int64) for which in (0, 1))
        wrong = np.zeros((len(faults), len(seen), blocks), np.uint64)
        right = np.zeros((len(seen), blocks), np.uint64)
        for block in range(blocks):
            good = kernels.golden(gates, places, given[block], held[block])
            right[:, block] = good[at_cycle, at_net]
            wrong[:, :, block] = kernels.differences(gates, lines, good, at_cycle, at_net)
        of_look: list[list[int]] = [[] for _ in looks]
        for place, (_, _, look) in enumerate(seen):
            of_look[look].append(place)
        goods, bads = [np.zeros(0, np.uint64)] * len(looks), [np.zeros(0, np.uint64)] * len(looks)
        for name in {name for _, name in looks}:  # all cycles at once
            mine = [look for look, (_, each) in enumerate(looks) if each == name]
            at = np.array([of_look[look] for look in mine], np.int64)
            good_words, bad_words = words_of(right[at], vectors), words_of(wrong[:, at], vectors)
            for place, look in enumerate(mine):
                goods[look], bads[look] = good_words[place], bad_words[:, place]
        return goods, bads


def _by_net(nets: int, pairs: list[tuple[int, int]]) -> tuple[IntArray, IntArray]:
    """Second members of pairs, each once for a net, in the order of nets, and where those of a net begin."""
    unique = sorted(set(pairs))
    first = np.zeros(nets + 1, np.int64)
    np.cumsum(np.bincount([at for at, _ in unique], minlength=nets), out=first[1:])
    return np.array([each for _, each in unique], np.int64), first


def planes_of(words: Any, width: int, vectors: int) -> WordArray:
    """Words as uint64[width, blocks], a vector in each bit. InputError for more than 64 bits."""
    if width > LANES:
        raise InputError(f"a word of {width} bits is wider than {LANES}", "give the unit parameters with narrower ports")
    blocks = -(-vectors // LANES)
    if isinstance(words, int):
        full = np.full(blocks, (1 << LANES) - 1, np.uint64)
        full[-1] = (1 << vectors - (blocks - 1) * LANES) - 1
        return full[None, :] * (np.uint64(words & (1 << LANES) - 1) >> np.arange(width, dtype=np.uint64)[:, None] & np.uint64(1))
    lanes = np.zeros(blocks * LANES, np.uint64)
    lanes[:vectors] = np.asarray(words).astype(np.uint64)
    bits = lanes[None, :] >> np.arange(width, dtype=np.uint64)[:, None] & np.uint64(1)
    return np.packbits(bits.astype(np.uint8), axis=1, bitorder="little").view(np.uint64)


def words_of(planes: WordArray, vectors: int) -> WordArray:
    """Words of `planes_of`, uint64[..., vectors]."""
    lanes = np.unpackbits(np.ascontiguousarray(planes).view(np.uint8), axis=-1, bitorder="little")[..., :vectors]
    found = np.zeros((*planes.shape[:-2], vectors), np.uint64)
    for place in range(planes.shape[-2]):
        found |= lanes[..., place, :].astype(np.uint64) << np.uint64(place)
    return found
