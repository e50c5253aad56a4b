"""Upsets of mapped cascades worked out side by side are what each is alone; sums taken up in the middle round as the machine does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from accelsim.faults.cones import STALE, UNREAD, Mapped
from accelsim.faults.judgement import judged
from accelsim.faults.kernels_sums import Rounding, rounded
from accelsim.faults.outcomes import CORRUPTED, DEAD, LOGICAL
from accelsim.faults.residency import Intervals, intervals
from accelsim.faults.wordbits import differs
from accelsim.hardware.types import TYPES
from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping
from accelsim.sim.formats import FORMATS, SATURATE, WRAP, round_to
from accelsim.workload.build import cascade as build
from tests.faults.mapped import Case, agrees, built, seeded_cases
from tests.model.strategies import recurrent_triples, seeded_triples
from tests.share import share
from tests.sim.test_values import line


def drawn(every: Intervals, rng: np.random.Generator, many: int) -> tuple[Any, Any]:
    """Intervals and bits; none where nothing ever lies anywhere."""
    at = rng.integers(max(1, len(every.store)), size=many if len(every.store) else 0)
    return at, rng.integers(0, every.bits[at])


@pytest.mark.parametrize("kind", [seeded_triples, recurrent_triples])
def test_upsets_side_by_side_change_what_each_changes_alone(kind: Any) -> None:
    rng, some = np.random.default_rng(31), 0
    for found in seeded_cases(kind(23, share(400, 40, 12))):
        every = intervals(found.mapped)
        at, bit = drawn(every, rng, 40)
        changes = found.mapped.changes(every.upsets(at, bit))
        for fault in range(len(at)):
            alone = found.mapped.inject(every.at(int(at[fault]), int(bit[fault]), int(every.start[at[fault]])))
            mine: dict[str, dict[int, Any]] = {}
            for name, (owner, words, values) in changes.words.items():
                if (owner == fault).any():
                    mine[name] = dict(zip(words[owner == fault].tolist(), values[owner == fault], strict=True))
            assert agrees(alone, mine)
            reason = changes.reasons[changes.masked[fault]]
            assert (reason or "").split(" after ")[0] == (alone.masked or "").split(" after ")[0]
            some += bool(mine)
    assert some > 20


def test_sums_by_table_are_those_of_the_machine_that_walks_the_mapping() -> None:
    seen = 0
    for found in seeded_cases(seeded_triples(32, share(300, 30, 10))):
        for table in found.mapped.tables:
            assert not differs(table.words_made, table.golden).any()
            seen += bool(table.einsum.reduced)
    assert seen


@pytest.mark.parametrize("overflow", [SATURATE, WRAP])
@pytest.mark.parametrize("name", ["fp32", "fp16", "bf16", "e4m3", "e5m2"])
def test_the_kernel_rounds_as_the_formats_do(name: str, overflow: str) -> None:
    rng, form = np.random.default_rng(33), FORMATS[name]
    exponents = rng.uniform(form.least - 3, np.log2(form.largest) + 3, 4000)
    values = rng.choice([-1.0, 1.0], 4000) * 2.0**exponents
    ties = round_to(values[:1000], TYPES[name], overflow=SATURATE) * (1 + 2.0**-form.digits)
    ends = form.largest * (1 + 2.0**-form.digits * np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0]))
    least = 2.0**form.least * np.array([0.25, 0.5, 0.75, 1.0, 1.5])
    given = np.concatenate([values, ties, ends, -ends, least, -least, [0.0, -0.0, np.inf, -np.inf, np.nan]])
    rounding = Rounding.of(TYPES[name], overflow)
    found = np.array([rounded(rounding, float(each)) for each in given])
    assert not differs(found, round_to(given, TYPES[name], overflow=overflow)).any()


def test_sums_of_whole_numbers_that_saturate_on_the_way_are_added_up_again() -> None:
    made = build("product", "Z[m] = A[m,k] * B[k]", {"m": 3, "k": 8}, types={"default": "int8"})
    made = replace(made, tensors={name: replace(each, partial=TYPES["int8"]) for name, each in made.tensors.items()})
    mapping = Mapping("by hand", (Keep("Main", tuple(map(Held, "ABZ"))), Leaf("Z", "PE", (For("m", 1), For("k", 1)))))
    rng = np.random.default_rng(35)
    inputs = {"A": rng.integers(-9, 10, (3, 8)), "B": rng.integers(-9, 10, 8)}
    found = built(made, line(), mapping, inputs)
    assert isinstance(found, Case)
    every = intervals(found.mapped)
    chosen = rng.integers(every.population, size=200)
    assert np.abs(np.cumsum(inputs["A"] * inputs["B"], axis=1)).max() > 127
    changed = 0
    for fault in map(every.fault, chosen.tolist()):
        wanted = found.replayed(fault)
        assert agrees(found.mapped.inject(fault), wanted)
        changed += bool(wanted)
    assert changed > 20


def plainly(mapped: Mapped, every: Intervals, at: int, bit: int, decides: tuple[str, Any]) -> tuple[int, int, int, int]:
    """What becomes of the outputs, word by word."""
    effect = mapped.inject(every.at(at, bit, int(every.start[at])))
    if effect.masked in {UNREAD, STALE}:
        return DEAD, 0, 0, 0
    wrong, worst, decided = 0, 0, 0
    for name, (words, values) in effect.changed.items():
        if not mapped.cascade.tensors[name].is_output:
            continue
        golden, after = mapped.golden[name], mapped.golden[name].copy()
        after[words] = values
        largest = max((abs(float(each)) for each in golden if np.isfinite(each)), default=0.0) or 1.0
        for word in words.tolist():
            wrong += 1
            if golden.dtype.kind == "i":
                worst = max(worst, abs(int(after[word]) - int(golden[word])))
                continue
            with np.errstate(all="ignore"):
                part = abs(after[word] - golden[word]) / largest * 10**6
            worst = max(worst, max(1, round(part)) if np.isfinite(after[word]) and part < 2**62 else 2**62)
        if name == decides[0]:
            groups = {int(each) for each in decides[1][words]}
            for group in groups:
                members = [word for word in range(len(golden)) if decides[1][word] == group]
                decided |= int(np.argmax([golden[word] for word in members]) != np.argmax([after[word] for word in members]))
    return LOGICAL if effect.masked else CORRUPTED, wrong, worst, decided


def test_outputs_are_judged_many_at_once_as_they_are_word_by_word() -> None:
    rng, seen = np.random.default_rng(34), np.zeros(4, np.int64)
    for found in seeded_cases(seeded_triples(34, share(400, 40, 15))):
        every, mapped = intervals(found.mapped), found.mapped
        output = next(name for name, tensor in mapped.cascade.tensors.items() if tensor.is_output)
        decides = output, rng.integers(0, 3, len(mapped.golden[output])) * 5
        at, bit = drawn(every, rng, 30)
        got = judged(mapped, mapped.changes(every.upsets(at, bit)), decides)
        wanted = [plainly(mapped, every, int(a), int(b), decides) for a, b in zip(at, bit, strict=True)]
        assert np.array_equal(got, np.reshape(wanted, (-1, 4)))
        seen += (got > 0).sum(axis=0)
    assert np.all(seen > 10), seen
