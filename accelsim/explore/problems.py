"""Points that are one problem: the mapping that a search of each would find, for the price of one search.

Time has no unit. How many cycles a mapping takes depends on what a cycle moves, never on how long a cycle lasts; static power and area
change no cycle either. So points whose machines agree in bits per cycle, and in everything else that a mapping's cycles or its dynamic
energy depend on, are one problem. It is searched once, on a machine with one cycle a second; every point puts its own clock, power and
area to what is found there. For latency the order of mappings knows no seconds (`mapper.objectives.key`: cycles, dynamic energy, nest), so
that is what a search of the point itself finds, mapping and certificate, proved or not; nothing follows from the order of points.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from accelsim.errors import IllegalMapping, InputError
from accelsim.hardware.architecture import Architecture, Array, Memory, Network, Node, Unit
from accelsim.jobs.store import content_key
from accelsim.mapper.best import Found, Request, search
from accelsim.workload.cascade import Cascade

_MOST = 128  # problems whose answers are kept


class Problems:
    """Answers by problem. `searched`: how many searches there were."""

    def __init__(self) -> None:
        self.searched = 0
        self._last: tuple[Cascade, str] | None = None  # a cascade and its key
        self._answers: OrderedDict[str, Found | IllegalMapping | InputError] = OrderedDict()

    def find(
        self, cascade: Cascade, architecture: Architecture, *, request: Request, progress: Callable[[str], None] | None = None
    ) -> Found:
        """What `search` finds and raises; a search that is cut short is a KeyboardInterrupt."""
        bare = timeless(architecture) if shareable(request) else None
        if bare is None:
            return self._search(cascade, architecture, request, progress)
        key = self._key(cascade, bare, request)
        if key in self._answers:
            self._answers.move_to_end(key)
        else:
            self._answers[key] = self._answer(cascade, bare, request, progress)
            if len(self._answers) > _MOST:
                self._answers.popitem(last=False)
        answer = self._answers[key]
        if not isinstance(answer, Found):
            raise answer.with_traceback(None)  # it would grow with every point
        return Found(answer.mapping, answer.evaluation.on(architecture))

    def _key(self, cascade: Cascade, bare: Architecture, request: Request) -> str:
        asked = request.objective.name, request.seed, request.counting, request.schedules, request.tiles, request.gap, request.constraints
        if self._last is None or self._last[0] is not cascade:
            self._last = cascade, content_key(cascade)
        return content_key(self._last[1], bare, asked)

    def _answer(
        self, cascade: Cascade, bare: Architecture, request: Request, progress: Callable[[str], None] | None
    ) -> Found | IllegalMapping | InputError:
        try:
            return self._search(cascade, bare, request, progress)
        except (IllegalMapping, InputError) as refusal:
            return refusal

    def _search(self, cascade: Cascade, machine: Architecture, request: Request, progress: Callable[[str], None] | None) -> Found:
        self.searched += 1
        found = search(cascade, machine, request=request, progress=progress)
        if found.interrupted:
            raise KeyboardInterrupt
        return found


def shareable(request: Request) -> bool:
    """Whether seconds do not matter for what is asked: latency in cycles, with a fixed amount of work."""
    return request.objective.timeless and request.time_limit is None


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
    bare = replace(machine, root=root, clock_hz=Fraction(1), launch_s=machine.launch_s * clock)
    return replace(bare, technology="", source="", about="")
