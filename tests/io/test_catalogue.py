"""Names become files: a path first, then what is shipped, else the nearest name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accelsim.cli import main
from accelsim.errors import InputError
from accelsim.io import catalogue
from accelsim.io.catalogue import KINDS, MACHINE, WORKLOAD, about, identify, resolve, shipped
from accelsim.io.source import load, top_text


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue of two workloads, and an empty current folder."""
    for name in ("chain", "deep/stack"):
        path = tmp_path / "shipped" / "workloads" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("workload: x\nabout: Two products. And more.\n")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(catalogue, "root", lambda: tmp_path / "shipped")
    return tmp_path


def message(text: str) -> str:
    with pytest.raises(InputError) as error:
        resolve(text, WORKLOAD)
    return str(error.value)


def test_shipped_name_is_found_from_any_folder(root: Path) -> None:
    assert resolve("chain", WORKLOAD) == root / "shipped" / "workloads" / "chain.yaml"
    assert resolve("deep/stack", WORKLOAD) == root / "shipped" / "workloads" / "deep" / "stack.yaml"


def test_file_of_that_name_comes_before_the_shipped_one(root: Path) -> None:
    Path("chain").write_text("workload: mine\n")
    assert resolve("chain", WORKLOAD) == Path("chain")


def test_wrong_name_gets_the_nearest(root: Path) -> None:
    assert message("chian") == "there is no workload 'chian'; did you mean 'chain'?"


def test_name_of_another_kind_says_so(root: Path) -> None:
    with pytest.raises(InputError, match=r"^'chain' is a workload, not a machine; see `accelsim list archs`$"):
        resolve("chain", MACHINE)


def test_file_of_another_tool_is_a_workload(root: Path) -> None:
    Path("layers.csv").write_text("layer,M,N,K,\nonly,4,5,6,\n")
    Path("problem.yaml").write_text("problem:\n  instance: {K: 8}\n  shape: {name: one, dimensions: [K]}\n")
    assert identify("layers.csv") == (Path("layers.csv"), WORKLOAD)
    assert identify("problem.yaml") == (Path("problem.yaml"), WORKLOAD)


def test_result_is_told_from_a_description(root: Path) -> None:
    Path("r.json").write_text('{\n "schema": "accelsim/evaluation/1",\n "workload": "x"\n}\n')
    with pytest.raises(InputError, match=r"^r\.json is an evaluation, not a description; see it with `accelsim report r\.json`$"):
        identify("r.json")
    Path("b.json").write_text('{\n "schema": "accelsim/bounds/1"\n}\n')
    with pytest.raises(InputError) as error:
        identify("b.json")
    assert str(error.value) == "b.json is what `accelsim bounds --json` wrote, not a description; check the file that it was made from"


def test_path_that_is_not_there_gets_the_nearest_shipped_name(root: Path) -> None:
    assert message("workloads/chian.yaml") == "there is no file 'workloads/chian.yaml'; did you mean 'chain'?"


def test_folder_is_no_file(root: Path) -> None:
    assert message(".") == ". is a folder, not a workload file; name a file, or one of `accelsim list workloads`"


@pytest.mark.parametrize("text", ["\0", "x" * 5000, "", "\udcff"])
def test_name_that_no_file_system_holds_is_an_input_error(root: Path, text: str) -> None:
    assert message(text).startswith("there is no workload '")


def test_names_are_in_order_of_the_alphabet(root: Path) -> None:
    (root / "shipped" / "workloads" / "chain-2.yaml").write_text("workload: x\n")
    assert list(shipped(WORKLOAD)) == ["chain", "chain-2", "deep/stack"]


def test_nothing_shipped_is_said_plainly(root: Path) -> None:
    with pytest.raises(InputError, match=r"^there is no machine 'x'; none is known here$"):
        resolve("x", MACHINE)


def test_listing_shows_the_first_sentence(root: Path) -> None:
    assert about(shipped(WORKLOAD)["chain"]) == "Two products"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.plural)
def test_every_shipped_file_says_what_it_is(kind: catalogue.Kind) -> None:
    silent = [name for name, path in shipped(kind).items() if not about(path)]
    assert silent == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bounds", "{machine}"], "this is a machine, not a workload; name a workload, or write 'workload:' at the top"),
        (["map", "matmul", "--arch", "{workload}"], "this is a workload, not a machine; name a machine, or write 'machine:' at the top"),
        (
            ["evaluate", "matmul", "--arch", "simple", "--mapping", "{workload}"],
            "this is a workload, not a mapping; name a mapping, or write 'mapping:' at the top",
        ),
        (
            ["map", "matmul", "--arch", "simple", "--constraints", "{machine}"],
            "this is a machine, not a file of constraints; name a file of constraints, or write 'constraints:' at the top",
        ),
    ],
)
def test_file_of_another_kind_is_called_what_it_is(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    paths = {"workload": resolve("matmul", WORKLOAD), "machine": resolve("simple", MACHINE)}
    assert main([each.format(**paths) for each in arguments]) == 2
    assert capsys.readouterr().err.endswith(f":1:1: {said}\n")


def test_constraints_are_checked_for_a_workload_on_a_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("constraints:\n  - keep: {memory: GlobalBuffer, tensors: A}\n")
    assert main(["check", str(path), "--workload", "matmul", "--arch", "simple"]) == 0
    assert "1 rule for matmul on simple" in capsys.readouterr().out
    path.write_text("constraints:\n  - keep: {memory: GlobalBuffer, tensors: B2}\n")
    assert main(["check", str(path), "--workload", "matmul", "--arch", "simple"]) == 2
    assert "2:43: there is no tensor 'B2'" in capsys.readouterr().err
    assert main(["check", str(path)]) == 2
    assert "add --workload NAME and --arch NAME" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("statement", "noted"),
    [
        ("Z[m] = relu(A[m,k] * B[k])", "note: Z applies relu for every k, before the sum; to apply it to the sum, write two statements"),
        ("Z[m] = A[m,k] * B[k] + C[m]", "note: Z adds C once for every k; to add it to the sum, write two statements"),
        ("Z[m] = (A[m,k] - B[k]) ** 2", ""),
        ("Z[m] = max[k](A[m,k] * B[k])", ""),
        ("Z[m] = A[m,k] * B[k]", ""),
    ],
)
def test_sums_that_may_have_been_meant_otherwise_are_noted(
    statement: str, noted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "w.yaml"
    path.write_text(f"workload: w\nshape: {{m: 4, k: 3}}\neinsums: ['{statement}']\n")
    assert main(["check", str(path), "--json", "-", "-q"]) == 0
    said = json.loads(capsys.readouterr().out)["says"]
    assert said.splitlines()[1:] == ([noted] if noted else [])


def test_folders_of_a_name_may_be_left_out_where_only_one_file_ends_so(root: Path) -> None:
    assert resolve("stack", WORKLOAD) == root / "shipped" / "workloads" / "deep" / "stack.yaml"
    assert identify("stack")[0] == root / "shipped" / "workloads" / "deep" / "stack.yaml"
    assert message("stakc") == "there is no workload 'stakc'; did you mean 'stack'?"
    other = root / "shipped" / "workloads" / "deeper" / "stack.yaml"
    other.parent.mkdir()
    other.write_text("workload: x\n")
    assert message("stack") == "there is no workload 'stack'; did you mean 'deep/stack'?"
    beside = root / "shipped" / "workloads" / "stack.yaml"
    beside.write_text("workload: x\n")
    assert resolve("stack", WORKLOAD) == beside


def test_what_files_are_about_is_read_from_their_beginning_alone() -> None:
    """Beside the whole document, parsed."""
    for kind in KINDS:
        for path in shipped(kind).values():
            whole = load(path).value.get("about")
            assert top_text(path.read_text(encoding="utf-8"), "about") == (None if whole is None else str(whole.value))
    assert top_text("a: {about: x}\nb: [about, y]\nabout: z\nrest: [", "about") == "z"
    assert top_text("a: about\nb: c\n", "about") is None
