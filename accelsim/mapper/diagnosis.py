"""Why nothing is legal: which constraints or which memory rule everything out, and the least that would have to change."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, combinations
from math import ceil, gcd
from typing import TYPE_CHECKING

from accelsim.errors import IllegalMapping, InputError
from accelsim.hardware.architecture import Architecture, Array, Memory, Node
from accelsim.mapper.constraints import Constraints, KeepRule, Rule
from accelsim.mapper.exact import Exact
from accelsim.mapper.figures import Aim, Scale, aim
from accelsim.mapper.leaf_plan import Unsupported
from accelsim.mapper.options import Limits
from accelsim.mapper.pieces import Tensors
from accelsim.mapping.tree import Keep, Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.workload.cascade import Cascade

if TYPE_CHECKING:
    from accelsim.mapper.best import Request

_WORK = 4  # of one question whether anything is legal, in hundred thousands of candidates
_FEW = 5  # tensors that may be kept elsewhere than at the root, up to which every choice is tried
_INDIFFERENT = Aim(lambda cost: 0.0 * cost.energy, (False, False, False, False))


class Diagnosis:
    """Questions about one problem. Those that the exact search has no form for have no answers."""

    def __init__(self, cascade: Cascade, architecture: Architecture, request: Request) -> None:
        self.cascade, self.architecture, self.request = cascade, architecture, request
        self.name = f"no mapping of {cascade.name} on {architecture.name}"

    def of_constraints(self) -> IllegalMapping:
        """Why no mapping obeys the constraints: rules without any one of which, and sizes of one memory with which there is a mapping."""
        what, given = f"{self.name} obeys all constraints", self.request.constraints
        groups: dict[str, list[Rule]] = {}
        for rule in given.rules():
            groups.setdefault(rule.said or str(rule), []).append(rule)
        mends, short = [], []
        for name, memory in self.architecture.memories.items():
            if memory.size_bits is None or memory is self.architecture.root:
                continue
            found = self._least_size(name, memory.size_bits)
            if found is not None and found[0] > memory.size_bits:
                need, sure = found
                short.append(f"{name} holds {memory.size_bits:,} bits, the smallest tiles that do need {f'{need:,}' if sure else 'more'}")
                mends.append(f"give {name} {need:,} bits")
        blamed = [said for said, rules in groups.items() if self._admits(self.architecture, given.without(rules)) is not None]
        if blamed:
            mends.append(f"leave out {' or '.join(blamed)}")
        if short:
            what = f"{what}: {', and '.join(short)}"
        mend = ", or ".join(mends)
        return IllegalMapping(what, mend or "none of them alone is the reason; leave out several, or enlarge several memories")

    def of_the_root(self) -> tuple[Mapping | None, IllegalMapping | None]:
        """A mapping for which the root is large enough, or why it is too small for all."""
        root = self.architecture.root
        if root.size_bits is None:
            return None, None
        tensors = Tensors(self.cascade)
        passing = list(tensors.passing)
        if len(passing) > _FEW:
            return None, None
        large, given = self._with_size(root.name, 1 << 60), self.request.constraints
        evaluator = Evaluator(self.cascade, large, self.request.counting)
        best: tuple[int, Mapping] | None = None
        least = float("inf")  # a result takes more where sums that are not complete reach the root, which is up to the mapping
        for gone in chain.from_iterable(combinations(passing, many) for many in range(len(passing) + 1)):
            rules = replace(given, keeps=(*given.keeps, KeepRule((), root.name, gone, must=False)))
            for goal in (_INDIFFERENT, aim("traffic", Scale.of(evaluator))):
                mapping = self._admits(large, rules, goal)
                if mapping is None:
                    break
                whole = sum(tensors.words(name) * self.cascade.tensors[name].final.bits for name in _at(mapping, root.name))
                least = min(least, float(whole))
                held = int(evaluator.evaluate(mapping).occupancy()[root.name])
                if best is None or held < best[0]:
                    best = held, mapping
        if best is None:
            return None, None
        if best[0] <= root.size_bits:
            return best[1], None
        need = f"{best[0]:,}" if best[0] <= least else f"{ceil(least):,} at least"
        what = f"{self.name}: {root.name} holds {root.size_bits:,} bits, the tensors that it keeps whole need {need}"
        return None, IllegalMapping(what, f"give it {best[0]:,} bits")

    def of_inputs_and_outputs(self) -> IllegalMapping | None:
        """Whether the root is too small even for what every search keeps there as a whole."""
        root, tensors = self.architecture.root, Tensors(self.cascade)
        whole = [noun for noun in self.cascade.tensors.values() if (noun.is_input or noun.is_output) and noun.iterative is None]
        need = ceil(sum(tensors.words(noun.name) * noun.final.bits for noun in whole))
        if root.size_bits is None or need <= root.size_bits:
            return None
        what = f"{self.name} was found: {root.name} holds {root.size_bits:,} bits, the inputs and outputs that it keeps whole need {need:,}"
        return IllegalMapping(what, f"give it {need:,} bits at least")

    def _admits(self, architecture: Architecture, constraints: Constraints, goal: Aim = _INDIFFERENT) -> Mapping | None:
        """A mapping that obeys, whichever or a good one; None if there is none or it was not found soon."""
        self.sure = True
        limits = Limits(work=_WORK)
        try:
            evaluator = Evaluator(self.cascade, architecture, self.request.counting)
            exact = Exact(evaluator, goal, self.request.schedules, constraints, limits)
            best = None if goal is _INDIFFERENT else exact.run()
            found = exact.any() if best is None else best.mapping
        except (Unsupported, InputError):
            return None
        self.sure = found is not None or not limits.over
        return found

    def _least_size(self, name: str, size: int) -> tuple[int, bool] | None:
        """The fewest bits of a memory with which a mapping obeys, None if its size is not the reason; and whether none are fewer."""
        tensors = self.cascade.tensors.values()
        widths = {bits for tensor in tensors for bits in (tensor.partial.bits, tensor.final.bits)}
        step = gcd(*map(int, widths)) if all(bits == int(bits) for bits in widths) else 1
        most = sum(Tensors(self.cascade).words(tensor.name) * max(tensor.partial.bits, tensor.final.bits) for tensor in tensors)
        low, high = size // step, 2 * -(-int(most + 1) * len(self.cascade.work) // step)
        held = self._least_held(name, high * step)
        if held is not None:
            return held
        if self._admits(self._with_size(name, high * step), self.request.constraints) is None:
            return None
        sure = True
        while high - low > 1:
            middle = (low + high) // 2
            if self._admits(self._with_size(name, middle * step), self.request.constraints) is not None:
                high = middle
            else:
                low, sure = middle, sure and self.sure
        return high * step, sure

    def _least_held(self, name: str, size: int) -> tuple[int, bool] | None:
        """The same of the home, from the search for what holds the least in it; None for another memory, or if nothing was found."""
        try:
            evaluator = Evaluator(self.cascade, self._with_size(name, size), self.request.counting)
            least = aim("capacity", Scale.of(evaluator))
            exact = Exact(evaluator, least, self.request.schedules, self.request.constraints, Limits(work=_WORK))
        except (Unsupported, InputError):
            return None
        found = exact.run() if exact.home == name else None
        return None if found is None else (ceil(found.value), found.value <= found.bound * (1 + 1e-9))

    def _with_size(self, name: str, bits: int) -> Architecture:
        """The machine with another size of one memory."""

        def changed(node: Node) -> Node:
            if isinstance(node, Memory):
                node = replace(node, size_bits=bits if node.name == name else node.size_bits)
            return replace(node, feeds=tuple(map(changed, node.feeds))) if isinstance(node, (Memory, Array)) else node

        root = changed(self.architecture.root)
        assert isinstance(root, Memory)
        return replace(self.architecture, root=root)


def _at(mapping: Mapping, root: str) -> set[str]:
    """The tensors that the root keeps."""
    return {tensor for node in mapping.nodes if isinstance(node, Keep) and node.memory == root for tensor in node.tensors}
