"""Sweep files: what they ask for, what is wrong with them in words, and rows that are what `accelsim map` and `evaluate` say."""

from __future__ import annotations

import json
import pickle
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from accelsim.cli import main
from accelsim.errors import InputError
from accelsim.explore.points import evaluate_points
from accelsim.explore.sweep import Sweep
from accelsim.explore.sweeping import explore
from accelsim.io.sweep import load_sweep
from accelsim.io.sweep_table import read_row

HEAD = "sweep: s\nworkload: matmul\narch: simple\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(folder: Path, text: str, *settings: str, most: int | None = None) -> Sweep:
    (folder / "s.yaml").write_text(text)
    return load_sweep(Path("s.yaml"), settings, most)


def values(sweep: Sweep, name: str) -> list[str]:
    """The different texts of a name, in order."""
    at = sweep.names.index(name)
    return list(dict.fromkeys(point.values[at] for point in sweep.points()))


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ("[64, 128]", ["64", "128"]),
        ("{log: [64, 1024], points: 5}", ["64", "128", "256", "512", "1024"]),
        ("{log: [10, 1000], points: 4}", ["10", "46", "215", "1000"]),
        ("{log: [10, 1000], points: 4, to: 5}", ["10", "45", "215", "1000"]),
        ("{range: [1, 10], points: 4}", ["1", "4", "7", "10"]),
        ("{range: [1, 10], step: 4}", ["1", "5", "9"]),
        ("{range: [40, 110], points: 4, to: 30}", ["40", "60", "90", "110"]),
    ],
)
def test_spaced_values_of_a_rank(folder: Path, stated: str, found: list[str]) -> None:
    assert values(loaded(folder, f"{HEAD}vary:\n  shape.m: {stated}\n"), "shape.m") == found


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ("{log: [64 KiB, 1 MiB], points: 5}", ["64 KiB", "128 KiB", "256 KiB", "512 KiB", "1 MiB"]),
        ("{range: [64 KiB, 1 MiB], points: 3}", ["64 KiB", "544 KiB", "1 MiB"]),
        ("{log: [64 KiB, 1 MiB], points: 3, to: 100 KiB}", ["64 KiB", "300 KiB", "1 MiB"]),
        ("{range: [64 KiB, 200 KiB], step: 64 KiB}", ["64 KiB", "128 KiB", "192 KiB"]),
    ],
)
def test_spaced_values_of_a_size(folder: Path, stated: str, found: list[str]) -> None:
    assert values(loaded(folder, f"{HEAD}vary:\n  arch.GlobalBuffer.size: {stated}\n"), "arch.GlobalBuffer.size") == found


def test_dependent_values_follow_from_others_in_whatever_order_they_stand(folder: Path) -> None:
    text = f"""{HEAD}vary:
  shape.k: "= shape.n // 2"
  shape.n: "= shape.m"
  shape.m: [64, 128]
  arch.GlobalBuffer.size: "= 8 KiB * shape.m / 64"
"""
    sweep = loaded(folder, text)
    points = [dict(zip(sweep.names, point.values, strict=True)) for point in sweep.points()]
    assert points == [
        {"shape.m": "64", "shape.n": "64", "shape.k": "32", "arch.GlobalBuffer.size": "8 KiB"},
        {"shape.m": "128", "shape.n": "128", "shape.k": "64", "arch.GlobalBuffer.size": "16 KiB"},
    ]


def test_samples_between_whole_numbers_are_whole_from_zero_on(folder: Path) -> None:
    sweep = loaded(folder, f"{HEAD}vary:\n  seed: {{range: [0, 3]}}\nsample: {{sobol: 64}}\n")
    assert sorted(values(sweep, "seed")) == ["0", "1", "2", "3"]


def test_rounded_values_stay_between_their_ends(folder: Path) -> None:
    vary = "vary:\n  shape.m: {log: [40, 110], to: 30}\n  shape.n: {log: [31, 33], to: 30}\n"
    sweep = loaded(folder, f"{HEAD}{vary}sample: {{sobol: 64}}\n")
    assert ({*values(sweep, "shape.m")} - {"40"}, {*values(sweep, "shape.n")}) == ({"60", "90"}, {"31", "33"})


def test_grid_is_in_the_order_of_the_file_and_the_last_name_changes_fastest(folder: Path) -> None:
    sweep = loaded(folder, "sweep: s\nworkload: matmul\narch: [simple, flat]\nvary:\n  shape.m: [8, 16]\n  workload.shape.n: [4, 2]\n")
    assert [point.values for point in sweep.points()] == [
        (arch, m, n) for arch in ("simple", "flat") for m in ("8", "16") for n in ("4", "2")
    ]
    assert sweep.names == ("arch", "shape.m", "shape.n")


def test_settings_of_the_command_line_are_in_place_of_the_files(folder: Path) -> None:
    sweep = loaded(folder, f"{HEAD}set: {{shape.k: 8}}\nvary:\n  shape.m: [8, 16]\n  shape.n: [4, 2]\n", "shape.m=32", "workload.shape.k=4")
    assert sweep.names == ("shape.n",)
    assert [sweep.cases.command(point) for point in sweep.points()] == [
        "accelsim map matmul --arch simple --set shape.m=32 --set shape.k=4 --set shape.n=4",
        "accelsim map matmul --arch simple --set shape.m=32 --set shape.k=4 --set shape.n=2",
    ]


WRONG = [(each["sweep"], each["says"]) for each in yaml.safe_load((Path(__file__).parent / "wrong_sweeps.yaml").read_text())]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=[message.split(": ", 1)[1][:50] for _, message in WRONG])
def test_wrong_sweep_is_refused_before_anything_runs(folder: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        loaded(folder, HEAD + text)
    assert str(caught.value) == message



def test_sweep_that_asks_for_too_much_says_how_much(folder: Path) -> None:
    ends = "{range: [1, 1000000], step: 1}"
    with pytest.raises(InputError) as caught:
        loaded(folder, f"{HEAD}vary:\n  shape.m: {ends}\n  shape.n: {ends}\n")
    what = "asks for 1,000,000,000,000 points (1,000,000 x 1,000,000), more than 1,000,000"
    mend = "shape.m has 1,000,000 values: take fewer, write 'sample: {sobol: 1000}', or raise --most"
    assert str(caught.value) == f"s.yaml:5:12: {what}; {mend}"
    with pytest.raises(InputError, match=r"asks for 12 points \(3 x 4\), more than 11"):
        loaded(folder, f"{HEAD}vary:\n  shape.m: [1, 2, 3]\n  shape.n: [1, 2, 3, 4]\n", most=11)


def figures(document: dict[str, Any]) -> dict[str, Any]:
    """The figures of a row from the JSON of an evaluation of a cascade."""
    latency, search = document["latency"], document["search"]
    root = next(iter(document["traffic"].values()))
    found = {
        "cycles": latency["cycles"],
        "latency_s": latency["seconds"],
        **{name: document[name] for name in ("energy_pj", "energy_pj_low", "energy_pj_high", "static_energy_pj", "area_um2", "edp_pj_s")},
        "power_w": document["energy_pj"] / latency["seconds"] * 1e-12,
        "traffic_bytes": root["read_bytes"] + root["write_bytes"],
        "bound": document["limits"]["resource"],
        "utilization": max(document["components"][name]["utilization"] for name in {each["unit"] for each in document["einsums"].values()}),
    }
    if search is not None:
        found |= {"objective": search["value"], **{name: search[name] for name in ("lower_bound", "gap", "proved_optimal")}}
    return found


def agree(folder: Path, text: str, count: int) -> None:
    """Every row of a sweep is what its command says."""
    (folder / "s.yaml").write_text(text)
    assert main(["explore", "s.yaml", "-o", "t.parquet", "-q"]) == 0
    for number in range(count):
        row = read_row("t.parquet", number)
        assert main([*shlex.split(row["command"])[1:], "--json", "one.json", "-q"]) == 0
        for name, value in figures(json.loads((folder / "one.json").read_text())).items():
            assert row[name] == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value), name
    with pytest.raises(InputError):
        read_row("t.parquet", count)


def test_every_row_of_a_search_is_what_its_command_says(folder: Path) -> None:
    text = f"""{HEAD}
set: {{shape.k: 16}}
vary:
  objective: [latency, energy]
  shape.m: [24, 7]
  arch.GlobalBuffer.size: [1 KiB, 64 KiB]
  arch.MainMemory.bandwidth: "= 1 GB/s * shape.m"
"""
    agree(folder, text, 8)


def test_every_row_of_a_given_mapping_is_what_its_command_says(folder: Path) -> None:
    text = """sweep: s
workload: matmul
arch: spatial
mapping: matmul-columns
counting: [drains=charged, drains=free]
vary:
  shape.m: [256, 512]
  arch.clock: [940 MHz, 1 GHz]
"""
    agree(folder, text, 8)


def test_values_written_in_another_unit_are_the_same_point(folder: Path) -> None:
    keys = []
    for size in ("64 KiB", "65536 B"):
        sweep = loaded(folder, f"{HEAD}vary:\n  arch.GlobalBuffer.size: [{size}]\n")
        keys.append(sweep.cases.key(next(sweep.points())))
    other = loaded(folder, f"{HEAD}vary:\n  arch.GlobalBuffer.size: [64001 B]\n")
    assert keys[0] == keys[1] != other.cases.key(next(other.points()))


def test_every_option_and_setting_is_part_of_the_key(folder: Path) -> None:
    text = f"""{HEAD}vary:
  shape.m: [8, 16]
  arch.clock: [1 GHz, 2 GHz]
  objective: [latency, energy]
  tiles: [any, dividing]
  gap: [0, 0.1]
  seed: [0, 1]
  counting: [drains=free, drains=charged]
  schedule: [sequential, pipelined]
"""
    sweep = loaded(folder, text)
    assert len({sweep.cases.key(point) for point in sweep.points()}) == 2**8


def test_point_without_a_mapping_is_a_row_that_says_so(folder: Path) -> None:
    sweep = loaded(folder, f"{HEAD}set: {{shape.m: 8, shape.n: 8, shape.k: 8}}\nvary:\n  arch.MainMemory.size: [1 B, 1 KiB]\n")
    found = explore(sweep)
    rows = [row for _, row in found.rows()]
    assert [row.status for row in rows] == ["no mapping", "ok"]
    assert "MainMemory" in rows[0].why
    assert rows[0].cycles is None


def test_chunks_are_evaluated_by_a_function_that_can_be_sent_elsewhere(folder: Path) -> None:
    sweep = loaded(folder, f"{HEAD}set: {{shape.n: 8, shape.k: 8}}\nvary:\n  shape.m: [8, 4]\n")
    points = list(sweep.points())
    evaluate_points(sweep.cases, points)  # fills what it keeps
    there = pickle.loads(pickle.dumps(sweep.cases))
    assert evaluate_points(there, points[::-1]) == evaluate_points(sweep.cases, points)[::-1]


def test_show_prints_the_command_of_a_row_on_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"{HEAD}set: {{shape.n: 8, shape.k: 8, arch.GlobalBuffer.bandwidth: 2000 GB/s}}\nvary:\n  shape.m: [8, 4]\n"
    (folder / "s.yaml").write_text(text)
    assert main(["explore", "s.yaml", "-o", "t.csv", "-q"]) == 0
    assert main(["explore", "t.csv", "--show", "1"]) == 0
    sets = "--set shape.n=8 --set shape.k=8 --set shape.m=4 --set 'arch.GlobalBuffer.bandwidth=2000 GB/s'"
    assert capsys.readouterr().out.splitlines()[0] == f"accelsim map matmul --arch simple {sets}"


def test_name_that_a_setting_holds_fast_has_no_fronts_of_its_own(folder: Path) -> None:
    (folder / "s.yaml").write_text(HEAD + "vary: {shape.m: [2, 4], shape.k: [2, 4]}\neach: [shape.m, shape.k]\n")
    assert load_sweep(folder / "s.yaml").each == ("shape.m", "shape.k")
    assert load_sweep(folder / "s.yaml", ["shape.m=8"]).each == ("shape.k",)


def test_name_that_a_setting_holds_fast_is_no_figure_of_the_front_any_more(folder: Path) -> None:
    (folder / "s.yaml").write_text(HEAD + "vary: {shape.m: [2, 4], shape.k: [2, 4]}\nfront: [latency_s, shape.m]\n")
    assert load_sweep(folder / "s.yaml").front == ("latency_s", "shape.m")
    assert load_sweep(folder / "s.yaml", ["shape.m=8"]).front == ("latency_s",)
    with pytest.raises(InputError, match=r"s\.yaml:5:18: front: 'shape\.n' is no figure"):
        (folder / "s.yaml").write_text(HEAD + "vary: {shape.m: [2, 4], shape.k: [2, 4]}\nfront: [shape.m, shape.n]\n")
        load_sweep(folder / "s.yaml", ["shape.m=8"])


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["t.parquet"], "t.parquet is a table, and a sweep is asked for; give the sweep's file, or add '--show ROW'\n"),
        (["s.yaml", "--show", "1"], "s.yaml: not a table; name the .parquet or .csv file that `accelsim explore -o` wrote\n"),
    ],
)
def test_table_in_place_of_a_sweep_and_the_other_way_round(command: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explore", *command]) == 2
    assert capsys.readouterr().err == says
