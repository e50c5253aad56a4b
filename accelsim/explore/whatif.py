"""What would help: the same run, or the best run, on a machine with one resource changed; found by walking the machine.

A change is made to the nouns. Changes on which prices or rates depend that only the machine's file states (sizes, the clock) are made by
`remake`, which reads the file again with a setting; without it they are left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from accelsim.errors import AccelsimError
from accelsim.explore.reasons import charges
from accelsim.hardware.architecture import Architecture, Array, Memory, Node, Unit, network_name
from accelsim.model.evaluation import Evaluation

Remake = Callable[[dict[str, str]], Architecture]
Again = Callable[[int, Evaluation, Architecture], Evaluation]
FACTOR = 2


@dataclass(frozen=True, slots=True)
class Change:
    """A machine with one thing changed. `component`: whose; `field`: what; `says`: both in words."""

    says: str
    component: str
    field: str
    machine: Architecture


@dataclass(frozen=True, slots=True)
class Run:
    """What a run takes: seconds, cycles, energy with its low and high in picojoules, and what binds it, by its share of the time."""

    seconds: float
    cycles: int
    energy_pj: float
    resource: str
    kind: str
    share: float


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A change, and what came of it; `run` None: `why` says in words why there is none."""

    change: Change
    run: Run | None
    why: str = ""


def changes(machine: Architecture, remake: Remake | None = None) -> Iterator[Change]:
    """Each resource of a machine, twice as much of it or half its delay; not the size of the outermost memory, which holds all.

    remake: the machine with a setting; left out, the clock and sizes of memories and of axes are as they are.
    """
    if remake is not None:
        yield from _remade(machine, remake, "", "clock", {"clock": f"{FACTOR * machine.clock_hz} Hz"}, "a clock twice as fast")
    if machine.launch_s:
        yield Change("launches in half the time", "", "launch", replace(machine, launch_s=machine.launch_s / FACTOR))
    for node in machine.nodes():
        if isinstance(node, Memory):
            if node.read_bits_per_s is not None or node.write_bits_per_s is not None:
                made = replace(node, read_bits_per_s=_more(node.read_bits_per_s), write_bits_per_s=_more(node.write_bits_per_s))
                yield Change(f"twice the bandwidth of {node.name}", node.name, "bandwidth", with_node(machine, made))
            if remake is not None and node.size_bits is not None and node is not machine.root:
                setting = {f"{node.name}.size": f"{FACTOR * node.size_bits} bit"}
                yield from _remade(machine, remake, node.name, "size", setting, f"twice the size of {node.name}")
        elif isinstance(node, Unit):
            quick = {name: replace(each, cycles=each.cycles / FACTOR) for name, each in node.operations.items()}
            yield Change(f"{node.name} twice as fast", node.name, "cycles", with_node(machine, replace(node, operations=quick)))
            if node.pipeline_depth:
                made_unit = replace(node, pipeline_depth=node.pipeline_depth // FACTOR)
                yield Change(f"half the pipeline of {node.name}", node.name, "pipeline", with_node(machine, made_unit))
        else:
            yield from _of_array(machine, node, remake)


def _of_array(machine: Architecture, array: Array, remake: Remake | None) -> Iterator[Change]:
    link = array.network
    if link is not None and (link.down_bits_per_s is not None or link.up_bits_per_s is not None):
        made = replace(link, down_bits_per_s=_more(link.down_bits_per_s), up_bits_per_s=_more(link.up_bits_per_s))
        name = network_name(array.name)
        yield Change(f"twice the bandwidth of the {name}", name, "bandwidth", with_node(machine, replace(array, network=made)))
    for axis in array.axes:
        if axis.reduction_latency and any(axis.reduction_latency.values()):
            quick = replace(axis, reduction_latency={name: cycles // FACTOR for name, cycles in axis.reduction_latency.items()})
            axes = tuple(quick if each is axis else each for each in array.axes)
            made_array = with_node(machine, replace(array, axes=axes))
            yield Change(f"half the latency of sums over {axis.name}", axis.name, "reduction", made_array)
        if remake is not None:
            setting = {f"{axis.name}.size": str(FACTOR * axis.size)}
            yield from _remade(machine, remake, axis.name, "size", setting, f"twice the copies along {axis.name}")


def _more(rate: Fraction | None) -> Fraction | None:
    return None if rate is None else FACTOR * rate


def _remade(machine: Architecture, remake: Remake, component: str, field: str, setting: dict[str, str], says: str) -> Iterator[Change]:
    try:
        made = remake(setting)
    except AccelsimError:
        return  # the technology has no price for it, or the file does not allow it
    if made != machine:
        yield Change(says, component, field, made)


def with_node(machine: Architecture, changed: Node) -> Architecture:
    """The machine with one node in place of that of the same name."""

    def visit(node: Node) -> Any:
        new = changed if node.name == changed.name else node
        return new if isinstance(new, Unit) else replace(new, feeds=tuple(visit(child) for child in new.feeds))

    return replace(machine, root=visit(machine.root))


def run_of(evaluations: Sequence[tuple[int, Evaluation]]) -> Run:
    """What evaluations take one after the other, each so many times."""
    spent: dict[tuple[str, str], float] = {}
    seconds = 0.0
    for times, each in evaluations:
        for charge in charges(each):
            key = charge.resource, charge.kind
            spent[key] = spent.get(key, 0.0) + times * float(charge.ticks / each.timing.latency) * each.seconds
        seconds += times * each.seconds
    resource, kind = min(spent, key=lambda key: (-spent[key], key), default=("nothing", ""))
    share = spent[resource, kind] / seconds if seconds else 0.0
    cycles = sum(times * each.cycles for times, each in evaluations)
    energy = sum(times * each.energy.value for times, each in evaluations)
    return Run(seconds, cycles, energy, resource, kind, share)


def what_if(
    evaluations: Sequence[tuple[int, Evaluation]],
    wanted: Sequence[Change],
    again: Again,
    tell: Callable[[str], None] | None = None,
) -> tuple[WhatIf, ...]:
    """What comes of every change, the shortest run first, of equal ones that of the least energy.

    `evaluations`: one for each layer, with how many times it is used. `again`: the evaluation of a layer on another machine: of the same
    mapping (`same_mapping`), or of the best one there.
    """
    found: list[WhatIf] = []
    begun = time.monotonic()
    for number, change in enumerate(wanted):
        if tell is not None:
            spent = time.monotonic() - begun
            left = f", about {spent / number * (len(wanted) - number):.0f} s left" if number else ""
            tell(f"what if: {change.says}, {number + 1} of {len(wanted)}{left}")
        try:
            made = [(times, again(place, each, change.machine)) for place, (times, each) in enumerate(evaluations)]
        except AccelsimError as error:
            found.append(WhatIf(change, None, error.what))
            continue
        found.append(WhatIf(change, run_of(made)))
    return tuple(sorted(found, key=_rank))


def _rank(each: WhatIf) -> tuple[float, float, str]:
    return (each.run.seconds, each.run.energy_pj, each.change.says) if each.run is not None else (float("inf"), 0.0, each.change.says)


def same_mapping(_: int, evaluation: Evaluation, machine: Architecture) -> Evaluation:
    """The same mapping on another machine."""
    from accelsim.model.evaluation import Evaluator

    return Evaluator(evaluation.evaluator.cascade, machine, evaluation.evaluator.counting).evaluate(evaluation.mapping)
