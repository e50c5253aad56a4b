"""From statements and declarations to a checked Cascade."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from accelsim.errors import InputError, did_you_mean
from accelsim.hardware.types import TYPES, NumberType
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.declaration import Declaration, TensorDeclaration, TypePair
from accelsim.workload.density import Stated
from accelsim.workload.dependence import dependences, order
from accelsim.workload.expression import (
    Access,
    Call,
    Expression,
    Name,
    Number,
    accesses,
    chosen_rank,
    index_map,
    inner_accesses,
    names,
    walk,
)
from accelsim.workload.grammar import Parsed, Statement, parse_statement, split_statements
from accelsim.workload.sizes import Sizes, below, sizes, unknown
from accelsim.workload.storage import Storage
from accelsim.workload.tensors import check_dimensions, tensors

Written = tuple[Statement, Parsed]


def build(declaration: Declaration) -> Cascade:
    """The cascade that a declaration describes; an InputError says what is undefined, missing or impossible, and where."""
    if not declaration.statements:
        mend = "write einsums: ['Z[m,n] = A[m,k] * B[k,n]']"
        raise InputError(f"workload '{declaration.name}' has no einsums", mend, declaration.place("einsums"))
    known = sizes(declaration)
    statements = [(statement, parse_statement(statement)) for statement in declaration.statements]
    used = {access.tensor for _, parsed in statements for part in _parts(parsed) for access in accesses(part)}
    for statement, parsed in statements:
        _check_names(statement, parsed, known, used)
        _check_divisors(statement, parsed, known)
    known = _with_chosen(declaration, statements, known)
    einsums = _einsums(statements, known)
    _check_used(declaration, einsums, known)
    check_dimensions(einsums)
    found = dependences(einsums, known.names, known.extents)
    order(einsums, found)
    made = tensors(declaration, einsums, known, found)
    return Cascade(declaration.name, einsums, known.extents, known.constants, made, declaration.source, known.splits, declaration)


def cascade(
    name: str,
    text: str | Sequence[str],
    shape: Mapping[str, int],
    *,
    split: Mapping[str, Mapping[str, int | None]] | None = None,
    types: Mapping[str, str | Mapping[str, str]] | None = None,
    tensors: Mapping[str, TensorDeclaration] | None = None,
    constants: Mapping[str, float | str] | None = None,
    density: Mapping[str, float | Stated] | None = None,
    storage: Mapping[str, Storage] | None = None,
) -> Cascade:
    """A cascade from Python: statements separated by `;` or lines, or a list of them; `types` as in a workload file."""
    lines = text.splitlines() if isinstance(text, str) else list(text)
    sources = [Statement(line, "", name, (0,), ((number, 1),), tuple(lines)) for number, line in enumerate(lines, 1)]
    statements = tuple(statement for source in sources for statement in split_statements(source))
    pairs = {key: _pair(value, TypePair(TYPES["bf16"], TYPES["bf16"])) for key, value in (types or {}).items()}
    default = pairs.pop("default", TypePair(TYPES["bf16"], TYPES["bf16"]))
    stated = tensors or {}, constants or {}, density or {}, storage or {}
    return build(Declaration(name, statements, shape, split or {}, default, pairs, *stated))


def resized(made: Cascade, shape: Mapping[str, int]) -> Cascade:
    """The same cascade with other sizes of ranks (or of parts of split ranks); needs a cascade that `build` made."""
    declaration = made.declaration
    assert declaration is not None, "a cascade made by hand has no declaration to build from"
    allowed = {*declaration.shape, *declaration.derived, *made.extents}
    for rank in shape:
        if rank not in allowed:
            raise InputError(f"workload '{made.name}' has no rank '{rank}'", did_you_mean(rank, allowed))
    return build(dataclasses.replace(declaration, shape={**declaration.shape, **shape}))


def sized(made: Cascade, given: Iterable[tuple[str, int]]) -> Cascade:
    """The same cascade with the sizes of all parts that its splits leave open; refuses a part that has another size already."""
    chosen = dict(given)
    free = {part: split.extent for split in made.splits for part in split.free}
    derived = {split.parts[0] for split in made.splits if split.free}
    for part, size in chosen.items():
        if part in derived or not any(part in split.parts for split in made.splits):
            what = f"the size of '{part}' follows from the others" if part in derived else f"workload '{made.name}' has no part '{part}'"
            raise InputError(what, "leave it out" if part in derived else did_you_mean(part, free or made.extents))
        if part in free and size > free[part]:
            raise InputError(f"{part} is {size}, and its rank has {free[part]} elements", f"write at most {free[part]}")
        if part not in free and made.extents[part] != size:
            raise InputError(f"the mapping is for {part} = {size}, and {made.name} has {made.extents[part]}", "give both the same size")
    missing = [part for part in sorted(free) if part not in chosen]
    if chosen and missing:
        raise InputError(f"the mapping does not say the size of {missing[0]}", f"write 'sizes: {{{missing[0]}: …}}' in it")
    return resized(made, chosen) if free and chosen else made


def _pair(value: str | Mapping[str, str], default: TypePair) -> TypePair:
    if isinstance(value, str):
        return TypePair(_type(value), _type(value))
    final = _type(value["final"]) if "final" in value else default.final
    return TypePair(final, _type(value["partial"]) if "partial" in value else final)


def _type(name: str) -> NumberType:
    if name not in TYPES:
        raise InputError(f"there is no number type '{name}'", did_you_mean(name, TYPES))
    return TYPES[name]


def _parts(parsed: Parsed) -> tuple[Expression, ...]:
    return (parsed.output, parsed.expression, *((parsed.condition,) if parsed.condition is not None else ()))


def _check_names(statement: Statement, parsed: Parsed, known: Sizes, tensors_used: set[str]) -> None:
    """Every name is a rank, a size or a constant; ranks of the condition and of the reduction belong to the statement."""
    parts = _parts(parsed)
    words = [word for part in parts for word in names(part)]
    for word in [*words, *(parsed.reduced or ())]:
        if word in known.extents or word in known.names:
            continue
        if word in tensors_used:
            raise statement.error_at(word, f"tensor '{word}' stands without indices", f"write {word}[...], or {word}[] for a single value")
        kind = "rank" if word == word.lower() else "size or constant"
        mend = unknown(word, known)
        if kind == "rank" and "did you mean" not in mend:
            mend = f"write its size under shape: {{{word}: ...}}"
        elif "did you mean" not in mend:
            mend = f"write it under constants, or index it as a tensor: {word}[...]"
        raise statement.error_at(word, f"{kind} '{word}' has no value" if kind != "rank" else f"rank '{word}' has no size", mend)
    if parsed.condition is not None:
        inside = set(_ranks((parsed.output, parsed.expression), known))
        for word in names(parsed.condition):
            if word in known.extents and word not in inside:
                what = f"the condition names rank '{word}', which the statement does not index"
                raise statement.error_at(word, what, "index a tensor by it")
    for access in accesses(parsed.output):
        for part in access.indices:
            for inner in walk(part):
                if isinstance(inner, Access):
                    raise statement.error_at(inner.tensor, "an output index cannot read a tensor", "write to a rank")
    for access in accesses(parsed.condition) if parsed.condition is not None else ():
        if inner_accesses(access):
            raise statement.error_at(access.tensor, f"an index of '{access.tensor}' in a condition reads a tensor", "index it by ranks")


def _check_divisors(statement: Statement, parsed: Parsed, known: Sizes) -> None:
    """What an index divides by is at least 1."""
    for access in (access for part in _parts(parsed) for access in accesses(part)):
        for call in (part for index in access.indices for part in walk(index) if isinstance(part, Call)):
            form = index_map(call.arguments[-1], known.names) if call.function in ("div", "floordiv", "mod") else None
            if form is not None and not form.terms and form.offset < 1:
                word = next(iter(names(call.arguments[-1])), access.tensor)
                what = f"an index of '{access.tensor}' divides by {form.offset}"
                raise statement.error_at(word, what, "give its ranks sizes for which that is 1 or more")


def _with_chosen(declaration: Declaration, statements: Sequence[Written], known: Sizes) -> Sizes:
    """The same sizes with those of what stands for values in indices, each of which says how far its values go."""
    found: dict[str, int] = {}
    for statement, parsed in statements:
        for access in accesses(parsed.expression):
            for inner in inner_accesses(access):
                most = below(declaration, inner.tensor, known)
                if not most:
                    mend = f"say how far its values go: tensors: {{{inner.tensor}: {{below: 4}}}}"
                    raise statement.error_at(inner.tensor, f"'{inner.tensor}' stands in an index of '{access.tensor}'", mend)
                found[chosen_rank(inner)] = most
    return dataclasses.replace(known, extents={**known.extents, **found})


def _ranks(parts: Sequence[Expression], known: Sizes) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for part in parts for word in names(part) if word in known.extents))


def _einsums(statements: Sequence[Written], known: Sizes) -> tuple[Einsum, ...]:
    stepped = _stepped(statements, known)
    found: list[Einsum] = []
    counts: dict[str, int] = {}
    taken: dict[str, Statement] = {}
    for statement, parsed in statements:
        output = parsed.output
        initial = _is_initial(parsed, stepped.get(output.tensor, frozenset()), known)
        stem = f"{output.tensor}.init" if initial else output.tensor
        count = counts.get(stem, 0)
        counts[stem] = count + 1
        name = statement.label or (stem if count == 0 else f"{stem}.{count}")
        if name in taken:
            raise statement.error(0, f"two statements are called '{name}'", "label one of them: - {label: statement}")
        taken[name] = statement
        ranks = _ranks((output, parsed.expression), known)
        reduced = tuple(rank for rank in ranks if rank not in _ranks((output,), known))
        _check_reduction(statement, parsed, reduced, ranks, known)
        existence = _existence(ranks, known)
        condition = _joined(existence, parsed.condition)
        place = statement.place()
        found.append(
            Einsum(name, output, parsed.expression, ranks, reduced, parsed.reduce, condition, initial, statement.text, place, existence)
        )
    _check_written_once(found, statements)
    return tuple(found)


def _stepped(statements: Sequence[Written], known: Sizes) -> dict[str, frozenset[int]]:
    """For every tensor the dimensions in which some statement writes the next slice (`T[i+1]`)."""
    found: dict[str, frozenset[int]] = {}
    for _, parsed in statements:
        for dimension, index in enumerate(parsed.output.indices):
            form = index_map(index, known.names)
            if form is not None and form.single_rank is not None and form.offset >= 1:
                found[parsed.output.tensor] = found.get(parsed.output.tensor, frozenset()) | {dimension}
    return found


def _is_initial(parsed: Parsed, stepped: frozenset[int], known: Sizes) -> bool:
    if accesses(parsed.expression):
        return False
    fixed = {at for at, index in enumerate(parsed.output.indices) if not _ranks((index,), known)}
    return bool(fixed & stepped)


def _check_reduction(statement: Statement, parsed: Parsed, reduced: tuple[str, ...], ranks: tuple[str, ...], known: Sizes) -> None:
    if parsed.reduced is None:
        return
    for rank in parsed.reduced:
        if rank not in ranks:
            what = f"{parsed.reduce}[{rank}] reduces a rank that the statement does not index"
            raise statement.error_at(
                rank, what, did_you_mean(rank, reduced) if reduced else f"index a tensor by {rank}, or drop the reduction"
            )
        if rank not in reduced:
            what = f"{parsed.reduce}[{rank}] reduces a rank that {parsed.output.tensor} keeps"
            raise statement.error_at(rank, what, "drop it from one side")
    for rank in reduced:
        if rank not in parsed.reduced:
            what = f"rank '{rank}' is neither in {parsed.output.tensor} nor in {parsed.reduce}[...]"
            raise statement.error_at(rank, what, "name it in one of them")


def _existence(ranks: tuple[str, ...], known: Sizes) -> Expression | None:
    """The condition that a point of a split whose last tile is partial exists."""
    made: Expression | None = None
    for split in known.splits:
        extents = [known.extents[part] for part in split.parts]
        total = 1
        for extent in extents:
            total *= extent
        if total == split.extent or any(part not in ranks for part in split.parts):
            continue
        index: Expression | None = None
        stride = 1
        for part, extent in zip(reversed(split.parts), reversed(extents), strict=True):
            term: Expression = Name(part) if stride == 1 else Call("mul", (Name(part), Number(float(stride))))
            index = term if index is None else Call("add", (term, index))
            stride *= extent
        assert index is not None
        made = _joined(made, Call("lt", (index, Number(float(split.extent)))))
    return made


def _joined(left: Expression | None, right: Expression | None) -> Expression | None:
    if left is None or right is None:
        return left if right is None else right
    return Call("and", (left, right))


def _check_written_once(einsums: Sequence[Einsum], statements: Sequence[Written]) -> None:
    seen: dict[Access, Einsum] = {}
    for einsum, (statement, parsed) in zip(einsums, statements, strict=True):
        other = seen.get(einsum.output)
        if other is not None and parsed.condition is None:
            mend = "use two names, or conditions that exclude each other"
            raise statement.error(0, f"{einsum.output.tensor} is written twice at the same place", mend)
        seen.setdefault(einsum.output, einsum)


def _check_used(declaration: Declaration, einsums: Sequence[Einsum], known: Sizes) -> None:
    """What is stated must matter: ranks, constants, tensors and types that nothing uses are errors."""
    parts = [part for einsum in einsums for part in (einsum.output, einsum.expression, einsum.condition) if part is not None]
    words = {word for part in parts for word in names(part)}
    formulas = [*declaration.derived.values(), *(value for value in declaration.constants.values() if isinstance(value, str))]
    words |= {word for text in formulas for word in _words(text)}
    reads = [access for einsum in einsums for access in (einsum.output, *einsum.reads)]
    places = {index.name for access in reads for index in access.indices if isinstance(index, Name)}
    declared = [item for tensor in declaration.tensors.values() for item in tensor.shape or () if isinstance(item, str)]
    words |= {word for item in declared for word in _words(item)}
    for split in known.splits:
        if any(part in words or part.upper() in words for part in split.parts):
            words.add(split.rank)
            words.update(split.parts)
    for rank in (*declaration.shape, *declaration.derived):
        if rank not in words and (rank.upper() not in words or rank.upper() in places):
            mend = did_you_mean(rank, [word for word in words if word in known.extents])
            if rank.upper() in words:
                mend = f"{rank.upper()} is its size; the rank is written {rank}"
            raise InputError(f"no statement uses rank '{rank}'", mend, declaration.place("shape", rank))
    for split in known.splits:
        if split.parts[0] not in words:
            mend = f"write {split.parts[0]} and {split.parts[-1]} in the statements"
            raise InputError(f"no statement uses the parts of '{split.rank}'", mend, declaration.place("split", split.rank))
    for name in declaration.constants:
        if name not in words:
            raise InputError(f"no statement uses constant '{name}'", "remove it", declaration.place("constants", name))
    used = {access.tensor for einsum in einsums for access in (einsum.output, *einsum.reads, *einsum.condition_reads)}
    sections = {"tensors": declaration.tensors, "type": declaration.types, "density": declaration.density, "format": declaration.storage}
    for section, stated in sections.items():
        for name in stated:
            if name not in used:
                raise InputError(f"no statement names tensor '{name}'", did_you_mean(name, used), declaration.place(section, name))


def _words(text: str) -> set[str]:
    import re

    return set(re.findall(r"[A-Za-z_][A-Za-z_0-9]*", text))
