"""The search on shipped cascades and machines: legal everywhere, fused attention, and at least as fast as published mappings."""

from __future__ import annotations

import zlib

import pytest

from accelsim.errors import IllegalMapping
from accelsim.hardware.architecture import Architecture
from accelsim.io.catalogue import MACHINE, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.workload import load_workload
from accelsim.mapper import Request, search
from accelsim.mapper.objectives import objective_named
from accelsim.mapping.legality import is_legal
from accelsim.mapping.tree import Fuse, Mapping
from accelsim.workload.cascade import Cascade
from tests.catalogue import dense
from tests.share import share

LATENCY = objective_named("latency")
SECONDS = share(1000, 4, 3)  # CPU, of a search for one form of attention on one machine
ATTENTION = ("attention", "attention-naive", "attention-3pass", "attention-2pass", "attention-causal", "attention-gqa")
OTHERS = ("matmul", "conv2d", "conv2d-pair", "softmax", "layernorm", "scan-sequential", "scan-chunked")
SMALL = {
    "attention-gqa": {"shape.h": "4", "shape.g": "2", "shape.p": "512", "shape.m": "512"},
    "scan-sequential": {"shape.t": "64", "shape.i": "512"},
    "scan-chunked": {"shape.t": "256", "shape.i": "256"},
}
FEW = {"shape.h": "1", "shape.p": "64", "shape.m": "64", "shape.m0": "16", "shape.e": "16", "shape.f": "16"}


def sizes_on(name: str, usual: dict[str, str]) -> dict[str, str]:
    """Sizes of attention for a machine: small ones where a memory of 64 KiB has to hold whatever its units touch."""
    passing = [memory.feeds[0] for memory in machine(name).memories.values() if not memory.direct]
    return FEW if any((memory.size_bits or 0) <= 64 * 8192 for memory in passing) else usual


LACKING = {("layernorm", machine) for machine in ("spatial", "cascade", "flat", "unfused", "mini")}  # no square root on these machines

# steady cycles: seconds of the published sheet times 940 MHz. FuseMax (MICRO 2024, arXiv 2406.10491), artifact, attention, +Binding.
CLOCK_HZ = 940e6
BERT = {1024: 0.002013140425531915, 4096: 0.02970035744680851, 16384: 0.46516616170212766}
BERT |= {65536: 7.402500357446808, 262144: 118.2793728, 1048576: 1891.8274331234043}
XLM = {1024: 0.005194076595744681, 16384: 1.1958228425531914, 262144: 303.9888754382979}


def machine(name: str) -> Architecture:
    """A shipped machine."""
    return load_architecture(resolve(name, MACHINE), {})


def workload(name: str, sizes: dict[str, str] | None = None) -> Cascade:
    """A shipped cascade with other sizes."""
    found = load_workload(resolve(name, WORKLOAD), sizes or {})
    assert isinstance(found, Cascade)
    return found


def fused(mapping: Mapping) -> bool:
    """Whether all Einsums stand under one fuse that is not sequential."""
    last = mapping.nodes[-1]
    return isinstance(last, Fuse) and last.schedule != "sequential"


@pytest.mark.parametrize("length", BERT)
@pytest.mark.slow
def test_attention_with_64_wide_heads_is_at_least_as_fast_as_published(length: int) -> None:
    sizes = {"shape.b": "64", "shape.h": "12", "shape.p": str(length), "shape.m": str(length)}
    found = search(workload("attention", sizes), machine("spatial"))
    assert fused(found.mapping)
    assert float(found.evaluation.steady_cycles) <= BERT[length] * CLOCK_HZ * (1 + 1e-9)


@pytest.mark.parametrize("length", XLM)
@pytest.mark.slow
def test_attention_with_128_wide_heads_is_at_least_as_fast_as_published(length: int) -> None:
    sizes = {"shape.b": "64", "shape.h": "16", "shape.e": "128", "shape.f": "128", "shape.p": str(length), "shape.m": str(length)}
    found = search(workload("attention", sizes), machine("spatial"))
    assert float(found.evaluation.steady_cycles) <= XLM[length] * CLOCK_HZ * (1 + 1e-9)


@pytest.mark.parametrize("name", dense(MACHINE))
@pytest.mark.slow
def test_the_default_attention_is_fused_on_every_machine(name: str) -> None:
    cascade, target = workload("attention", sizes_on(name, {})), machine(name)
    found = search(cascade, target, request=Request(LATENCY, time_limit=SECONDS))
    assert is_legal(cascade, target, found.mapping) and fused(found.mapping)
    record = found.evaluation.search
    assert record is not None and record["lower_bound"] <= record["value"]


def pairs(kinds: tuple[str, ...]) -> list[tuple[str, str]]:
    """Cascades on machines: all where the evidence is asked for, else one of eight, drawn by their names."""
    every = [(kind, name) for kind in kinds for name in dense(MACHINE)]
    return [pair for pair in every if zlib.crc32(" on ".join(pair).encode()) % 8 < share(8, 1, 1)]


def lacks(target: Architecture, einsum: str, primitive: str) -> str:
    """The refusal of an Einsum that needs a primitive, as a pattern."""
    return rf"no unit of {target.name} can execute {einsum}: .* has no '{primitive}'.*; give a unit the primitive$"


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), pairs(ATTENTION[1:]))
def test_every_attention_is_mapped_on_every_machine(kind: str, name: str) -> None:
    usual = SMALL.get(kind, {"shape.h": "2", "shape.p": "256", "shape.m": "512"})
    ranks = workload(kind).extents
    sizes = {key: size for key, size in sizes_on(name, usual).items() if key.removeprefix("shape.") in ranks}
    cascade, target = workload(kind, usual if "shape.g" in usual else sizes), machine(name)
    found = search(cascade, target, request=Request(LATENCY, time_limit=SECONDS))
    assert is_legal(cascade, target, found.mapping)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), pairs(OTHERS))
def test_every_other_cascade_is_mapped_on_every_machine_that_can_execute_it_and_refused_by_the_others(kind: str, name: str) -> None:
    cascade, target = workload(kind, SMALL.get(kind)), machine(name)
    if (kind, name) in LACKING:
        with pytest.raises(IllegalMapping, match=lacks(target, "Y", "sqrt")):
            search(cascade, target)
        return
    found = search(cascade, target, request=Request(LATENCY, time_limit=SECONDS))
    assert is_legal(cascade, target, found.mapping)


@pytest.mark.parametrize("name", dense(MACHINE))
def test_structured_weights_go_where_a_unit_selects(name: str) -> None:
    cascade, target = workload("matmul-structured"), machine(name)
    if not any("select" in unit.operations for unit in target.units.values()):
        with pytest.raises(IllegalMapping, match=lacks(target, "Z", "select")):
            search(cascade, target)
        return
    found = search(cascade, target).evaluation
    assert found.search is not None and found.search["no_exact_search"] == "values choose what Z reads"
    assert found.search["lower_bound"] <= found.search["value"]
