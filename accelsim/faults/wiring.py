"""A network as arrays for `kernels_network`: who reads each word, and what each word is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.faults.kernels_network import Wiring
from accelsim.faults.programs import CODES
from accelsim.workload.expression import Access, Call

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.faults.network import Held, Network, Step

    IntArray = NDArray[np.int64]


class _Lines:
    """Lists of lists one after the other: `ends` has where each list begins and ends, a line of all lists of an owner after the other."""

    def __init__(self) -> None:
        self.lines, self.many, self.starts = 0, 0, list[Any]()

    def add(self, owners: IntArray, size: int) -> int:
        """Members whose owners, in rising order, are these, of so many owners; which line is the first one."""
        first = self.lines
        self.starts.append(self.many + np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(owners, minlength=size))]))
        self.lines, self.many = first + size + 1, self.many + owners.size
        return first

    def joined(self) -> IntArray:
        """All lines."""
        return np.asarray(_joined(self.starts, np.int64), np.int64)


def wired(network: Network) -> Wiring:
    """The arrays of a network."""
    held, steps = network.held, network.steps
    moving = _moving(network)
    adds = [_is_product(step) and not moving[step.read[0]] & moving[step.read[1]] for step in steps]
    readers: list[list[tuple[int, int]]] = [[] for _ in held]
    links, to, by = _Lines(), list[Any](), list[Any]()
    points, points_from, cells, cells_from = _Lines(), list[int](), list[Any](), list[int]()
    for number, step in enumerate(steps):
        size = held[step.out].size
        points_from.append(points.lines)
        cells_from.append(sum(each.size for each in cells) - points.many * step.cells.shape[1])
        if not adds[number]:
            order = np.argsort(step.to, kind="stable")
            points.add(step.to[order], size)
            cells.append(step.cells[order].ravel())
        for tensor in dict.fromkeys(each for each in step.read if each >= 0 and moving[each]):
            own, goal, other = _links(step, tensor, held[tensor], adds[number], size)
            readers[tensor].append((number, links.add(own, held[tensor].size)))
            to.append(held[step.out].base + goal)
            by.append(other)
    codes = [step.codes for step in steps]
    scales = [network.scales[step.out] for step in steps]
    sums = np.zeros(network.golden.size, np.int64)
    for step in steps:
        sums[held[step.out].base :][: held[step.out].size] = network.sums(step.out)
    return Wiring(
        network.golden, sums, _ints([*(each.base for each in held), network.golden.size]), _ints([step.out for step in steps]),
        _ints([step.layer for step in steps]), _ints(adds), _ints([step.bits for step in steps]),
        _ints([(each.multiplier, each.shift, each.zero, each.low, each.high) for each in scales]).reshape(-1, 5),
        _ints([CODES[step.einsum.reduce] for step in steps]), _ints([step.cells.shape[1] for step in steps]),
        _ints([code for each in codes for code in each]).reshape(-1, 2), _ends(codes), _ends(readers),
        _ints([step for each in readers for step, _ in each]), _ints([link for each in readers for _, link in each]),
        links.joined(), _joined(to, np.int32), _joined(by, np.int32), _ints(points_from), points.joined(), _ints(cells_from),
        _joined(cells, np.int32),
    )  # fmt: skip


def _moving(network: Network) -> list[set[int]]:
    """Of each tensor, those whose changes can reach it, itself too."""
    found: list[set[int]] = [{number} if each.maker >= 0 or network.every else set() for number, each in enumerate(network.held)]
    for step in network.steps:
        for read in step.read:
            found[step.out] |= found[read]
    return found


def _is_product(step: Step) -> bool:
    """Whether an Einsum is a sum of products of two tensors, or one product."""
    expression = step.einsum.expression
    if not isinstance(expression, Call) or expression.function != "mul" or len(step.read) != 2 or step.einsum.reduce != "add":
        return False
    return all(isinstance(each, Access) for each in expression.arguments)


def _links(step: Step, tensor: int, held: Held, adds: bool, size: int) -> tuple[IntArray, IntArray, IntArray]:
    """For each word of a tensor, in order, the words that a step makes of it, and the cell that it is multiplied by (of products)."""
    places = [at for at, read in enumerate(step.read) if read == tensor]
    own = np.concatenate([step.cells[:, at] for at in places]) - held.base
    other = np.concatenate([step.cells[:, 1 - at if adds else at] for at in places])
    goal = np.tile(step.to, len(places))
    inside = np.flatnonzero((own >= 0) & (own < held.size))
    own, other, goal = own[inside], other[inside], goal[inside]
    order = np.argsort(own, kind="stable") if adds else np.unique(own * size + goal, return_index=True)[1]
    return own[order], goal[order], other[order]


def _ints(values: Any) -> IntArray:
    return np.array(values, np.int64)


def _ends(lists: Any) -> IntArray:
    """Where lists begin that are one after the other, and the end."""
    return _ints([0, *np.cumsum([len(each) for each in lists])])


def _joined(arrays: list[Any], kind: Any) -> Any:
    return np.concatenate([np.zeros(0, kind), *arrays]).astype(kind)
