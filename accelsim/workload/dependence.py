"""Which Einsum waits for which, and how many slices later; the order in which recurrences step."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

from accelsim.errors import InputError
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.expression import Access, index_map
from accelsim.workload.ranges import Inequality, known_inequalities, least_step

if TYPE_CHECKING:
    import networkx


@dataclass(frozen=True, slots=True)
class Dependence:
    """`consumer` reads `tensor`, which `producer` writes.

    `steps`: ranks with the least number of slices between write and read, where that is at least 1.
    """

    producer: str
    consumer: str
    tensor: str
    access: Access
    steps: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """Statements that advance together, one slice of `rank` at a time."""

    rank: str
    body: tuple[Order, ...]


Order = Union[Einsum, Step]  # noqa: UP007, a forward reference


def dependences(einsums: Sequence[Einsum], sizes: Mapping[str, float], extents: Mapping[str, int]) -> tuple[Dependence, ...]:
    """Every read of a computed tensor by a working Einsum, per statement that writes the tensor."""
    working = [einsum for einsum in einsums if not einsum.initial]
    known = {einsum.name: known_inequalities(einsum.condition, sizes) for einsum in working}
    found = []
    for consumer in working:
        for access in (*consumer.reads, *consumer.condition_reads):
            for producer in working:
                if producer.output.tensor == access.tensor:
                    steps = _steps(producer, consumer, access, sizes, extents, known[consumer.name])
                    found.append(Dependence(producer.name, consumer.name, access.tensor, access, steps))
    return tuple(found)


def _steps(
    producer: Einsum, consumer: Einsum, access: Access, sizes: Mapping[str, float], extents: Mapping[str, int], known: Sequence[Inequality]
) -> tuple[tuple[str, int], ...]:
    steps: dict[str, int] = {}
    for written, read in zip(producer.output.indices, access.indices, strict=True):
        write_map, read_map = index_map(written, sizes), index_map(read, sizes)
        if write_map is None or read_map is None:
            continue
        rank = write_map.single_rank
        if rank is None or rank not in consumer.ranks or not read_map.terms:
            continue
        distance = least_step(write_map, read_map, extents, known)
        if distance is not None and distance >= 1:
            steps[rank] = max(distance, steps.get(rank, 0))
    return tuple(steps.items())


def order(einsums: Sequence[Einsum], found: Iterable[Dependence]) -> tuple[Order, ...]:
    """Working Einsums in the order in which they can run; cycles become steps along the rank that carries them.

    An InputError names a cycle that no rank carries, and a statement that reads what a later one writes.
    """
    return _order([einsum for einsum in einsums if not einsum.initial], tuple(found), ())


def _order(einsums: list[Einsum], found: tuple[Dependence, ...], fixed: tuple[str, ...]) -> tuple[Order, ...]:
    names = [einsum.name for einsum in einsums]
    inside = set(names)
    edges = [d for d in found if d.producer in inside and d.consumer in inside and not any(rank in fixed for rank, _ in d.steps)]
    follows: dict[str, list[str]] = {name: [] for name in names}
    for edge in edges:
        follows[edge.producer].append(edge.consumer)
    position = {name: at for at, name in enumerate(names)}
    by_name = {einsum.name: einsum for einsum in einsums}
    for edge in edges:
        if not edge.steps and position[edge.consumer] < position[edge.producer] and not _together(edge, names, follows):
            reader, writer = by_name[edge.consumer], by_name[edge.producer]
            raise InputError(
                f"{reader.name} reads {edge.tensor}, which {writer.name} writes further down",
                f"move {writer.name} before {reader.name}",
                reader.place,
            )
    made: list[Order] = []
    for group in _sorted_components(names, follows):
        if len(group) == 1 and group[0] not in follows[group[0]]:
            made.append(by_name[group[0]])
            continue
        body = [by_name[name] for name in group]
        rank = _carrier(body, edges, fixed)
        made.append(Step(rank, _order(body, found, (*fixed, rank))))
    return tuple(made)


def _together(edge: Dependence, names: Sequence[str], follows: Mapping[str, Sequence[str]]) -> bool:
    return any(edge.producer in group and edge.consumer in group for group in components(names, follows))


def _sorted_components(names: Sequence[str], follows: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Components with producers first, otherwise in the order of their first statements."""
    position = {name: at for at, name in enumerate(names)}
    groups = [tuple(sorted(group, key=position.__getitem__)) for group in components(names, follows)]
    number = {name: at for at, group in enumerate(groups) for name in group}
    after = {at: {number[name] for member in group for name in follows[member]} - {at} for at, group in enumerate(groups)}
    waits = {at: 0 for at in after}
    for targets in after.values():
        for target in targets:
            waits[target] += 1
    ready = [(position[groups[at][0]], at) for at, count in waits.items() if count == 0]
    heapq.heapify(ready)
    made = []
    while ready:
        _, at = heapq.heappop(ready)
        made.append(groups[at])
        for target in after[at]:
            waits[target] -= 1
            if waits[target] == 0:
                heapq.heappush(ready, (position[groups[target][0]], target))
    return made


def _carrier(body: list[Einsum], edges: list[Dependence], fixed: tuple[str, ...]) -> str:
    """The rank that all statements of a cycle share and along which the cycle moves on."""
    inside = {einsum.name for einsum in body}
    internal = [edge for edge in edges if edge.producer in inside and edge.consumer in inside]
    common = [rank for rank in body[0].ranks if rank not in fixed and all(rank in einsum.ranks for einsum in body)]
    carried = [rank for rank in common if any(rank == name for edge in internal for name, _ in edge.steps)]
    for rank in carried:
        left: dict[str, list[str]] = {name: [] for name in inside}
        for edge in internal:
            if all(name != rank for name, _ in edge.steps):
                left[edge.producer].append(edge.consumer)
        if all(len(group) == 1 and group[0] not in left[group[0]] for group in components(list(left), left)):
            return rank
    if carried:
        return carried[0]
    path = " -> ".join([*(einsum.name for einsum in body), body[0].name])
    raise InputError(
        f"{path} is a cycle that no rank carries",
        "write the next slice (T[i+1,...]) from earlier ones (T[i,...]) along one rank",
        body[0].place,
    )


def components(names: Sequence[str], follows: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Strongly connected components (Tarjan, without recursion), producers first."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[tuple[str, ...]] = []
    for root in names:
        if root in index:
            continue
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        work = [(root, iter(follows[root]))]
        while work:
            node, successors = work[-1]
            following = next(successors, None)
            if following is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    group: list[str] = []
                    while not group or group[-1] != node:
                        group.append(stack.pop())
                        on_stack.discard(group[-1])
                    found.append(tuple(group))
            elif following not in index:
                index[following] = low[following] = len(index)
                stack.append(following)
                on_stack.add(following)
                work.append((following, iter(follows[following])))
            elif following in on_stack:
                low[node] = min(low[node], index[following])
    return found[::-1]


def serial_ranks(cascade: Cascade) -> dict[str, frozenset[str]]:
    """For every working Einsum, the ranks along which it waits for an earlier slice of itself or of the cycle that it is in."""
    found = dependences(cascade.einsums, cascade.sizes, cascade.extents)
    follows: dict[str, list[str]] = {einsum.name: [] for einsum in cascade.work}
    for edge in found:
        follows[edge.producer].append(edge.consumer)
    ranks: dict[str, frozenset[str]] = dict.fromkeys(follows, frozenset())
    for group in components(list(follows), follows):
        for edge in found:
            if edge.producer in group and edge.consumer in group and edge.steps:
                for name in group:
                    ranks[name] |= {edge.steps[0][0]}
    return ranks


def distances(cascade: Cascade) -> dict[tuple[str, str], tuple[str, int]]:
    """For every (producer, consumer): the tensor and the least distance in slices.

    The distance counts along an iterative dimension and inside dependence cycles; elsewhere it is 0.
    """
    found = dependences(cascade.einsums, cascade.sizes, cascade.extents)
    follows: dict[str, list[str]] = {einsum.name: [] for einsum in cascade.work}
    for edge in found:
        follows[edge.producer].append(edge.consumer)
    group = {name: number for number, names in enumerate(components(list(follows), follows)) for name in names}
    least: dict[tuple[str, str], tuple[str, int]] = {}
    for edge in found:
        iterative = cascade.tensors[edge.tensor].iterative
        counted = edge.steps
        if group[edge.producer] != group[edge.consumer]:
            written = index_map(cascade.by_name[edge.producer].output.indices[iterative], cascade.sizes) if iterative is not None else None
            along = written.single_rank if written is not None else None
            counted = tuple(step for step in edge.steps if step[0] == along)
        distance = max((count for _, count in counted), default=0)
        key = (edge.producer, edge.consumer)
        if key not in least or distance < least[key][1]:
            least[key] = (edge.tensor, distance)
    return least


def graph(cascade: Cascade) -> networkx.DiGraph:
    """Dependence graph over names of working Einsums; edges carry `tensor` and `distance` (slices between write and read)."""
    import networkx

    made = networkx.DiGraph()
    made.add_nodes_from(einsum.name for einsum in cascade.work)
    for (producer, consumer), (tensor, distance) in distances(cascade).items():
        made.add_edge(producer, consumer, tensor=tensor, distance=distance)
    return made
