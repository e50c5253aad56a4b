"""Inputs of a campaign, drawn as its YAML says."""

from __future__ import annotations

from typing import Any

from accelsim.errors import did_you_mean
from accelsim.io.source import Item
from accelsim.workload.cascade import Cascade

_DRAWS = ("uniform", "normal")


def drawn_inputs(item: Item | None, cascade: Cascade) -> dict[str, Any]:
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
