"""Fault campaigns from YAML. The format: docs/faults.md, "Campaign files"."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from accelsim.errors import InputError, did_you_mean
from accelsim.faults.array_target import ArrayTarget
from accelsim.faults.campaign import Campaign
from accelsim.faults.firings import Product, einsum_on_array, products
from accelsim.faults.memory_target import MemoryTarget
from accelsim.faults.plan import EACH, NEYMAN, Plan, Sample
from accelsim.faults.rates import Rates
from accelsim.faults.registers import CONTROL, OPERANDS, SUMS
from accelsim.faults.requantise import Requantise
from accelsim.faults.stationed import stationed
from accelsim.faults.stuck_target import StuckTarget
from accelsim.faults.target import Target
from accelsim.faults.transit_target import TransitTarget
from accelsim.hardware.architecture import Architecture
from accelsim.io.catalogue import CAMPAIGN, MACHINE, MAPPING, RATES, WORKLOAD, refuse_other, resolve
from accelsim.io.fault_kinds import FLIPS, LATE, STUCK, adjacent, clock_of, in_cycles, in_words, kind_of, on_way
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_fitting
from accelsim.io.overrides import Overrides, overrides
from accelsim.io.rates import load_rates
from accelsim.io.source import Item, load
from accelsim.io.workload import load_workload
from accelsim.jobs.store import content_key
from accelsim.mapping.legality import check
from accelsim.mapping.tree import Mapping as LoopTree
from accelsim.model.evaluation import Evaluator
from accelsim.workload.cascade import Cascade, Einsum, Model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]

_KEYS = (
    "campaign", "about", "source", "workload", "arch", "in", "mapping", "stationary", "einsum", "set", "inputs", "outputs", "decision",
    "faults", "time", "sample", "seed", "rates",
)  # fmt: skip
Inputs = dict[str, Any]  # an array for each
T = TypeVar("T")
_ROLES = (OPERANDS, SUMS, CONTROL)
_DRAWS = ("uniform", "normal")
_PLACES = ("array", "memories", "networks")
_MOST_POINTS = 1 << 17
_LEAST_DOUBT = 1e-9  # is shared out to all intervals; near 1 a float says no more


def load_campaign(path: Path | str, settings: Sequence[str] = ()) -> Campaign:
    """The campaign in a YAML file, ready to run; `settings`: as with --set, in place of those in the file.

    Names of workloads, machines and mappings are files beside it, or shipped. InputError with the place for what is wrong.
    """
    document, keys = _read(Path(path))
    try:
        return _campaign(document, keys, settings, Path(path).parent)
    except InputError as error:
        raise _at_home(error, keys, document, settings) from None


def check_campaign(path: Path) -> tuple[str, str]:
    """The name of the campaign in a file that is right, and what it injects; a cascade in memories is not run for that."""
    document, keys = _read(path)
    if not _in_memories(keys):
        found = load_campaign(path)
        strata = found.target.strata
        return found.name, f"{len(strata)} kinds of registers, {sum(each.population for each in strata):,} {found.target.noun}"
    try:
        given = overrides(_merged(keys, ()))
        cascade, machine = _nouns(keys, given, path.parent)
        if "mapping" in keys:
            _, cascade = _mapping(document, keys, given, path.parent, cascade, machine)
        _refuse_large(cascade, keys["workload"])
        in_words(keys)
        in_cycles(keys)
        _sample(keys.get("sample"))
    except InputError as error:
        raise _at_home(error, keys, document) from None
    what = "upsets in words on their way through" if on_way(keys) else "faults in the memories of"
    return keys["campaign"].name("a campaign"), f"{what} {machine.name} while it runs {cascade.name}"


def _read(path: Path) -> tuple[Item, dict[str, Item]]:
    document = load(path)
    refuse_other(document, CAMPAIGN)
    keys = document.only(_KEYS, "a campaign")
    for needed in ("campaign", "workload", "arch"):
        if needed not in keys:
            raise document.error(f"a campaign has no '{needed}'", f"write {needed}: NAME")
    return document, keys


def _nouns(keys: dict[str, Item], given: Overrides, folder: Path) -> tuple[Cascade, Architecture]:
    cascade = load_workload(_file(keys["workload"], WORKLOAD, folder), given.workload)
    if isinstance(cascade, Model):
        raise keys["workload"].error(f"{cascade.name} is a model of several layers", "name a workload of one cascade")
    return cascade, load_architecture(_file(keys["arch"], MACHINE, folder), given.arch)


def _refuse_large(cascade: Cascade, item: Item) -> None:
    """An InputError for more points than are walked one by one in a reasonable time."""
    points = sum(prod(cascade.extents[rank] for rank in einsum.ranks) for einsum in cascade.work)
    if points > _MOST_POINTS:
        what = f"{cascade.name} has {points:,} points, more than the {_MOST_POINTS:,} that are walked one by one"
        raise item.error(what, "make it smaller, as in set: {shape.m: 16}")


def _at_home(error: InputError, keys: Mapping[str, Item], document: Item, settings: Sequence[str] = ()) -> InputError:
    """The error with a place in the campaign's file: of what has none, and of settings that stand there and not on the command line."""
    said = str(error.place or error.what)
    mine = [item for path, item in _settings(keys, settings).items() if re.match(rf"--set {re.escape(path)}(?![\w.])", said)]
    if not mine and (error.place is not None or said.startswith("--set ")):
        return error
    return InputError(error.what.removeprefix("--set "), error.mend, mine[0].place if mine else document.place)


def _campaign(document: Item, keys: dict[str, Item], settings: Sequence[str], folder: Path) -> Campaign:
    given = overrides(_merged(keys, settings))
    cascade, machine = _nouns(keys, given, folder)
    if _in_memories(keys):
        _refuse_large(cascade, keys["workload"])
    mapping, cascade = _mapping(document, keys, given, folder, cascade, machine)
    inputs = _inputs(keys.get("inputs"), cascade)
    make: Callable[..., Target] = _memories if _in_memories(keys) else _array
    target = make(document, keys, cascade, machine, mapping, inputs)
    seed = keys["seed"].integer("'seed'", 0) if "seed" in keys else 0
    sample, rates = _sample(keys.get("sample")), _rates(keys.get("rates"), target, folder)
    _placed(keys.get("sample", document), lambda _: Plan.first(target.strata, sample, target.chunk))
    run = (cascade, machine, mapping, {name: _digest(values) for name, values in inputs.items()}, _injected(target))
    looks = sample if sample.half_width is not None else replace(sample, confidence=0.0)  # of those that never look it changes no fault
    described = content_key(*run, looks, seed, rates if sample.by == NEYMAN else None)
    return Campaign(keys["campaign"].name("a campaign"), target, sample, seed, described, rates)


def _injected(target: Target) -> tuple[object, ...]:
    """What of a target does not follow from the cascade, the machine, the mapping and the inputs."""
    if isinstance(target, ArrayTarget):
        decides = None if target.decides is None else _digest(target.decides)
        made = tuple(_digest(product.elements) for product in target.products)
        return target.noun, target.strata, made, target.requantise, target.together, decides
    assert isinstance(target, (MemoryTarget, StuckTarget, TransitTarget))
    decision = None if target.decides is None else (target.decides[0], _digest(target.decides[1]))
    clock = _digest(target.intervals.clock) if isinstance(target, MemoryTarget) else type(target).__name__
    return target.noun, target.strata, decision, target.together, clock


def _digest(values: Any) -> str:
    import hashlib

    import numpy as np

    array = np.ascontiguousarray(values)
    return f"{array.dtype.str}{array.shape}{hashlib.sha256(array.tobytes()).hexdigest()}"


def _rates(item: Item | None, target: Target, folder: Path) -> Rates | None:
    """The table of raw rates, if one is named, which must have those of all cells. They are of single bits."""
    if item is None:
        return None
    if not isinstance(target, ArrayTarget):
        raise item.error("rates are known for registers of an array only, and upsets are in memories", "leave it out")
    if target.stuck:
        raise item.error("no table has rates of bits that are stuck", "leave out 'rates', or write 'kind: upset'")
    if target.late:
        raise item.error("no table has rates of registers that are late", "leave out 'rates', or write 'kind: upset'")
    if target.together > 1:
        raise item.error(f"rates are of single bits, and {target.together} flip here", "leave out 'rates', or write 'bits: 1'")
    found = load_rates(_file(item, RATES, folder))
    for stratum in target.strata:
        _placed(item, lambda _, cell=stratum.cell: found.of(cell))  # type: ignore[misc]
    return found


def _mapping(
    document: Item, keys: dict[str, Item], given: Overrides, folder: Path, cascade: Cascade, machine: Architecture
) -> tuple[LoopTree, Cascade]:
    """The mapping that is named, that of a tensor that stays in the array, or what the mapper finds, and the cascade with its sizes."""
    if "mapping" in keys and "stationary" in keys:
        raise keys["stationary"].error("a campaign names a mapping, or a tensor that stays in the array", "leave one of the two out")
    if "mapping" in keys:
        mapping, cascade = load_fitting(_file(keys["mapping"], MAPPING, folder), cascade, given.mapping)
        check(cascade, machine, mapping)
        return mapping, cascade
    given.refuse("mapping")
    if "stationary" in keys:
        return _placed(keys["stationary"], lambda item: stationed(cascade, machine, item.name("'stationary'"))), cascade
    if not _in_memories(keys):
        raise document.error("a campaign in an array has to say what stays in it", "write stationary: TENSOR, or mapping: NAME")
    from accelsim.mapper import search

    found = search(cascade, machine)
    return found.mapping, found.evaluation.evaluator.cascade


def _in_memories(keys: dict[str, Item]) -> bool:
    """Whether faults are in words of a mapped cascade, in memories or on their way; else they are in an array's registers."""
    where = keys["in"].name("'in'") if "in" in keys else _PLACES[0]
    if where != "memories" and "time" in keys:
        raise keys["time"].error(f"'time' is about memories, and faults are in {where}", "leave it out")
    if where not in _PLACES:
        raise keys["in"].error(f"there are no faults in '{where}'", did_you_mean(where, _PLACES))
    if where == _PLACES[0]:
        return False
    for key in ("stationary", "einsum", "outputs"):
        if key in keys:
            raise keys[key].error(f"'{key}' is about an array, and upsets are in {where}", "leave it out")
    return True


def _array(
    document: Item, keys: dict[str, Item], cascade: Cascade, machine: Architecture, mapping: LoopTree, inputs: Inputs
) -> ArrayTarget:
    named = keys.get("einsum", document)
    einsum = _placed(named, lambda item: einsum_on_array(cascade, machine, mapping, None if item is document else item.name("'einsum'")))
    made = products(Evaluator(cascade, machine), mapping, einsum, inputs)
    requantise = _outputs(keys.get("outputs"), made)
    fields, together, kind = _faults(keys.get("faults"), made[0])
    decides = None if "decision" not in keys else _decisions(keys["decision"], cascade, einsum)
    if decides is not None and any(len({*decides[product.elements.ravel()].tolist()}) == product.elements.size for product in made):
        what = f"an output of one product is not compared with one of another, and {keys['decision'].value} has a product each"
        raise keys["decision"].error(what, "decide along a rank that one of the operands lacks")
    unit = next(leaf.unit for _, leaf in mapping.paths() if leaf.einsum == einsum.name)
    return ArrayTarget(unit, made, requantise, fields, together, decides, kind == STUCK, kind == LATE)


def _memories(
    document: Item, keys: dict[str, Item], cascade: Cascade, machine: Architecture, mapping: LoopTree, inputs: Inputs
) -> MemoryTarget | StuckTarget | TransitTarget:
    from accelsim.faults.cones import Mapped

    (together, stuck), by_cycle = in_words(keys), in_cycles(keys)
    mapped = _placed(document, lambda _: Mapped(cascade, machine, mapping, inputs))
    decides = None
    if "decision" in keys:
        last = next(einsum for einsum in reversed(cascade.work) if cascade.tensors[einsum.output.tensor].is_output)
        decides = last.output.tensor, _decisions(keys["decision"], cascade, last)
    if on_way(keys):
        return TransitTarget(mapped, decides, together)
    if stuck:
        return StuckTarget(mapped, decides, together)
    return MemoryTarget(mapped, decides, together, clock_of(keys["time"], mapped) if by_cycle else None)


def _placed(item: Item, make: Callable[[Item], T]) -> T:
    """What is made of an item; what is wrong with it is said there."""
    try:
        return make(item)
    except InputError as error:
        raise error if error.place else item.error(error.what, error.mend) from None


def _file(item: Item, kind: Any, folder: Path) -> Path:
    name = item.name(f"a {kind.noun}")
    beside = folder / name
    if os.path.isfile(beside):
        return beside
    try:
        return resolve(name, kind)
    except InputError as error:
        file = beside.with_name(f"{beside.name}.yaml") if beside.name else beside
        raise item.error(error.what, f"did you mean '{name}.yaml'?" if os.path.isfile(file) else error.mend) from None


def _merged(keys: Mapping[str, Item], settings: Sequence[str]) -> list[str]:
    """Settings of the file that the command line does not replace, and those of the command line."""
    return [*(f"{path}={item.text(path)}" for path, item in _settings(keys, settings).items()), *settings]


def _settings(keys: Mapping[str, Item], settings: Sequence[str]) -> dict[str, Item]:
    """Settings of the file that the command line does not replace."""
    replaced = {setting.partition("=")[0].strip().removeprefix("workload.") for setting in settings}
    mine = keys["set"].mapping("set") if "set" in keys else {}
    return {path: item for path, item in mine.items() if path.removeprefix("workload.") not in replaced}


def _inputs(item: Item | None, cascade: Cascade) -> Inputs:
    """Uniform, or normal with a deviation of a quarter of the largest: integers of each input's type, else numbers up to 1. Inputs with a
    range are uniform in it, whole if their type is.
    """
    import numpy as np

    keys = item.only(("draw", "seed", "ranges"), "inputs") if item is not None else {}
    draw = keys["draw"].name("'draw'") if "draw" in keys else "uniform"
    if draw not in _DRAWS:
        raise keys["draw"].error(f"inputs cannot be drawn '{draw}'", did_you_mean(draw, _DRAWS))
    ranges = _ranges(keys["ranges"], cascade) if "ranges" in keys else {}
    rng = np.random.default_rng(keys["seed"].integer("'seed'", 0) if "seed" in keys else 0)
    found: Inputs = {}
    for name, tensor in cascade.tensors.items():
        if tensor.is_input:
            if not tensor.final.name.startswith("int"):
                low, high = ranges.get(name, (-1, 1))
                uniform = draw == "uniform" or name in ranges
                found[name] = rng.uniform(low, high, tensor.shape) if uniform else rng.normal(0, 0.25, tensor.shape)
                continue
            half = 1 << int(tensor.final.bits) - 1
            if name in ranges:
                words: Any = rng.integers(int(ranges[name][0]), int(ranges[name][1]) + 1, tensor.shape)
            else:
                words = rng.integers(-half, half, tensor.shape) if draw == "uniform" else np.rint(rng.normal(0, half / 4, tensor.shape))
            words = np.clip(words, -half, half - 1).astype(np.int64)
            found[name] = np.where(rng.random(tensor.shape) < tensor.density, words, 0) if tensor.density < 1 else words
    return found


def _ranges(item: Item, cascade: Cascade) -> dict[str, tuple[float, float]]:
    """The least and the largest value of inputs that say so."""
    known, found = [name for name, tensor in cascade.tensors.items() if tensor.is_input], {}
    for name, pair in item.mapping("'ranges'").items():
        if name not in known:
            raise item.key_error(name, f"{cascade.name} has no input '{name}'", did_you_mean(name, known))
        ends = [each.value for each in pair.items("a range")]
        whole = cascade.tensors[name].final.name.startswith("int")
        if any(isinstance(end, bool) or not isinstance(end, int if whole else int | float) or abs(end) > 1e30 for end in ends):
            raise pair.error(f"the range of {name} is not of {'whole ' if whole else ''}numbers", "write [least, largest]")
        if len(ends) != 2 or not ends[0] <= ends[1]:
            raise pair.error(f"the range of {name} is not a least and a largest value", "write [least, largest]")
        half = 2.0 ** (int(cascade.tensors[name].final.bits) - 1)
        if whole and not -half <= ends[0] <= ends[1] < half:
            kind = cascade.tensors[name].final.name
            raise pair.error(f"the range of {name} is wider than its type, {kind}", "write values that it holds")
        found[name] = (ends[0], ends[1])
    return found


def _outputs(item: Item | None, made: list[Product]) -> Requantise:
    """How sums become outputs: `sums` as they are, or by a multiplier and a shift; if nothing is said, 8 bits that fit the largest sum."""
    import numpy as np

    if item is not None and item.value == "sums":
        return Requantise.none(made[0].run.widths.sum)
    keys = item.only(("bits", "multiplier", "shift", "zero", "low", "high"), "outputs") if item is not None else {}
    bits = keys["bits"].integer("'bits'", 2) if "bits" in keys else 8
    if bits > 32:
        raise keys["bits"].error(f"outputs of {bits} bits", "write at most 32, or 'outputs: sums'")
    found = Requantise.fitted(np.concatenate([product.run.product.ravel() for product in made]), bits)
    stated = {key: keys[key].integer(f"'{key}'") for key in keys if key != "bits"}
    if {"multiplier", "shift"} & set(stated) and not {"multiplier", "shift"} <= set(stated):
        assert item is not None
        raise item.error("a multiplier and a shift go together", "write both or none")
    try:
        return replace(found, **stated)
    except InputError as error:
        assert item is not None
        raise item.error(error.what, error.mend) from None


def _faults(item: Item | None, product: Product) -> tuple[tuple[str, ...], int, str]:
    """The fields that faults are in, by role or name, how many adjacent bits flip, and the kind of faults."""
    keys = item.only(("in", "bits", "kind"), "faults") if item is not None else {}
    known = [*_ROLES, *(field.name for field in product.run.registers.fields)]
    found = []
    for each in keys["in"].items("'in'") if "in" in keys else []:
        name = each.name("registers")
        if name not in known:
            raise each.error(f"the array has no registers '{name}'", did_you_mean(name, known))
        found.append(name)
    registers = product.run.registers
    if "in" in keys and not any(registers.count(each) for each in registers.fields if {each.name, each.role} & {*found}):
        raise keys["in"].error("the array has none of these registers", "name others, or leave 'in' out for all")
    kind = kind_of(keys, (FLIPS, STUCK, LATE))
    if kind == LATE and "bits" in keys:
        raise keys["bits"].error("a register is late as a whole", "leave out 'bits'")
    return tuple(found), adjacent(keys), kind


def _decisions(item: Item, cascade: Cascade, einsum: Einsum) -> IntArray:
    """The group of each element of the result: those that differ along one rank only are in one."""
    import numpy as np

    rank, output = item.name("'decision'"), einsum.output
    ranks = [index.single_rank for index in cascade.index_maps(output) if index is not None]
    if rank not in ranks:
        raise item.error(f"{einsum.name} has no rank '{rank}' to decide along", did_you_mean(rank, [each for each in ranks if each]))
    shape = cascade.tensors[output.tensor].shape
    at = ranks.index(rank)
    groups = np.arange(int(np.prod(shape)) // shape[at]).reshape(*shape[:at], 1, *shape[at + 1 :])
    return np.ascontiguousarray(np.broadcast_to(groups, shape)).ravel().astype(np.int64)


def _sample(item: Item | None) -> Sample:
    """`exhaustive`, or how many faults of each stratum, and when fewer are enough; or how many in all, by whose allocation."""
    if item is None:
        return Sample()
    if item.value == "exhaustive":
        return Sample(faults=0, exhaustive=1 << 62)
    keys = item.only(("faults", "exhaustive", "half_width", "confidence", "by"), "sample")
    faults = keys["faults"].integer("'faults'", 1) if "faults" in keys else Sample().faults
    exhaustive = keys["exhaustive"].integer("'exhaustive'", 0) if "exhaustive" in keys else 0
    width = _share(keys["half_width"], "'half_width'") if "half_width" in keys else None
    confidence = _share(keys["confidence"], "'confidence'") if "confidence" in keys else 0.95
    if 1 - confidence < _LEAST_DOUBT:
        raise keys["confidence"].error(f"no interval is known to hold with a confidence of {confidence}", "write less, as in 0.999")
    by = keys["by"].name("'by'") if "by" in keys else EACH
    if by not in (EACH, NEYMAN):
        raise keys["by"].error(f"faults cannot be allotted by '{by}'", did_you_mean(by, (EACH, NEYMAN)))
    if by == NEYMAN and width is not None:
        raise keys["half_width"].error("faults that are allotted to strata do not stop early", "leave out 'half_width' or 'by'")
    return Sample(faults, exhaustive, width, confidence, by)


def _share(item: Item, what: str) -> float:
    value = item.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise item.error(f"{what} must be between 0 and 1, not {item.kind()}", "write a share, as in 0.01")
    return float(value)
