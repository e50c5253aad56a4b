"""Fault campaigns from YAML. The format: docs/faults.md, "Campaign files"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.errors import InputError, did_you_mean
from accelsim.faults.array_target import ArrayTarget
from accelsim.faults.campaign import Campaign
from accelsim.faults.firings import einsum_on_array, products
from accelsim.faults.memory_target import MemoryTarget
from accelsim.faults.plan import EACH, IMPORTANCE, Plan
from accelsim.faults.processor_target import ProcessorTarget
from accelsim.faults.rates import Rates
from accelsim.faults.stuck_target import StuckTarget
from accelsim.faults.target import Grouped, Target
from accelsim.faults.transit_target import TransitTarget
from accelsim.hardware.architecture import Architecture
from accelsim.io.campaign_keys import (
    at_home,
    decided_by,
    faults_of,
    file_of,
    inputs_of,
    mapping_of,
    merged,
    placed,
    sample_of,
    scale_of,
)
from accelsim.io.campaign_targets import Made, gates_of, streams_of, threshold_of
from accelsim.io.catalogue import CAMPAIGN, MACHINE, RATES, WORKLOAD, refuse_other, root
from accelsim.io.fault_kinds import FLIPS, LATE, STUCK, clock_of, in_cycles, in_words
from accelsim.io.hardware import load_architecture
from accelsim.io.overrides import Overrides, overrides
from accelsim.io.processor_campaign import processor_faults, refuse_others, refuse_unknown, whole_inputs, whole_ranges
from accelsim.io.rates import load_rates
from accelsim.io.source import Item, load
from accelsim.io.workload import load_workload
from accelsim.jobs.store import content_key, digest
from accelsim.mapping.tree import Mapping as LoopTree
from accelsim.model.evaluation import Evaluator
from accelsim.rtl.program import export
from accelsim.sim.values import execute
from accelsim.workload.cascade import Cascade, Model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from accelsim.faults.gate_target import GateTarget
    from accelsim.faults.stream_target import StreamTarget

    IntArray = NDArray[np.int64]

_KEYS = (
    "campaign", "about", "source", "workload", "arch", "in", "mapping", "stationary", "einsum", "set", "inputs", "outputs", "decision",
    "faults", "time", "sample", "seed", "rates", "protect",
)  # fmt: skip
Inputs = dict[str, Any]  # an array for each
_ARRAY, _GATES, _STREAMS, _MEMORIES, _NETWORKS, _PROCESSOR = _PLACES = "array", "gates", "streams", "memories", "networks", "processor"
_IN_ARRAY = (_ARRAY, _GATES, _STREAMS)
_NOT_IN = ("stationary", "einsum", "outputs")  # but in an array
_MOST_POINTS, _MOST_WORDS = 1 << 17, 1 << 24


def load_campaign(path: Path | str, settings: Sequence[str] = ()) -> Campaign:
    """The campaign in a YAML file, ready to run; `settings`: as with --set, in place of those in the file.

    Names of workloads, machines and mappings are files beside it, or shipped. InputError with the place for what is wrong.
    """
    document, keys = _read(Path(path))
    if "network" in keys:
        from accelsim.io.network import load_network

        return load_network(document, keys, settings, Path(path).parent)
    try:
        return _campaign(document, keys, settings, Path(path).parent)
    except InputError as error:
        raise at_home(error, keys, document, settings) from None


def check_campaign(path: Path) -> tuple[str, str]:
    """The name of the campaign in a file that is right, and what it injects; only a product in an array is run for that."""
    document, keys = _read(path)
    if "network" in keys:
        from accelsim.io.network import check_network

        return check_network(document, keys, path.parent)
    where = _where(keys)
    if where in _IN_ARRAY:
        found = load_campaign(path)
        strata = found.target.strata
        kinds = f"{len(strata)} kind{'s' * (len(strata) != 1)} of {found.target.terms[0]}"
        return found.name, f"{kinds}, {sum(each.population for each in strata):,} {found.target.noun}"
    try:
        given = overrides(merged(keys, ()))
        cascade, machine = _nouns(keys, given, path.parent)
        if "mapping" in keys:
            _, cascade = mapping_of(document, keys, given, path.parent, cascade, machine)
        _refuse_large(cascade, keys["workload"], where != _PROCESSOR)
        if where == _PROCESSOR:
            refuse_others(cascade, machine, keys)
        else:
            in_words(keys)
            in_cycles(keys)
        sample_of(keys.get("sample"))
    except InputError as error:
        raise at_home(error, keys, document) from None
    what = {
        _MEMORIES: "faults in the memories of", _NETWORKS: "upsets in words on their way through",
        _PROCESSOR: "upsets in the registers and memories of",
    }[where]  # fmt: skip
    return keys["campaign"].name("a campaign"), f"{what} {machine.name} while it runs {cascade.name}"


def _read(path: Path) -> tuple[Item, dict[str, Item]]:
    document = load(path)
    refuse_other(document, CAMPAIGN)
    keys = document.mapping("a campaign")
    if "network" in keys:
        return document, keys
    document.only(_KEYS, "a campaign")
    for needed in ("campaign", "workload", "arch"):
        if needed not in keys:
            raise document.error(f"a campaign has no '{needed}'", f"write {needed}: NAME")
    return document, keys


def _nouns(keys: dict[str, Item], given: Overrides, folder: Path) -> tuple[Cascade, Architecture]:
    cascade = load_workload(file_of(keys["workload"], WORKLOAD, folder), given.workload)
    if isinstance(cascade, Model):
        raise keys["workload"].error(f"{cascade.name} is a model of several layers", "name a workload of one cascade")
    return cascade, load_architecture(file_of(keys["arch"], MACHINE, folder), given.arch)


def _refuse_large(cascade: Cascade, item: Item, walked: bool = True) -> None:
    """An InputError for more points than are walked one by one in a reasonable time, or for tensors of more words than are drawn."""
    points = sum(prod(cascade.extents[rank] for rank in einsum.ranks) for einsum in cascade.work)
    large = max(cascade.tensors, key=lambda name: prod(cascade.tensors[name].shape))
    words, what = prod(cascade.tensors[large].shape), ""
    if walked and points > _MOST_POINTS:
        what = f"{cascade.name} has {points:,} points, more than the {_MOST_POINTS:,} that are walked one by one"
    elif words > _MOST_WORDS:
        what = f"{large} of {cascade.name} has {words:,} words, more than the {_MOST_WORDS:,} of a tensor in a campaign"
    if what:
        parts = {part for split in cascade.splits for part in split.parts}
        whole = [rank for rank in cascade.extents if rank.isidentifier() and rank not in parts]
        rank = max(whole, key=cascade.extents.__getitem__, default="RANK")
        raise item.error(what, f"make it smaller, as in set: {{shape.{rank}: {cascade.extents.get(rank, 32) // 2}}}")


def _campaign(document: Item, keys: dict[str, Item], settings: Sequence[str], folder: Path) -> Campaign:
    given = overrides(merged(keys, settings))
    cascade, machine = _nouns(keys, given, folder)
    where = _where(keys)
    _refuse_large(cascade, keys["workload"], where in {_MEMORIES, _NETWORKS})
    if where == _PROCESSOR:
        cascade = refuse_others(cascade, machine, keys)
    mapping, cascade = mapping_of(document, keys, given, folder, cascade, machine, where not in _IN_ARRAY)
    if where == _PROCESSOR:
        inputs = inputs_of(whole_inputs(keys.get("inputs")), cascade, whole_ranges(cascade))
    else:
        inputs = inputs_of(keys.get("inputs"), cascade)
    make: dict[str, Callable[..., Target]] = {
        _ARRAY: _array, _GATES: _gates, _STREAMS: _streams, _MEMORIES: _memories, _NETWORKS: _memories, _PROCESSOR: _processor,
    }  # fmt: skip
    target = make[where](document, keys, cascade, machine, mapping, inputs)
    seed = keys["seed"].integer("'seed'", 0) if "seed" in keys else 0
    sample, rates = sample_of(keys.get("sample")), _rates(keys.get("rates"), target, where, folder)
    if sample.by == IMPORTANCE and not isinstance(target, Grouped):
        raise keys["sample"].error(f"{target.noun} of {where} have no groups to draw by importance", "write 'by: neyman'")
    placed(keys.get("sample", document), lambda _: Plan.first(target.strata, sample, target.chunk))
    run = (cascade, machine, mapping, {name: digest(values) for name, values in inputs.items()}, target.key_parts())
    described = content_key(*run, sample.injects, seed, rates if sample.by != EACH else None)
    return Campaign(keys["campaign"].name("a campaign"), target, sample, seed, described, rates)


def _rates(item: Item | None, target: Target, where: str, folder: Path) -> Rates | None:
    """The table of raw rates, if one is named, which must have those of all cells. They are of single bits."""
    if item is None:
        return None
    if where != _ARRAY:
        what = f"rates are known for registers of an array only, and {target.noun} are in {_called(where)}"
        raise item.error(what, "leave it out")
    if (wrong := target.unrated()) is not None:
        raise item.error(*wrong)
    found = load_rates(file_of(item, RATES, folder))
    for stratum in target.strata:
        placed(item, lambda _, cell=stratum.cell: found.of(cell))  # type: ignore[misc]
    return found


def _where(keys: dict[str, Item]) -> str:
    """What has faults in it: an array's registers, gates or streams, the memories of the machine, words on their way, or a processor."""
    where = keys["in"].name("'in'") if "in" in keys else _ARRAY
    if where not in _PLACES:
        raise keys["in"].error(f"there are no faults in '{where}'", did_you_mean(where, _PLACES))
    if where != _MEMORIES and "time" in keys:
        raise keys["time"].error(f"'time' is about memories, and faults are in {where}", "leave it out")
    for key in _NOT_IN if where not in _IN_ARRAY else ():
        if key in keys:
            raise keys[key].error(f"'{key}' is about an array, and upsets are in {_called(where)}", "leave it out")
    if "protect" in keys and where != _MEMORIES:
        raise keys["protect"].error("protection is simulated in memories only", "leave it out, or write 'in: memories'")
    return where


def _called(where: str) -> str:
    """A place of faults in a sentence."""
    return "a processor" if where == _PROCESSOR else where


def _array(
    document: Item, keys: dict[str, Item], cascade: Cascade, machine: Architecture, mapping: LoopTree, inputs: Inputs
) -> ArrayTarget:
    made = _made(document, keys, cascade, machine, mapping, inputs)
    fields, together, kind = faults_of(keys.get("faults"), [made.products[0].run.registers], kinds=(FLIPS, STUCK, LATE))
    return ArrayTarget(made.unit, made.products, made.requantise, fields, together, made.decides, kind == STUCK, kind == LATE)


def _gates(document: Item, keys: dict[str, Item], cascade: Cascade, machine: Architecture, mapping: LoopTree, inputs: Inputs) -> GateTarget:
    return gates_of(keys.get("faults"), document, _made(document, keys, cascade, machine, mapping, inputs))


def _streams(
    document: Item, keys: dict[str, Item], cascade: Cascade, machine: Architecture, mapping: LoopTree, inputs: Inputs
) -> StreamTarget:
    return streams_of(keys.get("faults"), document, cascade, _made(document, keys, cascade, machine, mapping, inputs))


def _made(document: Item, keys: dict[str, Item], cascade: Cascade, machine: Architecture, mapping: LoopTree, inputs: Inputs) -> Made:
    import numpy as np

    name = keys["einsum"].name("'einsum'") if "einsum" in keys else None
    einsum = placed(keys.get("einsum", keys.get("mapping", document)), lambda _: einsum_on_array(cascade, machine, mapping, name))
    made = placed(keys["arch"], lambda _: products(Evaluator(cascade, machine), mapping, einsum, inputs))
    sums = np.concatenate([product.run.product.ravel() for product in made])
    requantise = scale_of(keys.get("outputs"), made[0].run.widths.sum)(sums)
    decides = None if "decision" not in keys else decided_by(keys["decision"], cascade, einsum)
    if decides is not None and any(len({*decides[product.elements.ravel()].tolist()}) == product.elements.size for product in made):
        what = f"an output of one product is not compared with one of another, and {keys['decision'].value} has a product each"
        raise keys["decision"].error(what, "decide along a rank that one of the operands lacks")
    unit = next(leaf.unit for _, leaf in mapping.paths() if leaf.einsum == einsum.name)
    return Made(unit, made, requantise, decides, inputs)


def _memories(
    document: Item, keys: dict[str, Item], cascade: Cascade, machine: Architecture, mapping: LoopTree, inputs: Inputs
) -> MemoryTarget | StuckTarget | TransitTarget:
    from accelsim.faults.cascade_checks import CascadeChecks
    from accelsim.faults.cones import Mapped

    (together, stuck), by_cycle = in_words(keys), in_cycles(keys)
    mapped = placed(keys.get("mapping", keys["workload"]), lambda _: Mapped(cascade, machine, mapping, inputs))
    decides = _decided(keys, cascade)
    protect = keys["protect"].only(("checksums",), "protect") if "protect" in keys else {}
    if "checksums" in protect and (stuck or _where(keys) == _NETWORKS):
        raise protect["checksums"].error("checksums are simulated of upsets in memories only", "leave 'protect' out")
    if _where(keys) == _NETWORKS:
        return TransitTarget(mapped, decides, together)
    if stuck:
        return StuckTarget(mapped, decides, together)
    clock = clock_of(keys["time"], mapped) if by_cycle else None
    if "checksums" not in protect:
        return MemoryTarget(mapped, decides, together, clock)
    checks = placed(protect["checksums"], lambda item: CascadeChecks(cascade, threshold_of(item)))
    return placed(protect["checksums"], lambda _: MemoryTarget(mapped, decides, together, clock, checks))


def _processor(
    document: Item, keys: dict[str, Item], cascade: Cascade, machine: Architecture, mapping: LoopTree, inputs: Inputs
) -> ProcessorTarget:
    """Compiled, run once without an upset, and with those that are known to matter."""
    chosen, program = processor_faults(keys.get("faults")), export(Evaluator(cascade, machine), mapping)
    target = ProcessorTarget(program, inputs, root() / "hw" / "rtl", chosen, _decided(keys, cascade))
    refuse_unknown(keys.get("faults"), target)
    values = placed(keys.get("inputs", document), lambda _: execute(cascade, machine, mapping, inputs))
    target.confirm(values)
    return target


def _decided(keys: dict[str, Item], cascade: Cascade) -> tuple[str, IntArray] | None:
    """The last output, and the group that each of its elements is in."""
    if "decision" not in keys:
        return None
    return cascade.last.output.tensor, decided_by(keys["decision"], cascade, cascade.last)
