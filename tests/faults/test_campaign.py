"""Campaigns: what is injected, what it adds up to, and that nothing is lost or counted twice whatever is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta

from accelsim.cli import main
from accelsim.errors import InputError
from accelsim.faults.array_target import ArrayTarget
from accelsim.faults.campaign import Campaign, outcome, run
from accelsim.faults.firings import Product
from accelsim.faults.grid import product_run
from accelsim.faults.outcomes import CORRUPTED, NAMES, Effects, Tally
from accelsim.faults.plan import Sample
from accelsim.faults.requantise import Requantise
from accelsim.faults.results import Results
from accelsim.faults.target import Stratum
from accelsim.io.campaign import load_campaign
from accelsim.io.catalogue import CAMPAIGN, MACHINE, resolve, shipped
from accelsim.sim.systolic import Grid
from tests.faults.arrays import words
from tests.share import share

SMALL = """\
campaign: small
workload: matmul
arch: systolic128
stationary: {stays}
set:
  shape.m: 5
  shape.n: 6
  shape.k: 7
  type.default: int8
  type.Z.partial: int32
  type.Z.final: int8
  arch.rows.size: 4
  arch.columns.size: 3
"""


@dataclass(frozen=True)
class Coin:
    """A target in which a share of faults corrupts, known beforehand."""

    shares: tuple[float, ...]
    population: int = 1 << 40

    @property
    def strata(self) -> tuple[Stratum, ...]:
        return tuple(Stratum("coin", f"c{place}", "operands", 1, self.population, self.population) for place in range(len(self.shares)))

    @property
    def chunk(self) -> int:
        return 1 << 16

    def of_classes(self, stratum: int, numbers: Any) -> Effects:
        return self.effects(stratum, numbers)

    def effects(self, stratum: int, numbers: Any) -> Effects:
        corrupted = (numbers * 2654435761 % (1 << 32)) < self.shares[stratum] * (1 << 32)
        return Effects(np.where(corrupted, CORRUPTED, 0), corrupted * 1, corrupted * 5, corrupted)

    def site(self, stratum: int, number: int) -> dict[str, Any]:
        return {"number": number}


def test_exhaustive_campaign_is_the_sum_of_all_upsets() -> None:
    rng = Random(1)
    made = Product(product_run(words(rng, 5, 6, 8), words(rng, 6, 4, 8), Grid(3, 3), "B"), np.arange(20).reshape(5, 4))
    target = ArrayTarget("MAC", [made], Requantise(1, 7), together=1)
    found = run(Campaign("all", target, Sample(exhaustive=1 << 60), 0, "all"), None)
    assert sum(each.tally.total for each in found.found) == made.run.registers.bits * made.run.cycles
    assert all(each.exhaustive and each.silent.low == each.silent.high for each in found.found)
    for number, each in enumerate(found.found):
        effects = target.effects(number, np.arange(each.stratum.population))
        assert each.tally.counts == tuple(np.bincount(effects.outcome, minlength=len(NAMES)).tolist())
        assert each.tally.worst[1] == max(effects.worst[effects.outcome == CORRUPTED], default=0)


def test_stuck_operand_is_as_if_its_words_had_the_bit() -> None:
    """Where nothing else shares the register: an array of one element that holds one operand, whose bits are stuck one by one."""
    a, b = np.array([[3], [-7], [20], [0]]), np.array([[37]])
    made = Product(product_run(a, b, Grid(1, 1), "B"), np.arange(4).reshape(4, 1))
    target = ArrayTarget("MAC", [made, made], Requantise.none(32), ("w_q", "v_q"), stuck=True)
    assert [each.population for each in target.strata] == [16, 16]
    effects = target.effects(1, np.arange(16))
    for number in range(16):
        bit, one = divmod(number, 2)
        word = 37 | 1 << bit if one else 37 & ~(1 << bit)
        word = (word + 128) % 256 - 128
        moved = abs(a[:, 0] * (word - 37))
        assert effects.worst[number] == moved.max()
        assert effects.wrong[number] == 2 * (moved > 0).sum()
        assert target.site(1, number)["stuck_at"] == one
    # the word in use is taken from v_q in the first step, and from w_q after it
    assert target.effects(0, np.arange(16)).wrong.tolist() == [2 * int((abs(a[1:, 0]) > 0).sum()) * int(each > 0) for each in effects.wrong]


def test_decision_is_which_output_of_a_group_is_largest() -> None:
    """Against numpy's argmax over the outputs of every upset, its sums recomputed from the words that change."""
    rng = Random(4)
    made = Product(product_run(words(rng, 4, 5, 8), words(rng, 5, 6, 8), Grid(3, 3), "Z"), np.arange(24).reshape(4, 6))
    quantise = Requantise(1, 6)
    target = ArrayTarget("MAC", [made], quantise, ("c_q", "a_q"), decides=np.repeat(np.arange(4), 6))
    from accelsim.faults.kernels_cone import changes

    work = made.run.work(quantise.outputs(made.run.product))
    seen = set()
    for number, stratum in enumerate(target.strata):
        some = np.arange(0, stratum.population, 7)
        effects = target.effects(number, some)
        for fault, decided in zip(some.tolist(), effects.decided.tolist(), strict=True):
            site = target.site(number, fault)
            code = made.run.registers.field(site["field"])
            asked = np.array([[code, site["row"], site["column"], 1 << site["bits"][0], site["cycle"]]])
            _, changed = changes(work, asked)
            sums = made.run.product.ravel().copy()
            for place, by in changed.tolist():
                sums[place] = (int(sums[place]) + by + (1 << 31)) % (1 << 32) - (1 << 31)
            golden, after = (quantise.outputs(each.reshape(4, 6)).argmax(axis=1) for each in (made.run.product.ravel(), sums))
            assert decided == (golden != after).any()
            seen.add(decided)
    assert seen == {True, False}


def test_results_do_not_depend_on_how_many_work_on_them(tmp_path: Path) -> None:
    campaign = Campaign("coin", Coin((0.1, 0.5)), Sample(faults=300_000), 3, "coin")
    one, two = (run(campaign, tmp_path / f"{many}.sqlite", many) for many in (1, 3))
    assert [each.tally for each in one.found] == [each.tally for each in two.found]
    other = run(Campaign("coin", Coin((0.1, 0.5)), Sample(faults=300_000), 4, "coin"), None)
    assert [each.tally for each in other.found] != [each.tally for each in one.found]


def test_interval_holds_the_share_and_is_no_wider_than_it_has_to_be() -> None:
    found = run(Campaign("coin", Coin((0.1, 0.002)), Sample(faults=200_000), 3, "coin"), None)
    for each, share_ in zip(found.found, (0.1, 0.002), strict=True):
        assert each.silent.low < share_ < each.silent.high
        count, tail = each.tally.counts[CORRUPTED], 0.05 / 4 / 2
        assert each.silent.low == pytest.approx(beta.ppf(tail, count, 200_000 - count + 1))
        assert each.silent.high == pytest.approx(beta.ppf(1 - tail, count + 1, 200_000 - count))


def test_stratum_stops_where_its_interval_is_narrow_enough_and_those_before_were_not() -> None:
    sample = Sample(faults=1 << 22, half_width=0.002)
    one = run(Campaign("coin", Coin((0.5, 0.001)), sample, 3, "coin"), None, workers=1)
    two = run(Campaign("coin", Coin((0.5, 0.001)), sample, 3, "coin"), None, workers=3)
    assert [each.tally for each in one.found] == [each.tally for each in two.found]
    even, rare = one.found
    assert rare.tally.total == 1 << 16 < even.tally.total < 1 << 22
    assert even.silent.high - even.silent.low < 0.006  # of all strata together, which is a little wider than of each


def test_killed_process_leaves_no_claim_and_a_living_one_keeps_its_own(tmp_path: Path) -> None:
    first = Results(tmp_path / "r.sqlite", "x", "x")
    gone = subprocess.run(
        [sys.executable, "-c", "import sys; from pathlib import Path; from accelsim.faults.results import Results;"
         "print(Results(Path(sys.argv[1]), 'x', 'x').claim([(0, 0), (0, 1)]))", str(tmp_path / "r.sqlite")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert gone.stdout.strip() == "(0, 0)"
    assert first.claim([(0, 0), (0, 1)]) == (0, 0)
    assert Results(tmp_path / "r.sqlite", "x", "x").claim([(0, 0), (0, 1)]) == (0, 1)
    tally = Tally.of(Coin((0.5,)).effects(0, np.arange(10)), np.arange(10))
    first.put((0, 0), tally)
    first.put((0, 0), tally + tally)
    assert first.chunks() == {(0, 0): tally}


def test_file_of_another_campaign_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "r.sqlite"
    run(Campaign("coin", Coin((0.1,)), Sample(faults=10), 3, "coin"), target)
    with pytest.raises(InputError, match=r"r\.sqlite: holds another campaign, or this one with other inputs; name another file$"):
        run(Campaign("coin", Coin((0.1,)), Sample(faults=10), 4, "coin of seed 4"), target)
    (tmp_path / "text").write_text("nothing of the kind, and longer than the header of a database would be" * 20)
    with pytest.raises(InputError, match=r"text: cannot keep results there: file is not a database; name another file$"):
        run(Campaign("coin", Coin((0.1,)), Sample(faults=10), 3, "coin"), tmp_path / "text")


@pytest.mark.slow
def test_campaign_killed_again_and_again_ends_as_one_that_was_not(tmp_path: Path) -> None:
    """Kill -9 of all four workers and what started them, each time at a random moment, soon after so many more chunks as chance says."""
    file, large = tmp_path / "small.yaml", SMALL.format(stays="B")
    for old, new in (("m: 5", "m: 24"), ("n: 6", "n: 24"), ("k: 7", "k: 24"), ("size: 4", "size: 12"), ("size: 3", "size: 12")):
        large = large.replace(old, new)
    file.write_text(large + "faults: {kind: stuck}\n")
    command = [sys.executable, "-m", "accelsim", "inject", str(file), "--workers", "4", "-q", "-o"]
    target, whole = tmp_path / "killed.sqlite", tmp_path / "whole.sqlite"
    subprocess.run([*command, str(whole)], check=True)
    many, rng, seen = chunks(whole), Random(8), [0]
    kills = share(10, 3, 2)
    for _ in range(kills):
        further = seen[-1] + rng.randint(1, len(many) // (2 * kills))
        process = subprocess.Popen([*command, str(target)], start_new_session=True)
        while len(chunks(target)) < further:
            assert process.poll() is None
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.02))
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        seen.append(len(chunks(target)))
    assert sorted({*seen}) == seen and seen[-1] < len(many)
    subprocess.run([*command, str(target)], check=True)
    assert chunks(target) == many


def chunks(file: Path) -> list[tuple[Any, ...]]:
    """What a file holds: nothing before its tables are written, all in one transaction."""
    with sqlite3.connect(file) as connection:
        if not connection.execute("SELECT * FROM sqlite_master WHERE name = 'chunks'").fetchall():
            return []
        return connection.execute("SELECT stratum, chunk, tally FROM chunks ORDER BY stratum, chunk").fetchall()


IN_RTL = sorted(name for name, path in shipped(CAMPAIGN).items() if "in: processor" in path.read_text("utf-8"))


@pytest.mark.parametrize("name", sorted({*shipped(CAMPAIGN)} - {*IN_RTL}))
def test_shipped_campaign_loads_and_its_first_faults_are_the_same_alone(name: str) -> None:
    first_faults_are_the_same_alone(name)


@pytest.mark.slow
@pytest.mark.usefixtures("rtl_tools")
@pytest.mark.parametrize("name", IN_RTL)
def test_shipped_campaign_in_rtl_loads_and_its_first_faults_are_the_same_alone(name: str) -> None:
    first_faults_are_the_same_alone(name)


def first_faults_are_the_same_alone(name: str) -> None:
    campaign = load_campaign(shipped(CAMPAIGN)[name])
    for stratum in range(len(campaign.target.strata)):
        numbers = campaign.numbers((stratum, 0))[:40]
        together = campaign.target.effects(stratum, numbers)
        for place in range(0, len(numbers), 13):
            alone = campaign.target.effects(stratum, numbers[place : place + 1])
            assert (alone.outcome[0], alone.wrong[0], alone.worst[0]) == (
                together.outcome[place], together.wrong[place], together.worst[place]
            )  # fmt: skip


BAD = [
    ("stationary: B", "stationary: C", r":4:13: Z has no tensor 'C' to stay in the array; known: A, B, Z$"),
    ("arch: systolic128", "arch: mini", r":12:19: arch\.rows\.size: this machine has no node 'rows'; did you mean 'row'\?$"),
    ("arch: systolic128", "arch: simple", r":12:19: arch\.rows\.size: this machine has no node 'rows'"),
    ("campaign: small", "campaign: small\nsampel: 3", r":2:1: a campaign has no 'sampel'; did you mean 'sample'\?"),
    ("arch: systolic128\n", "", r": a campaign has no 'arch'; write arch: NAME"),
    ("campaign: small", "campaign: small\nfaults: {in: [b_q]}", r":2:15: the array has no registers 'b_q'; did you mean 'w_q'\?$"),
    ("campaign: small", "campaign: small\nsample: {half_width: 2}", r":2:22: 'half_width' must be between 0 and 1, not 2; write a share"),
    ("campaign: small", "campaign: small\nsample: all", r":2:9: a sample is not 'all'; write exhaustive, or how many faults, as in "),
    ("campaign: small", "campaign: small\noutputs: {shift: 3}", r":2:10: a multiplier and a shift go together; write both or none"),
    ("campaign: small", "campaign: small\ndecision: k", r":2:11: Z has no rank 'k' to decide along; known: m, n$"),
    ("campaign: small", "campaign: small\nfaults: {kind: late, bits: 2}", r":2:28: a register is late as a whole; leave out 'bits'$"),
    ("campaign: small", "campaign: small\nfaults: {kind: lat}", r":2:16: there is no kind of fault 'lat'; did you mean 'late'\?$"),
    ("campaign: small", "campaign: small\ntime: cycles", r":2:7: 'time' is about memories, and faults are in array; leave it out$"),
    ("campaign: small", "campaign: small\nfaults: {in: []}", r":2:14: the array has none of these registers; name others"),
    ("campaign: small", "campaign: small\ninputs: {draw: normale}", r":2:16: inputs cannot be drawn 'normale'; did you mean 'normal'\?"),
    ("campaign: small", "campaign: small\ninputs: {ranges: {C: [0, 1]}}", r":2:19: matmul has no input 'C'; known: A, B$"),
    ("campaign: small", "campaign: small\ninputs: {ranges: {A: [0, 0.5]}}", r":2:22: the range of A is not of whole numbers; "),
    ("campaign: small", "campaign: small\ninputs: {ranges: {A: [1, 0]}}", r":2:22: the range of A is not a least and a largest "),
    ("campaign: small", "campaign: small\ninputs: {ranges: {A: [0, 128]}}", r":2:22: the range of A is wider than its type, int8; "),
    ("  type.default: int8\n", "", r"words of bf16, and the array of hw/rtl adds integers; give its tensors integer types"),
    ("arch: systolic128", "arch: other.yaml", r"bad\.yaml:3:7: faults are known in arrays with shadow registers whose results leave "),
    ("stationary: B", "mapping: vector.yaml", r":4:10: plain runs nothing on systolic arrays of systolic128; take a machine and "),
    ("campaign: small", "campaign: small\nmapping: attention-flat", r": a campaign names a mapping, or a tensor that stays in the array"),
]


@pytest.mark.parametrize("case", BAD, ids=[case[1].split("\n")[-1] or case[0].strip() for case in BAD])
def test_bad_campaign_is_refused_in_one_line(case: tuple[str, str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new, said = case
    text = SMALL.format(stays="B")
    assert old in text
    (tmp_path / "bad.yaml").write_text(text.replace(old, new))
    (tmp_path / "vector.yaml").write_text("mapping: plain\ntree: [keep DRAM: [A, B, Z], {einsum: Z, unit: Vector}]\n")
    (tmp_path / "other.yaml").write_text(resolve("systolic128", MACHINE).read_text().replace("shadow: true", "shadow: false"))
    assert main(["inject", str(tmp_path / "bad.yaml")]) in {1, 2}
    error = capsys.readouterr().err.splitlines()[0]
    assert re.search(said, error), error


ARGUMENTS = [
    (["--set", "foo"], "--set foo: not a setting; write path=value, as in shape.m=16384"),
    (["--set", "foo=3"], "--set foo=3: no part is called 'foo'; did you mean 'shape.foo', the size of a rank?"),
    (["--set", "shape.m"], "--set shape.m: not a setting; write path=value, as in shape.m=16384"),
    (["--set", "shape.m=0"], "--set shape.m: the size of rank 'm' must be at least 1, not 0"),
    (["--set", "workload.shape.m=0"], "--set shape.m: the size of rank 'm' must be at least 1, not 0"),
    (["--set", "mapping.let.x=3"], "--set mapping.let.x: this command reads no mapping; leave the setting out"),
    (["-o", ""], "-o '': names no file; write the name of a file, or leave -o out"),
    (["-o", "."], ".: is a folder; name a file"),
    (["-o", "-"], "-o -: results go into a database, not to standard output; name a file; --json - writes JSON there"),
    (["-o", "no/such"], "no/such: there is no folder 'no'; create it or name another"),
    (["-o", "one", "--json", "./one"], "one: results and JSON do not go into one file; name two files"),
    (["--rtl", "0"], "--rtl '0' is not a whole number from 1; write digits, as in --rtl 32"),
    (["--json", ""], "--json '': names no file; write the name of a file, or leave --json out"),
]


@pytest.mark.parametrize("case", ARGUMENTS, ids=[" ".join(case[0]) for case in ARGUMENTS])
def test_bad_argument_is_refused_as_it_was_typed(case: tuple[list[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, said = case
    (tmp_path / "small.yaml").write_text(SMALL.format(stays="B"))
    assert main(["inject", str(tmp_path / "small.yaml"), *arguments]) == 2
    assert capsys.readouterr().err == f"{said}\n"


def test_faults_that_no_rtl_has_are_refused_before_anything_is_injected(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def injects(*_: object) -> None:
        raise AssertionError("the campaign ran")

    monkeypatch.setattr("accelsim.faults.campaign.run", injects)
    assert main(["inject", "stuck-memories", "--rtl", "10"]) == 2
    said = "--rtl: only faults of an array that runs one cascade, or of a processor, run in RTL; leave --rtl out\n"
    assert capsys.readouterr().err == said


def test_inputs_with_a_range_lie_in_it_and_reach_both_ends(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL.format(stays="Z") + "inputs: {ranges: {A: [-2, 3]}}\n")
    target = load_campaign(tmp_path / "small.yaml").target
    assert isinstance(target, ArrayTarget)
    values = target.products[0].run.a
    assert (values.min(), values.max()) == (-2, 3)
    assert target.products[0].run.b.max() > 3  # the other input keeps its own


def test_exhaustive_stratum_that_is_not_finished_is_bounded_by_what_is_left() -> None:
    """Its first chunks are no sample of it: the faults that were not injected may all corrupt, or none."""
    campaign = Campaign("coin", Coin((0.5,), population=1 << 18), Sample(faults=0, exhaustive=1 << 30), 3, "coin")
    first = (0, 0)
    tally = campaign.work(first, campaign.first)
    (found,) = outcome(campaign, {first: tally}, False).found
    count, left = tally.counts[CORRUPTED], (1 << 18) - tally.total
    assert left > 0
    assert (found.silent.low, found.silent.high) == (count / (1 << 18), (count + left) / (1 << 18))


def test_database_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE mine (a INTEGER)")
    with pytest.raises(InputError, match=r"other\.db: is a database of something else; name another file$"):
        run(Campaign("coin", Coin((0.1,)), Sample(faults=10), 3, "coin"), tmp_path / "other.db")
    with sqlite3.connect(tmp_path / "other.db") as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]


def test_cascade_of_too_many_points_is_refused_before_it_is_walked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inject", "attention-memories", "--set", "shape.m=4096", "--set", "shape.p=4096"]) == 2
    error = capsys.readouterr().err.splitlines()[0]
    said = r":4:11: attention-naive has [\d,]+ points, more than the 131,072 that are walked one by one; make it smaller, as in set: "
    assert re.search(said + r"{shape\.p: 2048}$", error)


def test_product_of_too_many_tiles_is_refused_before_they_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """7 rows of B on 4 and 6 columns on 3 make 2 x 2 tiles."""
    (tmp_path / "small.yaml").write_text(SMALL.format(stays="B"))
    tile = 4 + 3 + 5  # rows, columns and steps
    monkeypatch.setattr("accelsim.faults.firings._MOST", 4 * tile)
    load_campaign(tmp_path / "small.yaml")
    monkeypatch.setattr("accelsim.faults.firings._MOST", 4 * tile - 1)
    said = r"matmul\.yaml:\d+:\d+: Z goes over the array in 4 tiles, which are too many to look at one by one; "
    with pytest.raises(InputError, match=said):
        load_campaign(tmp_path / "small.yaml")
    with pytest.raises(InputError, match=r"small\.yaml:2:11: A of matmul has 70,000,000 words, more than the 16,777,216 of a tensor"):
        load_campaign(tmp_path / "small.yaml", ["shape.m=10000000"])


def test_report_and_json_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "small.yaml").write_text(SMALL.format(stays="Z") + "sample: {faults: 500}\n")
    assert main(["inject", str(tmp_path / "small.yaml"), "--json", str(tmp_path / "out.json"), "--workers", "1"]) == 0
    whole = json.loads((tmp_path / "out.json").read_text())
    text = capsys.readouterr().out
    assert f"{whole['injected']:,} of {whole['population']:,} upsets injected" in text
    assert f"{whole['avf']['value']:.5f}" in text
    assert whole["avf"]["low"] <= whole["avf"]["value"] <= whole["avf"]["high"]


SAME = [
    ("sample: {faults: 500}", ("shape.m=5", "arch.rows.size=4")),
    ("sample: {faults: 500}\nabout: words", ()),
    ("sample: {faults: 500, confidence: 0.9}\nfaults: {in: [operands, sums, control]}\nseed: 0", ()),
    ("sample: {faults: 500}\ninputs: {draw: uniform, seed: 0}\noutputs: {bits: 8}", ("shape.m=5",)),
]
OTHER = [
    ("sample: {faults: 501}", ()), ("seed: 1", ()), ("faults: {in: [operands]}", ()), ("faults: {bits: 2}", ()),
    ("faults: {kind: stuck}", ()), ("faults: {kind: late}", ()),
    ("inputs: {seed: 1}", ()), ("inputs: {draw: normal}", ()), ("outputs: sums", ()), ("decision: n", ()), ("decision: m", ()),
    ("sample: {half_width: 0.01}", ()), ("sample: {half_width: 0.01, confidence: 0.9}", ()), ("", ("shape.m=6",)),
    ("", ("arch.rows.size=5",)),
]  # fmt: skip


def described(tmp_path: Path, more: str, settings: tuple[str, ...] = ()) -> str:
    base = "" if "sample" in more else "sample: {faults: 500}\n"
    (tmp_path / "small.yaml").write_text(SMALL.format(stays="B") + base + more + "\n")
    return load_campaign(tmp_path / "small.yaml", settings).described


def test_campaigns_are_told_apart_by_what_they_inject_and_not_by_how_it_is_said(tmp_path: Path) -> None:
    one = described(tmp_path, "sample: {faults: 500}")
    assert [described(tmp_path, more, settings) for more, settings in SAME] == [one] * len(SAME)
    others = [described(tmp_path, more, settings) for more, settings in OTHER]
    assert len({one, *others}) == 1 + len(OTHER)


def test_memory_campaigns_are_told_apart_by_inputs_decisions_kinds_of_faults_time_and_checks(tmp_path: Path) -> None:
    text = shipped(CAMPAIGN)["attention-memories"].read_text()
    moves = "faults: {bits: 1}\n", "faults: {bits: 2}\n", "faults: {kind: stuck}\n", "time: cycles\n"
    checks = [f"protect: {{checksums: {{threshold: {threshold}}}}}\n" for threshold in (50, 60)]
    found = []
    for more in ("", "decision: f\n", "seed: 1\n", *moves[1:], *checks):
        (tmp_path / "memories.yaml").write_text(text + more)
        found.append(load_campaign(tmp_path / "memories.yaml").described)
    (tmp_path / "memories.yaml").write_text(text.replace("in: memories", "in: networks"))
    found.append(load_campaign(tmp_path / "memories.yaml").described)
    found.append(load_campaign(shipped(CAMPAIGN)["attention-memories"], ["shape.p=3"]).described)
    assert len(set(found)) == len(found) == 10
    (tmp_path / "memories.yaml").write_text(text + moves[0])
    assert load_campaign(tmp_path / "memories.yaml").described == found[0]
    assert load_campaign(shipped(CAMPAIGN)["attention-memories"], ["shape.p=2"]).described == found[0]
