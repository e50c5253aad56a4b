"""A netlist with a fault, one vector and one gate at a time, from what yosys wrote; the twin of `kernels_gates.py`.

Slow, written to be believed at sight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Bit: TypeAlias = int | str

FLOP = "$_DFF_P_"

FUNCTIONS: dict[str, Callable[..., bool]] = {
    "$_NOT_": lambda A: not A,
    "$_NAND_": lambda A, B: not (A and B),
    "$_NOR_": lambda A, B: not (A or B),
    "$_XOR_": lambda A, B: A != B,
    "$_XNOR_": lambda A, B: A == B,
    "$_MUX_": lambda A, B, S: B if S else A,
    "$_NMUX_": lambda A, B, S: not (B if S else A),
    "$_AOI3_": lambda A, B, C: not ((A and B) or C),
    "$_OAI3_": lambda A, B, C: not ((A or B) and C),
    "$_AOI4_": lambda A, B, C, D: not ((A and B) or (C and D)),
    "$_OAI4_": lambda A, B, C, D: not ((A or B) and (C or D)),
}


@dataclass(frozen=True, slots=True)
class Broken:
    """A net, or where a cell is named only an input of it, that is `stuck at 0`, `stuck at 1`, `slow to rise` or `slow to fall`."""

    net: Bit
    kind: str
    cell: str = ""
    pin: str = ""


@dataclass(slots=True)
class Cycle:
    """A cycle of a module: what every net shows, found when it is asked for. before: what drove the broken line in the last cycle."""

    module: Mapping[str, Any]
    holds: Mapping[Bit, bool]
    given: Mapping[Bit, bool]
    broken: Broken | None
    before: bool | None
    drivers: Mapping[Bit, str]
    shows: dict[Bit, bool] = field(default_factory=dict)
    driven: bool | None = None

    def line(self, value: bool) -> bool:
        """What the broken line shows."""
        assert self.broken is not None
        self.driven = value
        before = value if self.before is None else self.before
        kinds = {"stuck at 0": False, "stuck at 1": True, "slow to rise": value and before, "slow to fall": value or before}
        return kinds[self.broken.kind]

    def net(self, net: Bit) -> bool:
        """What a net shows."""
        if net in ("0", "1", "x"):
            return net == "1"
        if net not in self.shows:
            if net in self.holds:
                found = self.holds[net]
            elif net in self.drivers:
                cell = self.module["cells"][self.drivers[net]]
                found = FUNCTIONS[cell["type"]](**{pin: self.pin(self.drivers[net], pin) for pin in cell["connections"] if pin != "Y"})
            else:
                found = self.given.get(net, False)
            is_broken = self.broken is not None and not self.broken.cell and net == self.broken.net
            self.shows[net] = self.line(found) if is_broken else found
        return self.shows[net]

    def pin(self, cell: str, pin: str) -> bool:
        """What an input of a cell sees."""
        found = self.net(self.module["cells"][cell]["connections"][pin][0])
        is_broken = self.broken is not None and (cell, pin) == (self.broken.cell, self.broken.pin)
        return self.line(found) if is_broken else found


def run(
    module: Mapping[str, Any], inputs: Sequence[Mapping[Bit, bool]], state: Mapping[Bit, bool], broken: Broken | None = None
) -> list[dict[Bit, bool]]:
    """What every net shows in each cycle; in one more, flip-flops after the last edge.

    inputs: by cycle, of nets; what is not there is 0, as are flip-flops that `state` does not name.
    """
    flops = {name: cell["connections"] for name, cell in module["cells"].items() if cell["type"] == FLOP}
    drivers = {cell["connections"]["Y"][0]: name for name, cell in module["cells"].items() if name not in flops}
    holds = {each["Q"][0]: state.get(each["Q"][0], False) for each in flops.values()}
    ports = [net for port in module["ports"].values() for net in port["bits"]]
    before: bool | None = None
    shown = []
    for cycle in range(len(inputs) + 1):
        now = Cycle(module, holds, inputs[cycle] if cycle < len(inputs) else {}, broken, before, drivers)
        for net in holds if cycle == len(inputs) else [*holds, *drivers, *ports]:
            now.net(net)
        shown.append(now.shows)
        if cycle < len(inputs):
            holds = {each["Q"][0]: now.pin(name, "D") for name, each in flops.items()}
            before = now.driven
    return shown
