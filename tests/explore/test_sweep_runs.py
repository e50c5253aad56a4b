"""Sweeps run: every point once, whatever is known, killed, repeated or spread; tables are the same bytes."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.errors import InputError
from accelsim.explore.exploration import Exploration
from accelsim.explore.finished import Finished
from accelsim.explore.points import Point, Row
from accelsim.explore.quantity import Quantity
from accelsim.explore.rules import rule
from accelsim.explore.sweep import LATIN, SOBOL, Sample, Sweep
from accelsim.explore.sweeping import explore
from accelsim.explore.table import columns, records, table
from accelsim.io.sweep_table import metadata_of, read_row, write_table
from tests.explore.stub import StubCases, stub_row, stub_rows, stub_sweep
from tests.share import share


def run(sweep: Sweep, store: str = "", **more: Any) -> Exploration:
    return explore(sweep, store, evaluate=stub_rows, **more)


def by_hand(sweep: Sweep) -> list[Row]:
    """Every row in order, one by one."""
    cases = sweep.cases
    assert isinstance(cases, StubCases)
    return [stub_row(cases, point) for point in sweep.points()]


def backwards(function: Callable[[Any], Any], chunks: Iterable[Any], /) -> Iterator[tuple[int, Any]]:
    """Chunks five at a time, the last one first, as workers might hand them back."""
    waiting: list[tuple[int, Any]] = []
    for each in enumerate(chunks):
        waiting.append(each)
        if len(waiting) == 5:
            while waiting:
                at, chunk = waiting.pop()
                yield at, function(chunk)
    while waiting:
        at, chunk = waiting.pop()
        yield at, function(chunk)


def test_every_point_has_the_row_of_its_values_in_order() -> None:
    sweep = stub_sweep(7, 9, 3)
    found = run(sweep)
    assert [row for _, row in found.rows()] == by_hand(sweep)
    assert [point.number for point, _ in found.rows()] == list(range(7 * 9 * 3))
    statuses = [row.status for row in by_hand(sweep)]
    assert found.summary.counts == {"ok": statuses.count("ok"), "no mapping": statuses.count("no mapping")}
    assert "no mapping" in statuses


def test_points_that_are_known_are_not_worked_out_again(tmp_path: Path) -> None:
    store = str(tmp_path / "points")
    first = run(stub_sweep(5, 6), store)
    first.close()
    assert (first.new, first.known) == (30, 0)
    again = run(stub_sweep(5, 6), store)
    again.close()
    assert (again.new, again.known) == (0, 30)
    enlarged = run(stub_sweep(7, 6), store)
    assert (enlarged.new, enlarged.known) == (12, 30)
    assert [row for _, row in enlarged.rows()] == by_hand(stub_sweep(7, 6))
    assert len(enlarged.finished) == 42
    enlarged.close()


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_table_is_the_same_bytes_in_whatever_order_rows_are_found(tmp_path: Path, ending: str) -> None:
    written = []
    for name, spread in (("a", None), ("b", backwards)):
        found = run(stub_sweep(12, 9), str(tmp_path / name), **({} if spread is None else {"spread": spread}))
        write_table(found, str(tmp_path / (name + ending)))
        found.close()
        written.append((tmp_path / (name + ending)).read_bytes())
    assert written[0] == written[1]
    assert not list(tmp_path.glob("*.unfinished"))


def _victim(store: str, slow: float) -> None:
    run(stub_sweep(40, 9, slow=slow), store).close()


@pytest.mark.parametrize("seed", range(share(10, 3, 2)))
def test_sweep_that_is_killed_again_and_again_gives_the_same_bytes_and_nothing_twice(tmp_path: Path, seed: int) -> None:
    whole = run(stub_sweep(40, 9))
    write_table(whole, str(tmp_path / "whole.parquet"))
    write_table(whole, str(tmp_path / "whole.csv"))
    rng, store = random.Random(seed), str(tmp_path / "points")
    context = multiprocessing.get_context("fork")
    kept = [0]
    for _ in range(10):
        process = context.Process(target=_victim, args=(store, 0.002))
        process.start()
        time.sleep(rng.uniform(0.02, 0.3))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        finished = Finished(store)
        kept.append(len(finished))
        finished.close()
    assert kept == sorted(kept)
    assert any(0 < many < 360 for many in kept)
    resumed = run(stub_sweep(40, 9), store)
    assert (resumed.new, resumed.known) == (360 - kept[-1], kept[-1])
    assert len(resumed.finished) == 360
    write_table(resumed, str(tmp_path / "resumed.parquet"))
    write_table(resumed, str(tmp_path / "resumed.csv"))
    for ending in ("parquet", "csv"):
        assert (tmp_path / f"resumed.{ending}").read_bytes() == (tmp_path / f"whole.{ending}").read_bytes()


def test_two_sweeps_at_once_may_share_a_file(tmp_path: Path) -> None:
    store = str(tmp_path / "points")
    context = multiprocessing.get_context("fork")
    others = [context.Process(target=_victim, args=(store, 0.001)) for _ in range(2)]
    for process in others:
        process.start()
    for process in others:
        process.join()
    assert [process.exitcode for process in others] == [0, 0]
    found = run(stub_sweep(40, 9), store)
    assert (found.new, len(found.finished)) == (0, 360)
    assert [row for _, row in found.rows()] == by_hand(stub_sweep(40, 9))


def test_interrupt_keeps_what_is_done_and_says_what_is_not(tmp_path: Path) -> None:
    store = str(tmp_path / "points")

    worked: list[Row] = []

    def cut_short(cases: StubCases, points: Any, /) -> list[Row]:
        if len(worked) >= 20:
            raise KeyboardInterrupt
        worked.extend(rows := stub_rows(cases, points))
        return rows

    found = explore(stub_sweep(6, 9), store, evaluate=cut_short)
    assert found.interrupted
    statuses = [row.status for _, row in found.rows()]
    assert len(statuses) == 54
    assert statuses.count("not reached") == 54 - found.new
    assert 20 <= found.new < 54
    found.close()
    again = run(stub_sweep(6, 9), store)
    assert (again.new, again.known) == (54 - found.new, found.new)


def test_rules_rule_out_before_and_after_mapping() -> None:
    evaluated: list[int] = []

    def counted(cases: StubCases, points: Any, /) -> list[Row]:
        evaluated.extend(point.number for point in points)
        return stub_rows(cases, points)

    sweep = stub_sweep(10, 4, rules=(rule("area_um2 <= 500 um2"), rule("power_w <= 3.2e-5"), rule("x1 >= 2")))
    found = explore(sweep, evaluate=counted)
    for point, row in found.rows():
        first, second = (int(text) for text in point.values)
        bare = stub_row(StubCases(), point)
        if first > 5:
            assert (row.status, row.why, row.area_um2) == ("outside", "area_um2 <= 500 um2", 100.0 * first)
        elif second < 2:
            assert (row.status, row.why) == ("outside", "x1 >= 2")
        elif bare.status == "ok" and bare.power_w is not None and bare.power_w > 3.2e-5:
            assert row == bare._replace(status="outside", why="power_w <= 3.2e-5")
        else:
            assert row == bare
    assert len(evaluated) == 5 * 3
    assert {"outside", "ok"} <= found.summary.counts.keys()
    assert found.summary.broken == Counter(row.why for _, row in found.rows() if row.status == "outside")
    assert sum(row.why.startswith("power") for _, row in found.rows()) > 0


@pytest.mark.parametrize("text", ["cycles <= 250002", "cycles <= 250002 cycles", "250002 cycles >= cycles"])
def test_rule_about_cycles_is_about_those_of_the_mapping(text: str) -> None:
    """A million over x0, and x1 more: 250,002 of (4, 2)."""
    statuses = {point.values: row.status for point, row in run(stub_sweep(4, 3, rules=(rule(text),))).rows()}
    assert {values for values, status in statuses.items() if status == "ok"} == {("4", "1"), ("4", "2")}
    assert {status for values, status in statuses.items() if values not in {("4", "1"), ("4", "2")}} == {"outside"}


def test_rule_about_a_figure_that_a_row_has_not_does_not_hold() -> None:
    """Rows of the stub have no gap."""
    found = run(stub_sweep(3, 2, rules=(rule("gap <= 0.5"),)))
    assert {(row.status, row.why) for _, row in found.rows()} == {("outside", "gap <= 0.5")}


def test_limit_of_the_area_says_that_machines_state_none() -> None:
    class Bare(StubCases):
        def area_um2(self, point: Point) -> float | None:
            return None

    sweep = replace(stub_sweep(3, 3, rules=(rule("area_um2 <= 50"),)), cases=Bare())
    with pytest.raises(InputError) as caught:
        run(sweep)
    assert str(caught.value) == "none of 9 points holds 'area_um2 <= 50'; its machines do not state their areas"


def test_rule_that_divides_by_a_figure_that_is_zero_does_not_hold_there() -> None:
    found = run(stub_sweep(3, 3, rules=(rule("cycles / (cycles - cycles) <= 5"),)))
    assert found.summary.counts == {"outside": 9}
    with pytest.raises(InputError, match="divides by zero"):
        rule("1 / shape.m > 2").holds({"shape.m": Quantity(Fraction(0))})


def test_rule_that_no_point_holds_is_refused_before_anything_runs() -> None:
    def never(cases: Any, points: Any, /) -> list[Row]:
        raise AssertionError("ran")

    with pytest.raises(InputError) as caught:
        explore(stub_sweep(3, 3, rules=(rule("area_um2 <= 50"),)), evaluate=never)
    assert str(caught.value) == "none of 9 points holds 'area_um2 <= 50'; the least area_um2 is 100"


def test_front_of_a_sweep_is_of_rows_that_are_kept() -> None:
    found = run(stub_sweep(9, 5, rules=(rule("x1 > 1"),)))
    rows = [(point, row) for point, row in found.rows() if row.status == "ok"]
    front = {point.number for point, _ in found.front()}
    for point, row in rows:
        assert row.latency_s is not None and row.energy_pj is not None
        beaten = any(
            other.latency_s <= row.latency_s
            and other.energy_pj <= row.energy_pj
            and (other.latency_s, other.energy_pj) != (row.latency_s, row.energy_pj)
            for _, other in rows
        )
        assert (point.number in front) == (not beaten)


def test_each_combination_of_values_has_a_front_of_its_own() -> None:
    sweep = replace(stub_sweep(4, 3, 7), each=("x1", "x0"))
    found = run(sweep)
    fronts = found.front()
    groups = [point.values[1::-1] for point, _ in fronts]
    assert len(set(groups)) == 12
    assert groups == sorted(groups, key=[*dict.fromkeys(groups)].index)  # one after the other
    chosen = {point.number for point, _ in fronts}
    for point, row in found.rows():
        others = [other for each, other in found.rows() if each.values[:2] == point.values[:2] and other.status == "ok"]
        if row.status == "ok":
            assert row.latency_s is not None and row.energy_pj is not None
            figures = row.latency_s, row.energy_pj
            beaten = any(
                other.latency_s <= figures[0] and other.energy_pj <= figures[1] and (other.latency_s, other.energy_pj) != figures  # type: ignore[operator]
                for other in others
            )
            assert (point.number in chosen) != beaten
    assert len(chosen) > len(run(stub_sweep(4, 3, 7)).front())


@pytest.mark.parametrize("how", [SOBOL, LATIN])
def test_samples_are_the_same_for_the_same_seed_and_differ_for_another(how: str) -> None:
    taken = [[point.values for point in stub_sweep(50, 50, sample=Sample(how, 60, seed)).points()] for seed in (0, 0, 1)]
    assert taken[0] == taken[1] != taken[2]
    assert len(set(taken[0])) == len(taken[0])
    assert 50 <= len(taken[0]) <= 60  # a few fall on the same values
    halves = np.array([[int(text) > 25 for text in values] for values in taken[0]])
    assert (abs(halves.mean(axis=0) - 0.5) < 0.06).all()  # even, as random points need not be


def test_latin_samples_have_one_value_in_each_slice() -> None:
    for axis in range(2):
        values = sorted(int(point.values[axis]) for point in stub_sweep(40, 40, sample=Sample(LATIN, 40, 3)).points())
        assert values == list(range(1, 41))


def test_tables_say_what_they_were_made_from_and_give_rows_back(tmp_path: Path) -> None:
    found = run(stub_sweep(4, 5))
    for name in ("t.parquet", "t.csv"):
        path = str(tmp_path / name)
        write_table(found, path)
        assert read_row(path, 7)["command"] == "stub 2 3"
        with pytest.raises(InputError, match=r"has 20 rows, and row 20 is none of them; name one from 0 to 19"):
            read_row(path, 20)
    assert metadata_of(str(tmp_path / "t.parquet"))["sample"] == '["grid", 0, 0]'
    whole = table(found)
    assert whole.column_names == [each.name for each in columns(found.sweep)]
    assert [tuple(row.values()) for row in whole.to_pylist()] == list(records(found))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("row,command\n0,accelsim map", None),
        ("row,command\n0", "t.csv: cannot be read as a table; name a table that `accelsim explore -o` wrote"),
        ("row,command\n0,a,b\n", "t.csv: cannot be read as a table; name a table that `accelsim explore -o` wrote"),
        ("", "t.csv has 0 rows, and row 0 is none of them; name a table that `accelsim explore -o` wrote"),
    ],
)
def test_row_that_was_cut_short_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str | None) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text(text)
    if message is None:
        assert read_row("t.csv", 0) == {"row": "0", "command": "accelsim map"}
        return
    with pytest.raises(InputError) as caught:
        read_row("t.csv", 0)
    assert str(caught.value) == message


def test_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database, but long enough to look at " * 40)
    with pytest.raises(InputError, match=r"text: cannot keep rows there: file is not a database; name another file, or delete this one"):
        run(stub_sweep(2, 2), str(tmp_path / "text"))
