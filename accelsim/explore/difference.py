"""Where the difference of two runs comes from: time and energy by part, whose differences add up to that of the totals.

Times are in seconds, exact, since two machines may have different clocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from fractions import Fraction
from typing import Any

from accelsim.errors import Place
from accelsim.explore.provenance import POWERS, Line, lines
from accelsim.explore.reasons import Charge, charges, costs
from accelsim.hardware.architecture import Architecture, Memory, Node, Quantity, Unit
from accelsim.mapping.tree import Mapping
from accelsim.model.evaluation import Evaluation
from accelsim.model.options import Counting
from accelsim.workload.cascade import Cascade


@dataclass(frozen=True, slots=True)
class Item:
    """A part of two totals under one name."""

    name: tuple[str, ...]
    first: Fraction
    second: Fraction

    @property
    def change(self) -> Fraction:
        """The second less the first."""
        return self.second - self.first


@dataclass(frozen=True, slots=True)
class EnergyItem:
    """Picojoules of a part of two runs. `counts`: what other counts change at the first run's prices; `prices`: what other prices do."""

    name: tuple[str, ...]
    first: float
    second: float
    counts: float
    prices: float

    @property
    def change(self) -> float:
        """The second less the first."""
        return self.second - self.first


@dataclass(frozen=True, slots=True)
class Setting:
    """What differs between two runs; None: one has no such thing."""

    what: str
    first: Any
    second: Any


Runs = Sequence[tuple[int, Evaluation]]
"""Evaluations one after the other, each used so many times: one of a cascade, or those of a model's layers."""


def _seconds(evaluation: Evaluation, ticks: Fraction) -> Fraction:
    clock = evaluation.evaluator.clock
    return ticks / clock.per_cycle / evaluation.evaluator.architecture.clock_hz


def seconds_of(runs: Runs) -> Fraction:
    """How long evaluations take, exactly."""
    return sum((times * _seconds(each, Fraction(each.timing.latency)) for times, each in runs), Fraction(0))


def lines_of(runs: Runs) -> list[Line]:
    """The lines of all runs; of several layers, Einsums are called `LAYER: EINSUM`."""
    found: list[Line] = []
    for times, each in runs:
        layer = f"{each.evaluator.cascade.name}: " if len(runs) > 1 else ""
        found += [replace(line, count=times * line.count, einsum=f"{layer}{line.einsum}") for line in lines(each)]
    return found


def time_items(first: Runs, second: Runs, key: Callable[[Charge], tuple[str, ...]]) -> tuple[Item, ...]:
    """Seconds of the charges of two runs under the names that `key` gives them, the largest change first."""
    sides = []
    for runs in (first, second):
        spent: dict[tuple[str, ...], Fraction] = {}
        for times, each in runs:
            layer = f"{each.evaluator.cascade.name}: " if len(runs) > 1 else ""
            for charge in charges(each):
                name = key(replace(charge, einsum=f"{layer}{charge.einsum}"))
                spent[name] = spent.get(name, Fraction(0)) + times * _seconds(each, charge.ticks)
        sides.append(spent)
    return _items(*sides)


def cause_items(first: Runs, second: Runs) -> tuple[Item, ...]:
    """Seconds of the bound, and of what each run takes beyond it by cause."""
    sides = []
    for runs in (first, second):
        spent: dict[tuple[str, ...], Fraction] = {("bound",): Fraction(0)}
        for times, each in runs:
            beyond = Fraction(0)
            for cost in costs(each)[1]:
                spent[cost.cause,] = spent.get((cost.cause,), Fraction(0)) + times * _seconds(each, cost.ticks)
                beyond += cost.ticks
            spent["bound",] += times * _seconds(each, Fraction(each.timing.latency) - beyond)
        sides.append(spent)
    return _items(*sides)


def layer_items(first: Runs, second: Runs) -> tuple[Item, ...]:
    """Seconds by layer."""
    sides = []
    for runs in (first, second):
        spent: dict[tuple[str, ...], Fraction] = {}
        for times, each in runs:
            name = (each.evaluator.cascade.name,)
            spent[name] = spent.get(name, Fraction(0)) + times * _seconds(each, Fraction(each.timing.latency))
        sides.append(spent)
    return _items(*sides)


def _items(first: dict[tuple[str, ...], Fraction], second: dict[tuple[str, ...], Fraction]) -> tuple[Item, ...]:
    found = [Item(name, first.get(name, Fraction(0)), second.get(name, Fraction(0))) for name in dict.fromkeys((*first, *second))]
    return tuple(sorted(found, key=lambda item: (-abs(item.change), item.name)))


def energy_items(first: Sequence[Line], second: Sequence[Line], key: Callable[[Line], tuple[str, ...]]) -> tuple[EnergyItem, ...]:
    """Picojoules of two runs under the names that `key` gives their lines, the largest change first.

    Lines of the same component, action, Einsum and tensor are compared: their counts at the first one's price, then their prices.
    A line that only one run has is a matter of counts.
    """
    sides = [_merged(first), _merged(second)]
    found: dict[tuple[str, ...], list[float]] = {}
    for name in dict.fromkeys((*sides[0], *sides[1])):
        one, two = (side.get(name) for side in sides)
        line = one or two
        assert line is not None
        row = found.setdefault(key(line), [0.0] * 4)
        energies = [each.energy.value if each is not None else 0.0 for each in (one, two)]
        row[0] += energies[0]
        row[1] += energies[1]
        if one is None or two is None:
            row[2] += energies[1] - energies[0]
            continue
        row[2] += (float(two.count) - float(one.count)) * one.price.value
        row[3] += float(two.count) * (two.price.value - one.price.value)
    items = [EnergyItem(name, *row) for name, row in found.items()]
    return tuple(sorted(items, key=lambda item: (-abs(item.change), item.name)))


def _merged(found: Sequence[Line]) -> dict[tuple[str, ...], Line]:
    """Lines by what they are of; those of layers of one name together."""
    merged: dict[tuple[str, ...], Line] = {}
    for line in found:
        name = _identity(line)
        known = merged.get(name)
        merged[name] = line if known is None else replace(line, count=float(known.count) + float(line.count))
    return merged


def _identity(line: Line) -> tuple[str, ...]:
    return line.component, line.action, line.einsum, line.tensor, line.unit


def by_component(line: Line) -> tuple[str, ...]:
    """Component and action."""
    return line.component, line.action


def by_einsum(line: Line) -> tuple[str, ...]:
    """The Einsum; of power, its name."""
    return (line.einsum,) if line.action not in POWERS else ("power",)


def by_tensor(line: Line) -> tuple[str, ...]:
    """The tensor that moves, or what else the energy is for."""
    if line.tensor:
        return (line.tensor,)
    return ("power",) if line.action in POWERS else ("operations",)


def settings(first: Runs, second: Runs) -> tuple[Setting, ...]:
    """What differs between the machines, the conventions, and the workloads and mappings of layers of one name."""
    one, two = first[0][1].evaluator, second[0][1].evaluator
    found = [*_of_machines(one.architecture, two.architecture), *_of_counting(one.counting, two.counting)]
    if len(first) == len(second) == 1:
        return (*_of_cascades(one.cascade, two.cascade), *found, *_of_mappings(first[0][1].mapping, second[0][1].mapping))
    layers = [{each.evaluator.cascade.name: (times, each) for times, each in runs} for runs in (first, second)]
    for name in dict.fromkeys((*layers[0], *layers[1])):
        a, b = (side.get(name) for side in layers)
        if a is None or b is None:
            found.append(Setting(name, None if a is None else "a layer", None if b is None else "a layer"))
            continue
        inside = [
            *_pair("times", a[0], b[0]),
            *_of_cascades(a[1].evaluator.cascade, b[1].evaluator.cascade),
            *_of_mappings(a[1].mapping, b[1].mapping),
        ]
        found += [replace(each, what=f"{name}: {each.what}") for each in inside]
    return tuple(found)


def _of_cascades(first: Cascade, second: Cascade) -> Iterator[Setting]:
    yield from _pair("workload", first.name, second.name)
    for rank in dict.fromkeys((*first.extents, *second.extents)):
        yield from _pair(f"shape.{rank}", first.extents.get(rank), second.extents.get(rank))
    for name in dict.fromkeys((*first.tensors, *second.tensors)):
        one, two = first.tensors.get(name), second.tensors.get(name)
        kinds = [None if each is None else f"{each.partial.name} to {each.final.name}" for each in (one, two)]
        yield from _pair(f"type.{name}", *kinds)
    names = [each.name for each in first.work], [each.name for each in second.work]
    if names[0] != names[1]:
        yield Setting("Einsums", ", ".join(names[0]), ", ".join(names[1]))


def _of_machines(first: Architecture, second: Architecture) -> Iterator[Setting]:
    yield from _pair("machine", first.name, second.name)
    yield from _pair("technology", first.technology, second.technology)
    yield from _pair("clock_hz", first.clock_hz, second.clock_hz)
    yield from _pair("launch_s", first.launch_s, second.launch_s)
    one, two = ({node.name: node for node in each.nodes()} for each in (first, second))
    for name in dict.fromkeys((*one, *two)):
        a, b = one.get(name), two.get(name)
        if a is None or b is None:
            kind = type(a if a is not None else b).__name__.lower()
            yield Setting(name, None if a is None else kind, None if b is None else kind)
        elif a != b:
            yield from _of_values(name, _own(a), _own(b))
    above = [{name: each.paths[name][-2].name for name in each.paths if len(each.paths[name]) > 1} for each in (first, second)]
    for name in above[0].keys() & above[1].keys():
        yield from _pair(f"{name} is fed by", above[0][name], above[1][name])


def _own(node: Node) -> dict[str, Any]:
    """The fields of a node less what it feeds."""
    apart = {"name", "place", "blocks", *(() if isinstance(node, Unit) else ("feeds",))}
    if isinstance(node, Memory) and node.ports == "shared":
        apart.add("write_bits_per_s")  # reads and writes have the one bandwidth
    return {each.name: getattr(node, each.name) for each in fields(node) if each.name not in apart}


def _of_values(path: str, first: Any, second: Any) -> Iterator[Setting]:
    if first == second or isinstance(first, Place):
        return
    for each in (first, second):
        if is_dataclass(each) and not isinstance(each, (type, Quantity)):
            break
    else:
        if isinstance(first, dict) and isinstance(second, dict):
            for key in dict.fromkeys((*first, *second)):
                yield from _of_values(f"{path}.{key}", first.get(key), second.get(key))
        elif isinstance(first, tuple) and isinstance(second, tuple) and len(first) == len(second) and _named(first) == _named(second):
            for one, two in zip(first, second, strict=True):
                yield from _of_values(f"{path}.{getattr(one, 'name', '')}", one, two)
        else:
            yield Setting(path, first, second)
        return
    if type(first) is type(second):
        compared = {each.name for each in fields(first) if each.compare}
        for key in (each.name for each in fields(first) if each.name in compared):
            yield from _of_values(f"{path}.{key}", getattr(first, key), getattr(second, key))
    else:
        yield Setting(path, None if first is None else type(first).__name__, None if second is None else type(second).__name__)


def _named(values: tuple[Any, ...]) -> list[str]:
    return [getattr(each, "name", "") for each in values]


def _of_counting(first: Counting, second: Counting) -> Iterator[Setting]:
    for option in fields(Counting):
        yield from _pair(f"counting.{option.name}", getattr(first, option.name), getattr(second, option.name))


def _of_mappings(first: Mapping, second: Mapping) -> Iterator[Setting]:
    yield from _pair("mapping", first.name, second.name)
    if first.nodes != second.nodes and first.name == second.name:
        yield Setting("mapping", f"the loop tree of {first.name}", "another loop tree of that name")


def _pair(what: str, first: Any, second: Any) -> Iterator[Setting]:
    if first != second:
        yield Setting(what, first, second)
