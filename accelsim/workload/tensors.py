"""Tensors of a cascade: shapes from what is written and read, fills, types, what is input and output, iterative dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from accelsim.errors import InputError, did_you_mean
from accelsim.hardware.types import NumberType
from accelsim.workload.cascade import Einsum, Tensor
from accelsim.workload.declaration import Declaration
from accelsim.workload.density import Stated
from accelsim.workload.dependence import Dependence, components
from accelsim.workload.expression import Access, Expression, index_map, walk
from accelsim.workload.points import count_points, index_extremes
from accelsim.workload.ranges import Inequality, conjuncts, index_range, inequalities, known_inequalities
from accelsim.workload.sizes import MOST_ELEMENTS, Sizes, below, tensor_shape
from accelsim.workload.storage import Storage


def tensors(declaration: Declaration, einsums: Sequence[Einsum], known: Sizes, found: Sequence[Dependence]) -> dict[str, Tensor]:
    """Every tensor by name, in order of appearance; refuses reads outside, differing numbers of indices, and no output."""
    order, written = _uses(einsums)
    shapes = {}
    for name, reads in order.items():
        shapes[name] = _shape(declaration, name, reads, written.get(name, []), known)
        if math.prod(shapes[name]) > MOST_ELEMENTS:
            raise InputError(f"tensor '{name}' has more than 2**62 elements", "shrink the shape", declaration.place("shape"))
        _check_reads(declaration, name, reads, shapes[name], known)
    iterative = _iterative(einsums, known, found)
    _check_chosen(order, iterative)
    _check_partial_tiles(einsums, iterative, known)
    outputs = _outputs(declaration, einsums, found)
    made = {}
    for name in order:
        stated = declaration.tensors.get(name)
        fill = stated.fill if stated else None
        constant = _constant_slices(written.get(name, []), iterative.get(name), known)
        types = declaration.types.get(name, declaration.default)
        made[name] = Tensor(
            name,
            shapes[name],
            types.final,
            types.partial,
            fill,
            name not in written,
            name in outputs,
            iterative.get(name),
            constant,
            _share(declaration, name, shapes[name]),
            _storage(declaration, name, shapes[name], types.final),
            spread if isinstance(spread := declaration.density.get(name), Stated) else None,
            _below(declaration, name, types.final, known),
        )
    return made


def _share(declaration: Declaration, name: str, shape: tuple[int, ...]) -> float:
    """The share of a tensor's elements that are not zero."""
    stated = declaration.density.get(name, 1.0)
    if not isinstance(stated, Stated):
        return stated
    try:
        return stated.share_of(shape)
    except InputError as error:
        raise InputError(f"the density of '{name}': {error.what}", error.mend, declaration.place("density", name)) from None


def _storage(declaration: Declaration, name: str, shape: tuple[int, ...], number_type: NumberType) -> Storage | None:
    found = declaration.storage.get(name)
    if found is not None and len(found.kinds) != len(shape):
        what = f"'{name}' has {len(shape)} dimensions, and its format says how {len(found.kinds)} are stored"
        raise InputError(what, "name a kind for each dimension", declaration.place("format", name))
    if found is not None and 0 < found.value_bits < number_type.bits:
        what = f"a value of '{name}' is stored in {found.value_bits} bits, and {number_type.name} has {float(number_type.bits):g}"
        raise InputError(what, "write more bits, or another type", declaration.place("format", name))
    return found


def _below(declaration: Declaration, name: str, number_type: NumberType, known: Sizes) -> int:
    """What its values are less than; all of them are numbers of its type."""
    most = below(declaration, name, known)
    last = number_type.largest_whole
    if most > 1 + last:
        what = f"values of '{name}' go up to {most - 1:,}, and {number_type.name} has all whole numbers up to {last:,}"
        raise InputError(what, f"write another type: type: {{{name}: int32}}", declaration.place("tensors", name))
    return most


Uses = dict[str, list[tuple[Einsum, Access]]]


def _uses(einsums: Sequence[Einsum]) -> tuple[Uses, Uses]:
    """Reads of every tensor in order of appearance, and writes of every computed one."""
    reads: Uses = {}
    writes: Uses = {}
    for einsum in einsums:
        for access in (*einsum.reads, *einsum.condition_reads):
            reads.setdefault(access.tensor, []).append((einsum, access))
        reads.setdefault(einsum.output.tensor, [])
        writes.setdefault(einsum.output.tensor, []).append((einsum, einsum.output))
    return reads, writes


def check_dimensions(einsums: Sequence[Einsum]) -> None:
    """Every tensor has the same number of indices everywhere, else an InputError."""
    reads, written = _uses(einsums)
    for name in reads:
        uses = [*written.get(name, []), *reads[name]]
        first_einsum, first = uses[0]
        for einsum, access in uses[1:]:
            if len(access.indices) != len(first.indices):
                raise InputError(
                    f"{einsum.name} gives '{name}' {len(access.indices)} indices, {first_einsum.name} gives it {len(first.indices)}",
                    "index a tensor in the same way everywhere",
                    einsum.place,
                )


def _shape(
    declaration: Declaration, name: str, reads: list[tuple[Einsum, Access]], writes: list[tuple[Einsum, Access]], known: Sizes
) -> tuple[int, ...]:
    declared = tensor_shape(declaration, name, known)
    uses = writes or reads
    stated = declaration.tensors.get(name)
    if declared is None and not writes and stated is not None and stated.fill is not None:
        mend = "declare both: {shape: [c, 14], fill: 0}"
        raise InputError(f"input '{name}' has a fill but no shape", mend, declaration.place("tensors", name))
    if declared is not None and len(declared) != len(uses[0][1].indices):
        raise InputError(
            f"tensor '{name}' is declared with {len(declared)} dimensions and indexed with {len(uses[0][1].indices)}",
            "make them agree",
            declaration.place("tensors", name),
        )
    if declared is not None and not writes:
        return declared
    highest = [0] * len(uses[0][1].indices)
    for einsum, access in uses:
        for dimension, index in enumerate(access.indices):
            low, high = _range(einsum, index, known)
            if writes:
                high = max(high, _range(einsum, index, known, narrowed=False)[1])
            if low < 0:
                what = "writes" if writes else "reads"
                mend = "shift the index" if writes else f"declare it: tensors: {{{name}: {{shape: [...], fill: 0}}}}"
                raise InputError(f"{einsum.name} {what} '{name}' at index {low} of dimension {dimension}", mend, einsum.place)
            highest[dimension] = max(highest[dimension], high + 1)
    if declared is not None and any(high > size for high, size in zip(highest, declared, strict=True)):
        what = f"'{name}' is written up to {highest}, beyond its declared shape {list(declared)}"
        raise InputError(what, "enlarge the shape", declaration.place("tensors", name))
    return declared or tuple(highest)


def _range(einsum: Einsum, index: Expression, known: Sizes, narrowed: bool = True) -> tuple[int, int]:
    form = index_map(index, known.names)
    if form is None:
        found = index_extremes(index, einsum.condition, known.names, known.extents)
        if found is None:
            raise InputError(f"{einsum.name}: an index is too involved to bound", "declare the tensor's shape and fill", einsum.place)
        return found
    return index_range(form, known.extents, known_inequalities(einsum.condition, known.names) if narrowed else ())


def _check_reads(declaration: Declaration, name: str, reads: list[tuple[Einsum, Access]], shape: tuple[int, ...], known: Sizes) -> None:
    stated = declaration.tensors.get(name)
    if stated is not None and stated.fill is not None:
        return
    for einsum, access in reads:
        for dimension, (index, size) in enumerate(zip(access.indices, shape, strict=True)):
            outside = _outside(einsum, index, size, known)
            if outside is not None:
                elements = f"{size} element{'s' if size > 1 else ''}"
                raise InputError(
                    f"{einsum.name} reads '{name}' at index {outside} of dimension {dimension}, which has {elements}",
                    f"shrink a rank, add a condition, or declare tensors: {{{name}: {{fill: 0}}}}",
                    einsum.place,
                )


def _outside(einsum: Einsum, index: Expression, size: int, known: Sizes) -> int | None:
    """An index at which a statement certainly reads outside; None if it does not, or if only its data can tell."""
    form = index_map(index, known.names)
    if form is None:
        found = index_extremes(index, einsum.condition, known.names, known.extents)
        if found is None:
            return None
        return found[0] if found[0] < 0 else found[1] if found[1] >= size else None
    affine = known_inequalities(einsum.condition, known.names)
    low, high = index_range(form, known.extents, affine)
    if low >= 0 and high < size:
        return None
    parts = conjuncts(einsum.condition)
    if not parts:
        return low if low < 0 else high
    if any(inequalities(part, known.names) is None for part in parts):
        found = index_extremes(index, einsum.condition, known.names, known.extents)
        return None if found is None or (found[0] >= 0 and found[1] < size) else found[0] if found[0] < 0 else found[1]
    if form.divisor != 1 or form.modulus:
        return low if low < 0 else high
    ranks = {rank for rank, _ in form.terms} | {rank for part in affine for rank, _ in part.terms}
    box = {rank: known.extents[rank] for rank in ranks}
    below = Inequality(form.terms, -1 - form.offset)
    above = Inequality(tuple((rank, -value) for rank, value in form.terms), form.offset - size)
    if count_points(box, (*affine, below)):
        return low
    return high if count_points(box, (*affine, above)) else None


def _iterative(einsums: Sequence[Einsum], known: Sizes, found: Sequence[Dependence]) -> dict[str, int]:
    """For every tensor that reads its own earlier slice, directly or through others, the dimension along which it does."""
    follows: dict[str, list[str]] = {einsum.name: [] for einsum in einsums if not einsum.initial}
    for edge in found:
        follows[edge.producer].append(edge.consumer)
    cyclic = {name for group in components(list(follows), follows) for name in group if len(group) > 1 or name in follows[name]}
    made: dict[str, int] = {}
    for einsum in einsums:
        if einsum.name not in cyclic:
            continue
        for dimension, index in enumerate(einsum.output.indices):
            form = index_map(index, known.names)
            if form is not None and form.single_rank is not None and form.offset >= 1:
                made.setdefault(einsum.output.tensor, dimension)
    return made


def _check_chosen(reads: Uses, iterative: dict[str, int]) -> None:
    """Slices of a recurrence are named by ranks alone, so that it is known when they are there."""
    for name, uses in reads.items():
        for einsum, access in uses:
            if name in iterative and any(isinstance(part, Access) for part in walk(access.indices[iterative[name]])):
                what = f"{einsum.name} reads slices of the recurrence '{name}' that values of a tensor choose"
                raise InputError(what, "name them by ranks", einsum.place)


def _check_partial_tiles(einsums: Sequence[Einsum], iterative: dict[str, int], known: Sizes) -> None:
    """A recurrence inside the tiles of a split has no last slice where the last tile is partial."""
    for split in known.splits:
        if math.prod(known.extents[part] for part in split.parts) == split.extent:
            continue
        for einsum in einsums:
            dimension = iterative.get(einsum.output.tensor)
            form = index_map(einsum.output.indices[dimension], known.names) if dimension is not None else None
            if form is not None and form.single_rank in split.parts[1:]:
                what = f"{einsum.name} steps along '{form.single_rank}', and the last tile of '{split.rank}' ({split.extent}) is partial"
                raise InputError(what, f"choose a size of {form.single_rank} that divides {split.extent}", einsum.place)


def _constant_slices(writes: list[tuple[Einsum, Access]], dimension: int | None, known: Sizes) -> int:
    if dimension is None:
        return 0
    constant = set()
    worked = set()
    for einsum, access in writes:
        form = index_map(access.indices[dimension], known.names)
        if form is None or form.terms:
            continue
        if einsum.initial and einsum.condition is None:
            constant.add(form.offset)
        else:
            worked.add(form.offset)
    count = 0
    while count in constant - worked:
        count += 1
    return count


def _outputs(declaration: Declaration, einsums: Sequence[Einsum], found: Sequence[Dependence]) -> set[str]:
    """Tensors that no other statement reads, and declared ones."""
    computed = {einsum.output.tensor for einsum in einsums}
    by_name = {einsum.name: einsum for einsum in einsums}
    read = {edge.tensor for edge in found if by_name[edge.consumer].output.tensor != edge.tensor}
    outputs = (computed - read) | {name for name, stated in declaration.tensors.items() if stated.output}
    for name, stated in declaration.tensors.items():
        if stated.output and name not in computed:
            place = declaration.place("tensors", name)
            raise InputError(f"'{name}' is declared an output, but nothing writes it", did_you_mean(name, computed), place)
    if not outputs:
        mend = "declare one: tensors: {Y: {output: true}}"
        raise InputError("every tensor is read again, so nothing is an output", mend, einsums[-1].place)
    return outputs
