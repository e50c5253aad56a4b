"""Networks: what a fault changes of every tensor, against the whole network run again by plain numpy with the struck layer's outputs."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from accelsim.cli import main
from accelsim.errors import InputError
from accelsim.faults.array_target import ArrayTarget
from accelsim.faults.campaign import run
from accelsim.faults.network_target import NetworkTarget
from accelsim.faults.outcomes import ABSORBED, CORRUPTED, DEAD, HANG, NAMES, PROTOCOL, Tally
from accelsim.io.campaign import load_campaign
from tests.faults.arrays import replay
from tests.faults.networks import Op, Values, dense, network, quantised, whole_run
from tests.share import share


def loaded(seed: int, folder: Path, more: str = "") -> tuple[NetworkTarget, list[Op]]:
    text, ops = network(seed)
    (folder / "random.yaml").write_text(text + more)
    target = load_campaign(folder / "random.yaml").target
    assert isinstance(target, NetworkTarget)
    return target, ops


def golden(target: NetworkTarget, ops: list[Op]) -> tuple[Values, dict[str, dict[str, int]]]:
    """Inputs, and the scales of results."""
    made = {op.makes for op in ops}
    inputs = {".".join(held.source): target.network.values(held.source) for held in target.network.held}
    scales = {".".join(target.network.held[number].source): asdict(scale) for number, scale in target.network.scales.items()}
    return {name: value for name, value in inputs.items() if name not in made}, scales


def replayed(target: NetworkTarget, stratum: int, number: int) -> tuple[str, Any, bool]:
    """By registers, from the fault's site: the result that it is in, its sums, and whether words are missing or too many."""
    site = target.site(stratum, number)
    layer = next(each for each in target.arrays if target.network.held[each.tensor].source[0] == site["layer"])
    product = layer.target.products[site["product"]]
    run = product.run
    place = next(
        at for at, each in run.registers.sites() if (each.field.name, each.row, each.column) == (site["field"], site["row"], site["column"])
    )
    mask = sum(1 << bit for bit in site["bits"])
    _, words, said = replay(run, np.array([[place, mask, run.registers.site(place).field.bits, site["cycle"]]]))
    held = target.network.held[layer.tensor]
    sums = target.network.sums(layer.tensor).copy()
    sums[product.elements.ravel()[words[:, 0]]] += words[:, 1]
    return ".".join(held.source), sums.reshape(held.shape), bool(said.any())


class Twin:
    """A network run whole."""

    def __init__(self, target: NetworkTarget, ops: list[Op]) -> None:
        self.target, self.ops = target, ops
        self.inputs, self.scales = golden(target, ops)
        self.before = whole_run(ops, self.inputs, self.scales, {})
        self.order, self.end = [op.makes for op in ops], ops[-1].makes

    def agrees(self, stratum: int, number: int, struck: str, instead: Values) -> tuple[bool, int, int, int, int]:
        """Every tensor with a fault is what the run with some tensors instead makes it; whether one differs, outputs that do, the largest
        difference, the layer after which none does (-1: some output does), and decisions that change.
        """
        made = {name: value for name, value in instead.items() if name in self.order}
        after = whole_run(self.ops, {**self.inputs, **instead}, self.scales, made)
        differs = {name: np.flatnonzero(self.before[name] != after[name]) for name in self.before}
        changes = self.target.changes(stratum, number)
        assert {".".join(source) for source in changes} == {name for name in differs if differs[name].size}
        for source, (places, values) in changes.items():
            name = ".".join(source)
            assert places.tolist() == differs[name].tolist()
            assert values.tolist() == after[name].ravel()[places].tolist()
        wrong, worst = differs[self.end].size, int(abs(self.before[self.end] - after[self.end]).max())
        decided = int((self.before[self.end].argmax(axis=1) != after[self.end].argmax(axis=1)).sum())
        where = -1 if wrong or not changes else last_touched(self.ops, struck, after, differs)
        return bool(changes), wrong, worst, where, decided

    def judged(self, stratum: int, number: int) -> tuple[int | None, int, int, int, int]:
        """What comes of an upset in a register: its outcome if it is not masked in its layer, and what `agrees` returns."""
        name, sums, tells = replayed(self.target, stratum, number)
        if tells:
            assert self.target.changes(stratum, number) == {}
            return HANG, 0, 0, -1, 0
        some, *found = self.agrees(stratum, number, name, {name: quantised(sums, 32, self.scales[name])})
        return (CORRUPTED if found[0] else ABSORBED if some else None), *found  # type: ignore[return-value]


@pytest.mark.parametrize("seed", range(share(200, 24, 6)))
def test_fault_changes_what_the_whole_network_run_again_changes(seed: int, tmp_path: Path) -> None:
    target, ops = loaded(seed, tmp_path)
    twin = Twin(target, ops)
    for op in ops:
        assert (twin.before[op.makes] == target.network.values(tuple(op.makes.split(".")))).all()  # type: ignore[arg-type]
    rng = np.random.default_rng(seed)
    for stratum, kind in enumerate(target.strata):
        numbers = rng.integers(0, kind.population, 6)
        effects = target.effects(stratum, numbers)
        assert effects.where is not None and effects.decisions is not None
        for at, number in enumerate(numbers.tolist()):
            outcome, wrong, worst, where, decided = twin.judged(stratum, number)
            said = int(effects.outcome[at])
            if outcome is None:
                assert said not in (CORRUPTED, ABSORBED, HANG, PROTOCOL)
            else:
                assert said == outcome or (outcome == HANG and said == PROTOCOL), NAMES[said]
            assert (effects.wrong[at], effects.worst[at], effects.where[at], effects.decisions[at, 0]) == (wrong, worst, where, decided)
            assert effects.decided[at] == (decided > 0)


@pytest.mark.parametrize("seed", range(100, 100 + share(100, 12, 3)))
def test_flipped_word_changes_what_the_network_run_with_it_changes(seed: int, tmp_path: Path) -> None:
    target, ops = loaded(seed, tmp_path, "in: words\n")
    twin = Twin(target, ops)
    rng = np.random.default_rng(seed)
    seen = set()
    for stratum, held in enumerate(target.network.held):
        numbers = rng.integers(0, held.size * 8, 6)
        effects = target.effects(stratum, numbers)
        assert effects.where is not None
        for at, number in enumerate(numbers.tolist()):
            name, (word, bit) = ".".join(held.source), divmod(number, 8)
            site = target.site(stratum, number)
            assert site["bits"] == [bit]
            struck = target.network.values(held.source).copy()
            flat = struck.reshape(-1)
            flat[word] += (-1 if flat[word] >> bit & 1 else 1) * (-128 if bit == 7 else 1 << bit)
            some, wrong, worst, where, decided = twin.agrees(stratum, number, name, {name: struck})
            assert some
            outcome = int(effects.outcome[at])
            assert (outcome == CORRUPTED) == (wrong > 0)
            read = last_touched(ops, "", {**twin.before, name: struck}, {name: np.array([word])})
            assert (outcome == DEAD) == (read < 0 and wrong == 0)
            assert effects.where[at] == (where if outcome == ABSORBED else -1)
            assert (effects.wrong[at], effects.worst[at], effects.decisions[at, 0]) == (wrong, worst, decided)
            seen.add(outcome)
    assert CORRUPTED in seen


TINY = """\
campaign: tiny
arch: systolic128
set: {{arch.rows.size: 2, arch.columns.size: 2}}
network:
{layers}inputs: {{seed: 5}}
decision: n
sample: exhaustive
"""


@pytest.mark.slow
@pytest.mark.parametrize("stays", ["Y", "W", "X"])
def test_every_upset_of_a_tiny_network_adds_up_to_what_the_campaign_says(stays: str, tmp_path: Path) -> None:
    rng = Random(3)
    first, _ = dense("one", "one.X", (2, 1, 1, 3), 3, rng, stays)
    last, _ = dense("two", "one.Y", (2, 3), 2, Random(5), stays)
    ops = [first, last]
    text = "".join(op.text for op in ops).replace("    takes: {X: one.X}\n", "")
    (tmp_path / "tiny.yaml").write_text(TINY.format(layers=text))
    campaign = load_campaign(tmp_path / "tiny.yaml")
    target = campaign.target
    assert isinstance(target, NetworkTarget)
    twin = Twin(target, ops)
    for stratum, found in enumerate(run(campaign, None).found):
        judged = [twin.judged(stratum, number) for number in range(found.stratum.population)]
        tally, outcomes = found.tally, [each[0] for each in judged]
        assert tally.total == len(judged) and found.exhaustive
        assert tally.some((HANG, PROTOCOL)) == outcomes.count(HANG)
        assert (tally.counts[CORRUPTED], tally.counts[ABSORBED]) == (outcomes.count(CORRUPTED), outcomes.count(ABSORBED))
        assert [*tally.where, 0, 0][:2] == [sum(each[3] == layer for each in judged) for layer in range(2)]
        assert tally.decisions[0] == sum(each[4] for each in judged)
        assert tally.worst[1] == max(each[2] for each in judged)


def test_network_of_one_layer_is_the_product_alone(tmp_path: Path) -> None:
    """Outcomes, severities and decisions of two kernels that share nothing behind the cone."""
    rng = Random(8)
    made, _ = dense("one", "one.X", (5, 1, 2, 4), 6, rng)
    text = made.text.replace("    takes: {X: one.X}\n", "").replace("    outputs", "    # outputs")
    (tmp_path / "one.yaml").write_text(TINY.format(layers=text).replace("exhaustive", "{faults: 10}"))
    target = load_campaign(tmp_path / "one.yaml").target
    assert isinstance(target, NetworkTarget)
    inner = target.arrays[0].target
    alone = ArrayTarget("one", inner.products, inner.requantise, decides=np.repeat(np.arange(5), 6))
    decided = 0
    for stratum in range(len(target.strata)):
        numbers = np.arange(0, target.strata[stratum].population, 5)
        one, other = target.effects(stratum, numbers), alone.effects(stratum, numbers)
        tells = np.isin(other.outcome, (HANG, PROTOCOL))
        assert (one.outcome == other.outcome).all()
        for mine, theirs in ((one.wrong, other.wrong), (one.worst, other.worst), (one.decided, other.decided)):
            assert (mine == theirs)[~tells].all()
        decided += int(one.decided.sum())
    assert decided


def test_fault_is_the_same_alone_in_any_order_and_from_any_worker(tmp_path: Path) -> None:
    target, _ = loaded(2, tmp_path, "sample: {faults: 900}\n")
    for stratum, kind in enumerate(target.strata):
        numbers = np.random.default_rng(stratum).integers(0, kind.population, 40)
        forward, backward = target.effects(stratum, numbers), target.effects(stratum, numbers[::-1])
        for name in ("outcome", "wrong", "worst", "decided", "where", "decisions"):
            assert (getattr(forward, name) == getattr(backward, name)[::-1]).all()
        alone = Tally.of(target.effects(stratum, numbers[7:8]), numbers[7:8])
        assert alone.counts[forward.outcome[7]] == 1
    campaign = load_campaign(tmp_path / "random.yaml")
    one, two = run(campaign, tmp_path / "one.sqlite", 1), run(campaign, tmp_path / "two.sqlite", 2)
    again = run(campaign, tmp_path / "two.sqlite", 1)
    assert [each.tally for each in one.found] == [each.tally for each in two.found] == [each.tally for each in again.found]
    assert any(each.tally.where for each in one.found) and any(each.tally.decisions[0] for each in one.found)


CONDITIONED = """\
campaign: conditioned
in: words
network:
  - name: a
    shape: {m: 4, k: 5}
    type: {default: int16}
    tensors: {X: {shape: [4, 5]}}
    einsums:
      - Z[m] = (X[m,k] * 3 - k // 2) where k <= m
  - name: b
    shape: {m: 4}
    type: {default: int16}
    einsums:
      - V[m] = abs(Z[m]) // 2
      - U[m] = min(V[m], 40) - V[3-m]
inputs: {ranges: {a.X: [-30, 30]}}
"""


def test_conditions_ranks_and_several_einsums_of_a_layer(tmp_path: Path) -> None:
    (tmp_path / "conditioned.yaml").write_text(CONDITIONED)
    target = load_campaign(tmp_path / "conditioned.yaml").target
    assert isinstance(target, NetworkTarget)
    network_ = target.network

    def whole(x: Any) -> tuple[Any, Any, Any]:
        z = np.array([sum(int(x[m, k]) * 3 - k // 2 for k in range(5) if k <= m) for m in range(4)])
        z = (z + (1 << 15)) % (1 << 16) - (1 << 15)
        v = np.minimum(np.abs(z) // 2, (1 << 15) - 1)
        return z, v, np.minimum(v, 40) - v[::-1]

    x = network_.values(("a", "X"))
    assert x.shape == (4, 5)
    names = (("a", "Z"), ("b", "V"), ("b", "U"))
    before = dict(zip(names, whole(x), strict=True))
    assert all((network_.values(name) == before[name]).all() for name in names)
    for number in range(4 * 5 * 16):
        word, bit = divmod(number, 16)
        struck = x.copy()
        struck.reshape(-1)[word] ^= np.int64(-(1 << 15)) if bit == 15 else np.int64(1 << bit)
        expected = dict(zip(names, whole(struck), strict=True))
        changes = target.changes(0, number)
        changes.pop(("a", "X"))
        assert changes.keys() == {name for name in names if (expected[name] != before[name]).any()}
        for name, (places, values) in changes.items():
            assert values.tolist() == expected[name][places].tolist()
        outcome = DEAD if word % 5 > word // 5 else CORRUPTED if names[2] in changes else ABSORBED
        assert target.effects(0, np.array([number])).outcome[0] == outcome


SPLIT = """\
campaign: split
arch: systolic128
set: {arch.rows.size: 3, arch.columns.size: 2}
network:
"""
ONE_LAYER = """\
  - name: both
    workload: conv-1x1
    set: {shape.k: 3, shape.c: 4, shape.p: 2, shape.q: 2}
    stationary: W
    einsum: O
  - name: last
    shape: {k: 3, p: 2, q: 2}
    type: {default: int8}
    einsums: ['R[k,p,q] = max(Y[k,p,q], -20)']
"""
TWO_LAYERS = """\
  - name: both
    shape: {k: 3, c: 4, p: 2, q: 2}
    type: {default: int8, O: int32}
    einsums: ['O[k,p,q] = I[c,p,q] * W[k,c]']
    stationary: W
  - name: then
    shape: {k: 3, p: 2, q: 2}
    type: {default: int8, O: int32}
    einsums: ['Y[k,p,q] = max(-128, min(127, O[k,p,q] // 256))']
  - name: last
    shape: {k: 3, p: 2, q: 2}
    type: {default: int8}
    einsums: ['R[k,p,q] = max(Y[k,p,q], -20)']
"""


def test_layer_of_two_einsums_is_two_layers_of_one(tmp_path: Path) -> None:
    targets = []
    for name, text in (("one", ONE_LAYER), ("two", TWO_LAYERS)):
        (tmp_path / f"{name}.yaml").write_text(SPLIT + text)
        target = load_campaign(tmp_path / f"{name}.yaml").target
        assert isinstance(target, NetworkTarget)
        targets.append(target)
    absorbed = 0
    for stratum in range(len(targets[0].strata)):
        numbers = np.arange(0, targets[0].strata[stratum].population, 3)
        one, two = (each.effects(stratum, numbers) for each in targets)
        assert (one.outcome == two.outcome).all() and (one.wrong == two.wrong).all() and (one.worst == two.worst).all()
        assert one.where is not None and two.where is not None
        assert (one.where == np.maximum(two.where - 1, np.minimum(two.where, 0))).all()
        absorbed += int((one.outcome == ABSORBED).sum())
    assert absorbed
    (tmp_path / "one.yaml").write_text(SPLIT + ONE_LAYER.replace("    einsum: O\n", ""))
    with pytest.raises(InputError, match=r"one\.yaml:5:5: both has 2 Einsums; say which runs on the array, as in einsum: O$"):
        load_campaign(tmp_path / "one.yaml")


def test_labels_count_right_decisions_that_are_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Against argmax of the outputs of every upset of the inputs' words."""
    text = TINY.format(layers=dense("one", "one.X", (6, 1, 1, 4), 3, Random(2), "W")[0].text.replace("    takes: {X: one.X}\n", ""))
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 3, 6)
    x, w = rng.integers(-90, 90, (6, 1, 1, 4)), rng.integers(-90, 90, (4, 3))
    np.savez(tmp_path / "stored.npz", **{"one.X": x, "one.W": w, "labels": labels})
    (tmp_path / "labels.yaml").write_text(text + "values: stored.npz\nin: words\n")
    assert main(["inject", str(tmp_path / "labels.yaml"), "--workers", "1", "--json", str(tmp_path / "out.json")]) == 0
    said = json.loads((tmp_path / "out.json").read_text())
    target = load_campaign(tmp_path / "labels.yaml").target
    assert isinstance(target, NetworkTarget)
    assert (target.network.values(("one", "X")) == x).all()
    scale = golden(target, [Op("", "one.Y", lambda v: v["one.X"])])[1]["one.Y"]

    def decide(words: Any) -> Any:
        return quantised(words.reshape(6, 4) @ w, 32, scale).argmax(axis=1)

    before, counts = decide(x), np.zeros(3, np.int64)
    for word in range(24):
        for bit in range(8):
            struck = x.astype(np.int8).copy()
            struck.reshape(-1)[word] ^= np.uint8(1 << bit).astype(np.int8)
            after = decide(struck.astype(np.int64))
            moved = before != after
            counts += [moved.sum(), (moved & (before == labels)).sum(), (moved & (after == labels)).sum()]
    assert list(said["strata"][0]["decisions"].values()) == counts.tolist()
    assert counts[1] and counts[2]
    assert said["network"]["decisions"] == {"count": 6, "right": int((before == labels).sum())}
    assert f"{(before == labels).sum()} are right without one" in capsys.readouterr().out


def test_flip_of_an_integer_of_32_bits_scales_its_square_without_wrapping(tmp_path: Path) -> None:
    text = "campaign: squares\narch: systolic128\nin: words\ninputs: {ranges: {one.X: [-1000, 1000]}}\nsample: exhaustive\nnetwork:\n"
    layer = "  - {name: one, shape: {n: 4}, type: {default: int32, Y: {partial: int32, final: int8}}, einsums: ['Y[n] = X[n] * X[n]']}\n"
    (tmp_path / "squares.yaml").write_text(text + layer)
    target = load_campaign(tmp_path / "squares.yaml").target
    assert isinstance(target, NetworkTarget)
    values, made = target.network.values(("one", "X")), target.network.values(("one", "Y"))
    scale = target.network.scales[target.network.number["one", "Y"]]
    for word, held in enumerate(values.tolist()):
        for bit in range(32):
            after = (held ^ 1 << bit) if bit < 31 else held - (1 << 31 if held >= 0 else -1 << 31)
            whole = (after * after * scale.multiplier + (1 << scale.shift - 1)) >> scale.shift  # Python's integers have no end
            places, found = target.changes(0, word * 32 + bit).get(("one", "Y"), ([], []))
            said = dict(zip(places, found, strict=True)).get(word, made[word])
            assert said == min(whole, 127), (word, bit)
    big = np.array([1 << 62, -(1 << 62)])
    assert scale.outputs(big).tolist() == [127, -128]


TYPE = "type: {default: int8, Y: {partial: int32, final: int8}}"
MACHINE = "arch: systolic128\nset: {arch.rows.size: 2, arch.columns.size: 2}\n"
BAD = [
    ("i: 3, n: 2", "i: 3, n: 20000000", r":5:3: the network has 120,000,018 points, more than the 16,777,216 that are followed "),
    ("takes: {X: one.Y}", "takes: {X: one.Z}", r":19:16: no layer before two has 'one\.Z'; did you mean 'one\.\w'\?$"),
    ("takes: {X: one.Y}", "takes: {U: one.Y}", r":19:13: two has no input 'U'; known: W, X$"),
    ("takes: {X: one.Y}", "takes: {X: one.W}", r":19:16: two reads X\[2, 3\], and one\.W is \[3, 3\]; make the shapes agree$"),
    ("name: two", "name: one", r":12:11: two layers are called 'one'; give each its own name$"),
    ("name: two", "nme: two", r":12:5: a layer of a network has no name; write name: NAME$"),
    ("name: two", "name: two.b", r":12:11: a layer is called 'two\.b'; use letters"),
    ("  - name: two", "  - name: two\n    workload: matmul", r":12:5: a layer either names a workload or has einsums; "),
    ("decision: n", "decision: k", r"Y has no rank 'k' to decide along; known: b, n$"),
    ("decision: n", "values: nothing.npz", r":21:9: there is no file .*nothing\.npz; name a \.npz file$"),
    ("decision: n", "workload: matmul", r":21:1: a campaign of a network has no 'workload'; "),
    ("decision: n", "in: memories", r":21:5: a network has no faults in 'memories'; known: array, words$"),
    ("decision: n", "faults: {layers: [pool]}", r":21:19: no layer 'pool' runs on an array; known: one, two$"),
    ("decision: n", "faults: {kind: stuck}", r":21:16: bits that are stuck last through all layers, which is not followed; "),
    ("decision: n", "inputs_: 1", r":21:1: a campaign of a network has no 'inputs_'; did you mean 'inputs'\?$"),
    ("seed: 5", "ranges: {two.X: [0, 1]}", r":20:19: the network has no input 'two\.X'; did you mean"),
    (MACHINE, "", r"layer 'one' runs on an array, and the campaign names no machine"),
    (TYPE, "type: {default: int8, Y: int32}\n    outputs: sums",
     r"layer 'two' reads X as int8, and one\.Y goes from -2147483648 to 2147483647; give one of them another type"),
    (TYPE, f"{TYPE}\n    outputs: {{high: 255}}",
     r"outputs from -128 to 255 are wider than Y, int8; give it another type, or outputs other bounds$"),
    (TYPE, "type: {default: fp16}", r"fp16 in \w, and a network is of whole numbers; "),
]  # fmt: skip


@pytest.mark.parametrize("case", BAD, ids=[case[1].split("\n")[-1] for case in BAD])
def test_bad_network_is_refused_in_one_line(case: tuple[str, str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new, said = case
    layers = [dense("one", "one.X", (2, 1, 1, 3), 3, Random(3), "W")[0], dense("two", "one.Y", (2, 3), 2, Random(3), "W")[0]]
    text = "".join(re.sub(r"    outputs: .*\n", "", each.text) for each in layers).replace("    takes: {X: one.X}\n", "")
    text = TINY.format(layers=text)
    assert old in text
    (tmp_path / "bad.yaml").write_text(text.replace(old, new, 1))
    assert main(["inject", str(tmp_path / "bad.yaml"), "--workers", "1"]) in {1, 2}
    error = capsys.readouterr().err.splitlines()[0]
    assert re.search(said, error), error


def test_setting_of_a_layer_is_blamed_as_it_was_typed_and_where_it_stands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layer = "network: [{name: one, shape: {n: 4}, type: {default: int8}, einsums: ['Y[n] = X[n]']}]\n"
    file = tmp_path / "copy.yaml"
    file.write_text("campaign: copy\nin: words\n" + layer)
    assert main(["inject", str(file), "--set", "one.shape.q=2"]) == 2
    assert capsys.readouterr().err == "--set one.shape.q: no statement uses rank 'q'; known: n\n"
    file.write_text("campaign: copy\nin: words\nset: {one.shape.q: 2}\n" + layer)
    assert main(["inject", str(file)]) == 2
    assert re.search(r"copy\.yaml:3:\d+: no statement uses rank 'q'; known: n$", capsys.readouterr().err)


def last_touched(ops: list[Op], struck: str, after: Values, differs: dict[str, Any]) -> int:
    """The last layer that reads a word that differs, else the one that makes it: what is not a number shows in what is made of it."""
    marked = {name: value.astype(float) for name, value in after.items()}
    for name, places in differs.items():
        marked[name].ravel()[places] = np.nan
    with np.errstate(invalid="ignore"):
        found = [place for place, op in enumerate(ops) if op.makes == struck or np.isnan(op.sums(marked)).any()]
    return max(found, default=-1)
