"""What computes: elementwise formulas, sums of products, reductions, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from accelsim.errors import InputError
from accelsim.io.importers.sketch import Apply, Formula, Index, Read, Sketch, Statement, Tensor, View, whole

Make = Callable[..., Formula]


def call(function: str, *arguments: Formula) -> Formula:
    """An operator on formulas; on numbers alone it is a number where that is simple."""
    left, right = (*arguments, None, None)[:2]
    if len(arguments) == 2 and isinstance(left, float) and isinstance(right, float):
        if function == "add":
            return left + right
        if function == "mul":
            return left * right
    if (function, right) in (("add", 0.0), ("mul", 1.0), ("sub", 0.0), ("div", 1.0)):
        assert left is not None
        return left
    if (function, left) in (("add", 0.0), ("mul", 1.0)):
        assert right is not None
        return right
    return Apply(function, arguments)


def elementwise(sketch: Sketch, name: str, views: Sequence[View], make: Make, type: str) -> View:
    """One formula at every point of views that are repeated along each other (dimensions are counted from the last)."""
    width = max(len(view.dims) for view in views)
    numbers = [sketch.number(view) for view in views]
    labels = [range(width - len(view.dims), width) for view in views]
    ranks, found = sketch.align(views, labels)
    parts: list[Formula] = [read if number is None else number for read, number in zip(found, numbers, strict=True)]
    return sketch.define(name, [ranks.get(at, ()) for at in range(width)], make(*parts), type)


def contract(
    sketch: Sketch, name: str, views: Sequence[View], labels: Sequence[Sequence[Hashable]], out: Sequence[Hashable], type: str,
    partial: str = "",
    make: Make | None = None,
) -> View:  # fmt: skip
    """The sum of the product of views whose dimensions carry labels, over the labels that the result has not.

    `make`: the formula that is summed in place of the product.
    """
    ranks, found = sketch.align(views, labels)
    formula: Formula = found[0] if make is None else make(*found)
    for read in found[1:] if make is None else ():
        formula = Apply("mul", (formula, read))
    reduced = [rank for label, many in ranks.items() if label not in out for rank in many]
    return sketch.define(name, [ranks.get(label, ()) for label in out], formula, type, reduced=reduced, partial=partial)


def reduce(
    sketch: Sketch, name: str, view: View, axes: Sequence[int], operator: str, type: str, keep: bool = False, make: Make | None = None
) -> View:
    """A reduction over some dimensions, which are left out or (`keep`) of size 1 after it; `make`: of what at every point."""
    axes = normal(axes, len(view.dims))
    ranks, (read,) = sketch.align([view], [range(len(view.dims))])
    formula = read if make is None else make(read)
    kept = [at for at in range(len(view.dims)) if at not in axes or keep]
    dims = [() if at in axes else ranks.get(at, ()) for at in kept]
    return sketch.define(name, dims, formula, type, operator, [rank for at in axes for rank in ranks.get(at, ())])


def normal(axes: Sequence[int], width: int) -> list[int]:
    """Axes counted from the first."""
    found = [axis + width if axis < 0 else axis for axis in axes]
    if any(not 0 <= axis < width for axis in found) or len(set(found)) < len(found):
        raise InputError(f"axes {list(axes)} of {width} dimensions", "check the file")
    return found


def divided(sketch: Sketch, name: str, view: View, many: int, type: str) -> View:
    """A view over a number."""
    return elementwise(sketch, name, [view], lambda x: call("div", x, float(many)), type)


def mean(sketch: Sketch, name: str, view: View, axes: Sequence[int], type: str, keep: bool = False) -> View:
    """The mean over some dimensions."""
    many = sketch.size([rank for axis in normal(axes, len(view.dims)) for rank in view.dims[axis]])
    total = reduce(sketch, f"{name}_sum", view, axes, "add", type, keep)
    return divided(sketch, name, total, many, type)


def softmax(sketch: Sketch, name: str, view: View, axes: Sequence[int], type: str, log: bool = False) -> View:
    """exp(x - max) over its sum, or its logarithm, along dimensions."""
    greatest = reduce(sketch, f"{name}_max", view, axes, "max", type, keep=True)
    if log:
        shifted = elementwise(sketch, f"{name}_shifted", [view, greatest], lambda x, m: Apply("sub", (x, m)), type)
        terms = elementwise(sketch, f"{name}_exp", [shifted], lambda x: Apply("exp", (x,)), type)
        total = reduce(sketch, f"{name}_sum", terms, axes, "add", type, keep=True)
        return elementwise(sketch, name, [shifted, total], lambda x, s: Apply("sub", (x, Apply("log", (s,)))), type)
    terms = elementwise(sketch, f"{name}_exp", [view, greatest], lambda x, m: Apply("exp", (Apply("sub", (x, m)),)), type)
    total = reduce(sketch, f"{name}_sum", terms, axes, "add", type, keep=True)
    return elementwise(sketch, name, [terms, total], lambda x, s: Apply("div", (x, s)), type)


def normalised(
    sketch: Sketch,
    name: str,
    view: View,
    axes: Sequence[int],
    epsilon: float,
    scales: Sequence[View | None],
    type: str,
    centred: bool = True,
) -> View:
    """(x - mean) / sqrt(variance + epsilon), or (`centred` false) x over the root of its mean square; times a scale, plus a shift.

    The variance is of all elements; scale and shift are repeated along the dimensions in front of theirs.
    """
    many = sketch.size([rank for axis in normal(axes, len(view.dims)) for rank in view.dims[axis]])
    if centred:
        total = reduce(sketch, f"{name}_sum", view, axes, "add", type, keep=True)
        view = elementwise(sketch, f"{name}_centred", [view, total], lambda x, s: Apply("sub", (x, call("div", s, float(many)))), type)
    square = reduce(sketch, f"{name}_squares", view, axes, "add", type, keep=True, make=lambda x: Apply("mul", (x, x)))
    scale, shift = (*scales, None, None)[:2]
    given = [part for part in (scale, shift) if part is not None]

    def make(x: Formula, v: Formula, *more: Formula) -> Formula:
        made = call("div", x, Apply("sqrt", (call("add", call("div", v, float(many)), epsilon),)))
        rest = list(more)
        made = call("mul", made, rest.pop(0)) if scale is not None else made
        return call("add", made, rest.pop(0)) if shift is not None else made

    return elementwise(sketch, name, [view, square, *given], make, type)


def join(sketch: Sketch, name: str, views: Sequence[View], axis: int, type: str) -> View:
    """Views one after the other along a dimension: each is copied to its place in a new tensor."""
    width = len(views[0].dims)
    (axis,) = normal([axis], width)
    others = [at for at in range(width) if at != axis]
    ranks, _ = sketch.align(views, [[at if at != axis else (at, n) for at in range(width)] for n, view in enumerate(views)])
    long = sum(sketch.size(view.dims[axis]) for view in views)
    shape = {at: ranks.get(at, ()) for at in others}
    made = sketch.rank(long)
    dims = [shape[at] if at != axis else (made,) for at in range(width)]
    found = sketch.name(name)
    axes = [rank for dim in dims for rank in dim]
    sketch.tensors[found] = Tensor(found, tuple(sketch.sizes[rank] for rank in axes), type, "computed")
    start = 0
    for view in views:
        labels = [at if at != axis else "part" for at in range(width)]
        # dimensions other than the joined one are read at ranks cut as in the new tensor
        part, (read, _) = sketch.align(
            [view, View(found, tuple(dims), ())], [labels, [at if at != axis else "whole" for at in range(width)]]
        )
        indices = []
        for at in range(width):
            if at != axis:
                indices += [Index(((rank, 1),)) for rank in part.get(at, ())]
            else:
                inside = whole(part.get("part", ()), sketch.sizes)
                indices.append(Index(inside.terms, start))
        sketch.statements.append(Statement(Read(found, tuple(indices)), Apply("copy", (read,)), origin=sketch.origin))
        start += sketch.size(view.dims[axis])
    return View(found, tuple(dims), tuple(Index(((rank, 1),)) for rank in axes))
