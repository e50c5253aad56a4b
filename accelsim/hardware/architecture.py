"""The nouns of a machine: Memory, Array, Unit in a tree.

Base units: bits, bits per second, hertz, picojoules, watts, square micrometres.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

from accelsim.errors import Place
from accelsim.hardware.block import Block, Content, content
from accelsim.hardware.dram import ControlledDram
from accelsim.hardware.origin import Parts


@dataclass(frozen=True, slots=True)
class Quantity:
    """A figure with its doubt and its origin: value, low and high in the unit of its field.

    `kind` is `published`, `measured`, `tool`, `derived` or `assumed`. `parts`: the figures of files that it is a sum of products of; none
    if it was made in Python.
    """

    value: float
    low: float
    high: float
    source: str = ""
    kind: str = "assumed"
    parts: Parts = field(default=(), compare=False, repr=False)


INTERSECTIONS = ("two_finger", "skip_ahead", "leading")
REPLACEMENTS = ("least_recent", "optimal")
SORTS = ("insertion", "queues")
FETCHES = ("on_demand",)
ASSIGNMENTS = ("static", "dynamic")


@dataclass(frozen=True, slots=True)
class Sparsity:
    """What a memory or a unit does with tensors of which only some elements are stored.

    `intersect`: how it finds the coordinates that its loops visit, one of INTERSECTIONS; "": they visit all. `intersect_pj`: per step.
    `replacement`: which tile a memory that is a cache replaces, one of REPLACEMENTS; "": it holds what the mapping says. `merge_radix`:
    how many lists a unit merges at a time, an element a cycle; 0: it does not. `sort`: how it puts lists in order instead, one of SORTS;
    "": it does not. `queues`: how many it has for that. `merge_pj`: per cycle of either. `gates`: whether a unit saves the
    energy of operations on elements that are not stored. `fetch`: when a memory is sent what it holds, one of FETCHES: tiles of the
    next keep inside as they are first asked for; "": each of its own at once. None is unpriced.
    """

    intersect: str = ""
    intersect_pj: Quantity | None = None
    replacement: str = ""
    merge_radix: int = 0
    merge_pj: Quantity | None = None
    gates: bool = False
    fetch: str = ""
    sort: str = ""
    queues: int = 0


DENSE = Sparsity()


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory and what it feeds. `blocks`: what one copy is made of in RTL, where the machine says so; as of arrays and units.

    `size_bits`, bandwidths (bits per second and copy): None is unlimited. `ports`: `shared` (reads and writes share
    `read_bits_per_s`) or `separate`. `access_bits`: bits moved per priced access, None if prices are per bit.
    `read_pj`, `write_pj`, `update_pj`: per access (per bit if `access_bits` is None); None is unpriced.
    `latency_cycles`: from when a tile has crossed the port to when it is there; units that read a memory have it in their own pipeline.
    `banks`: words of a tile lie on them in turn, and each serves an equal part of the bandwidth.
    `direct`: whether units read and write it themselves; if not, all they touch is kept in the one memory that it feeds.
    `dram`: the DRAM that the memory is made of; it has the last word in a simulation, and the bandwidth in the model.
    `sustained`: the share of a port's peak that bandwidths are; where it is not 1, it was measured.
    `interface_pj`: per bit crossing the port, on top. `static_w`, `clock_w`, `background_w`, `area_um2`: per copy.
    """

    name: str
    size_bits: int | None = None
    read_bits_per_s: Fraction | None = None
    write_bits_per_s: Fraction | None = None
    ports: str = "shared"
    access_bits: int | None = None
    read_pj: Quantity | None = None
    write_pj: Quantity | None = None
    update_pj: Quantity | None = None
    interface_pj: Quantity | None = None
    static_w: Quantity | None = None
    clock_w: Quantity | None = None
    background_w: Quantity | None = None
    area_um2: Quantity | None = None
    banks: int = 1
    latency_cycles: int = 0
    direct: bool = True
    dram: ControlledDram | None = None
    sustained: Fraction = Fraction(1)
    sparse: Sparsity = DENSE
    blocks: tuple[Block, ...] = ()
    feeds: tuple[Node, ...] = ()
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Axis:
    """A named direction of an array with `size` copies.

    `multicast`: one read serves copies that want the same tile. `reduces`: operators that the axis combines across copies
    (`add`, `max`, `min`, `mul`). `broadcasts`: a partial result that returns reaches all members of a reduced group for the price of one.
    `reduction_latency`: cycles until a reduction over the axis is complete, per operator (0 if absent).
    `partials`: whether copies may each make a part of the same result where the axis does not reduce it. `assign`: whether tiles are
    a copy's own (`static`), or go in order to the copy that is free first (`dynamic`), where only stored elements are work.
    """

    name: str
    size: int
    multicast: bool = True
    reduces: tuple[str, ...] = ()
    broadcasts: bool = False
    forwards: bool = False
    reduction_latency: Mapping[str, int] = field(default_factory=dict)
    partials: bool = True
    assign: str = "static"
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Systolic:
    """How operands and sums move from neighbour to neighbour through an array of two axes: down the first, across the second.

    `shadow`: every copy has a second register, so that the next operands load, or the last results leave, behind the work; without it
    tiles follow one another. `exit`: results that stay in the copies leave through the bottom `edge`, shifted down, or each `element` by
    a way of its own. `folds`: tiles that use a part of the array take the time of their `own` size, or of the `full` one.
    """

    shadow: bool = True
    exit: str = "edge"
    folds: str = "own"


@dataclass(frozen=True, slots=True)
class Network:
    """The link of one copy of an array, which all words cross that go in and out between the memory above and what is below.

    `down_bits_per_s`: to the copies, `up_bits_per_s`: from them; None is unlimited. `ports`: `shared` (both directions share
    `down_bits_per_s`) or `separate`. `energy_pj`: per bit that crosses; None is unpriced.
    """

    down_bits_per_s: Fraction | None = None
    up_bits_per_s: Fraction | None = None
    ports: str = "shared"
    energy_pj: Quantity | None = None


EXITS = ("edge", "element")
FOLDS = ("own", "full")


@dataclass(frozen=True, slots=True)
class Array:
    """Named axes with fan-out; every copy holds what the array feeds. `systolic`: operands move through it step by step.

    `network`: the link that words cross on their way in and out; None: it has no limit and costs nothing.
    """

    name: str
    axes: tuple[Axis, ...]
    static_w: Quantity | None = None
    clock_w: Quantity | None = None
    area_um2: Quantity | None = None
    feeds: tuple[Node, ...] = ()
    systolic: Systolic | None = None
    network: Network | None = None
    blocks: tuple[Block, ...] = ()
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Operation:
    """What one primitive costs on a unit.

    `cycles` per issue of one lane; `energy_pj` per operation (None is unpriced); `types` of operands that it accepts (empty: all).
    """

    primitive: str
    cycles: Fraction = Fraction(1)
    energy_pj: Quantity | None = None
    types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unit:
    """A compute unit: the primitives it executes, `lanes` operations side by side, `pipeline_depth` cycles of latency.

    `sustained`: the share of its peak that the cycles of its operations stand for; where it is not 1, it was measured.
    `static_w`, `clock_w`, `area_um2`: per copy, all lanes together.
    """

    name: str
    operations: Mapping[str, Operation]
    lanes: int = 1
    pipeline_depth: int = 0
    sustained: Fraction = Fraction(1)
    sparse: Sparsity = DENSE
    static_w: Quantity | None = None
    clock_w: Quantity | None = None
    area_um2: Quantity | None = None
    blocks: tuple[Block, ...] = ()
    place: Place | None = field(default=None, compare=False)

    def accepting(self, types: Collection[str]) -> frozenset[str]:
        """The primitives that accept operands of all these types."""
        return frozenset(name for name, operation in self.operations.items() if not operation.types or set(types) <= set(operation.types))

    def wanting(self, primitive: str, types: Collection[str]) -> str:
        """What it does not have, in words: a primitive, or one for these types."""
        return f"no '{primitive}'" + (f" for {' and '.join(sorted(types))}" if primitive in self.operations else "")


Node = Memory | Array | Unit


def network_name(array: str) -> str:
    """What reports call the network of an array."""
    return f"{array} network"


@dataclass(frozen=True)
class Architecture:
    """A machine: a tree whose root is the outermost memory. `clock_hz` None: time comes from operations per second only.

    `launch_s`: seconds that pass before each part of a mapping begins (see `accelsim.mapping.tree.parts`).
    """

    name: str
    root: Memory
    clock_hz: Fraction
    technology: str = ""
    source: str = ""
    about: str = ""
    launch_s: Fraction = Fraction(0)

    @cached_property
    def paths(self) -> dict[str, tuple[Node, ...]]:
        """For every node by name, the nodes from the root down to it, itself included."""
        found: dict[str, tuple[Node, ...]] = {}

        def visit(node: Node, above: tuple[Node, ...]) -> None:
            path = (*above, node)
            found[node.name] = path
            if not isinstance(node, Unit):
                for child in node.feeds:
                    visit(child, path)

        visit(self.root, ())
        return found

    def nodes(self) -> Iterator[Node]:
        """Every node, parents before children."""
        for path in self.paths.values():
            yield path[-1]

    @cached_property
    def memories(self) -> dict[str, Memory]:
        """Memories by name, outermost first."""
        return {node.name: node for node in self.nodes() if isinstance(node, Memory)}

    @cached_property
    def units(self) -> dict[str, Unit]:
        """Compute units by name."""
        return {node.name: node for node in self.nodes() if isinstance(node, Unit)}

    @cached_property
    def axes(self) -> dict[str, tuple[Array, Axis]]:
        """Every axis by name (names are unique in a machine) with the array it belongs to."""
        return {axis.name: (node, axis) for node in self.nodes() if isinstance(node, Array) for axis in node.axes}

    @cached_property
    def networks(self) -> dict[str, tuple[Array, Network]]:
        """Networks by name with the array that each belongs to, outermost first."""
        arrays = (node for node in self.nodes() if isinstance(node, Array))
        return {network_name(node.name): (node, node.network) for node in arrays if node.network is not None}

    @property
    def without_effect(self) -> list[str]:
        """What the machine says that only matters where some elements are not stored, and changes nothing where all count."""
        caches = [f"replacement of {name}" for name, memory in self.memories.items() if memory.sparse.replacement]
        return caches + [f"assign of {name}" for name, (_, axis) in self.axes.items() if axis.assign != ASSIGNMENTS[0]]

    def sparsity(self, name: str) -> Sparsity:
        """What a memory or a unit does with stored elements."""
        node = self.paths[name][-1]
        return DENSE if isinstance(node, Array) else node.sparse

    @cached_property
    def contents(self) -> dict[str, Content]:
        """Flip-flops, memory bits and gates of all copies of each node that states its modules; what it feeds is not in it."""
        return {node.name: content(node.blocks).times(self.copies(node.name)) for node in self.nodes() if node.blocks}

    def copies(self, name: str) -> int:
        """How many copies of a node the machine has."""
        count = 1
        for node in self.paths[name][:-1]:
            if isinstance(node, Array):
                for axis in node.axes:
                    count *= axis.size
        return count

    def __str__(self) -> str:
        from accelsim.hardware.describe import describe

        return describe(self)

    def __repr__(self) -> str:
        return f"<Architecture {self.name}: memories {', '.join(self.memories)}; units {', '.join(self.units)}>"

    def _repr_html_(self) -> str:
        from accelsim import markup

        head, _, tree = str(self).partition("\n")
        return markup.lines(head, tree)
