"""Outlines of an evaluator's mappings, kept for mappings that differ in the sizes of tiles alone. Source: docs/sparse.md, "Statistics"."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from accelsim.errors import InputError
from accelsim.hardware.architecture import Architecture
from accelsim.mapping.tree import Fuse, Leaf
from accelsim.model.chain import LaterLowered
from accelsim.model.evaluation import Evaluator
from accelsim.model.outline import Figures, Outline
from accelsim.model.outlining import outline
from accelsim.sparse.boxes import Boxes
from accelsim.sparse.forms import Form, form_of
from accelsim.sparse.nest import Nest, nest_of
from accelsim.workload.cascade import Cascade

if TYPE_CHECKING:
    from accelsim.mapping.tree import Loop

MOST_FORMS = 256  # kept of an evaluator
_BY_EVALUATOR: WeakKeyDictionary[Evaluator, dict[Hashable, _Known]] = WeakKeyDictionary()


@dataclass(frozen=True)
class _Known:
    """A nest of a form, cycles from a visit's last issue to its complete reduction, and outlines of such nests."""

    nest: Nest
    latency: int
    outlines: list[Outline] = field(default_factory=list)


def outlined(
    evaluator: Evaluator, path: tuple[Loop | Fuse, ...], leaf: Leaf, densities: Dict[str, Boxes], lowered: LaterLowered
) -> tuple[Outline, Figures, Callable[[], Nest]]:
    """The outline of a leaf over inputs of some densities, what it comes to, and its nest. Refuses what has no closed form.

    Notes in `lowered` the leaf's latency; it is lowered where no leaf of the same form was, whose sizes do not matter.
    """
    forms = _BY_EVALUATOR.get(evaluator)
    if forms is None:
        forms = _BY_EVALUATOR.setdefault(evaluator, {})
    cascade, machine = evaluator.cascade, evaluator.architecture
    form = form_of(path, leaf, cascade.by_name[leaf.einsum].ranks, cascade.extents)
    key = form.key, tuple(densities.items())
    known = forms.get(key)
    if known is None or (form.buffers and form.of(known.nest) is None):
        latency = lowered.whole.latencies[leaf.einsum]
        known = _Known(_nest(cascade, machine, path, leaf, densities), latency)
        if len(forms) >= MOST_FORMS:
            del forms[next(iter(forms))]
        forms[key] = known
    lowered.latencies[leaf.einsum] = known.latency
    nest = _Later(form, known.nest)
    for each in known.outlines:
        amounts = each.table.at(form.sizes, nest)
        if each.fits(amounts):
            return each, each.figures(amounts), nest
    made = nest()
    stored = {operand.tensor: densities[operand.tensor] for operand in made.operands if operand.tensor in densities}
    found = outline(evaluator, made, stored)
    known.outlines.append(found)
    return found, found.figures(found.table.of(made)), nest


@dataclass(slots=True)
class _Later:
    """A nest of a form that is made when it is asked for."""

    form: Form
    known: Nest
    made: Nest | None = None

    def __call__(self) -> Nest:
        if self.made is None:
            self.made = self.form.of(self.known)
            assert self.made is not None
        return self.made


def _nest(cascade: Cascade, machine: Architecture, path: tuple[Loop | Fuse, ...], leaf: Leaf, densities: Dict[str, Boxes]) -> Nest:
    """The nest of a leaf, without elements."""
    storage = cascade.tensors[cascade.by_name[leaf.einsum].output.tensor].storage
    listed = storage is not None and storage.kinds[-1:] == ("compressed",)
    none = {name: np.zeros((len(boxes.shape), 0), np.int64) for name, boxes in densities.items()}
    nest = nest_of(cascade, machine, path, leaf, none, listed)
    _check(machine, nest)
    return nest


def _check(machine: Architecture, nest: Nest) -> None:
    """Refuse what takes more than chances of tiles: caches, mergers, tiles that come whole or on demand, and copies that take work
    as they are free.
    """
    place = nest.einsum.place
    for crossing in nest.crossings:
        for memory in (crossing.parent, crossing.child):
            if memory and machine.memories[memory].sparse.replacement:
                what = f"{memory} is a cache, and what it holds depends on the order of the elements"
                raise InputError(what, "leave --statistics out, or 'replacement'", place)
    if nest.whole >= 0:
        what = f"tiles of {nest.einsum.output.tensor} come and go whole, and what they hold by then has no closed form"
        raise InputError(what, "leave --statistics out, or 'tiles'", place)
    for outer in nest.demanded:
        if outer >= 0:
            crossing = nest.crossings[outer]
            what = f"{crossing.child} fetches {crossing.tensor} on demand, and which of its tiles has no closed form"
            raise InputError(what, "leave --statistics out, or 'fetch'", place)
    for turn in nest.turns:
        if turn.axis and turn.trips > 1 and machine.axes[turn.axis][1].assign == "dynamic":
            what = f"{turn.axis} hands out tiles to the copy that is free first, which depends on the elements"
            raise InputError(what, "leave --statistics out, or write assign: static", place)
    inner = [level for level, turn in enumerate(nest.turns) if turn.rank in nest.result and turn.trips > 1]
    reduced = [level for level, turn in enumerate(nest.turns) if turn.rank not in nest.result and turn.trips > 1]
    listing = max((level for level in reduced if inner and level < inner[-1]), default=-1)
    held = {operand.tensor for operand in nest.operands}
    holder = max(crossing.above_parent for crossing in nest.crossings if crossing.child == "" and crossing.tensor not in held)
    if nest.orders and listing >= holder:
        what = f"{nest.unit} merges parts of {nest.einsum.output.tensor}, and passes over lists have no closed form"
        raise InputError(what, f"leave --statistics out, or '{'sort' if nest.sort else 'merge'}'", place)
