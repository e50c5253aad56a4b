"""ONNX operators that move or rename, and those that choose."""

from __future__ import annotations

import math

from accelsim.errors import InputError
from accelsim.io.importers.arithmetic import elementwise, join, normal
from accelsim.io.importers.onnx_node import Node
from accelsim.io.importers.sketch import Apply, View
from accelsim.io.importers.views import choose, cut, expand, pad, reshape, transpose


def same(node: Node) -> list[View]:
    """Identity, Dropout, and casts between types that hold the same values."""
    return [node.given(0)]


def cast(node: Node) -> list[View]:
    """Cast and CastLike: numbers stay as they are; from floating point to integers they lose their fraction."""
    view, to = node.given(0), node.type
    kind = node.sketch.tensors[view.tensor].type
    if to.startswith("int") and not kind.startswith("int"):
        return [elementwise(node.sketch, node.result, [view], lambda x: Apply("mul", (_sign(x), _floor(x))), to)]
    return [view]


def _sign(x: object) -> Apply:
    return Apply("sub", (Apply("step", (x,)), Apply("step", (Apply("neg", (x,)),))))  # type: ignore[arg-type]


def _floor(x: object) -> Apply:
    return Apply("floordiv", (Apply("abs", (x,)), 1.0))  # type: ignore[arg-type]


def reshaped(node: Node) -> list[View]:
    """Reshape."""
    view, wanted = node.given(0), node.whole_numbers(1, "shape", "sizes")
    assert wanted is not None
    sizes = node.sketch.shape(view)
    if not node("allowzero", 0):
        wanted = [sizes[at] if size == 0 and at < len(sizes) else size for at, size in enumerate(wanted)]
    if wanted.count(-1) == 1:
        known = math.prod(size for size in wanted if size != -1)
        wanted = [math.prod(sizes) // max(known, 1) if size == -1 else size for size in wanted]
    if min(wanted, default=1) < 1:
        raise InputError(f"has the shape {wanted}", "check the file")
    return [reshape(node.sketch, view, wanted)]


def flattened(node: Node) -> list[View]:
    """Flatten: two dimensions."""
    view, axis = node.given(0), int(node("axis", 1))
    sizes = node.sketch.shape(view)
    axis = axis + len(sizes) if axis < 0 else axis
    return [reshape(node.sketch, view, [math.prod(sizes[:axis]), math.prod(sizes[axis:])])]


def squeezed(node: Node) -> list[View]:
    """Squeeze."""
    view, axes = node.given(0), node.whole_numbers(1, "axes", "axes")
    sizes = node.sketch.shape(view)
    left_out = [at for at, size in enumerate(sizes) if size == 1] if axes is None else normal(axes, len(sizes))
    return [reshape(node.sketch, view, [size for at, size in enumerate(sizes) if at not in left_out])]


def unsqueezed(node: Node) -> list[View]:
    """Unsqueeze."""
    view, axes = node.given(0), node.whole_numbers(1, "axes", "axes")
    assert axes is not None
    sizes = list(node.sketch.shape(view))
    for axis in sorted(normal(axes, len(sizes) + len(axes))):
        sizes.insert(axis, 1)
    return [reshape(node.sketch, view, sizes)]


def transposed(node: Node) -> list[View]:
    """Transpose."""
    view = node.given(0)
    return [transpose(view, node("perm", list(reversed(range(len(view.dims))))))]


def repeated(node: Node) -> list[View]:
    """Expand: two-way, so that a size of 1 in the wanted shape is that of the input."""
    view, wanted = node.given(0), node.whole_numbers(1, "shape", "sizes")
    assert wanted is not None
    sizes = [*([1] * (len(wanted) - len(view.dims))), *node.sketch.shape(view)]
    wanted = [*([1] * (len(sizes) - len(wanted))), *wanted]
    return [expand(node.sketch, view, [size if want == 1 else want for want, size in zip(wanted, sizes, strict=True)])]


def sliced(node: Node) -> list[View]:
    """Slice."""
    view = node.given(0)
    starts, ends = node.whole_numbers(1, "starts", "starts"), node.whole_numbers(2, "ends", "ends")
    assert starts is not None and ends is not None
    axes = node.whole_numbers(3, "axes", "axes") or list(range(len(starts)))
    steps = node.whole_numbers(4, "steps", "steps") or [1] * len(starts)
    for axis, start, end, step in zip(normal(axes, len(view.dims)), starts, ends, steps, strict=True):
        if step == 0:
            raise InputError("has a step of 0", "check the file")
        size = node.sketch.size(view.dims[axis])
        part = range(*slice(start, end if step > 0 or end >= -size else None, step).indices(size))
        if not part:
            raise InputError("takes no elements", "check the file")
        view = cut(node.sketch, view, axis, part[0], step, len(part))
    return [view]


def split(node: Node) -> list[View]:
    """Split."""
    view, sizes = node.given(0), node.whole_numbers(1, "split", "sizes")
    (axis,) = normal([int(node("axis", 0))], len(view.dims))
    total, many = node.sketch.size(view.dims[axis]), len(node.outputs)
    if sizes is None:
        each = -(-total // many)
        sizes = [min(each, total - at * each) for at in range(many)]
    found, start = [], 0
    for size in sizes:
        found.append(cut(node.sketch, view, axis, start, 1, size))
        start += size
    return found


def joined(node: Node) -> list[View]:
    """Concat."""
    views = [view for view in node.inputs if view is not None]
    return [views[0] if len(views) == 1 else join(node.sketch, node.result, views, int(node("axis", 1)), node.type)]


def padded(node: Node) -> list[View]:
    """Pad with one value."""
    view, pads = node.given(0), node.whole_numbers(1, "pads", "pads")
    assert pads is not None
    if node("mode", "constant") != "constant":
        raise InputError(f"pads by '{node('mode', '')}'", "only a constant is known")
    fill = node.optional(2)
    value = float(node("value", 0.0)) if fill is None else node.sketch.number(fill)
    if value is None:
        raise InputError("pads with what is computed", "only a constant is known")
    axes = normal(node.whole_numbers(3, "axes", "axes") or list(range(len(view.dims))), len(view.dims))
    before, after = [0] * len(view.dims), [0] * len(view.dims)
    for at, axis in enumerate(axes):
        before[axis], after[axis] = pads[at], pads[at + len(axes)]
    return [pad(node.sketch, view, before, after, value)]


def gathered(node: Node) -> list[View]:
    """Gather: a part where one known index or a row of them says which, else by values."""
    view, index = node.given(0), node.given(1)
    sketch = node.sketch
    (axis,) = normal([int(node("axis", 0))], len(view.dims))
    size = sketch.size(view.dims[axis])
    values = sketch.tensors[index.tensor].values
    if values is not None and values.size:
        known = [int(value) + size if value < 0 else int(value) for value in values.reshape(-1)]
        step = known[1] - known[0] if len(known) > 1 else 1
        if step and known == [known[0] + step * at for at in range(len(known))]:
            part = cut(sketch, view, axis, known[0], step, len(known))
            sizes = sketch.shape(part)
            return [reshape(sketch, part, [*sizes[:axis], *sketch.shape(index), *sizes[axis + 1 :]])]
        import dataclasses

        sketch.tensors[index.tensor] = dataclasses.replace(sketch.tensors[index.tensor], values=values % size)
    if size == 1:
        raise InputError("looks up a row of a table that has one", "simplify the file")
    chosen = choose(sketch, view, axis, index, size)
    ranks, (read,) = sketch.align([chosen], [range(len(chosen.dims))])
    return [sketch.define(node.result, [ranks.get(at, ()) for at in range(len(chosen.dims))], read, sketch.tensors[view.tensor].type)]
