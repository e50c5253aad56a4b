"""What legality needs to know of a machine, derived once per machine and remembered."""

from __future__ import annotations

from functools import cached_property

from accelsim.hardware.architecture import Architecture, Array, Memory
from accelsim.workload.cascade import Cascade, Einsum

_REMEMBERED = 32


class Machine:
    """Static facts of one architecture."""

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture
        self.root = architecture.root.name
        self.covered: dict[tuple[int, str, tuple[str, ...]], str | None] = {}
        self._einsums: list[Einsum] = []

    @cached_property
    def depths(self) -> dict[str, dict[str, int]]:
        """For every unit, how deep every memory and every axis on the path to it stands."""
        found: dict[str, dict[str, int]] = {}
        for unit in self.architecture.units:
            depths: dict[str, int] = {}
            for depth, node in enumerate(self.architecture.paths[unit]):
                if isinstance(node, Memory):
                    depths[node.name] = depth
                elif isinstance(node, Array):
                    depths.update((axis.name, depth) for axis in node.axes)
            found[unit] = depths
        return found

    @cached_property
    def axis_sizes(self) -> dict[str, int]:
        """Copies along every axis."""
        return {name: axis.size for name, (_, axis) in self.architecture.axes.items()}

    @cached_property
    def instead(self) -> dict[str, str]:
        """For every memory that is not direct, the one that holds all that units below touch."""
        return {name: memory.feeds[0].name for name, memory in self.architecture.memories.items() if not memory.direct}

    @cached_property
    def particular(self) -> frozenset[str]:
        """Units with an operation that accepts some types only."""
        return frozenset(name for name, unit in self.architecture.units.items() if any(each.types for each in unit.operations.values()))

    def lacks(self, cascade: Cascade, einsum: Einsum, unit: str) -> str | None:
        """What a unit lacks to execute an Einsum, in words; None if it lacks nothing."""
        types = cascade.operand_types(einsum) if unit in self.particular else ()
        key = (id(einsum), unit, types)
        if key not in self.covered:
            from accelsim.workload.operators import missing_primitive

            known = self.architecture.units[unit]
            missing = missing_primitive(einsum, known.accepting(types))
            self.covered[key] = None if missing is None else known.wanting(missing, types)
            self._einsums.append(einsum)  # kept alive, so that its id stays its own
        return self.covered[key]


_machines: dict[int, Machine] = {}


def machine(architecture: Architecture) -> Machine:
    """The facts of a machine; those of the last few machines are remembered (by identity: a machine never changes)."""
    known = _machines.get(id(architecture))
    if known is not None and known.architecture is architecture:
        return known
    while len(_machines) >= _REMEMBERED:
        _machines.pop(next(iter(_machines)), None)
    made = _machines[id(architecture)] = Machine(architecture)
    return made
