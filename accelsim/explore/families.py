"""Points that share searches: the same optimum as a search of each point by itself, for the price of a few searches per family.

Two arguments, both for latency over tiles that divide, and both only for what is proved:

- *Time has no unit.* How many cycles a mapping takes depends on what a cycle moves, never on how long a cycle lasts, nor on power or area.
  Points that agree in bits per cycle are one problem; it is searched once, and every point evaluates its mapping with its own figures.
- *Bandwidth only helps.* No mapping takes longer where the outermost memory is faster, and which mappings there are does not depend on its
  speed. So the least cycles with an unlimited one are a bound for every speed; a mapping that reaches it at some speed is optimal there
  and at all higher ones. Each family, of points that differ in nothing else, tries the mapping of one speed, its *anchor*: the power of two
  in bits per cycle at which what has to be moved in any case takes an eighth of these cycles at most.

What neither settles is searched as it is. So what is found follows from the point alone, whatever was found before: not from the order of
points, not from how they were shared out. Of mappings that are equally fast the anchor's may be another one than a search of the point
itself returns: `cycles`, bound and proof are the same, energy need not be.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from accelsim.errors import IllegalMapping, InputError
from accelsim.explore.points import NO_MAPPING, REFUSED, Case, Cases, Point, Row, evaluate_points, one_sentence, row_of
from accelsim.hardware.architecture import Architecture, Array, Memory, Network, Node, Unit
from accelsim.jobs.store import content_key
from accelsim.mapper.best import Found, Request, search
from accelsim.mapper.constraints import Constraints
from accelsim.mapping.tree import Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.workload.bounds import bounds
from accelsim.workload.cascade import Cascade

_HEADROOM = 8  # how many times over an anchor moves what has to be moved while its machine computes
_MOST = 4096  # problems whose answers are kept


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a search found, or why it found nothing."""

    found: Found | None
    refusal: IllegalMapping | InputError | None = None

    @property
    def record(self) -> dict[str, Any] | None:
        """Of a search that proved what it found."""
        record = None if self.found is None else self.found.evaluation.search
        return record if record is not None and record["proved_optimal"] else None


class Families:
    """Optima of many points, with what was searched for them. `searched`: how many problems that was, so far."""

    def __init__(self, tell: Callable[[str], None] | None = None) -> None:
        self.tell, self.searched = tell, 0
        self._answers: dict[str, _Answer] = {}
        self._machines: dict[int, tuple[Architecture, Architecture | None]] = {}

    def optimum(self, cascade: Cascade, machine: Architecture, request: Request) -> Found:
        """What `search` finds for a point: equal objective, bound and proof. Raises what it raises."""
        if not shareable(cascade, request):
            return self._search(cascade, machine, request)
        timeless = self._timeless(machine)
        if timeless is None:
            return self._search(cascade, machine, request)
        anchored = self._anchored(cascade, machine, timeless, request)
        if anchored is not None:
            return anchored
        answer = self._answer(cascade, timeless, request)
        if answer.found is None or answer.record is None:  # what is not proved may hang on what was left out
            return self._search(cascade, machine, request)
        evaluation = Evaluator(cascade, machine, request.counting).evaluate(answer.found.mapping, checked=True)
        return Found(answer.found.mapping, evaluation.with_search(answer.record))

    def _anchored(self, cascade: Cascade, machine: Architecture, timeless: Architecture, request: Request) -> Found | None:
        """The anchor's mapping at a point, if it takes no longer than the least for every bandwidth."""
        if not _is_simple(timeless.root):
            return None
        least = self._answer(cascade, _with_bandwidth(timeless, None), request).record
        if least is None or not least["lower_bound"]:
            return None
        needed = Fraction(bounds(cascade).compulsory_bytes) * 8 * _HEADROOM / Fraction(math.ceil(least["lower_bound"]))
        speed = Fraction(2) ** max(0, math.ceil(math.log2(needed)))
        if any(rate is not None and rate < speed for rate in _rates(timeless.root)):
            return None
        anchor = self._answer(cascade, _with_bandwidth(timeless, speed), request)
        if anchor.found is None or anchor.found.evaluation.cycles > least["lower_bound"]:
            return None
        evaluation = Evaluator(cascade, machine, request.counting).evaluate(anchor.found.mapping, checked=True)
        value = float(evaluation.cycles)
        if value > least["lower_bound"]:  # cannot be: the machine is no slower than the anchor
            return None
        record = anchor.found.evaluation.search or {}
        proof = {"value": evaluation.cycles, "gap": 0.0, "proved_optimal": True}
        proof |= {part: least[part] for part in ("lower_bound", "space")}
        return Found(anchor.found.mapping, evaluation.with_search(record | proof))

    def _answer(self, cascade: Cascade, machine: Architecture, request: Request) -> _Answer:
        key = content_key(cascade, machine, request.objective.name, request.counting, request.schedules)
        if key not in self._answers:
            if len(self._answers) >= _MOST:
                del self._answers[next(iter(self._answers))]
            try:
                self._answers[key] = _Answer(self._search(cascade, machine, request))
            except (IllegalMapping, InputError) as refusal:
                self._answers[key] = _Answer(None, refusal)
        return self._answers[key]

    def _search(self, cascade: Cascade, machine: Architecture, request: Request) -> Found:
        self.searched += 1
        found = search(cascade, machine, request=request, progress=self.tell)
        if found.interrupted:
            raise KeyboardInterrupt
        return found

    def _timeless(self, machine: Architecture) -> Architecture | None:
        """`timeless`, remembered by the machine itself."""
        known = self._machines.get(id(machine))
        if known is None or known[0] is not machine:
            if len(self._machines) >= _MOST:
                self._machines.clear()
            known = self._machines[id(machine)] = machine, timeless(machine)
        return known[1]


def shareable(cascade: Cascade, request: Request) -> bool:
    """Whether the arguments above hold for what is asked."""
    objective = request.objective
    return (
        objective.timely and objective.then is None and request.tiles == "dividing" and request.time_limit is None
        and not request.gap and request.constraints == Constraints() and not any(split.free for split in cascade.splits)
    )  # fmt: skip


def timeless(machine: Architecture) -> Architecture | None:
    """The machine with cycles of a second, without what no count of cycles depends on; None where a memory has timing of its own."""
    clock = machine.clock_hz
    if any(memory.dram is not None for memory in machine.memories.values()):
        return None

    def per_cycle(rate: Fraction | None) -> Fraction | None:
        return None if rate is None else rate / clock

    def visit(node: Node) -> Node:
        bare: dict[str, Any] = {"static_w": None, "clock_w": None, "area_um2": None, "blocks": ()}
        if isinstance(node, Unit):
            return replace(node, **bare)
        feeds = tuple(visit(each) for each in node.feeds)
        if isinstance(node, Array):
            return replace(node, **bare, feeds=feeds, network=None if node.network is None else linked(node.network))
        read, write = per_cycle(node.read_bits_per_s), per_cycle(node.write_bits_per_s)
        return replace(node, **bare, background_w=None, feeds=feeds, read_bits_per_s=read, write_bits_per_s=write)

    def linked(network: Network) -> Network:
        return replace(network, down_bits_per_s=per_cycle(network.down_bits_per_s), up_bits_per_s=per_cycle(network.up_bits_per_s))

    root = visit(machine.root)
    assert isinstance(root, Memory)
    return replace(machine, root=root, clock_hz=Fraction(1), launch_s=machine.launch_s * clock)


def _is_simple(root: Memory) -> bool:
    """Whether its bandwidth can be any: an unlimited one is refused beside a latency or banks."""
    return not root.latency_cycles and root.banks == 1


def _rates(root: Memory) -> list[Fraction | None]:
    return [root.read_bits_per_s] if root.ports == "shared" else [root.read_bits_per_s, root.write_bits_per_s]


def _with_bandwidth(machine: Architecture, rate: Fraction | None) -> Architecture:
    return replace(machine, root=replace(machine.root, read_bits_per_s=rate, write_bits_per_s=rate))


def optima(points: Sequence[tuple[Cascade, Architecture, Request]], families: Families | None = None) -> list[Found | Exception]:
    """The optimum of every point, in order, or why there is none; `families` carries what was found from one call to the next."""
    families = families or Families()
    found: list[Found | Exception] = []
    for cascade, machine, request in points:
        try:
            found.append(families.optimum(cascade, machine, request))
        except (IllegalMapping, InputError) as error:
            found.append(error)
    return found


_OF_THIS_PROCESS = Families()


@dataclass(frozen=True, slots=True)
class SharedCases:
    """Cases whose points share searches. Their rows are kept apart from those of searches by themselves, whose mappings may be others."""

    cases: Cases

    def case(self, point: Point) -> Case:
        """The nouns of a point."""
        return self.cases.case(point)

    def key(self, point: Point) -> bytes:
        """What a row is kept under."""
        return hashlib.blake2b(b"shared" + self.cases.key(point), digest_size=16).digest()

    def area_um2(self, point: Point) -> float | None:
        """The area of a point's machine."""
        return self.cases.area_um2(point)

    def text(self, mapping: Mapping) -> str:
        """A mapping as the text that saving it would write."""
        return self.cases.text(mapping)

    def command(self, point: Point) -> str:
        """What to type to find a point's cycles again."""
        return self.cases.command(point)


def shared_points(cases: Cases, points: Sequence[Point]) -> list[Row]:
    """What `evaluate_points` finds, with searches shared between all points that this process sees; for `explore(…, evaluate=…)`."""
    return [_row(cases, point) for point in points]


def _row(cases: Cases, point: Point) -> Row:
    try:
        case = cases.case(point)
        if not isinstance(case.workload, Cascade) or case.mappings is not None:
            return evaluate_points(cases, [point])[0]
        evaluation = _OF_THIS_PROCESS.optimum(case.workload, case.machine, case.request).evaluation
    except IllegalMapping as error:
        return Row(NO_MAPPING, one_sentence(error))
    except InputError as error:
        return Row(REFUSED, one_sentence(error))
    return row_of(evaluation, cases.text)
