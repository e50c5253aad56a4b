"""Commands that map nothing: execute, check, import, list, show again, and what can be said of a workload alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from accelsim.commands.answers import give, give_blocks, give_layers
from accelsim.commands.arguments import Arguments, resolved, seed_of, settings_of, whole_of, workload_of
from accelsim.errors import InputError, did_you_mean
from accelsim.workload.cascade import Cascade, Model


def run_(arguments: Arguments) -> int:
    import numpy as np

    from accelsim.report.analysis import run_blocks, run_document
    from accelsim.workload.interpreter import model_inputs, random_inputs, run, run_model

    settings = settings_of(arguments)
    settings.refuse("arch", "mapping")
    found = workload_of(arguments.workload, settings)
    seed = seed_of(arguments)
    rng = np.random.default_rng(seed)
    if isinstance(found, Model):
        if found.phases:
            raise InputError(f"{found.name} has phases of inference, which are not run", "run the workload of one of its phases")
        runs = run_model(found, model_inputs(found, rng))
        documents = [run_document(layer.cascade, seed, runs[layer.cascade.name]) for layer in found.layers]
        return give_layers(arguments, "accelsim/run/1", found, documents, run_blocks)
    return give_blocks(arguments, run_document(found, seed, run(found, random_inputs(found, rng))), run_blocks)


def check_(arguments: Arguments) -> int:
    from accelsim.io.catalogue import MACHINE, WORKLOAD, identify
    from accelsim.io.check import check

    path, kind = identify(arguments.file)
    workload = resolved(arguments.workload, WORKLOAD) if arguments.workload else None
    machine = resolved(arguments.arch, MACHINE) if arguments.arch else None
    found = check(path, kind, settings_of(arguments), workload, machine)
    document = {"schema": "accelsim/check/1", "file": arguments.file, "kind": found.kind, "name": found.name, "says": found.says}

    def blocks(document: dict[str, str]) -> Any:
        yield f"{document['file']}: the {document['kind']} {document['name']} is right\n{document['says']}"

    return give_blocks(arguments, document, blocks)


def import_(arguments: Arguments) -> int:
    from accelsim.io.evaluation import write_text
    from accelsim.io.importers.network import Request
    from accelsim.io.importing import import_file, sizes_of
    from accelsim.io.source import parse
    from accelsim.io.workload import finder, read_workload
    from accelsim.report.importing import import_blocks, import_document
    from accelsim.report.progress import progress

    settings_of(arguments).refuse("workload", "arch", "mapping")
    path = Path(arguments.file)
    request = Request(arguments.unsupported, arguments.layers, sizes_of(arguments.size), type=arguments.type)
    with progress(not arguments.quiet) as tell:
        tell(f"reading {path}")
        imported = import_file(path, request, arguments.format)
        tell("checking the workload")
        found = read_workload(parse(imported.text, arguments.output or f"{path} imported"), imported.text, finder(path))
    if arguments.output is not None:
        write_text(imported.text, arguments.output)
    document = import_document(arguments.file, found, imported.counted, imported.text, arguments.output)
    if arguments.output is None:
        return give(arguments, document, lambda: print(imported.text, end=""))
    return give_blocks(arguments, document, import_blocks)


def passes_(arguments: Arguments) -> int:
    from accelsim.report.analysis import passes_blocks, passes_document
    from accelsim.workload.passes import all_passes, passes

    def document(cascade: Cascade) -> dict[str, Any]:
        return passes_document(cascade, [passes(cascade, arguments.rank)] if arguments.rank else all_passes(cascade).values())

    def has_rank(cascade: Cascade) -> bool:
        ranks = {*filter(str.isidentifier, cascade.extents), *(split.rank for split in cascade.splits)}
        return not arguments.rank or arguments.rank in ranks

    return _analyse(arguments, "accelsim/passes/1", document, passes_blocks, has_rank)


def bounds_(arguments: Arguments) -> int:
    from accelsim.report.analysis import bounds_blocks, bounds_document

    return _analyse(arguments, "accelsim/bounds/1", bounds_document, bounds_blocks)


def count_(arguments: Arguments) -> int:
    from accelsim.io.matrix import load_matrix
    from accelsim.report.products import count_blocks, matrix_document, products_document
    from accelsim.report.progress import progress
    from accelsim.sparse.formats import Widths
    from accelsim.sparse.pattern import Pattern
    from accelsim.sparse.products import Products

    settings_of(arguments).refuse("workload", "arch", "mapping")
    if len(arguments.file) > 2:
        raise InputError(f"accelsim count takes one matrix or two, not {len(arguments.file)}", "name the two of a product")
    widths = Widths(*(whole_of(arguments, f"{name}_bits") for name in ("value", "coordinate", "pointer")))
    radix, units, cache = (whole_of(arguments, name) for name in ("radix", "units", "cache"))
    with progress(not arguments.quiet) as tell:
        patterns = dict[str, Pattern]()
        for path in dict.fromkeys(arguments.file):
            tell(f"reading {path}")
            patterns[path] = Pattern.of(load_matrix(Path(path)))
        found, matrices = None, dict(patterns)
        if len(arguments.file) == 2:
            tell("counting products")
            made = Products(*(patterns[path] for path in arguments.file))
            found, matrices = products_document(made, radix, units, cache), {**patterns, "their product": made.c}
        document = {
            "schema": "accelsim/count/1",
            "widths": {"value": widths.value, "coordinate": widths.coordinate, "pointer": widths.pointer},
            "matrices": [matrix_document(name, pattern, widths) for name, pattern in matrices.items()],
            "product": found,
        }
    return give_blocks(arguments, document, count_blocks)


def _analyse(
    arguments: Arguments,
    schema: str,
    document: Callable[[Cascade], Any],
    blocks: Callable[[Any], Any],
    wanted: Callable[[Cascade], bool] = lambda _: True,
) -> int:
    """Say something about a cascade, or about those cascades of a model that are wanted (all, where none is)."""
    settings = settings_of(arguments)
    settings.refuse("arch", "mapping")
    found = workload_of(arguments.workload, settings)
    if isinstance(found, Model):
        layers = tuple(layer for layer in found.layers if wanted(layer.cascade)) or found.layers
        part = replace(found, layers=layers)
        return give_layers(arguments, schema, part, [document(layer.cascade) for layer in layers], blocks)
    return give_blocks(arguments, document(found), blocks)


def list_(arguments: Arguments) -> int:
    from accelsim.io.catalogue import KINDS, about, shipped

    settings_of(arguments).refuse("workload", "arch", "mapping")
    kinds = {kind.plural: kind for kind in KINDS}
    if arguments.kind is None:
        raise InputError("accelsim list needs a kind", f"write one of {', '.join(sorted(kinds))}")
    if arguments.kind not in kinds:
        raise InputError(f"cannot list '{arguments.kind}'", did_you_mean(arguments.kind, kinds))
    found = {name: about(path) for name, path in shipped(kinds[arguments.kind]).items()}
    word = (arguments.word or "").lower()
    wanted = {name: says for name, says in found.items() if word in f"{name} {says}".lower()}
    if not wanted:
        raise InputError(f"none of the {arguments.kind} that are shipped has '{word}' in its name or description", "leave the word out")

    def blocks(entries: dict[str, str]) -> Any:
        from accelsim.report.terminal import listing

        yield from listing(entries)

    return give_blocks(arguments, wanted, blocks)
