"""The exact search: the best mapping of the map space (docs/mapspace.md) with tiles that divide, and a bound on it.

Einsums are cut into parts; a part is a choice of shared loops, of what is kept above its fuse, and of one way to run each Einsum below
it, which `leaf` gives as a front. Parts are joined by dynamic programming over cuts and over the tensors that stay resident in memory 1.
Whatever is left unexplored (for lack of time, or within the gap asked for) enters a second pass of the same program with its lower bound.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from math import prod

import numpy as np

from accelsim.errors import IllegalMapping
from accelsim.hardware.architecture import Memory
from accelsim.mapper.chains import Label, Step, Surroundings
from accelsim.mapper.constraints import Constraints
from accelsim.mapper.cuts import FEW, Cuts, Passage, are_done
from accelsim.mapper.figures import NOTHING, SLACK, Aim, Cost, Scale
from accelsim.mapper.leaf import Front, LeafSearch
from accelsim.mapper.leaf_bounds import SLOW
from accelsim.mapper.leaf_plan import PORT_SIZE, FloatArray, IntArray, LeafPlan, Names, Unsupported, lower, resources
from accelsim.mapper.mixing import pairs
from accelsim.mapper.moving import Moves
from accelsim.mapper.options import Chosen, Cutoff, Limits, Option, Result, Solved, Way
from accelsim.mapper.part import Part
from accelsim.mapper.permits import Permits
from accelsim.mapper.pieces import Stretch, Tensors
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping, TreeNode
from accelsim.model.evaluation import Evaluator

TOLERANCE = 1e-6  # of time, where it is the objective of a large problem: what could be gained by less than that is not looked for
_MORE = 0.2  # how much work more, as a share of what was done and in its unit, is spent on variants that are not
_ALONE = 20.0  # work that every part of one Einsum may take
DOUBT = 1e-3  # by how much parts that a quick look did not prove are put behind others at first


class Exact:
    """One search. Raises Unsupported if an Einsum or the machine has no form here."""

    def __init__(
        self,
        evaluator: Evaluator,
        aim: Aim,
        schedules: tuple[str, ...] = ("sequential", "pipelined"),
        constraints: Constraints | None = None,
        limits: Limits | None = None,
        tell: Callable[[str], None] = lambda _: None,
        nests: bool = True,
        floor: float = 0.0,
    ) -> None:
        """nests: whether some Einsums of a part may have a trunk of their own. floor: what no mapping is known to be better than."""
        self.floor = floor
        self.evaluator, self.aim, self.schedules, self.limits, self.tell = evaluator, aim, schedules, limits or Limits(), tell
        self.cascade, self.machine = evaluator.cascade, evaluator.architecture
        self.tensors = Tensors(self.cascade)
        self.order = self.tensors.order
        self.constraints = (constraints or Constraints()).joined(Constraints.of_machine(self.cascade, self.machine))
        self.cuts = Cuts(self.tensors, [rule.einsums for rule in self.constraints.sequences])
        self.scale = Scale.of(evaluator)
        self.launch = float(evaluator.launch_ticks)  # of each part
        self.numbers = resources(evaluator)
        self.times = len(self.numbers)
        self.traffic, self.latency = self.numbers["", "traffic"], self.numbers["", "latency"]
        self.home = self._home()
        self.moves = Moves(self)
        self.permits = Permits(self)
        self.nests, self.may_vary = nests, self.home is not None and not self.constraints.shaping
        self.timely = aim.uses == (False, True, False, False)  # only time counts
        self._plans: dict[bytes, LeafSearch] = {}
        self._beside: dict[tuple[LeafSearch, bytes], LeafSearch] = {}
        self.ways = {name: self._ways(name) for name in self.order}
        self.large = self.timely and any(search.slow for search in self._plans.values())  # then energy decides no ties
        self.tolerance = TOLERANCE if self.large else 0.0
        self.doubt = DOUBT if self.large else 0.0
        self.varying = False  # whether variants of parts are looked at already
        self.exhaustive = len(self.order) <= FEW  # whether they are in the space
        self.until = float("inf")  # of the work spent, when they are looked at no longer
        self.solved: dict[object, Solved] = {}
        self.matter: dict[tuple[int, bool], tuple[Front, IntArray]] = {}  # see Below
        self.below_none: dict[tuple[int, int], tuple[FloatArray, FloatArray]] = {}  # see Floors
        self.within: dict[tuple[int, int, bytes], tuple[FloatArray, FloatArray]] = {}  # see Floors
        self.means: dict[tuple[int, int], FloatArray] = {}  # see Floors
        # see mixing; how long a unit is busy counts where there is one only
        self.mixes = pairs(list(range(1 + (len(self.machine.units) > 1), 1 + self.traffic)), 1 + self.times)
        self.alone: dict[object, list[Way]] = {}  # see Floors.crude
        self._steps: dict[tuple[int, tuple[str, ...], frozenset[str]], list[Step]] = {}
        self._stretches: dict[tuple[str, ...], Stretch] = {}
        size = None if self.home is None else self.machine.memories[self.home].size_bits
        self.size = float("inf") if size is None else float(size * evaluator.clock.pieces)

    def _home(self) -> str | None:
        """The first memory below the root, if every unit lies below it and no axis stands between."""
        (child, *others) = self.machine.root.feeds
        return child.name if isinstance(child, Memory) and not others else None

    def _ways(self, name: str) -> list[tuple[LeafSearch, Names]]:
        found = []
        for unit in self.machine.units:
            passed = [node.name for node in self.machine.paths[unit] if isinstance(node, Memory)]
            if not self.constraints.may_run(name, unit, self.tensors.touched[name], passed):
                continue
            try:
                self.evaluator.program.cover(name, unit)
            except IllegalMapping:
                continue
            plan, names = lower(self.evaluator, name, unit, self.numbers, self.constraints)
            if not np.diff(plan.way_first).all():  # its axes cannot be used as they have to be
                continue
            if not self.aim.uses[0] and prod(plan.size_count.tolist()) * len(plan.ways) > SLOW:  # energy breaks no ties then
                plan = plan._replace(prices=np.zeros_like(plan.prices), worth=np.zeros_like(plan.worth), energy=0.0)
            if not self.aim.uses[1] and prod(plan.size_count.tolist()) * len(plan.ways) > SLOW:  # nor does time
                ports = plan.ports.copy()
                ports[:, :2] = -1
                plan = plan._replace(ports=ports, issue=0, depth=0)
            found.append((self._shared(plan, names), names))
        if not found:
            raise Unsupported(f"no unit executes {name}")
        return found

    def sharing(self, names: tuple[str, ...]) -> list[list[tuple[LeafSearch, Names]]]:
        """Ways to run Einsums side by side: memories further in than memory 1 are shared out equally among all that may use them."""
        users: dict[str, int] = {}
        for name in names:
            for memory in {memory for _, each in self.ways[name] for memory in each.memories[2:]}:
                users[memory] = users.get(memory, 0) + 1
        found = []
        for name in names:
            ways = []
            for search, each in self.ways[name]:
                ports = search.plan.ports.copy()
                for at in range(2, len(each.memories)):
                    if ports[at, PORT_SIZE] >= 0:
                        ports[at, PORT_SIZE] //= users[each.memories[at]]
                key = search, ports.tobytes()
                if key not in self._beside:
                    self._beside[key] = search if np.array_equal(ports, search.plan.ports) else search.beside(ports)
                ways.append((self._beside[key], each))
            found.append(ways)
        return found

    def _shared(self, plan: LeafPlan, names: Names) -> LeafSearch:
        key = b"|".join(np.asarray(part).tobytes() for part in plan)
        if key not in self._plans:
            self._plans[key] = LeafSearch(plan, names, self.limits.spend)
        return self._plans[key]

    # --- cuts -----------------------------------------------------------------------------------------------------------------------

    def run(self) -> Result | None:
        """The best mapping, None if nothing in the space is legal. The collector of cycles is off meanwhile: a search makes none."""
        collects = gc.isenabled()
        gc.disable()
        try:
            return self._run()
        finally:
            if collects:
                gc.enable()

    def _run(self) -> Result | None:
        """Explore parts until the best is proved.

        Parts have lower bounds before they are explored. Those on the most promising way through all cuts are explored, until what is
        known on that way is as good as its bound: every other way is worse than that.
        """
        self._explore_singles()
        achieved, fresh = None, True
        while True:
            promising = min(self._join(bounds=True), key=lambda label: self.aim.order(label.cost), default=None)
            if promising is None:
                if self.cuts.loosen():
                    continue
                return None
            if fresh:
                achieved = min(self._join(bounds=False), key=lambda label: self.aim.order(label.cost), default=None)
            unknown = [label for label in promising.chain() if label.option is None]
            done = achieved is not None and self.aim.value(achieved.cost) <= self.aim.value(promising.cost) * (1 + self.limits.gap) * SLACK
            if self.aim.then is not None and achieved is not None and unknown and not self.limits.gap:
                done = done and self.aim.order(achieved.cost) <= self.aim.order(promising.cost)
            close = self.large and achieved is not None and self.aim.value(achieved.cost) <= self._bound() * (1 + TOLERANCE)
            least = self.large and achieved is not None and self.aim.value(achieved.cost) <= self.floor * (1 + TOLERANCE)
            if self.limits.over or least:
                break
            if done and not close and self.doubt > self.tolerance:
                self.doubt = self.tolerance  # go on with whatever is left
                continue
            if (done or close) and not self.varying:
                self.varying = True
                self.cuts.loosen()
                self.until = float("inf") if self.exhaustive else self.limits.spent * (1 + _MORE) + _MORE
                continue
            if self.ended:
                break
            places = [label.step for label in unknown if label.step is not None]
            if done or all(step.solved.part is None for step in places):  # or nothing can be done about what is not known
                break
            self.tell(self._progress(promising, achieved, places))
            best = None if achieved is None else self.aim.value(achieved.cost)
            every = [step for steps in self._steps.values() for step in steps]
            around = Surroundings(self.aim, list(self.cuts.passages), every, self.launch)
            before = [step.solved.options for step in places]
            for label, rest in zip(unknown, around.of([step.solved for step in places]), strict=True):
                self._explore(label, Cutoff(self.aim, rest, best, self.limits.gap))
            fresh = any(step.solved.options is not known for step, known in zip(places, before, strict=True))
        if achieved is None:
            return None
        if self.exhaustive:
            self.cuts.loosen()  # what was not reached counts in the bound
        value, bound = self.aim.value(achieved.cost), self._bound()
        covered, evaluated = sum(part.covered for part in self.solved.values()), sum(part.evaluated for part in self.solved.values())
        return Result(self.mapping(achieved), value, min(value, bound), covered, evaluated)

    @property
    def ended(self) -> bool:
        """Whether time or work is up, that for variants included."""
        return self.limits.over or self.limits.spent > self.until

    def any(self) -> Mapping | None:
        """Some mapping, the first that is found; None if nothing in the space is legal, or if the limits come first."""
        self._explore_singles()
        while True:
            found, promising = self._join(bounds=False), self._join(bounds=True)
            if found:
                return self.mapping(found[0])
            if not promising and self.cuts.loosen():
                continue
            unknown = [label for label in promising[0].chain() if label.option is None] if promising else []
            if not unknown or self.limits.over:
                return None
            for label in unknown:
                self._explore(label, None)

    def _bound(self) -> float:
        """What no mapping of the space is better than."""
        kept = self.tolerance, self.doubt
        self.tolerance = self.doubt = 0.0
        self.varying, varying = self.exhaustive, self.varying
        labels = self._join(True, self.cuts.passages if self.exhaustive else self.cuts.in_order)
        labels = labels or self._join(True)  # where constraints leave other orders only
        found = min(self.aim.value(label.cost) for label in labels)
        self.tolerance, self.doubt = kept
        self.varying = varying
        return max(found, self.floor)

    def _explore_singles(self) -> None:
        """Parts of one Einsum without residents, each with some work of its own: there is always something to return then."""
        work = self.limits.work
        try:
            alone = {names: cut for cut, passages in self.cuts.passages.items() for _, names in passages if len(names) == 1}
            for names, cut in alone.items():
                for step in self._steps_from(cut, names, frozenset()):
                    if self.limits.work >= 0.0:  # not stopped
                        self.limits.work = max(work, self.limits.spent + _ALONE)
                    self._explore(Label(NOTHING, step=step), None)
        finally:
            self.limits.work = min(self.limits.work, work)

    def _progress(self, promising: Label, achieved: Label | None, unknown: list[Step]) -> str:
        bound = self.aim.value(promising.cost)
        gap = f"gap {self.aim.value(achieved.cost) / bound - 1:.2%}, " if achieved is not None and bound > 0 else ""
        return f"{gap}exploring {unknown[0].stretch.names[0]} to {unknown[0].stretch.names[-1]}" if unknown else gap

    def _explore(self, label: Label, cutoff: Cutoff | None) -> None:
        """Explore what a label has a bound of only."""
        step = label.step
        if step is None or step.solved.part is None:
            return
        if label.aside:
            step.solved.part.vary(self._rivals(step), cutoff)
        else:
            step.solved.part.go_on(self._rivals(step), cutoff)

    def _join(self, bounds: bool, passages: dict[int, list[Passage]] | None = None) -> list[Label]:
        """Ways through all cuts that no other one beats, with parts that are only bounded too, or not; `passages`: not all."""
        passages = self.cuts.passages if passages is None else passages
        states: dict[int, dict[frozenset[str], list[Label]]] = {cut: {} for cut in passages}
        states[0][frozenset()] = [Label(NOTHING)]
        for cut, following in passages.items():
            for stays, labels in states[cut].items() if following else ():
                for end, names in following:
                    self._extend(states[end], cut, names, stays, labels, bounds)
        return states[self.cuts.last].get(frozenset(), [])

    def _extend(
        self,
        to: dict[frozenset[str], list[Label]],
        cut: int,
        names: tuple[str, ...],
        stays: frozenset[str],
        labels: list[Label],
        bounds: bool,
    ) -> None:
        for step in self._steps_from(cut, names, stays):
            aside = step.solved.aside if bounds and self.varying else []
            if not step.solved.options and not aside and not (bounds and step.solved.rest):
                continue
            front = to.setdefault(step.after, [])
            for option in step.solved.options:
                for label in labels:
                    self._add(front, option.cost.later(self.launch).after(label.cost), label, step, option)
            for least in aside:
                for label in labels:
                    self._add(front, least.later(self.launch).after(label.cost), label, step, None, True)
            for least in step.solved.rest if bounds else ():
                # what is known comes before what is not, and what was not looked at before what a quick look did not prove
                doubt = self.doubt if step.solved.part is not None and step.solved.part.looked else self.tolerance
                cost = least._replace(ticks=least.ticks * (1 + doubt)) if doubt else least
                for label in labels:
                    self._add(front, cost.later(self.launch).after(label.cost), label, step)

    def _steps_from(self, cut: int, names: tuple[str, ...], stays: frozenset[str]) -> list[Step]:
        """A part behind a cut with some residents before, for every choice of what becomes resident."""
        key = cut, names, stays
        if key in self._steps:
            return self._steps[key]
        found = self._steps[key] = list[Step]()
        end = self.cuts.after(cut, names)
        stretch = self.stretch_of(names)
        if not self.constraints.may_be_part(stretch.names):
            return found
        leaving = [tensor for tensor in stretch.exported if tensor in self.tensors.passing] if self.home is not None else []
        for kept in product((False, True), repeat=len(leaving)):
            new = frozenset(tensor for tensor, here in zip(leaving, kept, strict=True) if here)
            staying = new | (stays & set(stretch.external))
            if not all(self.permits.may_stay(tensor, stretch.names) for tensor in staying | set(stretch.internal)):
                continue
            if not all(self.permits.may_be_held(tensor, stretch.names, (), np.zeros((1, 0), np.int64))[0] for tensor in staying):
                continue
            rooted = {tensor: tensor in stretch.external and tensor not in staying for tensor in (*stretch.internal, *stretch.external)}
            if not all(self.permits.may_pass(tensor, root) for tensor, root in rooted.items()):
                continue
            resident = stays | new
            held = sum(self._bits(tensor) for tensor in resident)
            if held > self.size:
                continue
            after = frozenset(tensor for tensor in resident if not are_done(end, self.tensors.readers[tensor]))
            solved = self._look(stretch, stays, new, held)
            if solved.options or solved.rest or solved.aside:
                found.append(Step(cut, end, stretch, resident, after, solved))
        return found

    def stretch_of(self, names: tuple[str, ...]) -> Stretch:
        """Einsums that follow each other."""
        if names not in self._stretches:
            self._stretches[names] = self.tensors.stretch(names)
        return self._stretches[names]

    def _add(
        self, front: list[Label], cost: Cost, before: Label | None = None, step: Step | None = None, option: Option | None = None,
        aside: bool = False,
    ) -> None:  # fmt: skip
        """A label with a cost joins a front that has none as good, and those that it beats leave."""
        beats = self.aim.beats
        for known in front:
            if beats(known.cost, cost):
                return
        front[:] = [known for known in front if not beats(cost, known.cost)]
        front.append(Label(cost, before, step, option, aside))

    def _bits(self, tensor: str) -> int:
        """A whole tensor in its partial type, which it has while it is made."""
        return self.tensors.words(tensor) * self.evaluator.widths.partial[tensor]

    # --- parts ----------------------------------------------------------------------------------------------------------------------

    def _look(self, stretch: Stretch, stays: frozenset[str], new: frozenset[str], held: float) -> Solved:
        """What is known of a part, bounds at first. `stays`: tensors resident already, `new`: those that it leaves so, `held`: pieces."""
        if len(stretch.names) > 1 and (self.home is None or not stretch.sound):
            return Solved()
        key = self._key(stretch, stays, new, held)
        if key not in self.solved:
            part = Part(self, stretch, stays & set(stretch.external) | new, held)
            self.solved[key] = part.solved
            part.begin()
        return self.solved[key]

    def _rivals(self, step: Step) -> list[Cost]:
        """What the Einsums of a part cost when cut further, as far as is known, beyond the one launch that the part has anyway; nothing if
        they leave or find residents.
        """
        if step.resident:
            return []
        names, count = step.stretch.names, len(step.stretch.names)
        cuts = [self.cuts.after(step.first, names[:start]) for start in range(count)]
        fronts: list[list[Label]] = [[Label(NOTHING)], *([] for _ in range(count))]
        for start in range(count):
            for end in range(start + 1, count + 1 - (start == 0)):
                for inner in self._steps.get((cuts[start], names[start:end], frozenset()), []):
                    for option in inner.solved.options if not inner.resident else ():
                        for label in fronts[start]:
                            self._add(fronts[end], option.cost.later(self.launch * (start > 0)).after(label.cost))
        return [label.cost for label in fronts[count]] if count > 1 else []

    def _key(self, stretch: Stretch, stays: frozenset[str], new: frozenset[str], held: float) -> object:
        """What parts that are alike but for names have in common."""
        ranks: dict[str, int] = {}
        tensors: dict[str, int] = {}
        rows = []
        for name in stretch.names:
            for tensor in self.tensors.touched[name]:
                tensors.setdefault(tensor, len(tensors))
            ways = self.ways[name]
            names = ways[0][1]
            for rank in names.ranks:
                ranks.setdefault(rank, len(ranks))
            roles = tuple((tensors.setdefault(tensor, len(tensors)), self._role(tensor, stretch, stays, new)) for tensor in names.tensors)
            rows.append((tuple(id(search) for search, _ in ways), tuple(ranks[rank] for rank in names.ranks), roles))
        alike = tuple(self.tensors.alike(tensor, stretch.names) for tensor in stretch.external)
        singular = stretch.names if self.constraints.singular(stretch.names) else ()
        return tuple(rows), alike, held, tuple(ranks[rank] for rank in stretch.shared), stretch.sound, singular

    def _role(self, tensor: str, stretch: Stretch, stays: frozenset[str], new: frozenset[str]) -> int:
        return 1 * (tensor in stretch.internal) + 2 * (tensor in stays) + 4 * (tensor in new)

    def _named(self, option: Option, stretch: Stretch) -> Option:
        """The option of a part that is alike, in the names of this one."""
        every = option.chosen()
        if tuple(chosen.names.einsum for chosen in every) == stretch.names:
            return option
        ranks: dict[str, str] = {}
        tensors: dict[str, str] = {}
        named: dict[str, Names] = {}
        for chosen, name in zip(every, stretch.names, strict=True):
            at = [names.unit for _, names in self.ways[name]].index(chosen.names.unit)
            named[chosen.names.einsum] = names = self.ways[name][at][1]
            ranks |= dict(zip(chosen.names.ranks, names.ranks, strict=True))
            tensors |= dict(zip(chosen.names.tensors, names.tensors, strict=True))

        def renamed(one: Option) -> Option:
            loops = tuple((ranks[rank], tile) for rank, tile in one.loops)
            keeps = tuple((depth, tuple(tensors[tensor] for tensor in kept)) for depth, kept in one.keeps)
            copies = tuple((tensors[tensor], many) for tensor, many in one.copies)
            leaves = tuple(
                replace(leaf, names=named[leaf.names.einsum]) if isinstance(leaf, Chosen) else renamed(leaf) for leaf in one.leaves
            )
            return Option(one.cost, one.schedule, loops, keeps, copies, leaves)

        return renamed(option)

    # --- the mapping ----------------------------------------------------------------------------------------------------------------

    def mapping(self, label: Label) -> Mapping:
        """The mapping that a label stands for."""
        chain = [(each.step, each.option) for each in label.chain() if each.step is not None and each.option is not None]
        everything = dict.fromkeys(tensor for name in self.order for tensor in self.tensors.touched[name])
        resident = dict.fromkeys(tensor for step, _ in chain for tensor in sorted(step.resident))
        options = [self._named(option, step.stretch) for step, option in chain]
        inside = {
            tensor for (step, _), option in zip(chain, options, strict=True) for tensor in option.kept & set(step.stretch.internal)
        }  # fmt: skip
        nodes: list[TreeNode] = [
            Keep(self.machine.root.name, tuple(Held(tensor) for tensor in everything if tensor not in resident and tensor not in inside))
        ]
        if not nodes[0].held:  # type: ignore[union-attr]
            nodes = []
        if resident and self.home is not None:
            nodes.append(Keep(self.home, tuple(Held(tensor) for tensor in resident)))
        parts = [self._branch(option) for option in options]
        name = f"{self.cascade.name} on {self.machine.name}"
        if len(parts) == 1:
            return Mapping(name, (*nodes, *parts[0]))
        return Mapping(name, (*nodes, Fuse("sequential", tuple(parts))))

    def _branch(self, option: Option) -> tuple[TreeNode, ...]:
        nodes: list[TreeNode] = []
        copies = dict(option.copies)
        keeps = dict(option.keeps)
        for depth in range(len(option.loops) + 1):
            if depth:
                nodes.append(For(*option.loops[depth - 1]))
            if keeps.get(depth):
                assert self.home is not None
                nodes.append(Keep(self.home, tuple(Held(tensor, copies.get(tensor, 1)) for tensor in keeps[depth])))
        branches = [self._leaf(leaf) if isinstance(leaf, Chosen) else self._branch(leaf) for leaf in option.leaves]
        if len(branches) == 1:
            return (*nodes, *branches[0])
        return (*nodes, Fuse(option.schedule, tuple(branches)))

    @staticmethod
    def _leaf(chosen: Chosen) -> tuple[TreeNode, ...]:
        return (Leaf(chosen.names.einsum, chosen.names.unit, chosen.search.loops(chosen.number, chosen.pointer, chosen.names)),)

    def front(self) -> tuple[list[Mapping], bool]:
        """Mappings that no other beats in the figures of the aim, and whether nothing that could be of use was left unexplored."""
        if self.exhaustive:
            self.cuts.loosen()
        self._explore_singles()
        while True:
            labels = self._join(bounds=True)
            unknown = {id(each.step.solved): each for label in labels for each in label.chain() if each.step and each.option is None}
            if not unknown or self.limits.over:
                return [self.mapping(label) for label in self._join(bounds=False)], not unknown
            for label in unknown.values():
                self._explore(label, None)
