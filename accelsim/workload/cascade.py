"""The nouns of a workload: Einsum, Tensor, Cascade, Model. Frozen; made whole by `workload.build` or by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from accelsim.errors import Place
from accelsim.hardware.types import NumberType
from accelsim.workload.expression import Access, Expression, IndexMap, accesses, chosen_rank, index_map, inner_accesses, outermost_accesses

if TYPE_CHECKING:
    import networkx

    from accelsim.workload.bounds import Bounds
    from accelsim.workload.declaration import Declaration
    from accelsim.workload.density import Stated
    from accelsim.workload.serving import Serving
    from accelsim.workload.storage import Storage


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of a cascade.

    `shape`: extent of every dimension. `fill`: what a read outside reads, None if that is an error.
    `partial`: type of a result whose reduction is not complete; `final`: type once it is.
    `iterative`: dimension along which the tensor reads its own earlier slice (`RM[m1+1,p]` from `RM[m1,p]`), else None.
    `passing`: Einsums that are not in this part of a larger cascade read its slices as they are made, not only the last.
    `constant_slices`: slices 0..k-1 of that dimension are set to constants and cost nothing.
    `density`: declared share of elements that are not zero; `spread`: how these lie, None: all places are alike. `storage`: how it is
    stored, None: every element.
    `below`: its values are whole numbers from 0 to before this, and may stand in indices; 0: they are any numbers.
    """

    name: str
    shape: tuple[int, ...]
    final: NumberType
    partial: NumberType
    fill: float | None = None
    is_input: bool = False
    is_output: bool = False
    iterative: int | None = None
    constant_slices: int = 0
    density: float = 1.0
    storage: Storage | None = None
    spread: Stated | None = None
    below: int = 0
    passing: bool = False


@dataclass(frozen=True, slots=True)
class Einsum:
    """One extended Einsum.

    `ranks`: the rank variables of the iteration space, those of the output first, in order of appearance.
    `reduced`: the ranks that the output does not index. `reduce`: the operator over them (`add`, `max`, `min`, `mul`).
    `initial`: the statement only sets slices of an iterative tensor to a constant; it costs nothing and needs no unit.
    `existence`: the part of `condition` that holds wherever a point exists (the last tile of a split may be partial);
    points that it removes are not masked, they are not there.
    Named by its output tensor; further statements for a tensor are `T.1`, `T.2`, …; initial ones are `T.init`, `T.init.1`, ….
    """

    name: str
    output: Access
    expression: Expression
    ranks: tuple[str, ...]
    reduced: tuple[str, ...] = ()
    reduce: str = "add"
    condition: Expression | None = None
    initial: bool = False
    text: str = ""
    place: Place | None = field(default=None, compare=False)
    existence: Expression | None = None

    @property
    def reads(self) -> tuple[Access, ...]:
        """The different accesses of the map expression, those inside indices too (those of the condition are `condition_reads`)."""
        return accesses(self.expression)

    @property
    def chosen(self) -> tuple[str, ...]:
        """What stands for values that choose coordinates of what it reads (`expression.chosen_rank`)."""
        return tuple(dict.fromkeys(chosen_rank(inner) for access in self.reads for inner in inner_accesses(access)))

    @property
    def condition_reads(self) -> tuple[Access, ...]:
        """Tensor accesses inside the condition (a data-dependent mask)."""
        return accesses(self.condition) if self.condition is not None else ()


@dataclass(frozen=True, slots=True)
class Split:
    """A rank cut into parts, outermost first: `rank = part0 * (size1 * size2 …) + part1 * (size2 …) + …`, of `extent` elements in all.

    `free`: parts whose size is left to the mapper (`~`), 1 until then; the outermost part is always derived from the others.
    """

    rank: str
    parts: tuple[str, ...]
    extent: int
    free: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cascade:
    """Einsums in order over ranks of known size.

    `extents`: size of every rank variable, and of what stands for values in indices (`expression.chosen_rank`). `constants`: further named
    numbers. `tensors`: every tensor by name.
    `splits`: ranks that are cut into parts. `declaration`: what it was built from, so that `build.resized` can change sizes.
    """

    name: str
    einsums: tuple[Einsum, ...]
    extents: Mapping[str, int]
    constants: Mapping[str, float]
    tensors: Mapping[str, Tensor]
    source: str = ""
    splits: tuple[Split, ...] = ()
    declaration: Declaration | None = field(default=None, compare=False, repr=False)

    def operand_types(self, einsum: Einsum) -> tuple[str, ...]:
        """The types of what an Einsum computes with: of what it reads, except inside indices and conditions."""
        return tuple(sorted({self.tensors[each.tensor].final.name for each in outermost_accesses(Access("", (einsum.expression,)))}))

    @cached_property
    def sizes(self) -> dict[str, float]:
        """Names usable in index expressions: the upper-case size of every rank, and the constants."""
        return {rank.upper(): extent for rank, extent in self.extents.items() if rank.isidentifier()} | dict(self.constants)

    @cached_property
    def work(self) -> tuple[Einsum, ...]:
        """The Einsums that do work: all but the initial ones."""
        return tuple(einsum for einsum in self.einsums if not einsum.initial)

    @property
    def last(self) -> Einsum:
        """The last Einsum that makes an output."""
        return next(einsum for einsum in reversed(self.work) if self.tensors[einsum.output.tensor].is_output)

    @cached_property
    def by_name(self) -> dict[str, Einsum]:
        """Einsums by name."""
        return {einsum.name: einsum for einsum in self.einsums}

    @cached_property
    def producers(self) -> dict[str, tuple[Einsum, ...]]:
        """For every computed tensor, the working Einsums that write it, in order."""
        found: dict[str, tuple[Einsum, ...]] = {}
        for einsum in self.work:
            found[einsum.output.tensor] = (*found.get(einsum.output.tensor, ()), einsum)
        return found

    @cached_property
    def consumers(self) -> dict[str, tuple[Einsum, ...]]:
        """For every tensor, the working Einsums that read it (in the expression or the condition), in order."""
        found: dict[str, tuple[Einsum, ...]] = {}
        for einsum in self.work:
            for tensor in dict.fromkeys(access.tensor for access in (*einsum.reads, *einsum.condition_reads)):
                found[tensor] = (*found.get(tensor, ()), einsum)
        return found

    def index_maps(self, access: Access) -> tuple[IndexMap | None, ...]:
        """The normal form of every index of an access; None where it has none."""
        return tuple(index_map(index, self.sizes) for index in access.indices)

    @cached_property
    def graph(self) -> networkx.DiGraph:
        """Dependence graph over the names of working Einsums; edge attribute `tensor`, `distance` (0, or 1 for an earlier slice)."""
        from accelsim.workload.dependence import graph

        return graph(self)

    @cached_property
    def bounds(self) -> Bounds:
        """Compulsory traffic and least operations, worked out once."""
        from accelsim.workload.bounds import bounds

        return bounds(self)

    def __repr__(self) -> str:
        from accelsim.workload.shown import cascade_line

        return f"<Cascade {cascade_line(self)}>"

    def _repr_html_(self) -> str:
        from accelsim.workload.shown import cascade_html

        return cascade_html(self)


@dataclass(frozen=True)
class Layer:
    """A cascade used `times` times inside a model.

    `bound`: what the model calls its tensors, if not as the cascade does.
    """

    cascade: Cascade
    times: int = 1
    bound: Mapping[str, str] = field(default_factory=dict)

    def called(self, tensor: str) -> str:
        """The name of a tensor of the cascade in the model."""
        return self.bound.get(tensor, tensor)


@dataclass(frozen=True)
class Phase:
    """Steps of inference of one kind: the layers `start` to before `stop` of a model, whose `times` count all of its steps.

    `tokens`: what one step gives to all users together. A phase that only fills caches gives none.
    """

    name: str
    steps: int
    tokens: int
    start: int
    stop: int


@dataclass(frozen=True)
class Model:
    """Cascades run one after the other; outputs bind to inputs of later ones by name. `phases`: of inference, in order.

    `serving`: which ranks are the batch, new tokens and the context; None where that is not said.
    """

    name: str
    layers: tuple[Layer, ...]
    source: str = ""
    phases: tuple[Phase, ...] = ()
    serving: Serving | None = None

    def __repr__(self) -> str:
        from accelsim.workload.shown import model_line

        return f"<Model {model_line(self)}>"

    def _repr_html_(self) -> str:
        from accelsim.workload.shown import model_html

        return model_html(self)
