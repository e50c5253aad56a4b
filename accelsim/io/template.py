"""A mapping file with holes as constraints: a tile, a rank, a unit, a schedule, a list of tensors or a whole subtree may be `?`.

What the file says becomes rules about each Einsum that it names; what is `?` is left to the search. See docs/mapper.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from typing import Any

from accelsim.errors import InputError, Place, did_you_mean
from accelsim.hardware.architecture import Architecture, Array, Axis, Memory
from accelsim.io.holes import HOLE, OPEN, REST, Filled, unmarked
from accelsim.io.mapping import read_mapping
from accelsim.io.source import Item
from accelsim.mapper.constraints import (
    AxisRule,
    Constraints,
    KeepRule,
    LoopRule,
    OrderRule,
    PartRule,
    Rule,
    ScheduleRule,
    SequenceRule,
    TileRule,
    UnitRule,
)
from accelsim.mapping.holding import refused_by_size
from accelsim.mapping.tree import For, Fuse, Keep, Leaf, Loop, Spatial, TreeNode
from accelsim.workload.build import sized
from accelsim.workload.cascade import Cascade, Einsum


def template(document: Item, cascade: Cascade, architecture: Architecture, raised: bool) -> Constraints:
    """The constraints that a mapping with holes stands for; InputError with the place for what no rule can say.

    `raised`: whether keeps stand above loops of their block that do not index their tensors, as with `refill=every_visit`.
    """
    keys, filled = dict(document.mapping("a mapping file")), Filled()
    if "tree" in keys:
        keys["tree"] = filled.nodes(keys["tree"])
    try:
        mapping = read_mapping(Item(keys, document.place, document.key_places), cascade.extents, {})
        sized(cascade, mapping.sizes)
    except InputError as error:
        raise InputError(unmarked(error.what), unmarked(error.mend), error.place) from None
    return _Template(cascade, architecture, raised, filled.fuses).constraints(mapping.nodes)


Sizes = dict[str, int | None]  # None: left open


@dataclass
class _Block:
    """A memory's block in an Einsum: its loops, the tensors that it keeps, and the sizes that it leaves."""

    keep: Keep
    loops: list[str]
    tensors: list[str]
    sizes: Sizes
    any_loops: bool = False


@dataclass
class _Own:
    """What an Einsum has for itself: blocks, how axes spread, and whether its end is left open."""

    blocks: list[_Block] = field(default_factory=list)
    spread: dict[str, dict[str, int | None]] = field(default_factory=dict)
    free: set[str] = field(default_factory=set)
    open: bool = False


@dataclass
class _Part:
    """Einsums under one trunk: its nodes, those below them for each Einsum, and the fuse (None: a single Einsum)."""

    trunk: list[TreeNode]
    members: list[tuple[list[Loop], Leaf]]
    fuse: Fuse | None


class _Template:
    def __init__(self, cascade: Cascade, architecture: Architecture, raised: bool, open_fuses: set[Place]) -> None:
        self.cascade, self.machine, self.raised, self.open_fuses = cascade, architecture, raised, open_fuses
        feeds = architecture.root.feeds
        self.root = architecture.root.name
        self.home = feeds[0].name if len(feeds) == 1 and isinstance(feeds[0], Memory) else None
        self.einsums = {einsum.name: einsum for einsum in cascade.work}
        self.found: dict[str, list[Any]] = {}

    def constraints(self, nodes: tuple[TreeNode, ...]) -> Constraints:
        self._check(nodes)
        above = list(nodes[:-1])
        rooted = []
        while above and isinstance(above[0], Keep) and above[0].memory == self.root:
            rooted.append(above.pop(0))
        last = nodes[-1]
        parts = self._parts(above, last)
        named = [leaf.einsum for part in parts for _, leaf in part.members if leaf.einsum != HOLE]
        for name in named:
            if named.count(name) > 1:
                place = next(leaf.place for part in parts for _, leaf in part.members if leaf.einsum == name)
                raise InputError(f"{name} is mapped twice", "remove one of the two", place)
        residents = above if isinstance(last, Fuse) and not (len(parts) == 1 and parts[0].fuse is last) else []
        if rooted:
            self._keeps_at_the_root(rooted)
        for part in parts:
            self._part(part, residents)
        self._cuts(parts, last)
        if len(named) > 1:
            self._add("sequences", SequenceRule(tuple(named), said=_said(last)))
        return Constraints(**{kind: tuple(rules) for kind, rules in self.found.items()})

    def _add(self, kind: str, rule: Rule) -> None:
        self.found.setdefault(kind, []).append(rule)

    def _check(self, nodes: Iterable[TreeNode]) -> None:
        """Refuses names that the workload or the machine does not know."""
        for node in _every(nodes):
            checks: list[tuple[str, str, Iterable[str]]] = []
            if isinstance(node, Keep):
                checks = [("memory", node.memory, self.machine.memories)]
                checks += [("tensor", each, self.cascade.tensors) for each in node.tensors]
                for held in node.held:
                    if held.copies != 1 or held.fraction != 1 or held.layout or held.in_place:
                        what = f"no rule says how {node.memory} keeps {held.tensor}, only that it does"
                        raise InputError(what, f"write '{held.tensor}' alone; copies are found by the search", node.place)
            elif isinstance(node, (For, Spatial)):
                if isinstance(node, For) and node.of:
                    raise refused_by_size(node, "no rule says so")
                checks = [("rank", node.rank, self.cascade.extents)]
                checks += [("axis", node.axis, self.machine.axes)] if isinstance(node, Spatial) else []
            elif isinstance(node, Leaf):
                checks = [("Einsum", node.einsum, self.einsums), ("unit", node.unit, self.machine.units)]
            elif node.schedule == "staged" or node.recompute:
                what = "the search knows no staged fuses and recomputes nothing"
                raise InputError(what, "write 'fuse sequential' or 'fuse pipelined'", node.place)
            for what, name, known in checks:
                if name not in known and name not in (HOLE, REST):
                    raise InputError(f"there is no {what} '{name}'", did_you_mean(name, known), node.place)

    # Parts

    def _parts(self, above: list[TreeNode], last: TreeNode) -> list[_Part]:
        if isinstance(last, Leaf):
            return [self._single(above, last)]
        assert isinstance(last, Fuse)
        kept = [tensor for node in above if isinstance(node, Keep) for tensor in node.tensors if tensor != HOLE]
        nested = any(isinstance(branch[-1], Fuse) for branch in last.branches)
        looped = any(not isinstance(node, Keep) for node in above)
        several = last.schedule != "sequential" or last.place in self.open_fuses or not all(self._passes(tensor) for tensor in kept)
        if not nested and (looped or several):
            return [self._several(above, last)]
        if looped:
            what = "a fuse inside a fuse has no loops above both in the map space"
            raise InputError(what, "move these loops into its branches", above[-1].place)
        for node in above:
            for tensor in node.tensors if isinstance(node, Keep) else ():
                if tensor != HOLE and not self._passes(tensor):
                    what = f"{tensor} does not pass between parts, and is not kept from one to the next"
                    raise InputError(what, "keep it inside the branches that use it", node.place)
        found = []
        for branch in last.branches:
            end = branch[-1]
            if isinstance(end, Leaf):
                found.append(self._single(list(branch[:-1]), end))
            else:
                assert isinstance(end, Fuse)
                found.append(self._several(list(branch[:-1]), end))
        return found

    def _passes(self, tensor: str) -> bool:
        noun = self.cascade.tensors[tensor]
        return not noun.is_input and not noun.is_output

    def _single(self, above: list[TreeNode], leaf: Leaf) -> _Part:
        return _Part([], [(self._own_nodes(above, leaf), leaf)], None)

    def _several(self, above: list[TreeNode], fuse: Fuse) -> _Part:
        members = []
        for branch in fuse.branches:
            end = branch[-1]
            if not isinstance(end, Leaf):
                raise InputError("the map space has no fuse inside the fuse of a part", "put its Einsums into the outer one", end.place)
            members.append((self._own_nodes(list(branch[:-1]), end), end))
        return _Part(above, members, fuse)

    def _own_nodes(self, above: list[TreeNode], leaf: Leaf) -> list[Loop]:
        nodes = [node for node in (*above, *leaf.loops) if isinstance(node, (For, Spatial, Keep))]
        if leaf.einsum == HOLE and nodes:
            raise InputError("no Einsum is named below this", "name it, as in '{einsum: NAME, unit: ?, loops: ?}'", nodes[0].place)
        return nodes

    def _cuts(self, parts: list[_Part], last: TreeNode) -> None:
        """What is one part and what is not."""
        firsts = []
        for part in parts:
            names = tuple(leaf.einsum for _, leaf in part.members if leaf.einsum != HOLE)
            if not names:
                continue
            said = _said(part.fuse or part.members[0][1])
            firsts.append(names[0])
            if len(names) > 1:
                self._add("parts", PartRule(names, said=said))
            if part.fuse is not None and part.fuse.schedule != "sequential":
                self._add("schedules", ScheduleRule(names, part.fuse.schedule, said=said))
            elif part.fuse is not None and part.fuse.place not in self.open_fuses:
                self._add("schedules", ScheduleRule(names, "sequential", said=said))
            if len(names) == len(part.members):
                named = {leaf.einsum for each in parts for _, leaf in each.members}
                for other in self.einsums:
                    if other not in named:
                        self._add("parts", PartRule((names[0], other), together=False, said=said))
        if len(firsts) > 1:
            self._add("parts", PartRule(tuple(firsts), together=False, said=_said(last)))

    def _keeps_at_the_root(self, keeps: list[TreeNode]) -> None:
        listed = [tensor for keep in keeps if isinstance(keep, Keep) for tensor in keep.tensors]
        said = _said(keeps[0])
        self._add("keeps", KeepRule((), self.root, tuple(tensor for tensor in listed if tensor != HOLE), said=said))
        if HOLE not in listed:
            others = tuple(tensor for tensor in self.cascade.tensors if tensor not in listed)
            self._add("keeps", KeepRule((), self.root, others, must=False, said=said))

    def _part(self, part: _Part, residents: list[TreeNode]) -> None:
        sizes: Sizes = dict(self.cascade.extents)
        loops: list[For] = []
        held: dict[str, tuple[Sizes, TreeNode]] = {}
        names = [leaf.einsum for _, leaf in part.members if leaf.einsum != HOLE]
        for node in (*residents, *part.trunk):
            if isinstance(node, For):
                if node.rank == HOLE:
                    raise InputError("a loop above a fuse needs its rank", "name it; its size may be '?'", node.place)
                if node.rank in [loop.rank for loop in loops]:
                    raise InputError(f"{node.rank} has two loops above one fuse", "leave one of them out", node.place)
                sizes = self._cut(node, sizes)
                loops.append(node)
            elif isinstance(node, Keep) and node.memory == self.home:
                for tensor in node.tensors:
                    inside = tensor != HOLE and bool(loops) and not any(
                        loops[-1].rank in _indexing(self.cascade, einsum, tensor) for einsum in self._touching(tensor, names)
                    )  # fmt: skip
                    if inside:
                        what = f"{tensor} stays the same while 'for {loops[-1].rank}' turns"
                        raise InputError(what, "keep it above that loop", node.place)
                    held[tensor] = dict(sizes), node
            else:
                place = node.place
                what = f"above a fuse stand loops in time and keeps of {self.home}" if self.home else "nothing is shared above a fuse here"
                raise InputError(what, "move this below the fuse", place)
        if (loops or part.trunk) and not names:
            raise InputError("no Einsum is named below this", "name one, as in '{einsum: NAME, unit: ?, loops: ?}'", part.trunk[0].place)
        for own, leaf in part.members:
            if leaf.einsum != HOLE:
                self._above(self.einsums[leaf.einsum], part, loops, sizes, held)
                self._einsum(self.einsums[leaf.einsum], leaf, own, sizes, held)

    def _touching(self, tensor: str, names: list[str]) -> list[Einsum]:
        return [self.einsums[name] for name in names if tensor in _tensors(self.einsums[name])]

    def _above(self, einsum: Einsum, part: _Part, loops: list[For], sizes: Sizes, held: Dict[str, tuple[Sizes, TreeNode]]) -> None:
        """What stands above an Einsum's own blocks."""
        about, home = (einsum.name,), self.home or ""
        for tensor in _tensors(einsum):
            if tensor in held:
                there, node = held[tensor]
                self._add("keeps", KeepRule(about, home, (tensor,), said=_said(node)))
                self._add("keeps", KeepRule(about, home, (tensor,), must=False, above=False, said=_said(node)))
                for rank in _indexing(self.cascade, einsum, tensor):
                    if (size := there[rank]) is not None:
                        self._add("tiles", TileRule(about, home, rank, size, size, True, (tensor,), said=_said(node)))
            elif HOLE not in held and self.home is not None:
                said = _said(part.fuse or part.members[0][1])
                self._add("keeps", KeepRule(about, home, (tensor,), must=False, above=True, said=said))
        if part.fuse is None or self.home is None:
            return
        said = _said(loops[0] if loops else part.fuse)
        for rank in einsum.ranks:
            if (size := sizes[rank]) is not None:
                self._add("tiles", TileRule(about, home, rank, size, size, True, said=said))
        ranks = tuple(loop.rank for loop in loops)
        self._add("loops", LoopRule(about, home, ranks, True, said=said))
        if len(ranks) > 1:
            self._add("orders", OrderRule(about, home, ranks, True, said=said))

    # One Einsum

    def _cut(self, node: For | Spatial, sizes: Sizes) -> Sizes:
        """The sizes inside a loop."""
        before = sizes.get(node.rank)
        if node.tile == OPEN:
            return sizes | {node.rank: None}
        extent = self.cascade.extents[node.rank]
        around = extent if before is None else before
        if around % node.tile:
            mend = f"write a size that divides {around}, or '?'"
            what = f"tile {node.tile} of {node.rank} does not divide the {around} around it, and constraints need that"
            raise InputError(what, mend, node.place)
        return sizes | {node.rank: node.tile}

    def _own(self, einsum: Einsum, nodes: list[Loop], sizes: Sizes) -> _Own:
        found, loops, any_loops, ended = _Own(), list[str](), False, False
        for at, node in enumerate(nodes):
            if isinstance(node, For) and node.rank == REST:
                if at < len(nodes) - 1:
                    what = "nothing may follow '?' among loops, which stands for all the rest"
                    raise InputError(what, "move it to the end", nodes[at + 1].place)
                if loops:
                    what = f"'for {loops[-1]}' belongs to no memory"
                    raise InputError(what, "write the keep below it, as in 'keep MEMORY: ?'", nodes[at - 1].place)
                found.open = True
                return found
            if isinstance(node, Spatial):
                self._spatial(node, sizes, found)
                if loops:
                    what = f"loops in time above axis {node.axis} belong to no memory"
                    raise InputError(what, "write a keep between the two", node.place)
                ended = False
                sizes = sizes if node.rank == HOLE else self._cut(node, sizes)
            elif isinstance(node, For):
                if node.rank == HOLE:
                    if node.tile != OPEN:
                        what = "a loop of any rank cannot leave a given size"
                        raise InputError(what, "write '?' for its size too, or name the rank", node.place)
                    any_loops = True
                    sizes = dict.fromkeys(sizes)
                    continue
                if node.rank in loops:
                    raise InputError(f"{node.rank} has two loops in one block", "leave one of them out", node.place)
                sizes = self._cut(node, sizes)
                last = found.blocks[-1] if ended else None
                if last is not None and node.rank not in last.loops and not any(
                    node.rank in _indexing(self.cascade, einsum, tensor) for tensor in last.tensors if tensor != HOLE
                ):  # fmt: skip
                    last.loops.append(node.rank)
                    last.sizes = sizes
                    continue
                loops.append(node.rank)
                ended = False
            else:
                again = found.blocks and found.blocks[-1].keep.memory == node.memory
                if node.memory == self.root:
                    raise InputError(f"{self.root} keeps what it does above everything", "move this to the top", node.place)
                if again and ended:
                    found.blocks[-1].tensors += node.tensors
                    continue
                if again and self.raised:
                    block = found.blocks.pop()
                    found.blocks.append(_Block(block.keep, block.loops + loops, [*block.tensors, *node.tensors], sizes, any_loops))
                elif any(block.keep.memory == node.memory for block in found.blocks):
                    raise InputError(f"{node.memory} has two blocks in {einsum.name}", "write one keep for all that it holds", node.place)
                else:
                    found.blocks.append(_Block(node, loops, list(node.tensors), sizes, any_loops))
                loops, any_loops, ended = [], False, self.raised
        if loops:
            raise InputError(f"'for {loops[-1]}' stands above no keep", "leave it out, or write the keep below it", nodes[-1].place)
        return found

    def _spatial(self, node: Spatial, sizes: Sizes, found: _Own) -> None:
        if node.rank == HOLE:
            if node.tile != OPEN:
                what = "an axis that spreads any rank cannot leave a given size"
                raise InputError(what, "write '?' for its size too, or name the rank", node.place)
            found.free.add(node.axis)
            return
        around = sizes[node.rank]
        if node.tile != OPEN and around is None:
            mend = "write '?' for its size too, or fill in the size around it"
            raise InputError(f"how many copies share {node.rank} is not known, since the size around them is '?'", mend, node.place)
        copies = None if node.tile == OPEN or around is None else max(1, around // node.tile)
        found.spread.setdefault(node.axis, {})[node.rank] = copies

    def _einsum(self, einsum: Einsum, leaf: Leaf, nodes: list[Loop], sizes: Sizes, held: Dict[str, tuple[Sizes, TreeNode]]) -> None:
        about, own, touched = (einsum.name,), self._own(einsum, nodes, sizes), _tensors(einsum)
        if leaf.unit != HOLE:
            self._add("units", UnitRule(about, (leaf.unit,), said=_said(leaf)))
        for block in own.blocks:
            said, memory = _said(block.keep), block.keep.memory
            listed = tuple(tensor for tensor in block.tensors if tensor != HOLE)
            above = None if memory != self.home else False
            for tensor in listed:
                if tensor not in touched:
                    raise InputError(f"{einsum.name} does not touch {tensor}", did_you_mean(tensor, touched), block.keep.place)
                if memory == self.home and tensor in held:
                    raise InputError(f"{memory} keeps {tensor} above the fuse already", "remove one of the two", block.keep.place)
            self._add("keeps", KeepRule(about, memory, listed, said=said))
            if HOLE not in block.tensors:
                self._add("keeps", KeepRule(about, memory, tuple(t for t in touched if t not in listed), False, above, said=said))
            if memory == self.home:
                self._add("keeps", KeepRule(about, memory, listed, False, True, said=said))
            for rank in einsum.ranks:
                if (size := block.sizes[rank]) is not None:
                    self._add("tiles", TileRule(about, memory, rank, size, size, False, said=said))
            # where a memory outside may hold nothing, its loops are not this one's
            free = any(HOLE in other.tensors for other in own.blocks) or any(block.sizes[rank] is None for rank in einsum.ranks)
            if not block.any_loops and free:
                self._add("loops", LoopRule(about, memory, tuple(block.loops), False, said=said))
            if len(block.loops) > 1:
                self._add("orders", OrderRule(about, memory, tuple(block.loops), False, said=said))
        memories, axes = self._settled(own, leaf)
        mentioned = [self.root, *(block.keep.memory for block in own.blocks)]
        for memory in memories:
            if memory not in mentioned:
                self._add("keeps", KeepRule(about, memory, touched, False, False if memory == self.home else None, said=_said(leaf)))
        for axis, ranks in own.spread.items():
            if axis not in own.free:
                self._add("axes", AxisRule(about, axis, tuple(ranks), tuple(ranks.values()), said=_said(leaf)))
        for axis in axes:
            if axis not in own.spread and axis not in own.free:
                self._add("axes", AxisRule(about, axis, said=_said(leaf)))

    def _settled(self, own: _Own, leaf: Leaf) -> tuple[list[str], list[str]]:
        """Memories and axes of which the file says all: every one, or where its end is open those outside the last that it names."""
        if not own.open:
            return list(self.machine.memories), list(self.machine.axes)
        if not own.blocks:
            return [], []
        last, memories, axes = own.blocks[-1].keep.memory, list[str](), list[str]()
        for path in self.machine.paths.values():
            if any(isinstance(node, Memory) and node.name == last for node in path):
                for node in path:
                    if isinstance(node, Array):
                        axes += [axis.name for axis in node.axes if isinstance(axis, Axis)]
                    elif node.name == last:
                        break
                    else:
                        memories.append(node.name)
                break
        return memories, axes


def _every(nodes: Iterable[TreeNode]) -> Iterator[TreeNode]:
    for node in nodes:
        yield node
        if isinstance(node, Leaf):
            yield from node.loops
        elif isinstance(node, Fuse):
            for branch in node.branches:
                yield from _every(branch)


def _tensors(einsum: Einsum) -> tuple[str, ...]:
    return tuple(dict.fromkeys(access.tensor for access in (*einsum.reads, einsum.output)))


def _indexing(cascade: Cascade, einsum: Einsum, tensor: str) -> set[str]:
    """Ranks that index a tensor in an Einsum."""
    maps = [index for access in (*einsum.reads, einsum.output) if access.tensor == tensor for index in cascade.index_maps(access)]
    return {rank for index in maps if index is not None for rank in index.ranks}


def _said(node: TreeNode) -> str:
    """A node in the words of the file, and where it stands."""
    if isinstance(node, Keep):
        text = f"keep {node.memory}"
    elif isinstance(node, For):
        text = f"for {node.rank}"
    elif isinstance(node, Spatial):
        text = f"spatial {node.axis} {node.rank}"
    elif isinstance(node, Leaf):
        text = f"einsum: {node.einsum}"
    else:
        text = f"fuse {node.schedule}"
    return f"'{text}' ({node.place})"
