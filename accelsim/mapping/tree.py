"""The loop tree: a Mapping is nodes from outside in, ending in a leaf or in a fuse whose branches end so. Frozen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from accelsim.errors import Place

SCHEDULES = ("sequential", "staged", "pipelined")


@dataclass(frozen=True, slots=True)
class Held:
    """A tensor that a keep node holds.

    `copies`: tiles held at once (2: filled ahead). `fraction`: share of each tile that stays, rounded down to whole words;
    the rest streams from the next keeper outwards. `layout`: order of ranks in memory. `in_place`: tensors that share the space.
    """

    tensor: str
    copies: int = 1
    fraction: Fraction = Fraction(1)
    layout: tuple[str, ...] = ()
    in_place: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Keep:
    """From here inwards `memory` holds a tile of these tensors: what the loops below touch."""

    memory: str
    held: tuple[Held, ...]
    place: Place | None = field(default=None, compare=False)

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of the tensors held."""
        return tuple(held.tensor for held in self.held)


@dataclass(frozen=True, slots=True)
class For:
    """A loop in time over `rank` that leaves tiles of `tile` inside; the last tile may be smaller.

    `of`: a tensor of which every tile holds at most `tile` stored elements instead ("": tiles are of one size). Such a tile is as large as
    it can be; one coordinate that holds more is a tile alone.
    """

    rank: str
    tile: int
    place: Place | None = field(default=None, compare=False)
    of: str = ""


@dataclass(frozen=True, slots=True)
class Spatial:
    """A loop over copies along `axis`: copy i takes the i-th contiguous `tile` of what is left of `rank`."""

    axis: str
    rank: str
    tile: int
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Leaf:
    """An Einsum on a unit, with its own loops and keeps in order, outermost first."""

    einsum: str
    unit: str
    loops: tuple[Loop, ...] = ()
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Stage:
    """Einsums that run between two barriers. `previous` ones belong to the iteration before (or to the enclosing loop's visit before)."""

    einsums: tuple[str, ...]
    previous: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fuse:
    """Branches that share the loops above, run `sequential`, `staged` or `pipelined`.

    `stages`: for staged; empty means the levels of the dependence graph. `recompute`: tensors whose overlap is computed again.
    """

    schedule: str
    branches: tuple[tuple[TreeNode, ...], ...]
    stages: tuple[Stage, ...] = ()
    recompute: tuple[str, ...] = ()
    place: Place | None = field(default=None, compare=False)


Loop = For | Spatial | Keep
TreeNode = Keep | For | Spatial | Leaf | Fuse


@dataclass(frozen=True)
class Mapping:
    """A loop tree with a name. `sizes`: of parts of splits that the cascade leaves open."""

    name: str
    nodes: tuple[TreeNode, ...]
    source: str = ""
    about: str = ""
    sizes: tuple[tuple[str, int], ...] = ()

    def paths(self) -> Iterator[tuple[tuple[Loop | Fuse, ...], Leaf]]:
        """For every leaf in order: the nodes above it from outside in (fuses included, the leaf's own loops last), and the leaf."""
        yield from _paths(self.nodes, ())

    def __str__(self) -> str:
        from accelsim.mapping.text import nest

        return nest(self).rstrip()

    def __repr__(self) -> str:
        return f"<Mapping {self.name}: {sum(1 for _ in self.paths())} Einsums>"

    def _repr_html_(self) -> str:
        from accelsim import markup

        head, _, tree = str(self).partition("\n")
        return markup.lines(head, tree)


def parts(mapping: Mapping) -> int:
    """How many parts a mapping has: branches of sequential fuses that no loop stands above; one where there are none."""
    return _parts(mapping.nodes)


def _parts(nodes: tuple[TreeNode, ...]) -> int:
    last = next((node for node in nodes if not isinstance(node, Keep)), None)
    return sum(map(_parts, last.branches)) if isinstance(last, Fuse) and last.schedule == "sequential" else 1


Address = tuple[int, ...]
"""Where a node stands: its place among its siblings, and for each fuse above the number of the branch."""


def addressed(
    nodes: tuple[TreeNode, ...], above: tuple[tuple[Address, TreeNode], ...] = (), at: Address = ()
) -> Iterator[tuple[tuple[tuple[Address, TreeNode], ...], Address, Leaf]]:
    """For every leaf in order: the nodes above it with their addresses (its own loops last), its address, and the leaf."""
    for place, node in enumerate(nodes):
        here = (*at, place)
        if isinstance(node, Leaf):
            yield (*above, *(((*here, inner), loop) for inner, loop in enumerate(node.loops))), here, node
            return
        above = (*above, (here, node))
        if isinstance(node, Fuse):
            for number, branch in enumerate(node.branches):
                yield from addressed(branch, above, (*here, number))
            return


def _paths(nodes: tuple[TreeNode, ...], above: tuple[Loop | Fuse, ...]) -> Iterator[tuple[tuple[Loop | Fuse, ...], Leaf]]:
    for node in nodes:
        if isinstance(node, Leaf):
            yield (*above, *node.loops), node
            return
        above = (*above, node)
        if isinstance(node, Fuse):
            for branch in node.branches:
                yield from _paths(branch, above)
            return
