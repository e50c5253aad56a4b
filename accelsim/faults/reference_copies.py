"""The copies of words in the memories of a mapped cascade that is replayed, each in a dictionary of its own.

A copy holds complete words and incomplete sums; what is in it comes from the copy of the next keep outwards. Source: docs/faults-mapped.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from accelsim.mapping.tree import Address, Mapping, Spatial
from accelsim.model.reference_nest import Footprint, Nest, Tile, build_nests
from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import Access

Word = tuple[int, ...]
Copy = tuple[int, ...]
Loop = tuple[str, str, int]
Where = tuple[tuple[Loop, int], ...]  # an index for every spatial loop passed
Store = tuple[Address, str]  # the address of a keep (() for the home of a computed tensor), the tensor


@dataclass(frozen=True)
class State:
    """Where a leaf stands: a tile for every copy, its turns in time so far, whether it waits for a turn and whether this is the last."""

    nest: Nest
    tiles: dict[Where, Tile]
    turns: tuple[tuple[int, int], ...] = ()
    idle: bool = False
    last: bool = True


@dataclass
class Held:
    """What a store holds: complete words and incomplete sums of every copy; `keys`: the spatial loops above."""

    keys: tuple[Loop, ...]
    parent: Store | None
    words: dict[Copy, dict[Word, Any]] = field(default_factory=dict)
    sums: dict[Copy, dict[Word, Any]] = field(default_factory=dict)

    def copy(self, where: Where) -> Copy:
        index = dict(where)
        return tuple(index.get(key, 0) for key in self.keys)


class Copies:
    """All copies that a mapping has, by store. `inputs`: words of inputs, which are there from the beginning."""

    def __init__(self, cascade: Cascade, mapping: Mapping, inputs: dict[str, Any]) -> None:
        self.cascade, self.inputs, self.nests = cascade, inputs, build_nests(cascade, mapping)
        self.uses = {name: tuple(dict.fromkeys((*nest.einsum.reads, nest.einsum.output))) for name, nest in self.nests.items()}
        self.parts = {name: parts_of(nest) for name, nest in self.nests.items()}
        self.boxes: dict[tuple[str, Access], Footprint] = {}
        self.chains: dict[tuple[str, str], list[tuple[Store, int]]] = {}
        self.keys: dict[Store, tuple[tuple[Loop, ...], Store | None]] = {}
        for nest in self.nests.values():
            for name in dict.fromkeys(access.tensor for access in self.uses[nest.einsum.name]):
                parent = None
                for store, level in self.chain(nest, name):
                    self.keys.setdefault(store, (tuple(sorted(_keys(nest, level))), parent))
                    parent = store
        self.spans = {
            store: tuple(1 if store[0] else size for size in cascade.tensors[store[1]].shape) for store in self.keys
        }  # how far the widest tile of a keep reaches along each dimension; known once it has run
        self.empty()

    def empty(self) -> None:
        """Nothing is held yet."""
        self.stores = {store: Held(keys, parent) for store, (keys, parent) in self.keys.items()}

    def chain(self, nest: Nest, name: str) -> list[tuple[Store, int]]:
        """The keeps of a tensor on the way to a leaf, outermost first, with their levels."""
        key = (nest.einsum.name, name)
        if key not in self.chains:
            levels, computed = nest.keepers(name), not self.cascade.tensors[name].is_input
            self.chains[key] = [((() if computed and at == levels[0] else nest.nodes[at][0], name), at) for at in levels]
        return self.chains[key]

    def box(self, nest: Nest, access: Access, tile: Tile) -> frozenset[Word]:
        key = (nest.einsum.name, access)
        if key not in self.boxes:
            self.boxes[key] = Footprint(self.cascade, access, as_box=False)
        return self.boxes[key].box(tile)

    def above(self, store: Store, copy: Copy) -> Copy:
        """The copy of the parent that a copy belongs to."""
        here = self.stores[store]
        assert here.parent is not None
        return self.stores[here.parent].copy(tuple(zip(here.keys, copy, strict=True)))

    def fetch(self, store: Store, copy: Copy, word: Word) -> bool:
        """Sees to it that a copy holds a word; False if it is nowhere."""
        here = self.stores[store]
        words = here.words.setdefault(copy, {})
        if word in words:
            return True
        if here.parent is None:
            if store[1] not in self.inputs:
                return False
            self.put(store, copy, word, self.inputs[store[1]][word])
            return True
        above = self.above(store, copy)
        if not self.fetch(here.parent, above, word):
            return False
        self.put(store, copy, word, self.carried(store, copy, word, self.stores[here.parent].words[above][word]))
        return True

    def put(self, store: Store, copy: Copy, word: Word, found: Any) -> None:
        """A complete word comes into a copy."""
        self.stores[store].words.setdefault(copy, {})[word] = found

    def carried(self, store: Store, copy: Copy, word: Word, found: Any) -> Any:
        """A word that comes into a copy from further out, as it arrives."""
        return found

    def arrive(self, level: int, states: list[State]) -> None:
        """A keep gets its next tile in every copy that has one."""
        boxes: dict[tuple[Store, Copy], set[Word]] = {}
        results: dict[tuple[Store, Copy], set[Word]] = {}
        for state in states:
            einsum = state.nest.einsum
            for access in self.uses[einsum.name]:
                for store, at in self.chain(state.nest, access.tensor):
                    if at != level or not store[0]:
                        continue
                    for where, tile in state.tiles.items():
                        key = (store, self.stores[store].copy(where))
                        box = self.box(state.nest, access, tile)
                        boxes.setdefault(key, set()).update(box)
                        if access is einsum.output and not self.parted(state.nest):
                            results.setdefault(key, set()).update(box)
        for (store, copy), box_ in boxes.items():
            here = self.stores[store]
            reach = tuple(max(at) - min(at) + 1 for at in zip(*box_, strict=True)) or self.spans[store]
            self.spans[store] = tuple(map(max, self.spans[store], reach))
            words = here.words.setdefault(copy, {})
            for word in [word for word in words if word not in box_]:
                del words[word]
            for word in box_:
                there = here.parent is None or word in self.stores[here.parent].words.get(self.above(store, copy), {})
                if word not in words and there:
                    self.fetch(store, copy, word)
        for (store, copy), box_ in results.items():
            here = self.stores[store]
            sums = here.sums.setdefault(copy, {})
            gone = {word for each in self.within(store, copy) for word in each if word not in box_}
            for word in gone:
                self.flush(store, copy, word)
            assert here.parent is not None
            outer = self.stores[here.parent].sums.setdefault(self.above(store, copy), {})
            for word in box_:
                if word in outer:
                    sums[word] = outer.pop(word)

    def within(self, store: Store, copy: Copy) -> Iterator[dict[Word, Any]]:
        """The sums of a copy and of all copies further in."""
        yield self.stores[store].sums.get(copy, {})
        for child, each in self.stores.items():
            if each.parent == store:
                for inner in each.sums:
                    if self.above(child, inner) == copy:
                        yield from self.within(child, inner)

    def flush(self, store: Store, copy: Copy, word: Word) -> None:
        """A sum leaves a copy, from further in first."""
        for child, each in self.stores.items():
            if each.parent == store:
                for inner in list(each.sums):
                    if self.above(child, inner) == copy:
                        self.flush(child, inner, word)
        here = self.stores[store]
        if word in here.sums.get(copy, {}):
            assert here.parent is not None
            self.stores[here.parent].sums.setdefault(self.above(store, copy), {})[word] = here.sums[copy].pop(word)

    def parted(self, nest: Nest) -> bool:
        """Whether copies keep parts of sums: a keep of the result stands below a loop whose copies have such."""
        last = self.chain(nest, nest.einsum.output.tensor)[-1][1]
        return any(level < last for level in self.parts[nest.einsum.name])


def _keys(nest: Nest, level: int) -> list[Loop]:
    """The spatial loops above a level."""
    return [loop_of(nest, at) for at in range(level) if isinstance(nest.nodes[at][1], Spatial)]


def loop_of(nest: Nest, level: int) -> Loop:
    """A spatial loop by axis, rank, and how many of both are outside of it."""
    node = nest.nodes[level][1]
    assert isinstance(node, Spatial)
    same = [other for _, other in nest.nodes[:level] if isinstance(other, Spatial) and (other.axis, other.rank) == (node.axis, node.rank)]
    return (node.axis, node.rank, len(same))


def parts_of(nest: Nest) -> list[int]:
    """Levels of the loops of which several copies each have a part of a sum."""
    found = []
    for level, (_, node) in enumerate(nest.nodes):
        if isinstance(node, Spatial) and node.rank in nest.einsum.reduced:
            low, high = nest.first_tile(level)[node.rank]
            if high - low > node.tile:
                found.append(level)
    return found
