"""Keys that campaigns of one cascade and of a network share: inputs, outputs, faults, decisions, samples."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from accelsim.errors import InputError, did_you_mean
from accelsim.faults.plan import EACH, IMPORTANCE, WAYS, Sample
from accelsim.faults.registers import CONTROL, OPERANDS, SUMS, Registers
from accelsim.faults.requantise import Requantise
from accelsim.faults.stationed import stationed
from accelsim.hardware.architecture import Architecture
from accelsim.io.catalogue import MAPPING, resolve
from accelsim.io.fault_kinds import FLIPS, LATE, STUCK, adjacent, kind_of
from accelsim.io.mapping import load_fitting
from accelsim.io.overrides import Overrides
from accelsim.io.source import Item
from accelsim.mapping.legality import check
from accelsim.mapping.tree import Mapping as LoopTree
from accelsim.workload.cascade import Cascade, Einsum, Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]

T = TypeVar("T")
_ROLES = (OPERANDS, SUMS, CONTROL)
_DRAWS = ("uniform", "normal")
_LEAST_DOUBT = 1e-9  # is shared out to all intervals; near 1 a float says no more


def placed(item: Item, make: Callable[[Item], T]) -> T:
    """What is made of an item; what is wrong with it is said there."""
    try:
        return make(item)
    except InputError as error:
        raise error if error.place else item.error(error.what, error.mend) from None


def file_of(item: Item, kind: Any, folder: Path) -> Path:
    """The file that an item names: one in the folder, with its ending, or a shipped one of a kind of the catalogue."""
    name = item.name(f"a {kind.noun}")
    beside = folder / name
    if os.path.isfile(beside):
        return beside
    try:
        return resolve(name, kind)
    except InputError as error:
        file = beside.with_name(f"{beside.name}.yaml") if beside.name else beside
        raise item.error(error.what, f"did you mean '{name}.yaml'?" if os.path.isfile(file) else error.mend) from None


def merged(keys: Mapping[str, Item], settings: Sequence[str]) -> list[str]:
    """Settings of the file that the command line does not replace, and those of the command line."""
    return [*(f"{path}={item.text(path)}" for path, item in _settings(keys, settings).items()), *settings]


def _settings(keys: Mapping[str, Item], settings: Sequence[str]) -> dict[str, Item]:
    """Settings of the file that the command line does not replace."""
    replaced = {setting.partition("=")[0].strip().removeprefix("workload.") for setting in settings}
    mine = keys["set"].mapping("set") if "set" in keys else {}
    return {path: item for path, item in mine.items() if path.removeprefix("workload.") not in replaced}


def inputs_of(item: Item | None, cascade: Cascade, usual: Mapping[str, tuple[float, float]] | None = None) -> dict[str, Any]:
    """Every input, drawn; in its usual range if it has one and the file says no other."""
    import numpy as np

    draw, seed, ranges = drawing_of(item, {name: tensor for name, tensor in cascade.tensors.items() if tensor.is_input}, cascade.name)
    return drawn(cascade, draw, {**(usual or {}), **ranges}, np.random.default_rng(seed))


def drawing_of(item: Item | None, inputs: Mapping[str, Tensor], whose: str) -> tuple[str, int, dict[str, tuple[float, float]]]:
    """How inputs are drawn: which way, by which seed, and the least and the largest value of those that say so."""
    keys = item.only(("draw", "seed", "ranges"), "inputs") if item is not None else {}
    draw = keys["draw"].name("'draw'") if "draw" in keys else "uniform"
    if draw not in _DRAWS:
        raise keys["draw"].error(f"inputs cannot be drawn '{draw}'", did_you_mean(draw, _DRAWS))
    seed = keys["seed"].integer("'seed'", 0) if "seed" in keys else 0
    return draw, seed, _ranges(keys["ranges"], inputs, whose) if "ranges" in keys else {}


def drawn(cascade: Cascade, draw: str, ranges: Mapping[str, tuple[float, float]], rng: np.random.Generator) -> dict[str, Any]:
    """Uniform, or normal with a deviation of a quarter of the largest: integers of each input's type, else numbers up to 1. Inputs with a
    range are uniform in it, whole if their type is.
    """
    import numpy as np

    found: dict[str, Any] = {}
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


def _ranges(item: Item, inputs: Mapping[str, Tensor], whose: str) -> dict[str, tuple[float, float]]:
    found = {}
    for name, pair in item.mapping("'ranges'").items():
        if name not in inputs:
            raise item.key_error(name, f"{whose} has no input '{name}'", did_you_mean(name, inputs))
        ends = [each.value for each in pair.items("a range")]
        whole = inputs[name].final.name.startswith("int")
        if any(isinstance(end, bool) or not isinstance(end, int if whole else int | float) or abs(end) > 1e30 for end in ends):
            raise pair.error(f"the range of {name} is not of {'whole ' if whole else ''}numbers", "write [least, largest]")
        if len(ends) != 2 or not ends[0] <= ends[1]:
            raise pair.error(f"the range of {name} is not a least and a largest value", "write [least, largest]")
        half = 2.0 ** (int(inputs[name].final.bits) - 1)
        if whole and not -half <= ends[0] <= ends[1] < half:
            kind = inputs[name].final.name
            raise pair.error(f"the range of {name} is wider than its type, {kind}", "write values that it holds")
        found[name] = (ends[0], ends[1])
    return found


def scale_of(item: Item | None, sum_bits: int, usual: int = 8) -> Callable[[IntArray], Requantise]:
    """How sums of so many bits become outputs: `sums` as they are, or by a multiplier and a shift; if nothing is said, `usual` bits that
    fit the largest sum.
    """
    if item is None or item.value == "sums":
        return (lambda _: Requantise.none(sum_bits)) if item is not None else lambda sums: Requantise.fitted(sums, usual)
    keys = item.only(("bits", "multiplier", "shift", "zero", "low", "high"), "outputs")
    bits = keys["bits"].integer("'bits'", 2) if "bits" in keys else usual
    if bits > 32:
        raise keys["bits"].error(f"outputs of {bits} bits", "write at most 32, or 'outputs: sums'")
    stated = {key: keys[key].integer(f"'{key}'") for key in keys if key != "bits"}
    if {"multiplier", "shift"} & set(stated) and not {"multiplier", "shift"} <= set(stated):
        raise item.error("a multiplier and a shift go together", "write both or none")
    return lambda sums: placed(item, lambda _: replace(Requantise.fitted(sums, bits), **stated))


def faults_of(
    item: Item | None, arrays: Sequence[Registers], also: tuple[str, ...] = (), kinds: tuple[str, ...] = (FLIPS, STUCK)
) -> tuple[tuple[str, ...], int, str]:
    """The fields that faults are in, by role or name, how many adjacent bits fail, and the kind of faults, one of `kinds`."""
    keys = item.only(("in", "bits", "kind", *also), "faults") if item is not None else {}
    known = list(dict.fromkeys([*_ROLES, *(field.name for each in arrays for field in each.fields)]))
    found = []
    for each in keys["in"].items("'in'") if "in" in keys else []:
        name = each.name("registers")
        if name not in known:
            raise each.error(f"the array has no registers '{name}'", did_you_mean(name, known))
        found.append(name)
    if "in" in keys and not any(each.count(field) for each in arrays for field in each.fields if {field.name, field.role} & {*found}):
        raise keys["in"].error("the array has none of these registers", "name others, or leave 'in' out for all")
    kind = kind_of(keys, kinds)
    if kind == LATE and "bits" in keys:
        raise keys["bits"].error("a register is late as a whole", "leave out 'bits'")
    return tuple(found), adjacent(keys), kind


def decided_by(item: Item, cascade: Cascade, einsum: Einsum) -> IntArray:
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


def sample_of(item: Item | None) -> Sample:
    """`exhaustive`, or how many faults of each stratum, and when fewer are enough; or how many in all, by whose allocation."""
    if item is None:
        return Sample()
    if item.value == "exhaustive":
        return Sample(faults=0, exhaustive=1 << 62)
    if isinstance(item.value, str | int | float):
        raise item.error(f"a sample is not '{item.value}'", "write exhaustive, or how many faults, as in {faults: 1000}")
    keys = item.only(("faults", "exhaustive", "half_width", "confidence", "by", "defence"), "sample")
    faults = keys["faults"].integer("'faults'", 1) if "faults" in keys else Sample().faults
    exhaustive = keys["exhaustive"].integer("'exhaustive'", 0) if "exhaustive" in keys else 0
    width = _share(keys["half_width"], "'half_width'") if "half_width" in keys else None
    confidence = _share(keys["confidence"], "'confidence'") if "confidence" in keys else 0.95
    if 1 - confidence < _LEAST_DOUBT:
        raise keys["confidence"].error(f"no interval is known to hold with a confidence of {confidence}", "write less, as in 0.999")
    by = keys["by"].name("'by'") if "by" in keys else EACH
    if by not in WAYS:
        raise keys["by"].error(f"faults cannot be allotted by '{by}'", did_you_mean(by, WAYS))
    if by != EACH and width is not None:
        raise keys["half_width"].error("faults that are allotted to strata do not stop early", "leave out 'half_width' or 'by'")
    if "defence" in keys and by != IMPORTANCE:
        raise keys["defence"].error("only faults that are drawn by importance have a defence", "leave it out, or write 'by: importance'")
    defence = _share(keys["defence"], "'defence'") if "defence" in keys else Sample().defence
    return Sample(faults, exhaustive, width, confidence, by, defence)


def _share(item: Item, what: str) -> float:
    value = item.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise item.error(f"{what} must be between 0 and 1, not {item.kind()}", "write a share, as in 0.01")
    return float(value)


def at_home(error: InputError, keys: Mapping[str, Item], document: Item, settings: Sequence[str] = ()) -> InputError:
    """The error with a place in the campaign's file: of what has none, and of settings that stand there and not on the command line."""
    said = str(error.place or error.what)
    there = [(path.partition("=")[0].strip(), item) for path, item in _settings(keys, settings).items()]
    mine = [item for path, item in there if re.match(rf"--set {re.escape(path)}(?![\w.])", said)]
    if not mine and (error.place is not None or said.startswith("--set ")):
        return error
    return InputError(error.what.removeprefix("--set "), error.mend, mine[0].place if mine else document.place)


def mapping_of(
    document: Item, keys: dict[str, Item], given: Overrides, folder: Path, cascade: Cascade, machine: Architecture, found: bool = False
) -> tuple[LoopTree, Cascade]:
    """The mapping that is named, that of a tensor that stays in the array, or (`found`) the mapper's, and the cascade with its sizes."""
    if "mapping" in keys and "stationary" in keys:
        raise keys["stationary"].error("a campaign names a mapping, or a tensor that stays in the array", "leave one of the two out")
    if "mapping" in keys:
        mapping, cascade = load_fitting(file_of(keys["mapping"], MAPPING, folder), cascade, given.mapping)
        check(cascade, machine, mapping)
        return mapping, cascade
    given.refuse("mapping")
    if "stationary" in keys:
        return placed(keys["stationary"], lambda item: stationed(cascade, machine, item.name("'stationary'"))), cascade
    if not found:
        raise document.error("a campaign in an array has to say what stays in it", "write stationary: TENSOR, or mapping: NAME")
    from accelsim.mapper import search

    best = search(cascade, machine)
    return best.mapping, best.evaluation.evaluator.cascade
