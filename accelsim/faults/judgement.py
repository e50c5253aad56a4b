"""What becomes of the outputs of a mapped cascade of which words have changed, for many faults at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.faults.cascade_checks import CascadeChecks
from accelsim.faults.cones import STALE, UNREAD, Changes, Mapped
from accelsim.faults.outcomes import CORRUPTED, DEAD, LOGICAL
from accelsim.faults.stores import IntArray

_PARTS = 10**6  # of the largest output, in which differences of floating-point outputs are counted
_NOT_FINITE = 1 << 62


def judged(mapped: Mapped, changes: Changes, decides: tuple[str, IntArray] | None) -> IntArray:
    """Outcome, output words that differ, the largest difference, and whether a decision changes: int64[faults, 4].

    Differences of integers are as they are, others in millionths of the largest output; 2^62 if something is not finite. `decides`: a
    tensor, and the group of each of its elements.
    """
    found = np.zeros((len(changes.masked), 4), np.int64)
    outcomes = [CORRUPTED if why is None else DEAD if why in {UNREAD, STALE} else LOGICAL for why in changes.reasons]
    found[:, 0] = np.array(outcomes)[changes.masked]
    for name, (fault, words, values) in changes.words.items():
        if not mapped.cascade.tensors[name].is_output:
            continue
        first = np.flatnonzero(np.append(True, fault[1:] != fault[:-1]))
        owners = fault[first]
        found[owners, 1] += np.diff(np.append(first, len(fault)))
        found[owners, 2] = np.maximum(found[owners, 2], _differences(mapped.golden[name], first, words, values))
        if decides is not None and decides[0] == name:
            found[:, 3] = _decided(mapped.golden[name], decides[1], fault, words, values, len(found))
    return found


def alarms(mapped: Mapped, changes: Changes, checks: CascadeChecks) -> IntArray:
    """Faults that checks see."""
    found = []
    for fault in range(len(changes.masked)):
        made = dict(mapped.golden)
        for name, columns in changes.words.items():
            _put(made, name, columns, fault)
        read = dict(made)
        for name, columns in changes.seen.items():
            _put(read, name, columns, fault)
        if checks.alarm(read, made):
            found.append(fault)
    return np.array(found, np.int64)


def _put(values: dict[str, Any], name: str, columns: tuple[IntArray, IntArray, Any], fault: int) -> None:
    """Words of one fault in place of others."""
    faults, words, new = columns
    first, last = np.searchsorted(faults, [fault, fault + 1])
    if first < last:
        values[name] = values[name].copy()
        values[name][words[first:last]] = new[first:last]


def _differences(golden: Any, first: IntArray, words: IntArray, values: Any) -> IntArray:
    """The largest difference of each run of words."""
    if golden.dtype.kind in "iub":
        return np.maximum.reduceat(np.abs(values - golden[words]), first)
    largest = float(np.abs(golden[np.isfinite(golden)]).max(initial=0)) or 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        parts = np.maximum.reduceat(np.abs(values - golden[words]), first) / largest * _PARTS
        finite = np.logical_and.reduceat(np.isfinite(values), first) & (parts < _NOT_FINITE)
    return np.where(finite, np.maximum(1, np.rint(np.where(finite, parts, 0)).astype(np.int64)), _NOT_FINITE)


def _decided(golden: Any, groups: IntArray, fault: IntArray, words: IntArray, values: Any, count: int) -> Any:
    """Whether the largest word of some group is another one, by fault."""
    order = np.argsort(groups, kind="stable")
    names, begins, sizes = np.unique(groups[order], return_index=True, return_counts=True)
    group = np.searchsorted(names, groups)
    place = np.empty(len(groups), np.int64)
    place[order] = np.arange(len(groups)) - begins[group[order]]
    inside = np.arange(int(sizes.max()))
    members = order[begins[:, None] + np.where(inside < sizes[:, None], inside, 0)]  # beyond a group's end its first again
    asked, owner = np.unique(fault * len(names) + group[words], return_inverse=True)
    number = asked % len(names)
    after = golden[members[number]]
    after[owner, place[words]] = values
    after = np.where(inside < sizes[number][:, None], after, after[:, :1])
    found = np.zeros(count, bool)
    found[asked[after.argmax(axis=1) != golden[members[number]].argmax(axis=1)] // len(names)] = True
    return found
