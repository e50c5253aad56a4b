"""A flat netlist of gates and flip-flops, as yosys writes it, and what it does: 64 runs at once, one in each bit of a word.

Delays are zero: a net settles once a cycle, so that glitches are not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from accelsim.rtl.kernels_netlist import MOST_PINS, ONE, ZERO, run

IntArray: TypeAlias = npt.NDArray[np.int64]
FloatArray: TypeAlias = npt.NDArray[np.float64]
WordArray: TypeAlias = npt.NDArray[np.uint64]

LANES = 64
FLOP = "$_DFF_P_"


@dataclass(frozen=True, slots=True)
class Gate:
    """What a cell computes: bit m of `table` is its output where input p, in the order of `pins`, is bit p of m."""

    pins: tuple[str, ...]
    output: str
    table: int

    @classmethod
    def of(cls, pins: str, function: Callable[..., int]) -> Gate:
        """With output Y, from the names of its pins, a letter each, and a function of words of bits; of its result one bit a row counts."""
        rows = 1 << len(pins)
        columns = [sum(1 << row for row in range(rows) if row >> place & 1) for place in range(len(pins))]
        return cls(tuple(pins), "Y", function(*columns) & ((1 << rows) - 1))


SIMPLE = {
    "$_NOT_": Gate.of("A", lambda a: ~a),
    "$_NAND_": Gate.of("AB", lambda a, b: ~(a & b)),
    "$_NOR_": Gate.of("AB", lambda a, b: ~(a | b)),
    "$_XOR_": Gate.of("AB", lambda a, b: a ^ b),
    "$_XNOR_": Gate.of("AB", lambda a, b: ~(a ^ b)),
    "$_MUX_": Gate.of("ABS", lambda a, b, s: (a & ~s) | (b & s)),
    "$_NMUX_": Gate.of("ABS", lambda a, b, s: ~((a & ~s) | (b & s))),
    "$_AOI3_": Gate.of("ABC", lambda a, b, c: ~((a & b) | c)),
    "$_OAI3_": Gate.of("ABC", lambda a, b, c: ~((a | b) & c)),
    "$_AOI4_": Gate.of("ABCD", lambda a, b, c, d: ~((a & b) | (c & d))),
    "$_OAI4_": Gate.of("ABCD", lambda a, b, c, d: ~((a | b) & (c | d))),
}


@dataclass(frozen=True, slots=True)
class Netlist:
    """Gates in an order in which each comes after those that drive it; a net is a place among values.

    kinds: type of each gate; pins: names of its inputs; tables: uint64[gates] and sizes: int64[gates], as in `Gate`;
    inputs: int64[gates, MOST_PINS], nets; outputs: int64[gates]; flops: int64[flops, 2], nets of D and Q; ports: nets of each input and
    output, low bit first; cells: names of gates, then of flip-flops; wires: nets of what has a name in the source, registers too; bits:
    what yosys calls each net.
    """

    nets: int
    kinds: tuple[str, ...]
    pins: tuple[tuple[str, ...], ...]
    tables: WordArray
    sizes: IntArray
    inputs: IntArray
    outputs: IntArray
    flops: IntArray
    ports: Mapping[str, tuple[int, ...]]
    cells: tuple[str, ...]
    wires: Mapping[str, tuple[int, ...]]
    bits: tuple[int | str, ...]

    @property
    def driven(self) -> IntArray:
        """The nets of gates and flip-flops."""
        return np.concatenate([self.outputs, self.flops[:, 1]])

    def run(self, words: Mapping[str, Sequence[Sequence[int]]], warm: int) -> tuple[FloatArray, dict[str, list[list[int]]]]:
        """Changes of each net in a cycle, and the words of each output, by cycle and lane, before its clock edge.

        words: of each input by cycle and lane; inputs that are not there are 0. Flip-flops are 0 at first. Changes are those from the
        cycle before, a mean over all lanes and the cycles from `warm` on.
        """
        cycles = len(next(iter(words.values())))
        driven = [(net, rows[:, place]) for name, column in words.items() for place, net, rows in self._bits(name, column)]
        places = np.array([net for net, _ in driven], np.int64)
        given = np.stack([rows for _, rows in driven], axis=1)
        outputs = [name for name in self.ports if name.endswith("_o")]
        seen = np.array([net for name in outputs for net in self.ports[name]], np.int64)
        changes, found = run(self.nets, self.tables, self.sizes, self.inputs, self.outputs, self.flops, places, given, seen, warm)
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


def netlist(module: Mapping[str, Any], gates: Mapping[str, Gate] = SIMPLE, flop: str = FLOP) -> Netlist:
    """From a module of `write_json`, whose cells are `gates` and a flip-flop with pins D and Q."""
    numbers: dict[int | str, int] = {"0": ZERO, "x": ZERO, "1": ONE}

    def net(bit: int | str) -> int:
        return numbers.setdefault(bit, len(numbers) - 1)  # 0 and x are one

    names, cells = list(module["cells"]), list(module["cells"].values())
    driver = {each["connections"][gates[each["type"]].output][0]: place for place, each in enumerate(cells) if each["type"] != flop}
    order = TopologicalSorter(
        {
            place: [driver[bit] for pin in gates[cells[place]["type"]].pins for bit in cells[place]["connections"][pin] if bit in driver]
            for place in driver.values()
        }
    )
    places = list(order.static_order())
    found = [cells[place] for place in places]
    kinds = [gates[each["type"]] for each in found]
    inputs = np.zeros((len(found), MOST_PINS), np.int64)
    for row, each, kind in zip(inputs, found, kinds, strict=True):
        row[: len(kind.pins)] = [net(each["connections"][pin][0]) for pin in kind.pins]
    return Netlist(
        kinds=tuple(each["type"] for each in found),
        pins=tuple(kind.pins for kind in kinds),
        tables=np.array([kind.table for kind in kinds], np.uint64),
        sizes=np.array([len(kind.pins) for kind in kinds], np.int64),
        inputs=inputs,
        outputs=np.array([net(each["connections"][kind.output][0]) for each, kind in zip(found, kinds, strict=True)], np.int64),
        flops=np.array(
            [[net(each["connections"][pin][0]) for pin in "DQ"] for each in cells if each["type"] == flop], np.int64
        ).reshape(-1, 2),
        ports={name: tuple(net(bit) for bit in port["bits"]) for name, port in module["ports"].items()},
        cells=(*(names[place] for place in places), *(name for name, each in module["cells"].items() if each["type"] == flop)),
        wires={
            name: tuple(numbers[bit] for bit in wire["bits"])
            for name, wire in module.get("netnames", {}).items()
            if not wire.get("hide_name") and all(bit in numbers for bit in wire["bits"])
        },
        nets=len(numbers) - 1,
        bits=tuple(bit for bit in numbers if bit != "x"),
    )  # fmt: skip
