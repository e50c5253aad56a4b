"""What only changes how a tensor is looked at: order, shape, parts, repetition, windows. Nothing is moved where indices can say it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from accelsim.errors import InputError
from accelsim.io.importers.sketch import Index, Read, Sketch, View, whole


def transpose(view: View, order: Sequence[int]) -> View:
    """Dimensions in another order."""
    if sorted(order) != list(range(len(view.dims))):
        raise InputError(f"an order of {len(view.dims)} dimensions is {list(order)}", "check the file")
    return View(view.tensor, tuple(view.dims[at] for at in order), view.indices)


def reshape(sketch: Sketch, view: View, shape: Sequence[int]) -> View:
    """The same elements in rows of another length."""
    if math.prod(shape) != math.prod(sketch.shape(view)):
        raise InputError(f"{list(sketch.shape(view))} cannot be given the shape {list(shape)}", "check the file")
    flat = [rank for dim in view.dims for rank in dim]
    known: dict[int, Index] = {}
    dims: list[tuple[int, ...]] = []
    for size in reversed(shape):
        dim, left = list[int](), size
        while left > 1:
            rank = flat.pop()
            here = sketch.sizes[rank]
            if left % here == 0:
                dim.insert(0, rank)
                left //= here
            elif here % left == 0:
                outer, inner = sketch.rank(here // left), sketch.rank(left)
                known = {old: index.within({rank: whole((outer, inner), sketch.sizes)}) for old, index in known.items()}
                known[rank] = whole((outer, inner), sketch.sizes)
                dim.insert(0, inner)
                flat.append(outer)
                left = 1
            else:
                return _refilled(sketch, view, shape)
        dims.insert(0, tuple(dim))
    return view.within(known, dims)


def _refilled(sketch: Sketch, view: View, shape: Sequence[int]) -> View:
    """The same through a copy in one row."""
    ranks = tuple(rank for dim in view.dims for rank in dim)
    row = sketch.flat(View(view.tensor, (ranks,), view.indices))
    dims = tuple((sketch.rank(size),) if size > 1 else () for size in shape)
    return row.within({row.dims[0][0]: whole([rank for dim in dims for rank in dim], sketch.sizes)}, dims)


def expand(sketch: Sketch, view: View, shape: Sequence[int]) -> View:
    """Repeated along dimensions of size 1, and along new ones in front."""
    missing = len(shape) - len(view.dims)
    if missing < 0:
        raise InputError(f"{list(sketch.shape(view))} cannot be repeated to {list(shape)}", "check the file")
    dims: list[tuple[int, ...]] = []
    for size, dim in zip(shape, [()] * missing + list(view.dims), strict=True):
        here = sketch.size(dim)
        if size not in (here, 1) and here != 1:
            raise InputError(f"{list(sketch.shape(view))} cannot be repeated to {list(shape)}", "check the file")
        dims.append((sketch.rank(size),) if here == 1 and size > 1 else dim)
    return View(view.tensor, tuple(dims), view.indices)


def cut(sketch: Sketch, view: View, at: int, start: int, step: int, count: int) -> View:
    """Of one dimension the elements `start`, `start + step`, … ."""
    size = sketch.size(view.dims[at])
    if count < 1 or not 0 <= start < size or not 0 <= start + step * (count - 1) < size:
        raise InputError(f"a part of {count} from {start} by {step} leaves a dimension of {size}", "check the file")
    if (start, step, count) == (0, 1, size):
        return view
    dim = view.dims[at]
    if len(dim) > 1 and step == 1:
        # whole rows of the inner ranks leave them as they are; one row of the outermost is a number there
        inner = sketch.size(dim[1:])
        if start % inner == 0 and count % inner == 0:
            fresh = (sketch.rank(count // inner),) if count > inner else ()
            index = Index(tuple((rank, 1) for rank in fresh), start // inner)
            return view.within({dim[0]: index}, [*view.dims[:at], (*fresh, *dim[1:]), *view.dims[at + 1 :]])
        if start // inner == (start + count - 1) // inner:
            rest = view.within({dim[0]: Index((), start // inner)}, [*view.dims[:at], dim[1:], *view.dims[at + 1 :]])
            return cut(sketch, rest, at, start % inner, step, count)
    if len(dim) > 1:
        view = sketch.flat(view)
        dim = view.dims[at]
    new = (sketch.rank(count, *(sketch.hints[dim[0]] if dim else ())),) if count > 1 else ()
    index = Index(tuple((rank, step) for rank in new), start)
    known = {dim[0]: index} if dim else {}
    return view.within(known, [*view.dims[:at], new, *view.dims[at + 1 :]])


@dataclass(frozen=True, slots=True)
class Window:
    """How a window slides along a dimension: `count` places, `stride` apart, of `kernel` elements, `dilation` apart, from `-before`."""

    count: int
    stride: int
    kernel: int
    dilation: int
    before: int

    def leaves(self, size: int) -> bool:
        """Whether some place of it reads outside a dimension."""
        last = (self.count - 1) * self.stride + (self.kernel - 1) * self.dilation - self.before
        return self.before > 0 or last >= size


def slide(sketch: Sketch, view: View, first: int, windows: Sequence[Window], fill: float, hints: tuple[str, str]) -> View:
    """Windows over the dimensions from `first` on: in their place the windows' places, and after all dimensions the elements of a window.

    What is read outside is `fill`. `hints`: names for the ranks of places and of elements.
    """
    sizes = sketch.shape(view)
    outside = [at for at, window in enumerate(windows, first) if window.leaves(sizes[at])]
    if any(len(view.dims[at]) > 1 for at in range(first, first + len(windows))) or not _can_fill(sketch, view, outside, fill):
        view = sketch.flat(view, outside)
    places: list[tuple[int, ...]] = []
    elements: list[tuple[int, ...]] = []
    known: dict[int, Index] = {}
    for at, window in enumerate(windows, first):
        place = (sketch.rank(window.count, hints[0][at - first : at - first + 1]),) if window.count > 1 else ()
        element = (sketch.rank(window.kernel, hints[1][at - first : at - first + 1]),) if window.kernel > 1 else ()
        terms = [*((rank, window.stride) for rank in place), *((rank, window.dilation) for rank in element)]
        for rank in view.dims[at]:
            known[rank] = Index(tuple(terms), -window.before)
            sketch.rigid |= {(view.tensor, axis) for axis, index in enumerate(view.indices) if _names(index, rank)}
        places.append(place)
        elements.append(element)
    if outside:
        sketch.tensors[view.tensor] = replace(sketch.tensors[view.tensor], fill=fill)
    last = first + len(windows)
    return view.within(known, [*view.dims[:first], *places, *view.dims[last:], *elements])


def _names(index: Index | Read, rank: int) -> bool:
    return rank in (index.ranks() if isinstance(index, Read) else [name for name, _ in index.terms])


def _can_fill(sketch: Sketch, view: View, outside: Sequence[int], fill: float) -> bool:
    """Whether what a view reads outside some dimensions is what its tensor gives outside: its axes are those dimensions, whole."""
    tensor = sketch.tensors[view.tensor]
    if not outside:
        return True
    if tensor.fill not in (None, fill):
        return False
    pure = {index.pure: axis for axis, index in enumerate(view.indices) if isinstance(index, Index)}
    for at in outside:
        (rank, *more) = view.dims[at] or (-1,)
        uses = sum(_names(index, rank) for index in view.indices)
        if more or rank not in pure or uses > 1 or tensor.shape[pure[rank]] != sketch.sizes[rank]:
            return False
    return True


def pad(sketch: Sketch, view: View, before: Sequence[int], after: Sequence[int], fill: float) -> View:
    """More elements around, all of one value."""
    sizes = sketch.shape(view)
    windows = [Window(size + low + high, 1, 1, 1, low) for size, low, high in zip(sizes, before, after, strict=True)]
    if any(low < 0 or high < 0 for low, high in zip(before, after, strict=True)):
        raise InputError("padding takes elements away", "cut the tensor instead")
    if all(window.count == size for window, size in zip(windows, sizes, strict=True)):
        return view
    slid = slide(sketch, view, 0, windows, fill, ("", ""))
    return View(slid.tensor, slid.dims[: len(sizes)], slid.indices)


def choose(sketch: Sketch, view: View, at: int, chooser: View, most: int) -> View:
    """Elements of one dimension that the values of another tensor name; the dimension gives way to those of the other tensor."""
    dim = view.dims[at]
    if len(dim) > 1:
        view = sketch.flat(view)
        dim = view.dims[at]
    tensor = sketch.tensors[chooser.tensor]
    sketch.tensors[chooser.tensor] = replace(tensor, below=max(most, tensor.below))
    fresh = {rank: sketch.rank(sketch.sizes[rank], *sketch.hints[rank]) for part in chooser.dims for rank in part}
    read = chooser.read({rank: Index(((new, 1),)) for rank, new in fresh.items()})
    indices: list[Index | Read] = []
    for index in view.indices:
        if dim and isinstance(index, Index) and index.pure == dim[0]:
            indices.append(read)
        elif dim and _names(index, dim[0]):
            return choose(sketch, sketch.flat(view), at, chooser, most)
        else:
            indices.append(index)
    dims = [tuple(fresh[rank] for rank in part) for part in chooser.dims]
    return View(view.tensor, (*view.dims[:at], *dims, *view.dims[at + 1 :]), tuple(indices))
