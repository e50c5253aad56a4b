"""A flat netlist of simple gates and flip-flops, as yosys writes it, and what it does: 64 runs at once, one in each bit of a word.

Delays are zero: a net settles once a cycle, so that glitches are not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from accelsim.kernel_cache import njit

IntArray: TypeAlias = npt.NDArray[np.int64]
WordArray: TypeAlias = npt.NDArray[np.uint64]

LANES = 64
FLOP = "$_DFF_P_"
CODES = (
    "$_NOT_", "$_NAND_", "$_NOR_", "$_XOR_", "$_XNOR_", "$_MUX_", "$_NMUX_", "$_AOI3_", "$_OAI3_", "$_AOI4_", "$_OAI4_",
)  # fmt: skip
PINS = "ABCDS"  # inputs, in the order of the columns of `Netlist.inputs`
ZERO, ONE = 0, 1  # the nets of the constants


@dataclass(frozen=True, slots=True)
class Netlist:
    """Gates in an order in which each comes after those that drive it; a net is a place among values.

    codes: int64[gates], places in CODES; inputs: int64[gates, 5], nets of PINS; outputs: int64[gates]; flops: int64[flops, 2], nets of D
    and Q; ports: nets of each input and output, low bit first.
    """

    nets: int
    codes: IntArray
    inputs: IntArray
    outputs: IntArray
    flops: IntArray
    ports: Mapping[str, tuple[int, ...]]

    def run(self, words: Mapping[str, Sequence[Sequence[int]]], warm: int) -> tuple[float, dict[str, list[list[int]]]]:
        """Changes of gates and flip-flops in a cycle, and the words of each output, by cycle and lane, before its clock edge.

        words: of each input by cycle and lane; inputs that are not there are 0. Flip-flops are 0 at first. Changes are those from the
        cycle before, a mean over all lanes and the cycles from `warm` on.
        """
        cycles = len(next(iter(words.values())))
        driven = [(net, rows[:, place]) for name, column in words.items() for place, net, rows in self._bits(name, column)]
        places = np.array([net for net, _ in driven], np.int64)
        given = np.stack([rows for _, rows in driven], axis=1)
        outputs = [name for name in self.ports if name.endswith("_o")]
        seen = np.array([net for name in outputs for net in self.ports[name]], np.int64)
        changes, found = _run(self.nets, self.codes, self.inputs, self.outputs, self.flops, places, given, seen, warm)
        bits = np.unpackbits(found.view(np.uint8).reshape(cycles, len(seen), 8), axis=2, bitorder="little")
        said, start = {}, 0
        for name in outputs:
            width = len(self.ports[name])
            packed = np.packbits(bits[:, start : start + width], axis=1, bitorder="little")
            said[name] = [[int.from_bytes(packed[cycle, :, lane].tobytes(), "little") for lane in range(LANES)] for cycle in range(cycles)]
            start += width
        return changes / (LANES * (cycles - warm)), said

    def _bits(self, name: str, column: Sequence[Sequence[int]]) -> list[tuple[int, int, WordArray]]:
        """Place, net and all words of each bit of an input: uint64[cycles, bits], a lane in each bit of a word."""
        nets = self.ports[name]
        size = (len(nets) + 7) // 8
        raw = b"".join(word.to_bytes(size, "little") for row in column for word in row)
        bits = np.unpackbits(np.frombuffer(raw, np.uint8).reshape(len(column), LANES, size), axis=2, bitorder="little")
        rows = np.ascontiguousarray(np.packbits(bits, axis=1, bitorder="little").transpose(0, 2, 1)).view(np.uint64)[:, :, 0]
        return [(place, net, rows) for place, net in enumerate(nets)]


def netlist(module: Mapping[str, Any]) -> Netlist:
    """From a module of `write_json`."""
    numbers: dict[int | str, int] = {"0": ZERO, "x": ZERO, "1": ONE}

    def net(bit: int | str) -> int:
        return numbers.setdefault(bit, len(numbers) - 1)  # 0 and x are one

    cells = list(module["cells"].values())
    driver = {each["connections"]["Y"][0]: place for place, each in enumerate(cells) if each["type"] != FLOP}
    order = TopologicalSorter(
        {
            place: [driver[bit] for pin in PINS for bit in cells[place]["connections"].get(pin, ()) if bit in driver]
            for place in driver.values()
        }
    )
    gates = [cells[place] for place in order.static_order()]
    return Netlist(
        codes=np.array([CODES.index(each["type"]) for each in gates], np.int64),
        inputs=np.array([[net(each["connections"].get(pin, "0")[0]) for pin in PINS] for each in gates], np.int64).reshape(-1, len(PINS)),
        outputs=np.array([net(each["connections"]["Y"][0]) for each in gates], np.int64),
        flops=np.array(
            [[net(each["connections"][pin][0]) for pin in "DQ"] for each in cells if each["type"] == FLOP], np.int64
        ).reshape(-1, 2),
        ports={name: tuple(net(bit) for bit in port["bits"]) for name, port in module["ports"].items()},
        nets=len(numbers) - 1,
    )  # fmt: skip


@njit()
def _ones(word: Any) -> Any:
    """Ones of a word of 64 bits."""
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@njit()
def _gate(code: int, a: Any, b: Any, c: Any, d: Any, s: Any) -> Any:
    """What the gate of a place in CODES says."""
    if code == 0:
        return ~a
    if code == 1:
        return ~(a & b)
    if code == 2:
        return ~(a | b)
    if code == 3:
        return a ^ b
    if code == 4:
        return ~(a ^ b)
    if code == 5:
        return (a & ~s) | (b & s)
    if code == 6:
        return ~((a & ~s) | (b & s))
    if code == 7:
        return ~((a & b) | c)
    if code == 8:
        return ~((a | b) & c)
    if code == 9:
        return ~((a & b) | (c & d))
    return ~((a | b) & (c | d))


@njit()
def _run(
    nets: int, codes: IntArray, inputs: IntArray, outputs: IntArray, flops: IntArray, places: IntArray, given: WordArray, seen: IntArray,
    warm: int,
) -> tuple[int, WordArray]:  # fmt: skip
    """Changes from cycle `warm` on, and uint64[cycles, seen]."""
    now = np.zeros(nets, np.uint64)
    now[ONE] = ~np.uint64(0)
    after = np.zeros(len(flops), np.uint64)
    found = np.zeros((len(given), len(seen)), np.uint64)
    changes = 0
    for cycle in range(len(given)):
        counts = cycle >= warm
        for flop in range(len(flops)):
            net = flops[flop, 1]
            if counts:
                changes += int(_ones(now[net] ^ after[flop]))
            now[net] = after[flop]
        now[places] = given[cycle]
        for gate in range(len(codes)):
            pins = inputs[gate]
            said = _gate(codes[gate], now[pins[0]], now[pins[1]], now[pins[2]], now[pins[3]], now[pins[4]])
            net = outputs[gate]
            if counts:
                changes += int(_ones(now[net] ^ said))
            now[net] = said
        for flop in range(len(flops)):
            after[flop] = now[flops[flop, 0]]
        found[cycle] = now[seen]
    return changes, found
