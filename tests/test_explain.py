"""`accelsim explain` at the command line: what it writes, what it refuses and in which words."""

from __future__ import annotations

import json
from math import isclose
from pathlib import Path
from typing import Any

import pytest

from accelsim.cli import main
from tests.report.html.runs import MODEL

SMALL = ["--set", "shape.m=64", "--set", "shape.n=64", "--set", "shape.k=64"]


@pytest.fixture(scope="module")
def mapping(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A mapping of the small product, as the mapper saves it."""
    path = tmp_path_factory.mktemp("mappings") / "matmul.yaml"
    assert main(["map", "matmul", "--arch", "npu", *SMALL, "-q", "-o", str(path)]) == 0
    return str(path)


def explained(tmp_path: Path, *arguments: str) -> Any:
    target = tmp_path / "explained.json"
    assert main(["explain", *arguments, "-q", "--json", str(target)]) == 0
    return json.loads(target.read_text(encoding="utf-8"))


def evaluated(tmp_path: Path, *arguments: str) -> Any:
    target = tmp_path / "evaluated.json"
    assert main(["evaluate", *arguments, "-q", "--json", str(target)]) == 0
    return json.loads(target.read_text(encoding="utf-8"))


def test_an_explanation_adds_up_to_the_evaluation(tmp_path: Path, mapping: str) -> None:
    run = ["matmul", "--arch", "npu", "--mapping", mapping, *SMALL]
    found, known = explained(tmp_path, *run), evaluated(tmp_path, *run)
    assert found["latency"] == known["latency"]
    spent = known["latency"]["steady_cycles"] + known["latency"]["fill_cycles"] + known["latency"]["drain_cycles"]
    assert isclose(sum(each["cycles"] for each in found["time"]["charges"]), spent)
    assert isclose(found["time"]["bound"]["cycles"] + sum(each["cycles"] for each in found["time"]["beyond"]), spent)
    assert int(found["time"]["bound"]["cycles"]) == known["bounds"]["min_cycles"]
    for end in ("", "_low", "_high"):
        assert isclose(sum(each[f"energy_pj{end}"] for each in found["joules"]["lines"]), known[f"energy_pj{end}"])
    for line in found["joules"]["lines"]:
        if line["by"]:
            assert isclose(sum(each["energy_pj"] for each in line["by"]), line["energy_pj"])
        assert all(figure["place"] for term in line["terms"] for figure in term["figures"])


def test_a_what_if_is_what_evaluate_says_of_the_changed_machine(tmp_path: Path, mapping: str) -> None:
    run = ["matmul", "--arch", "npu", "--mapping", mapping, *SMALL]
    found = {(each["component"], each["field"]): each for each in explained(tmp_path, *run)["what_if"]}
    base = evaluated(tmp_path, *run)
    for key, setting in (
        (("DRAM", "bandwidth"), "DRAM.bandwidth=68.2 GB/s"),
        (("SRAM", "size"), "SRAM.size=2 MiB"),
        (("", "clock"), "clock=2 GHz"),
    ):
        known = evaluated(tmp_path, *run, "--set", f"arch.{setting}")
        assert (found[key]["cycles"], found[key]["energy_pj"]) == (known["latency"]["cycles"], known["energy_pj"])
        assert isclose(found[key]["speedup"], base["latency"]["seconds"] / known["latency"]["seconds"])


TILES = """
mapping: tiles
tree:
  - keep MainMemory: [A, B, Z]
  - for m: 16
  - for n: 16
  - keep GlobalBuffer: [A, B, Z]
  - {einsum: Z, unit: MAC}
"""


def test_explanation_of_a_model_is_that_of_its_layers_as_often_as_they_run(tmp_path: Path) -> None:
    """By hand: each operand crosses MainMemory once, two bytes at 100 B a cycle of 1 ns and 8 pJ a bit; a multiply-add takes 0.1 pJ."""
    path = tmp_path / "two-layers.yaml"
    path.write_text(MODEL, encoding="utf-8")
    found = explained(tmp_path, str(path), "--arch", "simple")
    words = {"first": (8 * 4 + 4 * 6, 8 * 6), "second": (8 * 6 + 6 * 5, 8 * 5)}
    uses = {"first": 1, "second": 2}
    spent = {name: uses[name] * sum(words[name]) * 2 / 100 for name in words}
    assert isclose(found["latency"]["seconds"], sum(spent.values()) * 1e-9)
    (charge,) = (each for each in found["time"]["charges"] if each["cycles"])
    assert charge["resource"] == "MainMemory" and isclose(charge["cycles"], sum(spent.values())) and charge["share"] == 1.0
    lines = {(each["component"], each["action"]): each for each in found["joules"]["lines"]}
    for action, at in (("read", 0), ("update", 1)):
        bits = 16 * sum(uses[name] * words[name][at] for name in words)
        line = lines["MainMemory", action]
        assert (line["count"], line["price_pj"]) == (bits, 8.0) and isclose(line["energy_pj"], 8 * bits)
    assert isclose(lines["MAC", "mac"]["energy_pj"], 0.1 * (8 * 4 * 6 + 2 * 8 * 6 * 5))
    assert isclose(sum(each["energy_pj"] for each in lines.values()), found["energy"]["pj"])
    assert [(each["name"], each["times"]) for each in found["layers"]] == [("first", 1), ("second", 2)]
    for layer in found["layers"]:
        one = layer["explanation"]["time"]["charges"]
        assert isclose(sum(each["cycles"] for each in one), spent[layer["name"]] / layer["times"])
    helps = {(each["component"], each["field"]): each for each in found["what_if"]}
    # the fastest of the others, GlobalBuffer at 2000 B a cycle, is 20 times the rate of MainMemory and does not bind
    assert isclose(helps["MainMemory", "bandwidth"]["speedup"], 2.0)
    assert {key for key, each in helps.items() if not isclose(each["speedup"], 1.0)} == {("MainMemory", "bandwidth")}


def test_remap_holds_changes_against_the_best_mapping_and_not_against_the_given_one(tmp_path: Path) -> None:
    """By hand: B is read once for each of four tiles of m; the best mapping reads it once. A buffer without a limit leaves two bounds."""
    path = tmp_path / "tiles.yaml"
    path.write_text(TILES, encoding="utf-8")
    sizes = [word for size in ("m=64", "n=64", "k=32") for word in ("--set", f"shape.{size}")]
    run = ["matmul", "--arch", "simple", "--mapping", str(path), *sizes, "--set", "arch.GlobalBuffer.bandwidth=unlimited"]
    a, b, z, macs = 64 * 32, 32 * 64, 64 * 64, 64 * 64 * 32
    given, best, works = (a + 4 * b + z) * 2 / 100, (a + b + z) * 2 / 100, macs / 1024
    kept, found = explained(tmp_path, *run), explained(tmp_path, *run, "--remap")
    assert "best_mapping" not in kept
    assert isclose(kept["latency"]["seconds"], given * 1e-9) and found["latency"] == kept["latency"]
    assert isclose(found["best_mapping"]["seconds"], best * 1e-9)
    assert isclose(found["best_mapping"]["speedup"], given / best)
    for document, base in ((kept, given), (found, best)):
        helps = {(each["component"], each["field"]): each for each in document["what_if"]}
        wider = helps["MainMemory", "bandwidth"]
        assert isclose(wider["speedup"], base / max(base / 2, works))
        assert wider["binding"]["resource"] == ("MainMemory" if base / 2 > works else "MAC")
        assert isclose(helps["MAC", "cycles"]["speedup"], 1.0)
    assert found["reasons"][-2] == "The best mapping that a search finds on the machine as it is: 1.75x faster."


def test_a_difference_adds_up_and_lists_what_differs(tmp_path: Path, mapping: str) -> None:
    run = ["matmul", "--arch", "npu", "--mapping", mapping, *SMALL]
    found = explained(tmp_path, *run, "--against-set", "arch.DRAM.bandwidth=10 GB/s")
    known = [evaluated(tmp_path, *run), evaluated(tmp_path, *run, "--set", "arch.DRAM.bandwidth=10 GB/s")]
    assert found["settings"] == [{"what": "DRAM.read_bits_per_s", "first": "34.1 GB/s", "second": "10 GB/s"}]
    seconds, energy = (known[1]["latency"]["seconds"] - known[0]["latency"]["seconds"], known[1]["energy_pj"] - known[0]["energy_pj"])
    for key in ("by_cause", "by_resource", "by_einsum", "by_tensor"):
        assert isclose(sum(each["change_seconds"] for each in found["time"][key]), seconds)
    for key in ("by_component", "by_einsum", "by_tensor"):
        assert isclose(sum(each["change_pj"] for each in found["energy"][key]), energy)
    # the slower one has all powers for longer, and all else the same: no price can turn that
    assert not found["ranking"]["energy"]["flips"]


@pytest.mark.parametrize("path", ["arch.DRAM.bandwidth", "shape.m", "workload.shape.m"])
def test_a_setting_of_the_second_run_is_in_place_of_that_of_the_first(tmp_path: Path, mapping: str, path: str) -> None:
    value = "10 GB/s" if path.startswith("arch") else "64"
    given = ["--set", "arch.DRAM.bandwidth=20 GB/s", *SMALL]
    found = explained(tmp_path, "matmul", "--arch", "npu", "--mapping", mapping, *given, "--against-set", f"{path}={value}")
    seconds = [found[side]["seconds"] for side in ("first", "second")]
    assert isclose(seconds[1], seconds[0] * (2 if value == "10 GB/s" else 1))  # DRAM binds


def test_a_ranking_that_prices_can_turn_is_warned_of(tmp_path: Path, mapping: str) -> None:
    """A multiplier at 0.9 pJ against one of 0.6 pJ, which the table puts between 0.5 and 1.7."""
    run = ["matmul", "--arch", "npu", "--mapping", mapping, *SMALL]
    found = explained(tmp_path, *run, "--against-set", "arch.PE.executes.mac=0.9 pJ")
    macs = 64**3
    ranking = found["ranking"]["energy"]
    assert [round(ranking[key] / macs, 9) for key in ("low", "difference", "high")] == [-0.8, 0.3, 0.4]
    assert ranking["flips"]
    (warning,) = [each for each in found["reasons"] if each.startswith("WARNING") and "by energy is" in each]
    assert "This row alone can turn it: class_7nm mac_bf16 operation (hw/tech/class_7nm.yaml:" in warning


def test_a_saved_evaluation_is_explained_as_far_as_it_goes(tmp_path: Path, mapping: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["matmul", "--arch", "npu", "--mapping", mapping, *SMALL]
    known = evaluated(tmp_path, *run)
    first = tmp_path / "evaluated.json"
    second = tmp_path / "second.json"
    assert main(["evaluate", *run, "--set", "arch.DRAM.bandwidth=10 GB/s", "-q", "--json", str(second)]) == 0
    assert main(["explain", str(first)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert f"takes {known['latency']['cycles']:,} cycles" in printed
    assert "A saved evaluation holds no rows of prices" in printed
    found = explained(tmp_path, str(first))
    assert found["partial"] is True
    assert isclose(sum(each["energy_pj"] for each in found["joules"]["lines"]), known["energy_pj"])
    other = json.loads(second.read_text(encoding="utf-8"))
    for against in (
        [str(second)],
        ["matmul", "--arch", "npu", "--mapping", mapping, *SMALL, "--against-set", "arch.DRAM.bandwidth=10 GB/s"],
    ):
        found = explained(tmp_path, str(first), "--against", *against)
        assert isclose(sum(each["change_pj"] for each in found["energy"]["by_component"]), other["energy_pj"] - known["energy_pj"])
        change = other["latency"]["seconds"] - known["latency"]["seconds"]
        assert isclose(sum(each["change_seconds"] for each in found["time"]["by_resource"]), change)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["matmul"], "accelsim explain needs a machine; add --arch NAME; `accelsim list archs` shows them"),
        (["matmull", "--arch", "npu"], "there is no workload 'matmull'; did you mean 'matmul'?"),
        (["matmul", "--arch", "npu", "--layer", "X"], "--layer X: matmul is one cascade and has no layers; leave --layer out"),
        (["bert-base", "--arch", "npu", "--layer", "pool"], "--layer pool: bert-base has no such layer; did you mean 'pooler'?"),
        (
            ["matmul", "--arch", "npu", "--remap", "--against-arch", "tpu_like"],
            "--remap says what would help one run, and two are compared; leave --remap out",
        ),
        (["gone.json"], "gone.json: cannot read: No such file or directory; check the path"),
        (
            ["gone.json", "--arch", "npu"],
            "--arch says nothing about gone.json, which is a saved evaluation; leave it out, or name the workload instead of the file",
        ),
        (
            ["matmul", "--arch", "npu", "--against-set", "arch.DRM.size=1"],
            "--against-set arch.DRM.size: this machine has no node 'DRM'; did you mean 'DRAM'?",
        ),
        (["gone.json", "--remap"], "--remap: gone.json is a saved evaluation; name the workload, --arch and --mapping instead"),
    ],
)
def test_what_cannot_be_explained_is_said_in_a_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", *arguments, "-q"]) == 2
    assert capsys.readouterr().err.strip() == message


@pytest.mark.parametrize("setting", ["shape.zz=3", "arch.DRAM.size=3", "shape.m=oo", "qq"])
def test_an_error_in_a_setting_of_the_other_run_names_its_option(setting: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "matmul", "--arch", "simple", "-q", "--against-set", setting]) == 2
    assert capsys.readouterr().err.startswith(f"--against-set {setting.partition('=')[0]}: ")
    assert main(["explain", "matmul", "--arch", "simple", "-q", "--set", setting, "--against-set", "shape.n=4"]) == 2
    assert capsys.readouterr().err.startswith(f"--set {setting.partition('=')[0]}: ")
