"""A flat netlist of gates and flip-flops, as yosys writes it, and what it does: 64 runs at once, one in each bit of a word.

Delays are zero: a net settles once a cycle, so that glitches are not seen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from accelsim.kernel_cache import njit

IntArray: TypeAlias = npt.NDArray[np.int64]
FloatArray: TypeAlias = npt.NDArray[np.float64]
WordArray: TypeAlias = npt.NDArray[np.uint64]

LANES = 64
FLOP = "$_DFF_P_"
MOST_PINS = 6  # inputs of a gate
ZERO, ONE = 0, 1  # the nets of the constants


@dataclass(frozen=True, slots=True)
class Gate:
    """What a cell computes: bit m of `table` is its output where input p, in the order of `pins`, is bit p of m."""

    pins: tuple[str, ...]
    output: str
    table: int

    @classmethod
    def of(cls, output: str, function: str) -> Gate:
        """From an expression of names with ! & ^ | and parentheses, as Liberty has it; mixed operators have to be in parentheses."""
        assert re.fullmatch(r"[\w!&|^() ]+", function), function
        pins = tuple(sorted({*re.findall(r"[A-Za-z_]\w*", function)}))
        assert len(pins) <= MOST_PINS, function
        rows = 1 << len(pins)
        columns = {pin: sum(1 << row for row in range(rows) if row >> place & 1) for place, pin in enumerate(pins)}
        return cls(pins, output, eval(function.replace("!", "~"), {"__builtins__": {}}, columns) & ((1 << rows) - 1))


SIMPLE = {
    name: Gate.of("Y", function)
    for name, function in {
        "$_NOT_": "!A", "$_NAND_": "!(A & B)", "$_NOR_": "!(A | B)", "$_XOR_": "A ^ B", "$_XNOR_": "!(A ^ B)",
        "$_MUX_": "(A & !S) | (B & S)", "$_NMUX_": "!((A & !S) | (B & S))", "$_AOI3_": "!((A & B) | C)", "$_OAI3_": "!((A | B) & C)",
        "$_AOI4_": "!((A & B) | (C & D))", "$_OAI4_": "!((A | B) & (C | D))",
    }.items()
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Netlist:
    """Gates in an order in which each comes after those that drive it; a net is a place among values.

    kinds: type of each gate; tables: uint64[gates] and sizes: int64[gates], as in `Gate`; inputs: int64[gates, MOST_PINS], nets;
    outputs: int64[gates]; flops: int64[flops, 2], nets of D and Q; ports: nets of each input and output, low bit first.
    """

    nets: int
    kinds: tuple[str, ...]
    tables: WordArray
    sizes: IntArray
    inputs: IntArray
    outputs: IntArray
    flops: IntArray
    ports: Mapping[str, tuple[int, ...]]

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
        changes, found = _run(self.nets, self.tables, self.sizes, self.inputs, self.outputs, self.flops, places, given, seen, warm)
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

    cells = list(module["cells"].values())
    driver = {each["connections"][gates[each["type"]].output][0]: place for place, each in enumerate(cells) if each["type"] != flop}
    order = TopologicalSorter(
        {
            place: [driver[bit] for pin in gates[cells[place]["type"]].pins for bit in cells[place]["connections"][pin] if bit in driver]
            for place in driver.values()
        }
    )
    found = [cells[place] for place in order.static_order()]
    kinds = [gates[each["type"]] for each in found]
    inputs = np.zeros((len(found), MOST_PINS), np.int64)
    for row, each, kind in zip(inputs, found, kinds, strict=True):
        row[: len(kind.pins)] = [net(each["connections"][pin][0]) for pin in kind.pins]
    return Netlist(
        kinds=tuple(each["type"] for each in found),
        tables=np.array([kind.table for kind in kinds], np.uint64),
        sizes=np.array([len(kind.pins) for kind in kinds], np.int64),
        inputs=inputs,
        outputs=np.array([net(each["connections"][kind.output][0]) for each, kind in zip(found, kinds, strict=True)], np.int64),
        flops=np.array(
            [[net(each["connections"][pin][0]) for pin in "DQ"] for each in cells if each["type"] == flop], np.int64
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
def _run(
    nets: int, tables: WordArray, sizes: IntArray, inputs: IntArray, outputs: IntArray, flops: IntArray, places: IntArray,
    given: WordArray, seen: IntArray, warm: int,
) -> tuple[IntArray, WordArray]:  # fmt: skip
    """Changes of each net from cycle `warm` on, int64[nets], and uint64[cycles, seen]."""
    now = np.zeros(nets, np.uint64)
    now[ONE] = ~np.uint64(0)
    after = np.zeros(len(flops), np.uint64)
    found = np.zeros((len(given), len(seen)), np.uint64)
    changes = np.zeros(nets, np.int64)
    fold = np.zeros(1 << MOST_PINS, np.uint64)
    for cycle in range(len(given)):
        counts = cycle >= warm
        for flop in range(len(flops)):
            net = flops[flop, 1]
            if counts:
                changes[net] += int(_ones(now[net] ^ after[flop]))
            now[net] = after[flop]
        for place in range(len(places)):
            net = places[place]
            if counts:
                changes[net] += int(_ones(now[net] ^ given[cycle, place]))
            now[net] = given[cycle, place]
        for gate in range(len(tables)):
            size = sizes[gate]
            rows = 1 << size
            for row in range(rows):
                fold[row] = np.uint64(0) - ((tables[gate] >> np.uint64(row)) & np.uint64(1))
            for pin in range(size):
                rows //= 2
                word = now[inputs[gate, pin]]
                for row in range(rows):
                    fold[row] = (fold[2 * row] & ~word) | (fold[2 * row + 1] & word)
            net = outputs[gate]
            if counts:
                changes[net] += int(_ones(now[net] ^ fold[0]))
            now[net] = fold[0]
        for flop in range(len(flops)):
            after[flop] = now[flops[flop, 0]]
        found[cycle] = now[seen]
    return changes, found
