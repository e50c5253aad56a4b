"""Sizes of parts that a cascade leaves open: all that divide are considered, the best is found, the mapping states them."""

from __future__ import annotations

from math import prod
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.cli import main
from accelsim.errors import IllegalMapping, InputError
from accelsim.io.mapping import dump_mapping, parse_mapping
from accelsim.mapper.best import Request, search
from accelsim.mapper.objectives import objective_named
from accelsim.mapper.splits import sizings
from accelsim.model.evaluation import Evaluator, evaluate
from accelsim.workload.build import cascade, sized
from accelsim.workload.cascade import Cascade
from tests.mapper.small import two_units

LOCAL = "L[m1] = max[m0](A[m1*M0+m0])\nG[] = max[m1](L[m1])\nS[m1] = exp(L[m1] - G[])"


def maxima(**sizes: int) -> Cascade:
    """The maximum of tiles, which is the cheaper the larger the tiles are, and a use of each."""
    return cascade("maxima", LOCAL, {"m": 24, **sizes}, split={"m": {"m1": None, "m0": None}})


def test_every_size_that_divides_is_considered_and_none_that_is_given() -> None:
    assert [dict(each)["m0"] for each in sizings(maxima())] == [1, 2, 3, 4, 6, 8, 12, 24]
    assert sizings(maxima(m0=6)) == [()]


@given(st.integers(1, 60), st.integers(1, 4))
def test_three_parts_cut_a_rank_evenly(size: int, given_size: int) -> None:
    split = {"m": {"a": None, "b": None, "c": given_size}}
    made = cascade("cut", "Z[a,b,c] = exp(A[a*B*C+b*C+c])", {"m": size * given_size}, split=split)
    found = sizings(made)
    assert len(set(found)) == len(found) and {size % dict(each)["b"] for each in found} == {0}
    assert all(prod(sized(made, each).extents[part] for part in "abc") == size * given_size for each in found)


@settings(deadline=None, max_examples=10)
@given(st.sampled_from(["latency", "energy"]), st.sampled_from([6, 8, 12]))
@pytest.mark.slow
def test_the_best_of_all_sizes_is_found_and_its_bound_holds(objective: str, size: int) -> None:
    request = Request(objective_named(objective))
    each = {m0: search(maxima(m=size, m0=m0), two_units(), request=request) for m0 in range(1, size + 1) if size % m0 == 0}
    value = {m0: request.objective.value(found.evaluation) for m0, found in each.items()}
    found = search(maxima(m=size), two_units(), request=request)
    record = found.evaluation.search or {}
    assert record["value"] == pytest.approx(min(value.values()), rel=5e-4)
    assert record["value"] == pytest.approx(value[record["sizes"]["m0"]], rel=1e-12)
    assert record["lower_bound"] <= min(value.values()) * (1 + 1e-9)


def test_the_mapping_states_the_sizes_and_every_way_to_it_gives_the_same_numbers() -> None:
    found = search(maxima(), two_units(), "energy")
    text = dump_mapping(found.mapping)
    sizes = dict(found.mapping.sizes)
    again = parse_mapping(text, sized(maxima(), found.mapping.sizes).extents)
    assert f"sizes: {{m0: {sizes['m0']}}}" in text and again.sizes == found.mapping.sizes
    energies = {evaluate(made, two_units(), again).energy_pj for made in (maxima(), maxima(**sizes))}
    assert energies == {found.evaluation.energy_pj}
    with pytest.raises(IllegalMapping, match=rf"the mapping is for m0 = {sizes['m0']}, maxima has 1"):
        Evaluator(maxima(m0=1), two_units()).evaluate(again)
    with pytest.raises(InputError, match=rf"the mapping is for m0 = {sizes['m0']}, and maxima has 1"):
        evaluate(maxima(m0=1), two_units(), again)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    lines = "\n".join(f"  - {line}" for line in LOCAL.splitlines())
    path = tmp_path / "open.yaml"
    path.write_text(f"workload: open\nshape: {{m: 24}}\nsplit: {{m: {{m1: ~, m0: ~}}}}\neinsums:\n{lines}\n")
    return path


@pytest.mark.slow
def test_map_writes_a_mapping_that_evaluate_and_check_take(written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mapping = str(tmp_path / "found.yaml")
    assert main(["map", str(written), "--arch", "spatial", "-o", mapping]) == 0
    shown = capsys.readouterr().out
    assert "out of 8 sizes (m0 = " in " ".join(shown.split())
    assert main(["evaluate", str(written), "--arch", "spatial", "--mapping", mapping]) == 0
    cycles = [line for line in shown.splitlines() if line.startswith("time")]
    assert cycles == [line for line in capsys.readouterr().out.splitlines() if line.startswith("time")]
    assert main(["check", mapping, "--arch", "spatial", "--workload", str(written)]) == 0


@pytest.mark.parametrize("option", [("--pareto", "latency,energy"), ("--compare",), ("--constraints", "rules.yaml")])
def test_options_that_need_the_size_ask_for_it(option: tuple[str, ...], written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", str(written), "--arch", "spatial", *option]) == 2
    assert capsys.readouterr().err == f"{option[0]}: open leaves the size of m0 open; give it a size: --set shape.m0=4\n"


@pytest.mark.parametrize(
    ("sizes", "code", "said"),
    [
        ("{m0: 5}", 1, "G is not mapped"),  # 5 cuts 24 with a partial last tile
        ("{k: 2}", 2, "2:8: workload 'open' has no part 'k'; known: m0"),
        ("{m0: x}", 2, "2:13: the size of 'm0' must be a whole number, not 'x'"),
        ("{m0: 0}", 2, "2:13: the size of 'm0' must be at least 1"),
        ("{}", 1, "G is not mapped"),
        ("3", 2, "2:8: 'sizes' must be a mapping of keys to values, not 3"),
    ],
)
def test_sizes_that_make_no_sense_are_refused_in_one_line(
    sizes: str, code: int, said: str, written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(f"mapping: bad\nsizes: {sizes}\ntree:\n  - {{einsum: L, unit: PE2D}}\n")
    assert main(["evaluate", str(written), "--arch", "spatial", "--mapping", str(path)]) == code
    error = capsys.readouterr().err
    assert said in error and "internal" not in error and len(error.splitlines()) <= 4
