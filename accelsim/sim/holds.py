"""Which room in which memory a task touches: what `occupancy` goes by."""

from __future__ import annotations

import math
from itertools import takewhile

from accelsim.mapping.footprint import held_bits
from accelsim.mapping.tree import For
from accelsim.mapping.walk import Row
from accelsim.sim.paths import Path, Paths, memory_of
from accelsim.sim.tasks import COMPUTE, Hold, Task


class Holds:
    """The rooms of a mapping below the outermost memory, noted on the tasks that touch them."""

    def __init__(self, paths: Paths) -> None:
        self.paths, self.machine, self.cascade = paths, paths.evaluator.architecture, paths.cascade
        self._known: dict[tuple[object, str], Hold] = {}

    def reach(self, task: Task, path: Path, tensor: str, ranks: set[str], place: int, loops: list[Row]) -> None:
        """Note that a task touches a tile, and those further out from which it comes in no time: no transfer does so for it.

        ranks: those that index the tensor. place: of the keep among the rows of the path. loops: those of the task, outermost first.
        """
        places, ports = self.paths.keepers(path, tensor), self.paths.evaluator.clock.ports
        for at in reversed(range(1, places.index(place) + 1)):
            self.touch(task, path, tensor, ranks, places[at], loops)
            passed = [memory_of(path.rows[places[each]]) for each in (at - 1, at)]
            passed += [link for link, _ in self.paths.links(path, places[at - 1], places[at])]
            if any(each in ports for each in passed):
                return
        self.touch(task, path, tensor, ranks, places[0], loops)

    def touch(self, task: Task, path: Path, tensor: str, ranks: set[str], place: int, loops: list[Row]) -> None:
        """Note that a task touches a tile."""
        row, held = path.rows[place], self.paths.held(path.rows[place], tensor)
        if memory_of(row) == self.machine.root.name:
            return
        noun, around = self.cascade.tensors[tensor], above(path, place)
        home = not (noun.is_input or noun.is_output) and place == self.paths.keepers(path, tensor)[0]
        key = ("home", tensor) if home and not held.in_place else (id(row), held.tensor)  # branches hand an intermediate on in its home
        depth = turned(path, ranks, place)
        if noun.iterative is not None:  # slices take turns in one place
            slices = self._slices(path, tensor)
            depth = next((at for at in range(turned(path, set(), place), depth) if path.rank(around[at]) in slices), depth)
        if key not in self._known:
            bits = held_bits(self.paths.homes, self.machine, row, held) / held.copies
            self._known[key] = Hold(memory_of(row), math.ceil(bits), depth)
        hold = self._known[key]
        shared = takewhile(lambda pair: pair[0] is pair[1], zip(loops, around, strict=False))
        hold.depth = min(hold.depth, depth, sum(1 for _ in shared))
        makes = task.kind == COMPUTE and tensor == path.einsum.output.tensor
        if (hold, makes) not in task.holds:
            task.holds.append((hold, makes))

    def _slices(self, path: Path, tensor: str) -> set[str]:
        """Ranks of an Einsum that count the slices of an iterative tensor."""
        place, found = self.cascade.tensors[tensor].iterative, set[str]()
        assert place is not None
        for access in (*path.einsum.reads, path.einsum.output):
            index = self.cascade.index_maps(access)[place] if access.tensor == tensor else None
            found |= set(index.ranks) if index is not None else set()
        return found


def above(path: Path, place: int) -> list[Row]:
    """The time loops above a row that turn more than once."""
    return [row for row in path.rows[:place] if isinstance(row.node, For) and row.trips > 1]


def turned(path: Path, ranks: set[str], place: int, result: bool = False) -> int:
    """How many of the loops above a keep give a tensor that some ranks index a new tile in every turn, or empty it.

    result: whether the path makes the tensor, so that a loop in every turn of which it is made again counts too.
    """
    around = above(path, place)
    found = max((at for at, row in enumerate(around) if path.rank(row) in ranks or (result and id(row) in path.again)), default=-1) + 1
    return max(found, emptied(path, place))


def emptied(path: Path, place: int) -> int:
    """How many of the loops above a keep empty it in every turn: those above the last sequential fuse; -1: there is none."""
    sequential = [at for at in path.fuses if at < place and path.rows[at].node.schedule == "sequential"]  # type: ignore[union-attr]
    return sum(1 for row in above(path, place) if row in path.rows[: sequential[-1]]) if sequential else -1
