"""Every joule down to the figures that priced it: how often which component did what, at which price, and where that price stands.

Source: docs/model.md, "Energy and area". The lines are made from counts and from the machine's prices, not from the totals of the
evaluation: that they add up to these is tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from accelsim.hardware.architecture import Memory, Node, Quantity
from accelsim.hardware.origin import Figure, Part, Parts, scaled
from accelsim.model.evaluation import Evaluation
from accelsim.model.pricing import Range

POWERS = ("static", "clock", "background")
PER_WATT = 1e12  # picojoules of a watt and a second


@dataclass(frozen=True, slots=True)
class Line:
    """Energy of one action of a component, for one Einsum and tensor where it has them.

    `action`: read, write, update, interface (a bit that crosses the port), cross (a bit that crosses a network), a primitive, or one of
    POWERS. `count` in `unit`: bit, access, operation, or s (seconds times copies). `price`: picojoules of one; `parts`: what it is made of.
    """

    component: str
    action: str
    einsum: str
    tensor: str
    count: Fraction | float
    unit: str
    price: Range
    parts: Parts

    @property
    def energy(self) -> Range:
        """In picojoules."""
        return self.price.scaled(float(self.count))


def lines(evaluation: Evaluation) -> tuple[Line, ...]:
    """All energy of an evaluation, dynamic and static; what has no price has no line."""
    return (*_moved(evaluation), *_crossed(evaluation), *_operations(evaluation), *_powers(evaluation))


def _line(component: str, action: str, einsum: str, tensor: str, count: Fraction | float, unit: str, price: Quantity) -> Line:
    """A line, whose price stands in no file if it was made in Python."""
    parts = price.parts or (Part(1.0, (Figure(price.value, price.low, price.high, price.source, price.kind, "", component, action),)),)
    return Line(component, action, einsum, tensor, count, unit, Range(price.value, price.low, price.high), parts)


def _moved(evaluation: Evaluation) -> Iterator[Line]:
    pieces = evaluation.evaluator.clock.pieces
    memories = evaluation.evaluator.architecture.memories
    for (einsum, tensor, name), amounts in evaluation.bits.items():
        memory = memories[name]
        crossing = Fraction(0)
        prices = memory.read_pj, memory.write_pj, memory.update_pj or memory.write_pj
        for action, amount, price in zip(("read", "write", "update"), amounts, prices, strict=True):
            if not amount or price is None:
                continue
            bits = Fraction(amount, pieces)
            crossing += bits
            count, unit = (bits, "bit") if memory.access_bits is None else (bits / memory.access_bits, "access")
            yield _line(name, action, einsum, tensor, count, unit, price)
        if crossing and memory.interface_pj is not None:
            yield _line(name, "interface", einsum, tensor, crossing, "bit", memory.interface_pj)


def _crossed(evaluation: Evaluation) -> Iterator[Line]:
    pieces = evaluation.evaluator.clock.pieces
    networks = evaluation.evaluator.architecture.networks
    for (einsum, tensor, name), ways in evaluation.crossed.items():
        price = networks[name][1].energy_pj
        if price is not None and any(ways):
            yield _line(name, "cross", einsum, tensor, Fraction(sum(ways), pieces), "bit", price)


def _operations(evaluation: Evaluation) -> Iterator[Line]:
    evaluator, counts = evaluation.evaluator, evaluation.counts
    for einsum, leaf in counts.lowered.leaves.items():
        for primitive, times in evaluator.program.cover(einsum, leaf.unit).items():
            price = evaluator.architecture.units[leaf.unit].operations[primitive].energy_pj
            if price is not None:
                yield _line(leaf.unit, primitive, einsum, "", counts.operations[einsum] * Fraction(times), "operation", price)


def _powers(evaluation: Evaluation) -> Iterator[Line]:
    machine, seconds = evaluation.evaluator.architecture, evaluation.seconds
    for node in machine.nodes():
        for action, watts in powers(node).items():
            price = _watts(watts)
            yield _line(node.name, action, "", "", machine.copies(node.name) * seconds, "s", price)


def powers(node: Node) -> dict[str, Quantity]:
    """The powers that one copy of a node states."""
    found = {"static": node.static_w, "clock": node.clock_w}
    if isinstance(node, Memory):
        found["background"] = node.background_w
    return {action: watts for action, watts in found.items() if watts is not None}


def _watts(watts: Quantity) -> Quantity:
    """A power as the price of a second in picojoules."""
    value, low, high = (figure * PER_WATT for figure in (watts.value, watts.low, watts.high))
    return Quantity(value, low, high, watts.source, watts.kind, scaled(watts.parts, PER_WATT))
