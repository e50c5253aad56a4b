"""What a network is while it is being read: tensors, views on them, and statements over ranks that have no names yet.

A rank is a number. Dimensions of size 1 have no rank. A view is a tensor read at indices over the ranks of its dimensions, so that
transposing, reshaping, cutting, repeating, padding and sliding windows move nothing: they only change indices.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Union

from accelsim.errors import InputError


@dataclass(frozen=True, slots=True)
class Index:
    """`((sum of coefficient * rank) + offset) // divisor % modulus`; modulus 0: none. Terms in order, largest coefficient first."""

    terms: tuple[tuple[int, int], ...] = ()
    offset: int = 0
    divisor: int = 1
    modulus: int = 0

    @property
    def pure(self) -> int | None:
        """The rank where the index is that rank and nothing else."""
        alone = len(self.terms) == 1 and self.terms[0][1] == 1 and not self.offset and self.divisor == 1 and not self.modulus
        return self.terms[0][0] if alone else None

    def within(self, known: Mapping[int, Index]) -> Index:
        """The index with sums in place of ranks (sums without divisor and modulus)."""
        total: dict[int, int] = {}
        offset = self.offset
        for rank, coefficient in self.terms:
            inner = known.get(rank, Index(((rank, 1),)))
            assert inner.divisor == 1 and not inner.modulus
            offset += coefficient * inner.offset
            for part, factor in inner.terms:
                total[part] = total.get(part, 0) + coefficient * factor
        terms = tuple(sorted(((rank, value) for rank, value in total.items() if value), key=lambda term: -abs(term[1])))
        return Index(terms, offset, self.divisor, self.modulus)


@dataclass(frozen=True, slots=True)
class Read:
    """A tensor at indices, of which some may be values of other tensors."""

    tensor: str
    indices: tuple[Index | Read, ...]

    def within(self, known: Mapping[int, Index]) -> Read:
        """The same with sums in place of ranks."""
        return Read(self.tensor, tuple(index.within(known) for index in self.indices))

    def ranks(self) -> tuple[int, ...]:
        """The ranks that its indices name, in order of appearance."""
        found: dict[int, None] = {}
        for index in self.indices:
            found |= dict.fromkeys(index.ranks() if isinstance(index, Read) else (rank for rank, _ in index.terms))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Apply:
    """An operator or function of accelsim on formulas."""

    function: str
    arguments: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """The coordinate that an index says, as a number in a condition."""

    index: Index


Formula = Union[Read, Apply, Place, float]  # noqa: UP007


def walk(formula: Formula) -> Iterator[Formula]:
    """A formula and all inside it, but for what stands in indices."""
    yield formula
    if isinstance(formula, Apply):
        for argument in formula.arguments:
            yield from walk(argument)


def reads(formula: Formula) -> tuple[Read, ...]:
    """The different reads of a formula, those in indices too."""
    found: dict[Read, None] = {}
    stack = [part for part in walk(formula) if isinstance(part, Read)]
    while stack:
        read = stack.pop(0)
        found[read] = None
        stack += [index for index in read.indices if isinstance(index, Read)]
    return tuple(found)


def within(formula: Formula, known: Mapping[int, Index]) -> Formula:
    """A formula with sums in place of ranks."""
    if isinstance(formula, Apply):
        return Apply(formula.function, tuple(within(argument, known) for argument in formula.arguments))
    if isinstance(formula, Place):
        return Place(formula.index.within(known))
    return formula.within(known) if isinstance(formula, Read) else formula


@dataclass(frozen=True, slots=True)
class Statement:
    """`output = reduce(formula) where condition`, over all ranks that the output has not; `origin`: what in the source it comes from."""

    output: Read
    formula: Formula
    reduce: str = "add"
    condition: Formula | None = None
    origin: str = ""
    opaque: bool = False

    def within(self, known: Mapping[int, Index]) -> Statement:
        """The same with sums in place of ranks."""
        condition = None if self.condition is None else within(self.condition, known)
        output, formula = self.output.within(known), within(self.formula, known)
        return Statement(output, formula, self.reduce, condition, self.origin, self.opaque)

    def ranks(self) -> tuple[int, ...]:
        """Its ranks, those of the output first."""
        return tuple(dict.fromkeys(rank for read in (self.output, *reads(self.formula)) for rank in read.ranks()))

    @property
    def reduced(self) -> tuple[int, ...]:
        """The ranks that the output has not."""
        kept = set(self.output.ranks())
        return tuple(rank for rank in self.ranks() if rank not in kept)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor: its size along every axis (all above 1), its type, what reads outside find, and, where it is known, what it holds.

    `below`: its values stand in indices and are whole numbers below this. `kind`: input, constant or computed.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    kind: str
    fill: float | None = None
    below: int = 0
    values: Any = field(default=None, compare=False, repr=False)
    partial: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """A tensor as something else: `dims` gives the ranks of every dimension, outermost first, `indices` where in the tensor they lie."""

    tensor: str
    dims: tuple[tuple[int, ...], ...]
    indices: tuple[Index | Read, ...]

    def read(self, known: Mapping[int, Index] | None = None) -> Read:
        """The view read at its ranks, or at sums in their place."""
        found = Read(self.tensor, self.indices)
        return found if known is None else found.within(known)

    def within(self, known: Mapping[int, Index], dims: Sequence[Sequence[int]]) -> View:
        """The view with sums in place of ranks, and the dimensions that it then has."""
        return View(self.tensor, tuple(tuple(dim) for dim in dims), self.read(known).indices)


def whole(ranks: Sequence[int], sizes: Sequence[int]) -> Index:
    """The index that ranks make together, outermost first."""
    stride, terms = 1, []
    for rank in reversed(ranks):
        terms.append((rank, stride))
        stride *= sizes[rank]
    return Index(tuple(reversed(terms)))


def refine(left: Sequence[int], right: Sequence[int]) -> list[int] | None:
    """The coarsest sizes into which two rows of sizes with one product can both be cut, outermost first; None if there are none."""
    one, other, found = list(left), list(right), list[int]()
    while one and other:
        first, second = one.pop(), other.pop()
        small, large = sorted((first, second))
        if large % small:
            return None
        found.append(small)
        if first > small:
            one.append(first // small)
        if second > small:
            other.append(second // small)
    assert not one and not other, (left, right)
    return found[::-1]


class Sketch:
    """The network so far. Everything in it is frozen; it only grows, but for `tensors`, whose rows are replaced."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.hints: dict[int, list[str]] = {}
        self.tensors: dict[str, Tensor] = {}
        self.statements: list[Statement] = []
        self.outputs: list[str] = []
        self.rigid: set[tuple[str, int]] = set()
        self.origin = ""

    def rank(self, size: int, *hints: str) -> int:
        """A new rank; `hints`: what it might be called."""
        self.sizes.append(size)
        self.hint(len(self.sizes) - 1, *hints)
        return len(self.sizes) - 1

    def ranks(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """A new rank for every size."""
        return tuple(self.rank(size) for size in sizes)

    def hint(self, rank: int, *hints: str) -> None:
        """What else a rank might be called."""
        known = self.hints.setdefault(rank, [])
        known += [hint for hint in dict.fromkeys(hints) if hint and hint not in known]

    def size(self, ranks: Sequence[int]) -> int:
        """How many points ranks have together."""
        return math.prod(self.sizes[rank] for rank in ranks)

    def shape(self, view: View) -> tuple[int, ...]:
        """The size of every dimension of a view."""
        return tuple(self.size(dim) for dim in view.dims)

    def name(self, wanted: str) -> str:
        """A tensor's name that is free, as near to what is wanted as can be."""
        from accelsim.io.importers.names import identifier

        stem = identifier(wanted)
        found, number = stem, 1
        while found in self.tensors:
            number += 1
            found = f"{stem}_{number}"
        return found

    def source(self, wanted: str, shape: Sequence[int], type: str, values: Any = None, hints: str = "", kind: str = "input") -> View:
        """A tensor that is given: an input, or a constant whose values are known or not."""
        name = self.name(wanted)
        dims = tuple((self.rank(size, hints[at : at + 1]),) if size > 1 else () for at, size in enumerate(shape))
        self.tensors[name] = Tensor(name, tuple(size for size in shape if size > 1), type, kind, values=values)
        return View(name, dims, tuple(Index(((dim[0], 1),)) for dim in dims if dim))

    def define(
        self, wanted: str, dims: Sequence[Sequence[int]], formula: Formula, type: str, reduce: str = "add", reduced: Sequence[int] = (),
        condition: Formula | None = None, partial: str = "", opaque: bool = False,
    ) -> View:  # fmt: skip
        """A new tensor with an axis for each rank of `dims`, and the statement that makes it. `reduced`: what is reduced over."""
        name = self.name(wanted)
        axes = tuple(rank for dim in dims for rank in dim)
        named = {rank for read in reads(formula) for rank in read.ranks()}
        absent = tuple(rank for rank in reduced if rank not in named)
        if absent and reduce == "add":
            formula = Apply("mul", (formula, float(self.size(absent))))
        self.tensors[name] = Tensor(name, tuple(self.sizes[rank] for rank in axes), type, "computed", partial=partial)
        output = Read(name, tuple(Index(((rank, 1),)) for rank in axes))
        self.statements.append(Statement(output, formula, reduce, condition, self.origin, opaque))
        return View(name, tuple(tuple(dim) for dim in dims), output.indices)

    def number(self, view: View) -> float | None:
        """The value of a view that is one known number."""
        tensor = self.tensors[view.tensor]
        if tensor.shape or tensor.values is None:
            return None
        value = tensor.values.reshape(())
        return float(str(value)) if value.dtype.kind == "f" else float(value)

    def flat(self, view: View, single: Sequence[int] = ()) -> View:
        """A copy of a view in a tensor that has one axis for each dimension: what is moved where indices cannot say it.

        `single`: dimensions that have an axis, and a rank, although their size is 1.
        """
        fresh = {rank: self.rank(self.sizes[rank], *self.hints[rank]) for dim in view.dims for rank in dim}
        dims = tuple(tuple(fresh[rank] for rank in dim) for dim in view.dims)
        tensor = self.tensors[view.tensor]
        name = self.name(f"{view.tensor}_copy")
        axes = [at for at, dim in enumerate(dims) if dim or at in single]
        shape = tuple(self.size(dims[at]) for at in axes)
        self.tensors[name] = Tensor(name, shape, tensor.type, "computed", below=tensor.below)
        read = view.read({rank: Index(((new, 1),)) for rank, new in fresh.items()})
        output = Read(name, tuple(whole(dims[at], self.sizes) for at in axes))
        self.statements.append(Statement(output, Apply("copy", (read,)), origin=self.origin))
        made = tuple((self.rank(self.size(dim)),) if at in axes else () for at, dim in enumerate(dims))
        return View(name, made, tuple(Index(((dim[0], 1),)) for dim in made if dim))

    def align(self, views: Sequence[View], labels: Sequence[Sequence[Any]]) -> tuple[dict[Any, tuple[int, ...]], list[Read]]:
        """New ranks for every label that dimensions of views carry, and every view read at them.

        Dimensions of one label have one size, or 1, and are repeated along the others then. Where two of a label are cut in ways that
        do not go together, they are copied first.
        """
        views = list(views)
        found: dict[Any, list[int]] = {}
        for _ in range(2):
            found, failed = {}, set[Any]()
            for view, carried in zip(views, labels, strict=True):
                for label, dim in zip(carried, view.dims, strict=True):
                    sizes = [self.sizes[rank] for rank in dim]
                    known = found.get(label)
                    both = (known or sizes) if not known or not sizes else self._both(known, sizes)
                    if both is None:
                        failed.add(label)
                    else:
                        found[label] = both
            if not failed:
                break
            views = [
                self.flat(view) if any(label in failed and len(dim) > 1 for label, dim in zip(carried, view.dims, strict=True)) else view
                for view, carried in zip(views, labels, strict=True)
            ]
        made = {label: self.ranks(sizes) for label, sizes in found.items()}
        done = []
        for view, carried in zip(views, labels, strict=True):
            known_ranks: dict[int, Index] = {}
            for label, dim in zip(carried, view.dims, strict=True):
                known_ranks |= self._cut(dim, made[label]) if dim else {}
            done.append(view.read(known_ranks))
        return made, done

    def _both(self, left: Sequence[int], right: Sequence[int]) -> list[int] | None:
        if math.prod(left) != math.prod(right):
            raise InputError(f"sizes {math.prod(left)} and {math.prod(right)} of one dimension do not agree", "check the file")
        return refine(left, right)

    def _cut(self, old: Sequence[int], new: Sequence[int]) -> dict[int, Index]:
        """What each of the old ranks is in new ones that are cut at least as fine; hints go along where a rank stays whole."""
        found, rest = {}, list(new)
        for rank in reversed(old):
            parts: list[int] = []
            while self.size(parts) < self.sizes[rank]:
                parts.insert(0, rest.pop())
            found[rank] = whole(parts, self.sizes)
            if len(parts) == 1:
                self.hint(parts[0], *self.hints[rank])
        return found
