"""Whether two cascades compute the same, by running both; a rank that one has split is put together again."""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.workload.cascade import Cascade
from accelsim.workload.interpreter import Run, run


def outputs(cascade: Cascade, done: Run) -> dict[str, Any]:
    """Every output by name, the parts of split ranks as one dimension of the rank's size."""
    found = {}
    for name, tensor in cascade.tensors.items():
        if tensor.is_output:
            ranks = [str(getattr(index, "name", "")) for index in cascade.producers[name][-1].output.indices]
            array = np.asarray(done.values[name])
            for split in cascade.splits:
                at = next((at for at in range(len(ranks)) if tuple(ranks[at : at + len(split.parts)]) == split.parts), None)
                if at is not None:
                    joined = array.reshape(*array.shape[:at], -1, *array.shape[at + len(split.parts) :])
                    array = np.take(joined, range(split.extent), axis=at)
                    ranks[at : at + len(split.parts)] = [split.rank]
            found[name] = array
    return found


def difference(one: Cascade, other: Cascade, inputs: dict[str, Any], dtype: Any = None) -> float:
    """The greatest difference between outputs, relative to the greatest value; the outputs must be the same tensors of the same shapes."""
    first, second = outputs(one, run(one, inputs, dtype)), outputs(other, run(other, inputs, dtype))
    assert first.keys() == second.keys()
    worst = 0.0
    for name, array in first.items():
        assert array.shape == second[name].shape, name
        assert np.all(np.isfinite(array)), name
        worst = max(worst, float(np.abs(array - second[name]).max() / max(1e-300, float(np.abs(array).max()))))
    return worst
