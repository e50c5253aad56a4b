"""A cell library in Liberty: what its cells compute, their area, leakage, capacitances and energies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from accelsim.rtl.netlist import MOST_PINS, Gate

TOKEN = re.compile(r'"([^"]*)"|([\w.+\-*/\[\]!&|^]+)|([(){}:;,])')
UNITS = {"leakage_power_unit": "1nW", "voltage_unit": "1V"}
# Transition of inputs for which energies are read, ns from 30 to 70 %: that of a NAND2_X1 which drives four like it. Energies of cells move
# little below 0.04 ns.
SLEW_NS = 0.02
SLEWS_NS = (0.005, SLEW_NS, 0.04)  # over which a range of energies is taken


@dataclass(frozen=True, slots=True)
class Group:
    """`kind (names) { ... }`: simple attributes, complex ones and groups inside."""

    kind: str
    names: tuple[str, ...]
    values: dict[str, str]
    lists: dict[str, list[tuple[str, ...]]]
    groups: list[Group]

    def of(self, kind: str) -> list[Group]:
        """Groups of a kind."""
        return [group for group in self.groups if group.kind == kind]


def parsed(text: str) -> Group:
    """The outermost group of a file."""
    text = re.sub(r"/\*.*?\*/|\\\n", " ", text, flags=re.DOTALL)
    words = [(match[3] or match[2] or match[1] or "", bool(match[3])) for match in TOKEN.finditer(text)]
    top, place = Group("", (), {}, {}, []), 0
    inside = [top]
    while place < len(words):
        word, mark = words[place]
        place += 1
        if mark:
            assert word in "};", f"{word} after {words[place - 5 : place]}"
            if word == "}":
                inside.pop()
            continue
        if words[place] == (":", True):
            inside[-1].values[word] = words[place + 1][0]
            place += 2
            continue
        assert words[place] == ("(", True), f"{word} {words[place]}"
        end = words.index((")", True), place)
        names = tuple(name for name, is_mark in words[place + 1 : end] if not is_mark)
        place = end + 1
        if place < len(words) and words[place] == ("{", True):
            place += 1
            inside[-1].groups.append(Group(word, names, {}, {}, []))
            inside.append(inside[-1].groups[-1])
        else:
            inside[-1].lists.setdefault(word, []).append(names)
    assert len(inside) == 1 and len(top.groups) == 1, "a library and nothing else"
    return top.groups[0]


Energies: TypeAlias = list[Group]  # internal_power groups


def numbers(names: tuple[str, ...]) -> list[list[float]]:
    """Rows of a table."""
    return [[float(each) for each in row.split(",")] for row in names]


def energy_fj(power: Group, edge: str, load_ff: float, slew_ns: float = SLEW_NS) -> float:
    """Inside a cell at a rise or a fall, without what charges the load; between the entries of a table linear, beyond its ends the last."""
    (table,) = power.of(f"{edge}_power")
    values = np.array(numbers(table.lists["values"][0]))
    if values.size == 1:
        return float(values[0, 0])
    slews = numbers(table.lists["index_1"][0])[0]
    if "index_2" not in table.lists:
        return float(np.interp(slew_ns, slews, values[0]))
    loads = numbers(table.lists["index_2"][0])[0]
    return float(np.interp(load_ff, loads, [np.interp(slew_ns, slews, column) for column in values.T]))


def mean_fj(powers: Energies, load_ff: float) -> float:
    """Of a change, over rises, falls, and the inputs and states for which the library tells energies apart."""
    return float(np.mean([energy_fj(power, edge, load_ff) for power in powers for edge in ("rise", "fall")]))


def range_fj(powers: Energies, load_ff: float) -> tuple[float, float]:
    """The least and the most of what `mean_fj` is a mean of: always the cheapest input and state, or the dearest, at each of SLEWS_NS."""
    found = [
        float(np.mean([energy_fj(power, edge, load_ff, slew) for edge in ("rise", "fall")])) for power in powers for slew in SLEWS_NS
    ]  # fmt: skip
    return min(found), max(found)


def holds(power: Group, state: Mapping[str, int]) -> bool:
    """Whether the `when` of an energy allows a state."""
    when = power.values.get("when", "1")
    assert re.fullmatch(r"[\w!&|^() ]+", when), when
    return bool(eval(when.replace("!", "~"), {"__builtins__": {}}, dict(state)) & 1)


def gate_of(output: str, function: str) -> Gate:
    """From an expression of names with ! & ^ | and parentheses; mixed operators have to be in parentheses."""
    assert re.fullmatch(r"[\w!&|^() ]+", function), function
    pins = tuple(sorted({*re.findall(r"[A-Za-z_]\w*", function)}))
    assert len(pins) <= MOST_PINS, function
    rows = 1 << len(pins)
    columns = {pin: sum(1 << row for row in range(rows) if row >> place & 1) for place, pin in enumerate(pins)}
    return Gate(pins, output, eval(function.replace("!", "~"), {"__builtins__": {}}, columns) & ((1 << rows) - 1))


@dataclass(frozen=True, slots=True)
class Cell:
    """A gate or a flip-flop. capacitance_ff: of inputs, the clock too; powers: energies of changes, by pin."""

    area_um2: float
    leakage_nw: float
    capacitance_ff: Mapping[str, float]
    powers: Mapping[str, Energies]
    gate: Gate | None

    def change_fj(self, load_ff: float) -> float:
        """Of a change of a gate's output."""
        assert self.gate is not None
        return mean_fj(self.powers[self.gate.output], load_ff)

    def range_fj(self, load_ff: float) -> tuple[float, float]:
        """Of a change of a gate's output, the least and the most."""
        assert self.gate is not None
        return range_fj(self.powers[self.gate.output], load_ff)


@dataclass(frozen=True, slots=True)
class Flop:
    """A flip-flop D, CK, Q and perhaps QN.

    Its input changes while the clock is high, after the rising edge: without glitches, D differs from Q at the falling edge just if Q
    changes at the next rising one.
    """

    cell: Cell

    @property
    def clock_fj(self) -> float:
        """Of a cycle in which nothing changes, without the capacitance of the clock pin."""
        return self._clock(moves=0)

    def change_fj(self, load_ff: float) -> float:
        """What a change of Q adds to a cycle: at both edges of the clock, at the outputs, and that of D before it."""
        powers = self.cell.powers
        inputs = [power for power in powers.get("D", []) if any(holds(power, state) for state in self._states(0) + self._states(1))]
        found = self._clock(moves=1) - self.clock_fj + mean_fj(powers["Q"], load_ff)
        found += mean_fj(powers["QN"], 0.0) if "QN" in powers else 0.0
        return found + (mean_fj(inputs, 0.0) if inputs else 0.0)

    def _states(self, moves: int) -> list[dict[str, int]]:
        """Of pins, the clock high, in which D differs from Q, or not."""
        return [{"D": d, "Q": d ^ moves, "QN": 1 ^ d ^ moves, "CK": 1} for d in (0, 1)]

    def _clock(self, moves: int) -> float:
        """Of both edges of the clock, a mean over states."""
        powers = self.cell.powers["CK"]
        return sum(
            float(np.mean([energy_fj(power, edge, 0.0) for state in self._states(moves) for power in powers if holds(power, state)]))
            for edge in ("rise", "fall")
        )


@dataclass(frozen=True)
class Library:
    """Of cells with one output, in femtofarads and volts."""

    group: Group

    def __post_init__(self) -> None:
        """Refuses other units."""
        assert {name: self.group.values[name] for name in UNITS} == UNITS
        (unit,) = self.group.lists["capacitive_load_unit"]
        assert (float(unit[0]), unit[1].lower()) == (1.0, "ff"), unit

    @property
    def volts(self) -> float:
        """Of the supply."""
        return float(self.group.values["nom_voltage"])

    @cached_property
    def cells(self) -> dict[str, Cell]:
        """Gates with one output, and flip-flops that only take D."""
        found = {}
        for cell in self.group.of("cell"):
            pins = {pin.names[0]: pin for pin in cell.of("pin")}
            outputs = {name: pin for name, pin in pins.items() if pin.values["direction"] == "output" and "function" in pin.values}
            flops, sequential = cell.of("ff"), cell.of("ff") + cell.of("latch") + cell.of("statetable")
            plain = len(flops) == 1 and flops[0].values.get("next_state") == "D" and not {"clear", "preset"} & set(flops[0].values)
            if not (plain or (len(outputs) == 1 and not sequential and not any("three_state" in pin.values for pin in pins.values()))):
                continue
            gate = None if plain else next(gate_of(name, pin.values["function"]) for name, pin in outputs.items())
            found[cell.names[0]] = Cell(
                float(cell.values["area"]), float(cell.values.get("cell_leakage_power", 0)),
                {name: float(pin.values["capacitance"]) for name, pin in pins.items() if pin.values["direction"] == "input"},
                {name: pin.of("internal_power") for name, pin in pins.items() if pin.of("internal_power")}, gate,
            )  # fmt: skip
        return found

    @property
    def gates(self) -> dict[str, Gate]:
        """What cells compute."""
        return {name: cell.gate for name, cell in self.cells.items() if cell.gate is not None}

    def wire_ff(self, fanout: int) -> float:
        """Of a net with so many inputs, by the library's default wire load; beyond its table a line with the given slope."""
        if not fanout or "default_wire_load" not in self.group.values:
            return 0.0
        (wire,) = (each for each in self.group.of("wire_load") if each.names == (self.group.values["default_wire_load"],))
        counts = [int(names[0]) for names in wire.lists["fanout_length"]]
        lengths = [float(names[1]) for names in wire.lists["fanout_length"]]
        beyond = max(0, fanout - counts[-1]) * float(wire.values["slope"])
        return float(wire.values["capacitance"]) * (float(np.interp(fanout, counts, lengths)) + beyond)
